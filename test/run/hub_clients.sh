#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clients that others wrote, against a hub and through the kubeconfig that it wrote: client-go (shared informers, the
# dynamic client) and the JavaScript client (informer, typed calls, exec over WebSocket). Each is fetched by its own package
# manager into the build folder, and is skipped by name where that, or its registry, is not there.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
from=$PWD/test/run/hub_clients
kept=${WEFT_BUILD:-$PWD/build}/clients
mkdir -p "$kept" "$dir/rt" || exit 1
case $kept in /*) ;; *) kept=$PWD/$kept ;; esac
rt=
tool=
end_all() {
	[ -n "$rt" ] && kill "$rt" 2>/dev/null
	[ -n "$tool" ] && kill "$tool" 2>/dev/null
	cleanup
}
trap end_all EXIT
skip() { # CLIENT WHY
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
hub() {
	start --sandbox --nodes 1 --runtime "$run/streams.sock"
	wait_for grep -q server "$run/kubeconfig"
}
patch() { api PATCH "$@" application/merge-patch+json >/dev/null; }
running() {
	api POST /api/v1/namespaces/javascript/pods '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod"},"spec":{"nodeName":"node-1",
		"containers":[{"name":"c","image":"i"}]}}' >/dev/null
	patch /api/v1/namespaces/javascript/pods/pod/status '{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"i",
		"imageID":"","restartCount":0,"ready":true,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}'
	echo "a line of the log" >"$dir/rt/pod.c"
}
# The hub dies, and comes back after changes that no client saw: what these knew is too old then.
again() {
	stop KILL
	start --sandbox --nodes 1 --no-tls
	for ns in clients javascript; do
		patch /api/v1/namespaces/$ns/configmaps/one '{"data":{"unseen":"'$ns'"}}'
	done
	stop KILL
	hub
}
# 60 MB of changes, more than the hub keeps of its history
flood() {
	python3 - "$run/hub.sock" <<'PY'
import http.client, json, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
c = Unix("hub")
for i in range(600):
    c.request("PATCH", "/api/v1/namespaces/clients/configmaps/three", json.dumps({"data": {"a": str(i) * 10 + "x" * 100000}}),
              {"Content-Type": "application/merge-patch+json"})
    r = c.getresponse()
    r.read()
    if r.status != 200:
        sys.exit(1)
PY
}
# Runs a client: passes its TAP on under our numbers, and does what it asks for.
client() { # NAME COMMAND…
	name=$1
	shift
	mkfifo "$dir/$name.in" "$dir/$name.out"
	timeout 150 "$@" <"$dir/$name.in" >"$dir/$name.out" 2>"$dir/$name.err" &
	tool=$!
	exec 3>"$dir/$name.in" 4<"$dir/$name.out"
	whole=1
	while read -r line <&4; do
		case $line in
		"ok "*) ok "${line#ok * - }" 0 ;;
		"not ok "*) ok "${line#not ok * - }" 1 ;;
		"do restart")
			again
			echo >&3
			;;
		"do flood")
			flood
			ok "$name: changes are made while it does not read" $?
			echo >&3
			;;
		"do pod")
			running
			echo >&3
			;;
		"count "*) whole=0 ;;
		*) echo "$line" ;;
		esac
	done
	exec 3>&- 4<&-
	wait "$tool"
	tool=
	ok "$name: it came to its end" $whole
	[ $whole = 0 ] || sed 's/^/# /' "$dir/$name.err"
}

# What was fetched once is not fetched again.
fetch_go() {
	export GOMODCACHE="$kept/go-modules" GOCACHE="$kept/go-build" GOFLAGS="-modcacherw -mod=readonly -buildvcs=false" GOTOOLCHAIN=local GOWORK=off
	(cd "$from" && timeout 60 go mod download) >"$dir/fetched" 2>&1
}
fetch_node() {
	mkdir -p "$kept/node" && cp "$from/package.json" "$from/package-lock.json" "$kept/node/" || return 1
	(cd "$kept/node" && cmp -s package-lock.json .fetched || {
		timeout 60 npm ci --cache "$kept/npm" --prefer-offline --no-audit --no-fund --ignore-scripts \
			--omit-lockfile-registry-resolved=true --fetch-retries=1 --fetch-timeout=10000 &&
			cp package-lock.json .fetched
	}) >"$dir/fetched" 2>&1
}
tampered() { grep -qi 'checksum mismatch\|SECURITY ERROR\|EINTEGRITY' "$dir/fetched"; }

python3 test/run/hub_runtime.py "$run/streams.sock" "$dir/rt" >"$dir/rt.log" 2>&1 &
rt=$!
wait_for test -S "$run/streams.sock"
hub
node 0 >/dev/null
unset -f node
if ! command -v go >/dev/null; then
	skip client-go "there is no Go on this machine"
elif ! fetch_go; then
	tampered
	[ $? = 1 ]
	ok "client-go: what was fetched is what go.sum says" $?
	skip client-go "its modules cannot be fetched"
elif (cd "$from" && timeout 400 go build -gcflags=all='-N -l' -o "$kept/informer" .) >"$dir/built" 2>&1; then
	client client-go "$kept/informer" "$run/kubeconfig"
elif grep -q "requires go\|invalid go version\|note: module requires Go" "$dir/built"; then
	skip client-go "this machine's Go is too old for it"
else
	ok "client-go: builds" 1
	sed 's/^/# /' "$dir/built"
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip client-node "there is no Node or no npm on this machine"
elif [ "$(node -p 'parseInt(process.versions.node)')" -lt 18 ]; then
	skip client-node "it needs Node 18 or later"
elif ! fetch_node; then
	tampered
	[ $? = 1 ]
	ok "client-node: what was fetched is what package-lock.json says" $?
	skip client-node "its packages cannot be fetched"
else
	client client-node node "$from/client.mjs" "$run/kubeconfig" "$kept/node"
fi
stop TERM
finish
