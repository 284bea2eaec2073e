#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs of one's own in place of stand-ins: nginx and a web server in Python behind Services and policy, environment,
# files, users, rights, ends, restarts, unpacked images, `weft run`; and what is left when the sandbox is killed.
cd "$(dirname "$0")/../.." || exit 1
test=programs
. test/run/cluster_lib
. test/run/programs/lib
command -v nginx >/dev/null 2>&1 || skip "nginx is not installed (nginx-light)"

cp -r examples/own "$dir/m"
mkdir -p "$dir/bundle/rootfs/bin" "$dir/plain/bin"
cp "$(command -v busybox)" "$dir/bundle/rootfs/bin/busybox" && cp "$(command -v busybox)" "$dir/plain/bin/busybox"
ln -s busybox "$dir/bundle/rootfs/bin/sh" && ln -s busybox "$dir/plain/bin/sh"
mkdir -m 755 "$dir/bundle/rootfs/data"
chmod 755 "$dir"
cat >"$dir/bundle/config.json" <<'J'
{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"cwd": "/data", "user": {"uid": 0, "gid": 0},
 "env": ["FROM=bundle", "PATH=/bin"], "args": ["sh", "-c", "echo $FROM $MORE in $(busybox pwd); echo x >/data/mine && echo wrote; busybox sleep 1000"]}}
J
echo secret >"$dir/secret"
chmod 600 "$dir/secret"
mkdir "$dir/host"
echo shown >"$dir/host/file"
cat >"$dir/m/p.yaml" <<Y
apiVersion: v1
kind: Namespace
metadata: {name: p}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, namespace: p}
data: {COLOR: blue, "a.txt": "text\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: p}
data: {token: czNjcjN0}
---
apiVersion: v1
kind: Service
metadata: {name: some-db, namespace: p}
spec: {clusterIP: 10.96.3.3, selector: {app: none}, ports: [{name: sql, port: 5432}]}
Y
own() { # NAME COMMAND [MEMBERS of the container] [MEMBERS of the spec]
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: p, labels: {app: $1}, annotations: {weft.network/command: '$2'}}
spec: {nodeName: node-1, terminationGracePeriodSeconds: 2, ${4:+$4, }containers: [{name: c, image: x${3:+, $3}}]}
Y
}
{
	own env '["sh", "-c", "env; exec sleep 1000"]' \
		'envFrom: [{prefix: P_, configMapRef: {name: conf}}], env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: key, key: token}}}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['"'"'app'"'"']"}}}, {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}, {name: WORD, value: "a$(TOKEN)b"}, {name: GONE, valueFrom: {configMapKeyRef: {name: nowhere, key: k, optional: true}}}], resources: {limits: {memory: 64Mi}}'
	own files 'cat /v/c/a.txt; echo $(cat /v/s/token) $(stat -c %a /v/s/token); cat /v/d/who; echo; echo mine >/v/e/f; cat /v/one; echo; cat /v/h/file; echo x >/v/h/new || echo host closed; echo x >/v/c/new || echo config closed; exec sleep 1000' \
		'volumeMounts: [{name: c, mountPath: /v/c}, {name: s, mountPath: /v/s}, {name: d, mountPath: /v/d}, {name: e, mountPath: /v/e}, {name: c, mountPath: /v/one, subPath: COLOR}, {name: h, mountPath: /v/h}]' \
		"volumes: [{name: c, configMap: {name: conf}}, {name: s, secret: {secretName: key, defaultMode: 256}}, {name: d, downwardAPI: {items: [{path: who, fieldRef: {fieldPath: metadata.name}}]}}, {name: e, emptyDir: {}}, {name: h, hostPath: {path: $dir/host}}]"
	own words '["printf", "word %s %s %s\\n", "$(WORD)", "$$(WORD)", "$(NONE)"]' 'env: [{name: WORD, value: said}]' 'restartPolicy: Never'
	own good 'exit 0' '' 'restartPolicy: Never'
	own bad 'echo last words >/dev/termination-log; exit 3' '' 'restartPolicy: Never'
	own told 'echo why it failed; exit 4' 'terminationMessagePolicy: FallbackToLogsOnError' 'restartPolicy: Never'
	own killed 'kill -9 $$' '' 'restartPolicy: Never'
	own loop 'echo turn $(cat /proc/sys/kernel/random/uuid); exit 1'
	own missing '["no-such-program"]' '' 'restartPolicy: Never'
	own waits 'echo $V; exec sleep 1000' 'env: [{name: V, valueFrom: {configMapKeyRef: {name: later, key: v}}}]'
	own user 'id; exec sleep 1000' 'securityContext: {runAsUser: 1000, runAsGroup: 2000}' 'securityContext: {fsGroup: 3000}'
	own noroot 'exit 0' 'securityContext: {runAsNonRoot: true}'
	own sealed 'echo x >/etc/x || echo sealed; exec sleep 1000' 'securityContext: {readOnlyRootFilesystem: true}'
	own slow 'trap "echo told; exit 0" TERM; echo here; while :; do sleep 0.1; done'
	own deaf 'trap "" TERM; echo here; while :; do sleep 0.1; done'
	own probed 'touch /tmp/ok; exec sleep 1000' 'readinessProbe: {exec: {command: [test, -e, /tmp/ok]}, periodSeconds: 1, failureThreshold: 1}'
	own bundle '' 'env: [{name: MORE, value: more}]' | sed "s#weft.network/command: ''#weft.network/rootfs: $dir/bundle#"
	own plain 'echo plain; exec busybox sleep 1000' | sed "s#{weft.network/command#{weft.network/rootfs: $dir/plain, weft.network/command#"
	own nofolder 'exit 0' | sed "s#{weft.network/command#{weft.network/rootfs: $dir/nowhere, weft.network/command#"
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: two, namespace: p, annotations: {weft.network/command.b: "cat /e/word; exec sleep 1000", weft.network/program.a: manifest}}\n'
	printf 'spec: {nodeName: node-2, volumes: [{name: e, emptyDir: {}}], initContainers: [{name: a, image: x, command: [sh, -c, "echo from the first >/e/word"], volumeMounts: [{name: e, mountPath: /e}]}], containers: [{name: b, image: x, volumeMounts: [{name: e, mountPath: /e}]}]}\n'
	printf -- '---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: claims, namespace: p}\nspec:\n  selector: {matchLabels: {app: claims}}\n'
	printf '  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]\n  template:\n'
	printf '    metadata: {labels: {app: claims}, annotations: {weft.network/command: "echo kept >/data/f; cat /data/f; exec sleep 1000"}}\n'
	printf '    spec: {containers: [{name: c, image: x, volumeMounts: [{name: data, mountPath: /data}]}]}\n'
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: plays, namespace: p}\nspec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}\n'
	printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: begun, namespace: p}\nspec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}\n'
} >>"$dir/m/p.yaml"

"$weft" up -d --name $name --fast-probes --run p/begun='echo begun; exec sleep 1000' --run p/nobdy='exit 0' "$dir/m" >"$dir/up" 2>&1
[ -S $run/streams.sock ] || { sed 's/^/# /' "$dir/up"; echo "Bail out! weft up"; exit 1; }
ok "the cluster is up" 0
grep -q 'run p/nobdy: no pod or workload has that name yet; there are .*/' "$dir/up"
ok "weft up --run of a name that nobody has says so, and which there are" $?

# nginx and Python behind their Services, under policy
deployed() { # NAME: its pod
	api GET "/api/v1/namespaces/own/pods?labelSelector=app=$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["metadata"]["name"])'
}
from() { # APP URL: the answer
	ip netns exec "weft-$name-own.$(deployed "$1")" curl -s --connect-timeout 3 --max-time 20 "$2"
}
service() { api GET "/api/v1/namespaces/own/services/$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["spec"]["clusterIPs"]['"$2"'])'; }
page='<h1>Served by Python, through nginx</h1>'
serves() { [ "$(from caller "http://$(service front 0)/")" = "$page" ]; }
wait_for serves
ok "nginx from Debian on port 80, and Python's web server behind it, serve through their Services" $?
same "over IPv6 too" "$(from caller "http://[$(service front 1)]/")" "$page"
same "and from outside, through a node port" "$(ip netns exec "weft-$name-outside" curl -s --max-time 3 http://172.31.0.11:30081/)" "$page"
[ "$(from front "http://$(service back 0)/")" = "$page" ] && ! from caller "http://$(service back 0)/" >/dev/null
ok "the policy lets the front reach the back, and nobody else" $?
"$weft" drops --name $name 2>/dev/null | grep -q 'own/back'
ok "what it drops is told with its policy" $?
calls() { grep -q '"call":"front".*"state":"ok"' $run/pods/own_*/caller.log; }
wait_for calls
ok "a stand-in that calls nginx is answered" $?
worker=$(tail -n 1 "$(find /sys/fs/cgroup -path "*/weft.$name/*/own.front*/cgroup.procs" | head -n 1)")
same "nginx has its worker run as www-data, in uids that nobody has" "$(awk '/^Uid/ { print $2 }' /proc/"$worker"/status)" $((0x71000000 + 33))
grep -q 'stdout F .*GET /ready' $run/pods/own_front*/nginx.log
ok "it logs to /dev/stdout, which is kept" $?

# environment and files
wait_for logged env '^IP='
log env >"$dir/env"
same "env: ConfigMaps with a prefix, Secrets, fields, resources, \$(NAME)" "$(grep -E '^(P_COLOR|TOKEN|APP|MEM|WORD|GONE)=' "$dir/env" | sort | xargs)" \
	"APP=env MEM=64 P_COLOR=blue TOKEN=s3cr3t WORD=as3cr3tb"
grep -qx "IP=$(pod env 'o["status"]["podIP"]')" "$dir/env"
ok "the pod's own address" $?
same "\$(NAME) in words, \$\$ for a dollar, unknown ones as they are" "$(log words)" 'word said $(WORD) $(NONE)'
same "the variables of Services" "$(grep -E '^SOME_DB_' "$dir/env" | sort | xargs)" \
	"SOME_DB_PORT=tcp://10.96.3.3:5432 SOME_DB_PORT_5432_TCP=tcp://10.96.3.3:5432 SOME_DB_PORT_5432_TCP_ADDR=10.96.3.3 SOME_DB_PORT_5432_TCP_PORT=5432 SOME_DB_PORT_5432_TCP_PROTO=tcp SOME_DB_SERVICE_HOST=10.96.3.3 SOME_DB_SERVICE_PORT=5432 SOME_DB_SERVICE_PORT_SQL=5432"
wait_for logged files 'config closed'
same "volumes: ConfigMap, Secret with its mode, downward fields, subPath, a host path that is read-only" \
	"$(log files | grep -v cannot | xargs)" "text s3cr3t 400 files blue shown host closed config closed"
same "an emptyDir is shared by a pod's containers, an init container's own command runs" \
	"$(wait_for logged two first && stream '{"do":"logs","namespace":"p","pod":"two","container":"b","tail":-1,"limit":-1,"since":0}')" "from the first"
sh_in files 'cat /etc/hosts; hostname; cat /etc/hostname' | grep -c files >"$dir/n"
same "the pod's name in /etc/hosts, /etc/hostname and as the host's" "$(cat "$dir/n")" 4

# ends
ended() { [ "$(pod "$1" '(o["status"]["phase"], s.get("exitCode"), s.get("reason"))')" = "$2" ]; }
wait_for ended good "('Succeeded', 0, 'Completed')"
ok "exit 0: Completed" $?
wait_for ended bad "('Failed', 3, 'Error')"
ok "another status: Error, with it" $?
same "the termination message" "$(pod bad 's["message"]')" "last words"
wait_for ended told "('Failed', 4, 'Error')"
same "or the last lines of the log, where the manifest says so" "$(pod told 's["message"]')" "why it failed"
wait_for ended killed "('Failed', 137, 'Error')"
ok "a signal: 128 and its number" $?
wait_for ended missing "('Failed', 128, 'StartError')"
ok "a program that is not there: StartError" $?
logged missing 'executable file not found'
ok "and the log says which" $?
looping() { [ "$(pod loop 's.get("reason")')" = CrashLoopBackOff ] && [ "$(pod loop 'c["restartCount"]')" -gt 1 ]; }
wait_for looping
ok "one that ends again and again: CrashLoopBackOff" $?
two_turns() { now=$(log loop) before=$(log loop '"previous":true') && [ -n "$now" ] && [ -n "$before" ] && [ "$now" != "$before" ] && case $before in turn*) true ;; *) false ;; esac; }
wait_for two_turns
ok "the log of the instance before it is kept" $?

# what is not there yet
wait_for is CreateContainerConfigError waits 's["reason"]'
same "a ConfigMap that is not there: CreateContainerConfigError, which one" "$(pod waits 's["message"]')" 'configmap "later" not found'
api POST /api/v1/namespaces/p/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"later"},"data":{"v":"came"}}' >/dev/null
wait_for logged waits '^came$'
ok "it starts when the ConfigMap has come" $?
wait_for is CreateContainerConfigError noroot 's["reason"]' && pod noroot 's["message"]' | grep -q runAsNonRoot
ok "runAsNonRoot is held" $?
wait_for is CreateContainerConfigError nofolder 's["reason"]' && pod nofolder 's["message"]' | grep -q "$dir/nowhere is no folder"
ok "a rootfs that is no folder is told" $?

# rights
wait_for logged user 'uid='
same "runAsUser, runAsGroup, fsGroup" "$(log user | grep -o '[ug]id=[0-9]*\|3000')" "uid=1000
gid=2000
3000"
proc=$(tail -n 1 "$(group user)")
same "and on the machine it is nobody's uid" "$(awk '/^Uid/ { print $2, $3, $4, $5 }' /proc/"$proc"/status)" "$(printf '%d %d %d %d' $((0x71000000 + 1000)) $((0x71000000 + 1000)) $((0x71000000 + 1000)) $((0x71000000 + 1000)))"
[ "$(awk '/^CapEff/ { print $2 }' /proc/"$proc"/status)" = 0000000000000000 ] && [ "$(awk '/^NoNewPrivs/ { print $2 }' /proc/"$proc"/status)" = 1 ]
ok "without capabilities, never to gain any" $?
sh_in env "cat $dir/secret /etc/shadow; echo x >/usr/bin/x; mount -t tmpfs x /mnt; unshare -n true; mknod /tmp/m b 7 0; kill -0 $$ && echo sees; ip link add d type bridge; ls $run; true" >"$dir/tried" 2>&1
! grep -qE 'secret$|root:|sees|hub.sock' "$dir/tried" && [ ! -e /usr/bin/x ] && [ "$(grep -cE 'denied|not permitted|No space|such process|cannot access|No such' "$dir/tried")" -ge 7 ]
ok "its root reads and writes nothing of the machine's that others may not, mounts nothing, sees nobody" $? || sed 's/^/# /' "$dir/tried"
sh_in env 'echo new >/etc/new; echo hosts >/etc/motd.d 2>/dev/null; mkdir /var/lib/mine /opt/mine && cat /etc/new' | grep -qx new && [ ! -e /etc/new ] && [ ! -e /var/lib/mine ]
ok "what it writes to /etc and /var stays its own" $?
sh_in env 'ps ax | wc -l' >"$dir/ps" && [ "$(head -n 1 "$dir/ps")" -lt 8 ]
ok "it sees its own processes only" $?
wait_for logged sealed '^sealed$'
ok "readOnlyRootFilesystem is held" $?

# unpacked images
wait_for logged bundle '^wrote$'
same "a bundle: its root, words, folder and environment, the manifest's joined" "$(log bundle | head -n 1)" "bundle more in /data"
[ "$(sh_in bundle 'busybox ls /; busybox cat /data/mine' | xargs)" = "bin data dev etc proc sys x status Success" ] && [ ! -e "$dir/bundle/rootfs/data/mine" ]
ok "the image's root is its root, its folder stays as it is" $?
wait_for logged plain '^plain$'
ok "a bare root with a command of one's own" $?

# probes and ends
wait_for ready probed && sh_in probed 'rm /tmp/ok' >/dev/null && wait_for is False probed 'c["ready"]' && sh_in probed 'touch /tmp/ok' >/dev/null && wait_for ready probed
ok "an exec probe runs in the program's own root" $?
gone() { [ "$(api GET "/api/v1/namespaces/p/pods/$1" | grep -c NotFound)" = 1 ] && [ -z "$(group "$1")" ]; }
wait_for logged slow here && wait_for logged deaf here
stream '{"do":"logs","namespace":"p","pod":"slow","container":"","follow":true,"tail":-1,"limit":-1,"since":0}' - 60 >"$dir/slow" &
follower=$!
wait_for grep -q here "$dir/slow"
python3 - "$dir/m/p.yaml" <<'P'
import os, sys
parts = open(sys.argv[1]).read().split("---\n")
open(sys.argv[1] + ".new", "w").write("---\n".join(p for p in parts if "name: slow," not in p and "name: deaf," not in p))
os.rename(sys.argv[1] + ".new", sys.argv[1])
P
wait_for gone slow && wait $follower && grep -qx told "$dir/slow"
ok "SIGTERM reaches the program, and its last words its log" $?
wait_for gone deaf
ok "who does not hear it is killed after the grace, whole" $?

# weft run
wait_for logged begun '^begun$'
ok "weft up --run: from the start" $?
before=$(pod plays 'c["restartCount"]')
logged claims-0 '^kept$' && is data-claims-0 claims-0 'o["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]'
ok "a StatefulSet's claims are volumes of its pods" $?
for f in --refuse '--slow 1s' --not-ready; do
	# shellcheck disable=SC2086
	! "$weft" fault p/env $f --name $name >"$dir/out" 2>&1 && grep -q "program of one's own" "$dir/out" || refused="${refused:-}$f"
done
same "faults that only a stand-in can play are refused, with the reason" "${refused:-}" ""
"$weft" run -n p plays='exec python3 -u -m http.server 80' --name $name >"$dir/run" 2>&1 && grep -q 'plays: 1 container starts that command' "$dir/run"
ok "weft run says what it does" $?
front_page() { ip netns exec "weft-$name-outside" curl -s --max-time 2 "http://$(pod plays 'o["status"]["podIP"]')/"; }
listed() { front_page | grep -q 'Directory listing'; }
wait_for listed
ok "the program serves in the stand-in's place" $?
"$weft" run p/plays= --name $name >/dev/null
standin() { front_page | grep -q '"pod"'; }
restarted() { [ "$(pod plays 'c["restartCount"]')" -eq $((before + 2)) ]; }
wait_for standin && wait_for restarted
ok "and the stand-in comes back, each a restart" $?
! "$weft" run p/nobody=x --name $name >"$dir/run" 2>&1 && grep -q 'no such pod' "$dir/run" && ! "$weft" run p/plays --name $name >"$dir/run" 2>&1 && grep -q 'is no \[NAMESPACE/\]' "$dir/run"
ok "a name that nobody has, and a word that is none, are refused" $?

# bad luck
box() { for p in $(cat "$(group "$1")"); do [ "$(tr '\0' ' ' </proc/"$p"/cmdline)" = "weft-box run " ] && awk '/^Uid/ { exit $2 != 0 }' /proc/"$p"/status && echo "$p"; done 2>/dev/null; }
restarts=$(pod probed 'c["restartCount"]')
kill -9 "$(box probed)"
more() { [ "$(pod probed 'c["restartCount"]')" -gt "$restarts" ] && ready probed; }
one_left() { [ "$(for p in $(cat "$(group probed)"); do cat /proc/"$p"/comm; done 2>/dev/null | grep -c '^sleep$')" = 1 ]; }
wait_for more && wait_for one_left
ok "when its keeper is killed, all of the program ends, and it is started again" $?
group probed >"$dir/group"
kill -9 "$(cat $run/lock)"
wait_for serves
ok "when weft up is killed, programs go on serving" $?
long=$(printf %02000d 0) url=http://$(service front 0)
from caller "$url/[1-80]-$long" >/dev/null
wait_for serves
ok "and printing: nobody's pipe breaks or fills" $?
"$weft" down --name $name >/dev/null 2>&1
[ ! -e $run ] && [ ! -e "$(cat "$dir/group")" ] && ! grep -q "$name" /proc/mounts
ok "weft down removes them all" $?

# a kernel without overlays
WEFT_NO_OVERLAY=1 "$weft" up -d --name $name examples/own >"$dir/up" 2>&1
wait_for serves
ok "without overlayfs the machine's root is read-only, and nginx runs all the same" $?
"$weft" down --name $name >"$dir/down" 2>&1
ok "down" $?
finish
