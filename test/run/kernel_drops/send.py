# SPDX-License-Identifier: Apache-2.0
"""Packets that the kernel of the receiver drops, for kernel_drops.sh; run inside a pod's namespace.

  send.py udp ADDRESS PORT COUNT BYTES   datagrams
  send.py tcpsum ADDRESS PORT COUNT      SYNs with a wrong checksum
  send.py udpsum ADDRESS PORT COUNT      datagrams with a wrong checksum
  send.py full                           a socket at port 9000 that is not read: prints "ready", and after a line of its input
                                         "dropped N" with what its own counter says
"""
import socket
import struct
import sys


def udp(address, port, count, size):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(int(count)):
        try:
            s.sendto(b"x" * int(size), (address, int(port)))
        except OSError:  # an ICMP error of an earlier one
            pass


def own_address(to):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((to, 1))
    return s.getsockname()[0]


def raw(address, protocol, segment, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0,
                       socket.inet_aton(own_address(address)), socket.inet_aton(address))
    for _ in range(int(count)):
        s.sendto(head + segment, (address, 0))


def tcpsum(address, port, count):
    raw(address, 6, struct.pack("!HHIIBBHHH", 41000, int(port), 1, 0, 0x50, 2, 1000, 0x1234, 0), count)


def udpsum(address, port, count):
    raw(address, 17, struct.pack("!HHHH", 41000, int(port), 12, 0x1234) + b"data", count)


def full():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.bind(("0.0.0.0", 9000))
    print("ready", flush=True)
    sys.stdin.readline()
    with open("/proc/self/net/udp", encoding="ascii") as table:
        print("dropped", next(line.split()[12] for line in table if line.split()[1].endswith(":%04X" % 9000)), flush=True)


{"udp": udp, "tcpsum": tcpsum, "udpsum": udpsum, "full": full}[sys.argv[1]](*sys.argv[2:])
