#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who is behind an address and port of a node: a pod's connection out of the cluster, and a caller from outside by a node
# port, as `weft who` leads them back.
cd "$(dirname "$0")/../.." || exit 1
test=who
. test/run/cluster_lib
cat >"$dir/all.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: c, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec: {nodeName: node-2, containers: [{name: c, image: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
Y
outside=/run/netns/weft-$name-outside
cat >"$dir/listen.py" <<'P'
import socket, sys
s = socket.create_server(("::", 7777), family=socket.AF_INET6, dualstack_ipv6=True)
open(sys.argv[1] + "/listens", "w").close()
while True:
    c, peer = s.accept()
    a = peer[0].removeprefix("::ffff:")
    print("[%s]:%d" % (a, peer[1]) if ":" in a else "%s:%d" % (a, peer[1]), flush=True)
    c.sendall(b"x")
P
cat >"$dir/call.py" <<'P'
import socket, sys, time
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
print("%s:%d" % c.getsockname()[:2], flush=True)
time.sleep(30)
P
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
nsenter --net=$outside python3 "$dir/listen.py" "$dir" >"$dir/peers" &
listener=$!
wait_for test -e "$dir/listens"
ok "a host outside listens" $?
own=$(nsenter --net=$outside ip -o addr show dev eth0 scope global | awk '{sub("/.*", "", $4); print $4}')
callers=
for host in $own; do
	: >"$dir/peer"
	before=$(wc -l <"$dir/peers")
	nsenter --net=/run/netns/weft-$name-default.caller python3 "$dir/call.py" "$host" 7777 >/dev/null &
	callers="$callers $!"
	heard() { [ "$(wc -l <"$dir/peers")" -gt "$before" ]; }
	wait_for heard
	ok "a pod calls $host" $?
	peer=$(tail -n 1 "$dir/peers")
	case $peer in
	*172.31.0.11*:* | *fd57:e7f7:0:1::11*:*) ok "the host sees an address of the pod's node ($peer)" 0 ;;
	*) ok "the host sees an address of the pod's node ($peer)" 1 ;;
	esac
	"$weft" who "$peer" --name $name >"$dir/who"
	ok "weft who $peer knows somebody" $?
	grep -q "^node-2 *tcp *default/caller .*7777" "$dir/who"
	ok "it is the pod" $? || cat "$dir/who"
done
# A connection to a node port of a node without endpoint goes on under that node's address.
nsenter --net=$outside python3 "$dir/call.py" 172.31.0.11 30080 >"$dir/source" &
callers="$callers $!"
wait_for test -s "$dir/source"
ok "a host outside calls a node port of the other node" $?
"$weft" who 172.31.0.11:1 --name $name >"$dir/who"
same "nobody is behind a port that nothing has" "$?" 1
source=$(cat "$dir/source")
translated() { # the port under which the call goes on is not the caller's: all are listed
	curl -s --unix-socket "$run/node-2/observer.sock" "http://x/nat" | grep -o '"from":"[^"]*","fromPort":[0-9]*,"as":"172.31.0.11","asPort":[0-9]*,"to":"10.244[^"]*","toPort":80'
}
line=$(translated | grep "\"fromPort\":${source##*:},")
port=$(echo "$line" | sed 's/.*"asPort":\([0-9]*\),.*/\1/')
"$weft" who "172.31.0.11:${port:-2}" --name $name -o json >"$dir/who"
grep -q "\"fromPort\": *${source##*:}" "$dir/who"
ok "weft who leads the node port's traffic back to $source" $? || cat "$dir/who"
"$weft" who nonsense --name $name 2>"$dir/who"
same "what is no address is refused" "$?" 2
kill $callers $listener
"$weft" down --name $name >/dev/null
ok "down" $?
finish
