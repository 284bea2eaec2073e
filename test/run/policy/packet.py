# SPDX-License-Identifier: Apache-2.0
"""Packets that no ordinary socket sends, for policy.sh; run inside a pod's namespace. Prints one word of result.

  packet.py ping HOST                   ICMP echo: yes or no
  packet.py connect HOST PORT           TCP: yes, no (nothing comes back) or rst
  packet.py hear PROTO SECONDS          raw packets of that protocol that come in: "from SOURCE port N" each, once;
                                        ends soon after SIGTERM, as `pieces` does
  packet.py say PROTO PORT HOST…        one packet of that protocol, the port where SCTP has it (RFC 9260 section 3)
  packet.py fragments PORT HOST…        a UDP datagram of 4,000 bytes, in fragments
  packet.py pieces SECONDS              counts fragments that come in, and whole datagrams on UDP 5353 and 5354
  packet.py spoof HOST PORT SOURCE      one UDP datagram with another source (IPv4)
  packet.py cast HOST PORT              one UDP datagram to a group or to everybody
"""
import os
import select
import signal
import socket
import struct
import sys
import time


class Listening:
    """Until a time, or shortly after SIGTERM."""

    def __init__(self, seconds):
        self.end = time.monotonic() + float(seconds)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "end", min(self.end, time.monotonic() + 0.2)))
        print("listening", os.getpid(), flush=True)

    def ready(self, sockets):
        while time.monotonic() < self.end:
            yield from select.select(sockets, [], [], 0.05)[0]


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(host):
    six = ":" in host
    s = socket.socket(family(host), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    kind, answer = (128, 129) if six else (8, 0)
    body = struct.pack("!BBHHH", kind, 0, 0, 0x5746, 1) + b"weft"
    if not six:  # the kernel fills in ICMPv6's
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    s.sendto(body, (host, 0))
    end = time.monotonic() + 1
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        data, source = s.recvfrom(2048)
        data = data if six else data[(data[0] & 15) * 4:]
        if data[0] == answer and data[4:6] == b"\x57\x46" and source[0] == host:
            return "yes"
    return "no"


def connect(host, port):
    s = socket.socket(family(host), socket.SOCK_STREAM)
    s.settimeout(1)
    try:
        s.connect((host, int(port)))
        return "yes"
    except ConnectionRefusedError:
        return "rst"
    except OSError:
        return "no"


def hear(proto, seconds):
    sockets = [socket.socket(f, socket.SOCK_RAW, int(proto)) for f in (socket.AF_INET, socket.AF_INET6)]
    heard = []
    for s in Listening(seconds).ready(sockets):
        data, source = s.recvfrom(2048)
        data = data[(data[0] & 15) * 4:] if s.family == socket.AF_INET else data
        line = "from %s port %d" % (source[0], struct.unpack("!H", data[2:4])[0])
        if line not in heard:
            heard.append(line)
            print(line, flush=True)
    return "end"


def say(proto, port, *hosts):
    for host in hosts:
        s = socket.socket(family(host), socket.SOCK_RAW, int(proto))
        # An SCTP INIT chunk; other protocols get the same bytes.
        s.sendto(struct.pack("!HHIIBBHIIHHI", 40000, int(port), 0, 0, 1, 0, 20, 1, 65535, 1, 1, 1), (host, 0))
    return "said"


def fragments(port, *hosts):
    for host in hosts:
        s = socket.socket(family(host), socket.SOCK_DGRAM)
        if ":" not in host:
            s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragments are allowed
        s.sendto(b"x" * 4000, (host, int(port)))
    return "sent"


def pieces(seconds):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    whole = []
    for port in (5353, 5354):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind(("::", port))
        whole.append(s)
    seen, got = 0, {5353: 0, 5354: 0}
    for s in Listening(seconds).ready([raw] + whole):
        data, source = s.recvfrom(65535)
        if s is not raw:
            got[s.getsockname()[1]] += len(data) == 4000
        elif source[2] != 4 and data[0] >> 4 == 4:
            seen += struct.unpack("!H", data[6:8])[0] & 0x3FFF != 0
        elif source[2] != 4 and data[0] >> 4 == 6:
            seen += data[6] == 44
    return "fragments=%d whole=%d,%d" % (seen, got[5353], got[5354])


def spoof(host, port, source):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    udp = struct.pack("!HHHH", 40000, int(port), 12, 0) + b"weft"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source),
                       socket.inet_aton(host))
    s.sendto(head + udp, (host, 0))
    return "sent"


def cast(host, port):
    s = socket.socket(family(host), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(b"weft", (host, int(port)))
    return "sent"


if __name__ == "__main__":
    print({f.__name__: f for f in (ping, connect, hear, say, fragments, pieces, spoof, cast)}[sys.argv[1]](*sys.argv[2:]),
          flush=True)
