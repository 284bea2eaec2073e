# SPDX-License-Identifier: Apache-2.0
"""Row: copies of packets to a tool, live. A sender floods an interface of a node; what comes there is counted and dropped
behind the taps, and each copy leaves by another interface to a tool, which counts and drops it too: all of that in the
sender's own soft interrupts. Weft beside tc mirred, nft dup, iptables TEE and tcpdump; what tapping costs the workload with
taps off, on without a match and on with one; and a tool that is dead beside one that drains."""
import json
import os
import signal
import subprocess
import tempfile
import time

from .measure import OTHER, SENDER, THREAD_TIME, running_ns
from .net import Failed, World, in_ns, inside, need, run_json, sink, sink_count, tool, veth
from .report import number, ratio_finding, spread
from .stats import median

COPIES = [("a copy to a tool, plain, over what the packet costs without", "≤ 1 × tc mirred"),
          ("the same", "≤ 1 × nft dup (ours)"),
          ("the same", "≤ 1 × iptables TEE (ours)"),
          ("the same", "≤ 1 × tc mirred to an interface that finishes checksums (ours)"),
          ("a copy to a tool, plain, of a packet whose checksums are done, as from a wire", "≤ 1 × tc mirred"),
          ("a copy to a tool, through a chain (its payload masked), all CPU time", "≤ 2 × tc mirred"),
          ("a packet to weft-copier, judged and thrown away, all CPU time", "≤ 2 × tcpdump -w /dev/null (ours)"),
          ("the workload's packet, tapped without a match", "≤ 1.25 × without taps (ours)"),
          ("the workload's packet, a dead tool", "≤ 1.1 × a tool that drains"),
          ("the workload's packet, weft-copier stopped", "≤ 1.1 × one that drains")]
WEFT = os.path.join(os.environ.get("BUILD", "build"), "src/cli/weft")
PORT = 9
WIRE = ("wire none", "wire weft", "wire mirred")  # the sender finishes checksums, as what comes from a wire has them


class Lab:
    """One way: a sender, a node with in0 and out0, a tool behind out0; `extra` pids whose CPU time counts too."""

    def __init__(self, world, name):
        self.name, self.world, self.extra = name, world, []
        tag = "cp-" + name.replace(" ", "")
        self.sender, self.node, self.tool = (world.space(f"{tag}-{x}") for x in "snt")
        veth(self.node, "in0", self.sender, "eth0")
        veth(self.node, "out0", self.tool, "eth0")
        in_ns(self.node, "ip addr add 10.205.0.1/24 dev in0")
        in_ns(self.sender, "ip addr add 10.205.0.2/24 dev eth0")
        in_ns(self.node, "ip addr add 10.206.0.1/24 dev out0")
        in_ns(self.tool, "ip addr add 10.206.0.2/24 dev eth0")
        in_ns(self.node, "ping -c 1 -W 2 10.206.0.2")
        sink(self.tool, "eth0", PORT)
        self.seen = lambda: sink_count(self.node)
        sink(self.node, "in0", PORT)

    def measure(self, ms):
        """ns of CPU a packet: of the sender with its soft interrupts, of others; packets, copies."""
        seen, copies, others = self.seen(), sink_count(self.tool), running_ns(self.extra)
        out = run_json(self.sender, [tool("bench-flood"), "10.205.0.1", str(PORT), str(SENDER), str(ms), "64"])
        if not out["sent"] or self.seen() - seen < 0.98 * out["sent"]:
            raise Failed(f"{self.name}: {self.seen() - seen} of {out['sent']} packets arrived")
        ns = out["cpu_ns"] + out["ksoftirqd_ns"] if THREAD_TIME else out["wall_ns"]
        settle(lambda: sink_count(self.tool))
        return ns / out["sent"], (running_ns(self.extra) - others) / out["sent"], (sink_count(self.tool) - copies) / out["sent"]


def settle(count):
    """Until what is on its way has come."""
    last = -1
    for _ in range(100):
        now = count()
        if now == last:
            return
        last = now
        time.sleep(0.05)


def nft(ns, text):
    in_ns(ns, ["nft", "-f", "-"], stdin=text)


def mirred(lab):
    in_ns(lab.node, "tc qdisc add dev in0 clsact")
    in_ns(lab.node, f"tc filter add dev in0 ingress protocol ip u32 match ip protocol 17 0xff match ip dport {PORT} 0xffff "
                    "action mirred egress mirror dev out0")


def finished(lab):
    """As copies of Weft leave: checksums done, segments split."""
    need("ethtool")
    mirred(lab)
    in_ns(lab.node, "ethtool -K out0 tx off tso off gso off")


def dup(lab):
    nft(lab.node, f"""
        table netdev copying {{
            chain in {{
                type filter hook ingress device "in0" priority -600
                udp dport {PORT} dup to "out0"
            }}
        }}""")


def tee(lab):
    """TEE is behind the ingress hook: there the packet is dropped in iptables, right behind it."""
    need("iptables")
    in_ns(lab.node, "nft delete table netdev bench")
    in_ns(lab.node, f"iptables -t mangle -A PREROUTING -i in0 -p udp --dport {PORT} -j TEE --gateway 10.206.0.2")
    in_ns(lab.node, f"iptables -t mangle -A PREROUTING -i in0 -p udp --dport {PORT} -j DROP")

    def seen():
        lines = in_ns(lab.node, "iptables -t mangle -L PREROUTING -v -x -n").splitlines()
        return next(int(line.split()[0]) for line in lines if " DROP " in line)
    lab.seen = seen


def tcpdump(lab):
    need("tcpdump")
    p = subprocess.Popen(inside(lab.node, ["taskset", "-c", str(OTHER), "tcpdump", "-Z", "root", "-i", "in0", "-B", "65536", "-w", "/dev/null", "udp", "port", str(PORT)]),
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lab.world.children.append(p)
    if "listening" not in p.stderr.readline():
        raise Failed("tcpdump did not start")
    lab.extra, lab.process = [p.pid], p


def share_kept(p):
    """Of a tcpdump that ends now: packets that it took, of those that came."""
    p.send_signal(signal.SIGINT)
    said = p.communicate(timeout=30)[1].splitlines()
    count = {line.split(" ", 2)[2]: int(line.split()[0]) for line in said if line[:1].isdigit()}
    return count.get("captured", 0) / max(1, count.get("received by filter", 0))


class Broker:
    """weft broker between in0 and out0; its copier is another process."""

    def __init__(self, lab, folder, match="udp", spec=None, to=None):
        self.path = os.path.join(folder, lab.name.replace(" ", "") + ".yaml")
        objects = [{"kind": "Tool", "metadata": {"name": "t"}, "spec": dict(to or {"interface": {"name": "out0"}}, **(spec or {}))},
                   {"kind": "TrafficMap", "metadata": {"name": "m"}, "spec": {
                       "from": [{"interface": {"name": "in0"}}], "direction": "In", "filter": match, "to": [{"tool": "t"}]}}]
        with open(self.path, "w", encoding="ascii") as f:
            f.write("---\n".join(json.dumps(dict(o, apiVersion="weft.network/v1alpha1")) + "\n" for o in objects))
        self.p = subprocess.Popen(inside(lab.node, [WEFT, "broker", self.path, "-o", "json"]), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        lab.world.children.append(self.p)
        for _ in range(200):
            if self.p.poll() is not None:
                raise Failed("weft broker: " + self.p.stderr.read()[-200:])
            if "weft" in subprocess.run(inside(lab.node, ["bpftool", "net", "show", "dev", "in0"]), capture_output=True, text=True, check=False).stdout:
                break
            time.sleep(0.05)
        else:
            raise Failed("weft broker taps nothing")
        time.sleep(0.3)
        with open(f"/proc/{self.p.pid}/task/{self.p.pid}/children", encoding="ascii") as f:
            self.copier = [int(pid) for pid in f.read().split()]
        lab.extra = self.copier


def copies(effort):
    need("nft", "tc")
    ms = 40 if effort.quick else 100
    with World() as world, tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        os.chmod(folder, 0o755)
        labs = {name: Lab(world, name) for name in ("none", "weft", "idle", "chain", "judged", "dead", "stopped", "mirred", "finished", "dup", "tee", "tcpdump",
                                                    *WIRE)}
        for name in WIRE:
            in_ns(labs[name].sender, "ethtool -K eth0 tx off tso off gso off")
        for name, make in (("wire mirred", mirred), ("mirred", mirred), ("finished", finished), ("dup", dup), ("tee", tee), ("tcpdump", tcpdump)):
            make(labs[name])
        mask = {"ports": [{"name": "default", "chain": {"mask": {"ranges": [{"from": "Payload"}]}}}]}
        brokers = [Broker(labs["wire weft"], folder), Broker(labs["weft"], folder), Broker(labs["idle"], folder, "udp && dst.port == 1"),
                   Broker(labs["chain"], folder, spec=mask), Broker(labs["judged"], folder, to={"discard": True}),
                   Broker(labs["dead"], folder), Broker(labs["stopped"], folder, spec=mask)]
        in_ns(labs["dead"].tool, "ip link set eth0 down")
        for pid in brokers[-1].copier:
            os.kill(pid, signal.SIGSTOP)
        got = {name: [] for name in labs}
        names = list(labs)
        for r in range(effort.rounds):
            for name in names[r % len(names):] + names[:r % len(names)]:
                got[name].append(labs[name].measure(ms))
        for pid in brokers[-1].copier:
            os.kill(pid, signal.SIGCONT)
        for b in brokers:
            b.p.send_signal(signal.SIGINT)
        for b in brokers:
            b.p.wait(30)
        kept = share_kept(labs["tcpdump"].process)
    return findings(got, kept)


def findings(got, kept):
    own = {name: [x[0] for x in runs] for name, runs in got.items()}
    whole = {name: [x[0] + x[1] for x in runs] for name, runs in got.items()}
    arrived = {name: median([x[2] for x in runs]) for name, runs in got.items()}
    for name in ("weft", "mirred", "finished", "dup", "tee", "wire weft", "wire mirred"):
        if arrived[name] < 0.98:
            raise Failed(f"{name}: {number(arrived[name])} copies of a packet arrived")

    def more(name):
        return [a - b for a, b in zip(whole[name], own["wire none" if name in WIRE else "none"])]

    def beside(i, name, peer, most, note):
        mine, theirs = more(name), more(peer)
        return ratio_finding(*COPIES[i], [a / b for a, b in zip(mine, theirs)], spread(mine, "ns a copy"), spread(theirs, f"ns a copy, {peer}"), most=most, note=note)

    def workload(i, name, peer, most, note):
        return ratio_finding(*COPIES[i], [a / b for a, b in zip(own[name], own[peer])], spread(own[name], "ns a packet"), spread(own[peer], "ns a packet"),
                             most=most, note=note)
    none = f"a packet without copies {spread(own['none'])} ns"
    done = f"{none}; mirred to an interface that finishes checksums, as Weft's copies are, {spread(more('finished'))} ns"
    return [beside(0, "weft", "mirred", 1.0, done), beside(1, "weft", "dup", 1.0, none), beside(2, "weft", "tee", 1.0, none),
            beside(3, "weft", "finished", 1.0, none), beside(4, "wire weft", "wire mirred", 1.0, f"a packet without copies {spread(own['wire none'])} ns"),
            beside(5, "chain", "mirred", 2.0, f"{number(100 * min(1, arrived['chain']))} % of the copies arrived"),
            beside(6, "judged", "tcpdump", 2.0, f"tcpdump took {number(100 * kept)} % of the packets"),
            workload(7, "idle", "none", 1.25, f"with a match {spread(own['weft'])} ns, for weft-copier {spread(own['chain'])} ns"),
            workload(8, "dead", "weft", 1.1, "the tool's link is down"),
            workload(9, "stopped", "chain", 1.1, "SIGSTOP: its ring is full")]
