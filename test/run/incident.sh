#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An incident at the shop, played and then asked about as a person would: a policy that refuses, a service that answers late, a
# link to a host outside that gets slow, a Deployment that is rolled, a pod whose address another one gets (BR15), a node without
# power and one whose cable is out (BR20). `weft flows`, `weft drops`,
# `weft top` and `weft history` find it by name, label, Service, verdict, reason, duration, round-trip time and time: while it lasts, after it, and
# the time before it; an answer without a record says why. The checks are in incident/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=incident
. test/run/cluster_lib
mkdir "$dir/m"
node() { # NUMBER CIDR…: small ones, so that addresses come round soon
	cat <<Y
apiVersion: v1
kind: Node
metadata: {name: node-$1}
spec: {podCIDR: $2, podCIDRs: [$2, "$3"]}
---
Y
}
{
	node 1 10.244.0.0/28 fd57:e7f7:0:244:0::/80
	node 2 10.244.1.0/28 fd57:e7f7:0:244:1::/80
} >"$dir/m/nodes.yaml"
cp examples/shop/shop.yaml examples/shop/policies.yaml "$dir/m/"
cat >"$dir/m/reader.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: reader, namespace: reports, labels: {app: reader}}
spec:
  nodeName: node-1
  containers:
  - {name: c, image: example/reader, env: [{name: CATALOGUE, value: "http://catalogue.shop:8000"}]}
Y
cat >"$dir/m/buyer.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: buyer}
spec: {nodeName: node-1, containers: [{name: c, image: example/buyer}]}
---
apiVersion: v1
kind: Pod
metadata: {name: distant}
spec: {nodeName: node-2, containers: [{name: c, image: example/distant, ports: [{containerPort: 8080}]}]}
Y
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the shop comes up" $? || cat "$dir/up"
python3 test/run/incident/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
"$weft" down --name $name >/dev/null
ok "down" $?
finish
