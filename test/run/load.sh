#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# New flows in numbers, beside the shop: a generator with a count of its own calls pods of its node and of the other one, in both
# families, by Service and by address, over TCP and UDP ($RATE a second in all, 3000; for $SECONDS_LONG s, 20). At its end the sums
# of `weft account` match to the packet, and `weft flows` and `weft history` have the generator's flows, packets and bytes, or
# each loss has a name and a number (BR18, BR24). Prints what it cost. The checks are in load/play.py.
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=load
. test/run/cluster_lib
generator=$build/bench/bench-load
[ -x "$generator" ] || skip "bench-load is not built"
cp examples/shop/shop.yaml examples/shop/policies.yaml "$dir/"
{
	for i in 1 2; do
		for app in caller target; do
			cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $app-$i, labels: {app: $app}}
spec: {nodeName: node-$i, containers: [{name: c, image: a}]}
Y
		done
	done
	cat <<Y
---
apiVersion: v1
kind: Service
metadata: {name: target}
spec: {ipFamilyPolicy: RequireDualStack, selector: {app: target}, ports: [{port: 7000}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: target}
spec:
  podSelector: {matchLabels: {app: target}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: caller}}}]
    ports: [{port: 7000}, {protocol: UDP, port: 7000, endPort: 7063}]
Y
} >"$dir/load.yaml"
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the shop comes up" $? || sed 's/^/# /' "$dir/up"
RATE=${RATE:-3000} SECONDS_LONG=${SECONDS_LONG:-20} GENERATOR=$generator \
	python3 test/run/load/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
