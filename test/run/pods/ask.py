# SPDX-License-Identifier: Apache-2.0
"""Asks a name server one question over UDP (or TCP) and prints the records of the answer, one a line.

ask.py SERVER NAME TYPE [tcp]          records as text, or the answer's code in capitals
ask.py SERVER NAME TYPE until SECONDS  asks until there is an answer; prints how many milliseconds that took
"""
import ipaddress
import random
import socket
import struct
import sys
import time

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "AAAA": 28, "SRV": 33}
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def name_at(m, at):
    labels, jumped = [], None
    while m[at]:
        if m[at] & 0xC0:
            jumped = jumped or at + 2
            at = struct.unpack_from("!H", m, at)[0] & 0x3FFF
            continue
        labels.append(m[at + 1:at + 1 + m[at]].decode())
        at += 1 + m[at]
    return ".".join(labels), jumped or at + 1


def exchange(server, q, tcp):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(1)
    s.connect((server, 53))
    if not tcp:
        s.send(q)
        return s.recv(4096)
    s.sendall(struct.pack("!H", len(q)) + q)
    m = b""
    while len(m) < 2 or len(m) < 2 + struct.unpack("!H", m[:2])[0]:
        m += s.recv(4096)
    return m[2:]


def ask(server, name, kind, tcp=False):
    q = struct.pack("!6H", random.randrange(65536), 0x100, 1, 0, 0, 0)
    q += b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0"
    q += struct.pack("!2H", TYPES[kind], 1)
    m = exchange(server, q, tcp)
    code, count = m[3] & 15, struct.unpack_from("!H", m, 6)[0]
    if code:
        return [CODES.get(code, str(code))]
    at, out = name_at(m, 12)[1] + 4, []
    for _ in range(count):
        at = name_at(m, at)[1]
        t, _, _, n = struct.unpack_from("!HHIH", m, at)
        at += 10
        if t in (1, 28):
            out.append(str(ipaddress.ip_address(m[at:at + n])))
        elif t in (5, 12):
            out.append(name_at(m, at)[0])
        elif t == 33:
            out.append("%d %s" % (struct.unpack_from("!H", m, at + 4)[0], name_at(m, at + 6)[0]))
        at += n
    return sorted(out) or ["NODATA"]


server, name, kind = sys.argv[1:4]
if "until" in sys.argv[4:]:
    begin, end = time.time(), time.time() + float(sys.argv[5])
    while time.time() < end:
        try:
            if ask(server, name, kind)[0] not in ("NXDOMAIN", "NODATA"):
                print(int((time.time() - begin) * 1000))
                sys.exit(0)
        except OSError:
            pass
        time.sleep(0.002)
    print("never")
    sys.exit(1)
try:
    print(" ".join(ask(server, name, kind, "tcp" in sys.argv[4:])))
except OSError as e:
    print(type(e).__name__)
