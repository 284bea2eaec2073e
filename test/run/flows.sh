#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Flows: connections of known size between known pods, counted on the pods' own interfaces as well. `weft flows` has each of them
# once, with the same bytes and packets, under the names of their time (BR15); through a hub that is away, a hub and an observer
# that are killed, and a node that tells nothing. What is missing is told, never shown as nothing (BR20, BR24).
cd "$(dirname "$0")/../.." || exit 1
test=flows
. test/run/cluster_lib
pod() { # NAME NODE [LABEL]
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: ${3:-$1}}}
spec: {nodeName: $2, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
Y
}
mkdir "$dir/m"
node() { # NUMBER CIDR…: small ones, so that addresses come round soon
	cat <<Y
---
apiVersion: v1
kind: Node
metadata: {name: node-$1}
spec: {podCIDR: $2, podCIDRs: [$2, "$3"]}
Y
}
{
	node 1 10.244.0.0/28 fd57:e7f7:0:244:0::/80
	node 2 10.244.1.0/28 fd57:e7f7:0:244:1::/80
	pod caller node-1
	pod near node-1
	pod far node-2
	pod closed node-2
	cat <<Y
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: NodePort, selector: {app: far}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: []}
Y
} >"$dir/m/all.yaml"
pod victim node-2 >"$dir/m/victim.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
ns() { echo "/run/netns/weft-$name-default.$1"; }
address() { # POD
	"$weft" get pod "$1" --name $name -o jsonpath='{.status.podIP}'
}
address6() {
	"$weft" get pod "$1" --name $name -o jsonpath='{.status.podIPs[1].ip}'
}
flows() { "$weft" flows --name $name --limit 99999 "$@"; }
talk() { # OUT CASES OTHER…
	out=$1 cases=$2
	shift 2
	paths=
	for other; do paths="$paths $(ns "$other")"; done
	# shellcheck disable=SC2086
	python3 test/run/flows/talk.py "$cases" "$dir/$out" "$(ns caller)" $paths
}
equal() { # ACCOUNT…
	flows -o json 2>/dev/null | python3 test/run/flows/compare.py "$@" >"$dir/equal"
}
equals() { # DESCRIPTION ACCOUNT…
	what=$1
	shift
	wait_for equal "$@"
	ok "$what" $?
	sed 's/^/# /' "$dir/equal"
}
near=$(address near) far=$(address far) near6=$(address6 near) far6=$(address6 far) caller=$(address caller)

observer() { pgrep -f "weft-observer .*--name $name .*node-1|weft-observer .*node-1.*--name $name "; }

# Short ones: most begin and end between two looks.
talk one "fin=60=0=$near,fin=60=1=$far,fin=20=0=$near6,fin=20=1=$far6,rst=30=0=$near,rst=30=1=$far,refused=20=0=$near,refused=20=1=$far,udp=30=0=$near,udp=30=1=$far6,unanswered=20=1=$far,unanswered=20=0=$near6,reuse=8=0=$near,reuse=8=1=$far" near far
ok "connections of all kinds" $?
equals "flows have the bytes and packets of the wire, each connection once" "$dir/one"
count() { flows -o json "$@" 2>/dev/null | wc -l; }
same "those that were refused are resets without an answer's bytes" "$(count "src.pod == default/caller && state == reset && packets.there == 1 && packets.back == 1")" 40
same "those that used the same ports again are records of their own" "$(count "src.pod == caller && src.port == 50123")" 16
same "filters find by name, label and size" "$(count 'src.pod.label["app"] == "caller" && dst.pod == default/far && tcp && bytes.back > 12000')" \
	"$(flows -o json "src.ip == $caller && dst.node == node-2" 2>/dev/null | python3 -c '
import json, sys
print(sum(r["protocol"] == "TCP" and r["to"]["name"] == "far" and r["bytes"]["back"] > 12000 for r in map(json.loads, sys.stdin)))')"
same "the answering node's record of a connection is shown on demand only" "$(count --every-node "src.pod == caller && src.port == 50123 && dst.pod == far")" 16
flows "tcp and dst host $near" >"$dir/table" 2>&1
ok "a pcap expression asks too" $?
grep -q "default/caller:[0-9]* *default/near:[0-9]*" "$dir/table"
ok "the table shows names" $? || cat "$dir/table"
flows 'src.pdo == caller' >"$dir/out" 2>"$dir/err"
[ $? != 0 ] && grep -q "src.pod" "$dir/err" && [ ! -s "$dir/out" ]
ok "a bad filter is refused, with a proposal" $? || cat "$dir/err"
for bad in "--since never" "--at 25:00" "--at 10:00 --since 5m"; do
	# shellcheck disable=SC2086
	flows $bad >"$dir/out" 2>"$dir/err"
	same "$bad is refused" "$? $(grep -c '^weft: ' "$dir/err")" "2 1"
done
[ "$(count --since 1h 'src.pod == caller')" -gt 300 ] && [ "$(count --at 2020-01-01T00:00:00Z)" = 0 ]
ok "--since and --at" $?
flows --since 1h 2>&1 >/dev/null | grep -q "keeps flows since"
ok "a time before the hub's own is told" $?

# Drops, staged at no time flows; a rule with its place.
python3 - "$(ns caller)" "$(address closed)" <<'P'
import ctypes, os, socket, sys
ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(7):
    s.sendto(b"x", (sys.argv[2], 8080))
P
dropped() { [ "$(count 'verdict == dropped && src.pod == caller && dst.pod == closed')" = 7 ]; }
wait_for dropped
ok "each packet that was dropped is a record" $?
wide() { flows -o wide 'verdict == dropped && dst.pod == closed' 2>/dev/null | grep -q "NetworkPolicy default/nobody.*all.yaml:"; }
wait_for wide
ok "wide tells the policy with its place" $? || flows -o wide 'verdict == dropped && dst.pod == closed'

# The Service whose endpoint answers; from outside.
nsenter --net="$(ns caller)" python3 -c "import socket; c = socket.create_connection(('$far', 8080), 5); c.sendall(b'GET / HTTP/1.0\r\n\r\n'); c.recv(100)"
called() { [ "$(count 'service == default/far && src.pod == caller')" = 1 ]; }
wait_for called
ok "the Service behind an endpoint's port is named" $?
nsenter --net=/run/netns/weft-$name-outside python3 -c "import socket; c = socket.create_connection(('172.31.0.10', 30080), 5); c.sendall(b'GET / HTTP/1.0\r\n\r\n'); c.recv(100)"
outside() { [ "$(count 'src.kind == outside && dst.pod == far && service == far')" -ge 1 ]; }
wait_for outside
ok "a caller from outside by a node port" $? || flows 'dst.pod == far' | tail -n 3
"$weft" top --name $name --by pod --sort failures -o json >"$dir/top"
python3 - "$dir/top" <<'P'
import json, sys
top = {e["name"]: e for e in json.load(open(sys.argv[1]))["list"]}
assert top["default/caller"]["calls"] >= 340 and top["default/caller"]["failed"] >= 107, top
assert top["default/near"]["served"] >= 100 and top["default/near"]["answeredInMilliseconds"] > 0, top
assert top["default/near"]["received"] > 10000, top
P
ok "top sums calls and failures" $? || cat "$dir/top"
"$weft" top --name $name --by service --limit 1 | sed -n '2s/ .*//p' | grep -q "^default/far$"
ok "top by Service, as a page" $?

# A follower sees what begins and ends, once.
flows -f -o json "src.port == 50124" >"$dir/followed" 2>/dev/null &
follower=$!
python3 - "$(ns caller)" "$(ns far)" "$far" <<'P' &
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
enter = lambda p: libc.setns(os.open(p, os.O_RDONLY), 0)
enter(sys.argv[2]); l = socket.create_server((sys.argv[3], 0))
enter(sys.argv[1]); c = socket.socket(); c.bind(("", 50124)); c.connect(l.getsockname())
s = l.accept()[0]
while True:
    c.send(b"x"); s.recv(1); time.sleep(0.1)
P
sender=$!
sees() { [ "$(wc -l <"$dir/followed")" = "$1" ]; }
wait_for sees 1
ok "a follower sees a connection begin" $?
kill $sender
wait $sender 2>/dev/null
wait_for sees 2
ok "and end, and nothing between" $? || cat "$dir/followed"
kill $follower

# A pod that is deleted with open connections; its address has another owner then.
victim=$(address victim)
mkfifo "$dir/hold"
talk victim "held_open=5=0=$victim" victim <"$dir/hold" >"$dir/held" &
holder=$!
exec 9>"$dir/hold"
wait_for grep -q holding "$dir/held"
opened() { [ "$(count --open "dst.pod == victim && ip == $victim")" = 5 ]; }
wait_for opened
ok "open connections are shown" $?
rm "$dir/m/victim.yaml"
ended() { [ "$(count "ended && dst.pod == victim && dst.ip == $victim && src.pod == caller")" = 5 ]; }
wait_for ended
ok "they end with the pod, under its name" $? || flows "dst.ip == $victim"
exec 9>&-
wait $holder
reused=1 i=0
while [ $i -lt 30 ]; do
	i=$((i + 1))
	pod heir-$i node-2 heir >"$dir/m/heir.yaml"
	got() { "$weft" get pod heir-$i --name $name -o jsonpath='{.status.phase}' | grep -q Running; }
	wait_for got || break
	[ "$(address heir-$i)" = "$victim" ] && reused=0 && break
done
if [ $reused = 0 ]; then
	talk heir "fin=5=0=$victim" heir-$i
	heir() { [ "$(count "dst.ip == $victim && dst.pod == heir-$i && src.pod == caller")" = 5 ] && ended; }
	wait_for heir
	ok "BR15: the address's next owner is not shown under the old name, nor the old one under the new" $? || flows "dst.ip == $victim"
else
	ok "BR15: the address found no other owner in $i tries" 1
fi

# A hub that is away for longer than a report waits.
hub=$(pgrep -f "weft-hub .*--name $name ")
kill -STOP "$hub"
talk away "fin=40=0=$near,fin=40=1=$far,udp=20=0=$near" near far
ok "connections while the hub is away" $?
kill -CONT "$hub"
equals "what waited for the hub is there, once" "$dir/away"
losses() { flows -o json 'src.port == 1' 2>&1 | grep -c "were lost"; }
same "nothing was lost" "$(losses)" 0

# An observer that is killed: what it had taken and not told is counted, and nothing else is missing.
mkfifo "$dir/hold2"
talk keep "held_open=6=0=$far" far <"$dir/hold2" >"$dir/held2" &
holder=$!
exec 9>"$dir/hold2"
wait_for grep -q holding "$dir/held2"
kept() { [ "$(count --open "src.pod == caller && dst.pod == far && bytes.there > 1000")" = 6 ]; }
wait_for kept
kill -9 "$(observer)"
ok "the observer of node-1 is killed" $?
talk dead "fin=30=0=$near,fin=30=1=$far" near far
equals "what ended meanwhile is told by the next one" "$dir/dead"
exec 9>&-
wait $holder
equals "open ones go on in the same record" "$dir/keep"
along=$(losses)

# A node that tells nothing is told as unknown; what waited comes when it tells again.
kill -STOP "$(observer)"
ok "the observer of node-1 stands still" $?
talk silent "fin=20=0=$near,rst=20=1=$far" near far
unknown() { flows 2>&1 >/dev/null | grep -q "node-1 told its flows .* s ago"; }
wait_for unknown
ok "BR20: its newer flows are unknown, not none" $? || flows 2>&1 >/dev/null
kill -CONT "$(observer)"
equals "what waited at the node is there, once" "$dir/silent"
same "nothing was lost but what the killed observer had with it" "$(losses)" "${along:-0}"

# A hub that is killed has forgotten what ended, and says so; what is open, and what ends from now on, it knows.
mkfifo "$dir/hold3"
talk stay "held_open=4=0=$far" far <"$dir/hold3" >"$dir/held3" &
holder=$!
exec 9>"$dir/hold3"
wait_for grep -q holding "$dir/held3"
kill -9 "$hub"
ok "the hub is killed" $?
talk after "fin=20=0=$near,udp=10=1=$far6" near far
exec 9>&-
wait $holder
equals "the new one has what was open and what came after" "$dir/stay" "$dir/after"
ports=$(python3 -c 'import json, sys; print(",".join(k.split()[2] for k in json.load(open(sys.argv[1]))["tuples"]))' "$dir/stay")
same "names of the time before its start too" "$(count "src.pod == caller && dst.pod == far && dst.node == node-2 && src.port in {$ports} && state == closed && bytes.back < 300")" 4
flows --since 1h 2>&1 >/dev/null | grep -q "keeps flows since"
ok "and says what it cannot know" $?
same "and counts nothing as lost that another had" "$(losses)" 0
"$weft" down --name $name >/dev/null
ok "down" $?
finish
