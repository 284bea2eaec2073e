# SPDX-License-Identifier: Apache-2.0
"""The part of soak.sh that breaks things and judges: callers run as processes in pods and on the host outside, Chaos
breaks agents, pods and nodes by chance for SECONDS, and each lost request is led back to what it was lost to
(verdict.py). Figures are printed as comments; what must hold as checks."""
import glob
import json
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../services")]
from chaos import APPS, NODES, Chaos, Pods, agent, app, now, ready, whole  # pylint: disable=wrong-import-position
from cluster import NAME, RUN, WEFT, api, ok, same, wait  # pylint: disable=wrong-import-position
from kernel import Connections  # pylint: disable=wrong-import-position
from verdict import CLASSES, judge, out_of  # pylint: disable=wrong-import-position

SECONDS, SEED, DIR = float(os.environ["WEFT_SECONDS"]), int(os.environ["WEFT_SEED"]), os.environ["WEFT_DIR"]
# Packets to an address that went, to a Service while nobody served it yet, and of pods that were deleted without grace and
# run on for theirs: nobody knows them any more, so no policy lets them in.
EXPECTED = {"no-endpoint", "no-backend", "policy-ingress"}
STOP = DIR + "/.stop"
NODE_PORTS = ("172.31.0.10", "172.31.0.11", "172.31.0.12", "[fd57:e7f7:0:1::10]", "[fd57:e7f7:0:1::11]", "[fd57:e7f7:0:1::12]")


class Callers:
    """One process of load.py a place, started again when its node has power again."""

    def __init__(self, pods):
        self.pods, self.running = pods, {}
        inside = [k % a for a in self.vips() for k in ("new@%s", "kept@%s", "echo@%s")]
        self.targets = {n: inside for n in NODES}
        self.targets["outside"] = [k % ip for ip in NODE_PORTS for k in ("new@%s:30080", "kept@%s:30080", "echo@%s:30080")]

    @staticmethod
    def vips():
        for name, port in (("page", 80), ("catalogue", 8000)):
            for ip in api("GET", "/api/v1/namespaces/shop/services/" + name)["spec"]["clusterIPs"]:
                yield ("[%s]:%d" if ":" in ip else "%s:%d") % (ip, port)

    def start(self, place):
        words = ["nsenter", "--net=/run/netns/weft-%s-%s" % (NAME, "outside" if place == "outside" else "reports.caller-" + place[-1])]
        if place != "outside":
            group = (glob.glob("/sys/fs/cgroup/weft.%s/*/reports.caller-%s" % (NAME, place[-1])) +
                     glob.glob("/sys/fs/cgroup/*/weft.%s/*/reports.caller-%s" % (NAME, place[-1])))[0]
            words = ["sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh", group] + words
        words += ["python3", HERE + "/load.py", RUN, place, STOP, "%s/load-%s" % (DIR, place), *self.targets[place]]
        self.running[place] = subprocess.Popen(words)

    def tend(self, faults):
        down = {f.node for f in faults if not f.over}
        for place in self.targets:
            p = self.running.get(place)
            if place not in down and (p is None or p.poll() is not None):
                self.start(place)

    def end(self):
        open(STOP, "w", encoding="ascii").close()
        return [p.wait(30) for p in self.running.values()]

    def told(self):
        lost, sums = [], {}
        for place in self.targets:
            with open("%s/load-%s" % (DIR, place), encoding="ascii") as f:
                for line in f:
                    if not line.endswith("}\n"):
                        continue  # killed while it wrote
                    o = json.loads(line)
                    if "lost" in o:
                        lost.append(o)
                    else:
                        sums[o["by"], o["pid"], o["target"]] = o
        return lost, list(sums.values())


def settled(pods):
    """All nodes whole, nothing ends, all of the shop is ready."""
    for a in APPS:
        of = [o for o in pods.now() if app(o) == a]
        if len(of) != 3 or not all(ready(o) for o in of):
            return False
    asking = [o for o in pods.now() if o["metadata"]["name"].startswith("caller-") and ready(o)]
    return len(asking) == len(NODES) and all(whole(n) for n in NODES)


def say(*words):
    print("#", *words, flush=True)


def window(chaos, way, disturbed):
    """How long after the blow the last node's kernel led somebody there, of each death of that kind, in ms; disturbed:
    of those where a program of an agent was killed from a second before, or a node was broken; else of the others."""
    times = []
    for d in chaos.deaths:
        if d.way != way:
            continue
        whole_ones = [n for n in NODES if n not in {f.node for f in chaos.faults if f.begun < d.begun + 20 and (f.over is None or f.over > d.begun)}]
        if not whole_ones:
            continue
        until = max(out_of(d, n) for n in whole_ones)
        near = any(d.begun - 1 < t < until for t, _ in chaos.agents) or any(
            f.begun < until and (f.over is None or f.over > d.begun) for f in chaos.faults)
        if near == disturbed:
            times.append(1000 * (until - d.begun))
    return sorted(times)


def slow(chaos):
    """Deaths that a node took long to learn, from when the cluster knew: two seconds and more, with power all the time."""
    for d in chaos.deaths:
        f = next((f for f in chaos.faults if d.uid in f.deaths and f.deaths[d.uid] is d), None)
        known = (f.known or d.begun) if f else d.begun
        late = {n: "%.1f s" % (t - known) for n, t in d.out.items() if t - known > 2
                and not any(f.node == n and f.begun < t and (f.over is None or f.over > d.begun) for f in chaos.faults)}
        if late:
            say("learned late: %s on %s, %s at %.1f, known %.1f s later, out later by %s; back %s" % (
                d.name, d.node, d.way, d.begun, known - d.begun, late, d.back and "%.1f s later" % (d.back - d.begun)))


def figures(chaos, lost, sums):
    judged = [(judge(l, chaos.deaths, chaos.faults), l) for l in lost]
    say("seed %d, %d s, %d actions:" % (SEED, SECONDS, sum(chaos.done.values())))
    for what, n in sorted(chaos.done.items()):
        say("  %4d %s" % (n, what))
    for side, of in (("inside", lambda o: o["by"] != "outside"), ("outside", lambda o: o["by"] == "outside")):
        for kind in ("new", "kept", "echo"):
            mine = [o for o in sums if of(o) and o["target"].startswith(kind)]
            bad = [j for j in judged if of(j[1]) and j[1]["lost"].startswith(kind)]
            say("from %-7s %-4s %7d requests, %7d connections, lost %d: %s" % (
                side, kind, sum(o["requests"] for o in mine), sum(o["connections"] for o in mine), sum(l["asked"] for _, l in bad),
                ", ".join("%s %d" % (c, n) for c in CLASSES if (n := sum(j[0] == c and l["asked"] for j, l in bad))) or "-"))
    say("connections cut between two requests: " + (", ".join(
        "%s %d" % (c, n) for c in CLASSES if (n := sum(j[0] == c and not l["asked"] for j, l in judged))) or "none"))
    late = sorted(1000 * (l["begun"] - d.begun) for (c, d), l in judged if c == "window")
    if late:
        say("calls led to a dead pod began %.0f to %.0f ms after the blow" % (late[0], late[-1]))
    for way in sorted({d.way for d in chaos.deaths}):
        for disturbed in (False, True):
            times = window(chaos, way, disturbed)
            if times:
                say("until no node led anybody there, or it served again, after %s%s: %d times, median %.0f ms, longest %.0f ms" % (
                    way, ", agents killed or nodes broken meanwhile" if disturbed else "", len(times), times[len(times) // 2], times[-1]))
    for f in chaos.faults:
        say("%s %s at %.1f: known %s later, given back %s later, whole %s after that" % (
            f.node, f.kind, f.begun, *("%.1f s" % (b - a) if a and b else "never" for a, b in (
                (f.begun, f.known), (f.begun, f.cleared), (f.cleared, f.over)))))
    slow(chaos)
    return judged


def explain(chaos, judged):
    """The first few that were lost elsewhere, with what had happened before."""
    for l in [l for (c, _), l in judged if c == "elsewhere"][:12]:
        say(json.dumps(l))
        near = [(d.begun, "%s of %s %s on %s, dead %s, out %s, back %s" % (d.way, d.name, sorted(d.ips()), d.node, d.dead, d.out, d.back))
                for d in chaos.deaths if l["begun"] - 10 < d.begun < l["failed"] and (l["led"] is None or l["led"] in d.ips())]
        near += [(f.begun, "%s %s, cleared %s, over %s" % (f.node, f.kind, f.cleared, f.over)) for f in chaos.faults
                 if l["begun"] - 30 < f.begun < l["failed"]]
        near += [(t, "kill -9 of " + program) for t, program in chaos.agents if l["begun"] - 5 < t < l["failed"]]
        with chaos.pods.lock:
            near += [(p["since"], "until %s: %s on %s has %s" % (p["until"], p["object"]["metadata"]["name"], p["object"]["spec"].get("nodeName"), l["led"]))
                     for p in chaos.pods.known.values() if l["led"] in p["ips"]]
        for t, what in sorted(near):
            say("    %.3f %s" % (t, what))


def counters(node):
    told = subprocess.run(["curl", "-s", "-m", "5", "--unix-socket", "%s/%s/observer.sock" % (RUN, node), "http://o/counters"],
                          stdout=subprocess.PIPE, check=True).stdout
    return json.loads(told)["counters"]


HOOKS = ("POD", "HOST", "UPLINK", "TUNNEL", "STACK")


def sums_of(node):
    """What does not add up on that node: of each hook what came in, and connections; None while they change."""
    c = counters(node)
    bad = ["%s in %d, out %d" % (h, c[h + "_IN"], out) for h in HOOKS
           if (out := sum(n for k, n in c.items() if k.startswith(h + "_") and k != h + "_IN")) != c[h + "_IN"]]
    seen = Connections(RUN, node, list(c)).read()
    if seen is None:
        return None
    made, removed, there = seen
    bad += ["%d connections made, %d removed, %d there" % seen] * (made - removed != there)
    return bad + [k for k in ("EVENTS_LOST", "DROPS_UNTOLD", "STAGED_UNTOLD") if c[k]]


def unsound():
    """Of all nodes: {} when all adds up."""
    return {n: bad for n in NODES if (bad := sums_of(n)) or bad is None}


def drops():
    """Packets dropped by (node, reason)."""
    told = json.loads(subprocess.run([WEFT, "drops", "--name", NAME, "-o", "json"], stdout=subprocess.PIPE, check=True).stdout)
    found = {}
    for d in told:
        found[d["reason"]] = found.get(d["reason"], 0) + d["packets"]
    return found


def differences():
    return {n: told for n in NODES if (told := agent(n, op="readback").get("text", "nothing was answered"))}


def zombies():
    """Dead children that the sandbox has not taken leave of."""
    with open(RUN + "/lock", encoding="ascii") as f:
        sandbox = f.read().strip()
    told = subprocess.run(["ps", "--no-headers", "-o", "stat,comm", "--ppid", sandbox], stdout=subprocess.PIPE, text=True, check=False).stdout
    return [line for line in told.splitlines() if line.startswith("Z")]


def ends():
    """Ends of Weft's programs that were no kill of ours."""
    found = []
    for path in glob.glob(RUN + "/log/*.log"):
        with open(path, encoding="utf-8", errors="replace") as f:
            found += [os.path.basename(path) + ": " + line.strip() for line in f
                      if (" ended " in line and "by signal 9" not in line) or "Sanitizer" in line]
    return found


def main():
    pods = Pods()
    pods.start()
    ok("all of the shop is ready", wait(lambda: settled(pods), 60))
    rng = random.Random(SEED)
    chaos, callers = Chaos(rng, pods, SECONDS), Callers(pods)
    callers.tend([])
    time.sleep(1)
    end = chaos.end = now() + SECONDS
    while now() < end:
        chaos.act()
        pause = now() + rng.uniform(0.2, 1.2)
        while now() < pause:
            callers.tend(chaos.faults)
            chaos.lost_pods()
            time.sleep(0.05)

    def mended():
        chaos.lost_pods()
        return not chaos.broken()
    ok("every node is whole again", wait(mended, 120), [vars(f) for f in chaos.broken()])
    ok("all of the shop is ready again", wait(lambda: settled(pods), 60), [(o["metadata"]["name"], o["status"]) for o in pods.now() if not ready(o)])
    callers.tend([])
    time.sleep(1)
    same("every caller came to its end", set(callers.end()), {0})
    lost, sums = callers.told()
    judged = figures(chaos, lost, sums)
    asked = {}
    for o in sums:
        asked[o["by"], o["target"]] = asked.get((o["by"], o["target"]), 0) + o["requests"]
    quiet = sorted(who for who, n in asked.items() if n < SECONDS)
    ok("each target was asked all the time", asked and not quiet, quiet)
    same("each kind of thing was done", [name for _, name, _ in chaos.ways() if name not in chaos.done], [])
    explain(chaos, judged)
    same("SV01 SV05 SV60 requests lost elsewhere than in killed pods, or on the way to them before that was known",
         sum(j[0] == "elsewhere" and l["asked"] for j, l in judged), 0)
    same("SV53 SV60 connections cut that were not to killed pods", sum(j[0] == "elsewhere" and not l["asked"] for j, l in judged), 0)
    stale = [(d.name, d.way, d.out) for d in chaos.deaths if max(out_of(d, n) for n in NODES) == float("inf")]
    same("every node's kernel forgot each dead pod, or it served again", stale, [])
    ok("each node's kernel is as planned", wait(lambda: not differences(), 20), differences())
    ok("what came in and went out adds up on each node, and so do connections", wait(lambda: not unsound(), 20), unsound())
    after = drops()
    say("dropped: " + (", ".join("%s %d" % (r, n) for r, n in sorted(after.items())) or "nothing"))
    # What the kernel's own stack throws away is about sockets that are gone.
    same("nothing was dropped for a reason that no death explains", sorted(r for r in set(after) - EXPECTED if not r.startswith("kernel:")), [])
    same("the sandbox has reaped its dead", wait(lambda: not zombies()) and zombies(), [])
    same("no program ended but by our hand", ends(), [])
    return pods


main()
