# SPDX-License-Identifier: Apache-2.0
"""
One TCP connection of a kind, between two namespaces, and what its own sockets know of it. Usage: measure.py KIND PORT
CALLER-NS CALLED-NS ADDRESS; PORT is the caller's. Prints {"retransmits":[caller's, called's],"rtt":µs of the caller's socket}
while both are open, then waits for the end of its standard input.
"""
import ctypes, json, os, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
BYTES = 6_000_000


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, 0):
        raise OSError(ctypes.get_errno(), path)
    os.close(fd)


def info(s):
    """RFC 4898 by another name: struct tcp_info of linux/tcp.h."""
    raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    word = lambda at: struct.unpack_from("I", raw, at)[0]
    return {"rtt": word(68), "retransmits": word(100), "unacked": word(24)}


def take(s, n):
    while n:
        got = len(s.recv(min(n, 1 << 16)))
        if not got:
            raise SystemExit("the other end is gone")
        n -= got


def move(a, b, n):
    """n bytes from a to b, and all acknowledged."""
    reader = threading.Thread(target=take, args=(b, n), daemon=True)
    reader.start()
    a.sendall(b"x" * n)
    reader.join(60)
    until = time.monotonic() + 60
    while reader.is_alive() or info(a)["unacked"]:
        if time.monotonic() > until:
            raise SystemExit("not all was acknowledged")
        time.sleep(0.01)


def bulk(c, s):
    move(c, s, BYTES)


def turns(c, s):
    for _ in range(40):
        move(c, s, 100)
        move(s, c, 2000)


def full(c, s):
    """The called end does not read until the caller cannot go on; twice."""
    for _ in range(2):
        c.setblocking(False)
        sent, until = 0, time.monotonic() + 30
        quiet = time.monotonic()
        while time.monotonic() - quiet < 1:
            try:
                sent += c.send(b"x" * 65536)
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            if time.monotonic() > until:
                raise SystemExit("the window never closes")
        c.settimeout(60)
        take(s, sent)
        move(c, s, 1)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def main():
    kind, port, caller, called, address = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    enter(called)
    l = socket.socket(family, socket.SOCK_STREAM)
    if kind == "full":
        l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    l.bind((address, 0))
    l.listen()
    enter(caller)
    c = socket.socket(family, socket.SOCK_STREAM)
    c.settimeout(60)
    c.bind(("", int(port)))
    c.connect(l.getsockname())
    s = l.accept()[0]
    s.settimeout(60)
    {"bulk": bulk, "turns": turns, "full": full}.get(kind, lambda *_: move(c, s, 100))(c, s)
    both = [info(c), info(s)]
    print(json.dumps({"retransmits": [i["retransmits"] for i in both], "rtt": both[0]["rtt"]}), flush=True)
    sys.stdin.read()
    if kind == "reset-by-caller":
        reset(c)
    if kind == "reset-by-called":
        reset(s)


main()
