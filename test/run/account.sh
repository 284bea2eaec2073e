#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whether every packet and connection is accounted for, as `weft account` says: exactly once traffic has stopped, unknown
# where nobody can say, wrong where a counter was falsified; and whether witnesses from outside agree (BR16, BR18 to BR21, BR24,
# BR25, BR75). The checks, which name BR19 and BR20 too, are in account/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=account
. test/run/cluster_lib
. test/run/manifest_lib
{
	pod web node-1 80
	pod caller node-1
	pod far node-2
	pod shut node-1
	shut shut
} >"$dir/all.yaml"
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/account/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
