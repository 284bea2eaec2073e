# SPDX-License-Identifier: Apache-2.0
"""Flows between pods while something changes, for strict.sh.

  flows.py SECONDS COMMAND CLIENT_NS SERVER:NS:IPV4:IPV6…

Opens TCP and UDP flows from the client's namespace to each server, both families, each in two kinds: "push" (only the
client sends) and "pull" (only the server does), a message each 10 ms. After half a second runs COMMAND, goes on for
SECONDS, and prints a line for each flow: its name, messages before, milliseconds from the command's end to the last one.
"""
import ctypes
import os
import select
import socket
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), path)
    os.close(fd)


class Flow:
    def __init__(self, name, sender, receiver, peer=None):
        self.name, self.sender, self.receiver, self.peer = name, sender, receiver, peer
        self.before, self.last = 0, None

    def send(self):
        try:
            if self.peer:
                self.sender.sendto(b"x", self.peer)
            else:
                self.sender.send(b"x")
        except OSError:
            pass  # buffers of a flow that was cut fill up

    def take(self):
        try:
            return bool(self.receiver.recv(4096))
        except OSError:
            return False


def open_flow(proto, kind, server, ns, host, client_ns, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind_of = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    enter(ns)
    there = socket.socket(family, kind_of)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    there.bind((host, port))
    if proto == "tcp":
        there.listen(1)
    enter(client_ns)
    here = socket.socket(family, kind_of)
    here.settimeout(3)
    here.connect((host, port))
    peer = None
    if proto == "tcp":
        there = there.accept()[0]
        for s in (here, there):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        here.send(b"q")
        there.settimeout(3)
        peer = there.recvfrom(10)[1]
        there.sendto(b"a", peer)
        here.recv(10)
    here.setblocking(False)
    there.setblocking(False)
    name = "%s-%s-%s-%s" % (proto, kind, server, "6" if ":" in host else "4")
    if kind == "push":
        return Flow(name, here, there)
    return Flow(name, there, here, peer)


def run(flows, until, note):
    by_fd = {f.receiver.fileno(): f for f in flows}
    following = time.monotonic()
    while (now := time.monotonic()) < until():
        if now >= following:
            following = now + 0.01
            for f in flows:
                f.send()
        for fd in select.select(list(by_fd), [], [], max(0, following - time.monotonic()))[0]:
            if by_fd[fd].take():
                note(by_fd[fd], time.monotonic())


def main():
    seconds, command, client_ns = float(sys.argv[1]), sys.argv[2], sys.argv[3]
    flows, port = [], 7100
    for spec in sys.argv[4:]:
        server, ns, rest = spec.split("|", 2)
        for host in rest.split("|"):
            for proto in ("tcp", "udp"):
                for kind in ("push", "pull"):
                    flows.append(open_flow(proto, kind, server, ns, host, client_ns, port))
                    port += 1

    def count(flow, _at):
        flow.before += 1

    start = time.monotonic()
    run(flows, lambda: start + 0.5, count)
    changer = subprocess.Popen(["sh", "-c", command])
    changed = [None]

    def until():
        if changed[0] is None and changer.poll() is not None:
            changed[0] = time.monotonic()
        return (changed[0] or time.monotonic()) + seconds

    def note(flow, at):
        flow.last = at

    run(flows, until, note)
    for f in flows:
        last = -1 if f.last is None else int((f.last - changed[0]) * 1000)
        print(f.name, f.before, last, flush=True)


main()
