#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Readiness by real probes against stand-ins, under a policy that denies everything. Names the lines of the probes'
# specification that it shows. Usage: probes.sh WEFT (needs root and eBPF; prints TAP).
set -u
WEFT=$1
NAME=t-probes-$$
LOG=$(mktemp -d)
n=0 failed=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
bad() { n=$((n + 1)); echo "not ok $n - $1"; failed=1; }
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
down() {
	"$WEFT" down --name "$NAME" >/dev/null 2>&1
	rm -rf "$LOG"
}
trap down EXIT INT TERM

{
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: p}\n---\n'
	printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: p}\n'
	printf 'spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n'
	while read -r name probe; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: p}\n' "$name"
		printf 'spec: {nodeName: node-1, containers: [{name: c, image: x, '
		printf 'ports: [{name: web, containerPort: 80}], %s}]}\n' "$probe"
	done <<'PODS'
http readinessProbe: {httpGet: {port: web, path: /healthz, httpHeaders: [{name: Host, value: a.example}]}, periodSeconds: 1}
tcp readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
grpc readinessProbe: {grpc: {port: 80}, periodSeconds: 1}
elsewhere readinessProbe: {httpGet: {port: 1, host: 203.0.113.1}, periodSeconds: 1, failureThreshold: 1}
noport readinessProbe: {tcpSocket: {port: nosuchport}, periodSeconds: 1}
late readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 4, periodSeconds: 30}
exec readinessProbe: {exec: {command: [x]}, periodSeconds: 1}
gated startupProbe: {tcpSocket: {port: 1, host: 203.0.113.1}, periodSeconds: 1, failureThreshold: 100}, readinessProbe: {tcpSocket: {port: 80}}
started startupProbe: {tcpSocket: {port: 80}, periodSeconds: 1}, readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 30}
none env: []
PODS
} >"$LOG/all.yaml"

began=$(date +%s%N)
"$WEFT" up -d --name "$NAME" "$LOG/all.yaml" >"$LOG/up" 2>&1 || { sed 's/^/# /' "$LOG/up"; echo "Bail out! weft up"; exit 1; }
run=/run/weft/$NAME
ready() {
	curl -s --max-time 2 --unix-socket "$run/hub.sock" "http://hub/api/v1/namespaces/p/pods/$1" | python3 -c '
import json, sys
c = json.load(sys.stdin)["status"].get("conditions", [])
sys.exit(0 if any(x["type"] == "Ready" and x["status"] == "True" for x in c) else 1)'
}
within() { # SECONDS POD
	for i in $(seq 1 $(($1 * 10))); do
		ready "$2" && return 0
		sleep 0.1
	done
	return 1
}
probe() { curl -s --max-time 2 --unix-socket "$run/node-1/observer.sock" http://observer/probes | tr '{' '\n' | grep "\"p/$1\""; }

ready late && bad "PR03 the first try waits for the initial delay" || ok "PR03 the first try waits for the initial delay"
within 10 none && ok "PR13 a pod without a readiness probe is ready when it runs" || bad "PR13 a pod without a probe"
within 10 http && ok "PR15 PR18 PR26 a good status is ready, under a policy that denies all" || bad "PR15 http: $(probe http)"
within 10 tcp && ok "PR19 a connection is ready" || bad "PR19 tcp: $(probe tcp)"
within 10 grpc && ok "PR21 SERVING is ready" || bad "PR21 grpc: $(probe grpc)"
within 10 exec && ok "exec counts as success" || bad "exec: $(probe exec)"
within 10 started && ok "PR06 after the start readiness is asked at once" || bad "PR06: $(probe started)"
within 10 late && [ $((($(date +%s%N) - began) / 1000000)) -gt 3900 ] && ok "PR03 and comes right after it" || bad "PR03: $(probe late)"
ready elsewhere && bad "PR01 PR15 a refused connection is not ready" || ok "PR01 PR15 a refused connection is not ready"
probe elsewhere | grep -q -E '"last":"(refused|time is over)"' && ok "PR32 the record says how it failed" || bad "PR32: $(probe elsewhere)"
ready noport && bad "PR20 a port without a number is not ready" || ok "PR20 a port without a number is not ready"
probe noport | grep -q 'declared by no container port' && ok "PR20 and the record says why" || bad "PR20: $(probe noport)"
ready gated && bad "PR05 readiness waits for the start" || ok "PR05 readiness waits for the start"

kill_observer() {
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = weft-observer ] &&
			{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -q -- "--name $NAME --node node-1 " && kill -9 "${p#/proc/}"
	done
}
kill_observer
flapped=0
for i in $(seq 1 20); do
	for pod in http tcp grpc; do ready $pod || flapped=1; done
	sleep 0.05
done
[ $flapped = 0 ] && ok "PR29 no ready pod flaps while the observer starts anew" || bad "PR29 a ready pod flapped"
if [ $failed = 1 ]; then tail -n 30 "$run/log/agent-node-1.log" | sed 's/^/# /'; fi
echo "1..$n"
exit $failed
