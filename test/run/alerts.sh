#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Alerts, by real packets, a real cluster and real receivers: drops of a reason, a Service that is slow and a node that is
# away fire, are told once, and are over; receivers that are dead, slow or lie hold nobody up; secrets are in no log; kill -9
# of the hub tells nothing twice. Lost records (BR24) and sums that do not match (BR16) fire by node. Alertmanager itself takes
# them. The checks are in alerts/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=alerts
. test/run/cluster_lib
mkdir "$dir/m"
chmod 755 "$dir" "$dir/m"
cat >"$dir/m/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-1
  containers: [{name: c, image: web, ports: [{containerPort: 80}], readinessProbe: {tcpSocket: {port: 80}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec: {nodeName: node-1, containers: [{name: c, image: web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other}
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
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
python3 test/run/alerts/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
