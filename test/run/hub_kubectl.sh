#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real kubectl against the hub's TLS port, with the kubeconfig that the hub wrote.
cd "$(dirname "$0")/../.." || exit 1
command -v kubectl >/dev/null || {
	echo "1..0 # SKIP there is no kubectl on this machine"
	exit 0
}
. test/run/hub_lib
export KUBECACHEDIR="$dir/cache" HOME="$dir" KUBECONFIG="$run/kubeconfig"
shop
start --sandbox --nodes 2
wait_for grep -q server "$KUBECONFIG"
node 0 >/dev/null
node 1 >/dev/null
k() { kubectl "$@" 2>&1; }
placed() { [ "$(k get pods -n shop -o name -l app=web | wc -l)" = 2 ] && ! k get pods -n shop -o wide | grep -q '<none> *<none> *<none> *<none>'; }
wait_for placed

same "the context is weft-NAME" "$(k config current-context)" weft-test
same "kubeconfig is private" "$(stat -c %a "$KUBECONFIG")" 600
out=$(k version)
has "version, without a warning of skew" "$out" "Server Version: v1.32"
hasnt "version, without a warning of skew" "$out" WARNING
out=$(k get all -A -o wide)
for part in "pod/web-" "service/web" "deployment.apps/web" "replicaset.apps/web-" "NodePort" "app=web" "10.244." "node-1" "node-2" "web:1"; do
	has "get all -A -o wide: $part" "$out" "$part"
done
hasnt "get all: no error" "$out" rror
has "get nodes -o wide" "$(k get nodes -o wide)" 172.31.0.10
has "get networkpolicy: none" "$(k get netpol -A)" "No resources found"
has "get by short name and label" "$(k get po -n shop -l app=web --show-labels)" "app=web,pod-template-hash="
has "sort by" "$(k get pods -n shop --sort-by=.metadata.name)" web-
has "get -o yaml" "$(k get svc web -n shop -o yaml)" "clusterIPs:"
has "get -o name" "$(k get ns -o name)" "namespace/shop"
has "api-resources" "$(k api-resources)" "networking.k8s.io/v1"
pod=$(k get pods -n shop -o jsonpath='{.items[0].metadata.name}')
has "describe pod" "$(k describe pod "$pod" -n shop)" "Controlled By:  ReplicaSet/web-"
has "describe service" "$(k describe svc web -n shop)" "TargetPort:               http/TCP"
out=$(k describe node node-1)
has "describe node" "$out" "PodCIDRs:"
hasnt "describe node finds its Lease" "$out" "Failed to get lease"

# explain, from the schemas
out=$(k explain deployment.spec.template.spec.containers)
for part in "GROUP:      apps" "FIELD: containers <[]Container>" "livenessProbe	<Probe>" "Restarts the container when it fails."; do
	has "explain: $part" "$out" "$part"
done
out=$(k explain netpol --recursive)
has "explain --recursive" "$out" "      from	<[]NetworkPolicyPeer>"
has "with required fields" "$out" "podSelector	<LabelSelector> -required-"
has "explain of an opaque kind" "$(k explain cm)" "binaryData	<map[string]string>"
has "explain of a kind of Weft's own" "$(k explain addresspool.spec)" "addresses	<[]string> -required-"
has "explain of a field that is not there" "$(k explain pod.spec.nope)" 'field "nope" does not exist'

# who may
same "auth can-i" "$(k auth can-i delete pods)" yes
has "auth can-i of what the hub makes itself" "$(k auth can-i create events)" "no - it can only be read"
has "auth can-i --list" "$(k auth can-i --list)" "networkpolicies.networking.k8s.io"
has "auth whoami" "$(k auth whoami)" "weft:admin"

# watch: what is made and deleted shows as it happens
kubectl get configmaps -n shop -w >"$dir/watch" 2>&1 &
watcher=$!
sleep 0.5
cat >"$dir/new.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: fresh, namespace: shop}
data: {a: b}
---
apiVersion: v1
kind: Pod
metadata: {name: single, namespace: shop, labels: {app: single}}
spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
YAML
has "create -f --validate=false" "$(k create -f "$dir/new.yaml" --validate=false)" "pod/single created"
has "create again: AlreadyExists" "$(k create -f "$dir/new.yaml" --validate=false)" "(AlreadyExists)"
has "a typing error in a ConfigMap is told, with the word that was meant" "$(sed 's/name: fresh/name: typo/;s/data:/dta:/;/^---/,$d' "$dir/new.yaml" | k create -f -)" 'unknown field "dta" (did you mean "data"?)'
has "create -f with validation" "$(sed 's/name: fresh/name: checked/;/^---/,$d' "$dir/new.yaml" | k create -f -)" created
has "apply of something new" "$(sed 's/name: fresh/name: applied/;/^---/,$d' "$dir/new.yaml" | k apply -f -)" created
has "label" "$(k label cm fresh -n shop x=y)" labeled
has "patch --type=merge" "$(k patch cm fresh -n shop --type=merge -p '{"data":{"c":"d"}}')" patched
has "replace" "$(k get cm fresh -n shop -o yaml | sed 's/a: b/a: e/' | kubectl replace -f - 2>&1)" replaced
same "what was replaced" "$(k get cm fresh -n shop -o jsonpath='{.data}')" '{"a":"e","c":"d"}'
k get cm fresh -n shop -o yaml >"$dir/old"
k label cm fresh -n shop x=z --overwrite >/dev/null
has "replace of an old version: Conflict" "$(sed 's/a: e/a: f/' "$dir/old" | k replace -f -)" "(Conflict)"
has "delete" "$(k delete cm fresh -n shop)" deleted
has "delete of a file's object: Conflict with file and line" "$(k delete deployment web -n shop)" "manifests/shop.yaml:6:1: delete it there"
has "edit of a file's object too" "$(k patch svc web -n shop --type=merge -p '{"spec":{"type":"ClusterIP"}}')" "manifests/shop.yaml:23:1: change it there"
has "a pod that follows from it may go" "$(k delete pod "$pod" -n shop --wait=false)" deleted
has "not found" "$(k get pod nope)" "(NotFound)"
has "invalid objects name the field" "$(k create --validate=false -f - <<'YAML'
{"apiVersion":"v1","kind":"Service","metadata":{"name":"bad"},"spec":{"ports":[{"port":70000}]}}
YAML
)" "is invalid"
sleep 0.3
has "the watch showed it" "$(cat "$dir/watch")" fresh
kill $watcher 2>/dev/null
wait $watcher 2>/dev/null

# the imperative forms, whose bodies are protobuf since 1.32
has "create namespace" "$(k create namespace lab)" "namespace/lab created"
k create deployment many -n lab --image=i:1 --replicas=3 --port=80 >/dev/null
same "create deployment" "$(k get deployment many -n lab -o jsonpath='{.spec.replicas} {.spec.template.spec.containers[0].name} {.spec.template.spec.containers[0].ports[0].containerPort} {.spec.selector.matchLabels}')" \
	'3 i 80 {"app":"many"}'
k create service nodeport np -n lab --tcp=80:http --node-port=30123 >/dev/null
same "create service" "$(k get svc np -n lab -o jsonpath='{.spec.type} {.spec.ports[0].targetPort} {.spec.ports[0].nodePort}')" "NodePort http 30123"
k create configmap text -n lab --from-literal=a=ü >/dev/null
same "create configmap" "$(k get cm text -n lab -o jsonpath='{.data.a}')" ü
k create secret generic key -n lab --from-literal=a=bcd >/dev/null
same "create secret: bytes in base64" "$(api GET /api/v1/namespaces/lab/secrets/key | field 'o["data"]["a"]')" YmNk
has "create serviceaccount" "$(k create sa who -n lab)" created
k create job once -n lab --image=i:1 -- echo hi >/dev/null
same "create job" "$(k get job once -n lab -o jsonpath='{.spec.template.spec.containers[0].command}')" '["echo","hi"]'
has "create of what is there" "$(k create deployment many -n lab --image=i:1)" 'deployments.apps "many" already exists'
has "a kind that is not there" "$(k create quota z -n lab)" "could not find the requested resource"

# cluster policies: what is not known is refused to a client that asks for strict validation, else kept, closed and told
cat >"$dir/cnp.yaml" <<'YAML'
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 7
  subject: {namespaces: {}}
  egress: [{action: Deny, to: [{tenants: {}}]}]
YAML
has "CN11 strict validation refuses an unknown peer" "$(k create -f "$dir/cnp.yaml")" 'unknown field "spec.egress[0].to[0].tenants"'
out=$(k apply -f "$dir/cnp.yaml" --validate=warn)
has "CN11 else it is told" "$out" "a Deny or Pass rule denies every peer"
has "CN11 and taken" "$out" "clusternetworkpolicy.policy.networking.k8s.io/guard created"
has "get cnp has its columns" "$(k get cnp)" "TIER    PRIORITY   AGE"
has "and its values" "$(k get cnp | tr -s ' ')" "guard Admin 7 "
closed() { k get cnp guard -o jsonpath='{.status.conditions[?(@.type=="FailsClosed")].status} {.spec.egress[0].to[0].weftUnknown}'; }
same "CN11 the status tells, and the name is kept" "$(closed)" 'True ["tenants"]'
sed -i 's/tenants: {}/namespaces: {}/' "$dir/cnp.yaml"
has "CN11 apply of a known peer" "$(k apply -f "$dir/cnp.yaml")" configured
same "CN11 opens it again" "$(closed)" "False "
has "CN05 a priority beyond 1000 is invalid" "$(sed 's/priority: 7/priority: 1001/' "$dir/cnp.yaml" | k apply -f -)" "spec.priority: 1001 is not from 0 to 1000"
has "CN20 a named port beside networks is invalid" "$(k patch cnp guard --type=merge -p '{"spec":{"egress":[{"action":"Deny","to":[{"networks":["10.0.0.0/8"]}],"protocols":[{"destinationNamedPort":"http"}]}]}}')" "networks have no named ports"
has "an annotation that says neither is invalid" "$(k annotate cnp guard weft.network/staged=yes)" '"yes" is neither'
has "describe cnp" "$(k describe cnp guard)" "Tier:"
has "delete cnp" "$(k delete cnp guard)" deleted

# the TLS port lets nobody else in
port=$(sed -n 's/.*127.0.0.1:\([0-9]*\).*/\1/p' "$KUBECONFIG")
python3 - "$KUBECONFIG" "$dir/ca.crt" <<'PY'
import base64, re, sys
text = open(sys.argv[1]).read()
open(sys.argv[2], "wb").write(base64.b64decode(re.search(r"certificate-authority-data: (\S+)", text).group(1)))
PY
same "no client certificate: 401" "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/ca.crt" "https://127.0.0.1:$port/api/v1/pods")" 401
curl -s -o /dev/null "https://127.0.0.1:$port/version"
same "a client that does not know the authority refuses" $? 60
cp "$KUBECONFIG" "$dir/other"
stop KILL
start --sandbox
wait_for grep -q server "$KUBECONFIG"
tls() { curl -s -o /dev/null --cacert "$dir/ca.crt" "https://127.0.0.1:$port/version"; }
wait_for tls
has "after kill -9 an old kubeconfig still works" "$(KUBECONFIG=$dir/other k get pods -n shop)" single
stop TERM
finish
