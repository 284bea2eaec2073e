# SPDX-License-Identifier: Apache-2.0
"""Questions and connections of a pod, for names.sh; run inside its namespace.

  names.py ask SERVER NAME TYPE [BYTES]  a DNS question over UDP, with EDNS of that size: one address a line
  names.py connect ADDRESS…              TCP port 80 of each: "ADDRESS yes", "… rst" or "… no"
  names.py hold ADDRESS                  keeps a connection open: prints "open", then for each line of its input asks
                                         over it and prints "answered" or "silent"
"""
import select
import socket
import struct
import sys

TYPES = {"A": 1, "AAAA": 28}


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def skip_name(data, at):
    while data[at] and data[at] < 0xC0:
        at += 1 + data[at]
    return at + (2 if data[at] else 1)


def ask(server, name, kind, size="1232"):
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
    message = struct.pack("!6H", 0x5746, 0x0100, 1, 0, 0, 1) + question + struct.pack("!2H", TYPES[kind], 1)
    message += b"\0" + struct.pack("!HHIH", 41, int(size), 0, 0)
    s = socket.socket(family(server), socket.SOCK_DGRAM)
    s.settimeout(2)
    s.sendto(message, (server, 53))
    data = s.recv(65535)
    _, flags, _, count, _, _ = struct.unpack("!6H", data[:12])
    if flags & 0x020F:
        print("rcode", flags & 15, "cut" if flags & 0x0200 else "whole")
    at = skip_name(data, 12) + 4
    for _ in range(count):
        at = skip_name(data, at)
        kind, _, _, length = struct.unpack("!HHIH", data[at:at + 10])
        at += 10
        if kind in (1, 28):
            print(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, data[at:at + length]))
        at += length


def connect(addresses):
    waiting = {}
    for a in addresses:
        s = socket.socket(family(a), socket.SOCK_STREAM)
        s.setblocking(False)
        s.connect_ex((a, 80))
        waiting[s] = a
    while waiting:
        done = select.select([], list(waiting), [], 1)[1]
        if not done:
            break
        for s in done:
            print(waiting.pop(s), "rst" if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else "yes")
    for a in waiting.values():
        print(a, "no")


def hold(address):
    s = socket.create_connection((address, 80), 2)
    s.settimeout(2)
    print("open", flush=True)
    for _ in sys.stdin:
        try:
            s.sendall(b"GET / HTTP/1.1\r\nHost: names\r\n\r\n")
            print("answered" if s.recv(4096) else "closed", flush=True)
        except socket.timeout:
            print("silent", flush=True)


if sys.argv[1] == "connect":
    connect(sys.argv[2:])
else:
    {"ask": ask, "hold": hold}[sys.argv[1]](*sys.argv[2:])
