# SPDX-License-Identifier: Apache-2.0
"""Calls Services, for services.sh; run inside a pod's or node's namespace. Stand-ins answer who they are, and whom they see.

  call.py calls JSON     {"proto": "tcp"|"udp", "to": [[HOST, PORT], …], "n": N, "port": own port, "wait": seconds}: N calls of
                         each place, each from a new socket; prints {"HOST PORT": {"pods": {NAME: N}, "clients": [ADDRESS…],
                         "refused": N, "none": N}}; "none" is what got no answer
  call.py datagrams HOST PORT [connected]
                         one UDP socket asks each 10 ms; prints "who SECONDS NAME" when another answers, "SECONDS error NAME"
                         for errors of a connected one
  call.py stream HOST PORT
                         one TCP connection with a request each 20 ms; prints "from NAME" first; "broken" when it ends early
The last two end at the end of their standard input, with "asked=N answered=N".
"""
import errno
import json
import select
import socket
import sys
import time


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def identity(data):
    return json.loads(data[data.index(b"{"):data.rindex(b"}") + 1])


def ask(proto, host, port, own, wait):
    s = socket.socket(family(host), socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(wait)
    try:
        if own:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("", own))
        s.connect((host, port))
        s.send(b"?" if proto == "udp" else b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while b"}" not in data:
            more = s.recv(4096)
            if not more:
                return "none", None
            data += more
        who = identity(data)
        # An end by RST leaves no port waiting.
        if proto == "tcp":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return who["pod"], who["client"]
    except ConnectionRefusedError:
        return "refused", None
    except (TimeoutError, OSError):
        return "none", None
    finally:
        s.close()


def calls(text):
    o, out = json.loads(text), {}
    for host, port in o["to"]:
        seen = {"pods": {}, "clients": [], "refused": 0, "none": 0}
        for _ in range(o.get("n", 1)):
            who, client = ask(o["proto"], host, port, o.get("port"), o.get("wait", 1))
            if client is None:
                seen[who] += 1
                if seen["none"] >= 3:
                    break
                continue
            seen["pods"][who] = seen["pods"].get(who, 0) + 1
            if client not in seen["clients"]:
                seen["clients"].append(client)
        out["%s %d" % (host, port)] = seen
    print(json.dumps(out))


def ended():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def datagrams(host, port, connected=""):
    s = socket.socket(family(host), socket.SOCK_DGRAM)
    to, began, last, asked, answered = (host, int(port)), time.monotonic(), None, 0, 0
    if connected:
        s.connect(to)
    while not ended():
        try:
            s.send(b"?") if connected else s.sendto(b"?", to)
            asked += 1
        except OSError as e:
            print("error", "%.3f" % (time.monotonic() - began), errno.errorcode[e.errno], flush=True)
        if not select.select([s], [], [], 0.01)[0]:
            continue
        try:
            who = identity(s.recv(4096))["pod"]
        except OSError as e:
            print("error", "%.3f" % (time.monotonic() - began), errno.errorcode[e.errno], flush=True)
            continue
        answered += 1
        if who != last:
            print("who", "%.3f" % (time.monotonic() - began), who, flush=True)
        last = who
        time.sleep(0.01)
    while answered < asked and select.select([s], [], [], 0.5)[0]:  # answers that were slower than the next question
        try:
            s.recv(4096)
            answered += 1
        except OSError:
            break
    print("asked=%d answered=%d" % (asked, answered), flush=True)


def stream(host, port):
    asked = answered = 0
    try:
        s = socket.create_connection((host, int(port)), 2)
        s.settimeout(2)
        while not ended():
            s.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            asked += 1
            data = b""
            while b"}" not in data:
                more = s.recv(4096)
                if not more:
                    raise OSError
                data += more
            answered += 1
            if answered == 1:
                print("from", identity(data)["pod"], flush=True)
            time.sleep(0.02)
    except OSError:
        print("broken", flush=True)
    print("asked=%d answered=%d" % (asked, answered), flush=True)


if __name__ == "__main__":
    {f.__name__: f for f in (calls, datagrams, stream)}[sys.argv[1]](*sys.argv[2:])
