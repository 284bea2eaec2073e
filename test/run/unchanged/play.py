# SPDX-License-Identifier: Apache-2.0
"""Called by unchanged.sh: WEFT NAME CHECKS-SO-FAR FOLDER plain|cluster. Numbered packets go past taps while the objects are
written anew, renamed and in another order, again and again; each tool must have each number once."""
import collections
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pod_calls import finish, folder, make_socket, name, ok, wait_for, weft, weft_run  # noqa: E402

STEPS = 16
WIRED, LEFT = 4000, 5000  # ports of what a map takes, and of the rest
tag = 0x77656674


def objects(step, source):
    """The same meaning each time: other names, another order, a filter in other words, in the map or by reference."""
    dice = random.Random(step)
    n = str(step)
    text = dice.choice(["udp && dst.port == 4000", "dst.port == 4000 && udp", "udp && !(dst.port != 4000)"])
    a = {"from": [source], "to": [{"tool": "wire" + n}, {"tool": "cut" + n}]}
    dice.shuffle(a["to"])
    out = [("Tool", "wire", {"interface": {"name": "tool0"}}),
           ("Tool", "cut", {"file": {"path": "cut.pcapng"}, "ports": [{"name": "default", "chain": {"slice": {"bytes": 60}}}]}),
           ("Tool", "left", {"file": {"path": "left.pcapng"}}),
           ("TrafficMap", "b", {"from": [source], "filter": "udp && dst.port == 5000", "rest": True, "to": [{"tool": "left" + n}]})]
    if dice.random() < 0.5:
        out.append(("TrafficFilter", "f", {"filter": text}))
        a["filterRefs"] = ["f" + n]
    else:
        a["filter"] = text
    out.append(("TrafficMap", "a", a))
    dice.shuffle(out)
    return [{"apiVersion": "weft.network/v1alpha1", "kind": k, "metadata": {"name": what + n}, "spec": spec} for k, what, spec in out]


def written(path, all):
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write("---\n".join(json.dumps(o) + "\n" for o in all))
    os.rename(path + ".new", path)


class Sender(threading.Thread):
    """A packet each half millisecond, to each of the two ports in turn."""

    def __init__(self, send):
        super().__init__(daemon=True)
        self.send, self.sent, self.over = send, 0, False

    def run(self):
        while not self.over:
            self.send(WIRED if self.sent % 2 == 0 else LEFT, struct.pack("!II", tag, self.sent) + bytes(32))
            self.sent += 1
            time.sleep(0.0005)


class Ear:
    def __init__(self, link, space=None):
        self.path = f"{folder}/{link}.pcap"
        self.p = subprocess.Popen((["ip", "netns", "exec", space] if space else []) +
                                  ["tcpdump", "-i", link, "-Q", "in", "-B", "32768", "-U", "-w", self.path, "--immediate-mode", "udp"],
                                  stderr=subprocess.PIPE, text=True)
        self.p.stderr.readline()

    def end(self):
        self.p.send_signal(signal.SIGINT)
        self.p.communicate(timeout=20)


def numbers(paths):
    """How often each number stands in the files."""
    got = collections.Counter()
    for path in paths:
        data = subprocess.run(["tcpdump", "-nr", path, "-w", "-", "udp"], capture_output=True).stdout
        at = 24
        while at + 16 <= len(data):
            n = struct.unpack("<I", data[at + 8:at + 12])[0]
            body = data[at + 16:at + 16 + n]
            where = body.find(struct.pack("!I", tag))
            if where > 0:
                got[struct.unpack("!I", body[where + 4:where + 8])[0]] += 1
            at += 16 + n
    return got


def files(where, stem):
    return [f"{where}/{f}" for f in sorted(os.listdir(where)) if f.startswith(stem) and f.endswith(".pcapng")]


def judge(place, sent, heard, where, epochs):
    ok(f"{place}: {epochs} states were in force one after the other, under {sent} packets", epochs >= STEPS)
    for what, paths, first in (("an interface, by the kernel alone", [heard], 0), ("a chain and a file", files(where, "cut"), 0),
                               ("the rest, a file", files(where, "left"), 1)):
        want, got = set(range(first, sent, 2)), numbers(paths)
        lost, twice = sorted(want - set(got)), [n for n in got if got[n] != 1]
        ok(f"BR11 {place}: {what}: renamed and in another order, none of {len(want)} packets is lost, none comes twice",
           not lost and not twice and not set(got) - want, f"lost {len(lost)}: {lost[:9]}; twice {twice[:9]}; others {sorted(set(got) - want)[:9]}")


def plain():
    source, maps, out = {"interface": {"name": "src0"}}, folder + "/maps.yaml", folder + "/out"
    os.mkdir(out)
    os.chmod(out, 0o777)
    ear = Ear("end0")
    written(maps, objects(0, source))
    said = open(folder + "/said", "w+", encoding="utf-8")
    broker = subprocess.Popen([weft, "broker", maps, "--out", out], stdout=said, stderr=said)

    def epoch():
        with open(said.name, encoding="utf-8") as f:
            return max([int(w.split()[0]) for w in f.read().split("epoch ")[1:] if "is in force" in w] or [0])

    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("gen0", 0))
    macs = bytes.fromhex("020000000002020000000001")

    def send(port, body):
        udp = struct.pack("!HHHH", 99, port, 8 + len(body), 0) + body
        wire.send(macs + b"\x08\x00" + struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + udp)
    if not wait_for(epoch):
        ok("between interfaces: the broker starts", False, open(said.name, encoding="utf-8").read())
    sender = Sender(send)
    sender.start()
    for step in range(1, STEPS + 1):
        before = epoch()
        written(maps, objects(step, source))
        wait_for(lambda: epoch() > before, 10)
        time.sleep(0.1)
    before, same = epoch(), objects(STEPS, source)
    written(maps, same[::-1])
    time.sleep(0.6)
    ok("between interfaces: the same names in another order are no new state", epoch() == before and before == STEPS + 1, (epoch(), before))
    sender.over = True
    sender.join()
    broker.send_signal(signal.SIGINT)
    status = broker.wait(60)
    time.sleep(0.2)
    ear.end()
    text = open(said.name, encoding="utf-8").read()
    ok("between interfaces: the sums match at the end", status == 0 and "all sums match" in text, text)
    judge("between interfaces", sender.sent, ear.path, out, before)


def cluster():
    # The receiver hears at its own port; whoever answers is told nothing.
    source = {"pods": {"podSelector": {"matchLabels": {"app": "near"}}}}
    maps, run = folder + "/all/maps.yaml", f"/run/weft/{name}/node-1"

    def epoch():
        p = subprocess.run(["curl", "-s", "--max-time", "5", "--unix-socket", run + "/copier.sock", "http://x/account"], capture_output=True)
        return json.loads(p.stdout)["epoch"] if p.stdout else 0
    near = json.loads(weft_run("get", "pod", "near", "-o", "json").stdout)["status"]["podIP"]
    there = []
    for port in (WIRED, LEFT):
        s = make_socket("near", socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((near, port))
        there.append(s)
    here = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
    node = f"weft-{name}-node-1"
    for words in ("link add tool0 type veth peer name end0", "link set tool0 up", "link set end0 up"):
        subprocess.run(["ip", "-n", node] + words.split(), check=True)
    ear = Ear("end0", node)
    written(maps, objects(0, source))
    wait_for(epoch)

    def copied():
        here.sendto(b"whether it is in force", (near, LEFT))
        return os.path.exists(run + "/files/left.pcapng") and os.path.getsize(run + "/files/left.pcapng") > 1000 and numbers_of("whether")
    seen = []

    def numbers_of(word):
        with open(run + "/files/left.pcapng", "rb") as f:
            seen.append(f.read().count(word.encode()))
        return seen[-1]
    ok("in a cluster: the maps are in force", wait_for(copied))
    sender = Sender(lambda port, body: here.sendto(body, (near, port)))
    sender.start()
    epochs = 1
    for step in range(1, STEPS + 1):
        before = epoch()
        written(maps, objects(step, source))
        epochs += bool(wait_for(lambda: epoch() > before, 10))
        time.sleep(0.1)
    sender.over = True
    sender.join()
    time.sleep(1)

    def sums():
        p = weft_run("account", "-o", "json")
        return p.returncode == 0 and all(s["says"] == "exact" for x in json.loads(p.stdout) for s in x["sums"] if s["sum"].startswith("tool "))
    ok("in a cluster: the sums match at the end", wait_for(sums), weft_run("account", "-o", "wide").stdout)
    ear.end()
    judge("in a cluster", sender.sent, ear.path, run + "/files", epochs)


{"plain": plain, "cluster": cluster}[sys.argv[5]]()
finish()
