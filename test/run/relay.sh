#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One tool for a whole cluster: copies of a pod on node-1 to a pod on another node and to the interface of another node, byte
# for byte, whole and in parts; sums at both ends; the pod, weft-copier and planner of either end go; strangers send there.
cd "$(dirname "$0")/../.." || exit 1
test=relay
. test/run/cluster_lib
for p in tcpdump tshark; do
	command -v $p >/dev/null || skip "needs $p"
done
here=test/run/relay
caught=
trap 'for p in $caught; do kill "$p" 2>/dev/null; done; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

sock() { echo "$run/node-$1/copier.sock"; }
get() { python3 -B $here/account.py "$(sock "$1")" get "$2" 2>/dev/null; }
ns() { echo "/run/netns/weft-$name-$1"; }
send() { python3 -B $here/send.py "$@"; }
address() { # POD
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
print([i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"] if ":" not in i["ip"]][0])'
}
wait_for() { # COMMAND…: until it succeeds, at most 15 s, however long each takes
	deadline=$(($(date +%s) + 15))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $deadline ] || return 1
		sleep 0.05
	done
}
catch() { # NAMESPACE INTERFACE FILE FILTER
	ip netns exec "$1" tcpdump -U -nn -i "$2" -w "$3" "$4" >"$3.log" 2>&1 &
	caught="$caught $!"
	wait_for grep -q listening "$3.log"
}
packets() { tshark -r "$1" -Y "$2" 2>/dev/null | wc -l; }
holds() { [ "$(packets "$1" "$2")" = "$3" ]; }
count() { # DESCRIPTION FILE FILTER NUMBER
	wait_for holds "$2" "$3" "$4"
	same "$1" "$(packets "$2" "$3")" "$4"
}
bytes() { tshark -r "$1" -Y "$2" -T fields -e udp.payload -e eth.src -e eth.dst -e ip.id -e ip.ttl 2>/dev/null | sort | md5sum; }
is() { [ "$(get "$1" "$2")" = "$3" ]; }
at() { get 1 tool/ids/default/at; }
child() { # PROGRAM NODE: its pid
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$1" ] || continue
		tr '\0' ' ' <"$p/cmdline" | grep -q -- "--name $name --node $2 " && basename "$p"
	done
}
sums() { # WHEN [KILLED]: after a program was killed the account of the cluster says unknown
	said=$(python3 -B $here/account.py sums "$(sock 1)" "$(sock 2)" "$(sock 3)")
	ok "BR17, BR18: sums hold at both ends, $1" $?
	[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
	[ -z "${2:-}" ] || return
	"$weft" account --name $name -o wide >"$dir/account" 2>&1
	status=$?
	ok "the account of the cluster matches, $1" $status
	[ $status = 0 ] || sed 's/^/# /' "$dir/account"
}
pod() { # NAME NODE
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: ids}}\nspec: {nodeName: %s, containers: [{name: c, image: x}]}\n' "$1" "$2"
}

mkdir "$dir/cluster"
cp $here/manifests "$dir/cluster/all.yaml"
pod ids-a node-2 >"$dir/cluster/a.yaml"
pod ids-b node-3 >"$dir/cluster/b.yaml"
"$weft" up "$dir/cluster" --name $name --nodes 3 -d >"$dir/up" 2>&1
ok "a cluster with one tool for all nodes comes up" $? || sed 's/^/# /' "$dir/up"
near=$(address near) caller=$(ns default.caller)
wait_for is 1 tool/ids/default/at "node-2, pod default/ids-a"
same "of the pods that are ready, all alike, the first by name is taken" "$(at)" "node-2, pod default/ids-a"
wait_for is 1 tool/ids/default/answers true

catch "weft-$name-default.ids-a" eth0 "$dir/a.pcap" "udp port 7001 or vlan"
catch "weft-$name-default.ids-b" eth0 "$dir/b.pcap" "udp port 7001 or vlan"
catch "weft-$name-default.near" eth0 "$dir/near.pcap" "udp"
catch "weft-$name-node-2" uplink0 "$dir/way.pcap" "udp port 22341"
send "$caller" "$near" 7001 500 100
send "$caller" "$near" 7001 100 1422
count "BR03: each packet comes to the pod on the other node once" "$dir/a.pcap" "udp.dstport == 7001" 600
same "BR62: byte for byte" "$(bytes "$dir/a.pcap" "udp.dstport == 7001")" "$(bytes "$dir/near.pcap" "udp.dstport == 7001")"
same "and to no other" "$(packets "$dir/b.pcap" "udp.dstport == 7001")" 0
same "as one packet each, where it fits into the nodes' MTU" "$(get 2 arrivals/parts)" 0
same "due, relayed, sent by its node" "$(get 1 tool/ids/default/due) $(get 1 tool/ids/default/relayed) $(get 1 tool/ids/default/sent)" "600 600 0"
same "arrived, sent by the tool's node" "$(get 2 tool/ids/default/arrived) $(get 2 tool/ids/default/sent)" "600 600"

send "$caller" "$near" 7002 50 1422
count "BR58: one that is larger than the nodes' MTU comes whole, too" "$dir/a.pcap" "vlan.id == 7 && udp.length == 1430" 50
same "as two parts" "$(get 2 arrivals/parts) $(get 2 arrivals/joined)" "100 50"
same "BR60: nothing is left to fragments of IP" "$(packets "$dir/way.pcap" "ip.flags.mf == 1 || ip.frag_offset > 0")" 0
most=$(tshark -r "$dir/way.pcap" -T fields -e ip.len 2>/dev/null | sort -n | tail -1)
ok "and nothing is larger than the MTU ($most)" $((most > 1500))
plain=$(tshark -r "$dir/way.pcap" -d udp.port==22341,vxlan -Y "vxlan && udp.dstport == 7001" 2>/dev/null | wc -l)
ok "whole ones are VXLAN to whoever looks ($plain)" $((plain < 600))
same "BR61: no tap sees them on their way, at either node" "$(packets "$run/node-1/files/up.pcapng" udp) $(packets "$run/node-2/files/up.pcapng" udp)" "0 0"
sums "after load"

"$weft" why --copy caller near:7001 --name $name --proto udp >"$dir/why" 2>&1
grep -q 'ids/default (pod of node-2, pod default/ids-a)' "$dir/why"
ok "weft why --copy says where the tool is" $? || sed 's/^/# /' "$dir/why"

# Strangers.
two=$("$weft" get node node-2 --name $name -o json | python3 -c 'import json, sys; print([a["address"] for a in json.load(sys.stdin)["status"]["addresses"] if a["type"] == "InternalIP" and ":" not in a["address"]][0])')
frame=0800000000000001$(python3 -c 'print("00" * 12 + "0800" + "45" + "00" * 60)')
key=$(tshark -r "$dir/way.pcap" -Y "udp.dstport == 22341 && udp.length > 100 && ip.dst == $two" -T fields -e udp.payload 2>/dev/null | grep -m1 '^08' | cut -c3-16)
good=08$key$(echo "$frame" | cut -c17-)
before=$(packets "$dir/a.pcap" frame)
send "$(ns outside)" "$two" 22341 10 0 600 "$good"
wait_for is 2 arrivals/stranger 10
same "what comes from no node of the cluster is refused, and counted, even with the right key" "$(get 2 arrivals/stranger)" 10
send "$caller" "$two" 22341 10 0 600 "$good"
send "$(ns node-1)" "$two" 22341 10 0 5000 "$good"
many() { [ "$(get 2 arrivals/stranger)" -ge 20 ]; }
wait_for many
ok "so is what a pod sends, or who has no privilege on a node ($(get 2 arrivals/stranger))" $?
send "$(ns node-1)" "$two" 22341 10 0 600 "$frame"
wait_for is 2 arrivals/unknown 10
same "a node without the key reaches no tool either" "$(get 2 arrivals/unknown)" 10
send "$(ns node-1)" "$two" 22341 10 0 600 08
wait_for is 2 arrivals/malformed 10
same "and what is no message is counted as that" "$(get 2 arrivals/malformed)" 10
same "none of it came to the tool" "$(packets "$dir/a.pcap" frame)" "$before"
sums "with strangers"

# An interface of another node: first not there, then there.
failing() { send "$caller" "$near" 7003 5 100; [ "$(get 1 tool/eye/default/taking)" = false ]; }
wait_for failing
ok "BR31: that the interface on the other node is not there is known here" $?
to_spare() { # what was refused is tried again after a while
	failing || return 1
	spare=$(get 1 tool/spare/default/due)
	send "$caller" "$near" 7003 100 100
	sleep 0.1
	[ "$(get 1 tool/spare/default/due)" = $((spare + 100)) ]
}
wait_for to_spare
ok "BR32: the group's standby gets its copies" $?
ip -n "weft-$name-node-2" link add eye0 type veth peer name eye1
ip -n "weft-$name-node-2" link set eye1 up
ip -n "weft-$name-node-2" link set eye0 up
catch "weft-$name-node-2" eye1 "$dir/eye.pcap" "udp port 7003"
wait_for is 1 tool/eye/default/taking true
send "$caller" "$near" 7003 200 100
count "an interface of another node gets them when it is there" "$dir/eye.pcap" "udp.dstport == 7003" 200
sums "with an interface"

# Whoever dies comes back, and what is lost meanwhile has a name.
root=$(dirname "$(dirname "$(readlink -f "$weft")")")
kill_one() { # PROGRAM NODE
	sub=agent
	[ "$1" = copier ] && sub=copier
	pid=$(child "$root/$sub/weft-$1" "$2")
	kill -9 "$pid"
	back() { new=$(child "$root/$sub/weft-$1" "$2") && [ -n "$new" ] && [ "$new" != "$pid" ]; }
	wait_for back "$1" "$2"
	ok "weft-$1 of $2 is killed and comes back" $?
}
flows() { # FILE
	before=$(packets "$1" "udp.dstport == 7001")
	send "$caller" "$near" 7001 5 100
	sleep 0.1
	[ "$(packets "$1" "udp.dstport == 7001")" -ge $((before + 5)) ]
}
for who in "copier node-2" "copier node-1" "planner node-1" "planner node-2" "applier node-2"; do
	# shellcheck disable=SC2086
	kill_one $who
	wait_for flows "$dir/a.pcap"
	ok "copies come again" $?
done

# The node of the tool is silent.
"$weft" fault node/node-2 --cut --name $name >"$dir/fault" 2>&1 || sed 's/^/# /' "$dir/fault"
wait_for is 1 tool/ids/default/answers false
same "a node that cannot be reached is known to be silent" "$(get 1 tool/ids/default/answers)" false
send "$caller" "$near" 7001 30 100
lost() { [ "$(get 1 tool/ids/default/losses/node)" -ge 30 ] || [ "$(at)" != "node-2, pod default/ids-a" ]; }
wait_for lost
ok "BR64: and what is due there is lost by that name" $?
"$weft" fault --clear --name $name >"$dir/fault" 2>&1 || sed 's/^/# /' "$dir/fault"
wait_for flows "$dir/a.pcap"
ok "copies come again when it is back" $?

# The pod goes, another one is there; one on the same node is nearer than any.
rm "$dir/cluster/a.yaml"
wait_for is 1 tool/ids/default/at "node-3, pod default/ids-b"
same "when the pod goes, another one takes over" "$(at)" "node-3, pod default/ids-b"
wait_for flows "$dir/b.pcap"
ok "and gets the copies" $?
pod ids-a0 node-2 >"$dir/cluster/a0.yaml"
ready() { [ "$("$weft" get pod ids-a0 --name $name -o json | python3 -c 'import json, sys; print([c["status"] for c in json.load(sys.stdin)["status"]["conditions"] if c["type"] == "Ready"][0])')" = True ]; }
wait_for ready
wait_for flows "$dir/b.pcap"
same "one that comes takes nothing from it" "$(at)" "node-3, pod default/ids-b"
pod ids-c node-1 >"$dir/cluster/c.yaml"
local_one() { [ "$(at)" = 0 ]; }
wait_for local_one
ok "a pod of the same node is nearer" $?
rm "$dir/cluster/c.yaml" "$dir/cluster/b.yaml" "$dir/cluster/a0.yaml"
nobody() { send "$caller" "$near" 7001 5 100 && [ "$(get 1 tool/ids/default/losses/no-outlet)" != 0 ]; }
wait_for nobody
ok "without any pod what is due is lost as no-outlet" $?
sums "at the end" killed

"$weft" down --name $name >/dev/null 2>&1
same "nothing is left" "$(ls /run/weft/$name 2>/dev/null; ip netns list 2>/dev/null | grep -c "$name")" 0
finish
