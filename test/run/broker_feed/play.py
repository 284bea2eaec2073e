# SPDX-License-Identifier: Apache-2.0
"""Feeds beside the broker over captures. gen0 sends into src0, a feed. All tools take frames of XDP; what tool2 gets
is cut on its way, which the kernel does by tc."""
import atexit
import collections
import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, "test/cli/broker")
from lab import *

tmp = sys.argv[1]
children = []
atexit.register(lambda: [p.kill() for p in children if p.poll() is None])
NATIVE = tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 3)


def sh(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


def wait(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not what():
        time.sleep(0.02)
    return what()


def bpf(what, attr):
    room = ctypes.create_string_buffer(attr.ljust(144, b"\0"), 144)
    fd = ctypes.CDLL(None, use_errno=True).syscall(321 if os.uname().machine == "x86_64" else 280, what, room, 144)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf %d" % what)
    return fd


def load(kind, insns, flags=0, attach=0):
    code = b"".join(struct.pack("<BBhi", *i) for i in insns)
    keep = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL\0")
    return bpf(5, struct.pack("<IIQQIIQII16sII", kind, len(insns), ctypes.addressof(keep[0]), ctypes.addressof(keep[1]), 0, 0, 0, 0, flags, b"theirs", 0, attach))


class Pass:
    """An XDP program that is not Weft's and lets all pass, at a link: r0 = XDP_PASS; exit. Goes with the object."""

    def __init__(self, link):
        self.prog = load(6, [(0xB7, 0, 0, 2), (0x95, 0, 0, 0)], 32, 37)
        self.fd = bpf(28, struct.pack("<IIII", self.prog, socket.if_nametoindex(link), 37, 4))

    def end(self):
        os.close(self.fd)
        os.close(self.prog)


class Live:
    def __init__(self, objects, *args):
        self.maps = tmp + "/live.yaml"
        with open(self.maps, "w") as f:
            f.write("---\n".join(json.dumps(o) + "\n" for o in objects))
        self.out, self.err = open(tmp + "/live.out", "w+"), open(tmp + "/live.err", "w+")
        self.p = subprocess.Popen([WEFT, "broker", self.maps, "-o", "json", "--out", tmp + "/live", *args], stdout=self.out, stderr=self.err)
        children.append(self.p)
        wait(lambda: self.p.poll() is not None or self.account().get("epoch"))

    def account(self):
        """The last that was printed."""
        with open(self.out.name) as f:
            text = f.read()
        at = text.rfind("\n{\n") + 1 if not text.startswith("{", text.rfind("\n{")) else 0
        for start in (at, text.rfind("\n{", 0, max(0, at - 1)) + 1, 0):
            try:
                return json.JSONDecoder().raw_decode(text[start:])[0]
            except ValueError:
                continue
        return {}

    def source(self):
        return self.account().get("sources", [{"seen": 0}])[0]

    def end(self, sig=signal.SIGINT):
        self.p.send_signal(sig)
        status = self.p.wait(60)
        if status and sig == signal.SIGINT:
            print("#", open(self.err.name).read().replace("\n", "\n# "))
        return status, self.account()


class Ear:
    def __init__(self, link, what="in"):
        self.path = f"{tmp}/{link}.pcap"
        self.p = subprocess.Popen(["tcpdump", "-i", link, "-Q", what, "-B", "32768", "-s", "9100", "-U", "-w", self.path, "--immediate-mode"],
                                  stderr=subprocess.PIPE, text=True)
        children.append(self.p)
        self.p.stderr.readline()

    def frames(self):
        time.sleep(0.3)
        self.p.send_signal(signal.SIGINT)
        self.p.communicate(timeout=20)
        return [p[3] for p in tcpdump(self.path) or []]


def replay(frames, *how):
    write(tmp + "/sent.pcap", frames)
    subprocess.run(["tcpreplay", "-i", "gen0", *(how or ("-p", "4000")), tmp + "/sent.pcap"], capture_output=True, check=True)


def tag_what_leaves(link):
    """A VLAN tag beside the bytes of what is sent there: skb_vlan_push(skb, 802.1Q, 5)."""
    os.makedirs(tmp + "/bpf")
    sh(f"mount -t bpf none {tmp}/bpf")
    path = ctypes.create_string_buffer(f"{tmp}/bpf/tag".encode())
    bpf(6, struct.pack("<QII", ctypes.addressof(path), load(3, [(0xB7, 2, 0, 0x0081), (0xB7, 3, 0, 5), (0x85, 0, 0, 18), (0xB7, 0, 0, 0), (0x95, 0, 0, 0)]), 0))
    sh(f"tc qdisc add dev {link} clsact; tc filter add dev {link} egress bpf da object-pinned {tmp}/bpf/tag")


def seen_by_stack():
    """What came in at src0 and got as far as the host's stack."""
    return int(re.search(r"packets (\d+)", sh("nft list table netdev seen")).group(1))


def tools_of(account):
    return {t["tool"]: t for t in account["tools"]}


def whole(status, last):
    return status == 0 and last["complete"] and all(t["sumsMatch"] and t["inFlight"] == 0 for t in last["tools"])


frames = []
for i in range(100):
    frames += [eth(ip4(17, udp(9, 53, bytes(20)), ident=i)), eth(ip4(6, tcp(dport=80), ident=i)), eth(ip4(17, udp(9, 123), ident=i), vlan=7), eth(bytes(46), 0x0806)]
folder = os.path.join(os.environ.get("WEFT_INPUTS", ""), "pcap")
if os.path.isdir(folder):
    for name in sorted(os.listdir(folder)):
        r = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", os.path.join(folder, name), "-w", "-"], capture_output=True)
        packets, link = parse(r.stdout)
        frames += [p[3] for p in packets if link == 1 and 60 <= len(p[3]) == p[2] <= 9000]
small = [f for f in frames if len(f) <= 1514]
jumbo = [eth(ip4(17, udp(9, 53, bytes(n)), ident=n)) for n in range(2000, 8900, 300)]
frames = small + jumbo
feed = {"interface": {"name": "src0"}, "feed": True}
mask = {"slice": {"bytes": 48}}


def tap_feed(name, to, **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": name}, "spec": dict(spec, **{"from": [feed], "to": to})}


objects = [tool("fast", interface={"name": "tool0"}), tool("both", interface={"name": "tool1"}), tool("slow", interface={"name": "tool2"}, ports=[{"name": "default", "chain": {"slice": {"bytes": 44}}}]),
           tool("heads", file={"path": "heads.default.pcapng"}, ports=[{"name": "default", "chain": mask}]),
           tap_feed("fast", [{"tool": "fast"}], filter="ip"), tap_feed("both", [{"tool": "both"}], filter="tcp || vlan"),
           tap_feed("slow", [{"tool": "slow"}], filter="udp && port == 123"), tap_feed("heads", [{"tool": "heads"}], filter="udp && port == 53 && len > 64")]
os.mkdir(tmp + "/live")
os.chmod(tmp + "/live", 0o777)
write(tmp + "/sent.pcap", frames)
offline = Run(tmp + "/offline", objects, [f"src0={tmp}/sent.pcap"])
ok(offline.status == 0, f"a capture of {len(frames)} frames: feed changes nothing there")
sh('nft add table netdev seen; nft add chain netdev seen c "{ type filter hook ingress device src0 priority 0; }"; nft add rule netdev seen c counter')
theirs = [Pass("end0"), Pass("end1"), Pass("end2")]  # with one at its peer a veth takes frames
for how, by in (("off", "tc"), ("native", "xdp" if NATIVE else "tc")):
    for old in os.listdir(tmp + "/live"):
        os.unlink(f"{tmp}/live/{old}")
    ears = {t: Ear(e) for t, e in (("fast", "end0"), ("both", "end1"), ("slow", "end2"))}
    live = Live(objects, "--xdp", how)
    stack, at_source = seen_by_stack(), Ear("src0")
    replay(frames)
    wait(lambda: live.source()["seen"] >= len(frames))
    behind, came = seen_by_stack(), len(at_source.frames())
    status, last = live.end()
    source, got = last["sources"][0], tools_of(last)
    ok(source.get("feed") == by, f"--xdp {how}: the feed is served by {by} {source.get('why', '')}")
    ok(whole(status, last) and not any(sum(t["lost"].values()) for t in last["tools"]), f"BR17 {by}: all sums match, nothing is lost")
    ok([source[k] for k in ("seen", "classified", "unparsable")] == [offline.accounts["sources"][0][k] for k in ("seen", "classified", "unparsable")],
       f"BR16 {by}: {source['seen']} seen, {source['unparsable']} of them unparsable, as over the capture")
    ok(behind == stack, f"{by}: the host's stack sees none of them")
    if by == "xdp":
        ok(came < len(frames) / 2, f"xdp: {came} of {len(frames)} frames became packets of the host: those for tc")
    for name, ear in ears.items():
        heard, want = ear.frames(), [p[3] for p in offline.packets(name + ".default")]
        ok(collections.Counter(heard) == collections.Counter(want) and len(want) > 90 and got[name]["sent"] == len(want) == got[name]["due"],
           f"BR68 BR69 {by}: {name}: {len(want)} packets, the same bytes as over the capture, {max(map(len, want))} at most")
        # Frames by XDP and by tc may overtake each other; of a slice in the kernel those that weft-copier slices come late.
        if name == "both" or (by == "tc" and name != "slow"):
            ok(heard == want, f"{by}: {name}: in the same order")
    heads = [(p[2], p[3]) for p in tcpdump(tmp + "/live/heads.default.pcapng") or []]
    ok(heads == [(p[2], p[3]) for p in offline.packets("heads.default")] and heads, f"{by}: a chain and a file get theirs: {len(heads)}")

if NATIVE:
    # What is beside the bytes.
    sh("ip addr add 10.9.0.2/24 dev gen0; ip neigh add 10.9.0.1 lladdr 02:00:00:00:00:02 dev gen0")
    tag_what_leaves("gen0")
    before = sh("ethtool -k gen0")
    ear, live = Ear("end0"), Live(objects[:1] + [tap_feed("fast", [{"tool": "fast"}])], "--xdp", "native")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(20):
        s.sendto(b"left to the card" * 9, ("10.9.0.1", 4000 + i))
    wait(lambda: live.source()["seen"] >= 20)
    during = sh("ethtool -k gen0")
    live.end(signal.SIGKILL)
    ok("xdp" not in sh("ip link show src0") and "weft_tap_in" in sh("tc filter show dev src0 ingress"), "after kill -9 no XDP program is left; tc goes on")
    heard = ear.frames()
    right = sh(f"tshark -o udp.check_checksum:TRUE -r {tmp}/end0.pcap -Y 'udp.checksum.status == 1 && vlan.id == 5' 2>/dev/null").count("\n")
    ok(len(heard) == 20 and right == 20, f"BR53 BR65 BR68 a tag and a checksum that were beside the bytes are in them: {right} of {len(heard)}")
    ok("tx-checksumming: off" in during and "tx-vlan-offload: off" in during and "tx-checksumming: on" in before, "for that the offloads of the veth's peer are off")
    live = Live(objects, "--xdp", "off")
    ok(sh("ethtool -k gen0") == before, "the next run finds what the killed one has left, and puts the offloads back")
    live.end()
    sh(f"ip addr del 10.9.0.2/24 dev gen0; tc qdisc del dev gen0 clsact; umount {tmp}/bpf")

    # Tools that do not take frames, or not any more.
    for name, make, undo in (("down", "ip link set end0 down", "ip link set end0 up"), ("away", "", "")):
        live = Live(objects[:2] + [tap_feed("fast", [{"tool": "fast"}, {"tool": "both"}], filter="udp")], "--xdp", "native")
        ear = Ear("end1")
        sh(make)
        if name == "away":
            theirs.pop(0).end()  # end0 takes no frames any more
        replay([eth(ip4(17, udp(9, 53, bytes(20)), ident=i)) for i in range(500)])
        wait(lambda: live.source()["seen"] >= 500)
        status, last = live.end()
        got, heard = tools_of(last), ear.frames()
        sh(undo)
        if name == "down":
            ok(whole(status, last) and got["fast"]["lost"] == {"refused": 500} and got["both"]["sent"] == len(heard) == 500,
               "BR17 a tool whose link is down loses its own frames, each counted; the other has all")
        else:
            ok(whole(status, last) and got["fast"]["sent"] == got["both"]["sent"] == len(heard) == 500, "a tool's interface that takes no frames any more is left to tc")
    live = Live(objects[:1] + [tap_feed("fast", [{"tool": "fast"}], filter="udp")], "--xdp", "native")
    theirs.insert(0, Pass("end0"))
    wait(lambda: False, 0.5)
    ear = Ear("end0")
    replay([eth(ip4(17, udp(9, 53, bytes(20)), ident=i % 65536)) for i in range(40000)], "--topspeed", "-K")
    wait(lambda: live.source()["seen"] >= 40000)
    status, last = live.end()
    fast = tools_of(last)["fast"]
    ok(whole(status, last) and fast["due"] == 40000 and len(ear.frames()) <= fast["sent"], f"BR17 a flood: due 40000 = sent {fast['sent']} + lost {fast['lost']}")

    # Not alone there.
    foreign = Pass("src0")
    which = re.findall(r"prog/xdp id (\d+)", sh("ip -d link show src0"))
    live = Live(objects, "--xdp", "native")
    ok(live.source().get("why") == "another XDP program is there" and re.findall(r"prog/xdp id (\d+)", sh("ip -d link show src0")) == which,
       "an XDP program of somebody else stays; it is told, and tc serves the feed")
    live.end()
    foreign.end()
# While packets flow the maps change: each frame is judged by one state, and no tool that is new to it refuses any.
for how in ("off", "native"):
    live = Live(objects[:2] + [tap_feed("m", [{"tool": "fast"}], filter="udp && dst.port == 53")], "--xdp", how)
    ears = Ear("end0"), Ear("end1")
    p = subprocess.Popen([sys.executable, "-c", "import socket,sys,time\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\ns.bind(('gen0',0))\n"
                          "for i in range(6000):\n s.send(bytes.fromhex(sys.argv[1]))\n time.sleep(0.0005)", eth(ip4(17, udp(9, 53, bytes(20)))).hex()])
    for i in range(12):
        with open(live.maps + ".new", "w") as f:
            maps = objects[:2] + [tap_feed("m", [{"tool": ("fast", "both")[i % 2 == 0]}], filter=f"udp && dst.port == 53 || dst.port == {1000 + i}")]
            f.write("---\n".join(json.dumps(o) + "\n" for o in maps))
        os.rename(live.maps + ".new", live.maps)
        time.sleep(0.25)
    p.wait()
    wait(lambda: live.source()["seen"] >= 6000)
    status, last = live.end()
    heard = [len(e.frames()) for e in ears]

    ok(whole(status, last) and sum(heard) == 6000 and min(heard) > 500 and last["epoch"] > 12, f"BR12 --xdp {how}: {last['epoch']} states, each of 6000 frames goes to one of two tools: {heard}")
live = Live(objects)
ok(live.source()["feed"] == "tc" and live.source().get("why") == ("a veth is left its offloads" if NATIVE else live.source()["why"]), "of itself no veth loses its offloads")
sh("ip addr add 10.8.0.1/24 dev src0")
ok(wait(lambda: "is tapped, but is no feed: it has an address" in open(live.err.name).read()) and wait(lambda: live.source()["feed"] == "no"), "an interface that gets an address of this host is no feed any more")
stack = seen_by_stack()
replay([eth(ip4(17, udp(9, 53, bytes(20)), dst="10.8.0.1", ident=i)).replace(MACS[:6], bytes.fromhex(open("/sys/class/net/src0/address").read().strip().replace(":", "")), 1) for i in range(10)])
ok(wait(lambda: seen_by_stack() >= stack + 10), "its packets are the host's again")
status, last = live.end()
ok(whole(status, last), "and the sums match")
for t in theirs:
    t.end()
ok(not sh("tc qdisc show | grep clsact") and "xdp" not in sh("ip link") and not os.path.exists("/sys/class/net/weft-copy0"), "nothing is left at any interface")
with open(tmp + "/pods.yaml", "w") as f:
    json.dump(dict(tap_feed("x", [{"tool": "t"}]), spec={"from": [{"pods": {}, "feed": True}], "to": [{"tool": "t"}]}), f)
r = subprocess.run([WEFT, "check", tmp + "/pods.yaml"], capture_output=True, text=True)
ok("is for interfaces: nothing else is a feed" in r.stdout + r.stderr, "pods are no feed: told with its place")
done()
