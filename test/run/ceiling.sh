#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# BR96: an observer at its CPU ceiling. Refused connections flood a node whose observer may use a hundredth of a CPU: the p99
# latency of a pod's requests stays within the bound of doc/accounting.md, what gives way is the telling of single drops, which
# is counted, while counts and sums stay exact. The checks are in ceiling/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=ceiling
. test/run/cluster_lib
generator=$build/bench/bench-load
[ -x "$generator" ] || skip "bench-load is not built"
cpu=/sys/fs/cgroup/cpu
[ -e $cpu/cpu.cfs_quota_us ] || cpu=/sys/fs/cgroup
[ -e $cpu/cpu.cfs_quota_us ] || grep -qw cpu $cpu/cgroup.subtree_control 2>/dev/null || skip "no cgroup here limits CPU time"
limit=$cpu/weft-$name
trap '"$weft" down --name $name >/dev/null 2>&1; rmdir "$limit" 2>/dev/null; rm -rf "$dir"' EXIT
{
	for pod in caller server shut; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: {nodeName: node-1, containers: [{name: c, image: a}]}\n' $pod $pod
	done
	cat <<'Y'
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut}
spec: {podSelector: {matchLabels: {app: shut}}, policyTypes: [Ingress]}
Y
} >"$dir/pods.yaml"
"$weft" up "$dir" --name $name --nodes 1 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
mkdir "$limit" || skip "no cgroup can be made"
GENERATOR=$generator PYTHONPATH=test/run:test/run/load python3 -B test/run/ceiling/play.py "$weft" $name "$n" "$dir" "$limit" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
