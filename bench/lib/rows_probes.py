# SPDX-License-Identifier: Apache-2.0
"""Row: 10,000 probes on one node at their periods: the observer's CPU time and what it left out. Its pods have namespaces
with real listeners; the peer asks the same listeners as often by bare sockets, from the same namespace."""
import http.client
import json
import os
import time

from . import objects
from .measure import running_ns
from .net import Failed, run_json, tool
from .report import Finding, number, spread
from .rig import NODE, Rig
from .stats import HOLDS, MISSES, interval, judge
from .weft import UnixHTTP

CPU = ("10,000 probes on a node each 10 s, half HTTP, half TCP", "< 10 % of a core")
KEPT = ("10,000 probes on a node each 10 s: none left out", "0 missed, p99 late ≤ 1 s (ours)")
PROBES = [CPU, KEPT]
PODS, PERIOD = 100, 10


def probe(http):
    action = {"httpGet": {"path": "/healthz", "port": 8080}} if http else {"tcpSocket": {"port": 8081}}
    return {**action, "periodSeconds": PERIOD, "timeoutSeconds": 5}


def probed_pod(i, containers):
    """Each container has a readiness and a liveness probe, one of each sort."""
    pod = objects.pod(f"probed-{i}", NODE)
    pod["spec"]["containers"] = [{"name": f"c{k}", "image": "none", "readinessProbe": probe(k % 2), "livenessProbe": probe(k % 2 == 0)}
                                 for k in range(containers)]
    return pod


def run_containers(rig, pod):
    """What a container runtime would write: all containers run."""
    name = pod["metadata"]["name"]
    pod = rig.api("GET", f"/api/v1/namespaces/{objects.NS}/pods/{name}")
    status = pod.setdefault("status", {})
    status["phase"] = "Running"
    status["containerStatuses"] = [
        {"name": c["name"], "image": "none", "imageID": "", "containerID": f"bench://{name}/{c['name']}", "ready": False, "started": True,
         "restartCount": 0, "state": {"running": {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}}
        for c in pod["spec"]["containers"]]
    rig.api("PUT", f"/api/v1/namespaces/{objects.NS}/pods/{name}/status", pod)
    return status["podIP"]


def observer(rig, path="/status"):
    c = UnixHTTP(os.path.join(rig.run, NODE, "observer.sock"))
    try:
        c.request("GET", path)
        return json.loads(c.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise Failed(f"observer.sock: {e}") from None
    finally:
        c.close()


def observer_pid(rig):
    for pid in rig.pids():
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            if f.read().strip() == "weft-observer":
                return pid
    raise Failed("no observer")


def tries(probing):
    return sum(t["count"] for t in probing["tries"]), sum(t["count"] for t in probing["tries"] if t["cause"] != "success")


def late_p99(before, after):
    """The bound (ms) under which 99 of 100 tries began, from two readings of the histogram."""
    count = after["count"] - before["count"]
    for a, b in zip(after["buckets"], before["buckets"]):
        if a["count"] - b["count"] >= 0.99 * count:
            return a["leMs"]
    return None


def windows(rig, times, seconds):
    """[per cent of a core], [CPU ns a try], first and last status."""
    pid, shares, each = observer_pid(rig), [], []
    first = before = observer(rig)["probing"]
    for _ in range(times):
        cpu, began, n = running_ns([pid]), time.monotonic(), tries(before)[0]
        time.sleep(seconds)
        before = observer(rig)["probing"]
        cpu, took = running_ns([pid]) - cpu, time.monotonic() - began
        shares.append(100 * cpu / 1e9 / took)
        each.append(cpu / max(1, tries(before)[0] - n))
    return shares, each, first, before


def probes(effort):
    containers = 5 if effort.quick else 50
    count = PODS * containers * 2
    with Rig("probes") as rig:
        pods = [rig.api("POST", f"/api/v1/namespaces/{objects.NS}/pods", probed_pod(i, containers)) for i in range(PODS)]
        rig.start_agent(30)
        for pod in pods:
            rig.wire(pod)
        rig.world.spawn(None, [tool("bench-answer"), "serve", *(n for n in rig.world.spaces if "rig-probed-" in n)], ready="ready")
        addresses = [run_containers(rig, pod) for pod in pods]
        rig.wait("all ready", lambda: observer(rig)["ready"] == PODS * containers, 60, rig.agent, "agent.log")
        time.sleep(2 if effort.quick else PERIOD)  # the reports of this beginning are no part of a steady state
        shares, each, first, last = windows(rig, 2 if effort.quick else 3, 3 if effort.quick else PERIOD)
        bare = run_json(rig.node_ns, [tool("bench-answer"), "ask", str(count // PERIOD), "3", *addresses])
    asked, failed = (b - a for a, b in zip(tries(first), tries(last)))
    missed, late = last["missed"] - first["missed"], late_p99(first["late"], last["late"])
    if failed or bare["bad"]:
        raise Failed(f"{failed} of {asked} probes failed, {bare['bad']} of the peer's")
    bare_ns = bare["cpu_ns"] / bare["good"]
    return [
        Finding(*CPU, spread(shares, "% of a core"), f"bare blocking sockets: {number(100 * bare['cpu_ns'] / bare['wall_ns'])} %",
                judge(*interval(shares), most=10),
                f"{count:,} probes of {PODS * containers:,} containers in {PODS} pods; {spread([e / 1000 for e in each], 'µs')} CPU a try, the "
                f"kernel's part of both ends included; bare sockets {number(bare_ns / 1000)} µs"),
        Finding(*KEPT, f"{missed} missed, p99 late ≤ {late or 'over 1,000'} ms", "–", HOLDS if not missed and late else MISSES,
                f"{asked:,} tries; the latest ever began {number(last['late']['maxUs'] / 1000)} ms late"),
    ]
