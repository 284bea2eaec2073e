# SPDX-License-Identifier: Apache-2.0
"""A thousand endpoints flap: pods of a Service become ready and not ready all the time. The hub and the agents keep up,
changes that come together go to the kernel together, callers of other Services notice nothing, memory has a bound, and
when it is quiet nothing old is left. A part of badluck_wide.sh. The thousand pods are objects only, bound to a node that
does not run; a condition that gates their readiness is what flips."""
import random
import re

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import agent, readback, resident

PODS, AT_ONCE, SECONDS = 1000, 20, float(os.environ.get("WEFT_FLAP_SECONDS", "10"))


class Line:
    """One connection to the hub that is kept: so many writes need it."""

    def __init__(self):
        self.hub = Hub("hub")

    def write(self, method, path, body, kind="application/merge-patch+json"):
        self.hub.request(method, path, json.dumps(body), {"Content-Type": kind})
        answer = self.hub.getresponse()
        answer.read()
        return answer.status


def make(line):
    line.write("POST", WHERE["Node"], {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "ghost"},
                                      "spec": {"podCIDR": "10.250.0.0/16", "podCIDRs": ["10.250.0.0/16"]}}, "application/json")
    bad = 0
    for i in range(PODS):
        bad += line.write("POST", WHERE["Pod"], {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "ghost-%d" % i, "labels": {"app": "flap"}}, "spec": {
                "nodeName": "ghost", "readinessGates": [{"conditionType": "weft.test/open"}],
                "containers": [{"name": "c", "image": "a", "ports": [{"containerPort": 80}]}]}}, "application/json") != 201
        bad += turn(line, i, True, whole=True) != 200
    return bad


def turn(line, i, ready, whole=False):
    status = {"conditions": [{"type": "weft.test/open", "status": "True" if ready else "False"}]}
    if whole:
        status["containerStatuses"] = [{"name": "c", "image": "a", "imageID": "", "ready": True, "started": True, "restartCount": 0,
                                        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]
    return line.write("PATCH", WHERE["Pod"] + "/ghost-%d/status" % i, {"status": status})


def in_slices():
    return {a for s in api("GET", WHERE["EndpointSlice"])["items"] if s["metadata"]["labels"].get("kubernetes.io/service-name") == "flap"
            for e in s["endpoints"] or [] if e["conditions"]["ready"] for a in e["addresses"] if a.startswith("10.250.")}


def planned(node):
    """Endpoints of the Service in the kernel, as `weft why` reads them: the plan's backends, held against read-back."""
    text = agent_text(node, "plan")
    return {a for a in re.findall(r"^backend .*→ (10\.250\.\d+\.\d+):", text, re.M)}


def agent_text(node, op):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect("%s/%s/agent.sock" % (RUN, node))
    s.send(json.dumps({"id": 1, "op": op}).encode())
    out = ""
    while True:
        told = json.loads(s.recv(400000))
        out += told.get("text", "")
        if not told.get("more"):
            s.close()
            return out


def flap():
    line = Line()
    service("flap", ports=((80, 80, "TCP"),), selector={"app": "flap"}, ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
    service("calm", selector={"app": "web"})
    calm = [(ip, 80) for ip in vips("calm")]
    settles("another Service is served", "near", calm, "web-1+web-2", n=30)
    same("a thousand pods are made", make(line), 0)
    ips = wait(lambda: {int(p["metadata"]["name"][6:]): p["status"]["podIP"] for p in api("GET", WHERE["Pod"])["items"]
                        if p["metadata"]["name"].startswith("ghost-")}, 20)
    same("each has an address", len(ips or {}), PODS)
    same("all of them are endpoints", wait(lambda: len(in_slices()) == PODS, 20), True)
    ok("and in force on node-1", wait(lambda: len(planned("node-1")) == PODS and readback("node-1") == "", 60),
       lambda: (len(planned("node-1")), readback("node-1")[:1000], agent("node-1", "status")))
    began, memory = agent("node-1", "status"), resident("node-1", "weft-planner")
    stream = Talk("near", "stream", calm[0][0], "80")
    wait(lambda: stream.lines)
    load = Talk("near", "datagrams", vips("calm")[0], "53")
    state, turns = [True] * PODS, []
    end = time.monotonic() + SECONDS

    def turn_some(first):
        mine, chance = Line(), random.Random(first)
        turned = bad = 0
        while time.monotonic() < end:
            i = chance.randrange(first, PODS, AT_ONCE)
            state[i] = not state[i]
            bad += turn(mine, i, state[i]) != 200
            turned += 1
        turns.append((turned, bad))

    threads = [threading.Thread(target=turn_some, args=(first,)) for first in range(AT_ONCE)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    turned, bad = sum(t[0] for t in turns), sum(t[1] for t in turns)
    asked, answered = [int(w.split("=")[1]) for w in load.hush()[-1]]
    told = stream.hush()
    same("each turn is taken", bad, 0)
    ok("%d turns in %.0f s" % (turned, SECONDS), len(turns) == AT_ONCE and turned > 100, turns)
    ok("callers of another Service: an open connection is whole (%s)" % told[-1], ["broken"] not in told, told)
    ok("and datagrams are answered: %d of %d" % (answered, asked), asked > 50 and answered >= asked - 2)
    want = {ips[i] for i in range(PODS) if state[i]}
    same("in quiet the slices say what is", wait(lambda: in_slices() == want, 10), True)
    same("and the plan of node-1 holds these endpoints and no other", wait(lambda: planned("node-1") == want, 10), True)
    same("nothing old is in its kernel", wait(lambda: readback("node-1") == "", 10), True)
    same("nor in that of node-2", wait(lambda: planned("node-2") == want and readback("node-2") == "", 10), True)
    now, grown = agent("node-1", "status"), resident("node-1", "weft-planner") - memory
    events, commits = now["events"] - began["events"], now["commits"] - began["commits"]
    ok("changes that come together go together: %d turns, %d changes of objects, %d commits" % (turned, events, commits),
       0 < commits < turned, (turned, events, commits))
    ok("the agent keeps up: no alarm, in force", now["alarm"] == "" and now["enforcing"], now)
    ok("its memory has a bound: %d KiB more than before" % grown, grown < 32768, grown)
    took = {k: now["programming"][k] for k in ("count", "p50Us", "p99Us", "maxUs")}
    ok("PR31 what a change took to be in force is told as a distribution: %s" % took, 0 < took["p50Us"] <= took["p99Us"] <= took["maxUs"], took)
    for i in range(PODS):
        state[i] = False
        turn(line, i, False)
    same("all of them out: refused", wait(lambda: word(calls("near", (vips("flap")[0], 80), wait=0.3)) == "refused", 20), True)
    same("and none is left in the plan", wait(lambda: not planned("node-1") and readback("node-1") == "", 10), True)
    for i in range(PODS):
        line.write("DELETE", WHERE["Pod"] + "/ghost-%d" % i, {"gracePeriodSeconds": 0}, "application/json")
    delete("Service", "flap")
    delete("Service", "calm")
    delete("Node", "ghost")


play(flap)
