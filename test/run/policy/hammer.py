# SPDX-License-Identifier: Apache-2.0
"""Tries connections without pause, for policy_start.sh and policy_change.sh. Ends soon after SIGTERM, at last at the end
of SECONDS; then prints what it saw of each port.

  hammer.py connect SECONDS PORT[,PORT…] HOST…   new connections to each port of each host, a round each 30 ms; prints
                                                 "PORT made=N of=TRIES first=HOST"
  hammer.py steady SECONDS HOST PORT             one connection after the other; prints "made=N failed=N worst_ms=N"
  hammer.py stream SECONDS HOST PORT             one TCP connection, a line each 10 ms; "lines=N last=EPOCH" of the answers
  hammer.py send SECONDS HOST PORT               one UDP datagram each 10 ms; no answer is read
  hammer.py hear SECONDS PORT                    UDP datagrams that come in: "got=N last=EPOCH"
"""
import errno
import os
import select
import signal
import socket
import sys
import time

stop = False


def term(*_):
    global stop
    stop = True


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def connect(seconds, ports, *hosts):
    ports = [int(p) for p in ports.split(",")]
    made, tries, first = {p: 0 for p in ports}, {p: 0 for p in ports}, {}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end and not stop:
        waiting = {}
        poll = select.poll()
        for host in hosts:
            for port in ports:
                s = socket.socket(family(host), socket.SOCK_STREAM)
                s.setblocking(False)
                tries[port] += 1
                if s.connect_ex((host, port)) in (0, errno.EINPROGRESS):
                    waiting[s.fileno()] = (s, host, port)
                    poll.register(s, select.POLLOUT)
        until = time.monotonic() + 0.03
        while waiting and time.monotonic() < until:
            for fd, _ in poll.poll(max(0, (until - time.monotonic()) * 1000)):
                s, host, port = waiting.pop(fd)
                poll.unregister(fd)
                if not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    made[port] += 1
                    first.setdefault(port, host)
                s.close()
        for s, _, _ in waiting.values():
            s.close()
    return "\n".join("%d made=%d of=%d first=%s" % (p, made[p], tries[p], first.get(p, "none")) for p in ports)


def steady(seconds, host, port):
    end, made, failed, worst = time.monotonic() + float(seconds), 0, 0, 0.0
    while time.monotonic() < end and not stop:
        s = socket.socket(family(host), socket.SOCK_STREAM)
        s.settimeout(0.8)  # less than the first retransmission of a SYN: one that is lost fails
        at = time.monotonic()
        try:
            s.connect((host, int(port)))
            made += 1
            worst = max(worst, time.monotonic() - at)
        except OSError:
            failed += 1
        # An end by RST leaves no port waiting.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
        time.sleep(0.001)  # or a busy machine's listener overflows, which is no verdict
    return "made=%d failed=%d worst_ms=%d" % (made, failed, worst * 1000)


def stream(seconds, host, port):
    s = socket.create_connection((host, int(port)), 2)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(False)
    print("connected", flush=True)
    end, lines, last = time.monotonic() + float(seconds), 0, 0.0
    while time.monotonic() < end and not stop:
        try:
            s.send(b"line\n")
            data = s.recv(65536)
            if not data:
                break
            lines += data.count(b"\n")
            last = time.time()
        except BlockingIOError:
            pass
        except OSError:
            break
        time.sleep(0.01)
    return "lines=%d last=%.3f" % (lines, last)


def send(seconds, host, port):
    s = socket.socket(family(host), socket.SOCK_DGRAM)
    end, sent = time.monotonic() + float(seconds), 0
    while time.monotonic() < end and not stop:
        s.sendto(b"weft", (host, int(port)))
        sent += 1
        time.sleep(0.01)
    return "sent=%d" % sent


def hear(seconds, port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", int(port)))
    s.settimeout(0.05)
    end, got, last = time.monotonic() + float(seconds), 0, 0.0
    while time.monotonic() < end and not stop:
        try:
            s.recv(2048)
            got, last = got + 1, time.time()
        except TimeoutError:
            pass
    return "got=%d last=%.3f" % (got, last)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, term)
    print("listening", os.getpid(), flush=True)
    print({f.__name__: f for f in (connect, steady, stream, send, hear)}[sys.argv[1]](*sys.argv[2:]), flush=True)
