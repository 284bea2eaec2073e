#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What TrafficMaps and Tools say of themselves in a running cluster: Accepted with file and line, Healthy with node and cause, as
# columns and for kubectl's wait; and that `weft doctor` tells of maps that are not in force.
cd "$(dirname "$0")/../.." || exit 1
test=broker-status
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
node=weft-$name-node-1
talker=
trap 'for p in $talker; do kill "$p" 2>/dev/null; done; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
wait_for() { # COMMAND…: until it succeeds, at most 15 s, however long each takes
	deadline=$(($(date +%s) + 15))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $deadline ] || return 1
		sleep 0.1
	done
}
condition() { # PLURAL NAME FIELD
	"$weft" get "$1" "$2" --name $name -o json | python3 -c '
import json, sys
print(json.load(sys.stdin)["status"]["conditions"][0][sys.argv[1]])' "$3" 2>/dev/null
}
is() { [ "$(condition "$1" "$2" "$3")" = "$4" ]; }
becomes() { # DESCRIPTION PLURAL NAME FIELD VALUE
	wait_for is "$2" "$3" "$4" "$5"
	same "$1" "$(condition "$2" "$3" "$4")" "$5"
}
child() { # PROGRAM: pid of node-1's
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$1" ] || continue
		tr '\0' ' ' <"$p/cmdline" | grep -q -- "--name $name --node node-1 " && basename "$p"
	done
}

mkdir "$dir/m"
cat >"$dir/m/all.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {nodeName: node-1, containers: [{name: c, image: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: near}}
spec: {nodeName: node-1, containers: [{name: c, image: web}]}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: ids}
spec: {interface: {name: ids0}, health: {withinSeconds: 1}, ports: [{name: default, chain: {slice: {bytes: 64}}}]}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: memory}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: all}
spec: {from: [{pods: {podSelector: {matchLabels: {app: near}}}}], filter: udp, to: [{tool: ids}, {tool: memory}]}
Y
"$weft" up "$dir/m" --name $name --nodes 1 -d >"$dir/up" 2>&1
ok "a cluster with a map comes up" $? || sed 's/^/# /' "$dir/up"
doctor() { "$weft" doctor 2>&1 | grep -q "cluster $name, node-1: packet broker: $1"; }
wait_for doctor "interface ids0 is not there"
ok "weft doctor tells of an interface that is not there" $?
ip -n "$node" link add ids0 type veth peer name ids0far
ip -n "$node" link set ids0far up
ip -n "$node" link set ids0 up

becomes "a map that is in force is Accepted" trafficmaps all status True
becomes "a tool that takes what there is for it is Healthy" tools memory status True
becomes "so is one whose interface came later than its map" tools ids status True
same "weft get shows Accepted" "$("$weft" get trafficmaps --name $name | awk '{ print $5 }' | xargs)" "ACCEPTED True"
same "weft get shows Healthy" "$("$weft" get tools --name $name | awk '{ print $1, $(NF - 1) }' | xargs)" "NAME HEALTHY ids True memory True"
since=$(condition trafficmaps all lastTransitionTime)
if command -v kubectl >/dev/null; then
	kubectl --kubeconfig "$run/kubeconfig" wait --for=condition=Healthy tools/ids --timeout=5s >/dev/null 2>&1
	ok "kubectl waits for Healthy" $?
fi

# A map that names no tool: told with its place; the others stay as they were.
cat >"$dir/m/wrong.yaml" <<Y
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: wrong}
spec:
  from: [{pods: {}}]
  to: [{tool: idz}]
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: innocent}
spec: {from: [{pods: {}}], to: [{tool: ids}]}
Y
becomes "a map that names no tool is not Accepted" trafficmaps wrong status False
same "the reason is its own" "$(condition trafficmaps wrong reason)" Invalid
condition trafficmaps wrong message | grep -q 'wrong.yaml:6:15: there is no Tool "idz"; did you mean ids?'
ok "the message has file, line and what to do" $? || condition trafficmaps wrong message | sed 's/^/# /'
becomes "a new map beside it is not in force either" trafficmaps innocent reason OthersInvalid
condition trafficmaps innocent message | grep -q 'wrong.yaml:6:15'
ok "its message says whose error that is" $?
same "what was in force stays Accepted" "$(condition trafficmaps all status)" True
same "since the same time" "$(condition trafficmaps all lastTransitionTime)" "$since"
wait_for doctor "objects of the broker have errors"
ok "weft doctor tells of it" $?
sed -i 's/idz/ids/' "$dir/m/wrong.yaml"
becomes "put right, it is Accepted" trafficmaps wrong status True
becomes "and the other too" trafficmaps innocent status True
nothing_said() { ! doctor ""; }
wait_for nothing_said
ok "and weft doctor is silent" $?
rm "$dir/m/wrong.yaml"

# A map that is in force and cannot do what it is for.
uplink=$("$weft" get node node-1 --name $name -o json | python3 -c '
import json, sys
print([a["address"] for a in json.load(sys.stdin)["status"]["addresses"] if a["type"] == "InternalIP" and ":" not in a["address"]][0])')
cat >"$dir/m/own.yaml" <<Y
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: own}
spec:
  vxlan: {remote: $uplink, vni: 7}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: own}
spec: {from: [{pods: {}}], to: [{tool: own}]}
Y
becomes "a map to a VXLAN tool at a node's own tunnel says so" trafficmaps own reason InForceWarned
same "and is Accepted" "$(condition trafficmaps own status)" True
condition trafficmaps own message | grep -q 'own.yaml:5:19: UDP port 4789 of node node-1 .*; give the tunnel another port'
ok "the message has file, line and what to do" $? || condition trafficmaps own message | sed 's/^/# /'
same "other maps do not speak of it" "$(condition trafficmaps all reason)" InForce
sed -i 's/vni: 7/vni: 7, port: 4790/' "$dir/m/own.yaml"
becomes "with another port nothing is said" trafficmaps own reason InForce
rm "$dir/m/own.yaml"

# A tool that refuses its copies, while another one gets them.
address=$("$weft" get pod near --name $name -o jsonpath='{.status.podIP}')
ip netns exec "weft-$name-default.caller" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(b"x" * 50, (sys.argv[1], 7001))
    time.sleep(0.02)' "$address" &
talker=$!
ip -n "$node" link set ids0 down
becomes "BR31: a tool whose interface is down is not Healthy" tools ids status False
condition tools ids message | grep -q '^node-1: port default takes nothing (interface'
ok "the message has node and port" $? || condition tools ids message | sed 's/^/# /'
same "the other tool is Healthy all the while" "$(condition tools memory status)" True
ip -n "$node" link set ids0 up
becomes "BR31: when it takes packets again it is Healthy" tools ids status True

# weft-copier that says nothing: nobody knows.
copier=$(child "$build/src/copier/weft-copier")
kill -STOP "$copier"
becomes "where weft-copier does not answer, Healthy is Unknown" tools memory status Unknown
condition tools memory message | grep -q 'does not answer on node-1'
ok "and the message says where" $?
kill -CONT "$copier"
becomes "once it answers, it is known" tools memory status True
finish
