#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every Deployment of examples/shop is rolled ($ROUNDS times, 2) while a pod asks their Services and the outside host asks
# the node port and the balancer's address, in both families, all the time: no request is lost (SV01, SV05, SV19, SV53).
# Nor is an established connection: one to a pod that is replaced is served until that pod ends it in order, after its last
# answer, so that no message of it is lost; one to a pod that stays is never ended (SV53). The shop's policies hold.
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=rollout
. test/run/cluster_lib
api() { curl -s --unix-socket "$run/hub.sock" "http://hub$1"; }
manifests() { # ROUND
	sed "s/^      labels: {app: \(.*\)}/      labels: {app: \1, round: \"$1\"}/" examples/shop/shop.yaml >"$dir/.next"
	mv "$dir/.next" "$dir/shop.yaml"
}
rolled() { # ROUND: all Deployments are whole, of that round, and no old pod is left
	api /apis/apps/v1/namespaces/shop/deployments >"$dir/.deployments"
	api /api/v1/namespaces/shop/pods >"$dir/.pods"
	python3 - "$1" "$dir" <<'PY'
import json, sys
deployments = json.load(open(sys.argv[2] + "/.deployments"))["items"]
pods = json.load(open(sys.argv[2] + "/.pods"))["items"]
for d in deployments:
    s, want = d.get("status", {}), d["spec"].get("replicas", 1)
    if s.get("observedGeneration") != d["metadata"]["generation"] or s.get("updatedReplicas") != want \
       or s.get("availableReplicas") != want or s.get("replicas") != want:
        sys.exit(1)
sys.exit(not deployments or any(p["metadata"]["labels"].get("round") != sys.argv[1] for p in pods))
PY
}
rolled_within() { # SECONDS ROUND
	end=$(($(date +%s) + $1))
	until rolled "$2"; do
		[ "$(date +%s)" -gt $end ] && return 1
		sleep 0.2
	done
}
address() { # NAMESPACE SERVICE FAMILY [balancer]
	api "/api/v1/namespaces/$1/services/$2" | python3 -c '
import json, sys
o = json.load(sys.stdin)
ips = [i["ip"] for i in o["status"]["loadBalancer"]["ingress"]] if sys.argv[2:] else o["spec"]["clusterIPs"]
print(next(("[%s]" % i if ":" in i else i) for i in ips if (":" in i) == (sys.argv[1] == "6")))' "$3" $4
}
places() { # each "NAMESPACE SERVICE PORT" of the arguments by both families, as HOST:PORT
	for place in "$@"; do
		# shellcheck disable=SC2086
		set -- $place
		for family in 4 6; do echo "$(address "$1" "$2" $family $4):$3"; done
	done
}
cp examples/shop/policies.yaml "$dir/"
pod() { # NAME
	echo "--- {apiVersion: v1, kind: Pod, metadata: {name: $1, namespace: reports, labels: {app: steady}}, spec: {nodeName: $2,"
	echo "  containers: [{name: c, image: a, ports: [{containerPort: 9000}]}]}}"
}
{
	pod steady-1 node-1
	pod steady-2 node-2
	cat <<'Y'
---
apiVersion: v1
kind: Service
metadata: {name: steady, namespace: reports}
spec:
  {type: NodePort, ipFamilyPolicy: PreferDualStack, selector: {app: steady}, ports: [{port: 9000, nodePort: 30090}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  {type: LoadBalancer, ipFamilyPolicy: PreferDualStack, selector: {app: page}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: weft.network/v1alpha1
kind: AddressPool
metadata: {name: front}
spec: {addresses: [172.31.0.200-172.31.0.209, "fd57:e7f7:0:1::c8-fd57:e7f7:0:1::d1"]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart-is-tried, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: reports}}}]}]
Y
} >"$dir/more.yaml"
manifests 0
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the shop comes up" $? || sed 's/^/# /' "$dir/up"
rolled_within 60 0
ok "all of it is ready" $?
balanced() { address shop front 4 balancer && address shop front 6 balancer; }
wait_for balanced
ok "the balancer has addresses" $?
nodes="172.31.0.10 172.31.0.11 [fd57:e7f7:0:1::10] [fd57:e7f7:0:1::11]"
page=$(places "shop page 80") catalogue=$(places "shop catalogue 8000") cart=$(places "shop cart 7000")
steady=$(places "reports steady 9000") front=$(places "shop front 80 balancer")
inside= outside= stay_in= stay_out=
for at in $page $catalogue; do inside="$inside http@$at" stay_in="$stay_in http@$at@5 echo@$at@50 http@$at@500"; done
for at in $cart; do inside="$inside tcp@$at" stay_in="$stay_in echo@$at@5 echo@$at@500"; done
for at in $steady; do stay_in="$stay_in steady@$at@5 steady@$at@500"; done
for at in $front; do outside="$outside http@$at" stay_out="$stay_out http@$at@5 echo@$at@50 http@$at@500"; done
for ip in $nodes; do
	outside="$outside http@$ip:30080"
	stay_out="$stay_out http@$ip:30080@5 echo@$ip:30080@50 http@$ip:30080@500 steady@$ip:30090@20"
done
# The analyst's cgroup is where its connections are led to endpoints.
player=$(ip netns pids "weft-$name-reports.analyst" | head -1)
group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)$(sed -n 's/^0:://p' "/proc/$player/cgroup")
[ -n "$player" ] && [ -w "$group/cgroup.procs" ]
ok "the caller runs in the cgroup of a pod" $?
in_pod() { sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' x "$group" nsenter --net="/run/netns/weft-$name-reports.analyst" "$@"; }
# shellcheck disable=SC2086
{
	in_pod python3 test/run/rollout/load.py "$dir/.stop" "$dir/.inside" $inside &
	in_pod python3 test/run/rollout/talk.py "$dir/.stop" "$dir/.inside.open" $stay_in &
	nsenter --net="/run/netns/weft-$name-outside" python3 test/run/rollout/load.py "$dir/.stop" "$dir/.outside" $outside &
	nsenter --net="/run/netns/weft-$name-outside" python3 test/run/rollout/talk.py "$dir/.stop" "$dir/.outside.open" $stay_out &
}
round=1
while [ $round -le "${ROUNDS:-2}" ]; do
	manifests $round
	rolled_within 90 $round
	ok "round $round: every Deployment was rolled" $?
	round=$((round + 1))
done
touch "$dir/.stop"
wait
for side in inside outside; do
	grep -q " requests [1-9]" "$dir/.$side"
	ok "from $side it was asked: $(awk '/ requests /{n += $3} END {print n}' "$dir/.$side") requests" $?
	same "SV01 SV05 SV19 SV53 from $side: requests lost" "$(grep -c ^lost "$dir/.$side")" 0
	grep ^lost "$dir/.$side" | head -20 | sed 's/^/# /'
	# shellcheck disable=SC2046
	set -- $(awk '/ messages / {m += $3; c += $5; n++; if ($1 ~ /^steady/) {s++; sc += $5}; if ($3 < 1) none++} END {print m + 0, c + 0, n + 0, s + 0, sc + 0, none + 0}' "$dir/.$side.open")
	[ "$3" -gt 0 ] && [ "$6" = 0 ] && [ "$2" -gt "$3" ]
	ok "from $side on connections that stay open: $1 messages, $2 connections of $3 callers" $?
	same "SV53 from $side: $4 connections to pods that stay, none is made anew" "$5" "$4"
	for what in lost reset timeout; do
		same "SV53 from $side on open connections: $what" "$(grep -c "^$what" "$dir/.$side.open")" 0
	done
	grep -v ' messages ' "$dir/.$side.open" | head -20 | sed 's/^/# /'
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
