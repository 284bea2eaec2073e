#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Agents, pods and nodes of the shop are killed by chance ($SECONDS_LONG s, 60; $SEED, 1) on three nodes, while pods and the
# host outside ask its Services in both families, on new connections and on open ones. Each lost request is led back to what
# it was lost to; what was not lost in a killed pod, or on the way to it before its death was known, fails (SV60, SV53).
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=soak
. test/run/cluster_lib
{
	sed "s/^  replicas: 2\$/  replicas: 3/" examples/shop/shop.yaml
	for i in 1 2 3; do
		cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: caller-$i, namespace: reports, labels: {app: caller}}
spec: {nodeName: node-$i, containers: [{name: c, image: a}], tolerations: [{operator: Exists}]}
Y
	done
} >"$dir/shop.yaml"
python3 - "$dir/shop.yaml" <<'P'
import sys
with open(sys.argv[1], encoding="ascii") as f:
    text = f.read()
head, cart = text.split("name: cart\n", 1)
with open(sys.argv[1], "w", encoding="ascii") as f:
    f.write(head + "name: cart\n" + cart.replace("spec:\n", "spec:\n  replicas: 3\n", 1))
P
cp examples/shop/policies.yaml "$dir/"
"$weft" up "$dir" --name $name --nodes 3 -d >"$dir/up" 2>&1
ok "the shop comes up on three nodes" $? || sed 's/^/# /' "$dir/up"
export WEFT_NAME=$name WEFT="$weft" WEFT_TAP="$dir/tap" WEFT_DIR="$dir" WEFT_SECONDS="${SECONDS_LONG:-60}" WEFT_SEED="${SEED:-1}"
echo "$n $failures" >"$WEFT_TAP"
python3 test/run/soak/soak.py
status=$?
read -r n failures <"$WEFT_TAP"
ok "it came to its end" $status
"$weft" down --name $name >/dev/null
ok "down" $?
! pgrep -f "weft-[a-z]* .*--name $name " >/dev/null
ok "no process is left" $?
! ls /run/netns 2>/dev/null | grep -q "^weft-$name"
ok "no namespace is left" $?
[ ! -e $run ]
ok "no file is left" $?
! find /sys/fs/cgroup -maxdepth 2 -name "weft.$name*" 2>/dev/null | grep -q .
ok "no cgroup is left" $?
"$weft" doctor >/dev/null
ok "weft doctor finds nothing" $?
finish
