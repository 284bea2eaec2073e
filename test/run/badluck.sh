#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad luck with Services, by real packets, as doc/when-things-go-wrong.md defines it and `weft why` explains it: a node's
# agent is dead while endpoints change, all endpoints of a Service are gone, the BPF maps for Services are full. The parts
# are Python programs in test/run/badluck. Spec: agent.py SV53 SV60 NP82; gone.py SV06; full.py NP81 NP82
cd "$(dirname "$0")/../.." || exit 1
test=badluck
. test/run/cluster_lib
chmod 755 "$dir"

# The programs through links of our own, so that one of them can be missing for a while.
mkdir "$dir/libexec"
for p in "$build"/libexec/weft/*; do ln -s "$(realpath "$p")" "$dir/libexec/"; done
export WEFT_LIBEXEC="$dir/libexec"
pod() { # NAME NODE LABELS [MORE OF THE CONTAINER]
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {$3}}
spec: {nodeName: $2, terminationGracePeriodSeconds: 1, containers: [{name: c, image: a, ports: [{name: http, containerPort: 80}, {containerPort: 53, protocol: UDP}]${4:-}}]}
Y
}
probe=', readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}'
{
	pod web-1 node-1 "app: web"
	pod web-2 node-2 "app: web"
	pod web-3 node-2 "app: web"
	pod calm node-2 "app: calm"
	pod gate-1 node-1 "app: gate" "$probe"
	pod gate-2 node-2 "app: gate" "$probe"
	pod near node-1 "role: client"
	pod far node-2 "role: client"
} >"$dir/all.yaml"
# Room for 40 ports of Services and 64 endpoints a node: the cluster's own take some, and a changed list is written beside the old one.
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d --entries service=40,backend=64 >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"

export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap" PYTHONPATH=test/run/services
for part in ${WEFT_BADLUCK_PARTS:-gone full ports agent}; do
	echo "$n $failures" >"$WEFT_TAP"
	python3 test/run/badluck/$part.py
	status=$?
	read -r n failures <"$WEFT_TAP"
	ok "the part on $part came to its end" $status
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
