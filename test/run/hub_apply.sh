#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Server-side apply over the hub's socket: who owns which field, conflicts with their causes, force, shared fields, what
# is taken out when nobody wishes it any more, lists by their keys, the other verbs as owners.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
start --sandbox
d=/apis/apps/v1/namespaces/default/deployments
apply() { # PATH MANAGER BODY [QUERY]
	api PATCH "$1?fieldManager=$2${4:+&$4}" "$3" application/apply-patch+yaml
}
body() { # SPEC-MEMBERS CONTAINER-MEMBERS
	echo '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{'"$1"'"template":{"spec":{"containers":[{"name":"c"'"$2"'}]}}}}'
}
full='"replicas":2,"selector":{"matchLabels":{"app":"web"}},'
whole='{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"a":"1"}},"spec":{'$full'"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i:1","ports":[{"containerPort":80},{"containerPort":80,"protocol":"UDP"}]}]}}}}'
owner() { # MANAGER: its paths, from stdin
	python3 -c 'import json,sys
def walk(n, path):
    for k, v in n.items():
        if k == "." or not v: print((path + " " + k).strip())
        if k != ".": walk(v, path + " " + k)
for e in json.load(sys.stdin)["metadata"].get("managedFields", []):
    if e["manager"] == sys.argv[1]: walk(e["fieldsV1"], e["operation"] + (":" + e["subresource"] if "subresource" in e else ""))' "$1"
}
managers() { field '[(e["manager"], e["operation"]) for e in o["metadata"]["managedFields"]]'; }

same "apply makes what is not there" "$(curl -s -o "$dir/out" -w '%{http_code}' --unix-socket "$run/hub.sock" -X PATCH \
	-H 'Content-Type: application/apply-patch+yaml' --data-binary "$whole" "http://hub$d/web?fieldManager=one")" 201
same "and says who owns it" "$(managers <"$dir/out")" "[('one', 'Apply')]"
out=$(owner one <"$dir/out")
has "items of lists by their key" "$out" 'Apply f:spec f:template f:spec f:containers k:{"name":"c"} f:image'
has "by both keys of a port" "$out" 'k:{"containerPort":80,"protocol":"UDP"} .'
has "where the second has a default" "$out" 'k:{"containerPort":80,"protocol":"TCP"} .'
has "a selector as one" "$out" "Apply f:spec f:selector"
hasnt "not what the server filled in" "$out" progressDeadlineSeconds
version=$(api GET $d/web | field 'o["metadata"]["resourceVersion"], o["metadata"]["managedFields"]')
apply $d/web one "$whole" >/dev/null
same "applied again nothing changes" "$(api GET $d/web | field 'o["metadata"]["resourceVersion"], o["metadata"]["managedFields"]')" "$version"

# another manager
apply $d/web two "$(body "" ',"env":[{"name":"A","value":"b"}]')" >"$dir/out"
same "a second manager adds to an item" "$(field 'o["spec"]["template"]["spec"]["containers"][0]["env"], o["spec"]["template"]["spec"]["containers"][0]["image"]' <"$dir/out")" "([{'name': 'A', 'value': 'b'}], 'i:1')"
apply $d/web two "$(body '"replicas":3,' ',"image":"i:2"')" >"$dir/out"
same "a change of another's fields is a conflict" "$(field 'o["code"], o["reason"]' <"$dir/out")" "(409, 'Conflict')"
same "with a cause for each field" "$(field '[(c["reason"], c["message"], c["field"]) for c in o["details"]["causes"]]' <"$dir/out")" \
	"[('FieldManagerConflict', 'conflict with \"one\"', '.spec.replicas'), ('FieldManagerConflict', 'conflict with \"one\"', '.spec.template.spec.containers[name=\"c\"].image')]"
has "and in the message" "$(field 'o["message"]' <"$dir/out")" "Apply failed with 2 conflicts: conflicts with \"one\":"
same "nothing of it was done" "$(api GET $d/web | field 'o["spec"]["replicas"], o["spec"]["template"]["spec"]["containers"][0].get("env")')" "(2, [{'name': 'A', 'value': 'b'}])"
apply $d/web two "$(body '"replicas":2,' '')" >"$dir/out"
same "the same value is shared" "$(owner two <"$dir/out" | grep -c replicas) $(owner one <"$dir/out" | grep -c replicas)" "1 1"
same "what the second no longer wishes is gone" "$(field 'o["spec"]["template"]["spec"]["containers"][0].get("env")' <"$dir/out")" None
apply $d/web two "$(body '"replicas":4,' '')" force=true >"$dir/out"
same "forced, the field is the second's alone" "$(field 'o["spec"]["replicas"]' <"$dir/out") $(owner two <"$dir/out" | grep -c replicas) $(owner one <"$dir/out" | grep -c replicas)" "4 1 0"
apply $d/web one "$(echo "$whole" | sed 's/"replicas":2,//;s/,{"containerPort":80,"protocol":"UDP"}//')" >"$dir/out"
same "an item that one no longer wishes is gone, a field of another's stays" "$(field '[p["protocol"] for p in o["spec"]["template"]["spec"]["containers"][0]["ports"]], o["spec"]["replicas"]' <"$dir/out")" "(['TCP'], 4)"

# the other verbs
api PATCH "$d/web?fieldManager=hand" '{"metadata":{"labels":{"a":"2","b":"1"}}}' application/merge-patch+json >"$dir/out"
same "a patch takes the fields that it changes" "$(owner hand <"$dir/out" | sort | tr '\n' ';')" "Update f:metadata f:labels f:a;Update f:metadata f:labels f:b;"
same "from whom had them" "$(owner one <"$dir/out" | grep -c 'f:a$')" 0
api PATCH "$d/web/scale?fieldManager=scaler" '{"spec":{"replicas":1}}' application/merge-patch+json >/dev/null
same "scale by its sub-resource" "$(api GET $d/web | owner scaler)" "Update:scale f:spec f:replicas"
api PATCH "$d/web/status?fieldManager=reporter" '{"status":{"collisionCount":1}}' application/merge-patch+json >/dev/null
same "status by its own" "$(api GET $d/web | owner reporter)" "Update:status f:status f:collisionCount"
api PATCH "$d/web?fieldManager=hand" '{"metadata":{"labels":{"a":null,"b":null}}}' application/merge-patch+json >"$dir/out"
same "who owns nothing any more is not named" "$(owner hand <"$dir/out")" ""
api GET $d/web | field 'json.dumps({**o,"metadata":{**o["metadata"],"managedFields":[{}]}})' >"$dir/body"
same "managedFields can be emptied" "$(api PUT $d/web "$(cat "$dir/body")" | field 'o["metadata"].get("managedFields")')" None
apply $d/web two "$(body '"replicas":9,' '')" >"$dir/out"
same "then what is there has an owner before the first apply" "$(field '[c["message"].split(" using")[0] for c in o["details"]["causes"]]' <"$dir/out")" "['conflict with \"before-first-apply\"']"
cm=/api/v1/namespaces/default/configmaps
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do apply $cm/many x '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"many"},"data":{"x":"y"}}' >/dev/null
	api PATCH "$cm/many?fieldManager=m$i" '{"data":{"k'$i'":"v"}}' application/merge-patch+json >/dev/null; done
same "many writers are folded" "$(api GET $cm/many | field 'len(o["metadata"]["managedFields"]), sum("ancient-changes" == e["manager"] for e in o["metadata"]["managedFields"])')" "(11, 1)"
same "YAML is taken" "$(apply $cm/yaml y 'apiVersion: v1
kind: ConfigMap
data: {a: "1"}' | field 'o["data"]')" "{'a': '1'}"
version=$(api GET $cm/yaml | field 'o["metadata"]["resourceVersion"]')
same "dry run changes nothing" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"ConfigMap","data":{"b":"1"}}' dryRun=All | field 'o["data"]') $(api GET $cm/yaml | field 'o["data"], o["metadata"]["resourceVersion"]')" "{'b': '1'} ({'a': '1'}, '$version')"

# refused requests
refused() { # DESCRIPTION CODE PART ANSWER
	same "$1" "$(echo "$4" | field 'o["kind"], o["code"]')" "('Status', $2)"
	has "$1, saying why" "$4" "$3"
}
refused "no manager" 422 "fieldManager: Required value" "$(api PATCH $cm/yaml '{"apiVersion":"v1","kind":"ConfigMap"}' application/apply-patch+yaml)"
refused "a manager of 200 characters" 422 "more than 128" "$(apply $cm/yaml "$(printf %0200d 0)" '{"apiVersion":"v1","kind":"ConfigMap"}')"
refused "another kind" 400 "the URL is for ConfigMap" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"Service"}')"
refused "another version" 400 "apiVersion: v1" "$(apply $cm/yaml y '{"apiVersion":"v2","kind":"ConfigMap"}')"
refused "another name" 400 "is not that of the URL" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"z"}}')"
refused "managedFields in the wish" 400 "managedFields must be nil" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{"manager":"m"}]}}')"
refused "an old version" 409 "has been modified" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"1"}}')"
refused "a uid of another life" 409 "uid in the body" "$(apply $cm/yaml y '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"uid":"1"}}')"
refused "two items with one key" 400 "two items have the same key" "$(apply $d/web y '{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"containers":[{"name":"c"},{"name":"c"}]}}}}')"
refused "an item without its key" 400 "lacks the member" "$(apply $d/web y '{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"volumes":[{"emptyDir":{}}]}}}}')"
refused "an unknown field" 400 '(did you mean ' "$(apply $d/web y '{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replica":1}}' fieldValidation=Strict)"
refused "no text at all" 400 "neither JSON nor YAML" "$(apply $cm/yaml y '- 1')"
refused "what it makes is invalid" 422 "spec.replicas" "$(apply $d/web two "$(body '"replicas":-1,' '')" force=true)"
refused "a status of what is not there" 404 "not found" "$(apply $d/none/status y '{"apiVersion":"apps/v1","kind":"Deployment","status":{}}')"
same "nothing of all that was done" "$(api GET $d/web | field 'o["spec"]["replicas"]') $(api GET $cm/yaml | field 'o["data"]')" "1 {'a': '1'}"
stop KILL
start --sandbox
same "after kill -9 the owners are known" "$(api GET $cm/yaml | managers)" "[('y', 'Apply')]"
stop TERM
finish
