#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tools that must answer, in a running cluster, with real stacks: an interface with a weight of 3, a tunnel's far end, a
# pod as standby. Each falls silent by itself, is named in its condition, gives its sessions away and gets them back.
cd "$(dirname "$0")/../.." || exit 1
test=broker-answers
. test/run/cluster_lib
command -v tshark >/dev/null || skip "needs tshark"
node=weft-$name-node-1 outside=weft-$name-outside
sock=$run/node-1/copier.sock
trap 'ip netns del weft-$name-ear 2>/dev/null; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

account() { python3 -B test/run/broker_live/account.py "$sock" "$@"; }
sent() { account "$1" 0 | cut -d' ' -f2; }
ns() { echo "/run/netns/weft-$name-default.$1"; }
deal() { python3 -B test/run/broker_live/send.py "$(ns caller)" "$near" 7001 400 1; }
healthy() { # TOOL STATUS REASON
	"$weft" get tool "$1" --name $name -o json | python3 -c '
import json, sys
c = [c for c in json.load(sys.stdin).get("status", {}).get("conditions", []) if c["type"] == "Healthy"][0]
sys.exit(not (c["status"], c["reason"]) == tuple(sys.argv[1:3]))' "$2" "$3"
}
is_healthy() { # DESCRIPTION TOOL STATUS REASON
	wait_for healthy "$2" "$3" "$4"
	status=$?
	ok "$1" $status
	[ $status = 0 ] || "$weft" get tool "$2" --name $name -o yaml | sed 's/^/# /'
}
dealt() { # DESCRIPTION: sessions of 400, where each member got "least most"
	d=$1 e0=$(sent ear) f0=$(sent far) w0=$(sent watcher)
	deal
	total() { [ $(($(sent ear) + $(sent far) + $(sent watcher) - e0 - f0 - w0)) -ge 400 ]; }
	wait_for total
	got="$(($(sent ear) - e0)) $(($(sent far) - f0)) $(($(sent watcher) - w0))"
	set -- $got "$2" "$3" "$4" "$5" "$6" "$7"
	[ $(($1 + $2 + $3)) -eq 400 ] && [ "$1" -ge "$4" ] && [ "$1" -le "$5" ] && [ "$2" -ge "$6" ] && [ "$2" -le "$7" ] &&
		[ "$3" -ge "$8" ] && [ "$3" -le "$9" ]
	ok "$d ($got)" $?
}

cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: near}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 7000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: watcher, labels: {app: watcher}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: ear}
spec: {interface: {name: ear0, node: node-1}, health: {withinSeconds: 3, answers: true}}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: far}
spec: {vxlan: {remote: 203.0.113.10, vni: 7, port: 4790}, health: {withinSeconds: 3, answers: true}}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: watcher}
spec: {pod: {namespace: default, podSelector: {matchLabels: {app: watcher}}}, health: {withinSeconds: 3, answers: true}}
---
apiVersion: weft.network/v1alpha1
kind: ToolGroup
metadata: {name: ids}
spec: {members: [{tool: ear, weight: 3}, {tool: far}], standby: {tool: watcher}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: m}
spec:
  from: [{pods: {podSelector: {matchLabels: {app: near}}}}]
  direction: In
  filter: udp && dst.port == 7001
  to: [{group: ids}]
Y
"$weft" up "$dir/all.yaml" --name $name --nodes 1 -d >"$dir/up" 2>&1
ok "a cluster with tools that must answer comes up" $? || sed 's/^/# /' "$dir/up"
near=$("$weft" get pod near --name $name -o json | python3 -c 'import json, sys; print([i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"] if "." in i["ip"]][0])')
ip netns add weft-$name-ear
ip -n "$node" link add ear0 type veth peer name ear1 netns weft-$name-ear
ip -n "$node" link set ear0 up
ip -n weft-$name-ear link set ear1 up

is_healthy "an interface with an IPv6 stack behind it answers" ear True TakesPackets
is_healthy "so does the far end of a tunnel" far True TakesPackets
is_healthy "and a pod" watcher True TakesPackets
dealt "BR30: both members get theirs by weight, the standby nothing" 250 350 50 150 0 0

ip netns exec "$outside" sysctl -qw net.ipv4.icmp_echo_ignore_all=1
is_healthy "BR31: a far end that is silent is named" far False DoesNotAnswer
dealt "its sessions go to the other member" 400 400 0 0 0 0
ip netns exec weft-$name-ear sysctl -qw net.ipv6.conf.ear1.disable_ipv6=1
is_healthy "BR31: so is an interface that is up, with nobody behind it" ear False DoesNotAnswer
dealt "BR32: without any member the standby gets all" 0 0 0 0 400 400
"$weft" get tool far --name $name -o yaml | grep -q "node-1: port default does not answer (tunnel)"
ok "the condition says on which node and port" $?
ip netns exec "weft-$name-default.watcher" sysctl -qw net.ipv4.conf.all.arp_ignore=8
is_healthy "a pod that falls silent is named too" watcher False DoesNotAnswer
deal
down() { curl -s --max-time 5 --unix-socket "$sock" http://x/account | python3 -c 'import json, sys; sys.exit([g["down"] for g in json.load(sys.stdin)["groups"]] != [400])'; }
wait_for down
ok "BR32: and what is due is counted as down" $?

ip netns exec "$outside" sysctl -qw net.ipv4.icmp_echo_ignore_all=0
ip netns exec weft-$name-ear sysctl -qw net.ipv6.conf.ear1.disable_ipv6=0
ip netns exec "weft-$name-default.watcher" sysctl -qw net.ipv4.conf.all.arp_ignore=0
is_healthy "who answers again is healthy again: the interface" ear True TakesPackets
is_healthy "the far end" far True TakesPackets
is_healthy "the pod" watcher True TakesPackets
dealt "and has its sessions back" 250 350 50 150 0 0
said=$(account sums)
ok "BR17, BR18: sums hold, canaries are in none of them" $?
[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
"$weft" account --name $name -o wide >"$dir/account" 2>&1
status=$?
ok "the account of the cluster matches" $status
[ $status = 0 ] || sed 's/^/# /' "$dir/account"
"$weft" drops --name $name >"$dir/drops" 2>&1
same "no answer is dropped as a packet of a pod" "$(grep -c spoofed "$dir/drops")" 0
finish
