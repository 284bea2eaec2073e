#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What happens to traffic while policies change: what old and new allow never fails; what the new one refuses ends as the
# mode of the policy says. Policies of the full size. Spec: NP66, NP67, NP79, CN21, CN22.
cd "$(dirname "$0")/../.." || exit 1
test=policy-change
. test/run/cluster_lib
mkdir "$dir/m"
hammer="python3 test/run/policy/hammer.py"
packet="python3 test/run/policy/packet.py"

pod() { # NAME NODE
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1, any: pod}}
spec: {nodeName: $2, containers: [{name: c, image: a, ports: [{containerPort: 80}, {containerPort: 81}]}]}
Y
}
{
	pod server node-1
	pod near node-1
	pod far node-2
} >"$dir/m/all.yaml"
put() { # NAME: standard input becomes this manifest at once
	cat >"$dir/m/.$1" && mv "$dir/m/.$1" "$dir/m/$1.yaml"
}
in_pod() {
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" "$@"
}
begin() { # FILE COMMAND…
	file=$1
	shift
	"$@" >"$dir/$file" 2>&1 &
	echo $! >"$dir/$file.job"
	wait_for grep -q listening "$dir/$file"
}
finished() {
	kill "$(sed -n 's/^listening //p' "$dir/$1")" 2>/dev/null
	wait "$(cat "$dir/$1.job")"
}
address() { # POD FAMILY
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
print([i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"] if (":" in i["ip"]) == (sys.argv[1] == "6")][0])' "$2"
}
"$weft" up "$dir/m" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
four=$(address server 4) six=$(address server 6)
answers() { # POD HOST PORT yes|no
	[ "$(in_pod "$1" $packet connect "$2" "$3")" = "$4" ]
}

# Port 80 is allowed before, between and after; port 81 tells which version is in force.
all_peers='{from: [{podSelector: {matchLabels: {any: pod}}}]}'
one_port='{from: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}], ports: [{port: 80}]}'
server_allows() { # RULE [ANNOTATION…]
	put server <<Y
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, annotations: {$2}}
spec: {podSelector: {matchLabels: {app: server}}, ingress: [$1]}
Y
}
steady() { # ID COMMAND: which sets version 1 or 2; port 81 answers in version 1 only
	$2 1
	wait_for answers far "$four" 81 yes
	for from in near far; do
		begin steady-4-$from in_pod $from $hammer steady 120 "$four" 80
		begin steady-6-$from in_pod $from $hammer steady 120 "$six" 80
	done
	changes=0
	for round in 1 2 3 4 5; do
		$2 2
		wait_for answers far "$four" 81 no && changes=$((changes + 1))
		$2 1
		wait_for answers far "$four" 81 yes && changes=$((changes + 1))
	done
	same "$1 ten changes came into force" "$changes" 10
	for job in 4-near 6-near 4-far 6-far; do
		finished steady-$job
		result=$(tail -n 1 "$dir/steady-$job")
		echo "$result" | grep -q '^made=[0-9]\{3,\} failed=0 '
		ok "$1 none of the connections that both versions allow failed, IPv$job: $result" $?
	done
}
network_policy() {
	[ "$1" = 1 ] && server_allows "$all_peers" || server_allows "$one_port"
}
steady NP79 network_policy
rm "$dir/m/server.yaml"

# Two cluster policies; the priority of one changes.
put accept <<'Y'
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: accept}
spec:
  tier: Admin
  priority: 10
  subject: {pods: {podSelector: {matchLabels: {app: server}}}}
  ingress: [{action: Accept, from: [{namespaces: {}}]}]
Y
priorities() {
	put deny <<Y
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: deny}
spec:
  tier: Admin
  priority: $([ "$1" = 1 ] && echo 20 || echo 5)
  subject: {pods: {podSelector: {matchLabels: {app: server}}}}
  ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 81}}}]}]
Y
}
steady CN22 priorities
rm "$dir/m/accept.yaml" "$dir/m/deny.yaml"

# What a change ends, and when. The time is taken before the manifest is written.
within() { # DESCRIPTION SINCE LAST SECONDS
	awk -v d="$3" -v s="$2" -v m="$4" 'BEGIN { exit !(d - s <= m) }'
	ok "$1 ($(awk -v d="$3" -v s="$2" 'BEGIN { printf "%.0f ms", (d - s) * 1000 }'))" $?
}
last() { sed -n 's/.* last=\(.*\)/\1/p' "$dir/$1"; }
refuse='{from: [{podSelector: {matchLabels: {app: nobody}}}]}'
strict='weft.network/strict: "true"'
change() { # MODE ANNOTATION SECONDS
	server_allows "{}" "$2"
	for from in near far; do wait_for answers $from "$six" 80 yes; done
	begin hear in_pod server $hammer hear 120 9999
	for from in near far; do
		for family in 4 6; do
			host=$four
			[ $family = 6 ] && host=$six
			begin stream-$family-$from in_pod $from $hammer stream 120 "$host" 80
			wait_for grep -q connected "$dir/stream-$family-$from"
		done
	done
	begin send in_pod far $hammer send 120 "$four" 9999
	begin send6 in_pod near $hammer send 120 "$six" 9999
	in_pod near $hammer steady 1 "$four" 80 >"$dir/before"
	grep -q ' failed=0 ' "$dir/before"
	ok "NP66 $1: open connections run, and new ones beside them: $(tail -n 1 "$dir/before")" $?
	since=$(date +%s.%N)
	server_allows "$refuse" "$2"
	wait_for answers far "$four" 80 no
	ok "NP66 $1: a new connection is refused" $?
	# Long enough for what must end to have ended, and for what goes on to be seen going on.
	in_pod far $hammer steady 3 "$six" 80 >/dev/null
	now=$(date +%s.%N)
	for from in near far; do
		for family in 4 6; do
			finished stream-$family-$from
			if [ "$1" = strict ]; then
				within "NP66 strict: the open connection from $from over IPv$family is cut within a second" \
					"$since" "$(last stream-$family-$from)" 1
			else
				within "NP66 default: the open connection from $from over IPv$family goes on to the end" \
					"$(last stream-$family-$from)" "$now" 0.5
			fi
		done
	done
	finished hear
	finished send
	finished send6
	within "NP67 $1: one-way datagrams that never pause end within $3 s" "$since" "$(last hear)" "$3"
}
change default "" 2
rm "$dir/m/server.yaml"
change strict "$strict" 1
rm "$dir/m/server.yaml"

# 25 rules of 25 peers in each direction: the last peer of the last rule decides.
full() { # DIRECTION KEY NAME
	for rule in $(seq 25); do
		action=Accept
		[ "$rule" = 25 ] && action=Deny
		printf '  - action: %s\n    %s:\n' $action "$1"
		for peer in $(seq 24); do
			echo "    - {pods: {podSelector: {matchLabels: {no: p$rule-$peer}}}}"
		done
		[ "$rule" = 25 ] && echo "    - {pods: {podSelector: {matchLabels: {app: $2}}}}"
	done
}
put full <<Y
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: full}
spec:
  tier: Admin
  priority: 500
  subject: {pods: {podSelector: {matchLabels: {app: server}}}}
  ingress:
$(full from far)
  egress:
$(full to near)
Y
wait_for answers far "$four" 80 no
ok "CN21 the last peer of the 25th ingress rule counts" $?
answers near "$four" 80 yes
ok "CN21 others are not meant" $?
near=$(address near 6) far=$(address far 6)
answers server "$near" 80 no
ok "CN21 the last peer of the 25th egress rule counts" $?
answers server "$far" 80 yes
ok "CN21 and only it" $?
"$weft" down --name $name >/dev/null
ok "down" $?
finish
