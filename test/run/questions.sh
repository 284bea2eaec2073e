#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# DNS questions of pods as records: name, type, code and time of each, over UDP and TCP, several over one socket, repeated and
# unanswered ones, from a server of the cluster and one outside; each once, under the ends of its flow. And the names that ends
# outside had for who called them (BR15): the caller's own, else its node's, as they were then.
cd "$(dirname "$0")/../.." || exit 1
test=questions
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"

cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: near}
spec: {nodeName: node-1, containers: [{name: c, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: beside}
spec: {nodeName: node-1, containers: [{name: c, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far}
spec: {nodeName: node-2, containers: [{name: c, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: silent}
spec: {nodeName: node-2, containers: [{name: c, image: a}]}
Y
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d \
	--host www.example.org=198.51.100.1,2001:db8:51::1 \
	--host api.example.org=198.51.100.1,2001:db8:51::1 \
	--host two.example.org=198.51.100.2,2001:db8:51::2 >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
in_pod() { # POD COMMAND…
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" python3 test/run/questions/ask.py "$@"
}
flows() { "$weft" flows --name $name --limit 99999 -o json "$@" 2>"$dir/err"; }
count() { flows "$@" | wc -l; }
is() { # FILTER COUNT
	[ "$(count "$1")" = "$2" ]
}
holds() { # DESCRIPTION FILTER COUNT
	wait_for is "$2" "$3"
	ok "$1" $? || { echo "# $(count "$2") of $3: $2"; flows "record == dns" | head -n 40 | sed 's/^/# /'; }
}
dns4=10.96.0.10 dns6=fd57:e7f7:0:96::a

in_pod near udp $dns4 WWW.Example.org A
in_pod near udp $dns4 nobody.example.org A
in_pod far udp $dns6 www.example.org AAAA
in_pod far tcp $dns4 two.example.org A
holds "a question is found by its name, in any case of letters" 'dns.name == "Www.example.org." && src.pod == near' 1
holds "by the answer's code" 'dns.code == NXDOMAIN && dns.name == "nobody.example.org"' 1
holds "by type, over IPv6" 'dns.type == AAAA && src.pod == far && ip6 && dns.code == NOERROR' 1
holds "over TCP" 'tcp && dns.name == "two.example.org" && src.pod == far && dns.code == NOERROR' 1
holds "by a pattern and the time of the answer" 'dns.name ~ "*.example.org" && dns.time < 5s && src.ns == default' 4
holds "its ends are those of its flow" 'record == dns && dns.name == "www.example.org" && dst.ns == kube-system && dst.port == 53 && udp' 2
same "flows and drops alone are shown to who does not ask for questions" "$(flows | grep -c '"record":"dns"')" 0
flows 'dns.code == NXDOMAIN && src.pod == near' >"$dir/one"
python3 - "$dir/one" <<'P'
import json, sys
r = json.loads(open(sys.argv[1]).readline())
assert r["record"] == "dns" and r["verdict"] == "forwarded" and r["dnsName"] == "nobody.example.org" and r["dnsType"] == "A", r
assert r["dnsCode"] == "NXDOMAIN" and r["packets"] == {"there": 1, "back": 1} and 0 < r["answeredMicroseconds"] < 5e6, r
assert r["bytes"]["there"] == 12 + 20 + 4 and r["bytes"]["back"] > 36 and r["last"] > r["first"] and r["from"]["name"] == "near", r
P
ok "JSON has all of it" $? || cat "$dir/one"
"$weft" flows --name $name -o wide 'dns.name == "two.example.org"' | grep -q "default/far:[0-9]* *kube-system/.*A two.example.org: NOERROR in [0-9]"
ok "and the table" $?
same "the time before the first question had none" "$(count --at 2020-01-01T00:00:00Z 'record == dns')" 0
[ "$(count --since 5m 'record == dns && src.ns == default')" = 4 ]
ok "the last five minutes have them" $?

# One socket, many questions at once; numbers that come again; each is a record.
in_pod near many $dns4 40
holds "forty questions of one socket are forty records" 'dns.name ~ "n*.many.test" && src.pod == near' 40
holds "with one port" "dns.name ~ \"n*.many.test\" && src.port == $(flows 'dns.name == "n0.many.test"' | sed 's/.*"from":{"address":"[^"]*","port":\([0-9]*\).*/\1/')" 40

# Nobody answers: a socket of a pod that takes and says nothing. Sent three times, it is one question.
silent=$("$weft" get pod silent --name $name -o jsonpath='{.status.podIP}')
in_pod silent sink 12 >"$dir/sink" &
sink=$!
wait_for grep -q ready "$dir/sink"
in_pod near lost "$silent" quiet.example.org 3
unanswered() { [ "$(count 'dns.code == NOANSWER && dns.name == "quiet.example.org" && packets.there == 3')" = 1 ]; }
wait_for unanswered || wait_for unanswered
ok "a question that nobody answers is told as such, once" $? || flows 'dns.name == "quiet.example.org"' | sed 's/^/# /'
same "and has no time of an answer" "$(count 'has(dns.time) && dns.name == "quiet.example.org"')" 0
wait $sink

# What is no message, or not whole in a segment, is counted and not told.
account() { curl -s --unix-socket "$run/node-1/observer.sock" http://x/account | python3 -c "
import json, sys
v = json.load(sys.stdin)
t = {x['name']: x['high'] for s in v['sums'] if s['sum'] == 'DNS messages' for x in s['terms']}
print($1)"; }
before=$(account "t['ASKED_UNREAD']")
in_pod near torn $dns4 www.example.org
same "TCP in pieces is counted" "$(($(account "t['ASKED_UNREAD']") - before > 0))" 1
same "the sum of the messages matches" "$(account "t['ASKED_SEEN'] == t['ASKED_TOLD'] + t['ASKED_LOST'] + t['ASKED_UNREAD']")" True
"$weft" account --name $name | grep -q "DNS messages"
ok "weft account prints it" $?

# Names of ends outside.
in_pod near connect 198.51.100.1
holds "BR15 the connection has the name that this pod was told" 'dst.domain == "www.example.org" && src.pod == near && tcp' 1
in_pod beside connect 198.51.100.1
holds "a pod that did not ask has the name that its node was told" 'dst.domain == "www.example.org" && src.pod == beside && tcp' 1
in_pod near udp $dns4 api.example.org A
in_pod near connect 198.51.100.1
holds "BR15 another name for the same address, told later, is that of the next connection" 'dst.domain == "api.example.org" && src.pod == near && tcp' 1
holds "BR15 and not of the one before" 'dst.domain == "www.example.org" && src.pod == near && tcp' 1
in_pod near connect 198.51.100.2
holds "what the other node was told is not known here" 'dst.ip == 198.51.100.2 && src.pod == near && !has(dst.domain) && tcp' 1
holds "an end in the cluster has none" 'dst.kind == pod && has(dst.domain)' 0
"$weft" flows --name $name 'dst.domain == "api.example.org"' | grep -q 'api.example.org (198.51.100.1):80'
ok "the table shows it" $?
history() { "$weft" history --name $name --since 5m 'dst.domain == "www.example.org"' -o json 2>/dev/null | grep -q www.example.org; }
wait_for history
ok "history adds up by it" $?

# Word of an answer that the observer loses with its life is not invented: nothing is told twice, and what comes after is there.
kill -9 "$(pgrep -f "weft-observer .*node-1.*--name $name |weft-observer .*--name $name .*node-1")"
again() { in_pod near udp $dns4 two.example.org A && [ "$(count 'dns.name == "two.example.org" && src.pod == near')" -ge 1 ]; }
wait_for again
ok "the next observer goes on" $?
same "what was told stays once" "$(count 'dns.name ~ "n*.many.test"')" 40
"$weft" down --name $name >/dev/null
ok "down" $?
finish
