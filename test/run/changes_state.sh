#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# BR89: undo gives back the state that was loaded, to the byte; BR91: what is exported gives it elsewhere; BR90: two people
# at one draft.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
WEFT=${WEFT_BUILD:-$PWD/build}/src/cli/weft
I=/apis/weft.network/internal
shop
cat >>"$manifests/shop.yaml" <<'YAML'
---
# who may call web
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: page}}}], ports: [{port: http}]}]
YAML
export_all() { api GET $I/export; }
# Every object that the API has, without what each write and life makes anew.
cat >"$dir/state.py" <<'PY'
import json, subprocess, sys
def get(path):
    return json.loads(subprocess.run(["curl", "-s", "--unix-socket", sys.argv[1], "http://hub" + path], capture_output=True).stdout)
def plain(v, key=""):
    if isinstance(v, dict):
        return {k: plain(x, k) for k, x in sorted(v.items()) if k not in ("resourceVersion", "uid", "generation", "observedGeneration",
            "creationTimestamp", "managedFields", "ownerReferences", "weftPositions", "status") and not k.startswith("deployment.kubernetes.io")}
    return [plain(x) for x in v] if isinstance(v, list) else v
for path in ("/api/v1/namespaces", "/api/v1/configmaps", "/api/v1/services", "/apis/apps/v1/deployments", "/apis/networking.k8s.io/v1/networkpolicies",
             "/apis/apps/v1/statefulsets", "/apis/weft.network/v1alpha1/tools", "/apis/weft.network/v1alpha1/trafficmaps"):
    for o in get(path)["items"]:
        print(path, json.dumps(plain(o), sort_keys=True))
PY
state() { python3 "$dir/state.py" "$run/hub.sock"; }
plan() { "$WEFT" plan "$1" 2>&1; }
start --sandbox --writable --no-tls --page off
node 0 >/dev/null
api POST /api/v1/namespaces/shop/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"extra"},"spec":{"type":"NodePort","selector":{"app":"web"},"ports":[{"port":81,"targetPort":8080}]}}' >/dev/null
api POST /api/v1/namespaces/default/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"hub","labels":{"a":"b"}},"data":{"k":"v"}}' >/dev/null
state >"$dir/state.before"
export_all >"$dir/export.before.yaml"
cp -a "$manifests" "$dir/files"
rv() { api GET "$1" | field 'o["metadata"]["resourceVersion"]'; }
del() { printf '{"verb":"delete","kind":"%s","namespace":"shop","name":"%s"}' "$1" "$2"; }
out=$(api POST $I/changes '{"name":"much","edits":['"$(del NetworkPolicy web),$(del Service web),$(del Service extra)"',
	{"verb":"delete","kind":"ConfigMap","namespace":"default","name":"hub"},
	{"verb":"put","kind":"Namespace","name":"new","yaml":"apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n"},
	{"verb":"put","kind":"ConfigMap","namespace":"new","name":"c","yaml":"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: new}\ndata: {a: b}\n"},
	{"verb":"put","kind":"Deployment","namespace":"shop","name":"web","resourceVersion":"'"$(rv /apis/apps/v1/namespaces/shop/deployments/web)"'",
	 "yaml":"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  replicas: 4\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web, tier: x}}\n    spec: {containers: [{name: c, image: \"web:2\"}]}\n"}]}')
step=$(printf '%s' "$out" | field 'o["id"]')
has "a change of seven objects" "$out" '"id":'
state | cmp -s - "$dir/state.before"
ok "the state is another" "$((!$?))"
out=$(api POST "$I/changes/$step/undo" '{"reason":"all of it"}')
has "undone" "$out" '"id":'
wait_for sh -c "! curl -s --unix-socket $run/hub.sock http://hub/api/v1/namespaces/new | grep -q Terminating"
state >"$dir/state.after"
same "BR89 every object is what it was" "$(diff "$dir/state.before" "$dir/state.after")" ""
diff -r "$dir/files" "$manifests" >"$dir/diff"
ok "BR89 every file is what it was, to the byte" $?
export_all >"$dir/export.after.yaml"
same "BR89 and what is loaded, to the byte" "$(diff "$dir/export.before.yaml" "$dir/export.after.yaml")" ""
plan "$dir/export.before.yaml" >"$dir/plan.before"
plan "$dir/export.after.yaml" >"$dir/plan.after"
[ "$(wc -l <"$dir/plan.before")" -gt 20 ]
ok "a plan that says something" $?
same "BR89 and the plan" "$(sed 's/export\.[a-z]*\.yaml//' "$dir/plan.before" | cksum)" "$(sed 's/export\.[a-z]*\.yaml//' "$dir/plan.after" | cksum)"

# two people, one draft
draft() { # TITLE [VERSION]
	printf '{"apiVersion":"weft.network/v1alpha1","kind":"Draft","metadata":{"name":"d"%s},"spec":{"title":"%s","edits":[{"verb":"delete","kind":"Service","namespace":"shop","name":"web"}]}}' \
		"${2:+,\"resourceVersion\":\"$2\"}" "$1"
}
D=/apis/weft.network/v1alpha1/drafts
same "a draft" "$(code POST $D "$(draft mine)")" 201
same "which says who saved it" "$(api GET $D/d | field 'o["status"]["by"]')" "root (uid 0)"
seen=$(rv $D/d)
same "BR90 the first of two saves it" "$(code PUT $D/d "$(draft first "$seen")")" 200
same "BR90 the second gets a conflict" "$(code PUT $D/d "$(draft second "$seen")")" 409
same "BR90 and nothing is lost" "$(api GET $D/d | field 'o["spec"]["title"]')" first
same "a draft keeps no Secret" "$(code POST $D '{"apiVersion":"weft.network/v1alpha1","kind":"Draft","metadata":{"name":"s"},"spec":{"edits":[{"verb":"put","kind":"ConfigMap","yaml":"kind: Secret"}]}}')" 422
same "a draft is no change" "$(api GET "$I/changes?limit=1" | field 'o["changes"][0]["undoes"]')" "$step"
stop TERM

# elsewhere
rm -rf "$manifests" "$run"
mkdir "$manifests" "$run"
start --sandbox --no-tls --page off
node 0 >/dev/null
cp "$dir/export.after.yaml" "$manifests/all.yaml"
wait_for sh -c "curl -s --unix-socket $run/hub.sock http://hub/api/v1/namespaces/shop/services/extra | grep -q clusterIP"
same "BR91 an empty cluster has the same state from it" "$(state | diff - "$dir/state.before")" ""
same "BR91 and exports the same" "$(export_all | diff - "$dir/export.before.yaml")" ""
finish
