#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shop with one map file (broker_shop/maps.yaml): the frontends' traffic to a tool's interface (tcpdump, and a reader that
# follows each connection), payment traffic masked to a file (tshark), everything refused to a collector (nfdump), the rest in
# memory; under load ($RATE flows a second, 200; for $SECONDS_LONG s, 15). Each tool has exactly what its maps say, by what pods'
# interfaces counted themselves, and all sums match. Then the same file between plain interfaces and over captures, with the same
# result packet by packet. The checks are in broker_shop/play.py and plain.py.
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=broker-shop
. test/run/cluster_lib
generator=$build/bench/bench-load
[ -x "$generator" ] || skip "bench-load is not built"
for p in tcpdump tshark nfcapd nfdump tcpreplay; do
	command -v $p >/dev/null || skip "needs $p"
done
ns=weft-t-$test-$$
trap '"$weft" down --name $name >/dev/null 2>&1; ip netns del "$ns" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/cluster"
cp examples/shop/shop.yaml examples/shop/policies.yaml test/run/broker_shop/maps.yaml "$dir/cluster/"
{
	for i in 1 2; do
		for app in frontend payment other stranger; do
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
metadata: {name: payment}
spec: {ipFamilyPolicy: RequireDualStack, selector: {app: payment}, ports: [{port: 7000}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: payment}
spec:
  podSelector: {matchLabels: {app: payment}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: frontend}}}]
    ports: [{port: 7000}]
Y
} >"$dir/cluster/load.yaml"
"$weft" up "$dir/cluster" --name $name -d >"$dir/up" 2>&1
ok "the shop comes up" $? || sed 's/^/# /' "$dir/up"
RATE=${RATE:-200} SECONDS_LONG=${SECONDS_LONG:-15} GENERATOR=$generator PLAIN=$ns \
	python3 -B test/run/broker_shop/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
"$weft" down --name $name >/dev/null 2>&1
python3 -B test/run/broker_shop/plain.py "$weft" "$ns" "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
