#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Alerts, by real packets, a real cluster and real receivers: drops of a reason, a Service that is slow and a node that is
# away fire, are told once, and are over; receivers that are dead, slow or lie hold nobody up; secrets are in no log; kill -9
# of the hub tells nothing twice. Lost records (BR24) and sums that do not match (BR16) fire by node. Alertmanager itself takes
# them. The checks are in alerts/play.py.
cd "$(dirname "$0")/../.." || exit 1
test=alerts
. test/run/cluster_lib
. test/run/manifest_lib
mkdir "$dir/m"
chmod 755 "$dir" "$dir/m"
{
	pod web node-1 80 ready
	service web 80
	pod caller node-1
	pod other node-2
	pod shut node-1
	shut shut
} >"$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
python3 test/run/alerts/play.py "$weft" $name "$n" "$dir" || failures=1
[ -s "$dir/count" ] && n=$(cat "$dir/count")
finish
