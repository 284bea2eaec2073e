#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# History: sums by second, minute and hour are the connections' own totals; they outlive kill -9 of the hub with a
# connection that stays open; a node that is away is unknown; a full disk and a broken file are told, and memory goes on.
cd "$(dirname "$0")/../.." || exit 1
test=history
. test/run/cluster_lib
mounted=
trap '[ -n "$mounted" ] && umount -l "$mounted"; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-2, containers: [{name: c, image: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec: {nodeName: node-1, containers: [{name: c, image: web}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 7000}, {port: 7001}]}]}
Y
chmod 755 "$dir"
shim=
head -c 8 /dev/zero >"$dir/clock"
chmod 644 "$dir/clock"
command -v cc >/dev/null && cc -shared -fPIC -O2 -o "$dir/clock.so" test/run/badluck/clock.c -ldl && shim=$dir/clock.so
LD_PRELOAD=$shim WEFT_TEST_CLOCK="$dir/clock" "$weft" up "$dir/all.yaml" --name $name -d --history 4 >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
python3 test/run/history/traffic.py serve /run/netns/weft-$name-default.web "$dir/serves" &
server=$!
trap 'kill $server $long 2>/dev/null; [ -n "$mounted" ] && umount -l "$mounted"; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
long=
wait_for test -e "$dir/serves"
ok "a server listens" $?
address=$("$weft" get pod web --name $name -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"]["podIPs"][0]["ip"])')
call() { python3 test/run/history/traffic.py call /run/netns/weft-$name-default.caller "$address" "$@"; }
history() { "$weft" history --name $name "$@" 2>"$dir/told"; }
total() { # MEMBER OPTION…: the sum over all rows
	member=$1
	shift
	history -o json "$@" | python3 -c 'import json,sys; print(sum(r.get(sys.argv[1], 0) for r in json.load(sys.stdin)["rows"]))' "$member"
}
state() { # MEMBER of the answer
	history -o json --by none | python3 -c 'import json,sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$1"
}
is() { [ "$(total "$1" --since 1h 'src.workload == caller && dst.port == 7000')" = "$2" ]; }
written() { [ "$(state waiting)" = 0 ]; }
flows() { # sums of the connections themselves
	"$weft" flows --name $name -o json --limit 100000 'record == flow && src.pod == caller && dst.port == 7000' 2>/dev/null | python3 -c '
import json, sys
flows = [json.loads(line) for line in sys.stdin]
print(len(flows), sum(f["bytes"]["there"] for f in flows), sum(f["bytes"]["back"] for f in flows), sum(f["packets"]["there"] for f in flows))'
}

# sums
call 7000 40 3000 >"$dir/generator"
same "the generator counts its calls" "$(cat "$dir/generator")" "40 120000"
wait_for is begun 40
ok "history has begun all of them" $?
wait_for is closed 40
ok "and ended them" $?
set -- $(flows)
same "the flows are as many" "$1" 40
for step in 1s 1m 1h; do
	filter='src.workload == caller && dst.port == 7000'
	same "bytes there, by $step" "$(total bytesThere --step $step "$filter")" "$2"
	same "bytes back, by $step" "$(total bytesBack --step $step "$filter")" "$3"
	same "packets there, by $step" "$(total packetsThere --step $step "$filter")" "$4"
done
[ "$2" -gt 120000 ]
ok "they hold the payload that the generator sent ($2 bytes)" $?
history --by from,to,port,verdict 'dst.port == 7000' | grep -Eq 'default/caller +default/web +7000 +forwarded +40'
ok "the table reads as it should" $?
history --by from,to,port 'dst.port == 7000' | head -n 1 | grep -q '^FROM  *TO  *PORT  *BEGUN' &&
	history --step 1m --by none 'dst.port == 7000' | head -n 1 | grep -q '^AT  *BEGUN'
ok "a column that no row has is left out" $? || history 'dst.port == 7000' | sed 's/^/# /'
history 'src.pod == caller' >/dev/null
same "a field that sums do not know is refused" $? 1
grep -q 'by their workload' "$dir/told"
ok "and why is said" $?
history --by colour >/dev/null
grep -q 'there are workload, none, from, to' "$dir/told"
ok "what cannot be told apart is refused with what can" $?
call 7009 2 10 >/dev/null 2>&1
dropped() { [ "$(total events 'verdict == dropped && reason == policy-ingress && dst.port == 7009')" -ge 2 ]; }
wait_for dropped
ok "drops are there with their reason" $?

# whoever answers questions keeps no heap of its own: glibc lays each into 64 MiB of addresses, aligned so, its rest without rights
hub() { pgrep -f "weft-hub --name $name " | head -n 1; }
heaps() { # of the hub, but its first
	python3 -c '
import sys
maps = [l.split() for l in open(f"/proc/{sys.argv[1]}/maps")]
spans = [(*(int(x, 16) for x in m[0].split("-")), m[1]) for m in maps if len(m) == 5]
print(sum(a[2] == "rw-p" and b[2] == "---p" and a[1] == b[0] and a[0] % (64 << 20) == 0 and b[1] - a[0] == 64 << 20 for a, b in zip(spans, spans[1:])))' "$1"
}
for _ in 1 2 3 4 5 6 7 8; do state began; done >/dev/null
same "the hub has one heap after questions" "$(heaps "$(hub)")" 0

# kill -9, with a connection that stays open
call long 7001 "$dir/more" "$dir/long" &
long=$!
wait_for test -s "$dir/long"
opened() { [ "$(total begun 'dst.port == 7001')" = 1 ]; }
wait_for opened
wait_for written
before=$(total bytesThere 'dst.port == 7000')
pid=$(hub)
kill -9 "$pid"
new_hub() { [ -n "$(hub)" ] && [ "$(hub)" != "$pid" ] && state began >/dev/null; }
wait_for new_hub
ok "the hub is killed and comes back" $?
same "history is as it was" "$(total bytesThere 'dst.port == 7000')" "$before"
touch "$dir/more" # the open connection goes on, and ends
wait $long
long=
ended() { [ "$(total closed 'dst.port == 7001')" = 1 ]; }
wait_for ended
ok "a connection over the hub's death ends" $?
again() {
	"$weft" flows --name $name -o json 'record == flow && src.pod == caller && dst.port == 7001' 2>/dev/null |
		python3 -c 'import json,sys; print(*[json.loads(l)["bytes"]["there"] for l in sys.stdin])'
}
same "its parts before and after are its total, to the byte" "$(total bytesThere 'dst.port == 7001')" "$(again)"
same "it began once" "$(total begun 'dst.port == 7001')" 1

# a node that is away
"$weft" fault --name $name node/node-2 --down >/dev/null
away() { history --since 1m --by none && grep -q 'node-2 is unknown, not zero' "$dir/told"; }
wait_for away
ok "a node that is away is unknown" $?
! grep -q 'node-1 is unknown' "$dir/told"
ok "the other one is known" $?
"$weft" fault --name $name node/node-2 --clear >/dev/null
gap() { # of node-2: closed before now
	history -o json --since 5m --by none | python3 -c '
import json, sys, datetime
now = datetime.datetime.utcnow().isoformat()
gaps = [g for g in json.load(sys.stdin)["unknown"] if g["node"] == "node-2"]
sys.exit(not (gaps and all(g["from"] < g["to"] for g in gaps)) or any(g["to"][:19] >= now[:19] for g in gaps))'
}
wait_for gap
ok "it is back, and its gap stays unknown" $?

# a full disk: memory goes on, and what waited is written when there is room
same_calls() { [ "$(total begun 'src.workload == caller && dst.port == 7000')" = "$1" ]; }
mount -t tmpfs -o size=1m weft-t-history "$run/history" && mounted=$run/history
ok "a small disk" $?
pid=$(hub)
kill -9 "$pid"
wait_for new_hub
wait_for test -e "$run/history/rollup.db"
dd if=/dev/zero of="$run/history/filler" bs=4096 >/dev/null 2>&1
call 7000 25 1000 >/dev/null
full() { case $(state alarm) in history-disk-full:*) true ;; *) false ;; esac; }
wait_for full
ok "a full disk is an alarm with a name" $?
wait_for same_calls 25
ok "what comes meanwhile is answered from memory" $?
history --by none >/dev/null
grep -q 'what is new is in memory only' "$dir/told"
ok "and said" $?
rm "$run/history/filler"
free_again() { [ "$(state alarm)" = None ] && [ "$(state failures)" -gt 0 ] && written; }
wait_for free_again
ok "with room it is written" $?
pid=$(hub)
kill -9 "$pid"
wait_for new_hub
wait_for same_calls 25
ok "and survives the next death" $?

# a broken file
wait_for written
head -c 65536 /dev/urandom >"$dir/noise"
dd if="$dir/noise" of="$run/history/rollup.db" conv=notrunc >/dev/null 2>&1
rm -f "$run/history/rollup.db-wal"
pid=$(hub)
kill -9 "$pid"
wait_for new_hub
wait_for test -e "$run/history/rollup.db.corrupt"
ok "a broken file is put aside" $?
grep -q 'put aside as .*history begins anew' "$run/log/hub.log"
ok "and said in the log" $?
call 7000 5 1000 >/dev/null
wait_for same_calls 5
ok "history begins anew" $?
history --since 1h >/dev/null
grep -q 'history begins at' "$dir/told"
ok "and says from when on it knows" $?

# a clock that jumps, of the hub and of all nodes
set_clock() { python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("=q", int(sys.argv[2])))' "$dir/clock" "$1"; }
if [ -n "$shim" ]; then
	set_clock 18000
	call 7000 10 1000 >/dev/null
	# Each began once. Ends are more: those of calls from before the file was broken may come after it, and are ends.
	all_calls() { same_calls "$1" && [ "$(total closed --since 1d 'src.workload == caller && dst.port == 7000')" -ge "$1" ]; }
	wait_for all_calls 15
	ok "five hours forward: nothing is lost" $?
fi
finish
