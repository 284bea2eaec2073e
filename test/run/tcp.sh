#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a flow knows of TCP, held against the connections' own sockets (TCP_INFO): segments sent again under `weft fault --loss`,
# round trips over a slow link, windows that a reader closes, resets and whose. The filters find what they should and nothing
# else; what is not known is neither 0 nor more (BR24).
cd "$(dirname "$0")/../.." || exit 1
test=tcp
. test/run/cluster_lib
mkdir "$dir/m"
for p in caller:node-1 near:node-1 far:node-2; do
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: ${p%:*}}
spec: {nodeName: ${p#*:}, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
Y
done >"$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
ns() { echo "/run/netns/weft-$name-default.$1"; }
address() { # POD FAMILY
	"$weft" get pod "$1" --name $name -o jsonpath="{.status.podIPs[$2].ip}"
}
flows() { "$weft" flows --name $name "$@" 2>/dev/null; }
# Connections are held open until all has been looked at; each has a port of its own.
mkfifo "$dir/hold"
to() { # KIND PORT NS ADDRESS
	python3 test/run/tcp/measure.py "$1" "$2" "$(ns caller)" "$3" "$4" <"$dir/hold" >"$dir/$2" 2>"$dir/$2.err" 9>&- &
	pids="$pids $!"
}
measure() { # KIND PORT POD [FAMILY]
	to "$1" "$2" "$(ns "$3")" "$(address "$3" "${4:-0}")"
}
measured() { for p in "$@"; do [ -s "$dir/$p" ] || return 1; done; }
long_wait() { wait_for "$@" || wait_for "$@" || wait_for "$@" || wait_for "$@"; }
ports() { # FILTER: the callers' ports that it finds, of ours
	flows -o json "src.pod == caller && src.port in {50001-50020} && record == flow && ($1)" | python3 -c '
import json, sys
print(" ".join(str(p) for p in sorted({json.loads(l)["from"]["port"] for l in sys.stdin})))'
}
field() { # PORT EXPRESSION over the record r and the sockets k
	flows -o json "record == flow && src.pod == caller && src.port == $1" | python3 -c '
import json, sys
r, k = json.loads(sys.stdin.readline()), json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$dir/$1" "$2"
}
holds() { [ "$(field "$1" "$2")" = True ]; }
pids=
exec 9<>"$dir/hold"
slow=203.0.113.99
python3 test/run/tcp/relay.py /run/netns/weft-$name-outside eth0 $slow 60 </dev/null >"$dir/relay" 9>&- &
relay=$!
wait_for grep -q ready "$dir/relay"
ok "a host behind a slow link" $?
"$weft" fault --name $name default/far --loss 10%
ok "a pod that loses packets" $?
measure bulk 50001 far
measure bulk 50002 far 1
to turns 50003 /proc/$relay/ns/net $slow
measure turns 50004 near
measure full 50005 near
long_wait measured 50001 50002 50003 50004 50005
ok "connections of all kinds" $? || cat "$dir"/500*.err
"$weft" fault --name $name default/far --clear
for p in 50001 50002; do
	told() { holds $p 'k["retransmits"][0] > 0 and 0.5 <= r["retransmits"]["there"] / k["retransmits"][0] <= 2'; }
	wait_for told
	ok "segments sent again, as the caller's socket counts them ($p)" $?
	echo "# $(field $p '"flow", r["retransmits"], "sockets", k["retransmits"]')"
done
told() { holds 50003 'sum(r["roundTripMicroseconds"].values()) > 100000 and 0.5 <= sum(r["roundTripMicroseconds"].values()) / k["rtt"] <= 2'; }
wait_for told
ok "the round trip over a slow link, as the caller's socket has it" $?
echo "# $(field 50003 '"flow", r["roundTripMicroseconds"], "socket", k["rtt"]')"
same "the slow part lies between the node and the end that was called" "$(field 50003 'r["roundTripMicroseconds"]["there"] > 100000 > 10 * r["roundTripMicroseconds"]["back"]')" True
same "a quick link is quick" "$(field 50004 'sum(r["roundTripMicroseconds"].values()) < 100000')" True
same "a receiver that does not read closed its window, the caller none" "$(field 50005 'r["zeroWindows"]["back"] >= 2 and r["zeroWindows"]["there"] == 0')" True
echo "# $(field 50005 '"windows", r["zeroWindows"], "sent again", r["retransmits"], "sockets", k["retransmits"]')"
same "where nothing was sent again that is known" "$(field 50004 'r["retransmits"] == {"there": 0, "back": 0} and r["resets"] == 0')" True
measure reset-by-caller 50006 near
measure reset-by-called 50007 near
long_wait measured 50006 50007
ok "connections that will be reset" $?
exec 9>&-
# shellcheck disable=SC2086
wait $pids
over() { [ "$(ports ended)" = "50001 50002 50003 50004 50005 50006 50007" ]; }
long_wait over
ok "all are over" $?
kill $relay
same "tcp.rtt finds the slow one" "$(ports 'tcp.rtt > 100ms && src.port in {50003, 50004}')" "50003"
same "tcp.retransmits finds where packets were lost" "$(ports 'tcp.retransmits > 0 && src.port in {50001, 50002, 50004}')" "50001 50002"
same "tcp.zerowindows finds who did not read" "$(ports 'tcp.zerowindows > 0 && src.port in {50003-50007}')" "50005"
same "and whose window it was" "$(ports 'tcp.zerowindows.back > 0 && tcp.zerowindows.there == 0 && src.port in {50003-50007}')" "50005"
same "tcp.resets finds the resets" "$(ports 'tcp.resets > 0')" "50006 50007"
same "and who sent them" "$(field 50006 'r["resetBy"]') $(field 50007 'r["resetBy"]')" "initiator responder"
flows -o wide 'src.port == 50006' | grep -q 'reset by initiator'
ok "the table says so too" $?
flows 'src.port == 50001' | grep -q 'sent again'
ok "and that segments were sent again" $?
nsenter --net="$(ns caller)" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 50020))
for i in range(3):
    s.sendto(b'x', ('$(address near 0)', 8080))"
datagrams() { [ "$(ports udp)" = 50020 ]; }
wait_for datagrams
ok "datagrams are flows" $?
same "BR24 of which nothing of this is known" "$(ports 'udp && (tcp.retransmits >= 0 || tcp.resets >= 0 || tcp.zerowindows >= 0 || has(tcp.rtt))')" ""
"$weft" top --name $name --by pod --sort slowest -o json >"$dir/top"
python3 - "$dir/top" <<'P'
import json, sys
top = json.load(open(sys.argv[1]))["list"]
of = {e["name"]: e for e in top}
assert of["outside"]["roundTripMilliseconds"] > 100 and of["default/far"]["retransmits"] > 0, top
slow = [max(e.get("answeredInMilliseconds", 0), e.get("roundTripMilliseconds", 0)) for e in top]
assert slow == sorted(slow, reverse=True), slow
P
ok "weft top: the slowest first, and what was sent again" $? || cat "$dir/top"
"$weft" history --name $name --since 1h -o json 2>/dev/null | grep -q '"retransmits"'
ok "weft history keeps the sums" $?
"$weft" down --name $name >/dev/null
ok "down" $?
finish
