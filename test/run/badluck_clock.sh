#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clocks that jump: the wall clock of hub, agents and sandbox is set forward by five hours, then back by ten. A shim of the
# test mocks it for these processes alone (test/run/badluck/clock.c); the machine's clock is not touched, and the kernel's
# programs count by a clock that does not jump. No node is lost, nobody waits longer or shorter, callers notice nothing
# (SV26 SV53 PR31 CN16).
cd "$(dirname "$0")/../.." || exit 1
test=badclock
. test/run/cluster_lib
command -v cc >/dev/null || skip "needs cc for the shim of the clock"
chmod 755 "$dir"
cc -shared -fPIC -O2 -o "$dir/clock.so" test/run/badluck/clock.c -ldl || skip "the shim cannot be built"
head -c 8 /dev/zero >"$dir/clock"
chmod 644 "$dir/clock"
cat >"$dir/all.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {role: client}}
spec: {nodeName: node-1, containers: [{name: c, image: a}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: names}
spec:
  tier: Admin
  priority: 1
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {role: client}}}}
  egress:
  - {action: Accept, to: [{domainNames: [cloud.example.org]}]}
  - {action: Deny, to: [{networks: [198.51.100.0/24]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  replicas: 1
  minReadySeconds: 3000
  progressDeadlineSeconds: 3600
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec: {containers: [{name: c, image: a, ports: [{containerPort: 80}]}]}
Y
for i in 1 2; do
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: web-$i, labels: {app: web}}
spec:
  nodeName: node-$i
  containers:
  - {name: c, image: a, ports: [{name: http, containerPort: 80}], readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}, livenessProbe: {httpGet: {path: /live, port: http}, periodSeconds: 1}}
Y
done >>"$dir/all.yaml"
LD_PRELOAD="$dir/clock.so" WEFT_TEST_CLOCK="$dir/clock" "$weft" up "$dir/all.yaml" --name $name --nodes 2 -d \
	--host cloud.example.org=198.51.100.7@300 >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap" WEFT_CLOCK="$dir/clock" PYTHONPATH=test/run/services
echo "$n $failures" >"$WEFT_TAP"
python3 test/run/badluck/clock.py
status=$?
read -r n failures <"$WEFT_TAP"
ok "the part came to its end" $status
"$weft" down --name $name >/dev/null
ok "down" $?
finish
