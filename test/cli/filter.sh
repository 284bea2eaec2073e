#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft filter: forms (BR71), errors with their column, where a filter runs (BR76, BR78), fragments (BR72), counting in a capture (here and in the
# kernel), completion. The capture is made here, packet by packet.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=${WEFT:-build/src/cli/weft}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
bad=0
ok() { # NAME STATUS
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" | head -n 20
		bad=1
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
run() { # WANTED-STATUS ARGUMENTS…
	want=$1
	shift
	"$weft" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }
offers() {
	want=$1
	shift
	"$weft" __complete "$@" >"$tmp/out" 2>"$tmp/err" && cut -f1 "$tmp/out" | grep -qxF -- "$want" && [ ! -s "$tmp/err" ]
}

python3 - "$tmp" <<'PY'
import struct, sys

def ip(proto, rest, flags=0):
    return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(rest), 0, flags, 64, proto, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])) + rest

tcp = struct.pack('!HHIIBBHHH', 40000, 80, 0, 0, 0x50, 2, 0, 0, 0)
udp = struct.pack('!HHHH', 53, 53, 8, 0)
macs = bytes.fromhex('020000000002020000000001')
frames = [macs + b'\x08\x00' + ip(6, tcp),                        # tcp 80
          macs + b'\x81\x00\x00\x0a\x08\x00' + ip(6, tcp),        # the same in VLAN 10
          macs + b'\x08\x00' + ip(17, udp),
          macs + b'\x08\x00' + ip(6, tcp, 5),                     # a later fragment
          macs + b'\x08\x06' + bytes(28),
          macs + b'\x08\x00' + ip(6, tcp) + bytes(5000)]          # larger than the kernel runs
head = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
body = b''.join(struct.pack('<IIII', i, 0, len(f), len(f)) + f for i, f in enumerate(frames))
open(sys.argv[1] + '/six.pcap', 'wb').write(head + body)
open(sys.argv[1] + '/torn.pcap', 'wb').write(head + body[:-100])
PY

run 0 filter 'tcp && dst.port==80' && says 'native   tcp && dst.port == 80' && says 'pcap     (tcp and (dst port 80))' && says 'runs     over records' && says 'over packets in the kernel'
ok "a native filter: its form, its pcap form, where it runs" $?
run 0 filter 'tcp port 80' && says "pcap     pcap:'tcp port 80'" && says 'native   tcp && port == 80'
ok "BR71: a pcap expression is told as one" $?
run 0 filter --other 'tcp port 443 and net 10.0.0.0/8' && [ "$(cat "$tmp/out")" = 'tcp && port == 443 && ip == 10.0.0.0/8' ] && run 1 filter --other 'pod == web' && says 'no pcap form: pod == "web"' && run 2 filter --other --kernel tcp && says 'stands alone'
ok "--other: the other form alone, or why there is none" $?
run 0 filter 'udp && port == 53' && says 'fragments are not tracked' && run 0 filter 'ip == 10.0.0.1 && udp' && ! says 'fragments' && run 0 filter --pcap "$tmp/six.pcap" 'ip == 10.0.0.1 && tcp && ip.fragment' && says 'matches  1 of 6' && run 0 filter --pcap "$tmp/six.pcap" 'ip.fragment && port == 80' && says 'matches  0 of 6'
ok "BR72: a later fragment matches addresses and no ports, and that they are not tracked is said" $?
run 1 filter 'tcp && prt == 80' && says 'filter:1:8: error: there is no field "prt"' && says 'did you mean port?'
ok "an error points at its column and proposes" $?
run 0 filter 'tcp && rtt > 20ms' && says 'not: tcp.rtt cannot be judged over packets: tcp.rtt >= 20001us' && says 'cannot be judged over the kernel' &&
	run 1 filter --kernel 'src.pod == web || tcp' && says 'pod cannot be judged over the kernel: src.pod == "web"' &&
	run 1 filter --kernel 'ip6 protochain 6' && says 'protochain'
ok "BR76: what cannot run in the kernel is refused with the term and the reason" $?
run 0 filter --pcap "$tmp/six.pcap" 'tcp && port == 80' && says 'matches  3 of 6 packets' && run 0 filter --pcap "$tmp/six.pcap" 'tcp port 80' && says 'matches  2 of 6 packets' && run 0 filter --pcap - arp <"$tmp/six.pcap" && says 'matches  1 of 6 packets'
ok "counts in a capture: the native form sees through tags, libpcap does not" $?
run 1 filter --pcap "$tmp/torn.pcap" tcp && says 'counted is what stands before' && says '3 of 5 packets' && run 1 filter --pcap "$tmp/none" tcp && says "$tmp/none" && run 1 filter --pcap "$0" tcp && says 'tcpdump -w'
ok "a torn, a missing and a foreign file" $?
run 0 filter -o json --pcap "$tmp/six.pcap" 'rtt > 20ms || udp' && python3 - "$tmp/out" <<'PY'
import json, sys
a = json.load(open(sys.argv[1]))
assert a['syntax'] == 'native' and a['runs']['records']['can'] and not a['runs']['kernel']['can'] and a['runs']['kernel']['why']
assert a['capture'] == {'packets': 6, 'matches': 1, 'cut': 0}
PY
ok "-o json" $?
offers 'tcp && src.port' filter 'tcp && src.po' && offers 'verdict == dropped' flows 'verdict == d' && offers 'src.kind in {pod, outside' filter 'src.kind in {pod, o'
ok "completion of fields and values" $?

if [ "$(id -u)" = 0 ] && "$weft" filter --kernel tcp >/dev/null 2>&1; then
	run 0 filter --kernel --pcap "$tmp/six.pcap" 'tcp && port == 80' && says 'instructions, of which the kernel walked' && says '2 of 5 frames match in the kernel; 1 left out'
	ok "BR78: the same frames judged in the kernel" $?
	run 0 filter --kernel --pcap "$tmp/six.pcap" -o json 'vlan 10 and tcp port 80' && python3 - "$tmp/out" <<'PY'
import json, sys
a = json.load(open(sys.argv[1]))
assert a['capture']['kernel'] == {'judged': 5, 'matches': 1, 'differ': 0, 'leftOut': 1} and a['program']['walked'] > 0
PY
	ok "BR78: a pcap expression in the kernel" $?
else
	skip "BR78: the same frames judged in the kernel" "no right to load programs"
	skip "BR78: a pcap expression in the kernel" "no right to load programs"
fi
echo "1..$n"
exit $bad
