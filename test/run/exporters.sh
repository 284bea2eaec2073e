#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exporters that follow, over UDP: a generator's own count is that of `weft flows`, `weft history`, nfdump over nfcapd's files
# and Prometheus, to the byte; templates come again and a collector computes the loss that we count (BR84); an exporter and a
# hub that are killed lose nothing that has no number, and nothing comes twice (BR24). The checks are in exporters/totals.py and
# exporters/loss.py.
cd "$(dirname "$0")/../.." || exit 1
test=exporters
. test/run/cluster_lib
for p in nfcapd nfdump prometheus; do command -v $p >/dev/null || skip "no $p here (Debian's packages nfdump, prometheus)"; done
mkdir "$dir/m" "$dir/nf"
cp test/run/exporters/pods.yaml "$dir/m"
port=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
nfcapd -b 127.0.0.1 -p "$port" -w "$dir/nf" -t 3600 >"$dir/nfcapd.log" 2>&1 &
nfcapd=$!
trap 'kill $nfcapd 2>/dev/null; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
"$weft" up --export "udp://127.0.0.1:$port" --export 'udp://127.0.0.1:1 dst.prt == 1' --name $name -d "$dir/m" >"$dir/up" 2>&1
same "a filter of --export that is none is an error before anything starts" "$?" 2
"$weft" up --export "udp://127.0.0.1:$port" --name $name -d "$dir/m" >"$dir/up" 2>&1
ok "the cluster comes up with an exporter to nfcapd" $?
python3 test/run/exporters/totals.py "$weft" $name "$n" "$dir" "$nfcapd" "$port" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
python3 test/run/exporters/loss.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
