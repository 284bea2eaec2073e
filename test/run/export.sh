#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Records as IPFIX: nfdump's collector has the same records, packets and bytes as `weft flows`, by family and port, and
# misses no sequence number. The checks are in export/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=export
. test/run/cluster_lib
. test/run/manifest_lib
command -v nfcapd >/dev/null && command -v nfdump >/dev/null || skip "no nfcapd here (Debian's package nfdump)"
{
	pod web node-1 80 ready
	pod caller node-2
	pod shut node-1
	shut shut
} >"$dir/all.yaml"
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/export/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
