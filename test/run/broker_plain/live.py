# SPDX-License-Identifier: Apache-2.0
"""The broker between plain interfaces beside the broker over captures. gen0 sends into src0; what src0 hears is due to
tools at tool0, tool1, tool2 (heard by tcpdump at end0, end1, end2) and to a file."""
import json
import os
import signal
import struct
import subprocess
import time

from host import *

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # frames then come in the order in which they were sent

# --- the same result as over captures ---
folder = os.path.join(os.environ.get("WEFT_INPUTS", ""), "pcap")
frames = []
for i in range(100):
    frames += [udp(53, i), tcp(80, i), tcp(22, i), MACS + b"\x08\x06" + bytes(46)]
if os.path.isdir(folder):
    for name in sorted(os.listdir(folder)):
        r = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", os.path.join(folder, name), "-w", "-"], capture_output=True)
        packets, link = parse(r.stdout)
        frames += [p[3] for p in packets if link == 1 and 60 <= len(p[3]) == p[2] <= 9000]
print(f"# {len(frames)} frames")
mask = {"ranges": [{"from": "Payload", "offset": 0}], "checksums": "Fix"}
objects = [tool("web", interface={"name": "tool0"}),
           tool("names", interface={"name": "tool1"}, ports=[{"name": "default", "chain": {"mask": mask}}]),
           tool("left", interface={"name": "tool2"}),
           tool("heads", file={"path": "heads.default.pcapng"}, ports=[{"name": "default", "chain": {"slice": {"bytes": 48}}}]),
           tap("web", ["src0"], [{"tool": "web"}], filter="tcp && port == 80 || port == 443"),
           tap("odd", ["src0"], [{"tool": "web"}, {"tool": "heads"}], filter="arp || vlan || icmp || proto == 58"),
           tap("names", ["src0"], [{"tool": "names"}], filter="udp && port == 53"),
           tap("rest", ["src0"], [{"tool": "left"}], rest=True)]
write(f"{tmp}/sent.pcap", frames)
offline = Run(f"{tmp}/offline", objects, [f"src0={tmp}/sent.pcap"])
ok(offline.status == 0, "the file over a capture of the frames")
ears = {t: Ear(e) for t, e in (("web", "end0"), ("names", "end1"), ("left", "end2"))}
live = Live("same", objects, "--out", f"{tmp}/live")
live.epoch(1)
link = subprocess.run(["ip", "-d", "link", "show", "src0"], capture_output=True, text=True).stdout
ok("promiscuity 1" in link, "the source listens to what is for others too")
send(frames)
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(frames))
status, last = live.end()
ok(status == 0 and last["complete"], "the file between interfaces: all sums match (BR16, BR17)")
ok(all(t["inFlight"] == 0 and t["sumsMatch"] and t["due"] + t["added"] == t["sent"] + sum(t["lost"].values()) for t in last["tools"])
   and not any(sum(t["lost"].values()) for t in last["tools"]), "BR18: nothing is in flight, nothing was lost")
seen, was = last["sources"][0], offline.accounts["sources"][0]
ok(seen["seen"] == len(frames) and [seen[k] for k in ("classified", "unparsable")] == [was[k] for k in ("classified", "unparsable")],
   f"BR16: {seen['seen']} seen, {seen['unparsable']} of them unparsable, as over the capture")
for name, ear in ears.items():
    got, want = ear.frames(), [p[3] for p in offline.packets(name + ".default")]
    if got != want:
        print(f"# {name}: {len(got)} frames, wanted {len(want)}")
        for a, b in zip(got, want):
            if a != b:
                print(f"# got    {a[:64].hex()} ({len(a)})\n# wanted {b[:64].hex()} ({len(b)})")
                break
    ok(got == want and want, f"{name}: {len(want)} packets, the same bytes in the same order as over the capture")
    same = [t for t in last["tools"] if t["tool"] == name][0]
    ok(same["due"] == offline.account("tools", name + ".default")["due"] and same["sent"] == len(want), f"{name}: and the same numbers")
got = [(p[2], p[3]) for p in tcpdump(f"{tmp}/live/heads.default.pcapng") or []]
ok(got == [(p[2], p[3]) for p in offline.packets("heads.default")] and got, f"BR45: the file holds {len(got)} cut packets, with their true lengths")
ok(not os.path.exists("/sys/class/net/weft-copy0") and not subprocess.run(["tc", "qdisc", "show", "clsact"], capture_output=True).stdout
   and not subprocess.run("tc qdisc show | grep clsact", shell=True, capture_output=True).stdout, "nothing is left at any interface")

# --- the same file in a cluster (test/run/broker_live), here, and over a capture ---
subprocess.run("for p in wire0:wire1 ids0:ids1; do ip link add ${p%:*} mtu 9000 type veth peer name ${p#*:} mtu 9000;"
               "ip link set ${p%:*} up; ip link set ${p#*:} up; done", shell=True, check=True)
shop = "examples/broker/shop.yaml"
frames += [tcp(7000, i) for i in range(50)]
write(f"{tmp}/sent.pcap", frames)
r = subprocess.run([WEFT, "broker", shop, "--pcap", f"wire0={tmp}/sent.pcap", "--out", f"{tmp}/shop", "-o", "json"], capture_output=True, text=True)
want = {t["tool"]: t for t in json.loads(r.stdout)["tools"]}
ok(r.returncode == 0 and want["orders"]["sent"] >= 50 and want["ids"]["sent"] > 100 and want["last"]["sent"] >= 200,
   f"{shop} over a capture: {', '.join(t + ' ' + str(want[t]['sent']) for t in want)}")
ear = Ear("ids1")
live = Live("shop", [], "--out", f"{tmp}/shop-live", file=shop)
live.epoch(1)
ok("there are no pods and no uplinks on a plain host" in live.said(), "between interfaces: pods are told to be missing")
send(frames, "wire1")
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(frames))
status, last = live.end()
got = {t["tool"]: t for t in last["tools"]}
ok(status == 0 and all(got[t]["due"] == want[t]["due"] and got[t]["sent"] == want[t]["sent"] for t in ("ids", "orders", "last")), "every tool gets as many")
ok(ear.frames() == [p[3] for p in tcpdump(f"{tmp}/shop/ids.default.pcapng")], "ids: the same bytes in the same order")
orders = [[p[3] for f in sorted(glob.glob(f"{tmp}/{d}/orders*.pcapng")) for p in tcpdump(f)] for d in ("shop-live", "shop")]
ok(orders[0] == orders[1] and orders[0], "orders: the same masked bytes, in rows of files both")
subprocess.run("ip link del wire0; ip link del ids0", shell=True)

# --- what changes while it runs ---
one = [tool("t", interface={"name": "tool0"}), tap("m", ["src0"], [{"tool": "t"}], filter="udp && dst.port == 1000")]
two = [one[0], tap("m", ["src0", "later0"], [{"tool": "t"}], filter="udp && dst.port == 2000")]
ear = Ear("end0")
live = Live("change", one)
live.epoch(1)
send([udp(1000, 1), udp(2000, 2)])
with open(live.maps + ".new", "w") as f:
    f.write("---\n".join(json.dumps(o) + "\n" for o in one).replace("dst.port", "dst.prot"))
os.rename(live.maps + ".new", live.maps)
ok(wait(lambda: "what was in force before stays" in live.said()) and "change.yaml:3:" in live.said() and "dst.prot" in live.said(),
   "a file with an error: its place is told, and nothing changes")
send([udp(1000, 3), udp(2000, 4)])
written(live.maps, two)
ok(wait(lambda: "later0 is not there" in live.said()), "a new file is in force; an interface that is not there is told")
send([udp(1000, 5), udp(2000, 6)])
subprocess.run("ip link add later0 type veth peer name later1; ip link set later0 up; ip link set later1 up", shell=True, check=True)
wait(lambda: b"weft_tap_in" in subprocess.run(["tc", "filter", "show", "dev", "later0", "ingress"], capture_output=True).stdout)
send([udp(1000, 7), udp(2000, 8)], "later1")
pid = subprocess.run(["pgrep", "-P", str(live.p.pid), "weft-copier"], capture_output=True, text=True).stdout.strip()
written(live.maps, two + [tool("f", file={"path": "f.pcapng"}), tap("f", ["src0"], [{"tool": "f"}], filter="udp")])
ok(live.epoch(3) and live.accounts()[-1]["epoch"] == 3, "a third file is in force")
os.kill(int(pid), signal.SIGKILL)
send([udp(2000, 9)])
ok(wait(lambda: live.accounts()[-1]["copierRestarts"] == 1), "weft-copier is killed and started anew")
send([udp(2000, 10)])
status, last = live.end()
idents = [struct.unpack("!H", f[18:20])[0] for f in ear.frames()]
ok(idents == [1, 3, 6, 8, 9, 10], f"each packet is judged by the file in force then, whoever died: {idents}")
ok(status == 0 and [s["source"] for s in last["sources"]] == ["src0", "later0"], "and the sums match")
subprocess.run("ip link del later0", shell=True)

# --- bytes as on the wire, and a tunnel ---
far = subprocess.run(["ip", "netns", "identify"], capture_output=True, text=True).stdout.strip() + "-far"
subprocess.run(["ip", "netns", "add", far], check=True)
try:
    sh(f"for l in src0 gen0 tool0 tool1 end0 end1; do ip link set $l mtu 1500; done; ip link set gen0 netns {far}; ip addr add 10.9.0.1/24 dev src0;"
       f"ip netns exec {far} sh -c 'ip link set gen0 up; ip addr add 10.9.0.2/24 dev gen0';"
       "ip addr add 192.0.2.1/24 dev tool2; ip neigh add 192.0.2.2 lladdr $(cat /sys/class/net/end2/address) dev tool2")
    objects = [tool("plain", interface={"name": "tool0"}), tool("split", interface={"name": "tool1"}, ports=[{"name": "default", "chain": {"mask": mask}}]),
               tool("far", vxlan={"remote": "192.0.2.2", "vni": 7}), tool("odd", vxlan={"remote": "198.51.100.9", "vni": 8}),
               tap("all", ["src0"], [{"tool": "plain"}, {"tool": "split"}], filter="tcp"),
               tap("some", ["src0"], [{"tool": "far"}, {"tool": "odd"}], filter="tcp && tcp.flags == 0x02 || tcp.flags == 0x12")]
    ears = [Ear(e) for e in ("end0", "end1", "end2")]
    live = Live("wire", objects)
    live.epoch(1)
    ok("no way to the far end of tool odd" in live.said(), "a tunnel without a route is told")
    before = int(sh("cat /sys/class/net/src0/statistics/rx_packets"))
    got = transfer(far)
    merged = got / (int(sh("cat /sys/class/net/src0/statistics/rx_packets")) - before)
    status, last = live.end()
    heard = [e.frames() for e in ears]
    for name, frames in (("plain", heard[0]), ("split", heard[1])):
        sent = [t for t in last["tools"] if t["tool"] == name][0]
        bad = sh(f"tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r {tmp}/end{0 if name == 'plain' else 1}.pcap "
                 "-Y 'tcp.checksum.status == 0 || ip.checksum.status == 0' 2>/dev/null | wc -l")
        # By their places in the stream: the kernel may have sent one twice.
        parts = {f[38:42]: struct.unpack("!H", f[16:18])[0] - 20 - (f[46] >> 4) * 4 for f in frames if f[36:38] == b"\0\x50"}
        data = sum(parts.values())
        # What the peer's queue had no room for is told by number: frames of 1448 bytes, but for those at the end of a packet.
        lost = sent.get("droppedBehind", 0)
        ok(max(map(len, frames)) <= 1514 and merged > 3000 and int(bad) == 0 and got - lost * 1448 <= data <= got and (data == got) == (lost == 0),
           f"BR65 BR66: {name}: {len(frames)} frames of wire size with right checksums, {data} bytes, of packets of {merged:.0f}")
        print(f"# {name}: {sent}")
    ok(status == 0, "and the sums match")
    inner = [f[50:] for f in heard[2] if f[23] == 17 and f[36:38] == b"\x12\xb5" and f[46:49] == b"\0\0\x07"]
    ok(len(inner) == 2 and all(f[23] == 6 for f in inner), f"BR04 a tunnel by the host's routes: {len(inner)} packets of both ways")
finally:
    subprocess.run(["ip", "netns", "del", far])
    wait(lambda: not os.path.exists("/sys/class/net/src0"))  # the kernel takes the pair away when it has time
    subprocess.run("ip link add src0 type veth peer name gen0; ip link set src0 up; ip link set gen0 up", shell=True)

# --- what it refuses ---
r = subprocess.run([WEFT, "broker", live.maps], capture_output=True, text=True, user=65534, timeout=20)
ok(r.returncode == 1 and "needs root" in r.stderr, "without root: said in words")
live = Live("first", one)
live.epoch(1)
r = subprocess.run([WEFT, "broker", live.maps], capture_output=True, text=True, timeout=20)
ok(r.returncode == 1 and "another process of Weft has taps" in r.stderr, "two of them at once: said in words")
live.p.kill()
live.p.wait()
ear = Ear("end0")
send([udp(1000, 21), udp(2000, 22)])
ok([struct.unpack("!H", f[18:20])[0] for f in ear.frames()] == [21], "copies straight to a tool go on after kill -9")
again = Live("again", two)
again.epoch(1)


def taps_at_source():
    return subprocess.run(["tc", "filter", "show", "dev", "src0", "ingress"], capture_output=True, text=True).stdout.count("handle 0x7765")


wait(lambda: taps_at_source() == 1)  # what was left is taken away before what is wanted is there
left = taps_at_source()
status, last = again.end()
print("#", status, left, subprocess.run("tc qdisc show | grep clsact; ls /sys/class/net", shell=True, capture_output=True, text=True).stdout.split())
ok(status == 0 and left == 1 and not subprocess.run("tc qdisc show | grep clsact", shell=True, capture_output=True).stdout
   and not os.path.exists("/sys/class/net/weft-copy0"), "after kill -9 the next one takes over what was left, and removes it at its end")
os.mkdir(f"{tmp}/mine", 0o755)
r = subprocess.run([WEFT, "broker", live.maps, "--out", f"{tmp}/mine"], capture_output=True, text=True, timeout=20)
ok(r.returncode == 1 and "may not write there" in r.stderr, "a folder that weft-copier may not write to: said in words")
done()
