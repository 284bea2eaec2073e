#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# GRE and ERSPAN tools between nodes of a cluster: what leaves node-1 is unpacked by tshark at node-2, byte for byte, numbered
# without a gap; and a file tool whose disk is full, beside tools that lose nothing by it.
cd "$(dirname "$0")/../.." || exit 1
test=tunnels
. test/run/cluster_lib
for p in tcpdump tshark capinfos; do
	command -v $p >/dev/null || skip "needs $p"
done
here=test/run/relay
caught= mounted=
trap 'for p in $caught; do kill "$p" 2>/dev/null; done; [ -z "$mounted" ] || umount -l "$mounted" 2>/dev/null; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

get() { python3 -B $here/account.py "$run/node-1/copier.sock" get "$1" 2>/dev/null; }
is() { [ "$(get "$1")" = "$2" ]; }
send() { python3 -B $here/send.py "/run/netns/weft-$name-default.caller" "$@"; }
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
# The innermost packet: its payload, and the last of MAC addresses and IP headers' fields.
inner() { tshark -r "$1" -Y "$2" -T fields -E occurrence=l -e udp.payload -e eth.src -e eth.dst -e ip.src -e ip.id -e ip.ttl 2>/dev/null | sort | md5sum; }
address() { # KIND NAME
	"$weft" get "$1" "$2" --name $name -o json | python3 -c '
import json, sys
st = json.load(sys.stdin)["status"]
print([a for a in [i["ip"] for i in st.get("podIPs", [])] + [i["address"] for i in st.get("addresses", []) if i["type"] == "InternalIP"] if ":" not in a][0])'
}

mkdir "$dir/cluster"
cat >"$dir/cluster/pods.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: near}}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 7000}]}]}
Y
"$weft" up "$dir/cluster" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "a cluster of two nodes comes up" $? || sed 's/^/# /' "$dir/up"
near=$(address pod near) two=$(address node node-2)
mkdir -p "$run/node-1/files"
if mount -t tmpfs -o size=256k weft-t-tunnels "$run/node-1/files" 2>/dev/null; then
	mounted=$run/node-1/files
fi
[ -n "$mounted" ]
ok "a small disk for files of node-1" $?
cat >"$dir/cluster/maps.yaml" <<Y
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: gre}
spec: {gre: {remote: $two, key: 77}, mtu: 1400, tooBig: Fragment}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: erspan}
spec: {erspan: {remote: $two, session: 9}, mtu: 1400, ports: [{name: default}, {name: cut, chain: {slice: {bytes: 64}}}]}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: disk}
spec: {file: {path: disk.pcapng}}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: memory}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: one}
spec:
  from: [{pods: {podSelector: {matchLabels: {app: near}}}}]
  direction: In
  filter: udp && dst.port == 7001
  to: [{tool: gre}, {tool: erspan}]
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: two}
spec:
  from: [{pods: {podSelector: {matchLabels: {app: near}}}}]
  direction: In
  filter: udp && dst.port == 7002
  to: [{tool: erspan, port: cut}]
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: three}
spec:
  from: [{pods: {podSelector: {matchLabels: {app: near}}}}]
  direction: In
  filter: udp && dst.port == 7003
  to: [{tool: disk}, {tool: memory}]
Y
catch "weft-$name-node-2" uplink0 "$dir/far.pcap" "ip proto 47"
catch "weft-$name-default.near" eth0 "$dir/near.pcap" udp
known() { send "$near" 7003 1 60 && [ "$(get tool/memory/default/due)" -gt 0 ]; }
wait_for known
ok "maps are in force" $?
# The first one asks for the neighbour.
ip netns exec "weft-$name-node-1" ping -c 1 -W 2 "$two" >/dev/null

send "$near" 7001 400 120
g="gre.key == 77 && udp.dstport == 7001"
e="erspan.spanid == 9 && udp.dstport == 7001"
count "GRE: each packet comes to the other node, with its key" "$dir/far.pcap" "$g" 400
same "byte for byte" "$(inner "$dir/far.pcap" "$g")" "$(inner "$dir/near.pcap" "udp.dstport == 7001")"
count "ERSPAN: each packet comes to the other node, with its session" "$dir/far.pcap" "$e" 400
same "byte for byte" "$(inner "$dir/far.pcap" "$e")" "$(inner "$dir/near.pcap" "udp.dstport == 7001")"
gaps=$(tshark -r "$dir/far.pcap" -Y "$e" -T fields -e gre.sequence_number 2>/dev/null | awk 'NR > 1 && $1 != last + 1 { n++ } { last = $1 } END { print n + 0 }')
same "BR63: numbered one by one" "$gaps" 0
send "$near" 7002 50 400
c="erspan.spanid == 9 && udp.dstport == 7002"
count "BR48: what was sliced says so" "$dir/far.pcap" "$c && erspan.truncated == 1" 50
same "and what was not does not" "$(packets "$dir/far.pcap" "$e && erspan.truncated == 1")" 0
send "$near" 7001 20 1422
count "BR58: GRE: what is larger than the way comes as fragments, whole" "$dir/far.pcap" "$g && udp.length == 1430" 20
wait_for is tool/erspan/default/losses/encap-too-big 20
same "ERSPAN: what is larger is refused, and counted" "$(get tool/erspan/default/losses/encap-too-big)" 20
same "BR17: GRE: due, sent in packets" "$(get tool/gre/default/due) $(get tool/gre/default/sent)" "420 440"

# The disk is full long before the copies end.
before=$(get tool/memory/default/due)
send "$near" 7003 600 1000
all() { [ "$(get tool/memory/default/due)" = $((before + 600)) ] && [ "$(get tool/disk/default/inFlight)" = 0 ]; }
wait_for all
lost=$(get tool/disk/default/losses/disk)
ok "BR83: what finds no room is lost as disk ($lost)" $((lost < 100))
same "BR22: nothing else is lost: due, sent, lost of the tool beside it" "$(get tool/memory/default/due) $(get tool/memory/default/sent) $(get tool/memory/default/losses)" "$((before + 600)) $((before + 600)) {}"
same "BR17: due is sent and lost" "$(get tool/disk/default/due)" $(($(get tool/disk/default/sent) + lost))
capinfos "$run/node-1/files/disk.pcapng" >"$dir/info" 2>&1
ok "BR80: the file is whole to its last block" $? || sed 's/^/# /' "$dir/info"
same "BR83: and has what counts as sent" "$(packets "$run/node-1/files/disk.pcapng" udp)" "$(get tool/disk/default/sent)"
failing() { "$weft" get tool disk --name $name -o yaml | grep -q 'node-1: port default takes nothing (file, lost as disk)'; }
wait_for failing
ok "the condition names the node and the disk" $? || "$weft" get tool disk --name $name -o yaml | sed 's/^/# /'
said=$(python3 -B $here/account.py sums "$run/node-1/copier.sock")
ok "BR17, BR18: sums hold" $? || printf '%s\n' "$said" | sed 's/^/# /'
"$weft" account --name $name -o wide >"$dir/account" 2>&1
status=$?
ok "the account of the cluster matches" $status
[ $status = 0 ] || sed 's/^/# /' "$dir/account"
umount -l "$mounted"
mounted=
"$weft" down --name $name >/dev/null 2>&1
same "nothing is left" "$(ls "$run" 2>/dev/null; ip netns list 2>/dev/null | grep -c "$name")" 0
finish
