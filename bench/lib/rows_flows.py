# SPDX-License-Identifier: Apache-2.0
"""Rows: flow records for everything. What the observer costs the packets of pods, in peace and in a flood; what a new flow
costs in CPU time and how many are lost, beside `conntrack -E` and tcpdump, which see the same traffic of the same generator."""
import os
import re
import signal
import subprocess
import time

from . import objects
from .measure import packet_cost, running_ns
from .net import Failed, World, in_ns, inside, joiner, need, run_json, sysctl, tool, veth
from .report import Finding, number, ratio_finding, spread
from .stats import HOLDS, MISSES, median
from .weft import Cluster

RATE, PORT = 10000, 7000
PEACE = ("flow records for everything: packets/s", "≥ 0.97 × with the observer stopped")
FLOOD = ("packets of pods while 5,000 new connections/s flood the node", "≥ 0.97 × with the observer stopped (ours)")
LOST = (f"new flows at {RATE:,} a second: lost", "0")
COST = ("CPU of the agent and the hub a new flow", "≤ a core at 10,000 a second (ours)")
FLOWS = [PEACE, FLOOD, LOST, COST]


def cast():
    ports = [("UDP", 9), ("TCP", PORT)]
    return [objects.namespace(), objects.pod("a", "node-1"), objects.pod("b", "node-1"), objects.policy("b-in", "b", ingress_from=["a"], ports=ports)]


def programs(cluster, *names):
    """The processes of a cluster that are one of these programs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if os.path.basename(words[0]) in names and cluster.name in words:
            found.append(int(pid))
    if not found:
        raise Failed(f"no {names[0]}")
    return found


def with_and_without(cluster, path, effort):
    """Ratios of the packet rate with the observers running and stopped, pair by pair, and both costs in ns."""
    observers, cost = programs(cluster, "weft-observer"), {True: [], False: []}
    try:
        for r in range(effort.rounds):
            for runs in ((True, False) if r % 2 else (False, True)):
                for pid in observers:
                    os.kill(pid, signal.SIGCONT if runs else signal.SIGSTOP)
                cost[runs] += packet_cost([path], 1, effort.flood_ms)[path.name]
    finally:
        for pid in observers:
            os.kill(pid, signal.SIGCONT)
    return [off / on for on, off in zip(cost[True], cost[False])], cost


def observed(promise, found):
    ratios, cost = found
    return ratio_finding(*promise, ratios, spread(cost[True], "ns a packet"), f"observer stopped: {spread(cost[False], 'ns a packet')}", least=0.97)


def flood(cluster, address):
    """SYNs from random sources at a pod that serves, until it is ended."""
    return subprocess.Popen(inside(cluster.node_netns("node-1"), [tool("bench-load"), "syn", address, str(PORT), "5000", "100000000"]),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def ask(ns, cgroup, address, seconds):
    out = run_json(ns, [tool("bench-load"), "ask", str(RATE), str(seconds * 1000), f"tcp,{address},{PORT},1"], cgroup, seconds + 60)
    if out["targets"][0]["failed"]:
        raise Failed(f"{out['targets'][0]['failed']} connections failed: {out['why']}")
    return out["targets"][0]["begun"], out["wall_us"] / 1e6


def begun(cluster):
    """Flows of the generator in the hub's history: begun, ended."""
    rows = cluster.api("POST", "/apis/weft.network/internal/history", {"by": "none", "filter": f"tcp && dst.port == {PORT} && src.kind == pod"})["rows"]
    return sum(r.get("begun", 0) for r in rows), sum(r.get("closed", 0) + r.get("reset", 0) for r in rows)


def weft_run(cluster, path, seconds):
    """One run: flows, lost, CPU ns a flow of all of Weft's programs until each flow has ended, flows a second."""
    pids = programs(cluster, "weft-hub", "weft-agent", "weft-planner", "weft-applier", "weft-observer")
    before, cpu = begun(cluster), running_ns(pids)
    n, took = ask(path.sender, path.cgroup, path.address, seconds)
    end = time.monotonic() + 30
    while time.monotonic() < end and begun(cluster)[1] - before[1] < n:
        time.sleep(1)
    found = begun(cluster)[0] - before[0]
    return n, n - found, (running_ns(pids) - cpu) / n, n / took


def routed(world):
    """Two namespaces behind a node that tracks connections: (caller, address, node, the node's device to the caller)."""
    need("iptables")
    node, a, b = world.space("ct-node"), world.space("ct-a"), world.space("ct-b")
    for i, ns in enumerate((a, b)):
        veth(node, f"p{i}", ns, "eth0")
        in_ns(node, f"ip addr add 10.20{5 + i}.0.254/24 dev p{i}")
        in_ns(ns, f"ip addr add 10.20{5 + i}.0.1/24 dev eth0")
        in_ns(ns, f"ip route add default via 10.20{5 + i}.0.254")
    sysctl(node, "net/ipv4/ip_forward", 1)
    in_ns(node, "iptables -A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT")
    world.spawn(b, [tool("bench-load"), "serve", str(PORT)], ready="ready")
    return a, "10.206.0.1", node, "p0"


def peer_run(ns, address, node, words, seconds):
    """One run of the generator beside a program that looks on: flows, its CPU ns a flow, its output, its last words."""
    need(words[0])
    p = subprocess.Popen(inside(node, words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = subprocess.Popen(["grep", "-c", "NEW"], stdin=p.stdout, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)  # it has no word for being ready
        cpu = running_ns([p.pid])
        n, _ = ask(ns, None, address, seconds)
        time.sleep(1)
        cpu = running_ns([p.pid]) - cpu
    finally:
        p.send_signal(signal.SIGINT)
        said = p.stderr.read()
        p.wait()
    return n, cpu / n, int(lines.communicate()[0] or 0), said


def tcpdump_dropped(said):
    found = re.search(r"(\d+) packets? dropped by kernel", said)
    return int(found.group(1)) if found else 0


def flows(effort):
    seconds, times = (2, 1) if effort.quick else (5, 5)
    weft, conntrack, dump = [], [], []
    with World() as world, Cluster("flows", {"pods.yaml": cast()}, nodes=1) as c:
        c.wait_running()
        path = c.path("Weft", (objects.NS, "a"), (objects.NS, "b"))
        peace = with_and_without(c, path, effort)
        server = subprocess.Popen(inside(path.receiver, [tool("bench-load"), "serve", str(PORT)]), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True, preexec_fn=joiner(path.receiver_cgroup))
        world.children.append(server)
        server.stdout.readline()
        bare = routed(world)
        for _ in range(times):
            weft.append(weft_run(c, path, seconds))
            conntrack.append(peer_run(bare[0], bare[1], bare[2], ["conntrack", "-E", "-p", "tcp", "-b", str(8 << 20)], seconds))
            dump.append(peer_run(bare[0], bare[1], bare[2], ["tcpdump", "-n", "-i", bare[3], "-s", "96", "-w", "/dev/null", "tcp"], seconds))
        flooding = flood(c, path.address)
        try:
            flooded = with_and_without(c, path, effort)
        finally:
            flooding.terminate()
            flooding.wait()
    lost = sum(w[1] for w in weft)
    missed = sum(n - news for n, _, news, _ in conntrack)
    dropped = sum(tcpdump_dropped(said) for *_, said in dump)
    us = [w[2] / 1000 for w in weft]
    rate = median([w[3] for w in weft])
    reached = f"the generator reached {number(rate)} a second"
    return [
        observed(PEACE, peace), observed(FLOOD, flooded),
        Finding(*LOST, f"{lost} of {sum(w[0] for w in weft):,}", f"conntrack -E: {missed:,} of {sum(x[0] for x in conntrack):,}; tcpdump: {dropped:,} packets",
                MISSES if lost else HOLDS if rate > 0.95 * RATE else "not decidable here", reached),
        Finding(*COST, spread(us, "µs"), f"conntrack -E {spread([x[1] / 1000 for x in conntrack], 'µs')}; tcpdump {spread([x[1] / 1000 for x in dump], 'µs')}",
                HOLDS if max(us) <= 1e6 / RATE else MISSES, "from its first packet until it has ended, with names and history; the peers' own processes only, "
                "without the kernel's part, names or storage"),
    ]
