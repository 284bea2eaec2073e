# SPDX-License-Identifier: Apache-2.0
"""Load of soak: load.py RUN NODE|outside STOPFILE OUT KIND@HOST:PORT…  One thread a target, until STOPFILE is there:
new makes a connection for each request, kept asks on one that is kept alive, echo exchanges numbered lines on one.
Each waits PAUSE between requests and gives up after PATIENCE.

OUT gets a JSON line for each request that was lost: begun, connected (null: never), sent and failed by the monotonic
clock, why, asked (false: the connection was cut between two requests), and the address of the pod to which Weft had led the connection, read from its BPF maps (null: nowhere); and
one for each target each second: requests and connections so far. An end in order before a request is sent loses nothing."""
import errno
import json
import os
import select
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kernel import Nat, Origin  # pylint: disable=wrong-import-position

RUN, NODE, STOP, OUT = sys.argv[1:5]
PAUSE, PATIENCE = 0.05, 4
out, lock = open(OUT, "a", buffering=1, encoding="ascii"), threading.Lock()
origin = None if NODE == "outside" else Origin(RUN, NODE)
nats = {}


def tell(**o):
    with lock:
        print(json.dumps(o), file=out)


class Over(Exception):
    """The other side ended in order before it was asked."""


class Caller:
    def __init__(self, target):
        self.target = target
        self.kind, _, at = target.partition("@")
        host, _, port = at.rpartition(":")
        self.to = (host.strip("[]"), int(port))
        self.requests = self.connections = 0
        self.s = None
        self.back = b""

    def connect(self):
        self.s = socket.socket(socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET, socket.SOCK_STREAM)
        self.connected, self.sent, self.back, self.last, self.under_way = None, None, b"", False, False
        self.led = None
        self.begun = time.monotonic()
        self.s.setblocking(False)
        why = self.s.connect_ex(self.to)
        self.mine = self.s.getsockname()[:2]  # a connection that was refused has forgotten it
        if why == errno.EINPROGRESS:
            if not select.select([], [self.s], [], PATIENCE)[1]:
                raise TimeoutError("no answer to a connection")
            why = self.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if why:
            raise OSError(why, os.strerror(why))
        self.connected = time.monotonic()
        self.s.settimeout(PATIENCE)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self.led = None if origin else self.translated()

    def more(self):
        part = self.s.recv(65536)
        if not part:
            raise ConnectionError("its end came in place of an answer")
        self.back += part

    def ask(self):
        if self.last or self.sent and select.select([self.s], [], [], 0)[0] and not self.s.recv(1):
            raise Over
        self.sent, self.under_way = time.monotonic(), True
        line = b"line %d\n" % self.requests
        if self.kind == "echo":
            self.s.sendall(line)
            while b"\n" not in self.back:
                self.more()
            if self.back != line:
                raise ValueError("%r came back as %r" % (line, self.back))
            self.back, self.under_way = b"", False
            return
        self.s.sendall(b"GET /%d HTTP/1.1\r\nHost: soak\r\n%s\r\n" % (self.requests, b"Connection: close\r\n" if self.kind == "new" else b""))
        while b"\r\n\r\n" not in self.back:
            self.more()
        head, body = self.back.split(b"\r\n\r\n", 1)
        length = [int(l.split(b":")[1]) for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")][0]
        while len(self.back) < len(head) + 4 + length:
            self.more()
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError("answered %r" % head)
        self.last, self.back, self.under_way = b"connection: close" in head.lower(), b"", False

    def translated(self):
        """From outside: by the node that took it in. Asked early: what the node has after its pod went is no word of it."""
        for node in ("node-1", "node-2", "node-3"):
            if node not in nats:
                nats[node] = Nat(RUN, node)
            found = nats[node].backend(self.mine, self.to)
            if found:
                return found
        return None

    def led_to(self):
        try:
            return origin.backend(self.s) if origin else self.led or self.translated()
        except OSError as e:
            return "unknown: %s" % e

    def turn(self):
        if not self.s:
            self.connect()
        self.ask()
        self.requests += 1
        if self.kind == "new":
            self.close()

    def close(self):
        """In order."""
        s, self.s = self.s, None
        try:
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()

    def run(self):
        told = 0
        while not os.path.exists(STOP):
            if time.monotonic() > told + 1:
                told = time.monotonic()
                self.sum()
            try:
                self.turn()
            except Over:
                self.close()
                continue
            except (OSError, ValueError) as e:
                failed = time.monotonic()
                asked = self.connected is None or self.sent is None or self.under_way
                self.requests += asked
                tell(lost=self.target, by=NODE, begun=self.begun, connected=self.connected, sent=self.sent, failed=failed,
                     asked=asked, why=type(e).__name__ + " " + str(e), led=self.led_to())
                self.s.close()
                self.s = None
            time.sleep(PAUSE)
        if self.s:
            self.close()
        self.sum()

    def sum(self):
        tell(target=self.target, by=NODE, pid=os.getpid(), requests=self.requests, connections=self.connections)


def main():
    callers = [threading.Thread(target=Caller(t).run) for t in sys.argv[5:]]
    for c in callers:
        c.start()
    for c in callers:
        c.join()


main()
