# SPDX-License-Identifier: Apache-2.0
"""What breaks in soak, and the record of it. Chaos does one thing at a time by chance; Pods knows who had which address
when; each death is a record of when it began, when the instance was dead, and when each node's kernel led nobody there
any more. Times are of the monotonic clock, which all of the machine shares."""
import glob
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

from cluster import NAME, RUN, WEFT, api
from kernel import Backends

NODES = ("node-1", "node-2", "node-3")
PROGRAMS = ("weft-planner", "weft-applier", "weft-observer", "weft-agent")
APPS = ("page", "catalogue", "cart")
now = time.monotonic


class Pods(threading.Thread):
    """Follows all pods by a watch: by uid, with the time of the first and the last word of each."""

    def __init__(self):
        super().__init__(daemon=True)
        self.lock, self.known, self.version = threading.Lock(), {}, None

    def take(self, o, gone=False):
        with self.lock:
            was = self.known.setdefault(o["metadata"]["uid"], {"since": now(), "until": None, "ips": set()})
            was["object"] = o
            was["ips"] |= {i["ip"] for i in o["status"].get("podIPs", [])}
            was["until"] = now() if gone else None

    def run(self):
        while True:
            try:
                self.follow()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.05)

    def follow(self):
        listed = api("GET", "/api/v1/pods")
        there = {o["metadata"]["uid"] for o in listed["items"]}
        for o in listed["items"]:
            self.take(o)
        for uid, p in list(self.known.items()):
            if uid not in there and p["until"] is None:
                self.take(p["object"], True)
        c = http.client.HTTPConnection("hub")
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(RUN + "/hub.sock")
        c.request("GET", "/api/v1/pods?watch=1&resourceVersion=" + listed["metadata"]["resourceVersion"])
        for line in c.getresponse():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            self.take(event["object"], event["type"] == "DELETED")

    def of(self, uid):
        with self.lock:
            return self.known[uid]["object"]

    def now(self):
        with self.lock:
            return [p["object"] for p in self.known.values() if p["until"] is None]


def app(o):
    return o["metadata"].get("labels", {}).get("app") if o["metadata"]["namespace"] == "shop" else None


def ready(o):
    return not o["metadata"].get("deletionTimestamp") and any(
        c["type"] == "Ready" and c["status"] == "True" for c in o["status"].get("conditions", []))


def restarts(o):
    return sum(c.get("restartCount", 0) for c in o["status"].get("containerStatuses", []))


def ips_of(o):
    return {i["ip"] for i in o["status"].get("podIPs", [])}


class Death(threading.Thread):
    """From before the blow: when it began, when the instance was dead, when each node led nobody there any more, and when
    it was back (None: never). way: what it died of; one whose node was cut lives on where nobody reaches it."""

    def __init__(self, pods, o, way):
        super().__init__(daemon=True)
        self.pods, self.uid, self.way = pods, o["metadata"]["uid"], way
        self.name, self.node = o["metadata"]["namespace"] + "/" + o["metadata"]["name"], o["spec"]["nodeName"]
        self.before, self.is_dead = restarts(o), lambda: True
        self.begun, self.dead, self.back, self.out = now(), None, None, {}
        self.known = lambda: True  # whether it may be out: one that nobody knows to be dead may come in yet

    def ips(self):
        with self.pods.lock:
            return set(self.pods.known[self.uid]["ips"])

    def is_back(self):
        with self.pods.lock:
            p = self.pods.known[self.uid]
            return p["until"] is None and ready(p["object"]) and restarts(p["object"]) > self.before

    def mended(self):
        self.back = now()

    def run(self):
        maps, end, left = {}, self.begun + 90, set(NODES)
        while (left or self.dead is None) and now() < end:
            if self.dead is None and self.is_dead():
                self.dead = now()
            if self.back is None and self.is_back():
                self.mended()
            if self.back is not None:
                left = set()
            for node in sorted(left) if self.known() else ():
                try:
                    maps[node] = maps.get(node) or Backends(RUN, node)
                    if not self.ips() & maps[node].addresses():
                        self.out[node] = now()
                        left.remove(node)
                except OSError:
                    maps.pop(node, None)
            time.sleep(0.005 if now() < self.begun + 1 else 0.1)


class Fault:
    """A node without power or cable: since when, when it was given back, and when it was whole again."""

    def __init__(self, node, kind):
        self.node, self.kind, self.begun, self.cleared, self.over, self.deaths = node, kind, now(), None, None, {}
        self.known = None  # when the cluster knew


class Chaos:
    def __init__(self, rng, pods, seconds):
        self.turns, self.patient, self.end = None, seconds >= 300, now() + seconds
        self.rng, self.pods, self.deaths, self.faults, self.done, self.agents = rng, pods, [], [], {}, []

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def broken(self):
        return [f for f in self.faults if not f.over]

    def spare(self, without):
        """Pods of the shop that may end: another of their app serves on a node that is whole, and did for a second."""
        away = {f.node for f in self.broken()} | set(without)
        dying = {d.uid for d in self.deaths if now() < d.begun + 3}
        serving = [o for o in self.pods.now() if app(o) in APPS and ready(o) and o["spec"]["nodeName"] not in away
                   and o["metadata"]["uid"] not in dying]
        return [o for o in serving if sum(app(o) == app(other) for other in serving) > 1], serving

    def die(self, o, way, blow):
        """blow() gives back what tells whether the instance is dead."""
        death = Death(self.pods, o, way)
        self.deaths.append(death)
        death.is_dead = blow()
        death.start()

    def processes(self, o):
        label = "%s.%s" % (o["metadata"]["namespace"], o["metadata"]["name"])
        for path in glob.glob("/sys/fs/cgroup/weft.%s/*/%s/cgroup.procs" % (NAME, label)) + \
                glob.glob("/sys/fs/cgroup/unified/weft.%s/*/%s/cgroup.procs" % (NAME, label)):
            try:
                with open(path, encoding="ascii") as f:
                    return [int(p) for p in f.read().split()]
            except OSError:  # the group went meanwhile
                return []
        return []

    def kill_container(self, o):
        victims = self.processes(o)

        def blow():
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            return lambda: not set(victims) & set(self.processes(o))
        self.die(o, "kill -9 of its process", blow)

    def crash(self, o):
        victims = self.processes(o)

        def blow():
            fault("%s/%s" % (o["metadata"]["namespace"], o["metadata"]["name"]), "--crash")
            return lambda: not set(victims) & set(self.processes(o))
        self.die(o, "weft fault --crash", blow)

    def path(self, o):
        return "/api/v1/namespaces/%s/pods/%s" % (o["metadata"]["namespace"], o["metadata"]["name"])

    def force(self, o):
        def blow():
            api("DELETE", self.path(o), {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
            return lambda: not self.processes(o)
        self.die(o, "deletion without grace", blow)

    def delete(self, o):
        api("DELETE", self.path(o))

    def evict(self, o):
        api("POST", self.path(o) + "/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {
            "name": o["metadata"]["name"], "namespace": o["metadata"]["namespace"]}})

    def agent(self, program):
        """kill -9 of one program of one node's agent."""
        pids = programs(program)
        if not pids:
            return False
        node, pid = self.rng.choice(sorted(pids))
        self.agents.append((now(), program + " of " + node))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def node(self, kind, seconds):
        """One node at a time, and only where each app has a pod on another. Mends it later, on a thread of its own."""
        nodes = [n for n in NODES if all(any(app(o) == a for o in self.spare([n])[1]) for a in APPS)]
        if self.broken() or not nodes:
            return False
        f = Fault(self.rng.choice(nodes), kind)
        self.faults.append(f)
        self.lost_pods()
        fault("node/" + f.node, "--" + kind)
        threading.Timer(min(seconds, max(self.end - now(), 1)), self.mend, (f,)).start()
        return True

    def lost_pods(self):
        """Deaths of the pods of a node that is broken, also of those that are sent there while nobody knows."""
        for f in self.broken():
            f.known = f.known or f.cleared or (not node_ready(f.node) and now())
            for o in self.pods.now():
                if not f.cleared and app(o) and o["spec"].get("nodeName") == f.node and o["metadata"]["uid"] not in f.deaths:
                    d = Death(self.pods, o, "its node " + f.kind)
                    d.begun, d.dead, d.known = f.begun, now(), lambda f=f: f.known
                    f.deaths[d.uid] = d
                    self.deaths.append(d)
                    d.start()

    def mend(self, f):
        fault("node/" + f.node, "--clear")
        f.cleared = now()
        for d in f.deaths.values():
            if f.kind == "cut":
                d.mended()
        while not whole(f.node):
            time.sleep(0.05)
        f.over = now()

    def ways(self):
        """Each thing that can be done, with its weight: gives back whether it was done."""
        def pod(way):
            def do():
                pods = sorted(self.spare([])[0], key=lambda o: o["metadata"]["name"])
                if pods:
                    way(self.rng.choice(pods))
                return bool(pods)
            return do

        def node(kind):
            long = self.patient and self.rng.random() < 0.2  # until its pods are replaced
            return lambda: self.node(kind, self.rng.uniform(70, 80) if long else self.rng.uniform(2, 16))
        return [(4, "kill -9 of " + p, lambda p=p: self.agent(p)) for p in PROGRAMS] + [
            (4, "kill -9 of a container", pod(self.kill_container)), (4, "weft fault POD --crash", pod(self.crash)),
            (4, "deletion without grace", pod(self.force)), (4, "deletion", pod(self.delete)), (4, "eviction", pod(self.evict)),
            (2, "weft fault NODE --down", node("down")), (2, "weft fault NODE --cut", node("cut"))]

    def act(self):
        """Each thing once in an order by chance, then by weight; one that cannot be done now has its turn later."""
        ways = self.ways()
        if self.turns is None:
            self.turns = [name for _, name, _ in ways]
            self.rng.shuffle(self.turns)
        due = self.turns.pop(0) if self.turns else None
        weight = [1.0 * (name == due) if due else w for w, name, _ in ways]
        _, name, do = self.rng.choices(ways, weight)[0]
        if do():
            self.count(name)
        elif due:
            self.turns.insert(3, due)


def fault(*words):
    subprocess.run([WEFT, "fault", "--name", NAME, *words], check=True, stdout=subprocess.DEVNULL)


def programs(name):
    """The processes of that program that serve this cluster: (node, pid)."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]).decode() == name and NAME.encode() in words:
            node = words[words.index(b"--node") + 1].decode() if b"--node" in words else "?"
            found.append((node, int(path.split("/")[2])))
    return found


def agent(node, **question):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    try:
        s.connect("%s/%s/agent.sock" % (RUN, node))
        s.send(json.dumps(dict(question, id=1)).encode())
        text = ""
        while True:
            answer = json.loads(s.recv(1 << 17))
            text += answer.get("text", "")
            if not answer.get("more"):
                return dict(answer, text=text)
    except (OSError, ValueError):
        return {}
    finally:
        s.close()


def whole(node):
    """Ready, and its agent says that the plan is in force."""
    told = agent(node, op="status")
    if not told.get("enforcing") or not told.get("hub") or not told.get("applier") or told.get("alarm"):
        return False
    return node_ready(node)


def node_ready(node):
    o = api("GET", "/api/v1/nodes/" + node)
    return any(c["type"] == "Ready" and c["status"] == "True" for c in o["status"]["conditions"])
