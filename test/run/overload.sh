#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Too much of everything: SYN floods from random sources at a node port and at a pod, readers that stand still (a follower of
# weft flows, an observer whose ring overflows, the hub while records wait), and 10,000 pods' names. Connections that are open
# keep their records and their traffic, each loss has a name and a number, and nobody else loses (BR19, BR22, BR24). The checks
# are in overload/play.py. A full disk: history.sh; a node that is lost: flows.sh.
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=overload
. test/run/cluster_lib
generator=$build/bench/bench-load
[ -x "$generator" ] || skip "bench-load is not built"
{
	for i in 1 2; do
		for app in caller target; do
			cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $app-$i, labels: {app: $app-$i}}
spec: {nodeName: node-$i, containers: [{name: c, image: a}]}
Y
		done
	done
} >"$dir/pods.yaml"
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
GENERATOR=$generator PYTHONPATH=test/run:test/run/load python3 test/run/overload/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
