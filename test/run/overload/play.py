# SPDX-License-Identifier: Apache-2.0
# Called by overload.sh: WEFT NAME CHECKS-SO-FAR FOLDER.
import glob
import json
import os
import signal
import socket
import subprocess
import threading
import time

from generate import GENERATOR, counted, end, hub, ips, run, server
from pod_calls import finish, folder, make_socket, name, ok, programs, wait_for, weft, weft_run

FLOOD = "100.64.0.0/10"  # the sources of bench-load syn
OPEN = 10  # connections to each target that are open all the time


def say(text):
    print("# " + text, flush=True)


def accounts():
    """{node: {counter: number}} once traffic stands still and all sums match, else None."""
    p = weft_run("account", "-o", "json")
    nodes = json.loads(p.stdout) if p.returncode == 0 and p.stdout else []
    if len(nodes) < 2 or any(s["says"] != "exact" for x in nodes for s in x["sums"]):
        return None
    return {x["node"]: {t["name"]: t["low"] for s in x["sums"] for t in s["terms"]} for x in nodes}


def settled():
    found = wait_for(accounts, 60)
    ok("BR18 all sums match to the packet", bool(found), weft_run("account").stdout)
    assert found
    return found


def dropped(node):
    """Packets that a node's programs dropped, by reason; what its kernel's stack throws away was let through by them."""
    out = {}
    for d in json.loads(weft_run("drops", "-o", "json").stdout or "[]"):
        if d.get("node") == node and not d["reason"].startswith("kernel:"):
            out[d["reason"]] = out.get(d["reason"], 0) + d["packets"]
    return out


def told(node):
    """What the hub knows of a node's reports."""
    return next(n for n in hub("flows", {"limit": 1})["nodes"] if n["name"] == node)


def flows(text, *more):
    p = weft_run("flows", "-o", "json", "--limit", "100000", *more, text)
    return [json.loads(line) for line in p.stdout.splitlines()]


def begun(text):
    out = weft_run("history", "-o", "json", "--by", "none", "--since", "1d", text).stdout
    return sum(r.get("begun", 0) for r in json.loads(out)["rows"]) if out else -1


def away_from(netns, *words):
    words = ["nsenter", "--net=/run/netns/weft-%s-%s" % (name, netns), "--", GENERATOR, *map(str, words)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


# --- connections that are open all the time -----------------------------------------------------------------
class Talk:
    """Open connections from caller-1; each round moves 100 bytes there and back on each of them."""

    def __init__(self):
        self.pairs, self.rounds = [], 0
        for target in ("target-1", "target-2"):
            listener = make_socket(target, socket.AF_INET, socket.SOCK_STREAM)
            listener.bind((ips(target)[0], 7500))
            listener.listen()
            for _ in range(OPEN):
                c = make_socket("caller-1", socket.AF_INET, socket.SOCK_STREAM)
                c.connect(listener.getsockname())
                s = listener.accept()[0]
                for x in (c, s):
                    x.settimeout(5)
                self.pairs.append((c, s))

    def round(self):
        for c, s in self.pairs:
            for a, b in ((c, s), (s, c)):
                a.sendall(b"x" * 100)
                got = 0
                while got < 100:
                    got += len(b.recv(100))
        self.rounds += 1

    def during(self, process):
        """Rounds until the process has ended; what it counted."""
        result = []
        thread = threading.Thread(target=lambda: result.append(counted(process)))
        thread.start()
        while thread.is_alive():
            self.round()
        thread.join()
        return result[0]

    def records(self):
        found = flows("tcp && dst.port == 7500", "--open")
        return len(found) == 2 * OPEN and all(f["state"] == "open" and f["bytes"]["there"] > 100 * self.rounds for f in found)


# --- SYNs from random sources --------------------------------------------------------------------------------
def flood(what, where, address, port, count, rate, talk):
    before = settled()
    fell = dropped("node-1")
    sent = talk.during(away_from(where, "syn", address, port, rate, count))["sent"]
    ok("%s: %d SYNs went out, and open connections went on meanwhile" % (what, sent), sent == count and talk.rounds > 0)
    after = settled()
    now = dropped("node-1")
    more = {k: after["node-1"][k] - before["node-1"][k] for k in after["node-1"]}
    fallen = {k: n - fell.get(k, 0) for k, n in now.items() if n != fell.get(k, 0)}
    # the cluster's own callers go on meanwhile, and are answered
    say("%s: %d new, %d answered, %d removed, %d live, %d made room, dropped: %s" % (
        what, more["HALF_INSERTED"], more["CONN_INSERTED"], more["HALF_REMOVED"], after["node-1"]["LIVE_UNANSWERED"],
        more["EVICTED"], fallen or "none"))
    ok("%s: each SYN is a new entry or a drop by name: %d" % (what, sent),
       more["HALF_INSERTED"] - more["CONN_INSERTED"] + sum(fallen.values()) == sent, (more, fallen))
    ok("BR19 %s: made room = sent - dropped - live - aged" % what,
       more["EVICTED"] == sent - sum(fallen.values()) - more["LIVE_UNANSWERED"] - more["HALF_REMOVED"] and more["EVICTED"] > count // 4, more)
    wrong = flows("record == flow && ip == %s && (state != unanswered || src.kind == pod)" % FLOOD, "--every-node")
    ok("BR24 %s: none of them is told as answered, nor its answer as a connection" % what, not wrong, wrong[:3])
    ok("BR22 %s: no end and no event was lost, and nothing at the other node" % what,
       not more["ENDED_LOST"] and after["node-2"]["EVICTED"] == before["node-2"]["EVICTED"], (more, after["node-2"]))
    ok("%s: the hub tells as many that made room" % what,
       wait_for(lambda: told("node-1")["evicted"] == after["node-1"]["EVICTED"]), (told("node-1"), after["node-1"]["EVICTED"]))
    text = weft_run("flows", "--limit", "1").stderr
    ok("%s: and weft flows says it" % what, "%d unanswered connections of node-1 made room" % after["node-1"]["EVICTED"] in text, text)
    ok("%s: open connections keep their records" % what, wait_for(talk.records), flows("dst.port == 7500", "--open"))


# --- readers that stand still --------------------------------------------------------------------------------
def follow(path, text):
    with open(path, "w", encoding="ascii") as out:
        return subprocess.Popen([weft, "flows", "-f", "-o", "json", "--limit", "100000", "--name", name, text], stdout=out, stderr=subprocess.DEVNULL)


def ids(path):
    with open(path, encoding="utf-8") as f:
        return {json.loads(line)["id"] for line in f if line.endswith("\n")}


def calls(pod, target, port, count, rate):
    """So many TCP flows; how many began, once all have ended."""
    global called
    out = counted(run(pod, "calls", rate, count, "tcp,%s,%d,1" % (ips(target)[0], port)))
    called += count
    ok("%d calls from %s to %s" % (count, pod, target), out["targets"][0]["done"] == out["targets"][0]["begun"] == count, out)
    return count


def follower():
    mine = "record == flow && tcp && dst.port == 7001"
    still, other = follow(folder + "/still", mine), follow(folder + "/other", mine)
    serves = server("target-1", 7001)
    try:
        calls("caller-1", "target-1", 7001, 10, 100)
        wait_for(lambda: ids(folder + "/still") and ids(folder + "/other"))
        still.send_signal(signal.SIGSTOP)
        n = len(ids(folder + "/still"))
        had = begun(mine)
        made = calls("caller-1", "target-1", 7001, 3000, 3000)
        ok("another follower sees all of them", wait_for(lambda: len(ids(folder + "/other")) == had + made), len(ids(folder + "/other")))
        ok("one that stands still costs the hub nothing that counts", begun(mine) == had + made and not told("node-1")["lost"], told("node-1"))
        ok("and has seen none of them", len(ids(folder + "/still")) == n)
        still.send_signal(signal.SIGCONT)
        ok("it goes on and sees all of them, too", wait_for(lambda: len(ids(folder + "/still")) == had + made), len(ids(folder + "/still")))
    finally:
        for p in (still, other):
            p.kill()
            p.wait()
        end(serves)


def stands_still(key, what, port, pods, count, lost_of):
    """A program stands still while flows of `pods` end; then each of them is a record or a loss by name and number."""
    serves = [server(target, port) for _, target in pods]
    pid = programs()[key]
    # ends come by age: those of earlier calls must not be among what is lost now
    wait_for(lambda: ended_of() - ended_first >= called, 60)
    before = lost_of()
    os.kill(pid, signal.SIGSTOP)
    try:
        made = {pod: calls(pod, target, port, n, 8000) for (pod, target), n in zip(pods, count)}
        # ended by age: the kernel has told them, or found no room
        ended = sum(made.values())
        wait_for(lambda: ended_of() - before["ended"] >= ended, 60)
    finally:
        os.kill(pid, signal.SIGCONT)
    for s in serves:
        end(s)
    text = "record == flow && tcp && dst.port == %d" % port

    total = sum(made.values())

    def adds_up():
        lost = lost_of()["lost"] - before["lost"]
        # Drops, DNS questions and ends of others (the cluster's own callers) may be among what was lost: no more than
        # their kernels told. A few of the lost ends are of flows that an earlier record had told as open.
        others = sum(node["EVENTS_TOLD"] + node["ASKED_TOLD"] for node in settled().values())
        others += max(0, ended_of() - before["ended"] - total) + total // 100
        return lost and begun(text) <= total <= begun(text) + lost <= total + others
    ok("BR24 %s: flows = records + lost by name: %d" % (what, total), wait_for(adds_up, 60), (begun(text), before, lost_of(), made))
    now = lost_of()
    say("%s: %d flows, %d records, %d lost by name" % (what, total, begun(text), now["lost"] - before["lost"]))
    return before, now, made


def ended_of():
    """How many ends the kernels of both nodes told or lost, straight from their BPF maps."""
    return sum(map(ended_at, ("node-1", "node-2")))


def ended_at(node):
    pin = glob.glob("/run/weft/%s/bpf/%s/*/counter" % (name, node))[0]
    rows = json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned", pin], capture_output=True, text=True, check=True).stdout)

    def value(row):
        return sum(int.from_bytes(bytes(int(x, 16) for x in cpu["value"]), "little") for cpu in row["values"])
    by_key = {int.from_bytes(bytes(int(x, 16) for x in row["key"]), "little"): row for row in rows}
    return value(by_key[ENDED_TOLD]) + value(by_key[ENDED_LOST])


def counter(wanted):
    with open("tables/counters.def", encoding="ascii") as f:
        names = [line.split("(")[1].split(",")[0] for line in f if line.startswith("COUNTER(")]
    return names.index(wanted)


ENDED_TOLD, ENDED_LOST = counter("ENDED_TOLD"), counter("ENDED_LOST")


def observer_stands_still():
    def lost_of():
        return {"lost": told("node-2")["lost"], "other": told("node-1")["lost"] + told("node-1")["missing"], "ended": ended_of()}
    before, now, _ = stands_still(("weft-observer", "node-2"), "an observer that stands still", 7002,
                                  (("caller-2", "target-2"), ("caller-1", "target-1")), (66000, 2000), lost_of)
    after = settled()
    ok("BR19 they are those that found no room in the ring", now["lost"] - before["lost"] == after["node-2"]["ENDED_LOST"] > 0,
       (before, now, after["node-2"]))
    ok("the other node lost none", now["other"] == before["other"], (before, now))
    text = weft_run("flows", "--limit", "1").stderr
    ok("and weft flows says how many", "%d ends of connections or drops of node-2 were lost" % now["lost"] in text, text)


def hub_stands_still():
    def lost_of():
        x = {n: told(n) for n in ("node-1", "node-2")}
        return {"lost": x["node-1"]["lost"] + x["node-1"]["missing"], "other": x["node-2"]["lost"] + x["node-2"]["missing"], "ended": ended_of()}
    before, now, _ = stands_still(("weft-hub", ""), "a hub that stands still", 7003,
                                  (("caller-1", "target-1"), ("caller-2", "target-2")), (90000, 2000), lost_of)
    ok("the other node lost none", now["other"] == before["other"], (before, now))
    settled()


# --- names -----------------------------------------------------------------------------------------------------
def many_names(count=10000):
    """One datagram to each of 10,000 pods of a node that is not there: as many records, each with its pod's name."""
    docs = ["apiVersion: v1\nkind: Node\nmetadata: {name: far}\nspec: {podCIDR: 10.200.0.0/16, podCIDRs: [10.200.0.0/16, \"fd57:e7f7:0:c8::/64\"]}\n"]
    docs += ["apiVersion: v1\nkind: Pod\nmetadata: {name: far-%d}\nspec: {nodeName: far, containers: [{name: c, image: a}]}\n" % i for i in range(count)]
    with open(folder + "/far.yaml.new", "w", encoding="ascii") as f:
        f.write("---\n".join(docs))
    os.rename(folder + "/far.yaml.new", folder + "/far.yaml")

    def addresses():
        out = weft_run("get", "pods", "-o", "json", "--field-selector", "spec.nodeName=far").stdout
        pods = json.loads(out)["items"] if out else []
        found = {p["metadata"]["name"]: p["status"]["podIP"] for p in pods if p.get("status", {}).get("podIP")}
        return found if len(found) == count else None
    pods = wait_for(addresses, 60)
    ok("%d pods have addresses" % count, bool(pods))
    s = make_socket("caller-1", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 7700))
    for i, address in enumerate((pods or {}).values()):
        s.sendto(b"x", (address, 7700))
        if i % 100 == 99:
            time.sleep(0.01)

    def named():
        found = {f["to"]["address"]: f["to"].get("name") for f in flows("record == flow && src.pod == caller-1 && src.port == 7700")}
        return found == {address: pod for pod, address in pods.items()}
    ok("each of %d records has its pod's name" % count, pods and wait_for(named), len(flows("src.port == 7700")))
    found = flows("record == flow && dst.pod == far-4711 && src.port == 7700")
    ok("and is found by it", pods and len(found) == 1 and found[0]["to"]["address"] == pods["far-4711"], found)


called, ended_first = 0, ended_of()
talk = Talk()
talk.round()
ok("connections are open", wait_for(talk.records))
for pod in ("target-1", "target-2"):
    ips(pod)
follower()
observer_stands_still()
hub_stands_still()
talk.round()
serves = server("target-1", 7000)
with open(folder + "/front.yaml", "w", encoding="ascii") as f:  # from here on the host outside calls its node port
    f.write("apiVersion: v1\nkind: Service\nmetadata: {name: front}\n"
            "spec: {type: NodePort, selector: {app: target-1}, ports: [{port: 7000, nodePort: 30070}]}\n")
ok("a node port is served", wait_for(lambda: flows("src.kind == outside && dst.pod == target-1 && tcp && state == closed")))
flood("a flood at a node port", "outside", "172.31.0.10", 30070, 120000, 20000, talk)
flood("a flood at a pod", "node-1", ips("target-1")[0], 7000, 120000, 20000, talk)
calls("caller-1", "target-1", 7000, 500, 500)
end(serves)
ok("connections that were open all the time keep their records", wait_for(talk.records), flows("dst.port == 7500", "--open"))
for one in (c for pair in talk.pairs for c in pair):
    one.close()
ok("and end once", wait_for(lambda: len(flows("dst.port == 7500 && state == closed")) == 2 * OPEN), flows("dst.port == 7500"))
many_names()
finish()
