#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# schemathesis against a hub's own OpenAPI documents: requests that follow them and requests that do not. No answer is of the
# 500s, each has the content type and the shape that the document says, none takes 10 s, and the hub's memory stays bounded.
# Here a slice with a fixed seed; WEFT_SCHEMA_SECONDS=600 runs as long for each document, WEFT_SCHEMA_SEED takes another way.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
from=$PWD/test/run/hub_schema
kept=${WEFT_BUILD:-$PWD/build}/clients
seconds=${WEFT_SCHEMA_SECONDS:-7}
fetch() {
	mkdir -p "$kept" && [ -x "$kept/python/bin/schemathesis" ] && cmp -s "$from/requirements.txt" "$kept/python/fetched" && return
	rm -rf "$kept/python"
	python3 -m venv "$kept/python" && timeout 60 "$kept/python/bin/pip" install -q --cache-dir "$kept/pip" --retries 0 --timeout 10 \
		-r "$from/requirements.txt" && cp "$from/requirements.txt" "$kept/python/fetched"
}
fetch >"$dir/fetched" 2>&1 || {
	echo "1..0 # SKIP schemathesis cannot be fetched"
	exit 0
}
private() { awk '/^Private_/ {n += $2} END {print int(n / 1024)}' "/proc/$pid/smaps_rollup"; }
start --sandbox
wait_for grep -q server "$run/kubeconfig"
api POST /api/v1/namespaces '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"lab"}}' >/dev/null
api POST /api/v1/namespaces/lab/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"}}' >/dev/null
api POST /api/v1/namespaces/lab/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"one"},"spec":{"ports":[{"port":80}]}}' >/dev/null
api POST /apis/networking.k8s.io/v1/namespaces/lab/networkpolicies '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy",
	"metadata":{"name":"one"},"spec":{"podSelector":{}}}' >/dev/null
python3 - "$run/kubeconfig" "$dir" <<'PY'
import base64, re, sys
text = open(sys.argv[1]).read()
for key, name in (("certificate-authority-data", "ca.crt"), ("client-certificate-data", "client.crt"), ("client-key-data", "client.key")):
    with open(f"{sys.argv[2]}/{name}", "wb") as f:
        f.write(base64.b64decode(re.search(key + r": (\S+)", text).group(1)))
PY
at=$(sed -n 's/.*server: //p' "$run/kubeconfig")
cp "$from/schemathesis.toml" "$dir/"
cases=0
for doc in $(api GET /openapi/v3 | field '" ".join(o["paths"])'); do
	case ${WEFT_SCHEMA_SECONDS:-} in '') case $doc in api/v1 | apis/networking.k8s.io/v1 | apis/weft.network/v1alpha1) ;; *) continue ;; esac ;; esac
	(cd "$dir" && timeout $((seconds * 3 + 60)) "$kept/python/bin/schemathesis" run "$at/openapi/v3/$doc" --url "$at" --tls-verify "$dir/ca.crt" \
		--request-cert client.crt --request-cert-key client.key --phases coverage,fuzzing -n 20 --seed "${WEFT_SCHEMA_SEED:-1}" \
		--generation-database none --max-time "$seconds" --checks not_a_server_error,response_schema_conformance,content_type_conformance \
		--request-timeout 10 --continue-on-failure --no-shrink --no-color) >"$dir/out" 2>&1
	ended=$?
	made=$(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' "$dir/out")
	cases=$((cases + ${made:-0}))
	same "$doc" "$ended" 0
	[ $ended = 0 ] || sed -n '/FAILURES\|ERRORS/,/WARNINGS/p' "$dir/out" | cut -c1-300 | head -60 | sed 's/^/# /'
	[ "${made:-0}" -ge 20 ]
	ok "$doc: ${made:-0} requests" $?
done
most=$(private)
[ "$most" -lt 60 ]
ok "after $cases requests the hub has $most MiB" $?
serving >/dev/null
ok "and serves on" $?
stop TERM
same "and ends in order" "$ended" 0
finish
