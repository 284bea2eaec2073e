#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line with a cluster: up, get, watch, kubectl, reach, drops, maps, plan against the kernel, down; and bad
# luck: the name is taken, Ctrl-C at any moment, a killed `up`. After all of it nothing may be left.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
name=t-cli-$$
n=0
bad=0
if ! "$weft" doctor >/dev/null 2>&1; then
	echo "1..0 # SKIP this machine cannot run a cluster: $("$weft" doctor | awk '$2 == "missing" || $2 == "unknown" { printf "%s ", $1 }')"
	exit 77
fi
tmp=$(mktemp -d)
trap '"$weft" down --name $name >/dev/null 2>&1; rm -rf "$tmp"' EXIT
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 30
		bad=1
	fi
}
run() {
	want=$1
	shift
	COLUMNS=160 "$weft" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }
# Everything on this machine that could carry the cluster's name.
traces() {
	ip netns list 2>/dev/null | grep "weft-$name" || true
	ls -d /run/weft/"$name" /sys/fs/cgroup/unified/weft."$name" /sys/fs/cgroup/weft."$name" 2>/dev/null || true
	ip -o link show 2>/dev/null | grep "$name" || true
	grep "/$name/" /proc/mounts || true
	for p in /proc/[0-9]*; do
		{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -E "weft-(hub|agent|planner|applier|observer|standin).*(--name $name |/$name/)" || true
	done
}
# Waits up to 15 s until a command succeeds.
wait_for() {
	end=$(($(date +%s) + 15))
	while [ "$(date +%s)" -lt $end ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}
gone() { traces >"$tmp/out"; : >"$tmp/err"; [ ! -s "$tmp/out" ]; }

cp -r examples/shop "$tmp/shop"
chmod -R a+rX "$tmp"
run 0 up -d --name $name "$tmp/shop" && says 'wired, enforced and serving'
ok "up in the background" $?
run 1 up -d --name $name "$tmp/shop"
ok "up again under the same name is refused" $?
run 0 get pods -n shop --name $name && says store-0 && says NAME
ok "get as a table" $?
run 0 get pods -A -o wide --name $name && says NAMESPACE && says 10.244.
ok "get of all namespaces, wide" $?
run 0 get pod store-0 -n shop -o yaml --name $name && says 'podIP: 10.244.'
ok "get one as YAML" $?
run 1 get pod nobody -n shop --name $name && says nobody
ok "get of what is not there" $?
run 0 get all -n shop --name $name && says deployments && says services
ok "get all" $?

run 0 get deploy,svc -n shop --name $name -o json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["kind"] == "List" and {i["kind"] for i in d["items"]} == {"Deployment", "Service"}' "$tmp/out" 2>>"$tmp/err"
ok "get of several kinds as one List" $?

wait_for sh -c "! '$weft' get pods -A --name $name | grep -E 'Init|Pending|0/1'"
ok "all pods run and are ready" $?
run 0 reach --name $name && says 'The model says the same'
ok "reach by real packets, as the model says" $?
run 0 reach --name $name --from shop/page --to shop/store && says no && ! says yes
ok "one pair that is refused" $?
run 0 reach --name $name --from reports/analyst --to shop/catalogue --ports && says ipv6 && ! grep -q ' no ' "$tmp/out"
ok "one pair that is allowed, by port and family" $?
wait_for sh -c "'$weft' drops --name $name -n shop | grep -q policy-ingress"
ok "drops tells what policy refused" $?
run 0 maps --name $name --node node-1 -o json && python3 -c 'import json,sys; m={x["map"]: x for x in json.load(open(sys.argv[1]))}; assert m["endpoint"]["used"] > 0 and m["policy"]["memoryBytes"] > 0' "$tmp/out" 2>>"$tmp/err"
ok "maps as JSON" $?

# The same answer from the nodes and their kernels as from the files, but for where pods are placed.
placeless() { sed -E 's/(10\.[0-9.]+|fd57:[0-9a-f:]+)//g; s/node-[0-9]+/a node/g; /^  way/d' "$1"; }
same_answer() {
	"$weft" why --name $name "$1" "$2" >"$tmp/online" 2>&1
	on=$?
	"$weft" why -f "$tmp/shop" "$1" "$2" >"$tmp/offline" 2>&1
	[ $on = $? ] && [ $on -lt 2 ] && placeless "$tmp/online" >"$tmp/out" && placeless "$tmp/offline" | diff - "$tmp/out" >"$tmp/err"
}
r=0
for from in shop/page shop/cart shop/catalogue shop/store reports/analyst node:node-1 outside; do
	for to in shop/deploy/page:8080 shop/cart:7000 shop/catalogue:8000 shop/deploy/catalogue:81 shop/sts/store:6379; do
		case $from in outside | node:*) to=$(echo "$to" | sed 's,/\([a-z]*\):,/deploy/\1:,;s,deploy/deploy,deploy,;s,sts/deploy/,sts/,') ;; esac
		# What a node's own sockets may depends on where the pod is.
		[ "$from" = node:node-1 ] && continue
		same_answer "$from" "$to" || { r=1; echo "# $from to $to: status $on"; sed 's/^/# /' "$tmp/err"; }
	done
done
ok "why: the nodes answer as the files do" $r
run 1 why --name $name shop/page shop/store:6379 -o json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); i=[f["ingress"] for x in d["families"] for f in x["flows"]]; assert i and all(s["kernelAsked"] and s["kernelAllows"] is False and "differs" not in s for s in i)' "$tmp/out" 2>>"$tmp/err"
ok "why: the kernels were asked, and say the same" $?
cause() { COLUMNS=1000 "$weft" drops --name $name >"$tmp/out" 2>"$tmp/err" && grep -Eq "$1" "$tmp/out"; }
cause "policy-ingress .*NetworkPolicy shop/store $tmp/shop/policies.yaml:63:3"
ok "drops names the policies that isolate, with their lines" $?
run 0 drops --name $name -o json && python3 -c 'import json,sys; d=[x for x in json.load(open(sys.argv[1])) if x["reason"].startswith("policy-")]; assert d and all(x["cause"] > 15 and x["why"]["set"] == x["cause"] for x in d)' "$tmp/out" 2>>"$tmp/err"
ok "drops as JSON has the numbers of the causes" $?

cat >"$tmp/shop/staged.yaml" <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: page-calls-nobody, namespace: shop, annotations: {weft.network/staged: "true"}}
spec:
  podSelector: {matchLabels: {app: page}}
  policyTypes: [Egress]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-reports}
spec:
  tier: Admin
  priority: 5
  subject: {pods: {podSelector: {matchLabels: {app: catalogue}}}}
  ingress:
  - {name: no-analysts, action: Deny, from: [{pods: {podSelector: {matchLabels: {app: analyst}}}}]}
YAML
wait_for sh -c "'$weft' get policies --name $name | grep -Eq 'page-calls-nobody +NetworkPolicy +– +staged +2 +[1-9]'" && run 0 get policies --name $name && says ' s ago' && grep -Eq '^– +no-reports +ClusterNetworkPolicy +Admin 5 +enforced +2 ' "$tmp/out"
ok "get policies counts what a staged policy would have dropped" $?
run 0 why --name $name shop/page shop/cart:7000 && says 'would be refused: 1 policy isolates' && says "$tmp/shop/staged.yaml:5:3" && says 'in live traffic of this pod: '
ok "why tells what a staged policy would have done in live traffic" $?
wait_for sh -c "'$weft' why --name $name reports/analyst shop/catalogue | grep -F 'no-analysts'"
"$weft" reach --name $name --from reports/analyst --to shop/catalogue >/dev/null 2>&1
run 1 why --name $name reports/analyst shop/catalogue && says 'refused by ClusterNetworkPolicy no-reports ingress[0] "no-analysts" (Admin tier, priority 5)' && cause "deny-ingress .*ClusterNetworkPolicy no-reports ingress\\[0\\] $tmp/shop/staged.yaml:16:"
ok "a Deny is named by why and by drops, with its line" $?
rm "$tmp/shop/staged.yaml"
wait_for sh -c "! '$weft' get policies --name $name | grep -q no-reports" && wait_for cause 'deny-ingress .*no-reports ingress.*:[0-9]+:[0-9]+ \(no longer in force\)'
ok "a cause that is no longer in force is shown by its name, with that" $?

if command -v bpftool >/dev/null 2>&1; then
	read -r node key <<EOF
$("$weft" why --name $name shop/page shop/cart:7000 -o json | python3 -c '
import json, struct, sys
f = json.load(sys.stdin)["families"][0]["flows"][0]
print(f["node"], *struct.pack("=II", f["ingress"]["set"], f["ingress"]["class"]))')
EOF
	# shellcheck disable=SC2086
	bpftool map delete pinned "$(echo /run/weft/$name/bpf/"$node"/*/policy)" key $key >"$tmp/out" 2>&1
	run 3 why --name $name shop/page shop/cart:7000 && says DIFFERS && says 'the kernel refuses it' && says 'The kernel does not hold what the policies say'
	ok "why says so when kernel and policies differ" $?
else
	n=$((n + 1))
	echo "ok $n - why says so when kernel and policies differ # SKIP no bpftool here"
fi

"$weft" get pods -n shop -w --name $name >"$tmp/watch" 2>&1 &
watcher=$!
cat >"$tmp/shop/more.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: extra, namespace: shop, labels: {app: page}}
spec: {containers: [{name: c, image: example/extra, ports: [{containerPort: 9000}]}]}
YAML
wait_for sh -c "grep -E 'extra +1/1 +Running' $tmp/watch"
r=$?
kill $watcher 2>/dev/null
wait $watcher 2>/dev/null
cp "$tmp/watch" "$tmp/out"
ok "saving a file changes the cluster, and get -w shows it" $r
rm "$tmp/shop/more.yaml"
wait_for sh -c "! '$weft' get pod extra -n shop --name $name"
ok "removing the file takes it away" $?

told() { grep -qF -- "$1" /run/weft/$name/log/weft.log; }
cp "$tmp/shop/policies.yaml" "$tmp/policies.yaml"
printf '  x: [\n' >>"$tmp/shop/policies.yaml"
wait_for told "$tmp/shop/policies.yaml:" && told 'error: not valid YAML' && run 0 get netpol store -n shop --name $name
ok "a broken file is told, and what it said stays in force" $?
cp "$tmp/policies.yaml" "$tmp/shop/policies.yaml"
wait_for told 'no errors any more'
ok "mending it is told, too" $?

if command -v kubectl >/dev/null 2>&1; then
	export KUBECONFIG=/run/weft/$name/kubeconfig KUBECACHEDIR=$tmp/kube
	kubectl get pods -n shop -o wide >"$tmp/out" 2>"$tmp/err" && says store-0
	ok "kubectl works with the kubeconfig" $?
else
	n=$((n + 1))
	echo "ok $n - kubectl works with the kubeconfig # SKIP no kubectl here"
fi

run 0 down --name $name && gone
ok "down leaves nothing" $?
run 0 down --name $name && says 'No cluster'
ok "down again is no error" $?

# Ctrl-C at several moments of the start, and afterwards.
r=0
for after in 0.02 0.05 0.1 0.2 0.4 0.8 1.5; do
	# A shell lets its background children ignore SIGINT; a terminal does not.
	env --default-signal=INT "$weft" up --name $name "$tmp/shop" >"$tmp/up" 2>&1 &
	up=$!
	sleep $after
	kill -INT $up
	i=0
	while kill -0 $up 2>/dev/null && [ $i -lt 100 ]; do
		sleep 0.05
		i=$((i + 1))
	done
	kill -0 $up 2>/dev/null && { r=1; kill -9 $up; }
	wait $up 2>/dev/null
	gone || { r=1; echo "# left after Ctrl-C at $after s:"; sed 's/^/# /' "$tmp/out"; "$weft" down --name $name >/dev/null 2>&1; }
done
ok "Ctrl-C at any moment leaves nothing" $r

"$weft" up -d --name $name "$tmp/shop" >"$tmp/out" 2>"$tmp/err"
pid=$(head -n 1 /run/weft/$name/lock 2>/dev/null)
kill -9 "$pid" 2>/dev/null
wait_for sh -c "! kill -0 $pid"
run 1 get pods -A --name $name
r=$?
run 0 down --name $name || r=1
gone || r=1
ok "down removes what a killed up left" $r
"$weft" up -d --name $name "$tmp/shop" >"$tmp/out" 2>"$tmp/err"
pid=$(head -n 1 /run/weft/$name/lock 2>/dev/null)
kill -9 "$pid" 2>/dev/null
wait_for sh -c "! kill -0 $pid"
run 0 up -d --name $name "$tmp/shop" && run 0 down --name $name && gone
ok "up over what a killed up left" $?
echo "1..$n"
exit $bad
