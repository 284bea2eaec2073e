#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Any of Weft's processes may be killed at any moment: open connections of pods lose nothing, what policy refuses stays
# refused, and afterwards everything works again. Spec: NP82 (the agent's death leaves the last policy in force), NP23
# and NP83 (after its restart both families hold and nothing stale), SV60.
cd "$(dirname "$0")/../.." || exit 1
test=death
. test/run/cluster_lib
seconds=${WEFT_DEATH_SECONDS:-8}

cat >"$dir/pods.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: a}}
spec: {nodeName: node-1, containers: [{name: c, image: a, ports: [{containerPort: 7000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: near}}
spec: {nodeName: node-1, containers: [{name: c, image: b, ports: [{containerPort: 7000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: far}}
spec: {nodeName: node-2, containers: [{name: c, image: b, ports: [{containerPort: 7000}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shut, labels: {app: shut}}
spec: {nodeName: node-2, containers: [{name: c, image: b, ports: [{containerPort: 7000}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut}
spec: {podSelector: {matchLabels: {app: shut}}, ingress: []}
Y

address() { # POD FAMILY: asks the API, once, while everything runs
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
ips = [i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"]]
print([i for i in ips if (":" in i) == (sys.argv[1] == "6")][0])' "$2"
}
ip() { cat "$dir/address:$1:$2"; }
in_pod() { # POD COMMAND…
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" "$@"
}
# The pids of this cluster's hub and agents.
victims() {
	pgrep -f "weft-(hub|agent|planner|applier|observer) .*--name $name "
}
kills() { # SECONDS: one victim by chance each 0.3 s
	end=$(($(date +%s) + $1)) killed=0
	while [ "$(date +%s)" -lt "$end" ]; do
		victim=$(victims | shuf -n 1)
		[ -n "$victim" ] && kill -9 "$victim" 2>/dev/null && killed=$((killed + 1))
		sleep 0.3
	done
	echo $killed
}
came_up() {
	[ "$("$weft" get pods --name $name 2>/dev/null | grep -c Running)" = 4 ]
}
"$weft" up "$dir/pods.yaml" --name $name --nodes 2 --mode "${WEFT_MODE:-vxlan}" -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
wait_for came_up
ok "four pods run" $?

for pod in near far shut; do
	for family in 4 6; do address $pod $family >"$dir/address:$pod:$family"; done
done

streams="near:4 near:6 far:4 far:6"
begin() {
	for s in $streams; do
		pod=${s%:*} family=${s#*:}
		in_pod a python3 test/run/death/talk.py stream "$family" "$(ip "$pod" "$family")" 7000 "$1" >"$dir/$s" 2>&1 &
	done
	for family in 4 6; do
		in_pod a python3 test/run/death/talk.py refused "$(ip shut "$family")" 7000 "$1" >"$dir/shut:$family" 2>&1 &
	done
}
judge() { # WHEN
	wait
	for s in $streams; do
		grep -q '^whole ' "$dir/$s"
		ok "$1: the connection to ${s%:*} over IPv${s#*:} is whole: $(tail -n 1 "$dir/$s")" $?
	done
	for family in 4 6; do
		grep -q '^never ' "$dir/shut:$family"
		ok "$1: NP82 what policy refuses stays refused over IPv$family: $(tail -n 1 "$dir/shut:$family")" $?
	done
}
begin "$seconds"
killed=$(kills "$seconds")
judge "$killed kills of hub and agents"
[ "$killed" -gt 5 ]
ok "processes were killed" $?

again() { in_pod a python3 test/run/death/talk.py stream 4 "$(ip far 4)" 7000 0.1 2>/dev/null | grep -q '^whole'; }
wait_for again
ok "SV60 a new connection is made afterwards" $?
settled() { "$weft" get pods --name $name >/dev/null 2>&1 && [ "$(victims | wc -l)" -ge 9 ]; }
wait_for settled
ok "hub and agents are back" $?
sed -i 's/^spec: {podSelector: {matchLabels: {app: shut}}, ingress: \[\]}/spec: {podSelector: {matchLabels: {app: shut}}, ingress: [{}]}/' "$dir/pods.yaml"
opened() { in_pod a python3 test/run/death/talk.py refused "$(ip shut 6)" 7000 0.2 | grep -q '^connected'; }
wait_for opened
ok "NP23 a changed policy comes into force afterwards" $?

# The sandbox process itself: pods go on without it, and `down` finds what it left.
sandbox=$(cat /run/weft/$name/lock)
streams="near:4 far:6"
begin 2
kill -9 "$sandbox"
wait
for s in $streams; do
	grep -q '^whole ' "$dir/$s"
	ok "the sandbox is killed: the connection to ${s%:*} over IPv${s#*:} is whole: $(tail -n 1 "$dir/$s")" $?
done
"$weft" down --name $name >"$dir/down" 2>&1
ok "down removes what the killed one left" $?
[ -z "$(victims)" ]
ok "no process is left" $?
! ls /run/netns 2>/dev/null | grep -q "^weft-$name"
ok "no namespace is left" $?
[ ! -e /run/weft/$name ]
ok "no file is left" $?
find /sys/fs/cgroup -maxdepth 2 -name "weft.$name*" 2>/dev/null | grep -q .
[ $? = 1 ]
ok "no cgroup is left" $?
finish
