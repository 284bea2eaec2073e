#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What survives: kill -9 of the hub, a full disk, files that change, break and go while it runs or does not.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
pods=/api/v1/namespaces/shop/pods
shop
start --sandbox --nodes 2
node 0 >/dev/null
node 1 >/dev/null
api POST /api/v1/namespaces '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"lab"}}' >/dev/null
api POST /api/v1/namespaces/lab/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}}' >/dev/null
placed() { [ "$(api GET "$pods" | field 'len([1 for p in o["items"] if p["status"].get("podIPs")])')" = "$1" ]; }
wait_for placed 2
pod=$(api GET "$pods" | field 'o["items"][0]["metadata"]["name"]')
uid=$(api GET "$pods/$pod" | field 'o["metadata"]["uid"]')
api PATCH "$pods/$pod/status" '{"status":{"containerStatuses":[{"name":"c","image":"","imageID":"","restartCount":0,"state":{"running":{}}}]}}' \
	application/merge-patch+json >/dev/null
api PUT /apis/weft.network/internal/readiness '{"pod":"shop/'"$pod"'","uid":"'"$uid"'","container":"c","ready":true}' >/dev/null
state() {
	for r in /api/v1/pods /api/v1/services /api/v1/nodes /api/v1/namespaces /apis/apps/v1/deployments /apis/apps/v1/replicasets \
		/apis/discovery.k8s.io/v1/endpointslices; do
		api GET $r | field 'json.dumps(o["items"], indent=1)'
	done
}
settled() { # the state reads the same twice
	state >"$dir/a"
	sleep 0.1
	state >"$dir/b"
	cmp -s "$dir/a" "$dir/b"
}
wait_for settled
state >"$dir/before"
version=$(api GET "$pods" | field 'o["metadata"]["resourceVersion"]')
grep server "$run/kubeconfig" >"$dir/port"

stop KILL
start --sandbox --nodes 2
state >"$dir/after"
cmp -s "$dir/before" "$dir/after"
ok "after kill -9 everything is as it was: uids, addresses, versions, times, status" $?
diff "$dir/before" "$dir/after" | head -20 | sed 's/^/# /'
same "a watch goes on from the version it had" "$(code GET "$pods?watch=true&timeoutSeconds=1&resourceVersion=$version")" 200
same "an older one lists again" "$(code GET "$pods?watch=true&timeoutSeconds=1&resourceVersion=3")" 410
wait_for grep -q server "$run/kubeconfig"
grep server "$run/kubeconfig" | cmp -s - "$dir/port"
ok "the kubeconfig still fits" $?
api PATCH "$pods/$pod/status" '{"status":{"containerStatuses":[{"name":"c","image":"x","imageID":"","restartCount":0,"state":{"running":{}}}]}}' \
	application/merge-patch+json >"$dir/out"
same "versions go on" "$(field "int(o['metadata']['resourceVersion']) > $version" <"$dir/out")" True
same "readiness is remembered" "$(field '[c["ready"] for c in o["status"]["containerStatuses"]]' <"$dir/out")" "[True]"

# files while it runs
sed -i 's/replicas: 2/replicas: 3/' "$manifests/shop.yaml"
wait_for placed 3
ok "saving a file changes the running cluster" $?
sed -i 's/selector: {app: web}/selector: [app/' "$manifests/shop.yaml"
broken() { api GET /apis/weft.network/internal/remarks | grep -q '"level":"error"'; }
wait_for broken
ok "a broken file is remarked" $?
same "and what it held stays in force" "$(code GET /api/v1/namespaces/shop/services/web)" 200
sed -i 's/selector: \[app/selector: {app: web}/' "$manifests/shop.yaml"
fixed() { ! broken; }
wait_for fixed
ok "mended, the remark goes" $?
cat >"$manifests/clash.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: clash, namespace: lab}
spec: {clusterIP: 10.96.5.5, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: lab}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: clash2, namespace: lab}
spec: {clusterIP: 10.96.5.5, ports: [{port: 80}]}
YAML
wait_for broken
remarks=$(api GET /apis/weft.network/internal/remarks)
has "a name that the API has is refused to a file" "$remarks" "Service lab/s is already there: it was made through the API"
has "an address that another file's Service has, too" "$remarks" "clash.yaml:1:1: Service lab/clash"

cat >"$manifests/pod.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: own, labels: {tier: one}}
---
apiVersion: v1
kind: Pod
metadata: {name: single, namespace: own}
spec: {containers: [{name: c, image: "i:1"}]}
YAML
own=/api/v1/namespaces/own
bound() { [ -n "$(api GET $own/pods/single | field 'o["status"].get("podIP", "")' 2>/dev/null)" ]; }
wait_for bound
first=$(api GET $own/pods/single | field 'o["metadata"]["uid"]')
sed -i 's/"i:1"/"i:2"/' "$manifests/pod.yaml"
ending() { api GET $own/pods/single | grep -q deletionTimestamp; }
wait_for ending
ok "another spec of a file's pod ends the first" $?
api DELETE "$own/pods/single?gracePeriodSeconds=0" >/dev/null
wait_for bound
has "and makes a second in its place" "$(api GET $own/pods/single)" '"image":"i:2"'
hasnt "with another uid" "$(api GET $own/pods/single)" "$first"
sed -i '1,/^---/d' "$manifests/pod.yaml"
unlabelled() { ! api GET $own | grep -q '"tier"'; }
wait_for unlabelled
same "a Namespace that goes from a file but is used stays, without its labels" "$(code GET $own) $(code GET $own/pods/single)" "200 200"
rm "$manifests/pod.yaml"
wait_for ending
ok "a pod that goes from a file ends" $?

# files while it does not run
stop KILL
rm "$manifests/clash.yaml"
sed -i 's/replicas: 3/replicas: 1/' "$manifests/shop.yaml"
start --sandbox
same "what files lost meanwhile is gone" "$(code GET /api/v1/namespaces/lab/services/clash)" 404
same "what the API made is not" "$(code GET /api/v1/namespaces/lab/services/s)" 200
fewer() { [ "$(api GET "$pods" | field 'len([1 for p in o["items"] if "deletionTimestamp" not in p["metadata"]])')" = 1 ]; }
wait_for fewer
ok "and a changed file holds" $?
stop KILL
sed -i 's/selector: {app: web}/selector: [app/' "$manifests/shop.yaml"
start --sandbox
same "a file broken meanwhile keeps what it held" "$(code GET /api/v1/namespaces/shop/services/web)" 200
sed -i 's/selector: \[app/selector: {app: web}/' "$manifests/shop.yaml"

# bad starts
"$HUB" --name test --dir "$run" "$manifests" 2>"$dir/out"
same "a second hub does not start" "$?" 1
has "and says why" "$(cat "$dir/out")" "a hub already serves there"
stop TERM
"$HUB" --name test --dir "$run" "$dir/nowhere" 2>"$dir/out"
same "a missing folder is an error" "$?" 1
has "that names it" "$(cat "$dir/out")" "$dir/nowhere"
cp "$run/hub.db" "$dir/hub.db"
echo "no database, but long enough to look like one at first sight" >"$run/hub.db"
rm -f "$run/hub.db-wal"
"$HUB" --name test --dir "$run" "$manifests" 2>"$dir/out"
same "a file that is no database is an error" "$?" 1
cp "$dir/hub.db" "$run/hub.db"

# a full disk
if [ "$(id -u)" = 0 ] && mkdir "$dir/small" && mount -t tmpfs -o size=1m none "$dir/small" 2>/dev/null; then
	mounted=$dir/small
	run=$dir/small
	start --sandbox --no-tls
	cm() { code POST /api/v1/namespaces/default/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$1"'"}}'; }
	same "there is room" "$(cm one)" 201
	version=$(api GET /api/v1/configmaps | field 'o["metadata"]["resourceVersion"]')
	dd if=/dev/zero of="$run/fill" bs=4k 2>/dev/null
	last=201
	i=0
	while [ "$last" = 201 ] && [ $i -lt 300 ]; do
		i=$((i + 1))
		last=$(cm "c$i")
	done
	same "a full disk refuses the write" "$last" 500
	same "and nothing of it is there" "$(code GET /api/v1/namespaces/default/configmaps/c$i)" 404
	has "in words" "$(api POST /api/v1/namespaces/default/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"z"}}')" "nothing was changed"
	stop KILL
	rm -f "$run/fill"
	start --sandbox --no-tls
	same "what was taken before is kept" "$(code GET /api/v1/namespaces/default/configmaps/one) $(code GET /api/v1/namespaces/default/configmaps/c$i)" "200 404"
	same "and there is room again" "$(cm two)" 201
	stop TERM
else
	n=$((n + 1))
	echo "ok $n - a full disk # SKIP no small file system can be mounted here"
fi
finish
