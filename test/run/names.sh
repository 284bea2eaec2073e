#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Domain names in cluster policies over time, with the cluster's own DNS and real packets: an open connection outlives
# the name's TTL and a new one does not (CN16, also in strict mode), a name with more than a hundred addresses (CN17), and
# that no question is filtered (CN14).
cd "$(dirname "$0")/../.." || exit 1
test=names
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"

cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: caller}}
spec: {nodeName: node-1, containers: [{name: c, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: caller}}
spec: {nodeName: node-2, containers: [{name: c, image: a}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: names}
spec:
  tier: Admin
  priority: 1
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: caller}}}}
  egress:
  - {action: Accept, to: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]}
  - {action: Accept, to: [{domainNames: [short.example.org, many.example.org]}]}
  - {action: Deny, to: [{networks: [0.0.0.0/0, "::/0"]}]}
Y
# 60 addresses of one family and 45 of the other; each list is one answer that fits a packet.
many4=$(seq -f 198.51.100.%g -s , 100 159)
many6=$(seq -f 2001:db8:51::1%g -s , 100 144)
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d \
	--host short.example.org=198.51.100.1,2001:db8:51::1@1 \
	--host other.example.org=198.51.100.2,2001:db8:51::2 \
	--host many.example.org="$many4,$many6" >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"

in_pod() { # POD COMMAND…
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" python3 test/run/names/names.py "$@"
}
dns="10.96.0.10 fd57:e7f7:0:96::a"

for pod in near far; do
	for server in $dns; do
		same "CN14 $pod may ask $server for a name of no rule" \
			"$(in_pod $pod ask $server other.example.org A)" 198.51.100.2
	done
	same "CN14 what that name has is not reached from $pod" \
		"$(in_pod $pod connect 198.51.100.2 2001:db8:51::2 | sort)" "198.51.100.2 no
2001:db8:51::2 no"
	same "CN17 nothing of many.example.org is reached from $pod before it asked" \
		"$(in_pod $pod connect 198.51.100.100 198.51.100.159 2001:db8:51::1100 | grep -c no)" 3
	in_pod $pod ask 10.96.0.10 many.example.org A 4096 >"$dir/many"
	in_pod $pod ask fd57:e7f7:0:96::a many.example.org AAAA 4096 >>"$dir/many"
	same "CN17 $pod is told 105 addresses of one name" "$(sort -u "$dir/many" | grep -c '[.:]')" 105
	same "CN17 and reaches every one of them" "$(in_pod $pod connect $(cat "$dir/many") | grep -c yes)" 105
	same "CN17 but none beside them from $pod" \
		"$(in_pod $pod connect 198.51.100.160 2001:db8:51::1145 | grep -c no)" 2
done

# hold WORD POD ADDRESS: a connection that stays; `over` asks over it and waits for what comes of it.
hold() {
	mkfifo "$dir/$1.in"
	in_pod "$2" hold "$3" <"$dir/$1.in" >"$dir/$1.out" 2>&1 &
	case $1 in
	near) exec 3>"$dir/$1.in" ;;
	far) exec 4>"$dir/$1.in" ;;
	many) exec 5>"$dir/$1.in" ;;
	esac
	wait_for grep -q open "$dir/$1.out"
	ok "$2 opens a connection to $3 by its name" $?
}
longer() { [ "$(wc -l <"$1")" -gt "$2" ]; }
over() { # WORD FD
	lines=$(wc -l <"$dir/$1.out")
	echo >&"$2"
	wait_for longer "$dir/$1.out" "$lines"
	tail -n 1 "$dir/$1.out"
}
refused() { # POD ADDRESS
	[ "$(in_pod "$1" connect "$2")" = "$2 no" ]
}
change() { # EXPRESSION: of sed, on the manifest
	sed "$1" "$dir/all.yaml" >"$dir/.new"
	mv "$dir/.new" "$dir/all.yaml"
}
silent() { [ "$(over "$1" "$2")" = silent ]; }

in_pod near ask 10.96.0.10 short.example.org A >/dev/null
in_pod far ask 10.96.0.10 short.example.org AAAA >/dev/null
hold near near 198.51.100.1
hold far far 2001:db8:51::1
hold many near 198.51.100.100
wait_for refused near 198.51.100.1
ok "CN16 near cannot begin another one once the TTL has ended" $?
wait_for refused far 2001:db8:51::1
ok "CN16 nor can far" $?
same "CN16 near's open connection goes on" "$(over near 3)" answered
same "CN16 far's open connection goes on" "$(over far 4)" answered

change 's/{name: names}/{name: names, annotations: {weft.network\/strict: "true"}}/; s/, many.example.org//'
wait_for silent many 5
ok "NP66 CN14 in strict mode a name that leaves the rule takes its open connections along" $?
same "CN16 but near's connection stays, whose name has only ended" "$(over near 3)" answered
same "CN16 and far's" "$(over far 4)" answered
in_pod near ask 10.96.0.10 short.example.org A >/dev/null
same "CN16 near begins another one when it has asked again" "$(in_pod near connect 198.51.100.1)" "198.51.100.1 yes"
exec 3>&- 4>&- 5>&-
finish
