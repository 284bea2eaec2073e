# SPDX-License-Identifier: Apache-2.0
"""Row: an observer that is held to a hundredth of a CPU while refused connections flood its node, beside one that has time: the p99
latency of a pod's requests, in short turns."""
import ctypes
import os
import socket
import subprocess
import time

from . import objects
from .net import Failed, inside, joiner, namespace_path, tool
from .report import number, ratio_finding, spread
from .rows_flows import cast, programs
from .weft import Cluster

CEILING = [("p99 latency of a pod's requests, the observer at its CPU ceiling", "≤ 1.5 × an observer that has time (doc/accounting.md)")]
PORT, RATE, TURN = 9, 20000, 0.2
NEWNET = 0x40000000


class Limit:
    """A cgroup that limits CPU time, of either version."""

    def __init__(self, pids):
        root = next((r for r in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup") if os.path.exists(r + "/cpu.cfs_quota_us")), "/sys/fs/cgroup")
        self.path = root + "/weft-bench-ceiling"
        try:
            os.makedirs(self.path, exist_ok=True)
            self.two = os.path.exists(self.path + "/cpu.max")
            self.put("cpu.max" if self.two else "cpu.cfs_quota_us", "max 100000" if self.two else -1)
            for pid in pids:
                self.put("cgroup.procs", pid)
        except OSError as e:
            raise Failed(f"no cgroup here limits CPU time: {e}") from None

    def put(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as f:
            f.write(str(value))

    def hold(self, on):
        if self.two:
            self.put("cpu.max", f"{1000 if on else 'max'} 100000")
        else:
            self.put("cpu.cfs_quota_us", 1000 if on else -1)

    def throttled(self):
        with open(self.path + "/cpu.stat", encoding="ascii") as f:
            return int(dict(line.split() for line in f)["nr_throttled"])

    def end(self):
        """Its processes have ended."""
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)


def socket_in(ns):
    libc, own, there = ctypes.CDLL(None, use_errno=True), os.open("/proc/self/ns/net", os.O_RDONLY), os.open(namespace_path(ns), os.O_RDONLY)
    try:
        if libc.setns(there, NEWNET):
            raise Failed(os.strerror(ctypes.get_errno()))
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    finally:
        libc.setns(own, NEWNET)
        os.close(own)
        os.close(there)


def echo(s):
    pid = os.fork()
    while not pid:
        data, who = s.recvfrom(2000)
        s.sendto(data, who)
    return pid


def requests(s):
    took, end = [], time.perf_counter() + TURN
    while time.perf_counter() < end:
        begin = time.perf_counter_ns()
        s.send(b"?")
        s.recv(100)
        took.append((time.perf_counter_ns() - begin) / 1000)
    return took


def ceiling(effort):
    limit = pid = flood = None
    try:
        with Cluster("ceiling", {"pods.yaml": cast()}, nodes=1) as c:
            c.wait_running()
            path = c.path("Weft", (objects.NS, "a"), (objects.NS, "b"))
            server, s = socket_in(path.receiver), socket_in(path.sender)
            server.bind((path.address, PORT))
            pid = echo(server)
            s.settimeout(5)
            s.connect((path.address, PORT))
            requests(s)
            limit = Limit(programs(c, "weft-observer"))
            flood = subprocess.Popen(inside(path.sender, [tool("bench-load"), "syn", path.address, "7001", str(RATE), str(RATE * 1000)]),
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=joiner(path.cgroup))
            p99, turns, were = {True: [], False: []}, 2 if effort.quick else 6, limit.throttled()
            for r in range(effort.rounds):
                took = {True: [], False: []}
                for i in range(2 * turns):
                    on = (r + i) % 2 == i // 2 % 2
                    limit.hold(on)
                    time.sleep(0.1)
                    took[on] += requests(s)
                for on in took:
                    p99[on].append(sorted(took[on])[len(took[on]) * 99 // 100])
            held = limit.throttled() - were
            limit.hold(False)
    finally:
        for kill in (lambda: flood.kill(), lambda: flood.wait(), lambda: os.kill(pid, 9), lambda: os.waitpid(pid, 0), lambda: limit.end()):
            try:
                kill()
            except (AttributeError, TypeError, OSError):
                pass
    if not held:
        raise Failed("the observer never reached its ceiling")
    return [ratio_finding(*CEILING[0], [a / b for a, b in zip(p99[True], p99[False])], spread(p99[True], "µs"), spread(p99[False], "µs, with time"), most=1.5,
                          note=f"{number(RATE)} refused connections a second; held {held} times")]
