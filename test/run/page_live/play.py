# SPDX-License-Identifier: Apache-2.0
"""The checks of test/run/page_live.sh, from the moment that the cluster is there."""
import json
import os
import signal
import socket
import threading
import time

from page_calls import Browser
from pod_calls import finish, folder, make_socket, name, ok, programs, wait_for, weft_run

TCP, UDP = (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)


def address(pod):
    return weft_run("get", "pod", pod, "-o", "jsonpath={.status.podIP}").stdout.strip()


class Echo(threading.Thread):
    """Answers each datagram that comes to a pod's port."""

    def __init__(self, pod, port):
        super().__init__(daemon=True)
        self.s = make_socket(pod, *UDP)
        self.s.bind(("", port))
        self.start()

    def run(self):
        while True:
            try:
                data, who = self.s.recvfrom(65536)
                self.s.sendto(data[:100], who)
            except OSError:
                return


def resident(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty", "Private_Clean")))


def hub_pid():
    return programs()["weft-hub", ""]


def pair(replicas):
    """A Deployment of so many pods, in a file of its own."""
    with open(folder + "/pair", "w", encoding="ascii") as f:
        json.dump({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "pair"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "pair"}}, "template": {
                "metadata": {"labels": {"app": "pair"}},
                "spec": {"containers": [{"name": "c", "image": "web", "ports": [{"containerPort": 8080}]}]}}}}, f)
    os.rename(folder + "/pair", folder + "/m/pair.yaml")


def pairs(s):
    return len([p for p in s.objects["pods"] if p.startswith("default/pair-")])


near, far, closed = address("near"), address("far"), address("closed")
browser = Browser(name)
KINDS = "pods,services,namespaces,networkpolicies,secrets"


def objects_come():
    s = browser.stream("kinds=%s&graph=1&broker=1" % KINDS)
    ok("all of each kind comes first", s.until(lambda s: s.synced) and s.kinds and sorted(s.kinds) == sorted(KINDS.split(",")),
       (s.kinds, s.trouble))
    ok("... with the pods that there are",
       {"default/caller", "default/near", "default/far", "default/closed"} <= set(s.objects["pods"]), sorted(s.objects["pods"]))
    pod = json.loads(weft_run("get", "pod", "near", "-o", "json").stdout)
    told = s.objects["pods"]["default/near"]
    pod["metadata"].pop("managedFields", None)
    ok("... as the API gives them, without managedFields", told["spec"] == pod["spec"] and told["metadata"] == pod["metadata"],
       (told["metadata"], pod["metadata"]))
    ok("... and never what a Secret holds", "do-not-tell" not in json.dumps(s.objects["secrets"]) and "default/key" in
       s.objects["secrets"], s.objects["secrets"])
    ok("an empty map names its reason (BR94)", s.until(lambda s: s.state and s.state["empty"] == "no-traffic", 20),
       (s.state, list(s.edges.values())[:5]))
    ok("... and each node's age is told", s.until(lambda s: s.state and len(s.state["nodes"]) == 2 and all(
        n["age"] is not None and n["age"] < 3 for n in s.state["nodes"]), 10), s.state)
    return s


def changes_come(s):
    pair(3)
    begun = time.monotonic()
    three = s.until(lambda s: pairs(s) == 3)
    ok("a change of objects comes at once", three and time.monotonic() - begun < 2, time.monotonic() - begun)
    pair(2)
    ok("... and one that goes", s.until(lambda s: pairs(s) == 2, 40),
       sorted(s.objects["pods"]))


def packets_come(s):
    late = []
    for i in range(12):
        other, ip = (("near", near), ("far", far))[i % 2]
        port = 9000 + i
        c = make_socket("caller", *UDP)
        time.sleep(0.13 * (i % 5))  # at any moment of the second
        begun = time.monotonic()
        c.sendto(b"x" * 100, (ip, port))
        got = s.until(lambda s: [e for e in s.between("/Pod/caller", "/Pod/" + other, port) if e["packets"][0] > 0], 5)
        late.append(time.monotonic() - begun if got else 99)
        c.close()
    ok("a packet is on the stream within a second", max(late) < 1, ["%.2f" % x for x in late])
    print("# seconds until a packet is told: %s" % " ".join("%.2f" % x for x in sorted(late)), flush=True)


def rates_are_true(s):
    echo = Echo("far", 7777)
    c = make_socket("caller", *UDP)
    stop = time.monotonic() + 9
    seen = []
    while time.monotonic() < stop:
        c.sendto(b"y" * 972, (far, 7777))  # 1,000 bytes of IP
        time.sleep(0.02)
        if time.monotonic() > stop - 2.5:
            with s.lock:
                seen += [(e["packets"], e["bytes"], s.frames[-1][3]) for e in s.between("caller", "far", 7777)]
    with s.lock:
        sent = 9 / 0.02
    packets = sorted(p[0] for p, _, _ in seen)
    middle = packets[len(packets) // 2] if packets else 0
    # how many really went a second: what the sender's clock allowed
    edge = s.until(lambda s: s.between("caller", "far", 7777))
    broker = s.broker or {}
    truth = json.loads(weft_run("flows", "dst.port == 7777", "-o", "json").stdout.splitlines()[0])
    true_rate = truth["packets"]["there"] / 9
    ok("the rate is what was sent (%.1f of %.1f a second, at most %d)" % (middle, true_rate, sent),
       abs(middle - true_rate) < 0.12 * true_rate, packets)
    ok("... with its bytes, each way", edge and all(abs(b[0] - 1000 * p[0]) < 30 * p[0] + 100 and abs(b[1] - 128 * p[1]) < 30 * p[1] +
                                                   100 and abs(p[1] - p[0]) < 0.1 * p[0] + 1 for p, b, _ in seen), seen[-3:])
    tool = [t for t in broker.get("tools", []) if t["tool"] == "disk" and t["node"] == "node-2"]
    print("# broker: %s" % json.dumps(broker)[:900], flush=True)
    ok("a tool gets them at the same rate, and its capacity is known", tool and abs(tool[0]["sent"] - true_rate) < 0.3 * true_rate and
       tool[0]["capacity"] == 10000000 and tool[0]["taking"], broker)
    ok("... its map has them, and its account adds up", [m for m in broker["maps"] if m["name"] == "taken" and m["packets"] > 0] and
       broker["sums"] and all(x["says"] == "exact" for x in broker["sums"]), broker)
    c.close()
    ok("... and falls to nothing when that ends", s.until(lambda s: all(e["packets"] == [0, 0] for e in s.between(
        "caller", "far", 7777)), 9), s.between("caller", "far", 7777))
    echo.s.close()


def connections_come(s):
    begun = time.monotonic()
    c = make_socket("caller", *TCP)
    c.connect((far, 8080))
    edge = s.until(lambda s: [e for e in s.between("caller", "far", 8080) if e["open"] == 1], 5)
    ok("a connection is open on its edge", edge and time.monotonic() - begun < 2, s.between("caller", "far", 8080))
    ok("... with the time of its handshake, and its Service", edge and edge[0]["latencyMs"] and 0 < edge[0]["latencyMs"][0] < 1000 and
       edge[0]["service"] == "default/far", edge)
    c.close()
    ok("... and is not, when it is closed", s.until(lambda s: all(e["open"] == 0 for e in s.between("caller", "far", 8080)), 10),
       s.between("caller", "far", 8080))
    r = make_socket("caller", *TCP)
    r.setblocking(False)
    r.connect_ex((closed, 8080))
    drop = s.until(lambda s: [e for e in s.between("caller", "closed") if e["drops"].get("policy-ingress")], 5)
    ok("what a policy refuses is told by its reason", drop, s.between("caller", "closed"))
    r.close()
    ok("the map is empty no more", s.until(lambda s: s.state["empty"] is None, 6), s.state)


def readers_agree(s):
    def same():
        two = browser.stream("kinds=pods&graph=1")
        two.until(lambda t: t.synced and t.frames)
        with s.lock, two.lock:
            result = s.edges.keys() == two.edges.keys() and all(
                s.edges[i]["last"] == two.edges[i]["last"] and s.edges[i]["open"] == two.edges[i]["open"] for i in s.edges)
            ends = {e[k] for e in s.edges.values() for k in ("from", "to")}
            result = result and all(s.ends[i] == two.ends[i] for i in ends)
        two.close()
        return result
    ok("a second reader has from one frame what the first has from all", wait_for(same, 20), None)


def slow_readers_cost_nothing(s):
    pid = hub_pid()
    slow = [browser.stream("kinds=%s&graph=1&broker=1" % KINDS, buffer=4096) for _ in range(5)]
    for t in slow:
        t.until(lambda t: t.synced)
        t.hold()
    before = resident(pid)
    for i in range(1500):
        # new edges and changing ones
        for port in (20000 + i % 250, 30000 + i % 50):
            c = make_socket("caller", *UDP)
            c.sendto(b"z", (near, port))
            c.close()
        time.sleep(0.005)
    pair(4)
    s.until(lambda s: pairs(s) == 4)
    after = resident(pid)
    ok("readers that do not read cost no memory (%d KiB more)" % (after - before), after - before < 12 << 10, (before, after))
    for t in slow:
        t.go_on()
    ok("... and go on with the newest, without a change of an object lost",
       all(t.until(lambda t: pairs(t) == 4, 20) for t in slow), [pairs(t) for t in slow])
    ok("... and with the same edges", all(t.until(lambda t: t.edges.keys() == s.edges.keys(), 20) for t in slow),
       [(len(t.edges), len(s.edges)) for t in slow])
    ok("... in fewer frames", all(len(t.frames) < len(s.frames) for t in slow), None)
    for t in slow:
        t.close()


def refused():
    ok("a kind that is none is refused with its name", browser.ask("GET", "/page/live?kinds=pods,podlings")[0] == 400 and
       b"podlings" in browser.ask("GET", "/page/live?kinds=pods,podlings")[2], None)
    ok("nobody reads without a session", browser.ask("GET", "/page/live?kinds=pods", cookie=False)[0] == 401, None)
    many = [browser.stream("kinds=namespaces") for _ in range(20)]
    for t in many:
        t.until(lambda t: t.synced, 5)
    ok("streams of one user have a bound, and are told it", any(t.status == 503 and b"streams" in t.trouble for t in many),
       [t.status for t in many])
    for t in many:
        t.close()
    ok("... and make room when they end", wait_for(lambda: opens_again(), 10), None)
    # as a page that is loaded again and again: each stream ends before the next one begins
    again = []
    for _ in range(40):
        t = browser.stream("kinds=namespaces")
        t.until(lambda t: t.synced or t.trouble, 5)
        again.append(t.status)
        t.close()
    ok("... at once: whoever left takes nobody's place", again == [200] * 40, again)


def opens_again():
    t = browser.stream("kinds=namespaces")
    good = t.until(lambda t: t.synced, 5)
    t.close()
    return good


def hub_comes_back(s):
    global browser
    c = make_socket("caller", *TCP)
    c.connect((far, 8080))
    s.until(lambda s: [e for e in s.between("caller", "far", 8080) if e["open"]], 5)
    os.kill(hub_pid(), signal.SIGKILL)
    ok("a killed hub ends the stream", s.until(lambda s: s.over, 10), None)

    def again():
        try:
            return Browser(name)
        except (OSError, AssertionError):
            return None
    browser = wait_for(again, 20)
    ok("the next hub lets in again", browser, None)
    t = browser.stream("kinds=%s&graph=1" % KINDS)
    ok("... and has the objects, and the connection that stayed open",
       t.until(lambda t: "default/caller" in t.objects.get("pods", {}) and [e for e in t.between("caller", "far", 8080) if e["open"]], 20),
       t.between("caller", "far"))
    c.close()
    t.close()


stream = objects_come()
packets_come(stream)
changes_come(stream)
rates_are_true(stream)
connections_come(stream)
readers_agree(stream)
slow_readers_cost_nothing(stream)
refused()
hub_comes_back(stream)
finish()
