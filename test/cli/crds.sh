#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft crds`: structural schemas as API servers want them, read back by kubectl where there is one.
cd "$(dirname "$0")/../.." || exit 1
WEFT=${WEFT_BUILD:-$PWD/build}/src/cli/weft
[ -x "$WEFT" ] || {
	echo "1..0 # SKIP $WEFT is not built"
	exit 0
}
dir=$(mktemp -d /tmp/weft-t-crds.XXXXXX)
trap 'rm -rf "$dir"' EXIT
n=0
failures=0
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		failures=$((failures + 1))
	fi
}
"$WEFT" crds >"$dir/all.yaml"
ok "all kinds of weft.network are printed" $?
[ "$(grep -c '^  name: [a-z]*\.weft\.network$' "$dir/all.yaml")" = "$(grep -c '"weft.network"' tables/kinds.def)" ]
ok "each of them once" $?
"$WEFT" crds addresspools -o json >"$dir/pool.json"
"$WEFT" crds -o json addresspools | cmp -s - "$dir/pool.json"
ok "one, as JSON" $?
python3 - "$dir/pool.json" <<'PY' >"$dir/said"
import json, sys
crd = json.load(open(sys.argv[1]))
bad = []
FORBIDDEN = {"$ref", "definitions", "default", "oneOf", "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key"}
def walk(s, at):
    if FORBIDDEN & set(s): bad.append((at, sorted(FORBIDDEN & set(s))))
    if "type" not in s and not s.get("x-kubernetes-int-or-string"): bad.append((at, "no type"))
    if "properties" in s and "additionalProperties" in s: bad.append((at, "both"))
    if s.get("x-kubernetes-list-type") == "map":
        for k in s["x-kubernetes-list-map-keys"]:
            if k not in s["items"].get("required", []): bad.append((at, "key is not required"))
    for k, v in s.get("properties", {}).items():
        if at and not v.get("description"): bad.append((at + "." + k, "no description"))
        walk(v, at + "." + k)
    for r in s.get("required", []):
        if r not in s["properties"]: bad.append((at, r))
    if isinstance(s.get("items"), dict): walk(s["items"], at + "[]")
    if isinstance(s.get("additionalProperties"), dict): walk(s["additionalProperties"], at + "{}")
spec = crd["spec"]
schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
walk(schema, "")
if crd["metadata"]["name"] != spec["names"]["plural"] + "." + spec["group"]: bad.append("name")
if sum(v["storage"] for v in spec["versions"]) != 1: bad.append("storage")
if set(schema["properties"]) != {"apiVersion", "kind", "metadata", "spec", "status"}: bad.append("members")
print(bad or "structural", schema["properties"]["spec"]["required"], spec["versions"][0]["subresources"])
PY
[ "$(cat "$dir/said")" = "structural ['addresses'] {'status': {}}" ]
ok "its schema is structural, with what is required and the status sub-resource" $? || sed 's/^/# /' "$dir/said"
"$WEFT" crds pods 2>"$dir/err"
[ $? = 2 ] && grep -q "Kubernetes' own" "$dir/err"
ok "Kubernetes' own kinds are refused" $?
"$WEFT" crds nothing 2>"$dir/err"
[ $? = 2 ] && grep -q 'no kind "nothing"' "$dir/err"
ok "and what is no kind" $?
if command -v kubectl >/dev/null; then
	kubectl annotate --local -f "$dir/all.yaml" a=b -o name 2>&1 | grep -q customresourcedefinition.apiextensions.k8s.io/addresspools.weft.network
	ok "kubectl reads them" $?
else
	n=$((n + 1))
	echo "ok $n - kubectl reads them # SKIP there is no kubectl on this machine"
fi
echo "1..$n"
[ $failures = 0 ]
