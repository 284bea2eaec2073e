#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page's stream, read as a browser does: objects as they are and as they change, the graph of who talks to whom with a packet
# on it within a second, rates that say what was sent, drops by their reason, and why a map is empty (BR94). Slow readers, several
# readers, a hub that is killed.
cd "$(dirname "$0")/../.." || exit 1
test=page-live
. test/run/cluster_lib
pod() { # NAME NODE
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec: {nodeName: $2, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
Y
}
mkdir "$dir/m"
{
	pod caller node-1
	pod near node-1
	pod far node-2
	pod closed node-2
	cat <<Y
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {selector: {app: far}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: disk}
spec: {capacity: 10M, file: {path: copies.pcapng}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: taken}
spec: {from: [{pods: {podSelector: {matchLabels: {app: far}}}}], filter: udp && dst.port == 7777, to: [{tool: disk}]}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {word: do-not-tell}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: []}
Y
} >"$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
PYTHONPATH=test/run python3 -B test/run/page_live/play.py "$weft" $name $n "$dir"
s=$?
n=$(cat "$dir/count" 2>/dev/null || echo $n)
failures=$((failures + (s != 0)))
finish
