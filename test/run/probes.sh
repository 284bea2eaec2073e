#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Probes of a running cluster, under a policy that denies everything, against stand-ins and against a server on the outside
# host whose answers this script sets; what a failed probe does to endpoints and containers; and what balancers ask nodes.
# Each check names the lines of the specification that it shows. Usage: probes.sh [WEFT] (needs root and eBPF; TAP).
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=probes
. test/run/cluster_lib
chmod 755 "$dir"
mkdir "$dir/f"
server_pid=
trap '[ -n "$server_pid" ] && kill "$server_pid" 2>/dev/null; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT
OUT=203.0.113.10
ask() { python3 test/run/probes/ask.py "$run" "$@"; }
say() { # NAME WORD…: what the outside host answers
	n_=$1
	shift
	echo "$*" >"$dir/f/$n_.new"
	mv "$dir/f/$n_.new" "$dir/f/$n_"
}
is() { # expected=VALUE before it; a question without an answer answers by its status
	got=$(ask "$@" 2>/dev/null) && [ "$got" = "$expected" ]
}
comes() { # VALUE QUESTION…: within 10 s
	expected=$1
	shift
	wait_for is "$@"
}
within() { # SECONDS VALUE QUESTION…
	limit=$(($(date +%s) + $1)) expected=$2
	shift 2
	until is "$@"; do
		[ "$(date +%s)" -gt "$limit" ] && return 1
		sleep 0.1
	done
}
ready() { ask ready "$1"; }
asked() { grep -c "/f/$1 " "$dir/log"; }

for i in fine live ready start sidecar side leave term none redirected; do say $i 200; done
say flap flap
say bad 503
say startfail 503
say hang hang
say close close
say redir 302 /f/redirected
say away 302 http://198.51.100.99/elsewhere
say loop 302 /f/loop
RAW="chunked early endless fat bare empty noise mute short cut badchunk stall"
for i in $RAW; do say "$i" "$i"; done
touch "$dir/ok"
http() { echo "httpGet: {host: $OUT, port: 8000, path: /f/$1}, periodSeconds: 1"; }
pods() { # lines of NAME, the container's members, | those of the pod
	while read -r pod spec; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: p, labels: {pod: %s}}\n' "$pod" "$pod"
		printf 'spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{name: web, containerPort: 80}], %s}' "${spec%%|*}"
		case $spec in *'|'*) printf '], %s}\n' "${spec#*|}" ;; *) printf ']}\n' ;; esac
	done
}
mkdir "$dir/m"
{
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: p}\n---\n'
	printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: p}\n'
	printf 'spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n'
	# c asks d, which knows no such service: NOT_FOUND.
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: grpcother, namespace: p}\nspec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}],\n'
	printf '  readinessProbe: {grpc: {port: 81, service: nobody}, periodSeconds: 1, failureThreshold: 1}}, {name: d, image: x, ports: [{containerPort: 81}]}]}\n'
	for i in $RAW; do echo "$i readinessProbe: {$(http "$i"), failureThreshold: 1}"; done | pods
	pods <<PODS
http readinessProbe: {httpGet: {port: web, path: /healthz, httpHeaders: [{name: Host, value: a.example}]}, periodSeconds: 1}
tcp readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
grpc readinessProbe: {grpc: {port: 80}, periodSeconds: 1}
grpcnone readinessProbe: {grpc: {port: 80}, periodSeconds: 1, failureThreshold: 1}
quiet readinessProbe: {tcpSocket: {host: $OUT, port: 8002}, periodSeconds: 1}
refused readinessProbe: {httpGet: {port: 1, host: $OUT}, periodSeconds: 1, failureThreshold: 1}
status readinessProbe: {$(http bad), failureThreshold: 1}
hang readinessProbe: {$(http hang), failureThreshold: 1}
close readinessProbe: {$(http close), failureThreshold: 1}
noport readinessProbe: {tcpSocket: {port: nosuchport}, periodSeconds: 1}
late readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 4, periodSeconds: 30}
gated startupProbe: {tcpSocket: {port: 1, host: $OUT}, periodSeconds: 1, failureThreshold: 100}, readinessProbe: {tcpSocket: {port: 80}}, livenessProbe: {tcpSocket: {port: 1, host: $OUT}, periodSeconds: 1, failureThreshold: 1}
started startupProbe: {$(http start)}, readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 30}
none env: []
redir readinessProbe: {$(http redir)}
away readinessProbe: {$(http away)}
loop readinessProbe: {$(http loop)}
https readinessProbe: {httpGet: {host: $OUT, port: 8001, path: /f/fine, scheme: HTTPS, httpHeaders: [{name: Host, value: b.example}, {name: User-Agent, value: mine/1}]}, periodSeconds: 1}
flap readinessProbe: {$(http flap), failureThreshold: 3}
toggled readinessProbe: {$(http ready), failureThreshold: 1}
live readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 3, periodSeconds: 1}, livenessProbe: {$(http live), initialDelaySeconds: 6, failureThreshold: 2, terminationGracePeriodSeconds: 1}, lifecycle: {preStop: {exec: {command: [sleep, "30"]}}}|terminationGracePeriodSeconds: 60
dead startupProbe: {$(http startfail), failureThreshold: 2, terminationGracePeriodSeconds: 1}, livenessProbe: {$(http none)}|restartPolicy: Never
gate readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}|readinessGates: [{conditionType: example.com/fine}]
side env: []|initContainers: [{name: s, image: x, restartPolicy: Always, readinessProbe: {$(http sidecar), failureThreshold: 1}}]
exec readinessProbe: {exec: {command: [test, -e, $dir/ok]}, periodSeconds: 1, failureThreshold: 1}
slow readinessProbe: {exec: {command: [sleep, "9"]}, periodSeconds: 1, failureThreshold: 1}
broken livenessProbe: {exec: {command: [$(yes a | head -n 300 | paste -sd,)]}, periodSeconds: 1, failureThreshold: 1}
PODS
	while read -r service pod spec; do
		printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: p}\n' "$service"
		printf 'spec: {selector: {pod: %s}, ports: [{port: 80}]%s}\n' "$pod" "$spec"
	done <<'SERVICES'
toggled toggled
published status , publishNotReadyAddresses: true
unpublished status
dead dead
leave leave
health toggled , type: LoadBalancer, externalTrafficPolicy: Local
ends leave , type: LoadBalancer, externalTrafficPolicy: Local
SERVICES
} >"$dir/m/all.yaml"
pods >"$dir/m/leave.yaml" <<PODS
leave readinessProbe: {$(http leave), failureThreshold: 1}, livenessProbe: {$(http term), initialDelaySeconds: 6, failureThreshold: 1}, lifecycle: {preStop: {exec: {command: [sleep, "12"]}}}|terminationGracePeriodSeconds: 20
PODS

began=$(date +%s%N)
"$weft" up -d --name "$name" "$dir/m" >"$dir/up" 2>&1 || { sed 's/^/# /' "$dir/up"; echo "Bail out! weft up"; exit 1; }
ready late; [ $? = 1 ]
ok "PR01 PR03 the first try waits for the initial delay, and until then the pod is not ready" $?
cp "$run/tls/server.crt" "$dir/cert.pem" 2>/dev/null || openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
cp "$run/tls/server.key" "$dir/key.pem" 2>/dev/null
ip netns exec "weft-$name-outside" python3 test/run/probes/server.py "$dir" >"$dir/server.out" 2>&1 &
server_pid=$!
wait_for test -e "$dir/up"

for p in none http tcp grpc started; do comes "" ready $p; done
ready none
ok "PR13 a pod without a readiness probe is ready when it runs" $?
ready http
ok "PR15 PR18 PR26 a good status is ready, under a policy that denies all" $?
ready tcp
ok "PR19 a connection is ready" $?
ready grpc
ok "PR21 SERVING is ready" $?
comes "" ready grpcnone && "$weft" fault p/grpcnone --not-ready --name "$name" >/dev/null && comes health probe grpcnone readiness cause && comes False condition grpcnone Ready
ok "PR21 another health status than SERVING is failure" $?
comes "the call failed: gRPC status 5" probe grpcother readiness last && [ "$(ask condition grpcother Ready)$(ask restarts grpcother)" = False0 ]
ok "PR21 a service that the server does not know is failure; it may be another container's" $?
ask create grpc port=web | grep -qE '^4(00|22)$'
ok "PR20 a gRPC probe takes no port by name" $?
comes passing probe quiet readiness state && wait_for grep -q '^TCP' "$dir/log" && ! grep '^TCP' "$dir/log" | grep -qv 'bytes=0'
ok "PR19 PR20 a TCP probe connects to host and sends no byte" $?
ready started && comes done probe started startup state
ok "PR06 after the start readiness is asked at once" $?
within 6 "" ready late && [ $((($(date +%s%N) - began) / 1000000)) -gt 3900 ]
ok "PR03 the first try comes right after the initial delay" $?
ready gated; [ $? = 1 ] && [ "$(ask probe gated readiness tries)$(ask probe gated liveness tries)$(ask restarts gated)" = 000 ]
ok "PR05 until the start is over readiness and liveness are not asked" $?
[ "$(ask probe gated liveness state)$(ask probe gated startup state)" = heldwaiting ]
ok "PR01 liveness has passed and the start is unknown before a result" $?

comes refused probe refused readiness cause
ok "PR15 PR32 a refused connection fails, and the record says so" $?
comes status probe status readiness cause && [ "$(ask probe status readiness last)" = "status 503" ]
ok "PR15 PR32 a bad status fails, and the record has it" $?
comes timeout probe hang readiness cause
ok "PR15 PR32 no answer within the time-out fails as such" $?
comes closed probe close readiness cause
ok "PR32 a connection that ends without an answer is told from all these" $?
good=0 bad=0
for p in chunked early endless fat bare; do comes "status 200" probe $p readiness last && good=$((good + 1)); done
comes "status 204" probe empty readiness last
[ $?$good = 05 ]
ok "PR15 an answer counts once it is whole, however it is framed, and whether the connection ends or not" $?
for p in noise mute badchunk; do comes protocol probe $p readiness cause && bad=$((bad + 1)); done
for p in short cut; do comes closed probe $p readiness cause && bad=$((bad + 1)); done
comes timeout probe stall readiness cause
[ $?$bad = 05 ]
ok "PR15 PR32 no HTTP, half an answer and an answer that stops fail, each with its cause" $?
for p in refused status hang close noise mute short cut badchunk stall; do ready $p && break; done; [ $? = 1 ]
ok "PR15 none of them is ready" $?
comes no-target probe noport readiness cause && ! ready noport
ok "PR20 PR22 a named port that nobody declares is no result, and the record says why" $?
comes success probe redir readiness cause && [ "$(asked redirected)" -gt 0 ]
ok "PR16 a redirect to the same host is followed" $?
comes success probe away readiness cause && ask probe away readiness last | grep -q 'warning: a redirect to another host'
ok "PR16 one to another host is success with a warning" $?
comes success probe loop readiness cause && ask probe loop readiness last | grep -q 'warning: more than 10 redirects'
ok "PR16 more than ten are success with a warning" $?
comes passing probe https readiness state
ok "PR17 certificates are not verified" $?
grep -q 'host=b.example agent=mine/1' "$dir/log"
ok "PR18 Host and User-Agent are what the probe says" $?

# readiness
comes true endpoint toggled toggled ready
before=$(ask programming)
say ready 503
comes false endpoint toggled toggled ready
ok "PR11 failed readiness takes the endpoint out" $?
"$weft" why p/toggled --ready --name "$name" >"$dir/why" 2>&1; [ $? = 1 ] && grep -q 'readiness probe is failing: status 503 (cause status' "$dir/why"
r=$?
ok "PR32 weft why says why it is not ready" $r
[ $r = 0 ] || sed 's/^/# /' "$dir/why"
"$weft" get probes --name "$name" -n p toggled >"$dir/get" && grep -q 'readiness *http *failing *status 503 *status' "$dir/get"
ok "PR32 weft get probes shows state, last result and cause" $?
say ready 200
comes true endpoint toggled toggled ready && [ "$(ask restarts toggled)" = 0 ]
ok "PR11 nothing was restarted, and it comes back" $?
more() { [ "$(ask programming)" -gt "$before" ] && [ "$(ask told)" -gt 0 ]; }
wait_for more
ok "PR31 the time from a result to the kernel is measured and exported" $?
echo "# the last change was in force $(ask programming-last) us after the probe's result"
comes true endpoint published status ready && [ "$(ask endpoint unpublished status ready)" = false ]
ok "PR25 publishNotReadyAddresses makes the endpoint ready though its probe fails" $?
comes "status success" causes flap readiness && ready flap && [ "$(ask restarts flap)" = 0 ]
ok "PR08 PR30 one failure in three does not take it out" $?
comes passing probe gate readiness state && ! ready gate
ok "PR14 a readiness gate without its condition counts as false" $?
ask gate gate example.com/fine True >/dev/null && comes "" ready gate
ok "PR14 it is ready when the condition is true" $?
ask gate gate example.com/fine False >/dev/null && comes False condition gate Ready
ok "PR14 and not when it is false" $?
comes "" ready side && say sidecar 503 && comes failing probe side readiness state s && comes False condition side Ready
ok "PR33 a sidecar's readiness counts for the pod" $?

# programs
comes "" ready exec
ok "PR22 exit status 0 is success" $?
rm "$dir/ok"
comes exit probe exec readiness cause && ! ready exec
ok "PR22 another exit status is failure" $?
comes timeout probe slow readiness cause && ! ready slow
ok "PR22 a run over the time-out is failure" $?
comes prober probe broken liveness cause && [ "$(ask restarts broken)$(ask probe broken liveness state)" = 0passing ]
ok "PR22 an error of the prober changes nothing" $?

# restarts
within 15 true ended dead && [ "$(ask restarts dead)" = 0 ]
ok "PR07 a startup probe that fails ends the container, whose restart policy decides" $?
[ "$(ask container-ready dead)" = false ] && [ "$(ask endpoint dead dead ready)" = none ]
ok "PR12 PR34 it is not ready, and its endpoint is gone" $?
tried=$(ask probe dead startup tries)
sleep 1.5
[ "$(ask probe dead startup tries)$(asked none)" = "${tried}0" ]
ok "PR05 PR34 it is not probed any more, and liveness never was" $?
comes "" ready live
ok "PR09 PR10 before: it is ready" $?
say live 503
comes restarting probe live liveness state && say live 200
tried=$(ask probe live liveness tries)
within 8 1 restarts live
ok "PR28 the probe's grace of one second goes before the pod's of sixty" $?
! ready live && [ "$(ask container-ready live)" = false ]
ok "PR09 a new instance is not ready until it proves it" $?
comes "" ready live && ask delay live readiness | grep -qE '^[34]\.'
ok "PR03 the delay counts from the new start" $?
sleep 1
[ "$(ask restarts live)" = 1 ]
ok "PR10 one restart for one row of failures" $?
seen=$(asked start)
sleep 1.2
[ "$(asked start)" = "$seen" ]
ok "PR06 the startup probe is never asked again" $?

# ends
health() { # SERVICE: the status that balancers see
	ip netns exec "weft-$name-outside" curl -s --max-time 2 -o "$dir/answer" -w '%{http_code}' "http://172.31.0.10:$(ask health-port "$1")/"
}
healthy() { [ "$(health "$1")" = "$2" ]; }
wait_for healthy health 200 && grep -q '"localEndpoints":1' "$dir/answer"
ok "SV39 healthCheckNodePort: 200 with the count of local ready endpoints" $?
wait_for healthy ends 200
rm "$dir/m/leave.yaml"
comes false endpoint leave leave ready && [ "$(ask endpoint leave leave terminating)$(ask endpoint leave leave serving)" = truetrue ]
ok "PR24 a pod that is deleted loses ready at once, and serves on" $?
wait_for healthy ends 503 && [ "$(ask endpoint leave leave serving)" = true ]
ok "SV40 healthCheckNodePort fails when all endpoints here end" $?
say leave 503
comes false endpoint leave leave serving
ok "PR23 readiness goes on, and serving follows it" $?
seen=$(asked term)
sleep 1.5
[ "$(asked term)" = "$seen" ]
ok "PR23 liveness has stopped" $?
say ready 503
wait_for healthy health 503
ok "SV39 without a ready endpoint here it is 503" $?
say ready 200
node() { ip netns exec "weft-$name-outside" curl -s --max-time 2 -o /dev/null -w '%{http_code}' "http://172.31.0.10:10256/$1"; }
[ "$(node healthz)$(node livez)" = 200200 ]
ok "SV41 /healthz and /livez say that the node's plan is in force" $?
ask taint ToBeDeletedByClusterAutoscaler >/dev/null
tainted() { [ "$(node healthz)$(node livez)" = 503200 ]; }
wait_for tainted
ok "SV41 with the to-be-deleted taint /healthz fails, /livez does not" $?
ask taint >/dev/null

# refusals
[ "$(ask create livenessProbe successThreshold=2)$(ask create startupProbe successThreshold=2)" = 422422 ]
ok "PR04 a success threshold other than 1 is refused for liveness and startup" $?
[ "$(ask create readinessProbe terminationGracePeriodSeconds=3)" = 422 ]
ok "PR28 terminationGracePeriodSeconds is refused for readiness" $?
[ "$(ask create readinessProbe successThreshold=2)" = 201 ]
ok "PR04 and taken for readiness" $?
[ "$(ask callers http)" = 172.31.0.10:80 ]
ok "PR27 a probe goes from the node's own address straight to the pod's, through no Service" $?

# the observer dies
kill_observer() {
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = weft-observer ] &&
			{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -q -- "--name $name --node node-1 " && kill -9 "${p#/proc/}"
	done
}
kill_observer
flapped=0
for i in $(seq 1 12); do
	for p in http tcp grpc; do ready $p || flapped=1; done
done
[ $flapped = 0 ]
ok "PR29 no ready pod flaps while the observer starts anew" $?
comes passing probe http readiness state && [ "$(ask restarts live)" = 1 ]
ok "PR29 and probes go on" $?
[ $failures = 0 ] || tail -n 30 "$run/log/agent-node-1.log" | sed 's/^/# /'
finish
