#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The outside host calls each node port on each node in both families, and follows the Services (SV35, SV38).
cd "$(dirname "$0")/../.." || exit 1
test=outside
. test/run/cluster_lib
log=$run/outside/outside.log
manifests() { # PORT
	cat >"$dir/all.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: c, image: web, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports:
  - {name: http, port: 80, nodePort: $1}
  - {name: ask, port: 53, protocol: UDP, nodePort: 30053}
Y
}
answered() { # HOST PORT
	grep -q "\"call\":\"$1\",\"port\":$2,.*\"state\":\"ok\".*\"pod\":\"web\"" "$log"
}
udp_answered() { grep -q "\"call\":\"$1\",\"port\":30053,.*\"state\":\"ok\"" "$log"; }

manifests 30080
"$weft" up "$dir" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $?
for host in 172.31.0.10 172.31.0.11 fd57:e7f7:0:1::10 fd57:e7f7:0:1::11; do
	wait_for answered $host 30080
	ok "SV35 the node port answers on $host" $?
	wait_for udp_answered $host
	ok "SV35 and by UDP" $?
done
manifests 30081
wait_for answered 172.31.0.11 30081
ok "SV38 a changed node port is called from then on" $?
grep -q '"port":30080' "/run/weft/$name/outside/outside.json"
[ $? = 1 ]
ok "SV38 and the old one no more" $?
nsenter --net=/run/netns/weft-$name-outside python3 -c '
import socket, sys
s = socket.socket()
s.settimeout(2)
sys.exit(0 if s.connect_ex(("172.31.0.10", 30080)) == 111 else 1)'
ok "SV38 it is refused" $?
"$weft" down --name $name >/dev/null
ok "down" $?
finish
