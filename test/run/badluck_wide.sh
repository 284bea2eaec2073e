#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad luck of whole clusters, as doc/when-things-go-wrong.md defines it: a node is cut off and comes back, a thousand
# endpoints flap. Spec: cut.py PR12 SV53; flap.py PR31 SV53. WEFT_FLAP_SECONDS: for how long (10).
cd "$(dirname "$0")/../.." || exit 1
test=badwide
. test/run/cluster_lib
chmod 755 "$dir"
{
	for i in 1 2; do
		cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: web-$i, labels: {app: web}}
spec: {nodeName: node-$i, containers: [{name: c, image: a, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]}
Y
	done
	for c in near:node-1 far:node-2; do
		cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: ${c%:*}, labels: {role: client}}
spec: {nodeName: ${c#*:}, containers: [{name: c, image: a}]}
Y
	done
} >"$dir/all.yaml"
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap" PYTHONPATH=test/run/services
for part in ${WEFT_BADLUCK_PARTS:-cut flap}; do
	echo "$n $failures" >"$WEFT_TAP"
	python3 test/run/badluck/$part.py
	status=$?
	read -r n failures <"$WEFT_TAP"
	ok "the part on $part came to its end" $status
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
