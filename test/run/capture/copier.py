#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays a node's weft-copier for the hub and `weft capture`: copier.py SOCKET NODE [FIRST]. Serves /time, /captures/…/stream and
/rings/…/stream as pcapng: a name, an interface NODE/shop/web-1, numbered UDP packets each 10 ms. A reader that is slow loses
packets, and is told how many, as the real one tells it. A stream ends when the hub has the Capture no more. SOCKET.flood:
packets come as fast as they go. SOCKET.bad: rubbish comes."""
import os, selectors, socket, struct, sys, threading, time

path, node = sys.argv[1], sys.argv[2]
QUEUE = 64  # packets that wait for a reader


def block(kind, body):
    n = len(body) + 12
    return struct.pack("<II", kind, n) + body + struct.pack("<I", n)


def options(*all):
    return b"".join(struct.pack("<HH", c, len(v)) + v + b"\0" * (-len(v) % 4) for c, v in all) + struct.pack("<HH", 0, 0)


def head():
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options((1, b"clock: the test's"))
    name = b"\x0a\xf4\x00\x05" + b"shop/web-1\0"
    names = struct.pack("<HH", 1, len(name)) + name + b"\0" * (-len(name) % 4) + struct.pack("<HH", 0, 0)
    interface = struct.pack("<HHI", 1, 0, 0) + options((2, (node + "/shop/web-1").encode()), (9, b"\x09"))
    return block(0x0A0D0D0A, section) + block(4, names) + block(1, interface)


def packet(number, lost, at=None):
    ns = at or time.time_ns()
    payload = struct.pack("!Q", number)
    ip = bytes([0x45, 0]) + struct.pack("!HHHBBH", 28 + len(payload), 0, 0, 64, 17, 0) + b"\x0a\xf4\x00\x05" + b"\x0a\xf4\x01\x07"
    frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\x00" + ip + struct.pack("!HHHH", 4433, 53, 8 + len(payload), 0) + payload
    extra = [(2, struct.pack("<I", 2))]
    if number % 5 == 0:
        extra.append((1, b"dropped: policy-ingress"))
    if lost:
        extra.append((4, struct.pack("<Q", lost)))
    return block(6, struct.pack("<IIIII", 0, ns >> 32, ns & 0xFFFFFFFF, len(frame), len(frame)) + frame + b"\0" * (-len(frame) % 4) + options(*extra))


def statistics(received, lost):
    ns = time.time_ns()
    return block(5, struct.pack("<III", 0, ns >> 32, ns & 0xFFFFFFFF) + options((4, struct.pack("<Q", received)), (5, struct.pack("<Q", 0)), (7, struct.pack("<Q", lost))))


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def there(name):
    """Whether the hub has the Capture; True where it does not answer."""
    try:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(1)
        s.connect(os.path.dirname(os.path.dirname(path)) + "/hub.sock")
        s.sendall(b"GET /apis/weft.network/v1alpha1/captures/%s HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n" % name.encode())
        return b" 404 " not in s.recv(64)
    except OSError:
        return True


def stream(c, name):
    over = []

    def watch():
        while there(name):
            time.sleep(0.1)
        over.append(1)

    threading.Thread(target=watch, daemon=True).start()
    flood, sent, lost, told, pending = os.path.exists(path + ".flood"), 0, 0, 0, bytearray(chunk(head()))
    c.setblocking(False)
    said = time.monotonic()
    while not over:
        for _ in range(200 if flood else 1):
            sent += 1
            if len(pending) > QUEUE * 150:
                lost += 1
            else:
                pending += chunk(packet(sent, lost - told))
                told = lost
        if time.monotonic() - said > 0.5 and len(pending) < QUEUE * 150:
            said = time.monotonic()
            pending += chunk(statistics(sent, lost))
        if os.path.exists(path + ".bad"):
            pending = bytearray(chunk(b"rubbish that is no block at all"))
        try:
            del pending[: c.send(pending)]
        except BlockingIOError:
            pass
        time.sleep(0.001 if flood else 0.01)
    c.setblocking(True)
    c.settimeout(5)
    with open(path + ".told", "w") as f:  # what this side counts: each packet was sent or lost
        f.write("%d %d" % (sent, lost))
    c.sendall(bytes(pending) + chunk(statistics(sent, lost)) + b"0\r\n\r\n")


def serve(c):
    try:
        ask = b""
        while b"\r\n\r\n" not in ask:
            got = c.recv(4096)
            if not got:
                return
            ask += got
        what = ask.split()[1].decode()
        ok = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-pcapng\r\n\r\n"
        if what == "/time":
            body = b'{"time":%d}\n' % (time.time_ns() + 250000000)
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif what.startswith("/captures/"):
            c.sendall(ok)
            stream(c, what.split("/")[2])
        elif what.startswith("/rings/keep/stream?port=default&last="):
            now = time.time_ns()
            data = head() + b"".join(packet(i, 0, now - i * 10**9) for i in range(int(what.split("=")[-1]), 0, -1))
            c.sendall(ok + chunk(data + statistics(1, 0)) + b"0\r\n\r\n")
        else:
            c.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    except OSError:
        pass
    finally:
        c.close()


if os.path.exists(path):
    os.unlink(path)
s = socket.socket(socket.AF_UNIX)
s.bind(path)
os.chown(path, 65534, 65534)
os.chmod(path, 0o600)
s.listen(16)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
