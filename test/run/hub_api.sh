#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The hub's API by curl over its Unix socket: reading, watching, writing, ownership, status, limits.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
pods=/api/v1/namespaces/shop/pods
shop
start --sandbox --nodes 2
node 0 >/dev/null
node 1 >/dev/null
placed() { [ "$(api GET "$pods" | field '[1 for p in o["items"] if p["status"].get("podIPs")]')" = '[1, 1]' ]; }
wait_for placed
ok "a Deployment of a file has its pods, with addresses" $?
same "one pod a node" "$(api GET "$pods" | field 'sorted(p["spec"]["nodeName"] for p in o["items"])')" "['node-1', 'node-2']"
pod=$(api GET "$pods" | field 'o["items"][0]["metadata"]["name"]')
uid=$(api GET "$pods/$pod" | field 'o["metadata"]["uid"]')

# reading
same "list kind" "$(api GET /api/v1/pods | field 'o["kind"]')" PodList
same "selectors: in" "$(api GET "$pods?labelSelector=app+in+(web,x)" | field 'len(o["items"])')" 2
same "selectors: not" "$(api GET "$pods?labelSelector=app!%3Dweb" | field 'len(o["items"])')" 0
same "field selector" "$(api GET "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1" | field 'len(o["items"])')" 1
same "unknown field selector" "$(code GET "/api/v1/pods?fieldSelector=spec.foo%3D1")" 400
same "bad label selector" "$(code GET "/api/v1/pods?labelSelector=a+in+(")" 400
same "not there" "$(api GET "$pods/nope" | field 'o["reason"], o["code"], o["details"]["kind"]')" "('NotFound', 404, 'pods')"
same "unknown resource" "$(code GET /api/v1/unicorns)" 404
same "discovery names networkpolicies" "$(api GET /apis/networking.k8s.io/v1 | field 'o["resources"][0]["name"]')" networkpolicies
has "positions on request" "$(api GET "/apis/apps/v1/namespaces/shop/deployments/web?positions=true")" weftPositions
hasnt "and only then" "$(api GET /apis/apps/v1/namespaces/shop/deployments/web)" weftPositions
same "events tell where pods were put" "$(api GET "/api/v1/events?fieldSelector=involvedObject.kind%3DPod,reason%3DScheduled,involvedObject.name%3D$pod" | field 'o["kind"], len(o["items"]), o["items"][0]["message"].startswith("Successfully assigned shop/")')" "('EventList', 1, True)"
same "and what a Deployment wants" "$(api GET "/api/v1/namespaces/shop/events?fieldSelector=involvedObject.kind%3DDeployment" | field '[(e["reason"], e["message"][-4:]) for e in o["items"]]')" "[('ScalingReplicaSet', 'to 2')]"
same "none of another object" "$(api GET "/api/v1/events?fieldSelector=involvedObject.name!%3D$pod,involvedObject.uid%3D$uid" | field 'o["items"]')" "[]"
same "each node has a Lease" "$(api GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1 |
	field 'o["spec"]["holderIdentity"]')" node-1

# ownership
deployment=/apis/apps/v1/namespaces/shop/deployments/web
has "a file's object cannot be deleted" "$(api DELETE "$deployment")" "manifests/shop.yaml:6:1: delete it there"
same "with 409" "$(code DELETE "$deployment")" 409
same "nor its spec changed" "$(code PATCH "$deployment" '{"spec":{"replicas":5}}' application/merge-patch+json)" 409
same "a change of nothing is none" "$(code PATCH "$deployment" '{"spec":{"replicas":2}}' application/merge-patch+json)" 200
has "nor made again" "$(api POST /apis/apps/v1/namespaces/shop/deployments "$(api GET "$deployment" |
	field 'json.dumps({**o,"metadata":{"name":"web"}})')")" "already exists, from"

# status and readiness
status='{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"web:1","imageID":"","restartCount":0,
	"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}},"ready":true}]}}'
version=$(api GET /api/v1/pods | field 'o["metadata"]["resourceVersion"]')
api PATCH "$pods/$pod/status" "$status" application/merge-patch+json >"$dir/out"
same "what runs is Running" "$(field 'o["status"]["phase"]' <"$dir/out")" Running
ready='[c["status"] for c in o["status"]["conditions"] if c["type"] == "Ready"]'
same "but not ready before its probe said so" "$(field "$ready" <"$dir/out")" "['False']"
same "addresses stay the hub's" "$(field 'len(o["status"]["podIPs"])' <"$dir/out")" 2
say() { api PUT /apis/weft.network/internal/readiness '{"pod":"shop/'"$pod"'","uid":"'"$1"'","container":"c","ready":'"$2"'}'; }
has "readiness of another life is refused" "$(say 0-0 true)" NotFound
say "$uid" true >/dev/null
same "the probe makes it ready" "$(api GET "$pods/$pod" | field "$ready")" "['True']"
slices='/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb'
in_slice() { [ "$(api GET "$slices" | field '[e["conditions"]["ready"] for s in o["items"] if s["addressType"]=="IPv4" for e in s["endpoints"]].count(True)')" = "$1" ]; }
wait_for in_slice 1
ok "and its endpoint" $?
api GET "$slices" | grep -q '"port":8080'
ok "named targetPort is resolved" $?

# watching from a version on: the two changes, and nothing else
curl -s --max-time 2 --unix-socket "$run/hub.sock" "http://hub$pods?watch=true&resourceVersion=$version&timeoutSeconds=1" >"$dir/out"
same "a watch tells what came after" "$(field '[json.loads(l)["type"] for l in o]' <<EOF
$(python3 -c 'import json,sys; print(json.dumps([l for l in open(sys.argv[1])]))' "$dir/out")
EOF
)" "['MODIFIED', 'MODIFIED']"
same "a version of the future is 410" "$(code GET "$pods?watch=true&resourceVersion=999999")" 410
same "text is no version" "$(code GET "$pods?watch=true&resourceVersion=x")" 400
curl -s --max-time 3 --unix-socket "$run/hub.sock" "http://hub$pods?watch=true&timeoutSeconds=1&allowWatchBookmarks=true" >"$dir/out"
same "without a version the state comes first, a bookmark last" \
	"$(sed 's/{"type":"\([A-Z]*\)".*/\1/' "$dir/out" | tr '\n' ' ')" "ADDED ADDED BOOKMARK "

# writing
post() { api POST "$@"; }
same "a Namespace is made" "$(code POST /api/v1/namespaces '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"lab"}}')" 201
lab=/api/v1/namespaces/lab
cm='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"c-"},"data":{"a":"b"}}'
name=$(post $lab/configmaps "$cm" | field 'o["metadata"]["name"]')
has "a name is generated" "$name" c-
same "dry run keeps nothing" "$(code POST "$lab/configmaps?dryRun=All" "$(echo "$cm" | sed 's/generateName":"c-"/name":"dry"/')") $(code GET $lab/configmaps/dry)" "201 404"
api GET "$lab/configmaps/$name" >"$dir/cm"
same "update" "$(code PUT "$lab/configmaps/$name" "$(sed 's/"a":"b"/"a":"c"/' "$dir/cm")")" 200
forged='"weftPositions":{"file":"/etc/passwd","at":{"":[1,1,1]}}'
same "an update cannot claim to come from a file" "$(code PUT "$lab/configmaps/$name" "$(sed "s|^{|{$forged,|" "$dir/cm")")" 400
same "nor a patch" "$(code PATCH "$lab/configmaps/$name" "{$forged}" application/merge-patch+json)" 400
same "nor a new object" "$(code POST "$lab/configmaps" "{$forged,\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"forged\"}}")" 400
same "update of an old version" "$(code PUT "$lab/configmaps/$name" "$(cat "$dir/cm")")" 409
same "merge patch" "$(api PATCH "$lab/configmaps/$name" '{"data":{"a":null,"d":"e"}}' application/merge-patch+json | field 'o["data"]')" "{'d': 'e'}"
same "a strategic merge is taken" "$(code PATCH "$lab/configmaps/$name" '{}' application/strategic-merge-patch+json)" 200
same "other patches are refused" "$(code PATCH "$lab/configmaps/$name" '{}' application/x-patch)" 415
same "protobuf is refused" "$(code POST $lab/configmaps xx application/vnd.kubernetes.protobuf)" 415
same "no such namespace" "$(code POST /api/v1/namespaces/nowhere/configmaps "$cm")" 404
same "kind of another URL" "$(code POST $lab/secrets "$cm")" 400
same "broken JSON" "$(code POST $lab/configmaps '{"a":')" 400
has "invalid: field and advice" "$(post $lab/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":70000}]}}')" '"code":422'
typo='{"apiVersion":"v1","kind":"Pod","metadata":{"name":"t"},"spec":{"contaniers":[],"containers":[{"name":"c","image":"i"}]}}'
has "strict: unknown fields" "$(post "$lab/pods?fieldValidation=Strict&dryRun=All" "$typo")" "strict decoding error: unknown field"
has "else a warning" "$(curl -si --unix-socket "$run/hub.sock" -H 'Content-Type: application/json' -d "$typo" "http://hub$lab/pods?dryRun=All")" "Warning: 299 - "
python3 -c 'import json
print(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd"}, "spec": {"containers": [{"name": "c", "image": "x"}], **{"x" * 90 + str(i): 1 for i in range(3000)}}}))' >"$dir/odd"
has "a body of such fields, too: as many warnings as have room" "$(curl -si --unix-socket "$run/hub.sock" -H 'Content-Type: application/json' -d @"$dir/odd" "http://hub$lab/pods?dryRun=All")" "more unknown fields"
same "deleting answers Success" "$(api DELETE "$lab/configmaps/$name" | field 'o["status"]')" Success
same "a Secret is kept, in memory" "$(code POST $lab/secrets '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"k":"c2VjcmV0LXdvcmQ="}}')" 201
same "never on disk" "$(cat "$run"/hub.db* | grep -c c2VjcmV0LXdvcmQ)" 0

# ending pods
same "a pod that runs is only marked" "$(api DELETE "$pods/$pod" | field 'o["metadata"]["deletionGracePeriodSeconds"]')" 30
replaced() { [ "$(api GET "$pods" | field 'len(o["items"])')" = 3 ]; }
wait_for replaced
ok "and replaced" $?
same "the runtime ends it" "$(code DELETE "$pods/$pod?gracePeriodSeconds=0") $(code GET "$pods/$pod")" "200 404"
same "namespaces end when they are empty" "$(code DELETE $lab)" 200
lab_gone() { [ "$(code GET $lab)" = 404 ]; }
wait_for lab_gone
ok "and then are gone" $?
same "one with a file's objects does not" "$(code DELETE /api/v1/namespaces/shop)" 409

# limits
head -c 4000000 /dev/zero | tr '\0' ' ' >"$dir/big"
same "a large body is refused" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$run/hub.sock" -H 'Content-Type: application/json' \
	-H 'Expect:' --data-binary @"$dir/big" "http://hub/api/v1/namespaces")" 413
same "in chunks too" "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$run/hub.sock" -H 'Content-Type: application/json' \
	-H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @"$dir/big" "http://hub/api/v1/namespaces")" 413
same "an escaped NUL is refused" "$(code GET /api/v1/pods%00)" 400
python3 - "$run/hub.sock" "$dir" <<'PY' >"$dir/out"
import socket, sys, random, json
def ask(raw):
    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(sys.argv[1])
    try:
        s.sendall(raw); return s.recv(65536)
    except OSError:
        return b""
    finally:
        s.close()
print(ask(b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}").split(b"\r\n")[0].decode())
random.seed(1)
good = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "f", "namespace": "shop", "labels": {"a": "b"}}, "spec": {
    "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "b"}]}]}}).encode()
bad = 0
for i in range(1500):
    b = bytearray(good)
    for _ in range(random.randint(1, 6)):
        j = random.randrange(len(b)); what = random.randrange(4)
        if what == 0: b[j] = random.randrange(256)
        elif what == 1: del b[j]
        elif what == 2: b[j:j] = bytes(random.choice([b'{', b'[', b'"', b'null', b'1e999', b'\xff', b'-', b'"a":']))
        else: b[j:j] = b[random.randrange(len(b)):][:8]
    path, method = random.choice([(b"/api/v1/namespaces/shop/pods?dryRun=All", b"POST"), (b"/api/v1/namespaces/shop/pods/x/status", b"PATCH"),
        (b"/apis/weft.network/internal/readiness", b"PUT"), (b"/apis/apps/v1/namespaces/shop/deployments/web", b"PATCH"),
        (b"/apis/apps/v1/namespaces/shop/deployments/web", b"DELETE")])
    r = ask(method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/merge-patch+json, application/json\r\nContent-Length: %d\r\n\r\n" % len(b) + bytes(b))
    if not r.startswith(b"HTTP/1.1 ") or r[9:12] == b"500": bad += 1
print("bad", bad)
PY
has "two lengths are refused" "$(cat "$dir/out")" "HTTP/1.1 400"
has "1,500 damaged bodies get an answer each" "$(cat "$dir/out")" "bad 0"
serving >/dev/null
ok "and the hub serves on" $?
stop TERM
same "SIGTERM ends it in order" "$ended" 0
finish
