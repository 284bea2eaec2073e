#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# BR11: objects whose meaning stays while names, order and words change, again and again under load: no packet is lost and
# none comes twice, at a tool of the kernel's, behind a chain, and of the rest. First between plain interfaces, then in a
# cluster. The checks are in unchanged/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=unchanged
. test/run/cluster_lib
for p in tcpdump ip curl; do
	command -v $p >/dev/null || skip "needs $p"
done
ns=weft-$name-plain
trap 'ip netns del "$ns" 2>/dev/null; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
chmod 755 "$dir"
ip netns add "$ns"
ip netns exec "$ns" sh -ec '
	sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	for pair in src0:gen0 tool0:end0; do
		ip link add "${pair%:*}" type veth peer name "${pair#*:}"
		ip link set "${pair%:*}" up
		ip link set "${pair#*:}" up
	done'
mkdir "$dir/plain"
chmod 755 "$dir/plain"
ip netns exec "$ns" python3 -B test/run/unchanged/play.py "$weft" $name "$n" "$dir/plain" plain || failures=1
[ -s "$dir/plain/count" ] && n=$(cat "$dir/plain/count")

mkdir -p "$dir/cluster/all"
cat >"$dir/cluster/all/pods.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: near}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
Y
"$weft" up "$dir/cluster/all" --name $name --nodes 1 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
python3 -B test/run/unchanged/play.py "$weft" $name "$n" "$dir/cluster" cluster || failures=1
[ -s "$dir/cluster/count" ] && n=$(cat "$dir/cluster/count")
finish
