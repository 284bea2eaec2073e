# SPDX-License-Identifier: Apache-2.0
"""UDP from a namespace: send.py NAMESPACE ADDRESS PORT SESSIONS PACKETS [PAUSE_MS]

Sends PACKETS datagrams of each of SESSIONS sockets; nobody need listen: what answers is none of the test's.
"""
import ctypes
import os
import socket
import sys
import time

path, host, port, sessions, packets = sys.argv[1:6]
pause = float(sys.argv[6]) / 1000 if len(sys.argv) > 6 else 0
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(os.open(path, os.O_RDONLY), 0x40000000):
    raise OSError(ctypes.get_errno(), path)
socks = []
for _ in range(int(sessions)):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 0))  # bound, so that ICMP errors of nobody listening do not stop it
    socks.append(s)
for i in range(int(packets)):
    for s in socks:
        s.sendto(b"secret of card 4111 %06d" % i, (host, int(port)))
    time.sleep(pause)
