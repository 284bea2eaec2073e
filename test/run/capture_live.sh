#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft capture` of a running cluster: packets that are counted, at the pods' ends, a node's uplink and behind a Service; refused
# ones with their reason; what a ring has kept; a reader that stands still (BR85); weft-copier killed meanwhile.
cd "$(dirname "$0")/../.." || exit 1
test=capture-live
. test/run/cluster_lib
command -v tshark >/dev/null || skip "needs tshark"
command -v python3 >/dev/null || skip "needs python3"
mkdir "$dir/m"
{
	for p in caller/node-1 far/node-2 closed/node-2; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: {nodeName: %s, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}\n' ${p%/*} ${p%/*} ${p#*/}
	done
	cat <<Y
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {selector: {app: far}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: []}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: keep}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: all}
spec: {from: [{pods: {}}], packets: All, filter: dst.port == 9001, to: [{tool: keep}]}
Y
} >"$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
address() { "$weft" get pod "$1" --name $name -o jsonpath='{.status.podIP}'; }
nobody=$(grep -n 'name: nobody' "$dir/m/all.yaml" | cut -d: -f1)
far=$(address far) closed=$(address closed)
send() { # ADDRESS PORT PACKETS [PAUSE_MS]
	python3 -B test/run/broker_live/send.py /run/netns/weft-$name-default.caller "$1" "$2" 1 "$3" "${4:-0}"
}
field() { tshark -r "$1" -N n -T fields -e "$2" 2>/dev/null | sort | uniq -c | awk '{$1=$1};1'; }
comments() { tshark -r "$1" -T fields -E aggregator='|' -e frame.interface_name -e frame.comment 2>/dev/null | tr '\t' '|' | sort | uniq -c | awk '{$1=$1};1'; }
# Runs until the Capture's first bytes: then the nodes copy.
start() { # FILE ARGS…
	file=$1
	shift
	"$weft" capture --name $name -w "$file" --seconds 25 "$@" 2>"$file.err" &
	pid=$!
	wait_for test -s "$file" && sleep 1
}

start "$dir/both" --from pods/app=caller --from svc/far -n 400 'udp && dst.port == 9000'
send "$far" 9000 200 1
wait $pid
same "a capture of 400 packets ends" $? 0
same "BR79 each packet is there once for each place, which is named after node and pod" "$(field "$dir/both" frame.interface_name)" "200 node-1/default/caller
200 node-2/default/far"
same "BR79 with its ends' names" "$(field "$dir/both" ip.dst_host)" "400 default/far"
same "and the way that it went" "$(field "$dir/both" frame.packet_flags_direction)" "200 0x00000001
200 0x00000002"
same "none was lost" "$(grep -c lost "$dir/both.err")" 0
tshark -r "$dir/both" -T fields -e frame.time_epoch 2>/dev/null | sort -c -n
ok "BR82 in order of time over both nodes" $?

start "$dir/drop" --dropped -n 50 'udp && dst.port == 9000'
send "$far" 9000 20
send "$closed" 9000 50 1
wait $pid
same "refused packets say why, where they were refused" "$(comments "$dir/drop")" \
	"50 node-2/default/closed|dropped: policy-ingress|refused, since no rule allows it, by NetworkPolicy default/nobody ($dir/m/all.yaml:$((nobody + 1)):8)"
start "$dir/passed" --from pods/app=far --from pods/app=caller -n 40 'udp && dst.port == 9000'
send "$far" 9000 20 1
wait $pid
same "what passes says that no policy is about it" "$(comments "$dir/passed")" "20 node-1/default/caller|allowed: no policy is about it
20 node-2/default/far|allowed: no policy is about it"
sed 's/^  *//' >>"$dir/m/all.yaml" <<Y
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: some}
spec: {podSelector: {matchLabels: {app: far}}, ingress: [{ports: [{port: 9000, protocol: UDP}]}]}
Y
some=$(grep -n 'name: some' "$dir/m/all.yaml" | cut -d: -f1)
takes() { "$weft" why default/caller "$far:9000" --proto udp --name $name | grep -q some; }
wait_for takes
start "$dir/ruled" --from pods/app=far -n 20 'udp && dst.port == 9000'
send "$far" 9000 20 1
wait $pid
said=$(comments "$dir/ruled")
ok "and what a rule allows names it, with file and line" "$(case $said in "20 node-2/default/far|allowed by NetworkPolicy default/some ingress[0] "*"($dir/m/all.yaml:$((some + 1)):"*) echo 0 ;; *) echo 1 ;; esac)"
printf '# %s\n' "$said"

start "$dir/up1" --from node/node-1 -n 10 --snap 64 'udp && dst.port in {4789, 8472}'
send "$far" 9000 30 1
wait $pid
same "a node's uplink is a place" "$(field "$dir/up1" frame.interface_name)" "10 node-1/uplink0"
same "--snap keeps the first bytes" "$(field "$dir/up1" frame.cap_len)" "10 64"

send "$far" 9001 25
kept() { [ "$("$weft" capture --name $name --last 60s --ring keep -o json 2>/dev/null | wc -l)" = 50 ]; }
wait_for kept
ok "--last shows what passed before anybody asked" $?

# --- a reader that stands still ---
mkfifo "$dir/pipe"
{ until [ -e "$dir/go" ]; do sleep 0.1; done; cat; } <"$dir/pipe" >"$dir/slow" &
reader=$!
"$weft" capture --name $name --from pods/app=caller 'udp && dst.port == 9002' >"$dir/pipe" 2>"$dir/slow.err" &
slow=$!
start "$dir/fast" --from pods/app=caller --seconds 60 -n 60000 'udp && dst.port == 9002'
fast=$pid
send "$far" 9002 60000
wait $fast
touch "$dir/go"
wait_for test -s "$dir/slow"
sleep 4
kill -INT $slow
wait $slow
wait $reader
lost=$(sed -n 's/^node-1: \([0-9]*\) packets lost: they were not read fast.*/\1/p' "$dir/slow.err")
[ "${lost:-0}" -gt 0 ]
ok "BR85 a reader that stood still is told that it lost ${lost:-0} packets" $? || cat "$dir/slow.err"
same "BR85 one that did not lost none of its own" "$(grep -c 'not read fast' "$dir/fast.err")" 0
got=$(tshark -r "$dir/slow" 2>/dev/null | wc -l)
all=$(tshark -r "$dir/fast" 2>/dev/null | wc -l)
room() { sed -n 's/^node-1: \([0-9]*\) packets lost: no room.*/\1/p' "$1" | grep . || echo 0; }
same "BR85 neither broke off when the other came or went" "$(cat "$dir/fast.err" "$dir/slow.err" | grep -c 'broke off')" 0
same "BR85 the one got, the other got or lost, what was sent and found room on the node" "$((all + $(room "$dir/fast.err"))) $((got + ${lost:-0} + $(room "$dir/slow.err")))" "60000 60000" || cat "$dir/fast.err" "$dir/slow.err"

# --- weft-copier killed ---
start "$dir/killed" 'udp && dst.port == 9003'
send "$far" 9003 10
sleep 0.5
for p in /proc/[0-9]*; do
	[ "$(readlink "$p/exe" 2>/dev/null)" = "$build/src/copier/weft-copier" ] || continue
	tr '\0' ' ' <"$p/cmdline" | grep -q -- "--name $name --node node-2 " || tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -q "$name" || true
	tr '\0' ' ' <"$p/cmdline" | grep -q node-2 && tr '\0' ' ' <"$p/cmdline" | grep -q "$name" && kill -9 "${p#/proc/}"
done
sleep 3
send "$far" 9003 10
sleep 1
kill -INT $pid
wait $pid
grep -q '^node-2: the stream broke off 1 time' "$dir/killed.err"
ok "that weft-copier was away is said" $? || cat "$dir/killed.err"
same "packets before and after stand behind the same interfaces" "$(field "$dir/killed" frame.interface_name)" "20 node-1/default/caller
20 node-2/default/far"
same "no Capture is left" "$("$weft" get captures --name $name -o name 2>/dev/null | wc -l)" 0
finish
