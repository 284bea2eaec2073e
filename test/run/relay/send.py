# SPDX-License-Identifier: Apache-2.0
"""UDP from a namespace: send.py NAMESPACE ADDRESS PORT PACKETS BYTES [FROM-PORT [HEX]]

PACKETS datagrams of BYTES, each with its number in front; with HEX: exactly these bytes.
"""
import ctypes
import os
import socket
import sys
import time

path, host, port, packets, size = sys.argv[1:6]
source = int(sys.argv[6]) if len(sys.argv) > 6 else 0
libc = ctypes.CDLL(None, use_errno=True)
if libc.setns(os.open(path, os.O_RDONLY), 0x40000000):
    raise OSError(ctypes.get_errno(), path)
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", source))  # bound, so that ICMP errors of nobody listening do not stop it
for i in range(int(packets)):
    text = b"%08d" % i
    text = bytes.fromhex(sys.argv[7]) if len(sys.argv) > 7 else text + bytes(k * 7 % 251 for k in range(int(size) - 8))
    s.sendto(text, (host, int(port)))
    time.sleep(0.0005)
