# SPDX-License-Identifier: Apache-2.0
"""Constant load: load.py STOPFILE OUT KIND@HOST:PORT…  One thread a target asks on a new connection, one request after
the other, until STOPFILE is there. http wants a 200, tcp an accepted connection. OUT gets `TARGET requests N` and
each failure with its time."""
import os, socket, sys, threading, time

stop, out, targets = sys.argv[1], open(sys.argv[2], "w", buffering=1), sys.argv[3:]


def ask(kind, host, port):
    with socket.create_connection((host, port), 3) as s:
        s.settimeout(3)
        if kind == "tcp":
            return True
        s.sendall(b"GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := s.recv(65536):
            answer += part
        return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))


def run(target):
    kind, _, at = target.partition("@")
    host, _, port = at.rpartition(":")
    n = 0
    while not os.path.exists(stop):
        try:
            why = None if ask(kind, host.strip("[]"), int(port)) else "no 200"
        except OSError as e:
            why = repr(e)
        n += 1
        if why:
            print("lost", target, time.strftime("%T"), why, file=out)
        time.sleep(0.002)
    print(target, "requests", n, file=out)


threads = [threading.Thread(target=run, args=(t,)) for t in targets]
for t in threads:
    t.start()
for t in threads:
    t.join()
