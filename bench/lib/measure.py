# SPDX-License-Identifier: Apache-2.0
"""What is measured on a path: nanoseconds a packet, bits a second of one TCP stream, nanoseconds a connection. Runs
are interleaved: each round measures every path once, in turning order, so that a slow second hits all alike."""
import json
import os
import subprocess
import time

from . import machine
from .net import Failed, inside, joiner, need, run_json, sink, sink_count, tool

CPUS = os.cpu_count() or 1
SENDER = 0
OTHER = 1 if CPUS > 1 else 0
THREAD_TIME = machine.softirq_in_thread_time()


def rounds(paths, count):
    """(round, path) in turning order."""
    for r in range(count):
        k = r % len(paths)
        for path in paths[k:] + paths[:k]:
            yield r, path


def packet_cost(paths, count=9, ms=250, port=9, payload=64):
    """ns of CPU a packet, per path: {name: [one figure a round]}. The receiver drops and counts; a run that delivers
    less than 98 % is no measurement. The sender sends to the path's own port, where it has one."""
    need("nft")
    flood = tool("bench-flood")
    for path in paths:
        sink(path.receiver, path.device, port)
    got = {path.name: [] for path in paths}
    for _, path in rounds(paths, count):
        before = sink_count(path.receiver)
        out = run_json(path.sender, [flood, path.address, str(path.port or port), str(SENDER), str(ms), str(payload)], path.cgroup)
        seen = sink_count(path.receiver) - before - 64  # the warm-up batch
        if out["sent"] == 0 or seen < 0.98 * out["sent"]:
            raise Failed(f"{path.name}: {max(0, seen)} of {out['sent']} packets arrived")
        ns = out["cpu_ns"] + out["ksoftirqd_ns"] if THREAD_TIME else out["wall_ns"]
        got[path.name].append(ns / out["sent"])
    return got


def tcp_rate(paths, count=9, seconds=1, port=5201):
    """Gbit/s of one TCP stream, sender and receiver on a CPU each: {name: [one figure a round]}."""
    need("iperf3")
    servers = []
    got = {path.name: [] for path in paths}
    try:
        for path in paths:
            servers.append(subprocess.Popen(
                inside(path.receiver, ["iperf3", "-s", "-p", str(port), "-A", str(OTHER)]), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=joiner(path.receiver_cgroup)))
        wait_listening(paths, port)
        for _, path in rounds(paths, count):
            p = subprocess.run(
                inside(path.sender, ["iperf3", "-c", path.address, "-p", str(port), "-t", str(seconds), "-A", str(SENDER), "-J"]),
                capture_output=True, text=True, timeout=seconds + 20, preexec_fn=joiner(path.cgroup))
            out = json.loads(p.stdout or "{}")
            if "end" not in out or "sum_received" not in out["end"]:
                raise Failed(f"{path.name}: iperf3: {out.get('error', p.stderr.strip())}")
            got[path.name].append(out["end"]["sum_received"]["bits_per_second"] / 1e9)
    except subprocess.TimeoutExpired:
        raise Failed("iperf3 took too long") from None
    finally:
        for s in servers:
            s.kill()
            s.wait()
    return got


def wait_listening(paths, port, limit=5.0):
    end = time.monotonic() + limit
    for path in paths:
        while f":{port} " not in subprocess.run(inside(path.receiver, ["ss", "-Htln"]), capture_output=True, text=True,
                                                check=False).stdout:
            if time.monotonic() > end:
                raise Failed(f"{path.name}: nothing listens on port {port} after {limit} s")
            time.sleep(0.02)


def running_ns(pids):
    """CPU time of processes, ns."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def connect_cost(world, clients, count=9, ms=200):
    """clients: [(name, namespace, cgroup, address, port, [server pids])]. ns of CPU of both ends for connect,
    request, answer and close: {name: [one figure a round]}. All on one CPU, so that nobody waits for another to wake."""
    rr = tool("bench-rr")
    got = {c[0]: [] for c in clients}
    for _, (name, ns, cgroup, address, port, pids) in rounds(clients, count):
        before = running_ns(pids)
        out = run_json(ns, [rr, "ask", address, str(port), str(SENDER), str(ms)], cgroup)
        if out["failed"] or not out["done"]:
            raise Failed(f"{name}: {out['failed']} of {out['done'] + out['failed']} connections failed ({out['why']})")
        ns_all = out["cpu_ns"] + running_ns(pids) - before if THREAD_TIME else out["wall_ns"]
        got[name].append(ns_all / out["done"])
    return got


def serve(world, ns, port, cgroup=None):
    """A server of bench-rr in a namespace; its pid (of the server itself: nsenter turns into it)."""
    return world.spawn(ns, [tool("bench-rr"), "serve", str(port), str(SENDER)], cgroup, ready="ready").pid
