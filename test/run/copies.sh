#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What explains the packet broker, on a running cluster: `weft account` of copies (BR16 to BR18, BR20, BR21), `weft why --copy`,
# `weft plan --traffic` against what then happens (BR95), and drops as IPFIX records that nfdump reads (BR84). The checks are in
# copies/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=copies
. test/run/cluster_lib
cp test/run/copies/pods.yaml test/run/copies/maps.yaml "$dir"
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/copies/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
