#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How containers end and come again: liveness and startup probes (PR06, PR07, PR09, PR28), grace and preStop, an orderly end
# of what is under way (PR23, PR24), restarts with their back-off, probes by exec (PR22) and HTTPS (PR17), sidecars (PR33),
# pods that are over (PR34), and all that ten times as fast.
cd "$(dirname "$0")/../.." || exit 1
[ $# -gt 0 ] && WEFT=$1 WEFT_BUILD=${1%/src/cli/weft}
test=life
. test/run/cluster_lib
chmod 755 "$dir"
mkdir "$dir/m" "$dir/w"
chmod 755 "$dir/m"
chmod 777 "$dir/w"
part() { # NAME: a pod, its spec from stdin
	{
		printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: p, labels: {pod: %s}}\nspec:\n' "$1" "$1"
		cat
	} >"$dir/.new"
	mv "$dir/.new" "$dir/m/$1.yaml"
	chmod 644 "$dir/m/$1.yaml"
}
cat >"$dir/m/00.yaml" <<Y
apiVersion: v1
kind: Namespace
metadata: {name: p}
---
apiVersion: v1
kind: Service
metadata: {name: slow, namespace: p}
spec: {selector: {pod: slow}, ports: [{port: 80}]}
Y
C='name: c, image: x, ports: [{name: h, containerPort: 80}]'
part sick <<Y
  terminationGracePeriodSeconds: 20
  containers: [{$C, livenessProbe: {exec: {command: [test, '!', -e, $dir/w/sick]}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1},
    readinessProbe: {tcpSocket: {port: h}, periodSeconds: 1}}]
Y
part starting <<Y
  containers: [{$C, startupProbe: {exec: {command: [test, -e, $dir/w/started]}, periodSeconds: 1, failureThreshold: 2, terminationGracePeriodSeconds: 1},
    readinessProbe: {tcpSocket: {port: h}, periodSeconds: 1}}]
Y
part unknown <<Y
  containers: [{$C, readinessProbe: {exec: {command: [/no/such/program]}, periodSeconds: 1}}]
Y
part tls <<Y
  containers: [{name: c, image: x, ports: [{name: h, containerPort: 443}], readinessProbe: {httpGet: {path: /, port: h, scheme: HTTPS}, periodSeconds: 1}}]
Y
part hooked <<Y
  terminationGracePeriodSeconds: 8
  containers: [{$C, lifecycle: {preStop: {exec: {command: [sh, -c, 'cat /etc/resolv.conf > $dir/w/hook; sleep 1; date +%s%3N > $dir/w/hooked']}}}}]
Y
part napping <<Y
  terminationGracePeriodSeconds: 2
  containers: [{$C, lifecycle: {preStop: {sleep: {seconds: 60}}}}]
Y
part asking <<Y
  containers: [{$C, lifecycle: {preStop: {httpGet: {path: /quit, port: h}}}}]
Y
part slow <<Y
  terminationGracePeriodSeconds: 10
  containers: [{$C, readinessProbe: {httpGet: {path: /ready, port: h}, periodSeconds: 1}}]
Y
part once <<Y
  restartPolicy: Never
  containers: [{$C, readinessProbe: {tcpSocket: {port: h}, periodSeconds: 1}}]
Y
part side <<Y
  initContainers: [{name: s, image: x, restartPolicy: Always, ports: [{containerPort: 81}], livenessProbe: {exec: {command: [test, '!', -e, $dir/w/side]}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}}]
  containers: [{$C, lifecycle: {preStop: {exec: {command: [sh, -c, 'sleep 1; curl -s -o /dev/null -m 1 -w "%{http_code}" http://127.0.0.1:81/ > $dir/w/sidecar']}}}}]
Y
"$weft" up -d --fast-probes=20 --name $name "$dir/m" >"$dir/up" 2>&1
ok "a cluster" $?
grep -q '20 times shorter' "$dir/up"
ok "the summary tells that probes are faster" $?
api() { curl -s --unix-socket $run/hub.sock "http://x$1"; }
pod() { api "/api/v1/namespaces/p/pods/$1" | python3 -c 'import json,sys; o=json.load(sys.stdin); s=o.get("status",{}).get("containerStatuses",[{}])[0]; print(eval(sys.argv[1]))' "$2" 2>/dev/null; }
is() { [ "$(pod "$1" "$2")" = "$3" ]; }
ready() { is "$1" 's["ready"]' "$2"; }
now() { date +%s%3N; }
gone() { [ ! -e "$run/pods/p_$1" ]; }
near() { ip netns exec "weft-$name-node-1" curl -s -o /dev/null -m 5 -w '%{http_code}' "$@"; }

# probes by exec, HTTPS, and what is not there
wait_for ready sick True
ok "PR22 a pod whose exec probe ends with 0 lives and is ready" $?
wait_for ready tls True
ok "PR17 a probe by HTTPS is answered by TLS, whose certificate nobody knows" $?
wait_for ready unknown True
ok "a program that is not on this machine is played as success" $?
"$weft" reach --name $name >/dev/null 2>&1
same "PR05 until its startup probe succeeds a pod is not ready" "$(pod starting 's["ready"]')" False

# liveness
: >"$dir/w/sick"
wait_for is sick 's["restartCount"] > 0' True
ok "PR07 PR28 a liveness failure ends the container by the probe's grace, and it is started again" $?
rm "$dir/w/sick"
wait_for ready sick True
ok "PR09 PR10 the new instance is probed anew" $?
is sick '"liveness" in s["lastState"]["terminated"]["message"]' True
ok "why it was ended is told" $?
first=$(pod sick 's["containerID"]')
wait_for is starting 's["restartCount"] > 1' True
ok "PR07 a startup probe that never succeeds ends the container again and again" $?
: >"$dir/w/started"
wait_for ready starting True
ok "PR06 once it succeeds the container is ready" $?
was=$(pod starting 's["restartCount"]')
rm "$dir/w/started"
sleep 1
same "PR06 and startup is never asked again of that instance" "$(pod starting 's["restartCount"]')" "$was"

# back-off: 10 s, 20 s, divided by 20
wait_for ready slow True
crash() { "$weft" fault --name $name p/slow --crash; }
crash
wait_for is slow 's["restartCount"]' 1
begin=$(now)
crash
backs_off() { is slow '" ".join(s["state"].get("waiting", {}).values()).split("(")[0]' "CrashLoopBackOff back-off $1 restarting failed container=c pod=slow_p"; }
wait_for backs_off 500ms
ok "a container that ends again waits in CrashLoopBackOff, and says how long" $?
wait_for is slow 's["restartCount"]' 2
took=$(($(now) - begin))
[ $took -ge 500 ]
ok "for 0.5 s ($took ms)" $?
begin=$(now)
crash
wait_for backs_off 1s
ok "twice as long the next time" $?
wait_for is slow 's["restartCount"]' 3
took=$(($(now) - begin))
[ $took -ge 1000 ]
ok "the next time for 1 s ($took ms)" $?
same "the end is told" "$(pod slow 's["lastState"]["terminated"]["exitCode"]')" 137
[ "$first" != "$(pod slow 's["containerID"]')" ] && [ -n "$first" ]
ok "each instance has an id of its own" $?

# an orderly end
wait_for ready slow True
ip=$(pod slow 'o["status"]["podIP"]')
"$weft" fault --name $name p/slow --slow 1500ms
sleep 0.2
near "http://$ip/under-way" >"$dir/under" &
under=$!
sleep 0.3
rm "$dir/m/slow.yaml"
leaving() { is slow 'bool(o["metadata"].get("deletionTimestamp"))' True; }
slices() { api /apis/discovery.k8s.io/v1/namespaces/p/endpointslices | python3 -c 'import json,sys; print({(c["ready"], c["serving"], c["terminating"]) for s in json.load(sys.stdin)["items"] for e in s["endpoints"] for c in [e["conditions"]]})'; }
wait_for leaving
near "http://$ip/late" >"$dir/late" &
late=$!
same "PR23 PR24 the endpoint of a pod that ends is not ready at once, and serving still" "$(slices)" "{(False, True, True)}"
wait "$late"
same "who comes a moment late is served" "$(cat "$dir/late")" 200
wait "$under"
same "a request under way is answered" "$(cat "$dir/under")" 200
wait_for gone slow
ok "and then it is gone" $?

# preStop
wait_for ready hooked True
begin=$(now)
rm "$dir/m/hooked.yaml" "$dir/m/napping.yaml" "$dir/m/asking.yaml" "$dir/m/side.yaml"
wait_for gone asking
took=$(($(now) - begin))
[ $took -lt 20000 ]
ok "preStop by httpGet is answered, then the container ends ($took ms)" $?
wait_for gone hooked
ended=$(now)
grep -q 10.96.0.10 "$dir/w/hook"
ok "preStop by exec runs in the container: its resolv.conf is the pod's" $?
hooked=$(cat "$dir/w/hooked")
[ $((hooked - begin)) -ge 1000 ] && [ "$ended" -gt "$hooked" ]
ok "and SIGTERM waits for it" $?
wait_for gone napping
took=$(($(now) - begin))
[ $took -ge 2000 ] && [ $took -lt 30000 ]
ok "preStop that outlasts the grace is broken off ($took ms)" $?
wait_for gone side
same "PR33 a sidecar serves until the containers have ended" "$(cat "$dir/w/sidecar")" 200

# a pod that is over
wait_for ready once True
"$weft" fault --name $name p/once --crash
wait_for is once 'o["status"]["phase"]' Failed
ok "PR34 without a restart policy a container's end is the pod's: Failed" $?
same "PR34 it is not ready and not started again" "$(pod once 'str(s["ready"]) + str(s["restartCount"])')" False0
left=$(grep -l "weft-standin" /proc/[0-9]*/comm 2>/dev/null | wc -l)
"$weft" down --name $name >/dev/null 2>&1
ok "down ($left stand-ins ran)" $?
finish
