#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Flows through the hub's API when there are many: an answer holds at most 100,000 records, the newest, and says that there are
# more; what memory has no room for is pushed out oldest first, and counted (BR24); --flow-records is that room.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
reports=${WEFT_BUILD:-$PWD/build}/bench/bench-reports
[ -x "$reports" ] || {
	echo "1..0 # SKIP bench-reports is not built"
	exit 0
}
flows=/apis/weft.network/internal/flows
ask() { # QUESTION EXPRESSION
	api POST $flows "$1" | field "$2"
}
# N: from an observer that begins anew each time
told() { printf '10.244.0.5\n10.244.0.6\nfd57:e7f7:0:244::5\n' | "$reports" "$run/hub.sock" node-1 "$1" >"$dir/told" 2>&1; }

start --no-tls
node 0 >/dev/null
told 100500
ok "100,500 flows are told" $? || sed 's/^/# /' "$dir/told"
same "they are kept" "$(ask '{"limit":1}' 'o["kept"], o["taken"], o["madeRoom"]')" "(100500, 100500, 0)"
newest='len(o["flows"]), o["more"], len({f["id"] for f in o["flows"]}), min(int(f["id"], 16) for f in o["flows"])'
same "an answer holds the newest 100,000, and says that there are more" "$(ask '{}' "$newest")" "(100000, True, 100000, 501)"
same "who asks for more gets no more" "$(ask '{"limit":2000000}' "$newest")" "(100000, True, 100000, 501)"
all=$(ask '{"filter":"dst.port == 443"}' 'len(o["flows"]), o["more"]')
case $all in "(1"*", False)") ok "a filter that finds less has all: $all" 0 ;; *) ok "a filter that finds less has all: $all" 1 ;; esac
same "a limit below it" "$(ask '{"limit":7}' 'len(o["flows"]), o["more"]')" "(7, True)"
same "a negative limit is refused" "$(code POST $flows '{"limit":-1}')" 400
stop TERM
rm -rf "$run"
mkdir "$run"

start --no-tls --flow-records 4000
node 0 >/dev/null
told 10000
same "BR24 room for 3,000 answered ones: the oldest made room, and are counted" \
	"$(ask '{}' 'o["kept"], o["madeRoom"], len(o["flows"]), min(int(f["id"], 16) for f in o["flows"]), o["more"]')" "(3000, 7000, 3000, 7001, False)"
stop TERM
rm -rf "$run"
mkdir "$run"

start --no-tls --flow-records 4000
node 0 >/dev/null
# 3,000 before, a quarter of them refused; then 50 connections for a second of 200 ms ticks: at each 3 end, and others begin
printf '10.244.0.5\n10.244.0.6\n' | "$reports" "$run/hub.sock" node-1 50 1 200 3 3000 >"$dir/told" 2>&1
ok "3,000 flows are told, then 50 that stay" $? || sed 's/^/# /' "$dir/told"
same "of those that stay all are open but what ended at the last tick; kept are the 3,000, 15 that ended and 2 refusals" \
	"$(ask '{}' 'o["open"], o["kept"], o["nodes"][0]["received"], o["nodes"][0]["missing"]')" "(47, 3017, 3250, 0)"
stop TERM
for bad in 5 1023 16777217 many; do
	out=$("$HUB" --name test --dir "$run" --flow-records $bad 2>&1)
	same "--flow-records $bad: refused" "$?: $out" "2: weft-hub: --flow-records $bad: 1024 to 16777216"
done
finish
