#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One tool for a whole cluster whose nodes have addresses of IPv6 alone: copies of a pod go to a pod on another node over IPv6,
# byte for byte, whole and in parts, those of IPv6 packets too; sums at both ends. See relay.sh for all else.
cd "$(dirname "$0")/../.." || exit 1
test=relay-ip6
. test/run/cluster_lib
for p in tcpdump tshark curl; do
	command -v $p >/dev/null || skip "needs $p"
done
here=test/run/relay
caught=
trap 'for p in $caught; do kill "$p" 2>/dev/null; done; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

get() { python3 -B $here/account.py "$run/node-$1/copier.sock" get "$2" 2>/dev/null; }
is() { [ "$(get "$1" "$2")" = "$3" ]; }
send() { python3 -B $here/send.py "/run/netns/weft-$name-default.caller" "$@"; }
addresses() { # KIND NAME: one a line
	"$weft" get "$1" "$2" --name $name -o json | python3 -c '
import json, sys
status = json.load(sys.stdin)["status"]
for i in status.get("podIPs", []) + [a for a in status.get("addresses", []) if a["type"] == "InternalIP"]:
    print(i.get("ip") or i["address"])'
}
catch() { # NAMESPACE INTERFACE FILE FILTER
	ip netns exec "$1" tcpdump -U -nn -i "$2" -w "$3" "$4" >"$3.log" 2>&1 &
	caught="$caught $!"
	wait_for grep -q listening "$3.log"
}
packets() { tshark -r "$1" -d udp.port==22341,data -Y "$2" 2>/dev/null | wc -l; } # what lies in relayed ones is not looked at
holds() { [ "$(packets "$1" "$2")" = "$3" ]; }
bytes() { tshark -r "$1" -Y udp.dstport==7001 -T fields -e udp.payload -e eth.src -e eth.dst -e ip.ttl -e ipv6.hlim 2>/dev/null | sort | md5sum; }

mkdir "$dir/cluster"
cp $here/manifests "$dir/cluster/all.yaml"
cat >"$dir/cluster/ids.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: ids, labels: {app: ids}}
spec: {nodeName: node-2, containers: [{name: c, image: x}]}
Y
"$weft" up "$dir/cluster" --name $name --mode routes -d >"$dir/up" 2>&1
ok "a cluster comes up" $? || sed 's/^/# /' "$dir/up"
for node in node-1 node-2; do
	six=$(addresses node $node | grep :)
	curl -s --unix-socket "$run/hub.sock" -X PATCH -H 'Content-Type: application/merge-patch+json' "http://x/api/v1/nodes/$node/status" \
		-d "{\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"$six\"},{\"type\":\"Hostname\",\"address\":\"$node\"}]}}" >"$dir/patched"
	same "$node has an address of IPv6 alone" "$(addresses node $node)" "$six"
done
near4=$(addresses pod near | grep -v :) near6=$(addresses pod near | grep :)
catch "weft-$name-node-2" uplink0 "$dir/way.pcap" "udp port 22341"
only_six() { # what was asked over IPv4 before is over, and IPv6 is answered
	before=$(packets "$dir/way.pcap" "ip") six=$(packets "$dir/way.pcap" "ipv6")
	is 1 tool/ids/default/answers true && [ "$six" -gt 4 ] && sleep 0.5 && holds "$dir/way.pcap" ip "$before"
}
wait_for only_six
ok "the tool's node answers over it" $?
before=$(packets "$dir/way.pcap" ip)
catch "weft-$name-default.ids" eth0 "$dir/ids.pcap" "udp port 7001"
catch "weft-$name-default.near" eth0 "$dir/near.pcap" "udp port 7001"
send "$near4" 7001 200 100
send "$near6" 7001 200 100
send "$near6" 7001 50 1382 # with 14 + 48, and 56 around it: 1500
send "$near6" 7001 50 1383 # one more
wait_for holds "$dir/ids.pcap" "udp.dstport == 7001" 500
same "each packet comes to the pod on the other node once" "$(packets "$dir/ids.pcap" "udp.dstport == 7001")" 500
wait_for holds "$dir/near.pcap" "udp.dstport == 7001" 500
same "BR62: byte for byte" "$(bytes "$dir/ids.pcap")" "$(bytes "$dir/near.pcap")"
same "what does not fit as two parts" "$(get 2 arrivals/parts) $(get 2 arrivals/joined)" "100 50"
same "BR60: nothing is left to fragments of IP" "$(packets "$dir/way.pcap" ipv6.fraghdr)" 0
most=$(tshark -r "$dir/way.pcap" -Y ipv6 -T fields -e ipv6.plen 2>/dev/null | cut -d, -f1 | sort -n | tail -1)
same "what just fits goes whole, and nothing is larger than the MTU" $((most + 40)) 1500
same "no checksum is wrong, which IPv6 asks for" "$(tshark -r "$dir/way.pcap" -o udp.check_checksum:TRUE -d udp.port==22341,data -Y 'ipv6 && udp.checksum.status != 1' 2>/dev/null | wc -l)" 0
same "and none of it went over IPv4" "$(packets "$dir/way.pcap" ip)" "$before"
said=$(python3 -B $here/account.py sums "$run/node-1/copier.sock" "$run/node-2/copier.sock")
ok "BR17, BR18: sums hold at both ends" $?
[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
finish
