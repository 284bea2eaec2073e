# SPDX-License-Identifier: Apache-2.0
"""DNS questions of a pod, for questions.sh; run inside its namespace.

  ask.py udp SERVER NAME TYPE     a question, and waits for its answer
  ask.py tcp SERVER NAME TYPE     the same over TCP, each way one segment
  ask.py torn SERVER NAME         over TCP, the length and the message in segments of their own
  ask.py many SERVER COUNT        so many at once over one socket: nI.many.test
  ask.py lost SERVER NAME TIMES   the same question so often, without an answer
  ask.py sink SECONDS             takes datagrams at port 53 and says nothing
  ask.py connect ADDRESS          TCP port 80, a request and its answer
"""
import os
import socket
import struct
import sys
import time

TYPES = {"A": 1, "AAAA": 28}


def message(number, name, kind="A"):
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", TYPES[kind], 1)


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def datagrams(server):
    s = socket.socket(family(server), socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((server, 53))
    return s


def number():
    return int.from_bytes(os.urandom(2), "big")


def udp(server, name, kind):
    s = datagrams(server)
    s.send(message(number(), name, kind))
    assert s.recv(65535)


def read(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        assert part
        data += part
    return data


def tcp(server, name, kind, torn=False):
    s = socket.create_connection((server, 53), 5)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    m = message(number(), name, kind)
    if torn:
        s.sendall(struct.pack("!H", len(m)))
        time.sleep(0.05)
        s.sendall(m)
    else:
        s.sendall(struct.pack("!H", len(m)) + m)
    assert read(s, struct.unpack("!H", read(s, 2))[0])


def many(server, count):
    s = datagrams(server)
    for i in range(int(count)):
        s.send(message(i % 4, "n%d.many.test" % i))
    for i in range(int(count)):
        assert s.recv(65535)


def lost(server, name, times):
    s = datagrams(server)
    for _ in range(int(times)):
        s.send(message(7, name))


def sink(seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 53))
    print("ready", flush=True)
    time.sleep(float(seconds))


def connect(address):
    s = socket.create_connection((address, 80), 5)
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    while s.recv(4096):
        pass


if sys.argv[1] == "torn":
    tcp(sys.argv[2], sys.argv[3], "A", True)
else:
    {"udp": udp, "tcp": tcp, "many": many, "lost": lost, "sink": sink, "connect": connect}[sys.argv[1]](*sys.argv[2:])
