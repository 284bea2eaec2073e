#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft capture` through a real hub, with a player in the place of both nodes' weft-copiers, so that what is sent is known to the
# packet: merged by time with the clocks' errors (BR82), as Wireshark reads it (BR79, BR81), slow readers (BR85), who looked at
# what (BR87); a reader, a hub and a node that are lost meanwhile.
cd "$(dirname "$0")/../.." || exit 1
test=capture
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
command -v tshark >/dev/null || skip "needs tshark"
API=/apis/weft.network/v1alpha1
mkdir "$dir/m"
cat >"$dir/m/all.yaml" <<Y
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: keep}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: none}
spec: {discard: true}
Y
for i in 1 2; do
	printf -- '---\napiVersion: v1\nkind: Node\nmetadata: {name: node-%s}\nspec: {podCIDR: 10.244.%s.0/24}\n' $i $i
	mkdir -p "$run/node-$i"
done >"$dir/m/nodes.yaml"
players=
trap 'kill $players $hub_pid 2>/dev/null; rm -rf "$dir" "$run"' EXIT
# A cluster's folder and its lock, and the hub; no node runs anything.
exec 9>"$run/lock"
flock 9
start_hub() {
	"$build/src/hub/weft-hub" --name $name --dir "$run" "$dir/m" 2>>"$dir/hub.log" &
	hub_pid=$!
}
start_hub
play() { # NODE
	python3 test/run/capture/copier.py "$run/$1/copier.sock" "$1" 2>>"$dir/player" &
	players="$players $!"
	last_player=$!
	wait_for test -S "$run/$1/copier.sock"
}
play node-1
play node-2
player2=$last_player
cap() { "$weft" capture --name $name "$@"; }
hub() { # METHOD PATH [BODY]
	curl -s --max-time 10 --unix-socket "$run/hub.sock" -X "$1" ${3:+-H "Content-Type: application/json" -d "$3"} "http://hub$2"
}
wait_for hub GET /readyz
ok "the hub serves" $? || cat "$dir/hub.log"
captures() { hub GET $API/captures | python3 -c 'import json,sys; print(len([i for i in json.load(sys.stdin)["items"] if "endTime" not in i.get("status",{})]))'; }
none_left() { [ "$(captures)" = 0 ]; }
audit() { # WHAT [WORD…]: lines
	what=$1
	shift
	lines=$(grep "\"what\":\"$what\"" "$run/audit.log")
	for w in "$@"; do lines=$(printf '%s\n' "$lines" | grep -F "$w"); done
	printf '%s' "$lines" | grep -c .
}
# A shell's status in the right sense: true prints 0.
yes() { "$@" >/dev/null 2>&1; echo $?; }

# --- two nodes, one file ---
cap -n 40 -w "$dir/a.pcapng" udp >"$dir/out" 2>"$dir/err"
same "40 packets and no more are captured" "$?" 0
tshark -r "$dir/a.pcapng" -T fields -e frame.interface_name -e frame.time_epoch -e frame.comment -e ip.src_host -N n 2>/dev/null >"$dir/fields"
same "BR79 tshark reads them" "$(wc -l <"$dir/fields")" 40
same "BR79 one interface for each source, named after node and pod" "$(cut -f1 "$dir/fields" | sort -u | tr '\n' ' ')" "node-1/shop/web-1 node-2/shop/web-1 "
cut -f2 "$dir/fields" | sort -c -n
ok "BR82 BR81 both nodes' packets stand in order of time" $?
same "BR79 names resolve" "$(cut -f4 "$dir/fields" | sort -u)" shop/web-1
same "comments say verdict and reason" "$(cut -f3 "$dir/fields" | sort -u | tail -1)" "dropped: policy-ingress"
info=$(capinfos -p -k "$dir/a.pcapng" 2>/dev/null; strings "$dir/a.pcapng")
printf '%s' "$info" | grep -Eq 'clock of node-1: \+2[0-9][0-9]\.[0-9]{3} ms .*error at most [0-9.]+ ms'
ok "BR82 BR81 the section states each node's clock and its estimated error" $? || printf '%s\n' "$info" | grep clock
grep -q '^40 packets, 2000 bytes from 2 nodes' "$dir/err"
ok "what came is said at the end" $? || cat "$dir/err"
ok "the Capture is gone" "$(yes none_left)"
same "BR87 its start is in the audit log, with who and which filter" "$(audit capture-start '"user":"root (uid 0)"' '"filter":"udp"')" 1
same "BR87 so is each download, from which node" "$(audit download-start '"node":"node-1"')$(audit download-start '"node":"node-2"')" 11
same "BR87 and its end with packets and bytes" "$(audit download-end '"packets":' '"bytes":')" 2
same "BR87 and the Capture's end" "$(audit capture-end '"packets":')" 1

# --- other forms ---
cap -n 4 --node node-1 -o lines 2>/dev/null >"$dir/lines"
grep -q '^[0-9:]*\.[0-9]* node-1/shop/web-1 out  udp shop/web-1:4433 > 10.244.1.7:53 50 bytes' "$dir/lines"
ok "a line for each packet, with the names of its ends" $? || cat "$dir/lines"
same "of one node only where one is named" "$(grep -c node-2 "$dir/lines")" 0
cap -n 20 -o json 2>/dev/null | python3 -c '
import json,sys
all=[json.loads(l) for l in sys.stdin]
print(len(all), all[0]["from"], all[0]["to"]["port"], all[0]["direction"], sum("comments" in p for p in all) > 0)' >"$dir/json"
same "and as JSON" "$(cat "$dir/json")" "20 {'ip': '10.244.0.5', 'port': 4433, 'name': 'shop/web-1'} 53 out True"
cap -n 10 2>/dev/null | tshark -r - 2>/dev/null | wc -l >"$dir/piped"
same "a pipe gets pcapng" "$(cat "$dir/piped")" 10
cap --seconds 1 -w "$dir/s.pcapng" 2>"$dir/err"
same "--seconds ends it" "$?" 0
tshark -r "$dir/s.pcapng" -T fields -e frame.number >/dev/null 2>"$dir/terr"
same "the file is whole" "$(cat "$dir/terr" | grep -c 'cut short\|corrupt')" 0

# --- rows of files ---
mkdir "$dir/row"
cap -n 4000 -w "$dir/row/r.pcapng" --rotate 64Ki --keep 3 udp 2>"$dir/err"
same "--rotate SIZE makes a row of files" "$?" 0
row=$(ls "$dir/row")
same "and --keep the newest of it" "$(printf '%s\n' "$row" | wc -l) $(printf '%s' "$row" | grep -c 'r-0000[123].pcapng')" "3 0"
least=$(for f in "$dir"/row/*; do [ "$(stat -c %s "$f")" -le 65536 ] && tshark -r "$f" -T fields -e frame.interface_name -N n 2>/dev/null | sort -u | grep -c node-; done | sort -u | tr '\n' ' ')
ok "each within its size, with its own interfaces (${least})" "$(case $least in "1 2 " | "2 " | "1 ") echo 0 ;; *) echo 1 ;; esac)"
rm "$dir"/row/*
cap --seconds 3 -w "$dir/row/t.pcapng" --rotate 1s 2>"$dir/err"
n_files=$(ls "$dir/row" | wc -l)
ok "--rotate TIME does so by the packets' times ($n_files files)" $((n_files < 2 || n_files > 5))
same "not one packet is between two of them" "$(for f in "$dir"/row/*; do tshark -r "$f" 2>/dev/null; done | wc -l)" "$(sed -n 's/^\([0-9]*\) packets.*/\1/p' "$dir/err")"
"$weft" capture --name $name --rotate 1k -w "$dir/no.pcapng" 2>"$dir/err"
same "a size that is none is refused" "$? $(grep -c 'is a size or a time' "$dir/err")" "2 1"
"$weft" capture --name $name --rotate 1M 2>"$dir/err" >/dev/null
same "and a row without a name" "$? $(grep -c 'needs -w FILE' "$dir/err")" "2 1"
ln -s "$dir/elsewhere.pcapng" "$dir/link.pcapng"
cap -n 1 -w "$dir/link.pcapng" 2>"$dir/err"
same "nothing is written through a symbolic link" "$? $(ls "$dir/elsewhere.pcapng" 2>/dev/null) $(grep -c 'name the file that it leads to' "$dir/err")" "1  1"

# --- what a ring has kept ---
cap --last 5s -w "$dir/last.pcapng" 2>"$dir/err"
same "--last takes the only tool that keeps packets" "$(tshark -r "$dir/last.pcapng" 2>/dev/null | wc -l)" 10
same "BR87 downloads of rings are in the audit log" "$(audit download-end '"tool":"keep"' '"packets":5')" 2
cap --last 5s -o json 'dst.port == 54' 2>/dev/null >"$dir/none"
same "a filter takes what it takes of a ring, too" "$(wc -l <"$dir/none")" 0
cap --last 5s --ring other 2>"$dir/err" >/dev/null
grep -q 'no tool of that name keeps packets: keep' "$dir/err"
ok "a ring that is none is named, with those that are" $? || cat "$dir/err"

# --- all nodes in one answer of the API ---
hub POST $API/captures '{"apiVersion":"weft.network/v1alpha1","kind":"Capture","metadata":{"name":"whole"},"spec":{"filter":"udp"}}' >/dev/null
curl -sN --unix-socket "$run/hub.sock" "http://hub$API/captures/whole/stream" >"$dir/whole.pcapng" 2>/dev/null &
whole=$!
wait_for grep -q 'node-2/shop/web-1' "$dir/whole.pcapng"
wait_for audit download-start '"capture":"whole"'
sleep 1
hub DELETE $API/captures/whole >/dev/null
wait $whole
same "a stream without a node ends with its Capture" "$?" 0
tshark -r "$dir/whole.pcapng" -T fields -e frame.interface_name -e frame.time_epoch -e ip.src_host -e frame.comment -N n >"$dir/fields" 2>"$dir/terr"
same "BR79 it has every node's packets, whole, as tshark reads it" "$(cut -f1 "$dir/fields" | sort -u | tr '\n' ' ')$(cut -f3 "$dir/fields" | sort -u)$(cat "$dir/terr" | grep -c 'cut short\|corrupt')" \
	"node-1/shop/web-1 node-2/shop/web-1 shop/web-10"
cut -f2 "$dir/fields" | sort -c -n && [ "$(wc -l <"$dir/fields")" -gt 100 ]
ok "BR82 in order of time" $? || wc -l "$dir/fields"
strings "$dir/whole.pcapng" | grep -Eq "clock of node-1: [+-][0-9.]+ ms beside the hub's clock, error at most [0-9.]+ ms"
ok "BR82 each node's clock and its estimated error are stated" $? || strings "$dir/whole.pcapng" | grep clock
same "BR87 one download, with what it got" "$(audit download-start '"capture":"whole"')$(audit download-end '"capture":"whole"' "\"packets\":$(wc -l <"$dir/fields")")" 11
curl -sN --max-time 5 --unix-socket "$run/hub.sock" "http://hub$API/tools/keep/stream?last=5" >"$dir/ring.pcapng"
same "a ring's, of all nodes, and its end" "$? $(tshark -r "$dir/ring.pcapng" 2>/dev/null | wc -l)" "0 10"

# --- slow readers ---
touch "$run/node-1/copier.sock.flood"
"$weft" capture --name $name --node node-1 -w - 2>"$dir/slowerr" | { sleep 4; cat >"$dir/slow.pcapng"; } &
slow=$!
sleep 0.5
rm "$run/node-1/copier.sock.flood"
cap --node node-1 -n 100 -w "$dir/fast.pcapng" 2>"$dir/fasterr"
same "BR85 another reader meanwhile gets all of its packets" "$? $(tshark -r "$dir/fast.pcapng" 2>/dev/null | wc -l) $(grep -c lost "$dir/fasterr")" "0 100 0"
pid=$(pgrep -f "capture --name $name --node node-1 -w -" | head -1)
sleep 4.5
kill -INT "$pid"
wait $slow
grep -Eq '^node-1: [1-9][0-9]* packets lost: they were not read fast enough here' "$dir/slowerr"
ok "BR85 a reader that stood still is told how many it lost" $? || cat "$dir/slowerr"
lost=$(sed -n 's/^node-1: \([0-9]*\) packets lost.*/\1/p' "$dir/slowerr")
got=$(tshark -r "$dir/slow.pcapng" 2>/dev/null | wc -l)
same "BR85 what it got and what it lost is what the node saw" "$((got + lost)) $lost" "$(cat "$run/node-1/copier.sock.told")"
ok "its Capture is gone" "$(yes wait_for none_left)"

# --- what is lost meanwhile ---
"$weft" capture --name $name -w "$dir/killed.pcapng" 2>/dev/null &
pid=$!
wait_for test -s "$dir/killed.pcapng"
kill -9 $pid
wait $pid 2>/dev/null
same "a Capture outlives a reader that is killed" "$(captures)" 1
tshark -r "$dir/killed.pcapng" >/dev/null 2>"$dir/terr"
ok "BR80 and leaves a file that reads to its last whole block" $? || cat "$dir/terr"
tries=0
until none_left || [ $tries -gt 60 ]; do tries=$((tries + 1)); sleep 0.5; done
ok "and ends by itself, since nobody reads it" "$(yes none_left)"
same "BR87 which the audit log says" "$(audit capture-end 'nobody reads it')" 1
hub POST $API/captures '{"apiVersion":"weft.network/v1alpha1","kind":"Capture","metadata":{"name":"short"},"spec":{"seconds":1,"user":"somebody else"}}' >"$dir/made"
same "who asks is the server's word" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["spec"]["user"])' "$dir/made")" "root (uid 0)"
ended() { hub GET $API/captures/short | grep -q '"endTime"'; }
wait_for ended
ok "one whose seconds are over ends" $?
same "and cannot be read any more" "$(hub GET "$API/captures/short/stream?node=node-1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["code"])')" 410
same "events tell of it" "$(hub GET '/api/v1/events?fieldSelector=involvedObject.name=short' | grep -o 'CaptureStarted\|CaptureEnded' | tr '\n' ' ')" "CaptureStarted CaptureEnded "

"$weft" capture --name $name -w "$dir/node.pcapng" 2>"$dir/err" &
pid=$!
wait_for test -s "$dir/node.pcapng"
sleep 0.5
kill "$player2"
rm -f "$run/node-2/copier.sock"
sleep 1
before=$(tshark -r "$dir/node.pcapng" -T fields -e frame.interface_name 2>/dev/null | grep -c node-1)
sleep 1
after=$(tshark -r "$dir/node.pcapng" -T fields -e frame.interface_name 2>/dev/null | grep -c node-1)
[ "$after" -gt "$before" ]
ok "a node that is lost does not hold up the others ($before, then $after packets)" $?
play node-2
sleep 1.5
kill -INT $pid
wait $pid
grep -q '^node-2: the stream broke off 1 time' "$dir/err"
ok "that it was away is said" $? || cat "$dir/err"
same "it goes on by the same interface" "$(tshark -r "$dir/node.pcapng" -T fields -e frame.interface_id 2>/dev/null | sort -u | wc -l)" 2

"$weft" capture --name $name -w "$dir/hub.pcapng" 2>"$dir/err" &
pid=$!
wait_for test -s "$dir/hub.pcapng"
sleep 0.3
kill -9 $hub_pid
wait $hub_pid 2>/dev/null
start_hub
wait_for hub GET /readyz
before=$(tshark -r "$dir/hub.pcapng" 2>/dev/null | wc -l)
sleep 3
kill -INT $pid
wait $pid
after=$(tshark -r "$dir/hub.pcapng" 2>/dev/null | wc -l)
[ "$after" -gt $((before + 50)) ]
ok "a hub that is killed and comes back streams on ($before, then $after packets)" $? || cat "$dir/err"
touch "$run/node-1/copier.sock.bad"
"$weft" capture --name $name --node node-1 -n 100000 -w "$dir/bad.pcapng" 2>"$dir/err" &
pid=$!
sleep 2
kill -INT $pid
wait $pid
same "rubbish from a node is no crash of the hub" "$(hub GET /readyz)" ok
rm "$run/node-1/copier.sock.bad"

# --- how many at once ---
wait_for none_left
python3 test/run/capture/many.py "$run/hub.sock" >"$dir/many" 2>&1
same "256 Captures may run at once, dry runs count none; one that ends makes room" "$(sed -n 1p "$dir/many")" "256 made, then 429 429 201"
grep -q 'TooManyRequests 256 Captures run, and 256 may at once: delete one (weft get captures)' "$dir/many"
ok "one more is told how many run and what to do" $? || cat "$dir/many"
"$weft" capture --name $name -n 1 >/dev/null 2>"$dir/err"
same "weft capture says so, too" "$? $(grep -c '256 Captures run' "$dir/err")" "1 1"
hub DELETE $API/captures >/dev/null
none_left
ok "all of them go at once" $?

# --- what is wrong ---
code() { hub GET "$1" | python3 -c 'import json,sys; v=json.load(sys.stdin); print(v["code"], v["message"])'; }
same "a clock needs its node" "$(code "$API/tools/keep/clock")" "400 node=NAME says whose clock is asked for"
same "a node that is not there has no stream" "$(code "$API/tools/keep/stream?node=node-9")" '404 nodes "node-9" not found'
same "a path is no node" "$(code "$API/tools/keep/stream?node=../node-1")" '404 nodes "../node-1" not found'
same "a port is no path" "$(code "$API/tools/keep/stream?node=node-1&port=a/b")" '400 port "a/b" is no name of a port'
same "a tool that keeps nothing has nothing" "$(code "$API/tools/none/stream?node=node-1")" '422 tool "none" keeps no packets: only one with ring does'
cap 'src.pod == "shop/web-1"' >"$dir/out" 2>"$dir/err"
same "names are none of a packet's" "$?" 2
grep -q 'src.pod' "$dir/err" && grep -q 'from pods/app=web' "$dir/err"
ok "which is said, with what to do" $? || cat "$dir/err"
cap --from nowhere >"$dir/out" 2>"$dir/err"
grep -q 'from says where packets are seen, not "nowhere"' "$dir/err"
ok "so are places that are none" $? || cat "$dir/err"
cap --node node-7 >"$dir/out" 2>"$dir/err"
grep -q 'there is no node node-7' "$dir/err"
ok "and nodes" $?
cap -n 1 --from pods/app=web,tier --from svc/shop/cart --from ns/shop --from node/node-1 --from node-1:eth1 --from 'pods/*' -o json >/dev/null 2>"$dir/err"
same "every form of --from makes a Capture that the hub takes" "$? $(cat "$dir/err" | grep -c weft:)" "0 0"
finish
