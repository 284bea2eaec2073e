#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The request shapes in which kubectl 1.27 to 1.33 differ, as far as the hub must tell them apart: by curl, for the
# versions that are not on this machine.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
start --sandbox
ask() { # ACCEPT PATH: content type, then the body
	curl -s -D "$dir/head" --unix-socket "$run/hub.sock" -H "Accept: $1" -H 'Accept-Encoding: gzip' "http://hub$2" >"$dir/body"
	sed -n 's/^[Cc]ontent-[Tt]ype: \([^\r]*\)\r*$/\1/p' "$dir/head"
}
v2='application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
beta='application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'
same "1.27 and 1.29 ask for v2beta1 alone: the plain form" "$(ask "$beta,application/json" /apis) $(field 'o["kind"]' <"$dir/body")" "application/json APIGroupList"
same "1.30 to 1.33 ask for v2 first: told in the content type" "$(ask "$v2,$beta,application/json" /apis) $(field 'o["kind"], o["apiVersion"]' <"$dir/body")" \
	"$v2 ('APIGroupDiscoveryList', 'apidiscovery.k8s.io/v2')"
same "with sub-resources" "$(field '[s["subresource"] for g in o["items"] for v in g["versions"] for r in v["resources"] if r["resource"] == "deployments" for s in r["subresources"]]' <"$dir/body")" "['status', 'scale']"
ask "$v2,$beta,application/json" /api >/dev/null
same "the core group has no name" "$(field '[g["metadata"]["name"] for g in o["items"]]' <"$dir/body")" "['']"
same "both forms name the same resources" "$(field 'sorted(r["resource"] for r in o["items"][0]["versions"][0]["resources"])' <"$dir/body")" \
	"$(api GET /api/v1 | field 'sorted(r["name"] for r in o["resources"] if "/" not in r["name"])')"
same "typed clients prefer protobuf and take JSON" "$(ask 'application/vnd.kubernetes.protobuf,application/json' /api/v1/namespaces)" application/json
same "1.33 with CBOR in front too" "$(ask 'application/cbor,application/vnd.kubernetes.protobuf,application/json' /api/v1/namespaces)" application/json
table='application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'
ask "$table" '/api/v1/namespaces?limit=500' >/dev/null
same "tables" "$(field 'o["kind"], o["apiVersion"], o["columnDefinitions"][0]["format"], o["rows"][0]["object"]["kind"]' <"$dir/body")" "('Table', 'meta.k8s.io/v1', 'name', 'PartialObjectMetadata')"
ask 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' /openapi/v2 >/dev/null
same "1.29 and later ask once for OpenAPI v2: a Status" "$(field 'o["kind"], o["code"]' <"$dir/body")" "('Status', 404)"
ask 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json' /openapi/v3 >/dev/null
url=$(field 'o["paths"]["apis/apps/v1"]["serverRelativeURL"]' <"$dir/body")
same "OpenAPI v3 as JSON, by its hash" "$(api GET "$url" | field 'o["openapi"], [p["name"] for p in o["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]["parameters"]].count("fieldValidation")')" "('3.0.0', 1)"
same "whose references all lead somewhere" "$(for g in api/v1 apis/apps/v1 apis/networking.k8s.io/v1 apis/weft.network/v1alpha1; do api GET /openapi/v3/$g; done | python3 -c 'import json,sys
bad = 0
d = json.JSONDecoder(); text = sys.stdin.read()
while text.strip():
    o, n = d.raw_decode(text); text = text[n:].lstrip()
    def walk(v):
        global bad
        if isinstance(v, dict):
            if "$ref" in v and v["$ref"].split("/")[-1] not in o["components"]["schemas"]: bad += 1
            [walk(x) for x in v.values()]
        elif isinstance(v, list): [walk(x) for x in v]
    walk(o)
print(bad)')" 0
same "the hash stays while the tables do" "$(api GET /openapi/v3 | field 'o["paths"]["apis/apps/v1"]["serverRelativeURL"]')" "$url"
ns='{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"old","creationTimestamp":null},"spec":{},"status":{}}'
same "1.31 and before create a Namespace as JSON" "$(code POST '/api/v1/namespaces?fieldManager=kubectl-create' "$ns")" 201
# envelope: apiVersion v1, kind Namespace; metadata {name: new}, spec {}, status {phase: ""}
printf 'k8s\000\012\017\012\002v1\022\011Namespace\022\017\012\005\012\003new\022\000\032\004\012\002\012\000\032\000\042\000' >"$dir/ns.pb"
proto() { curl -s --unix-socket "$run/hub.sock" -H 'Content-Type: application/vnd.kubernetes.protobuf' --data-binary "@$1" "http://hub/api/v1/namespaces"; }
same "1.32 and 1.33 as protobuf" "$(proto "$dir/ns.pb" | field 'o["kind"], o["metadata"]["name"]')" "('Namespace', 'new')"
printf 'k8s\000\012\017\012\002v1\022\011Namespace\022\012\012\010\012\003odd\230\006\001' >"$dir/odd.pb"
has "a field that is not known is refused with what to do" "$(proto "$dir/odd.pb")" "--dry-run=client -o yaml"
head -c 30 "$dir/ns.pb" >"$dir/cut.pb"
same "half a message too" "$(proto "$dir/cut.pb" | field 'o["code"] in (400, 415, 422)')" True
same "1.35's watch-list begins with the state" "$(code GET '/api/v1/namespaces?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1')" 200
same "a review of access as JSON" "$(api POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews '{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}' | field 'o["status"]["allowed"]')" True
same "an empty one is refused" "$(code POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews '{"spec":{}}')" 422
stop TERM
finish
