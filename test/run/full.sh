#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster whose BPF maps are too small for what is asked: the change is refused whole with the numbers, an alarm says
# so, what was in force stays in force and works, and everything goes on when the change is taken back (NP81, NP82).
cd "$(dirname "$0")/../.." || exit 1
test=full
. test/run/cluster_lib

pod() {
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec: {nodeName: $2, containers: [{name: c, image: x, ports: [{containerPort: 7000}]}]}
Y
}
mkdir "$dir/cluster"
{ pod caller node-1; pod stranger node-1; pod open node-1; pod closed node-1; } >"$dir/cluster/pods.yaml"
cat >"$dir/cluster/base.yaml" <<'Y'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: [{from: [{podSelector: {matchLabels: {app: caller}}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: open}
spec: {clusterIP: 10.96.5.5, selector: {app: open}, ports: [{port: 80, targetPort: 7000}]}
Y
# Isolates `open` as well, with a rule for each of $1 blocks, each with a port of its own.
many() {
	echo "apiVersion: networking.k8s.io/v1"
	echo "kind: NetworkPolicy"
	echo "metadata: {name: many}"
	echo "spec:"
	echo "  podSelector: {matchLabels: {app: open}}"
	echo "  ingress:"
	for i in $(seq 1 "$1"); do
		echo "  - {from: [{ipBlock: {cidr: 198.51.100.$i/32}}], ports: [{port: $((1000 + i))}]}"
	done
}
address() {
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
print(json.load(sys.stdin)["status"]["podIPs"][0]["ip"])'
}
reaches() { # FROM ADDRESS
	nsenter --net="/run/netns/weft-$name-default.$1" python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], 7000), 1)' "$2" 2>/dev/null
}
status() { # MEMBER of the agent's status
	python3 - "$run/node-1/agent.sock" "$1" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(2)
s.connect(sys.argv[1])
s.send(b'{"id":1,"op":"status"}')
print(json.loads(s.recv(65536))[sys.argv[2]])
PY
}
readback() {
	python3 - "$run/node-1/agent.sock" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
s.connect(sys.argv[1])
s.send(b'{"id":1,"op":"readback"}')
print(json.loads(s.recv(400000)).get("text", "no text"), end="")
PY
}
alarmed() { status alarm | grep -q "^map-full: BPF map $1 has room for $2 elements"; }
calm() { [ -z "$(status alarm)" ]; }
as_before() { # WHEN
	reaches caller "$closed" || echo "# the caller does not reach the closed pod"
	! reaches stranger "$closed" || echo "# a stranger reaches the closed pod"
	reaches stranger "$open" || echo "# a stranger does not reach the open pod"
	reaches caller "$closed" && ! reaches stranger "$closed" && reaches stranger "$open"
	ok "NP82 $1: what was allowed is, what was refused is, and nothing of the change is in force" $?
}

"$weft" up "$dir/cluster" --name $name --nodes 1 -d --entries policy=8,socket_origin=64 >"$dir/up" 2>&1
ok "a cluster with small BPF maps comes up" $? || sed 's/^/# /' "$dir/up"
open=$(address open) closed=$(address closed)
calm
ok "there is no alarm" $?
as_before "at first"
many 12 >"$dir/cluster/many.yaml"
wait_for alarmed policy 8
ok "NP81 too much for a BPF map: $(status alarm)" $?
as_before "while the change is refused"
"$weft" maps --name $name | grep -q "^node-1: map-full: BPF map policy has room for 8 elements"
ok "NP81 weft maps shows the alarm" $?
sleep 1.5
as_before "after it was tried again"
[ "$(status enforcing)" = True ]
ok "the last good state is in force" $?
rm "$dir/cluster/many.yaml"
wait_for calm
ok "the change is taken back: no alarm" $?
as_before "after it was taken back"
# A pod that would need what does not fit gets no network, and others keep theirs.
many 12 >"$dir/cluster/many.yaml"
wait_for alarmed policy 8
pod late node-1 >"$dir/cluster/late.yaml"
running() { "$weft" get pod "$1" --name $name 2>/dev/null | grep -q Running; }
sleep 1
! running late
ok "a new pod gets no network while the plan is refused" $?
many 3 >"$dir/cluster/many.yaml"
wait_for running late
ok "a smaller change fits, and the pod runs" $?
! reaches stranger "$open"
ok "and the policy is in force" $?
text=$(readback)
[ -z "$text" ]
ok "the kernel holds the plan${text:+: $text}" $?
"$weft" maps --name $name -o json | python3 -c '
import json, sys
maps = {m["map"]: m for m in json.load(sys.stdin)}
p = maps["policy"]
sys.exit(0 if p["capacity"] == 8 and 0 < p["used"] <= 8 else 1)'
ok "weft maps shows what is used of how much" $?
rm "$dir/cluster/many.yaml"
wait_for reaches caller "$open"
# The sockets that asked for a Service are kept in an LRU: the oldest lose the Service's name, none its connection.
sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec nsenter --net="$@"' sh \
	"/sys/fs/cgroup/unified/weft.$name/node-1/default.caller" "/run/netns/weft-$name-default.caller" python3 - "$open" >"$dir/sockets" <<'PY'
import socket, sys
calls = [socket.create_connection(("10.96.5.5", 80), 2) for _ in range(500)]
names = [c.getpeername()[0] for c in calls]
answered = 0
for c in calls:
    c.settimeout(2)
    c.sendall(b"GET / HTTP/1.1\r\nHost: open\r\nConnection: close\r\n\r\n")
    answered += c.recv(8) == b"HTTP/1.1"
print(names[-1] == "10.96.5.5", sys.argv[1] in names, set(names) <= {"10.96.5.5", sys.argv[1]}, answered)
PY
[ "$(cat "$dir/sockets")" = "True True True 500" ]
ok "socket_origin: of 500 sockets the oldest are told the pod's address, and all are answered ($(cat "$dir/sockets"))" $?
"$weft" down --name $name >/dev/null 2>&1
finish
