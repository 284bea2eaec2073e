#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streams of the hub by hand over its Unix socket: handshakes that are wrong, frames that are wrong, both directions full,
sessions by the hundred. Prints "ok - …" lines."""
import base64, hashlib, os, socket, struct, sys, time, urllib.parse

path, WEB = sys.argv[1], int(sys.argv[3])
POD = "/api/v1/namespaces/default/pods/"
KEY = base64.b64encode(b"0123456789abcdef").decode()


def ok(what, good, got=""):
    print(("ok - " if good else "not ok - ") + what, flush=True)
    if not good:
        print("# got: %r" % (got,), flush=True)


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


def ask(url, *headers, method="GET"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    s.sendall(("%s %s HTTP/1.1\r\nHost: hub\r\n%s\r\n" % (method, url, "".join(h + "\r\n" for h in headers))).encode())
    data = b""
    while b"\r\n\r\n" not in data:
        got = s.recv(65536)
        if not got:
            break
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    return s, head.decode(), rest


WS = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + KEY)


def ws(url, protocol="v5.channel.k8s.io", extra=()):
    return ask(url, *WS, "Sec-WebSocket-Protocol: " + protocol, *extra)


def frame(payload, opcode=2, fin=True, mask=b"\1\2\3\4"):
    n = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    flag = 0x80 if mask else 0
    head += bytes([flag | n]) if n < 126 else bytes([flag | 126]) + struct.pack(">H", n) if n < 65536 else bytes([flag | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + payload
    return head + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload))


class Reader:
    def __init__(self, s, rest):
        self.s, self.data = s, rest

    def take(self, n):
        while len(self.data) < n:
            got = self.s.recv(262144)
            if not got:
                raise EOFError
            self.data += got
        out, self.data = self.data[:n], self.data[n:]
        return out

    def frame(self):
        a, b = self.take(2)
        n = b & 127
        if n == 126:
            (n,) = struct.unpack(">H", self.take(2))
        elif n == 127:
            (n,) = struct.unpack(">Q", self.take(8))
        return a & 15, self.take(n)

    def until_close(self):
        out = {}
        while True:
            op, data = self.frame()
            if op == 8:
                return out, struct.unpack(">H", data[:2])[0], data[2:]
            if op == 2 and data:
                out[data[0]] = out.get(data[0], b"") + data[1:]


def refused(what, code, word, got):
    s, head, rest = got
    while word.encode() not in rest:
        more = s.recv(65536)
        if not more:
            break
        rest += more
    ok(what, (" %d " % code) in head.split("\r\n")[0] and word.encode() in rest, head + repr(rest))
    s.close()


EXEC = POD + "one/exec?command=cat&stdin=true&stdout=true"
# a client that reads nothing until long after the program's end; it is asked further down
late = ws(POD + "one/exec?command=head&command=-c&command=350000&command=/dev/zero&stdout=true")
began = time.monotonic()

# handshakes
refused("no upgrade", 400, "Upgrade request required", ask(EXEC))
refused("no subprotocol in common", 400, "no subprotocol in common", ws(EXEC, "v1.channel.k8s.io"))
refused("a key that is none", 400, "Sec-WebSocket-Key", ask(EXEC, *WS[:3], "Sec-WebSocket-Key: abc", "Sec-WebSocket-Protocol: v5.channel.k8s.io"))
refused("an old version", 400, "Sec-WebSocket-Version", ask(EXEC, WS[0], WS[1], "Sec-WebSocket-Version: 8", WS[3]))
refused("another origin", 403, "another origin", ws(EXEC, extra=("Origin: https://evil.example",)))
refused("no command", 400, "must specify a command", ws(POD + "one/exec?stdout=true"))
refused("no stream", 400, "at least one of stdin", ws(POD + "one/exec?command=cat"))
refused("SPDY without a protocol", 403, "X-Stream-Protocol-Version", ask(EXEC, "Upgrade: SPDY/3.1", "Connection: Upgrade", method="POST"))
refused("no port", 400, "at least one port", ws(POD + "one/portforward", "v4.channel.k8s.io"))
refused("a port that is none", 400, "is no port", ws(POD + "one/portforward?ports=70000", "v4.channel.k8s.io"))
refused("DELETE", 405, "DELETE is not possible", ask(EXEC, method="DELETE"))

# the protocol itself
s, head, rest = ws(EXEC, extra=("Origin: http://hub",))
accept = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
ok("the handshake's answer", " 101 " in head and accept in head and "v5.channel.k8s.io" in head, head)
r = Reader(s, rest)
s.sendall(frame(b"\0a", fin=False) + frame(b"p", 9) + frame(b"b", 0, fin=False) + frame(b"c\n", 0))
ok("a ping inside of a message is answered first", r.frame() == (10, b"p"))
s.sendall(frame(b"\xff\0"))
out, code, _ = r.until_close()
ok("a message in pieces, the end of stdin, a status, a close", out.get(1) == b"abc\n" and b"Success" in out.get(3, b"") and code == 1000, out)
s.close()
for what, bad in (("an unmasked frame", frame(b"\0x", mask=b"")), ("a text message", frame(b"\0x", 1)), ("a reserved bit", b"\xf2\x80\1\2\3\4"),
                  ("a continuation of nothing", frame(b"x", 0)), ("a long ping", frame(b"x" * 126, 9)), ("an unknown opcode", frame(b"", 3)),
                  ("a message on the channel of output", frame(b"\1x")), ("a length in its long form", b"\x82\xfe\0\1\1\2\3\4x")):
    s, head, rest = ws(EXEC)
    s.sendall(bad)
    _, code, reason = Reader(s, rest).until_close()
    ok("%s: closed with 1002, and why" % what, code == 1002 and len(reason) > 8, (code, reason))
    s.close()

# a client that goes away
hup = os.path.join(sys.argv[2], "hup")
script = "trap 'echo hup >%s; exit' HUP; echo ready; while :; do sleep 0.05; done" % hup
s, head, rest = ws(POD + "one/exec?command=sh&command=-c&command=%s&stdout=true" % urllib.parse.quote(script))
r = Reader(s, rest)
ok("a program that runs on", r.frame() == (2, b"\1ready\n"))
s.close()
ok("its client vanishes: SIGHUP", until(lambda: os.path.exists(hup)))

# ports over channels
s, head, rest = ws(POD + "one/portforward?ports=%d&ports=9" % WEB, "v4.channel.k8s.io")
r = Reader(s, rest)
got = {}
while b"refused" not in got.get(3, b""):
    op, data = r.frame()
    got[data[0]] = got.get(data[0], b"") + data[1:]
ok("ports over channels: each channel begins with its port", got[0][:2] == got[1][:2] == struct.pack("<H", WEB) and got[2][:2] == b"\x09\0", got)
s.sendall(frame(b"\0GET /rt.log HTTP/1.0\r\n\r\n"))
while b"200 OK" not in got[0]:
    op, data = r.frame()
    got[data[0]] = got.get(data[0], b"") + data[1:]
ok("ports over channels: an answer", True)
s.close()

# SPDY that is none
s, head, rest = ask(POD + "one/portforward", "Upgrade: SPDY/3.1", "Connection: Upgrade", "X-Stream-Protocol-Version: portforward.k8s.io", method="POST")
ok("SPDY begins", " 101 " in head, head)
s.sendall(struct.pack(">HHI", 0x8003, 1, 12) + b"\0\0\0\1\0\0\0\0\0\0zz")
data = b""
while True:
    got = s.recv(65536)
    if not got:
        break
    data += got
ok("headers that cannot be unpacked: GOAWAY and the end", data[:4] == b"\x80\3\0\7", data)
s.close()


# a client that writes and does not read: the hub holds a bounded amount, and serves others
def rss():
    for p in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % p) as f:
                line = f.read()
            if "weft-hub" in line and os.path.dirname(path) in line:
                with open("/proc/%s/status" % p) as f:
                    return int(f.read().split("VmRSS:")[1].split()[0])
        except (OSError, ValueError):
            pass
    return 0


before = rss()
s, head, rest = ws(EXEC)
s.settimeout(1)
sent, piece = 0, frame(b"\0" + b"x" * 32768)
try:
    while sent < 64 << 20:
        s.sendall(piece)
        sent += len(piece)
except socket.timeout:
    pass
ok("a client that does not read is made to wait", sent < 16 << 20, sent)
ok("and costs little memory", rss() - before < 8192, (before, rss()))
refused("others are served meanwhile", 404, "not found", ask(POD + "none/log"))
s.close()

time.sleep(max(0, began + 8 - time.monotonic()))
out, code, _ = Reader(late[0], late[2]).until_close()
ok("a client that reads seconds after the program's end gets everything, and the status",
   len(out.get(1, b"")) == 350000 and b"Success" in out.get(3, b"") and code == 1000, (len(out.get(1, b"")), out.get(3), code))
late[0].close()

# sessions by the hundred
held, codes = [], {}
for i in range(260):
    got = ws(EXEC)
    n = got[1].split()[1]
    codes[n] = codes.get(n, 0) + 1
    if n == "429":
        last = got
        ok("too many say so, with Retry-After", "Retry-After" in got[1], got[1]) if codes[n] == 1 else None
    held.append(got[0])
ok("192 sessions of one client, the rest refused", codes == {"101": 192, "429": 68}, codes)
s, head, _ = ask("/readyz")
ok("the API serves beside them", " 200 " in head, head)
for h in held:
    h.close()


def room():
    s, head, _ = ws(EXEC)
    s.close()
    return " 101 " in head


ok("room again when they went", until(room))
