# SPDX-License-Identifier: Apache-2.0
"""The client of death.sh, run inside a pod's namespace. Prints one word of result per line.

  talk.py stream FAMILY HOST PORT SECONDS   one TCP connection; a numbered line each 5 ms, each must come back once
  talk.py refused HOST PORT SECONDS         new connections, one each 50 ms; none may ever be made
"""
import socket
import sys
import time


def stream(family, host, port, seconds):
    s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(5)
    s.connect((host, int(port)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end, n, worst, back = time.monotonic() + float(seconds), 0, 0.0, b""
    while time.monotonic() < end:
        line = b"line %d\n" % n
        at = time.monotonic()
        s.sendall(line)
        while b"\n" not in back:
            part = s.recv(4096)
            if not part:
                return "closed after %d lines" % n
            back += part
        got, back = back.split(b"\n", 1)
        if got + b"\n" != line:
            return "line %d came back as %r" % (n, got)
        worst = max(worst, time.monotonic() - at)
        n += 1
        time.sleep(0.005)
    retransmits = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    total = int.from_bytes(retransmits[100:104], "little")  # tcpi_total_retrans
    return "whole lines=%d retransmits=%d worst_ms=%d" % (n, total, worst * 1000)


def refused(host, port, seconds):
    end, tries = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(0.05)
        tries += 1
        try:
            s.connect((host, int(port)))
            return "connected at try %d" % tries
        except OSError:
            pass
        finally:
            s.close()
    return "never tries=%d" % tries


print({"stream": stream, "refused": refused}[sys.argv[1]](*sys.argv[2:]), flush=True)
