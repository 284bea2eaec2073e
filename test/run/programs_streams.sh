#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The runtime's side of serve/stream.h: exec with and without a terminal, attach, logs and forward, into stand-ins and
# own programs; bounded logs, slow and vanishing clients, and who may connect.
cd "$(dirname "$0")/../.." || exit 1
test=streams
. test/run/cluster_lib
. test/run/programs/lib

mkdir "$dir/m"
cat >"$dir/m/p.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: p}
---
apiVersion: v1
kind: Pod
metadata: {name: plays, namespace: p}
spec: {nodeName: node-1, containers: [{name: c, image: x, ports: [{containerPort: 80}], env: [{name: HERE, value: there}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: own, namespace: p, annotations: {weft.network/command: 'for i in 1 2 3; do echo line $i; done; echo wrong >&2; sleep 0.3; printf part; exec sleep 1000'}}
spec: {nodeName: node-1, containers: [{name: c, image: x}, {name: other, image: x, ports: [{containerPort: 81}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: echo, namespace: p, annotations: {weft.network/command: 'echo begins; while read -r l; do echo "got $l"; done; echo ends; exit 7'}}
spec: {nodeName: node-1, restartPolicy: Never, containers: [{name: c, image: x, stdin: true, stdinOnce: true}]}
---
apiVersion: v1
kind: Pod
metadata: {name: much, namespace: p, annotations: {weft.network/command: 'while ! test -e /tmp/go; do sleep 0.1; done; i=0; while test $i -lt 60; do head -c 100000 /dev/zero | tr "\0" a; echo; i=$((i + 1)); done; echo the end; touch /tmp/done; exec sleep 1000'}}
spec: {nodeName: node-2, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ticks, namespace: p, annotations: {weft.network/command: 'i=0; while test $i -lt 40; do echo tick $i; i=$((i + 1)); sleep 0.1; done; exit 0'}}
spec: {nodeName: node-2, restartPolicy: Never, containers: [{name: c, image: x}]}
Y
"$weft" up -d --name $name "$dir/m" >"$dir/up" 2>&1
[ -S $run/streams.sock ] || { sed 's/^/# /' "$dir/up"; echo "Bail out! weft up"; exit 1; }

ask() { # DO POD MEMBERS [STDIN] [SECONDS]
	d=$1 p=$2 m=$3
	shift 3
	stream "{\"do\":\"$d\",\"namespace\":\"p\",\"pod\":\"$p\",\"container\":\"\"$m}" "$@"
}
ends=',"stdin":true,"stdout":true,"stderr":true,"tty":false'
run_in() { # POD COMMAND-IN-JSON [STDIN] [SECONDS]
	p=$1 c=$2
	shift 2
	ask exec "$p" "$ends,\"command\":$c" "$@"
}

# exec
same "in a stand-in: this machine's programs, its environment, stdin and its end, stderr apart, the exit code" \
	"$(run_in plays '["sh", "-c", "echo $HERE; cat; echo err >&2; exit 9"]' 'sent')" "there
sentE:err
status Failure 9"
same "in an own program: its own root and uid" "$(run_in own '["id", "-u"]' '')" "0
status Success "
same "a signal's number" "$(run_in own '["sh", "-c", "kill -9 $$"]' '')" "status Failure 137"
same "a program that is not there" "$(run_in plays '["nowhere"]' '')" 'refused 500 exec: "nowhere": executable file not found in $PATH'
same "nor in an own one's root" "$(run_in own '["nowhere"]' '' | tail -n 1)" "status Failure 127"
sum=$(head -c 3000000 /dev/zero | md5sum | cut -c1-32)
same "megabytes, in order" "$(run_in plays '["sh", "-c", "head -c 3000000 /dev/zero"]' '' | head -c 3000000 | md5sum | cut -c1-32)" "$sum"
for p in plays own; do
	same "a terminal, of that size, in $p" "$(ask exec $p ',"stdin":true,"stdout":true,"stderr":true,"tty":true,"resize":{"Width":91,"Height":33},"command":["sh","-c","read x; test -t 0 && test -t 2 && stty size; exit 2"]' "go
" | tr -d '\r' | tail -n 2)" "33 91
status Failure 2"
done
run_in plays '["sleep", "777.7"]' - 1 >/dev/null
left() { ! grep -qsa '^sleep.777[.]7' /proc/[0-9]*/cmdline; }
wait_for left
ok "a client that goes away: the program gets SIGHUP" $?
run_in own '["sleep", "777.7"]' - 1 >/dev/null
wait_for left
ok "in an own program too" $?

# logs
said() { [ "$(ask logs own ',"tail":-1,"limit":-1,"since":0' | xargs)" = "line 1 line 2 line 3 wrong part" ]; }
wait_for said
ok "logs: all that was printed, a line that is not yet whole too" $?
logs() { ask logs own "$1"; }
same "the tail" "$(ask logs ticks ',"tail":2,"limit":-1,"since":0,"follow":true' | tail -n 1)" "tick 39"
same "of a container that has ended" "$(ask logs ticks ',"tail":2,"limit":-1,"since":0' | xargs)" "tick 38 tick 39"
[ "$(ask logs ticks ',"tail":-1,"limit":-1,"since":0,"timestamps":true' | grep -cE '^20[0-9-]+T[0-9:]{8}\.[0-9]{9}Z tick [0-9]+$')" = 40 ]
ok "times" $?
since=$(ask logs ticks ',"tail":-1,"limit":-1,"since":0,"timestamps":true' | sed -n '31s/ .*//p')
same "since then" "$(ask logs ticks ",\"tail\":-1,\"limit\":-1,\"since\":$(python3 -c 'import calendar, sys, time
t = sys.argv[1]
print(calendar.timegm(time.strptime(t[:19], "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(t[20:29]))' "$since")" | wc -l)" 10
same "a limit in bytes" "$(ask logs ticks ',"tail":-1,"limit":10,"since":0')" "tick 0
tic"
ask logs own ',"tail":-1,"limit":-1,"since":0,"previous":true' | grep -q '^refused 400 previous terminated container "c" in pod "own" not found'
ok "no instance before: told as kubelet does" $?
ask logs nobody ',"tail":-1,"limit":-1,"since":0' | grep -q '^refused 404' && stream '{"do":"logs","namespace":"p","pod":"own","container":"none","tail":-1,"limit":-1,"since":0}' | grep -q '^refused 400'
ok "no such pod, no such container" $?

# a flood, and readers that are slow
python3 - $run/streams.sock <<'P' &
import json, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(sys.argv[1])
s.sendall(json.dumps({"do": "logs", "namespace": "p", "pod": "much", "container": "", "follow": True, "tail": -1, "limit": -1, "since": 0}).encode() + b"\n")
time.sleep(600)
P
slow=$!
run_in much '["touch", "/tmp/go"]' '' >/dev/null
finished() { run_in much '["test", "-e", "/tmp/done"]' '' | grep -q Success; }
wait_for finished
ok "a program that prints 6 MB waits for no reader" $?
[ "$(ask logs much ',"tail":1,"limit":-1,"since":0')" = "the end" ]
ok "and its last line is there for others" $?
[ "$(cat $run/pods/p_much/c.log $run/pods/p_much/c.log.1 | wc -c)" -le 2400000 ]
ok "its log stays within its bound" $?
lost() { python3 -c 'import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"{\"op\":\"status\"}\n")
print(json.loads(s.makefile().readline())["logBytesLost"])' $run/sandbox.sock; }
[ "$(lost)" -gt 3000000 ]
ok "and what it dropped is counted" $?
kill $slow

# attach
python3 test/run/programs/stream.py $run/streams.sock '{"do":"attach","namespace":"p","pod":"echo","container":"","stdin":true,"stdout":true,"stderr":true,"tty":false}' 'one
two
' 20 >"$dir/attached"
same "attach: stdin of a program that asked for it, what it prints, its status" "$(cat "$dir/attached")" "got one
got two
ends
status Failure 7"
ask attach plays ',"stdin":true,"stdout":true,"stderr":true,"tty":false' | grep -q '^refused 400 container c has no stdin'
ok "there is none to attach to in a stand-in" $?

# forward
ip=$(pod plays 'o["status"]["podIP"]')
request=$(printf 'GET / HTTP/1.0\r\n\r\n.')
same "forward: into the pod, by its own loopback address" "$(ask forward plays ',"port":80' "${request%.}" 5 | head -n 1 | tr -d '\r')" "HTTP/1.1 200 OK"
ask forward plays ',"port":4444' | grep -q '^refused 500 .*4444.*connection refused'
ok "a port that nobody has: refused in words" $?
[ -n "$ip" ] && ! setpriv --reuid 65533 --regid 65533 --clear-groups python3 test/run/programs/stream.py $run/streams.sock '{"do":"logs","namespace":"p","pod":"own","container":""}' >/dev/null 2>&1
ok "workloads cannot connect" $?
many() { python3 - $run/streams.sock <<'P'
import json, socket, sys
def session():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.sendall(json.dumps({"do": "logs", "namespace": "p", "pod": "own", "container": "", "follow": True, "tail": 0, "limit": -1, "since": 0}).encode() + b"\n")
    return s, s.makefile("rb").readline()
got = [session() for i in range(260)]
full = [a for _, a in got if b"429" in a]
sys.exit(not (len(full) >= 4 and got[0][1] == b"{}\n"))
P
}
many
ok "more than 256 sessions are refused in words" $?
answers() { run_in plays '["true"]' '' | grep -q Success; }
wait_for answers
ok "and when they end there is room again" $?
api DELETE /api/v1/namespaces/p/pods/own >/dev/null
ask exec own "$ends,\"command\":[\"sleep\",\"777.7\"]" - 15 >"$dir/out"
wait_for left
ok "a pod's end ends its sessions" $?
"$weft" down --name $name >"$dir/down" 2>&1
ok "down" $?
finish
