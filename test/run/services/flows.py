# SPDX-License-Identifier: Apache-2.0
"""What happens to callers that go on: affinity, topology, senders that keep their port, open connections, a pod that calls
itself, agents that are away. A part of services.sh."""
import glob
import os
import signal
import time

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import

NODES = (("172.31.0.10", "fd57:e7f7:0:1::10"), ("172.31.0.11", "fd57:e7f7:0:1::11"), ("172.31.0.12", "fd57:e7f7:0:1::12"))
ALL = "web-1+web-2+web-3"


def both(service_name, port=80):
    return [(ip, port) for ip in vips(service_name)]


def spread():
    service("even", selector={"app": "web"})
    last_word("near", both("even"), ALL, n=30)
    for to in both("even", 53):
        seen = calls("near", to, "udp", n=600)["pods"]
        ok("SV31 600 new flows to %s: each of three endpoints has 150 to 250" % to[0],
           sorted(seen) == ["web-1", "web-2", "web-3"] and min(seen.values()) >= 150 and max(seen.values()) <= 250, seen)
    delete("Service", "even")


def sticks(place, to, proto="tcp"):
    """The one that answers thirty calls, or several joined by +."""
    return word(calls(place, to, proto, n=30))


def affinity():
    sticky = {"selector": {"app": "web"}, "sessionAffinity": "ClientIP"}
    service("sticky", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 1}}, **sticky)
    to = both("sticky")
    ok("SV26 one client, one endpoint, IPv4", wait(lambda: sticks("near", to[0]) in ALL.split("+")))
    ok("SV26 and IPv6", wait(lambda: sticks("far", to[1]) in ALL.split("+")))
    same("SV26 by UDP", sticks("near", both("sticky", 53)[0], "udp") in ALL.split("+"), True)
    seen = set()
    for _ in range(10):
        seen.add(sticks("near", to[0]))
        time.sleep(1.3)
    ok("SV27 after its time-out there is a new choice", len(seen) > 1 and "+" not in "".join(seen), seen)
    service("sticky", selector={"app": "web"}, sessionAffinity="None")
    settles("SV29 turned off: all endpoints", "near", to, ALL, n=40)
    service("sticky", **sticky)
    ok("SV29 turned on: one", wait(lambda: sticks("near", to[0]) in ALL.split("+")))
    delete("Service", "sticky")
    service("sticky", sessionAffinity="ClientIP")
    slices("sticky", on("web-1"), on("web-2"), on("web-3"))
    to = both("sticky")
    mine = wait(lambda: sticks("near", to[0]) if "+" not in sticks("near", to[0]) else None)
    rest = [p for p in ALL.split("+") if p != mine]
    slices("sticky", *[on(p) for p in rest], on(mine, ready=False))
    heir = wait(lambda: sticks("near", to[0]) if sticks("near", to[0]) in rest else None)
    ok("SV28 an endpoint that is not ready loses its client at once", heir in rest, (mine, heir))
    slices("sticky", on("web-1"), on("web-2"), on("web-3"))
    time.sleep(0.5)
    same("SV28 and does not get it back by its retries", sticks("near", to[0]), heir)
    delete("Service", "sticky")
    node_port_affinity()


def node_port_affinity():
    local = {"sessionAffinity": "ClientIP", "externalTrafficPolicy": "Local", "type": "NodePort"}
    service("local", ports=((80, 80, "TCP", 30230),), **local)
    slices("local", on("web-1"), on("web-2"), on("gated"), ports=((80, 80, "TCP"),))
    to = (NODES[0][0], 30230)
    ok("SV30 through a node port with Local: one of the node's own", wait(lambda: sticks("outside", to) in ("web-1", "gated")))
    delete("Service", "local")


def topology():
    for node, zone in (("node-1", "a"), ("node-2", "b"), ("node-3", "b")):
        patch("Node", node, {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}})
    service("zones", trafficDistribution="PreferClose")
    to = both("zones")
    slices("zones", on("web-1", zones=["a"]), on("web-2", zones=["b"]), on("web-3", zones=["b"]))
    settles("SV32 all have hints: those of the caller's zone", "near", to, "web-1", n=20)
    settles("SV32 in another zone", "far", to, "web-2+web-3", n=30)
    slices("zones", on("web-1", zones=["a"]), on("web-2", zones=["b"]), on("web-3"))
    settles("SV32 one without a hint: all", "near", to, ALL, n=40)
    slices("zones", on("web-1", zones=["c"]), on("web-2", zones=["c"]))
    settles("SV32 none names the zone: all", "near", to, "web-1+web-2", n=30)
    slices("zones", on("web-1", zones=["a"], nodes=["node-1"]), on("web-2", zones=["b"], nodes=["node-2"]),
           on("web-3", zones=["b"], nodes=["node-3"]))
    service("zones", trafficDistribution="PreferSameNode")
    settles("SV33 the caller's node", "far", to, "web-2", n=20)
    slices("zones", on("web-1", zones=["a"], nodes=["node-1"]), on("web-3", zones=["b"], nodes=["node-3"]))
    settles("SV33 none there: the zone", "far", to, "web-3", n=20)
    service("zones", trafficDistribution="PreferClose", internalTrafficPolicy="Local")
    slices("zones", on("web-1", zones=["b"]), on("web-2", zones=["a"]))
    settles("SV34 no hint counts on top of Local", "near", to, "web-1", n=10)
    delete("Service", "zones")
    service("hinted", selector={"app": "web"}, trafficDistribution="PreferClose")
    settles("SV32 hints of the cluster's own slices", "near", both("hinted"), "web-1", n=20)
    service("hinted", selector={"app": "web"}, trafficDistribution="PreferSameNode")
    settles("SV33 of nodes", "far", both("hinted"), "web-2", n=20)
    delete("Service", "hinted")


def itself():
    service("self")
    slices("self", on("web-1"))
    settles("SV48 a pod reaches itself through its Service", "web-1", both("self"), "web-1", n=5)
    settles("SV48 by UDP", "web-1", both("self", 53), "web-1", "udp", n=5)
    settles("SV49 a pod on its node's network reaches a Service without an endpoint there", "host", both("self"), "web-1")
    slices("self", on("web-3"))
    settles("SV49 and with one", "host", both("self"), "web-3")
    delete("Service", "self")


def moves(ids, place, to, *how):
    """A UDP sender that keeps its port follows the slices of `moving`: one endpoint, another, none, one."""
    slices("moving", on("web-1"), ports=UDP)
    talk = Talk(place, "datagrams", to[0], str(to[1]), *how)
    text = " from %s to %s%s" % (place, to[0], " (connected)" if how else "")
    ok(ids[0] + " a UDP sender is answered" + text, talk.answers("web-1"), talk.lines)
    at = time.monotonic()
    slices("moving", on("web-2"), ports=UDP)
    if how:
        error = wait(lambda: [l for l in talk.lines if l[0] == "error"] or talk.answers("web-2", 0.1))
        ok(ids[0] + " it gets an error, or moves, when its endpoint goes" + text, error, talk.lines)
        talk.hush()
        return
    moved = talk.answers("web-2")
    ok(ids[0] + " it moves when its endpoint goes" + text, moved and time.monotonic() - at < 1, talk.lines)
    slices("moving", ports=UDP)
    time.sleep(0.3)
    slices("moving", on("web-3"), ports=UDP)
    ok(ids[1] + " and gets through when there is one again" + text, talk.answers("web-3", 1), talk.lines)
    talk.hush()


UDP = ((53, 53, "UDP"),)


def senders():
    service("moving", ports=((53, 53, "UDP", 30240),), type="NodePort", externalIPs=["172.31.0.231"])
    for ip, port in both("moving", 53):
        moves(("SV50", "SV51"), "near", (ip, port))
    moves(("SV55", "SV55"), "near", both("moving", 53)[0], "connected")
    moves(("SV55", "SV55"), "far", both("moving", 53)[1], "connected")
    for ip in NODES[0] + NODES[2]:
        moves(("SV52 SV50", "SV52 SV51"), "outside", (ip, 30240))
    moves(("SV52 SV50", "SV52 SV51"), "near", ("172.31.0.231", 53))
    delete("Service", "moving")


def open_connections():
    service("open")
    slices("open", on("web-1"), on("web-2"))
    to = both("open")
    last_word("near", to, "web-1+web-2", n=20)
    talks = [Talk("near", "stream", ip, str(port)) for ip, port in to * 3]
    for t in talks:
        t.answers("web-1", 1) or t.answers("web-2", 1)
    slices("open", on("web-1", ready=False, serving=False, terminating=False), on("web-2"))
    settles("SV54 new connections go to the other one", "near", to, "web-2", n=20)
    slices("open", on("web-2"))
    time.sleep(0.5)
    for t in talks:
        t.hush()
    ok("SV53 SV54 no open connection breaks when an endpoint is not ready, and gone", all(["broken"] not in t.lines for t in talks),
       [t.lines for t in talks])
    delete("Service", "open")


def pids(program):
    """The pids of this cluster's processes of that name on node-1, or of the hub."""
    found = []
    for comm in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(comm, encoding="ascii") as c, open(comm[:-4] + "cmdline", encoding="utf-8") as l:
                line = l.read().split("\0")
                if c.read().strip() == program and (NAME in line or RUN in " ".join(line)) and \
                        (program == "weft-hub" or "node-1" in line):
                    found.append(int(comm.split("/")[2]))
        except OSError:
            pass
    return found


def away():
    service("old", selector={"app": "web"})
    to = both("old")
    last_word("near", to, ALL, n=30)
    talks = [Talk("near", "stream", ip, str(port)) for ip, port in to]
    agents = pids("weft-planner") + pids("weft-applier") + pids("weft-observer")
    ok("SV60 the agent's processes are found", len(agents) >= 3, agents)
    failed_calls = 0
    for _ in range(3):
        for pid in pids("weft-planner") + pids("weft-applier") + pids("weft-observer"):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        failed_calls += sum(v["refused"] + v["none"] for v in calls("near", to, n=40).values())
    same("SV60 new connections are made while the agent dies and starts", failed_calls, 0)
    wait(lambda: len(pids("weft-planner")) > 0)
    still = pids("weft-planner")
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    service("born", selector={"app": "web"})
    born = both("born")
    service("old", selector={"app": "nobody"})
    for pid in still:
        os.kill(pid, signal.SIGKILL)
    settles("SV61 a Service that was made while the agent was away works", "near", born, ALL, n=30)
    settles("SV61 and endpoints that left meanwhile are gone", "near", to, "refused")
    delete("Service", "old")
    settles("SV61 as a deleted Service is", "near", to, "none", wait=0.3)
    for t in talks:
        t.hush()
    ok("SV60 no open connection breaks", all(["broken"] not in t.lines for t in talks), [t.lines for t in talks])
    delete("Service", "born")


play(spread, affinity, topology, itself, senders, open_connections, away)
