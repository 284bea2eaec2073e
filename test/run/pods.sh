#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The life of pods in the sandbox: what runs with which rights, init containers, restarts, ends, one name twice, Jobs,
# the node's network, what stand-ins call, and DNS: both families, headless, SRV, PTR, and how soon a change is seen.
cd "$(dirname "$0")/../.." || exit 1
test=pods
. test/run/cluster_lib
standin=$build/src/standin/weft-standin

cat >"$dir/all.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: c, image: db, ports: [{name: sql, containerPort: 5432}, {name: d, containerPort: 5432, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ipFamilyPolicy: PreferDualStack
  clusterIP: 10.96.7.7
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 2
  initContainers:
  - {name: first, image: i, env: [{name: DB, value: "db-0.db:5432"}]}
  - {name: side, image: i, restartPolicy: Always, ports: [{containerPort: 81}]}
  - {name: second, image: i, args: ["--wait=udp://db-1.db:5432"]}
  containers:
  - name: c
    image: web
    ports: [{name: http, containerPort: 80}]
    env:
    - {name: HOST, value: db-1.db.shop}
    - {name: DB, value: "postgres://u:p@$(HOST):5432/x"}
    - {name: LATE, value: "http://late/x"}
    - {name: NOT, value: "nobody:1"}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop}
spec: {nodeName: node-1, hostNetwork: true, containers: [{name: c, image: h, ports: [{containerPort: 8099}], env: [{name: A, value: "web:80"}]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: j, env: [{name: A, value: "db:5432"}]}]
Y
api() { # METHOD PATH [BODY]
	curl -s --unix-socket $run/hub.sock -X "$1" ${3:+-H "Content-Type: application/json" --data-binary "$3"} "http://hub$2"
}
pod() { # NAME EXPRESSION on o
	api GET "/api/v1/namespaces/shop/pods/$1" | python3 -c '
import json, sys
o = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2" 2>/dev/null
}
in_pod() { # POD COMMAND…
	p=$1
	shift
	nsenter --net="/run/netns/weft-$name-shop.$p" "$@"
}
group() { # NODE POD
	find /sys/fs/cgroup -path "*/weft.$name/$1/shop.$2/cgroup.procs" 2>/dev/null | head -n 1
}
calls() { # POD CONTAINER HOST STATE: the last word on that call
	grep "\"call\":\"$3\"" "$run/pods/shop_$1/$2.log" | tail -n 1 | grep -q "\"state\":\"$4\""
}

"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
remarked() { cat "$dir/up" $run/log/weft.log | grep -q 'NOT names nobody:1, which is no Service'; }
wait_for remarked
ok "a value that names no Service is a remark" $?

# init containers in their order, the sidecar stays
running() { [ "$(pod web 'o["status"]["phase"]')" = Running ]; }
wait_for running
ok "init containers are played to their end" $?
same "both ended well, the sidecar runs" \
	"$(pod web '[list(c["state"])[0] for c in o["status"]["initContainerStatuses"]]')" "['terminated', 'running', 'terminated']"
grep -q 'db-1.db:5432 answered' "$run/pods/shop_web/second.log"
ok "an init container called what its arguments name, over UDP" $?

# rights
proc=$(tail -n 1 "$(group node-2 web)")
same "containers are processes of the pod's cgroup" "$(wc -l <"$(group node-2 web)")" 2
same "with a uid of their own" "$(awk '/^Uid/ { print $2, $3, $4 }' /proc/"$proc"/status)" "65533 65533 65533"
same "without capabilities, not even to gain" \
	"$(awk '/^Cap(Prm|Eff|Bnd|Amb)|^NoNewPrivs/ { s = s $2 " " } END { print s }' /proc/"$proc"/status)" \
	"0000000000000000 0000000000000000 0000000000000000 0000000000000000 1 "
same "the pod's resolv.conf" "$(sed -n 's/^search //p' /proc/"$proc"/root/etc/resolv.conf)" \
	"shop.svc.cluster.local svc.cluster.local cluster.local"
! grep -q "weft-$name" /proc/"$proc"/mounts
ok "a pod's mounts hold nothing of the cluster's" $?
! su -s /bin/sh nobody -c : 2>/dev/null || ! setpriv --reuid 65533 --clear-groups curl -s --unix-socket $run/hub.sock http://h/api >/dev/null 2>&1
ok "the API's socket is closed to workloads" $?

# calls
wait_for calls web c db-1.db.shop ok
ok "\$(VAR) in values; the call by a pod's name is answered" $?
wait_for calls host c web ok
ok "SV49 a pod on the node's network reaches a Service" $?
api POST /api/v1/namespaces/shop/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"late"},"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}}' >/dev/null
wait_for calls web c late ok
ok "a Service that comes later is called" $?
done_job() { [ "$(api GET /api/v1/namespaces/shop/pods | python3 -c '
import json, sys
print([o["status"]["phase"] for o in json.load(sys.stdin)["items"] if o["metadata"]["name"].startswith("once")])')" = "['Succeeded']" ]; }
wait_for done_job
ok "the Job's pod ends with success" $?

# DNS
ask() { in_pod web python3 test/run/pods/ask.py "$@"; }
v4=$(pod db-0 'o["status"]["podIPs"][0]["ip"]') w4=$(pod db-1 'o["status"]["podIPs"][0]["ip"]')
v6=$(pod db-0 'o["status"]["podIPs"][1]["ip"]')
s=svc.cluster.local
for server in 10.96.0.10 fd57:e7f7:0:96::a; do
	same "A of a Service, asked at $server" "$(ask $server web.shop.$s A)" 10.96.7.7
	same "AAAA of a Service, asked at $server" "$(ask $server web.shop.$s AAAA | cut -c1-16)" fd57:e7f7:0:96::
done
same "over TCP" "$(ask 10.96.0.10 web.shop.$s A tcp)" 10.96.7.7
same "headless: all ready endpoints" "$(ask 10.96.0.10 db.shop.$s A)" "$(printf '%s\n' "$v4" "$w4" | LC_ALL=C sort | xargs)"
same "a pod's own name" "$(ask 10.96.0.10 db-0.db.shop.$s A) $(ask 10.96.0.10 db-0.db.shop.$s AAAA)" "$v4 $v6"
same "SRV of a Service" "$(ask 10.96.0.10 _http._tcp.web.shop.$s SRV)" "80 web.shop.$s"
same "SRV of a headless one" "$(ask 10.96.0.10 _sql._tcp.db.shop.$s SRV)" "5432 db-0.db.shop.$s 5432 db-1.db.shop.$s"
same "PTR of a Service" "$(ask 10.96.0.10 7.7.96.10.in-addr.arpa PTR)" "web.shop.$s"
same "PTR of a pod" "$(ask 10.96.0.10 "$(echo "$v4" | awk -F. '{ print $4 "." $3 "." $2 "." $1 }').in-addr.arpa" PTR)" "db-0.db.shop.$s"
same "a pod by its address" "$(ask 10.96.0.10 "$(echo "$v4" | tr . -).shop.pod.cluster.local" A)" "$v4"
same "ExternalName" "$(ask 10.96.0.10 alias.shop.$s CNAME)" "web.shop.$s"
same "what is not there does not exist" "$(ask 10.96.0.10 nope.shop.$s A)" NXDOMAIN
same "nor does the world" "$(ask 10.96.0.10 www.example.com A)" NXDOMAIN
same "a name of the other family only is no error" "$(ask 10.96.0.10 _http._tcp.web.shop.$s A)" NODATA
in_pod web python3 test/run/pods/ask.py 10.96.0.10 soon.shop.$s A until 3 >"$dir/ms" &
sleep 0.2
begin=$(date +%s%3N)
api POST /api/v1/namespaces/shop/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"soon"},"spec":{"ports":[{"port":80}]}}' >/dev/null
wait $!
ms=$(($(date +%s%3N) - begin))
[ "$(cat "$dir/ms")" != never ] && [ $ms -lt 1000 ]
ok "a new Service has its name within $ms ms, the tools' starts included" $?

# restarts and ends
kill -9 "$proc"
restarted() { [ "$(pod web 'sum(c["restartCount"] for c in o["status"]["containerStatuses"] + o["status"]["initContainerStatuses"])')" = 1 ]; }
wait_for restarted
ok "a container that died is started again, and counted" $?
old=$(pod db-0 'o["metadata"]["uid"]')
api DELETE /api/v1/namespaces/shop/pods/db-0 >/dev/null
renewed() { [ -n "$(pod db-0 'o["metadata"]["uid"]')" ] && [ "$(pod db-0 'o["metadata"]["uid"]')" != "$old" ] && [ "$(pod db-0 'o["status"]["phase"]')" = Running ]; }
wait_for renewed
ok "a deleted pod of a StatefulSet comes back under its name" $?
fresh=$(pod db-0 'o["status"]["podIPs"][0]["ip"]')
named() { [ "$(ask 10.96.0.10 db-0.db.shop.$s A)" = "$fresh" ]; }
wait_for named
ok "and its name leads to its new address" $?
sed -i '/^kind: Pod$/{N;/name: web,/s/app: web/app: gone/}' "$dir/all.yaml"
api DELETE /api/v1/namespaces/shop/pods/host >/dev/null 2>&1
python3 - "$dir/all.yaml" <<'P'
import sys
parts = open(sys.argv[1]).read().split("---\n")
open(sys.argv[1], "w").write("---\n".join(p for p in parts if "name: host," not in p))
P
left() { [ ! -e $run/pods/shop_host ] && [ -z "$(group node-1 host)" ]; }
wait_for left
ok "a pod whose manifest went leaves no folder, cgroup or process" $?

"$weft" down --name $name >"$dir/down" 2>&1
ok "down" $?
! ls /run/netns 2>/dev/null | grep -q "weft-$name" && [ ! -e $run ]
ok "nothing is left" $?
finish
