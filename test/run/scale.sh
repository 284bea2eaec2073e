#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft scale`, a StatefulSet that is rolled several pods at a time (maxUnavailable), and a node that is drained while a
# pod calls, by hand and by kubectl, and a node that is lost: in a running cluster (SV53).
cd "$(dirname "$0")/../.." || exit 1
test=scale
. test/run/cluster_lib
chmod 755 "$dir"
cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: near}
spec: {nodeName: node-1, containers: [{name: c, image: a}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: filed}
spec:
  replicas: 1
  selector: {matchLabels: {app: filed}}
  template: {metadata: {labels: {app: filed}}, spec: {containers: [{name: c, image: a}]}}
Y
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap" PYTHONPATH=test/run/services:test/run/badluck
echo "$n $failures" >"$WEFT_TAP"
python3 test/run/scale/scale.py
status=$?
read -r n failures <"$WEFT_TAP"
ok "the part came to its end" $status
"$weft" down --name $name >/dev/null
ok "down" $?
finish
