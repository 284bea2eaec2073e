#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The broker in a running cluster, by packets that are counted: from pods to a tool's interface straight from the kernel,
# masked to a file, to a pod, to a group, refused ones to a file, the rest into memory; a pod that comes while maps are in
# force; and all of it while weft-copier, the planner and the applier are killed.
cd "$(dirname "$0")/../.." || exit 1
test=broker-live
. test/run/cluster_lib
for p in tcpdump tshark capinfos; do
	command -v $p >/dev/null || skip "needs $p"
done
here=test/run/broker_live
node=weft-$name-node-1
sock=$run/node-1/copier.sock
files=$run/node-1/files
caught=
trap 'for p in $caught; do kill "$p" 2>/dev/null; done; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

address() { # POD FAMILY
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
ips = [i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"]]
print([i for i in ips if (":" in i) == (sys.argv[1] == "6")][0])' "$2"
}
wait_for() { # COMMAND…: until it succeeds, at most 10 s, however long each takes
	deadline=$(($(date +%s) + 10))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $deadline ] || return 1
		sleep 0.05
	done
}
ns() { echo "/run/netns/weft-$name-default.$1"; }
send() { python3 -B $here/send.py "$@"; }
account() { python3 -B $here/account.py "$sock" "$@"; }
sums() { # WHEN
	said=$(account sums)
	ok "BR16, BR17, BR18: sums hold, nothing is in flight, $1" $?
	[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
}
catch() { # NAMESPACE INTERFACE FILE FILTER
	ip netns exec "$1" tcpdump -U -nn -i "$2" -w "$3" "$4" >"$3.log" 2>&1 &
	caught="$caught $!"
	wait_for grep -q listening "$3.log"
}
packets() { # FILE FILTER
	tshark -o udp.check_checksum:TRUE -r "$1" -Y "$2" 2>/dev/null | wc -l
}
holds() { [ "$(packets "$1" "$2")" = "$3" ]; }
count() { # DESCRIPTION FILE FILTER NUMBER
	wait_for holds "$2" "$3" "$4"
	same "$1" "$(packets "$2" "$3")" "$4"
}
child() { # PROGRAM: pid of node-1's
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$1" ] || continue
		tr '\0' ' ' <"$p/cmdline" | grep -q -- "--name $name --node node-1 " && basename "$p"
	done
}

mkdir "$dir/cluster"
cp $here/manifests "$dir/cluster/all.yaml"
"$weft" up "$dir/cluster" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "a cluster with maps comes up" $? || sed 's/^/# /' "$dir/up"
near=$(address near 4) near6=$(address near 6) caller=$(ns caller)

# A tool's interface that comes later than its map.
ip -n "$node" link add ids0 type veth peer name ids0far
ip -n "$node" link set ids0far up
ip -n "$node" link set ids0 up
catch "$node" ids0far "$dir/ids.pcap" "udp port 7001"
catch "weft-$name-default.watcher" eth0 "$dir/watcher.pcap" "udp port 7003"
straight() { send "$caller" "$near6" 7001 1 1 && [ "$(packets "$dir/ids.pcap" ipv6)" -gt 0 ]; }
wait_for straight
ok "an interface that comes later is served" $?

send "$caller" "$near" 7001 1 500 1
send "$caller" "$near" 7002 1 300 1
send "$caller" "$near" 7003 1 100 1
send "$caller" "$near" 7004 50 4 1
send "$caller" "$near" 9 1 200 1
send "$caller" "$near" 7005 1 50 1

count "BR03, BR19: straight to the interface: each packet once" "$dir/ids.pcap" ip 500
same "BR17: a masked copy of each to the file: due, sent, lost" "$(account pay 300)" "300 300 0"
count "the file has them" "$files/pay.pcapng" "udp.dstport == 7002" 300
count "BR88: not one byte of payload is there" "$files/pay.pcapng" "udp contains 73:65:63 || frame contains 34:31:31:31" 0
count "BR50, BR65: their checksums are right" "$files/pay.pcapng" "udp.checksum.status == 1" 300
count "to a pod, past its hook" "$dir/watcher.pcap" "udp.dstport == 7003" 100
set -- $(account one 0) $(account two 0)
same "a group deals all of them" $(($1 + $4)) 200
same "a group loses none" $(($2 + $5)) 200
one=$(packets "$files/one.pcapng" udp)
ok "both members have some ($one of 200)" $((one == 0 || one == 200))
sessions() { tshark -r "$files/$1.pcapng" -T fields -e udp.srcport 2>/dev/null | sort | uniq -c | awk '$1 != 4' | wc -l; }
same "BR26: no session is torn" "$(sessions one) $(sessions two)" "0 0"
same "BR04: what policy refused: due, sent, lost" "$(account refused 200)" "200 200 0"
count "copies of refused packets say why" "$files/refused.pcapng" "udp.dstport == 9 && frame.comment contains \"policy-ingress\"" 200
drops=$("$weft" drops --name $name -o json | python3 -c '
import json, sys
print(sum(d["packets"] for d in json.load(sys.stdin) if d["reason"] == "policy-ingress" and d.get("pod") == "default/near"))')
same "copies of drops are as many as the kernel's drops" "$drops" 200
curl -s --max-time 5 --unix-socket "$sock" "http://x/rings/last/stream?last=120" >"$dir/last.pcapng"
same "BR08: the rest is in memory, as two pods saw it" "$(packets "$dir/last.pcapng" "!icmp && !icmpv6 && udp.dstport == 7005")" 100
same "BR08: what a map took there is not in it" "$(packets "$dir/last.pcapng" "!icmp && !icmpv6 && ((frame.interface_name contains \"caller\" && udp.dstport == 7001) || (frame.interface_name contains \"near\" && udp.dstport in {7002..7004}))")" 0
sums "after load"

# A pod that comes while maps are in force.
cat >"$dir/cluster/new.yaml" <<'Y'
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: new}
spec: {file: {path: new.pcapng}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: new}
spec: {from: [{pods: {podSelector: {matchLabels: {app: new}}}}], filter: tcp, to: [{tool: new}]}
Y
wait_for test -e "$files/new.pcapng"
ok "a map that comes is in force" $?
for i in 1 2 3; do
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: new-$i, labels: {app: new}}
spec: {nodeName: node-1, containers: [{name: c, image: x, env: [{name: FAR, value: "far:7000"}]}]}
Y
done >"$dir/cluster/pods.yaml"
streams() { tshark -r "${2:-$files/new.pcapng}" -Y "$1" -T fields -e ip.src -e ipv6.src -e tcp.srcport 2>/dev/null | sort -u | wc -l; }
three() { [ "$(streams "tcp.dstport == 7000")" -ge 6 ]; }
wait_for three
ok "new pods' connections are copied" $?
cp "$files/new.pcapng" "$dir/new.pcapng"
same "BR14: every one of them from its first packet" "$(streams "tcp.dstport == 7000 && tcp.flags.syn == 1" "$dir/new.pcapng")" "$(streams "tcp.dstport == 7000" "$dir/new.pcapng")"
sums "with new pods"

# Whoever dies, packets go on to the tool's interface; the others come back.
root=$(dirname "$(dirname "$(readlink -f "$weft")")")
before=$(packets "$dir/ids.pcap" ip)
send "$caller" "$near" 7001 1 1500 1 &
sender=$!
for p in planner applier copier; do
	sub=agent
	[ $p = copier ] && sub=copier
	pid=$(child "$root/$sub/weft-$p")
	kill -9 "$pid"
	back() { new=$(child "$root/$sub/weft-$p") && [ -n "$new" ] && [ "$new" != "$pid" ]; }
	wait_for back
	ok "weft-$p is killed and comes back" $?
done
wait $sender
count "BR12, BR23: nothing is lost or doubled at the interface meanwhile" "$dir/ids.pcap" ip $((before + 1500))
pay() { send "$caller" "$near" 7002 1 1 && [ "$(account pay 1 | cut -d' ' -f2)" -ge 1 ]; }
wait_for pay
ok "weft-copier has its maps again" $?
set -- $(account pay 1)
send "$caller" "$near" 7002 1 100 1
same "BR17: after the kills: due, sent, lost" "$(account pay $(($1 + 100)))" "$(($1 + 100)) $(($1 + 100)) 0"
sums "after the kills"

rm "$dir/cluster/new.yaml"
printf 'apiVersion: weft.network/v1alpha1\nkind: TrafficMap\nmetadata: {name: wrong}\nspec: {from: [{pods: {}}], to: [{tool: nobody}]}\n' >"$dir/cluster/wrong.yaml"
wait_for grep -q 'there is no Tool "nobody"' "$run"/log/agent-node-1.log
ok "a map that names no tool is told with its place" $?
before=$(packets "$dir/ids.pcap" ip)
send "$caller" "$near" 7001 1 100 1
count "and what was in force stays so" "$dir/ids.pcap" ip $((before + 100))

"$weft" check "$dir/cluster" | grep -q '^.*wrong.yaml:4:[0-9]*: error: there is no Tool "nobody"'
ok "weft check tells it too" $?
same "weft get shows where tools lead" "$("$weft" get tool last --name $name | awk 'NR == 2 { print $2, $3 }')" "ring 16Mi"

# Maps that go while nobody is there who would hear of it.
agent=$(child "$root/agent/weft-agent")
kill -STOP "$agent"
kill -9 "$(child "$root/agent/weft-planner")" "$(child "$root/copier/weft-copier")"
rm "$dir/cluster/wrong.yaml"
sed -i '/^apiVersion: weft.network/,$d' "$dir/cluster/all.yaml"
none() { [ -z "$("$weft" get trafficmaps,tools --name $name -o name 2>/dev/null)" ]; }
wait_for none
kill -CONT "$agent"
silent() {
	before=$(packets "$dir/ids.pcap" ip)
	send "$caller" "$near" 7001 1 20 5
	[ "$(packets "$dir/ids.pcap" ip)" = "$before" ]
}
wait_for silent
ok "maps that went while the planner was dead are over when it is back" $?

"$weft" down --name $name >/dev/null 2>&1
same "nothing is left" "$(ls /run/weft/$name 2>/dev/null; ip netns list 2>/dev/null | grep -c "$name")" 0
finish
