#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Records as IPFIX: nfdump's collector has the same records, packets and bytes as `weft flows`, by family and port, and
# misses no sequence number. The checks are in export/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=export
. test/run/cluster_lib
command -v nfcapd >/dev/null && command -v nfdump >/dev/null || skip "no nfcapd here (Debian's package nfdump)"
cat >"$dir/all.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-1
  containers: [{name: c, image: web, ports: [{containerPort: 80}], readinessProbe: {tcpSocket: {port: 80}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec: {nodeName: node-2, containers: [{name: c, image: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shut, labels: {app: shut}}
spec: {nodeName: node-1, containers: [{name: c, image: web}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut}
spec: {podSelector: {matchLabels: {app: shut}}, policyTypes: [Ingress]}
Y
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
python3 test/run/export/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
