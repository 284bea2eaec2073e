#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft fault`, by real packets: what breaks on command is broken for callers, is named where it is shown, and comes back
# with --clear. A node without power or cable becomes NotReady and returns with its pods (PR11, PR12, SV06).
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=fault
. test/run/cluster_lib
chmod 755 "$dir"
mkdir "$dir/m"
chmod 755 "$dir/m"

for w in a:node-1 b:node-2; do
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: ${w%:*}, namespace: shop, labels: {app: web}}
spec:
  nodeName: ${w#*:}
  containers:
  - name: c
    image: web
    ports: [{name: http, containerPort: 80}, {name: d, containerPort: 53, protocol: UDP}]
    readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: plain-${w%:*}, namespace: shop}
spec: {nodeName: ${w#*:}, containers: [{name: c, image: web, ports: [{containerPort: 81}]}]}
Y
done >"$dir/m/all.yaml"
{
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Service\n'
	printf 'metadata: {name: web, namespace: shop}\nspec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, nodePort: 30080}]}\n'
} >>"$dir/head.yaml"
cat "$dir/head.yaml" "$dir/m/all.yaml" >"$dir/x" && mv "$dir/x" "$dir/m/all.yaml"
chmod 644 "$dir/m/all.yaml"

"$weft" up -d --name $name "$dir/m" >"$dir/up" 2>&1
ok "a cluster" $?
api() { curl -s --unix-socket $run/hub.sock "http://x$1"; }
get() { api "$1" | python3 -c 'import json,sys; o=json.load(sys.stdin); print(eval(sys.argv[1]))' "$2" 2>/dev/null; }
fault() { "$weft" fault --name $name "$@"; }
pod() { get "/api/v1/namespaces/shop/pods/$1" "$2"; }
is_ready='[c["status"] for c in o["status"]["conditions"] if c["type"]=="Ready"][0]'
ready() { [ "$(pod "$1" "$is_ready")" = "$2" ]; }
node_is() { [ "$(get "/api/v1/nodes/$1" "$is_ready")" = "$2" ]; }
out() { ip netns exec "weft-$name-outside" curl -s -o /dev/null -m 1 -w '%{http_code}' "$@"; }
near() { ip netns exec "weft-$name-node-1" curl -s -o /dev/null -m 2 "$@"; }
endpoints() { [ "$(get '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices' 'sum(bool(e["conditions"]["ready"]) for s in o["items"] if s["addressType"]=="IPv4" for e in s["endpoints"])')" = "$1" ]; }
# A node that never gave a word is not missed.
same "each node has given its first word" "$(get /api/v1/nodes '" ".join(c["reason"] for n in o["items"] for c in n["status"]["conditions"] if c["type"]=="Ready")')" "AgentHeard AgentHeard"
wait_for ready a True && wait_for ready b True && wait_for endpoints 2
ok "both pods are ready" $?
A=$(pod a 'o["status"]["podIP"]') B=$(pod b 'o["status"]["podIP"]')

# the stand-in's faults
fault shop/a --not-ready
ok "--not-ready" $?
wait_for ready a False
ok "PR11 the pod is not ready" $?
wait_for endpoints 1
ok "PR11 its endpoint has left the Service" $?
same "PR11 and it goes on serving, without a restart" "$(near "http://$A/" && pod a 'o["status"]["containerStatuses"][0]["restartCount"]')" 0
fault --list | grep -q 'shop/a *not-ready'
ok "--list names it" $?
fault shop/b --not-ready
wait_for endpoints 0
refused() { near http://172.31.0.10:30080/; [ $? = 7 ]; }
wait_for refused
ok "SV06 without any ready endpoint callers are refused" $?
fault --clear
wait_for endpoints 2
ok "--clear brings both back" $?
fault shop/a --refuse
sleep 0.2
near "http://$A/"
same "--refuse: a connection is refused" $? 7
fault shop/a --clear
wait_for near "http://$A/"
ok "and taken again" $?
fault shop/a --slow 300ms
sleep 0.2
late=$(near -w '%{time_total}' "http://$A/" | python3 -c 'import sys; print(0.3 <= float(sys.stdin.read()) < 1)')
same "--slow 300ms: the answer comes so late" "$late" True
fault shop/a --clear
sleep 0.2
late=$(near -w '%{time_total}' "http://$A/" | python3 -c 'import sys; print(float(sys.stdin.read()) < 0.2)')
same "and in time again" "$late" True
fault shop/plain-a --not-ready 2>"$dir/said"
[ $? = 1 ] && grep -q 'has a readiness probe' "$dir/said"
ok "a pod without readiness probe cannot be made not ready, and that is said" $?
fault shop/nobody --refuse 2>/dev/null
same "an unknown pod is refused" $? 1
fault shop/a --down 2>/dev/null
same "a pod has no power of its own" $? 2
fault node/node-1 --loss 5% 2>/dev/null
same "a node's loss is no fault that there is" $? 2

# loss
fault shop/b --loss 50%
ok "--loss 50%" $?
got=$(ip netns exec "weft-$name-node-1" ping -q -c 200 -i 0.002 -W 1 "$B" | sed -n 's/.* \([0-9]*\) received.*/\1/p')
[ "$got" -gt 15 ] && [ "$got" -lt 150 ]
ok "of 200 questions $got are answered" $?
"$weft" drops --name $name | grep -q 'shop/b .*fault'
ok "and the lost ones counted as fault" $?
fault shop/b --clear
got=$(ip netns exec "weft-$name-node-1" ping -q -c 200 -i 0.002 -W 1 "$B" | sed -n 's/.* \([0-9]*\) received.*/\1/p')
same "with --clear all are" "$got" 200

# crash
restarts() { [ "$(pod a 'o["status"]["containerStatuses"][0]["restartCount"]')" = "$1" ]; }
fault shop/a --crash
wait_for restarts 1
ok "--crash: the container is started again" $?
same "and its end is told" "$(pod a 'o["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"]')" 137

# a node's cable
fault node/node-2 --cut
ok "a node's cable is out" $?
same "nothing gets through to it" "$(out http://172.31.0.11:30080/)" 000
wait_for ready a True
lost() { tries=0; until node_is "$1" Unknown; do tries=$((tries + 1)); [ $tries -gt 150 ] && return 1; sleep 0.1; done; }
lost node-2
ok "it is NotReady" $?
wait_for endpoints 1
ok "its endpoint has left" $?
same "and who calls is served by the other" "$(out http://172.31.0.10:30080/)" 200
fault node/node-2 --clear
wait_for node_is node-2 True
ok "with its cable it is Ready" $?
wait_for endpoints 2
ok "its endpoint is back" $?
served() { [ "$(out http://172.31.0.11:30080/)" = 200 ]; }
wait_for served
ok "and it serves" $?

# a node's power, while a container there waits to be started again
fault shop/plain-b --crash
again() { [ "$(pod plain-b 'o["status"]["containerStatuses"][0]["restartCount"]')" = "$1" ]; }
wait_for again 1
fault shop/plain-b --crash
backs_off() { [ "$(pod plain-b 'o["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]')" = CrashLoopBackOff ]; }
wait_for backs_off
ok "a container that ended twice backs off" $?
backed_off=$(date +%s)
uid=$(pod b 'o["metadata"]["uid"]')
fault node/node-2 --down
ok "a node loses its power" $?
same "nothing runs there" "$(find /sys/fs/cgroup -path "*/weft.$name/node-2/*" -name cgroup.procs -exec cat {} + 2>/dev/null | wc -l)" 0
fault --list | grep -q 'node/node-2 *down'
ok "--list names it" $?
same "--crash is refused there" "$(fault shop/b --crash 2>&1 | grep -c 'is down')" 1
lost node-2
ok "it is NotReady" $?
wait_for endpoints 1
ok "PR12 its endpoint has left" $?
runs_there() { find /sys/fs/cgroup -path "*/weft.$name/node-2/*" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -q .; }
until runs_there || [ "$(date +%s)" -gt $((backed_off + 12)) ]; do sleep 0.1; done
! runs_there
ok "and for the time of its back-off nothing was started there" $?
fault node/node-2 --clear
wait_for node_is node-2 True
ok "with power it is Ready" $?
wait_for ready plain-b True
same "what backed off runs again, once" "$(cat /sys/fs/cgroup/weft.$name/node-2/shop.plain-b/cgroup.procs /sys/fs/cgroup/*/weft.$name/node-2/shop.plain-b/cgroup.procs 2>/dev/null | wc -l)" 1
wait_for ready b True
ok "its pod runs again" $?
same "it is the same pod, its container was started again" "$(pod b 'o["metadata"]["uid"] + " " + str(o["status"]["containerStatuses"][0]["restartCount"])')" "$uid 1"
wait_for served
ok "and the node serves" $?
same "nothing is broken any more" "$(fault --list)" "Nothing is broken on command."
"$weft" down --name $name >/dev/null 2>&1
ok "down" $?
finish
