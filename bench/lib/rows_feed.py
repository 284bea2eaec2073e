# SPDX-License-Identifier: Apache-2.0
"""Row: a feed, as of a mirror port. Frames are made without a packet of the host, as a card's driver has them, and go from one
interface to a tool's: by weft broker in XDP, by weft broker in tc, and by a bare XDP redirect that asks nothing. CPU time of
all of the way a frame, on one CPU."""
import glob
import json
import os
import signal
import subprocess
import tempfile
import time

from .measure import SENDER, running_ns
from .net import Failed, World, in_ns, inside, need, run_json, sink, sink_count, tool, veth
from .report import ratio_finding, spread

FEED = [("a feed's frame to a tool, by XDP", "≤ 0.7 × by tc (ours)"),
        ("the same", "≤ 3 × a bare XDP redirect (ours)"),
        ("a feed's frame that nobody wants, by XDP", "≤ 0.7 × by tc (ours)")]
WEFT = os.path.join(os.environ.get("BUILD", "build"), "src/cli/weft")
PORT, FRAMES = 9, 40000


def ksoftirqd():
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            if open(path, encoding="ascii").read() == f"ksoftirqd/{SENDER}\n":
                return [int(path.split("/")[2])]
        except OSError:
            pass
    return []


class Lab:
    """gen0-src0 and tool0-end0 of one namespace, and what carries frames from src0 to tool0."""

    def __init__(self, world, folder, name, how, port=PORT):
        self.world, self.name, self.port = world, name, port
        self.node = world.space("fd-" + name)
        in_ns(self.node, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
        veth(self.node, "gen0", self.node, "src0")
        veth(self.node, "tool0", self.node, "end0")
        self.end = None
        if how == "off":  # no XDP anywhere: src0 takes frames when it has GRO
            in_ns(self.node, "ethtool -K src0 gro on")
            sink(self.node, "end0", PORT)
        else:
            self.end = self.start([tool("bench-feed"), "sink", "end0"])
        if how == "bare":
            self.start([tool("bench-feed"), "relay", "src0", "tool0"])
        else:
            self.broker(folder, how)

    def start(self, cmd):
        p = subprocess.Popen(inside(self.node, cmd), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.world.children.append(p)
        if p.stdout.readline() != "ready\n":
            raise Failed(f"{self.name}: {cmd[1]} did not start")
        return p

    def broker(self, folder, how):
        path = os.path.join(folder, self.name + ".yaml")
        objects = [{"kind": "Tool", "metadata": {"name": "t"}, "spec": {"interface": {"name": "tool0"}}},
                   {"kind": "TrafficMap", "metadata": {"name": "m"}, "spec": {"from": [{"interface": {"name": "src0"}, "feed": True}], "direction": "In",
                                                                              "filter": f"udp && dst.port == {PORT}", "to": [{"tool": "t"}]}}]
        with open(path, "w", encoding="ascii") as f:
            f.write("---\n".join(json.dumps(dict(o, apiVersion="weft.network/v1alpha1")) + "\n" for o in objects))
        p = subprocess.Popen(inside(self.node, [WEFT, "broker", path, "--xdp", how]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.world.children.append(p)
        said = ""
        while "is a feed" not in said and (line := p.stderr.readline()):
            said += line
        if f"served by {'tc' if how == 'off' else 'XDP'}" not in said:
            raise Failed(f"{self.name}: {said.strip()[-200:]}")
        time.sleep(0.3)

    def arrived(self):
        if not self.end:
            return sink_count(self.node)
        self.end.stdin.write("\n")
        self.end.stdin.flush()
        return int(self.end.stdout.readline())

    def measure(self, threads):
        """ns of CPU a frame."""
        before, others = self.arrived(), running_ns(threads)
        out = run_json(self.node, ["taskset", "-c", str(SENDER), tool("bench-feed"), "make", "gen0", str(FRAMES), str(self.port)])
        time.sleep(0.05)
        came, want = self.arrived() - before, out["frames"] if self.port == PORT else 0
        if not 0.97 * want <= came <= want:
            raise Failed(f"{self.name}: {came} of {want} frames arrived")
        return (out["cpu_ns"] + running_ns(threads) - others) / out["frames"]


def feed(effort):
    need("ethtool", "taskset", "nft")
    with World() as world, tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        os.chmod(folder, 0o755)
        labs = [Lab(world, folder, "bare", "bare"), Lab(world, folder, "xdp", "native"), Lab(world, folder, "tc", "off"),
                Lab(world, folder, "xdpidle", "native", PORT + 1), Lab(world, folder, "tcidle", "off", PORT + 1)]
        got, threads = {lab.name: [] for lab in labs}, ksoftirqd()
        for r in range(effort.rounds):
            for lab in labs[r % len(labs):] + labs[:r % len(labs)]:
                got[lab.name].append(lab.measure(threads))
        for p in world.children:
            p.send_signal(signal.SIGINT)

    def beside(i, mine, peer, most, words, note=""):
        return ratio_finding(*FEED[i], [a / b for a, b in zip(got[mine], got[peer])], spread(got[mine], "ns a frame"), spread(got[peer], words), most=most, note=note)
    made = "with making the frame and a veth on each side"
    return [beside(0, "xdp", "tc", 0.7, "ns a frame, by tc", made), beside(1, "xdp", "bare", 3.0, "ns a frame, bare redirect", made),
            beside(2, "xdpidle", "tcidle", 0.7, "ns a frame, by tc", made)]
