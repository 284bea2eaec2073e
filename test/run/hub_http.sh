#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clients that misbehave: dripped requests, watches whose clients die or do not read, too many connections.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
shop
ulimit -n 1500 # connections: as many, less what the hub keeps for itself
start --sandbox --no-tls
node 0 >/dev/null
python3 - "$run/hub.sock" "$pid" >"$dir/out" 2>&1 <<'PY'
import json, os, socket, sys, time
path, pid = sys.argv[1], sys.argv[2]
def conn():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(15)
    s.connect(path)
    return s
def fds():
    return len(os.listdir(f"/proc/{pid}/fd"))
def say(what, good):
    print(("yes " if good else "NO ") + what, flush=True)
def ask(s, text, body=b"", method=b"GET"):
    kind = b"application/json" if method == b"POST" else b"application/merge-patch+json"
    s.sendall(method + b" " + text + b" HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(65536)
    head, rest = got.split(b"\r\n\r\n", 1)
    size = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")]
    while size and len(rest) < size[0]:
        rest += s.recv(65536)
    return head, rest

drip = conn()
drip.sendall(b"GET /version HTTP/1.1\r\nHo")
body = conn()
body.sendall(b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
began = time.monotonic()

# A client that still writes sees the answer, not a break.
odd = conn()
odd.sendall(b"POST /api/v1/namespaces?fieldManager=%00 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
time.sleep(0.3)
try:
    odd.sendall(b"x" * 1000000)
    say("a malformed request is read to its end, and refused", odd.recv(65536).startswith(b"HTTP/1.1 400"))
except OSError as e:
    say("a malformed request is read to its end, and refused: %s" % e, False)

# Watches of dead clients are let go within seconds, without any event.
time.sleep(0.3)
before = fds()
dead = [conn() for _ in range(50)]
for s in dead:
    s.sendall(b"GET /api/v1/secrets?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
time.sleep(0.5)
say("fifty watches are open", fds() >= before + 50)
for s in dead:
    s.close()
end = time.monotonic() + 5
while fds() > before and time.monotonic() < end:
    time.sleep(0.1)
say("and let go when their clients are gone", fds() <= before)

# A watch that does not read holds nobody up, and costs bounded memory.
deaf = conn()
deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
deaf.sendall(b"GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
def rss():
    return int([l for l in open(f"/proc/{pid}/status") if l.startswith("RssAnon")][0].split()[1])
good = conn()
pods = json.loads(ask(good, b"/api/v1/namespaces/shop/pods")[1])
name = pods["items"][0]["metadata"]["name"].encode()
slowest, base = 0, rss()
for i in range(3000):
    b = b'{"metadata":{"annotations":{"n":"%d","text":"%s"}}}' % (i, b"x" * 3000)
    t = time.monotonic()
    head, _ = ask(good, b"/api/v1/namespaces/shop/pods/" + name, b, b"PATCH")
    slowest = max(slowest, time.monotonic() - t)
    if b"200" not in head.split(b"\r\n")[0]:
        say("writes go on", False)
        break
say("a deaf watch holds no writer up: slowest %.0f ms" % (slowest * 1000), slowest < 0.5)

# What was dripped is cut, idle connections are not.
def cut(s, limit):
    s.settimeout(max(0.1, began + limit - time.monotonic()))
    try:
        return s.recv(1000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
say("a dripped request is cut after ten seconds", cut(drip, 14))
say("a dripped body too", cut(body, 14))
say("a connection that waits between requests is not", b"200" in ask(good, b"/version")[0].split(b"\r\n")[0])

# Many watches of one object each: each is told of its own, all of it, and of no other's.
def name(i):
    return b"w%d" % i
watches = []
for i in range(1000):
    s = conn()
    watches.append(s)
    s.sendall(b"GET /api/v1/namespaces/shop/configmaps?watch=true&fieldSelector=metadata.name=" + name(i) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    while b"\r\n\r\n" not in s.recv(65536):
        pass
for turn in range(3):
    for i in range(len(watches)):
        body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(i).decode()}, "data": {"turn": str(turn)}}).encode()
        if turn:
            ask(good, b"/api/v1/namespaces/shop/configmaps/" + name(i), body, b"PATCH")
        else:
            ask(good, b"/api/v1/namespaces/shop/configmaps", body, b"POST")
def told(i):
    got = b""
    while got.count(b'"turn":"') < 3:
        got += watches[i].recv(65536)
    return [l[9:].split(b'"')[0] for l in got.split(b"\n") if l.startswith(b'{"type":')] == [b"ADDED", b"MODIFIED", b"MODIFIED"] and \
        got.count(b'"name":"') == got.count(b'"name":"' + name(i) + b'"') == 3
say("a thousand watches are told of their own", all(told(i) for i in range(len(watches))))
time.sleep(0.2)
def silent(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b"never"
    except BlockingIOError:
        return True
say("and of nothing else", all(silent(s) for s in watches))
for s in watches:
    s.close()
end = time.monotonic() + 5
while fds() > before + 20 and time.monotonic() < end:
    time.sleep(0.05)

# More connections than it takes: the others still serve, and it recovers.
many = []
try:
    for _ in range(1600):
        many.append(conn())
except OSError:
    pass
time.sleep(0.3)
say("an open connection is served while the door is full", b"200" in ask(good, b"/version")[0].split(b"\r\n")[0])
for s in many:
    s.close()
time.sleep(1.5)
say("and new ones when it is not", b"200" in ask(conn(), b"/version")[0].split(b"\r\n")[0])
PY
while read -r answer what; do
	case $answer in
	yes) ok "$what" 0 ;;
	*) ok "$answer $what" 1 ;;
	esac
done <"$dir/out"
same "checks made" "$n" 11
serving >/dev/null
ok "the hub serves on" $?
stop TERM
finish
