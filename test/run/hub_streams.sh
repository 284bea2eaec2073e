#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kubectl exec, attach, logs, port-forward and cp through the hub's TLS port, over WebSocket and over SPDY, against a small
# runtime (hub_runtime.py, a mock of the sandbox). Vanishing, mute and hostile ends on both sides.
cd "$(dirname "$0")/../.." || exit 1
command -v kubectl >/dev/null || {
	echo "1..0 # SKIP there is no kubectl on this machine"
	exit 0
}
. test/run/hub_lib
export KUBECACHEDIR="$dir/cache" HOME="$dir" KUBECONFIG="$run/kubeconfig"
mkdir "$dir/rt"
others=
end_others() {
	for p in $others; do kill "$p" 2>/dev/null; done
	cleanup
}
trap end_others EXIT
for pod in one mute garbage silent words endless gone; do
	printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: i}]}\n---\n' $pod
done >"$manifests/pods.yaml"
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: two}\nspec: {containers: [{name: a, image: i}, {name: b, image: i}]}\n' \
	>>"$manifests/pods.yaml"
runtime() {
	rm -f "$run/streams.sock"
	python3 test/run/hub_runtime.py "$run/streams.sock" "$dir/rt" >"$dir/rt.log" 2>&1 &
	others="$others $!"
	rt=$!
	wait_for test -S "$run/streams.sock"
}
running() { # POD CONTAINER…
	pod=$1
	shift
	list=
	for c in "$@"; do
		list="$list${list:+,}"'{"name":"'$c'","image":"i","imageID":"","restartCount":0,"ready":true,
			"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}'
	done
	api PATCH "/api/v1/namespaces/default/pods/$pod/status" \
		'{"status":{"phase":"Running","containerStatuses":['"$list"']}}' application/merge-patch+json >"$dir/out"
}
k() { timeout 60 kubectl "$@" 2>&1; }

start --sandbox --nodes 1
has "without a runtime: 503, and why" "$(api GET /api/v1/namespaces/default/pods/one/log)" "no runtime is connected to this hub"
stop TERM
runtime
start --sandbox --nodes 1 --runtime "$run/streams.sock"
wait_for grep -q server "$KUBECONFIG"
node 0 >/dev/null
placed() { [ "$(api GET /api/v1/pods | grep -o '"nodeName":"node-1"' | wc -l)" = 8 ]; }
wait_for placed
for pod in one mute garbage silent words endless gone; do running $pod c; done
running two a b

# logs
seq 1 20 >"$dir/rt/one.c"
echo before >"$dir/rt/one.c.previous"
same "logs" "$(k logs one | md5sum)" "$(md5sum <"$dir/rt/one.c")"
same "logs --tail" "$(k logs one --tail=2)" "19
20"
same "logs --previous" "$(k logs one --previous)" before
same "logs --limit-bytes" "$(k logs one --limit-bytes=4)" "1
2"
k logs one --since=5s --timestamps >/dev/null
asked=$(tail -n 1 "$dir/rt/say")
same "--since and --timestamps reach the runtime" "$(echo "$asked" | field \
	'o["timestamps"], 3 < __import__("time").time() - o["since"] / 1e9 < 60')" "(True, True)"
has "logs of one of two containers: which?" "$(api GET /api/v1/namespaces/default/pods/two/log)" "choose one of: [a b]"
has "logs -c of no container" "$(k logs two -c z)" "container z is not valid for pod two"
has "logs that are not there: the runtime's words" "$(k logs two -c a)" 'in pod "two" not found'
has "tailLines=x" "$(api GET '/api/v1/namespaces/default/pods/one/log?tailLines=x')" 'tailLines \"x\" is not a whole number'
has "sinceTime=x" "$(api GET '/api/v1/namespaces/default/pods/one/log?sinceTime=x')" 'sinceTime \"x\" is not a time'
same "POST of a log" "$(code POST /api/v1/namespaces/default/pods/one/log)" 405
same "a log of no pod" "$(code GET /api/v1/namespaces/default/pods/none/log)" 404
kubectl logs -f one >"$dir/follow" 2>&1 &
follow=$!
wait_for grep -q '^20$' "$dir/follow"
echo fresh >>"$dir/rt/one.c"
wait_for grep -q fresh "$dir/follow"
ok "logs -f shows what comes" $?
rm "$dir/rt/one.c"
wait $follow
ok "logs -f ends with the log" $?

# exec
head -c 10000000 /dev/urandom >"$dir/big"
sum=$(md5sum <"$dir/big")
(cd "$dir" && exec python3 -u -m http.server --bind 127.0.0.1 0 >"$dir/web" 2>&1) &
others="$others $!"
wait_for grep -q ' port [0-9]' "$dir/web"
web=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$dir/web")
through() {
	timeout 60 kubectl exec -i one -- cat <"$dir/big" >"$dir/through" 2>"$dir/err"
	echo "status $?, $(wc -c <"$dir/through") bytes, $(md5sum <"$dir/through")$(cat "$dir/err")"
}
for ws in true false; do
	export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
	[ $ws = true ] && way=WebSocket || way=SPDY
	kubectl exec one -- sh -c 'echo out; echo err >&2; exit 3' >"$dir/out" 2>"$dir/err"
	same "$way: exec: status" $? 3
	same "$way: exec: output" "$(cat "$dir/out")" out
	has "$way: exec: errors" "$(cat "$dir/err")" "err
command terminated with exit code 3"
	same "$way: exec -i: 10 MB in" "$(timeout 60 kubectl exec -i one -- md5sum <"$dir/big")" "$sum"
	same "$way: exec: 10 MB out" "$(timeout 60 kubectl exec one -- cat "$dir/big" | md5sum)" "$sum"
	same "$way: exec -i: 10 MB through" "$(through)" "status 0, 10000000 bytes, $sum"
	has "$way: exec of what is not there" "$(k exec one -- /none)" "/none: No such file or directory"
	same "$way: exec -it has a terminal of the right size" "$(python3 test/run/hub_pty.py 40 100 kubectl exec -it one -- sh -c \
		'sleep 0.3; stty size; tty >/dev/null && echo terminal' | tr -d '\r')" "40 100
terminal"
	has "$way: attach" "$(echo hello | timeout 20 kubectl attach -i one 2>&1)" hello
	mkdir -p "$dir/from/$ws" && cp "$dir/big" "$dir/from/$ws/a"
	k cp "$dir/from/$ws" "one:$dir/there-$ws" >"$dir/out"
	same "$way: cp to the pod" "$(md5sum <"$dir/there-$ws/a")" "$sum"
	k cp "one:$dir/there-$ws" "$dir/back-$ws" >"$dir/out"
	same "$way: cp from the pod" "$(md5sum <"$dir/back-$ws/a")" "$sum"

	# port-forward
	kubectl port-forward one 0:$web 0:9 >"$dir/forward-$ws" 2>&1 &
	fw=$!
	others="$others $fw"
	wait_for grep -q "Forwarding from 127.0.0.1:.* -> $web" "$dir/forward-$ws"
	port=$(sed -n "s/.*127.0.0.1:\([0-9]*\) -> $web\$/\1/p" "$dir/forward-$ws")
	same "$way: port-forward: 10 MB" "$(curl -s "http://127.0.0.1:$port/big" | md5sum)" "$sum"
	for i in 1 2 3 4 5 6 7 8; do
		(for j in 1 2 3 4; do curl -s --max-time 60 "http://127.0.0.1:$port/rt.log" -o /dev/null -w '%{http_code}\n'; done) >"$dir/par.$i" &
		pars="${pars:-} $!"
	done
	# shellcheck disable=SC2086
	wait $pars
	pars=
	same "$way: port-forward: 32 connections, 8 at a time" "$(cat "$dir"/par.* | sort | uniq -c | tr -s ' ')" " 32 200"
	nine=$(sed -n 's/.*127.0.0.1:\([0-9]*\) -> 9$/\1/p' "$dir/forward-$ws")
	wait_for test -n "$nine"
	curl -s --max-time 10 "http://127.0.0.1:$nine/" >/dev/null
	wait_for grep -q 'connection refused' "$dir/forward-$ws"
	ok "$way: port-forward to a closed port says so" $?
	kill $fw 2>/dev/null
	wait $fw 2>/dev/null
done
unset KUBECTL_REMOTE_COMMAND_WEBSOCKETS KUBECTL_PORT_FORWARD_WEBSOCKETS

# the runtime's faults
kubectl exec mute -- true >"$dir/mute" 2>&1 &
mute=$!
others="$others $mute"
for ws in true false; do
	export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws
	has "a runtime that sends garbage ($ws)" "$(k exec garbage -- true)" "the runtime ended the session"
	has "one that ends without a status ($ws)" "$(k exec silent -- true)" "the runtime ended the session"
	has "one that answers no JSON ($ws)" "$(k exec words -- true)" "the runtime's answer is no JSON object"
	has "one whose answer never ends ($ws)" "$(k exec endless -- true)" "the runtime's answer is too long"
	has "one that closes without an answer ($ws)" "$(k exec gone -- true)" "the runtime closed the connection without an answer"
done
unset KUBECTL_REMOTE_COMMAND_WEBSOCKETS
has "no JSON for a log" "$(k logs words)" "the runtime's answer is no JSON object"
timeout 60 python3 test/run/hub_streams.py "$run/hub.sock" "$dir" $web >"$dir/raw" 2>&1 || echo "not ok - hub_streams.py ended with $?" >>"$dir/raw"
while read -r line; do
	case $line in
	"ok - "*) ok "${line#ok - }" 0 ;;
	"not ok - "*) ok "${line#not ok - }" 1 ;;
	*) echo "# $line" ;;
	esac
done <"$dir/raw"
wait $mute
has "a runtime that answers nothing: given up, in words" "$? $(cat "$dir/mute")" "the runtime did not answer in time"
kill "$rt"
wait "$rt" 2>/dev/null
has "a runtime that went away: 503" "$(api GET /api/v1/namespaces/default/pods/one/log)" "does not answer"
kubectl exec silent -- true >"$dir/out" 2>&1
has "and kubectl says it" "$(cat "$dir/out")" "does not answer"
runtime
same "it comes back" "$(k exec one -- echo again)" again
same "the hub lives on, and is the same process" "$(code GET /readyz)" 200
stop TERM
same "and ends in order" $ended 0
hasnt "no complaint of a sanitizer" "$(cat "$dir/log")" Sanitizer
finish
