# SPDX-License-Identifier: Apache-2.0
"""Connections that stay open: talk.py STOPFILE OUT KIND@HOST:PORT@PACE_MS…  One thread a target keeps one connection
and exchanges numbered messages on it, one each PACE_MS, until STOPFILE is there. http asks on a connection that is kept
alive, echo wants the same line back; steady is echo to a pod that stays, which may never end the connection.

A connection may end in order: the other side says so (`Connection: close`, or its end comes with or after an answer)
before the next message is sent. Then the next one begins. What must never be: a message without its answer (`lost`), a
reset, five seconds without an answer, an end of a steady one. OUT gets each of them with its time, and for each target
`TARGET messages N connections N`."""
import os
import select
import socket
import sys
import threading
import time

stop, out, targets = sys.argv[1], open(sys.argv[2], "w", buffering=1, encoding="ascii"), sys.argv[3:]
PATIENCE = 5


class Lost(Exception):
    pass


class Connection:
    def __init__(self, kind, host, port):
        self.kind, self.back, self.over, self.messages = kind, b"", False, 0
        self.s = socket.create_connection((host, port), PATIENCE)
        self.s.settimeout(PATIENCE)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def line(self):
        while b"\n" not in self.back:
            part = self.s.recv(65536)
            if not part:
                raise Lost("its end came in place of an answer")
            self.back += part
        line, self.back = self.back.split(b"\n", 1)
        return line + b"\n"

    def body(self, n):
        while len(self.back) < n:
            part = self.s.recv(65536)
            if not part:
                raise Lost("its end came within an answer")
            self.back += part
        body, self.back = self.back[:n], self.back[n:]
        return body

    def ended(self):
        """Whether the other side has said that it ends, which is to be seen before each message is sent."""
        if not self.over and select.select([self.s], [], [], 0)[0]:
            if self.s.recv(1):
                raise Lost("something came that nobody had asked for")
            self.over = True
        return self.over

    def exchange(self, n):
        if self.kind == "http":
            self.s.sendall(b"GET /message/%d HTTP/1.1\r\nHost: talk\r\n\r\n" % n)
            status, length = self.line(), 0
            while (line := self.line().lower()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                self.over |= line.startswith(b"connection:") and b"close" in line
            body = self.body(length)
            if b" 200 " not in status or b"/message/%d\"" % n not in body:
                raise Lost("message %d was answered by %r %r" % (n, status, body))
        else:
            line = b"message %d\n" % n
            self.s.sendall(line)
            back = self.line()
            if back != line:
                raise Lost("message %d came back as %r" % (n, back))
        self.messages += 1

    def close(self):
        """In order: our end, then theirs."""
        try:
            self.s.shutdown(socket.SHUT_WR)
            while self.s.recv(65536):
                pass
        finally:
            self.s.close()


def run(target):
    kind, at, pace = target.split("@")
    host, _, port = at.rpartition(":")
    messages = connections = 0
    while not os.path.exists(stop):
        c, what = None, "connect"
        try:
            c = Connection(kind, host.strip("[]"), int(port))
            connections += 1
            what = "message"
            while not c.ended() and not os.path.exists(stop):
                c.exchange(messages)
                messages += 1
                time.sleep(float(pace) / 1000)
            if c.over and kind == "steady":
                raise Lost("the connection was ended")
            what = "end"
            c.close()
        except (OSError, Lost) as e:
            name = {"ConnectionResetError": "reset", "TimeoutError": "timeout"}.get(type(e).__name__, "lost")
            print(name, target, what, messages, time.strftime("%T"), repr(e), file=out)
            if c:
                c.s.close()
            time.sleep(0.1)
    print(target, "messages", messages, "connections", connections, file=out)


threads = [threading.Thread(target=run, args=(t,)) for t in targets]
for t in threads:
    t.start()
for t in threads:
    t.join()
