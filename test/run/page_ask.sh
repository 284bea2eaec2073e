#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Questions of the page: each is answered as the command line answers it, also with changes laid over that nobody made yet. Who may
# not see a namespace is not told of it; no word of a question becomes an option; children are few, short and gone.
cd "$(dirname "$0")/../.." || exit 1
test=page-ask
. test/run/cluster_lib
pod() { # NAMESPACE NAME NODE
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $2, namespace: $1, labels: {app: $2}}
spec: {nodeName: $3, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
Y
}
mkdir "$dir/m"
{
	cat <<Y
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: office}
Y
	pod shop web node-1
	pod shop cart node-2
	pod shop shut node-2
	pod office ledger node-1
	cat <<Y
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {matchLabels: {app: shut}}, ingress: []}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: disk}
spec: {file: {path: copies.pcapng}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: all}
spec: {from: [{pods: {}}], to: [{tool: disk}]}
---
apiVersion: weft.network/v1alpha1
kind: User
metadata: {name: clerk}
spec: {}
---
apiVersion: weft.network/v1alpha1
kind: Role
metadata: {name: clerks}
spec: {level: view, namespaces: [shop], users: [clerk]}
Y
} >"$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
PYTHONPATH=test/run python3 -B test/run/page_ask/play.py "$weft" $name $n "$dir"
s=$?
n=$(cat "$dir/count" 2>/dev/null || echo $n)
failures=$((failures + (s != 0)))
finish
