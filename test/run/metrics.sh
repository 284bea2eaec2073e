#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# /metrics as Prometheus takes it: promtool finds nothing, one scrape of the hub has all nodes, every query of the
# dashboard has an answer, totals are those of `weft drops`, and a node that is away is unknown (BR20). The checks are in
# metrics/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=metrics
. test/run/cluster_lib
. test/run/manifest_lib
command -v prometheus >/dev/null && command -v promtool >/dev/null || skip "no prometheus here (Debian's package prometheus)"
{
	pod web node-1 80 ready
	pod caller node-2
	pod shut node-1
	shut shut
} >"$dir/all.yaml"
# an exporter that nobody listens to: its numbers are there
"$weft" up "$dir" --export udp://127.0.0.1:9 --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/metrics/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
