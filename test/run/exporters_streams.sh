#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exporters that follow, over streams and into files: lines that turn over by size, a full disk, readers that stand still, go
# and come back. Each record is there once, or counted by cause; loss is no record (BR24). The checks are in
# exporters/streams.py.
cd "$(dirname "$0")/../.." || exit 1
test=expstream
. test/run/cluster_lib
mkdir "$dir/m" "$dir/disk"
cp test/run/exporters/pods.yaml "$dir/m"
trap '"$weft" down --name $name >/dev/null 2>&1; umount "$dir/disk" 2>/dev/null; rm -rf "$dir"' EXIT
mount -t tmpfs -o size=64m weft-t "$dir/disk" || skip "no tmpfs can be mounted"
"$weft" up --name $name -d "$dir/m" >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/exporters/streams.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
