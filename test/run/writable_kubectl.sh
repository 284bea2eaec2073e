#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kubectl changes objects of a file, and the file changes by just these lines.
cd "$(dirname "$0")/../.." || exit 1
command -v kubectl >/dev/null || {
	echo "1..0 # SKIP there is no kubectl on this machine"
	exit 0
}
. test/run/hub_lib
export KUBECACHEDIR="$dir/cache" HOME="$dir" KUBECONFIG="$run/kubeconfig"
f=$manifests/shop.yaml
cat >"$f" <<'YAML'
# The shop.

apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
# What people see.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2     # two will do
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      # the page
      - name: c
        image: "web:1"
        ports: [{name: http, containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  type: NodePort
  selector: {app: web}
  ports:
    - port: 80    # the page
      targetPort: http
      name: http
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {}   # all of the shop
# the end
YAML
start --sandbox --nodes 2 --writable
wait_for grep -q server "$KUBECONFIG"
node 0 >/dev/null
node 1 >/dev/null
k() { timeout 60 kubectl -n shop "$@" 2>&1; }
cp "$f" "$dir/before"
# The lines that differ since the last call are these; the rest is as it was, byte by byte.
lines() { # DESCRIPTION EXPECTED
	same "$1" "$(diff "$dir/before" "$f" | grep '^[<>\\]')" "$2"
	cp "$f" "$dir/before"
}

has "scale" "$(k scale deploy/web --replicas 3)" scaled
lines "scale: one line" '<   replicas: 2     # two will do
>   replicas: 3     # two will do'
same "scale: generation 2" "$(k get deploy/web -o jsonpath='{.metadata.generation} {.spec.replicas}')" "2 3"
has "label" "$(k label deploy/web tier=front)" labeled
lines "label: two lines more" '>   labels:
>     tier: front'
has "annotate" "$(k annotate deploy/web 'note=a: b')" annotated
lines "annotate: in quotes where they are needed" '>   annotations:
>     note: "a: b"'
has "label removed" "$(k label deploy/web tier-)" unlabeled
lines "label removed: the lines are gone" '<   labels:
<     tier: front'
has "set image" "$(k set image deploy/web c=web:2)" "image updated"
lines "set image: the quotes stay" '<         image: "web:1"
>         image: "web:2"'
has "set env" "$(k set env deploy/web A=1)" "env updated"
lines "set env" '>         env:
>         - name: A
>           value: "1"'
has "a strategic patch" "$(k patch svc web -p '{"spec":{"ports":[{"port":81,"name":"admin","targetPort":9}]}}')" patched
lines "a strategic patch: an item of the list, no node port of the server's" '>     - name: admin
>       port: 81
>       targetPort: 9'
same "its node port is the server's" "$(k get svc web -o jsonpath='{.spec.ports[1].nodePort}' | grep -c .)" 1
has "a JSON patch" "$(k patch svc web --type json -p '[{"op":"replace","path":"/spec/ports/0/port","value":8000}]')" patched
grep -q "port: 8000    # the page" "$f"
ok "a JSON patch: the remark stays" $?
cp "$f" "$dir/before"
has "a merge patch" "$(k patch netpol web --type merge -p '{"spec":{"podSelector":{"matchLabels":{"app":"site"}}}}')" patched
lines "a merge patch, in brackets" '<   podSelector: {matchLabels: {app: web}}
>   podSelector: {matchLabels: {app: site}}'
has "edit" "$(EDITOR="sed -i s/replicas:.3/replicas:\ 4/" k edit deploy/web)" edited
lines "edit" '<   replicas: 3     # two will do
>   replicas: 4     # two will do'

# apply, both ways
sed 's/replicas: 4 /replicas: 5 /' "$f" >"$dir/mine.yaml"
has "apply of a changed copy" "$(k apply -f "$dir/mine.yaml")" "deployment.apps/web configured"
lines "apply: the line, and no note of kubectl's own" '<   replicas: 4     # two will do
>   replicas: 5     # two will do'
out=$(k apply -f "$dir/mine.yaml")
same "apply again: everything is unchanged, without a warning" "$(echo "$out" | grep -vc unchanged)" 0
has "kubectl finds its note" "$(k get deploy web -o yaml)" last-applied-configuration
printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop, annotations: {team: a}}\nspec: {replicas: 5}\n' >"$dir/ssa.yaml"
has "apply on the server" "$(k apply --server-side --field-manager me -f "$dir/ssa.yaml")" serverside-applied
lines "apply on the server" '>     team: a'
has "the field has its owner" "$(k get deploy web -o yaml --show-managed-fields)" "manager: me"
k get svc web -o yaml | sed 's/port: 81$/port: 82/' >"$dir/svc.yaml"
has "replace with what get gave" "$(k replace -f "$dir/svc.yaml")" replaced
lines "replace: neither status nor what the server fills in" '<       port: 81
>       port: 82'

# what is refused, and what only asks
has "dry run" "$(k scale deploy/web --replicas 9 --dry-run=server)" "(server dry run)"
lines "dry run: nothing" ""
has "what is not valid" "$(k patch netpol web --type merge -p '{"spec":{"policyTypes":["Sideways"]}}')" "is invalid"
lines "what is not valid: nothing" ""
has "a namespace with objects of files" "$(k delete ns shop)" "shop.yaml:48:1: delete it there"
lines "nothing of it went" ""
has "delete, dry run" "$(k delete svc web --dry-run=server)" "deleted"
lines "delete, dry run: nothing" ""

# delete
has "delete" "$(k delete netpol web)" deleted
lines "delete: the document goes, the file's end stays" '< ---
< apiVersion: networking.k8s.io/v1
< kind: NetworkPolicy
< metadata: {name: web, namespace: shop}
< spec:
<   podSelector: {matchLabels: {app: site}}
<   ingress:
<   - from:
<     - podSelector: {}   # all of the shop'
has "it is gone" "$(k get netpol web)" NotFound
has "delete of a workload" "$(k delete deploy web --wait=false)" deleted
has "and of the rest" "$(k delete svc web)" deleted
has "and of the namespace" "$(k delete ns shop --wait=false)" deleted
same "what is left of the file" "$(cat "$f")" "# The shop.

# the end"
# What is born in the API stays in the hub.
has "an object of the API" "$(timeout 60 kubectl -n default create configmap born --from-literal=a=b 2>&1)" created
same "is in no file" "$(grep -rc born "$manifests" | grep -vc ':0')" 0
stop TERM
same "the hub ends" "$ended" 0
finish
