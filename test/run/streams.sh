#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# exec, logs, attach, forward and cp as people type them: `weft` and kubectl, through the hub, into own programs and
# stand-ins that the sandbox runs. Terminals, megabytes, half-closed connections, several ports, ends by Ctrl-C.
cd "$(dirname "$0")/../.." || exit 1
test=typed
. test/run/cluster_lib
. test/run/programs/lib
command -v nginx >/dev/null 2>&1 || skip "nginx is not installed (nginx-light)"

cp -r examples/own "$dir/m"
chmod 755 "$dir"
cat >"$dir/m/p.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: p}
---
apiVersion: v1
kind: Pod
metadata:
  name: files
  namespace: p
  labels: {app: files}
  annotations: {weft.network/command: 'mkdir /tmp/www; cd /tmp/www; python3 -u -m http.server 8081 & exec python3 -u -m http.server 8080'}
spec: {nodeName: node-1, containers: [{name: c, image: x, env: [{name: HERE, value: there}], ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: files, namespace: p}
spec: {selector: {app: files}, ports: [{name: page, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: sum
  namespace: p
  annotations:
    weft.network/command.c: |
      exec python3 -u -c '
      import hashlib, socketserver
      class Sum(socketserver.BaseRequestHandler):
          def handle(self):
              h = hashlib.md5()
              while data := self.request.recv(65536):
                  h.update(data)
              self.request.sendall(h.hexdigest().encode())
      socketserver.ThreadingTCPServer(("127.0.0.1", 9000), Sum).serve_forever()'
spec: {nodeName: node-2, containers: [{name: c, image: x}, {name: other, image: x, ports: [{containerPort: 81}]}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: again
  namespace: p
  labels: {said: much}
  annotations:
    weft.network/command: |
      if test -e /e/once; then echo second; while ! test -e /e/go; do sleep 0.1; done; echo fresh; exec sleep 1000; fi
      for i in 1 2 3 4 5; do echo first $i; done; touch /e/once; exit 3
spec: {nodeName: node-2, volumes: [{name: e, emptyDir: {}}], containers: [{name: c, image: x, volumeMounts: [{name: e, mountPath: /e}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: quiet, namespace: p, labels: {said: much}, annotations: {weft.network/command: 'echo only; exec sleep 1000'}}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: echo, namespace: p, annotations: {weft.network/command: 'echo begins; while read -r l; do echo "got $l"; done; echo ends; exit 7'}}
spec: {nodeName: node-1, restartPolicy: Never, containers: [{name: c, image: x, stdin: true, stdinOnce: true}]}
---
apiVersion: v1
kind: Pod
metadata: {name: plays, namespace: p}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{name: http, containerPort: 80}], env: [{name: HERE, value: there}]}]}
Y
for i in true false; do # stdinOnce: one attach each
	sed "s/name: echo/name: echo-$i/" "$dir/m/p.yaml" | awk 'BEGIN { RS = "---\n"; ORS = "" } /name: echo-/ { print "---\n" $0 }' >"$dir/m/echo-$i.yaml"
done
"$weft" up -d --name $name --fast-probes "$dir/m" >"$dir/up" 2>&1
[ -S $run/streams.sock ] || { sed 's/^/# /' "$dir/up"; echo "Bail out! weft up"; exit 1; }
export KUBECONFIG=$run/kubeconfig KUBECACHEDIR="$dir/cache"
kids=
end_kids() { for p in $kids; do kill "$p" 2>/dev/null; done; }
trap 'end_kids; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$dir"' EXIT

w() { # COMMAND ARGS…
	verb=$1
	shift
	timeout 60 "$weft" "$verb" --name $name "$@"
}
at_terminal() { # a command that Ctrl-C ends, though the shell starts it in the background
	exec python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}
tty_w() { # ROWS COLUMNS [WAIT TYPE]… -- COMMAND ARGS…: weft at a terminal
	python3 test/run/streams/terminal.py "$@" | tr -d '\r'
}
# The size of a terminal comes after the program has begun, as with any runtime.
sized='while test "$(stty size)" = "0 0"; do sleep 0.1; done; stty size
'
head -c 10000000 /dev/urandom >"$dir/big"
sum=$(md5sum <"$dir/big")
for p in files sum quiet again; do wait_for is True $p 'c["state"].get("running") is not None'; done

# weft exec
for p in plays files; do
	w exec p/$p -- sh -c 'echo $HERE; echo err >&2; exit 3' >"$dir/out" 2>"$dir/err"
	same "weft exec in $p: the program's status" $? 3
	same "its output and its errors, apart" "$(cat "$dir/out") $(cat "$dir/err")" "there err"
	same "weft exec -i in $p: 10 MB through" "$(w exec -i p/$p -- cat <"$dir/big" | md5sum)" "$sum"
	same "without -i there is no input" "$(echo sent | w exec p/$p -- cat)" ""
	same "weft exec -it in $p: a terminal of this one's size, which follows it" "$(tty_w 40 100 'now' size:33:91 'saw it' 'typed\n' -- \
		"$weft" exec --name $name -it p/$p -- sh -c "$sized"'trap "stty size; echo saw it" WINCH; test -t 1 && echo now
		while ! stty size | grep -q 91; do sleep 0.1; done; read x; echo "read $x"' | grep -v '^typed' | xargs)" "40 100 now 33 91 saw it read typed"
	tty_w 24 80 'running' '\x03' -- "$weft" exec --name $name -it p/$p -- sh -c 'trap "echo was told; exit 5" INT; echo running; while :; do sleep 0.1; done' >"$dir/out"
	grep -q 'was told' "$dir/out"
	ok "Ctrl-C is the program's, not weft's" $?
done
w exec p/files -- nowhere >"$dir/out" 2>&1
[ $? != 0 ] && grep -q nowhere "$dir/out"
ok "a program that is not there" $?
w exec p/sum -- true 2>&1 | grep -q 'choose one of: \[c other\]' && [ "$(w exec -c c p/sum -- echo in c)" = "in c" ]
ok "which of two containers: -c" $?
w exec -t p/files -- true >"$dir/out" 2>&1
same "-t without a terminal is refused" "$? $(grep -c 'needs -i' "$dir/out")" "2 1"
w exec -i p/files -- sh -c 'cat >/tmp/www/big; md5sum </tmp/www/big' <"$dir/big" >"$dir/out"
same "a file into a pod" "$(cat "$dir/out")" "$sum"
w exec p/files -- cat /tmp/www/big | head -c 100 >/dev/null
ok "a reader that goes away ends it" $?

# weft logs
said() { w logs -p p/again | grep -q 'first 5' && w logs p/again | grep -q second; }
wait_for said
same "weft logs -p: of the instance before" "$(w logs -p p/again | xargs)" "first 1 first 2 first 3 first 4 first 5"
same "--tail" "$(w logs -p --tail 2 p/again | xargs)" "first 4 first 5"
same "--limit-bytes" "$(w logs -p --limit-bytes 7 p/again)" "first 1"
w logs -p --timestamps p/again | grep -qE '^20[0-9-]+T[0-9:]{8}\.[0-9]+Z first 1$'
ok "--timestamps" $?
same "--since: nothing is as old" "$(w logs --since 1h p/again)" second
wait_for sh -c "sleep 1; test -z \"\$('$weft' logs --name $name --since 1s p/again)\""
ok "--since: what is older is left out" $?
w logs --since soon p/again >"$dir/out" 2>&1
same "--since of no time" "$?" 2
at_terminal "$weft" logs --name $name -f p/again >"$dir/follow" 2>&1 &
follow=$!
kids="$kids $follow"
wait_for grep -q second "$dir/follow"
w exec p/again -- touch /e/go
wait_for grep -q fresh "$dir/follow"
ok "-f: what comes" $?
kill -INT $follow
wait_for sh -c "! kill -0 $follow"
ok "Ctrl-C ends it" $?
w logs -n p -l said=much >"$dir/out" 2>&1
same "-l: of several pods, each line with its pod" "$(sed 's/\x1b\[[0-9;]*m//g' "$dir/out" | sort | xargs)" "[again] fresh [again] second [quiet] only"
w logs -n p -l said=nothing >"$dir/out" 2>&1
same "-l that selects nobody says so" "$? $(grep -c 'no pod in namespace p' "$dir/out")" "1 1"

# weft attach
timeout 60 "$weft" attach --name $name p/quiet >"$dir/attach" 2>&1 &
kids="$kids $!"
same "weft attach -i: the program's input, what it says, its status" "$(printf 'one\ntwo\n' | w attach -i p/echo; echo $?)" "got one
got two
ends
7"

# weft forward
front=$(w get pods -n own -o name 2>/dev/null | sed -n 's#.*/\(front-[^ ]*\).*#\1#p' | head -n 1)
forward() { # FILE ARGS…: starts it in the background; $fw
	out=$1
	shift
	at_terminal "$weft" forward --name $name "$@" >"$out" 2>&1 &
	fw=$!
	kids="$kids $fw"
}
port_of() { # FILE REMOTE
	sed -n "s/^Forwarding from 127.0.0.1:\([0-9]*\) -> $2\$/\1/p" "$1" | head -n 1
}
check_ports() { # WORDS FILE: of a forward to files 8080, 8081 and 9999
	wait_for grep -q -- '-> 9999' "$2"
	a=$(port_of "$2" 8080) b=$(port_of "$2" 8081) none=$(port_of "$2" 9999)
	same "$1: 10 MB" "$(curl -s --max-time 60 "http://127.0.0.1:$a/big" | md5sum)" "$sum"
	same "$1: a second port" "$(curl -s --max-time 60 "http://127.0.0.1:$b/big" | md5sum)" "$sum"
	pars=
	for i in 1 2 3 4 5 6 7 8; do
		(for j in 1 2 3 4; do curl -s --max-time 60 "http://127.0.0.1:$a/" -o /dev/null -w '%{http_code}\n'; done) >"$dir/par.$i" &
		pars="$pars $!"
	done
	# shellcheck disable=SC2086
	wait $pars
	same "$1: 32 connections, 8 at a time" "$(cat "$dir"/par.* | sort | uniq -c | xargs)" "32 200"
	curl -s --max-time 20 "http://127.0.0.1:$none/" >/dev/null
	wait_for grep -q 'refused' "$2"
	ok "$1: a port that nobody serves is told" $?
	after=$(curl -s --max-time 60 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$b/")
	kill -INT $fw 2>/dev/null # kubectl itself has ended by then
	wait_for sh -c "! kill -0 $fw"
	wait $fw
	status=$?
	wait_for sh -c "! curl -s http://127.0.0.1:$a/ -o /dev/null"
	ok "$1: it ends ($status), and nobody listens" $?
}
forward "$dir/f1" p/files :8080 :8081 :9999
check_ports "weft forward" "$dir/f1"
same "weft forward: the others went on, and Ctrl-C is a good end" "$after $status" "200 0"
forward "$dir/f2" p/sum :9000
wait_for grep -q -- '-> 9000' "$dir/f2"
same "weft forward: 10 MB in, the end of it, and the answer" "$(python3 test/run/streams/send.py "$(port_of "$dir/f2" 9000)" <"$dir/big")" "${sum%% *}"
kill -INT $fw
forward "$dir/f3" -n p svc/files :page
wait_for grep -q -- '-> 8080' "$dir/f3"
same "weft forward svc/NAME: the Service's port by name is the pod's" "$(curl -s "http://127.0.0.1:$(port_of "$dir/f3" 8080)/big" | md5sum)" "$sum"
kill -INT $fw
forward "$dir/f4" -n own "pod/$front" :80
wait_for grep -q -- '-> 80' "$dir/f4"
same "weft forward into nginx" "$(curl -s "http://127.0.0.1:$(port_of "$dir/f4" 80)/ready")" ready
taken=$(port_of "$dir/f4" 80)
w forward p/plays "$taken:80" >"$dir/out" 2>&1
same "a local port that is taken" "$? $(grep -c 'in use' "$dir/out")" "1 1"
w forward p/plays ftp >"$dir/out" 2>&1
same "a port that the pod has not" "$? $(grep -c 'has no port "ftp"' "$dir/out")" "1 1"
kill -INT $fw

# kubectl, the same
if ! command -v kubectl >/dev/null; then
	ok "kubectl # SKIP there is none on this machine" 0
	finish
fi
k() { timeout 60 kubectl -n p "$@"; }
for ws in true false; do
	export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
	[ $ws = true ] && way=WebSocket || way=SPDY
	k exec files -- sh -c 'echo out; echo err >&2; exit 3' >"$dir/out" 2>"$dir/err"
	same "$way: kubectl exec: status" "$? $(cat "$dir/out") $(head -n 1 "$dir/err")" "3 out err"
	same "$way: exec -i: 10 MB through" "$(k exec -i files -- cat <"$dir/big" | md5sum)" "$sum"
	same "$way: exec -it" "$(tty_w 40 100 'now' 'typed\n' -- kubectl -n p exec -it files -- sh -c "$sized"'echo now; read x; echo "read $x"' |
		grep -v '^typed' | xargs)" "40 100 now read typed"
	same "$way: logs -p" "$(k logs -p again | wc -l)" 5
	same "$way: logs --tail" "$(k logs again --tail=1)" fresh
	same "$way: attach -i" "$(printf 'one\n' | k attach -qi echo-$ws 2>/dev/null | grep got)" "got one"
	mkdir "$dir/from-$ws"
	cp "$dir/big" "$dir/from-$ws/a"
	k cp "$dir/from-$ws" files:/tmp/to-$ws >"$dir/out" 2>&1
	same "$way: cp to the pod" "$(w exec p/files -- md5sum /tmp/to-$ws/a | cut -c1-32)" "${sum%% *}"
	k cp files:/tmp/to-$ws "$dir/back-$ws" >"$dir/out" 2>&1
	same "$way: cp from the pod" "$(md5sum <"$dir/back-$ws/a")" "$sum"
	at_terminal kubectl -n p port-forward files 0:8080 0:8081 0:9999 >"$dir/k-$ws" 2>&1 &
	fw=$!
	kids="$kids $fw"
	check_ports "$way: kubectl port-forward" "$dir/k-$ws"
	kubectl -n p port-forward sum 0:9000 >"$dir/s-$ws" 2>&1 &
	kids="$kids $!"
	wait_for grep -q -- '-> 9000' "$dir/s-$ws"
	same "$way: port-forward: 10 MB in, the end of it, and the answer" \
		"$(python3 test/run/streams/send.py "$(port_of "$dir/s-$ws" 9000)" <"$dir/big")" "${sum%% *}"
	kubectl -n own port-forward svc/front 0:80 >"$dir/n-$ws" 2>&1 &
	kids="$kids $!"
	wait_for grep -q -- '-> 80' "$dir/n-$ws"
	same "$way: port-forward svc/front into nginx" "$(curl -s "http://127.0.0.1:$(port_of "$dir/n-$ws" 80)/ready")" ready
done
end_kids
kids=
"$weft" down --name $name >"$dir/down" 2>&1
ok "down" $?
finish
