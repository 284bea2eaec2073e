#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Services by real packets, in one cluster of three nodes, in both families: pods, nodes and the host outside call, and
# stand-ins say who answered and whom they saw. The parts are Python programs in test/run/services. Spec:
# endpoints.py SV01 SV02 SV03 SV04 SV05 SV06 SV12 SV16 SV17 SV18 SV19 SV20 SV21 SV22 SV24 SV25 SV35 SV53 SV65
# outside.py SV04 SV07 SV08 SV09 SV10 SV11 SV25 SV35 SV36 SV37 SV38 SV42 SV43 SV44 SV45 SV46
# flows.py SV26 SV27 SV28 SV29 SV30 SV31 SV32 SV33 SV34 SV48 SV49 SV50 SV51 SV52 SV53 SV54 SV55 SV60 SV61
# direct.py NP39 SV10 SV11 SV45 SV49 SV50 SV52 SV62 SV63
cd "$(dirname "$0")/../.." || exit 1
test=services
. test/run/cluster_lib

pod() { # NAME NODE LABELS [PORTS [MORE OF SPEC]]
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {$3}}
spec: {nodeName: $2, containers: [{name: c, image: a, ports: [${4:-}]}]${5:+, $5}}
Y
}
both='{containerPort: 80}, {containerPort: 53, protocol: UDP}'
{
	for i in 1 2 3; do pod web-$i node-$i "app: web" "$both"; done
	pod gated node-1 "group: gate" "$both" "readinessGates: [{conditionType: weft.test/open}]"
	pod near node-1 "role: client"
	pod far node-2 "role: client"
	pod host node-3 "role: host" "{containerPort: 8099}, {containerPort: 8098, protocol: UDP}" "hostNetwork: true"
} >"$dir/all.yaml"
# With a name outside the cluster the host outside serves 198.51.100.0/24.
"$weft" up "$dir/all.yaml" --name $name --nodes 3 --host cloud.example.org=198.51.100.7 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
curl -s --unix-socket $run/hub.sock -H 'Content-Type: application/json' http://hub/api/v1/namespaces/default/pods -d '{
	"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "short", "labels": {"app": "short"}},
	"spec": {"nodeName": "node-2", "containers": [{"name": "c", "image": "a", "ports": [{"containerPort": 80}]}]}}' >"$dir/short"

export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap"
for part in ${WEFT_SERVICES_PARTS:-endpoints outside flows direct}; do
	echo "$n $failures" >"$WEFT_TAP"
	python3 test/run/services/$part.py
	status=$?
	read -r n failures <"$WEFT_TAP"
	ok "the part on $part came to its end" $status
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
