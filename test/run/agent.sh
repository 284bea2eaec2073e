#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kills each process of a node's agent under traffic, twice: no packet of an allowed flow is lost, no denied one gets
# through, and afterwards the kernel holds the plan. Usage: agent.sh WEFT (needs root and eBPF; prints TAP).
set -u
WEFT=$1
NAME=t-agent-$$
LOG=$(mktemp -d)
n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
bad() { n=$((n + 1)); echo "not ok $n - $1"; failed=1; }
failed=0
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }

down() {
	"$WEFT" down --name "$NAME" >/dev/null 2>&1
	rm -rf "$LOG"
}
trap down EXIT INT TERM

cat >"$LOG/all.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: t}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: t, labels: {app: a}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: t, labels: {app: b}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: t, labels: {app: b}}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, namespace: t, labels: {app: closed}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: t}
spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Ingress]}
YAML

"$WEFT" up -d --name "$NAME" "$LOG/all.yaml" >"$LOG/up" 2>&1 || { sed 's/^/# /' "$LOG/up"; echo "Bail out! weft up"; exit 1; }
run=/run/weft/$NAME
address() { ip netns exec "weft-$NAME-t.$1" ip -o -4 addr show eth0 | awk '{ sub("/.*", "", $4); print $4 }'; }
A="ip netns exec weft-$NAME-t.a"
B=$(address b) FAR=$(address far) CLOSED=$(address closed)

# The agent of node-1, by its parent chain: weft-agent is a child of the cluster's process.
agent() {
	for p in /proc/[0-9]*; do
		{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -q -- "--name $NAME --node node-1 " || continue
		[ "$(cat "$p/comm")" = "$1" ] && { echo "${p#/proc/}"; return; }
	done
}

# Waits until all four run and the planner says that it enforces.
settled() {
	for i in $(seq 1 100); do
		if [ -n "$(agent weft-applier)" ] && [ -n "$(agent weft-observer)" ] && "$WEFT" plan --help >/dev/null 2>&1 &&
			python3 - "$run/node-1/agent.sock" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(2)
try:
    s.connect(sys.argv[1])
    s.send(b'{"id":1,"op":"status"}')
    r = json.loads(s.recv(65536))
    sys.exit(0 if r["enforcing"] and r["hub"] and r["applier"] else 1)
except (OSError, KeyError):
    sys.exit(1)
PY
		then
			return 0
		fi
		sleep 0.1
	done
	return 1
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

settled && ok "the agent enforces" || bad "the agent enforces"
for who in weft-applier weft-planner weft-observer weft-agent weft-applier weft-planner; do
	$A ping -q -i 0.01 -c 150 "$B" >"$LOG/near" &
	near=$!
	$A ping -q -i 0.01 -c 150 "$FAR" >"$LOG/far" &
	far=$!
	$A ping -q -i 0.05 -c 30 -W 1 "$CLOSED" >"$LOG/closed" 2>&1 &
	closed=$!
	pid=$(agent "$who")
	kill -9 "$pid"
	wait $near $far
	wait $closed
	lost=$(cat "$LOG/near" "$LOG/far" | grep -c ' 0% packet loss')
	[ "$lost" = 2 ] && ok "$who killed: 300 of 300 packets come back" || bad "$who killed: $(grep -h loss "$LOG/near" "$LOG/far")"
	grep -q ' 100% packet loss' "$LOG/closed" && ok "$who killed: what is denied stays denied" || bad "$who killed: $(grep loss "$LOG/closed")"
	settled && ok "$who is back" || bad "$who is back"
	[ "$(agent "$who")" != "$pid" ] && ok "it is another process" || bad "it is another process"
	text=$(readback)
	[ -z "$text" ] && ok "after $who the kernel holds the plan" || bad "after $who: $text"
done

# A pod's link vanishes behind our back, and then the applier starts anew: one pod is lost, nobody else.
ip netns exec "weft-$NAME-t.b" ip link del eth0
kill -9 "$(agent weft-applier)"
sleep 0.3
settled && ok "the agent goes on without a pod that lost its link" || bad "the agent goes on without a pod that lost its link"
for i in $(seq 1 50); do
	text=$(readback)
	[ -z "$text" ] && break
	sleep 0.1
done
[ -z "$text" ] && ok "and the kernel holds the plan" || bad "and the kernel holds the plan: $text"
$A ping -q -i 0.01 -c 50 "$FAR" | grep -q ' 0% packet loss' && ok "others are reached" || bad "others are reached"

# The hub goes and comes: what changed meanwhile is in force afterwards, what did not stays.
hub=
for p in /proc/[0-9]*; do
	[ "$(cat "$p/comm" 2>/dev/null)" = weft-hub ] && { tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -q -- "--name $NAME " && hub=${p#/proc/}
done
$A ping -q -i 0.01 -c 150 "$FAR" >"$LOG/far" &
far=$!
kill -9 "$hub"
wait $far
grep -q ' 0% packet loss' "$LOG/far" && ok "hub killed: 150 of 150 packets come back" || bad "hub killed: $(grep loss "$LOG/far")"
settled && ok "the hub is back" || bad "the hub is back"
sed -i 's/matchLabels: {app: closed}/matchLabels: {app: b}/' "$LOG/all.yaml"
for i in $(seq 1 50); do
	$A ping -q -c 1 -W 1 "$CLOSED" >/dev/null && break
	sleep 0.1
done
$A ping -q -c 1 -W 1 "$CLOSED" >/dev/null && ok "a policy that was taken off a pod is off" || bad "a policy that was taken off a pod is off"
$A ping -q -c 1 -W 1 "$FAR" >/dev/null && bad "and is on where it was put" || ok "and is on where it was put"
if [ $failed = 1 ]; then tail -n 30 "$run/log/agent-node-1.log" | sed 's/^/# /'; fi
echo "1..$n"
exit $failed
