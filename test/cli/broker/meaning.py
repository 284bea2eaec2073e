# SPDX-License-Identifier: Apache-2.0
"""What maps mean, with crafted frames: BR01 to BR10, BR13, BR16 to BR18, in all orders of the objects."""
import itertools
import subprocess
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
frames = [eth(ip4(6, tcp()), vlan=3),                       # 0 TCP on VLAN 3
          eth(ip4(17, udp()), vlan=2),                      # 1 UDP on VLAN 2
          eth(ip4(6, tcp()), vlan=6),                       # 2 TCP on VLAN 6
          eth(ip4(17, udp()), vlan=5),                      # 3
          eth(ip4(6, tcp(80, 40000))),                      # 4 the answer of port 80
          eth(ip4(6, tcp(40000, 81))),                      # 5
          eth(bytes(28), 0x0806),                           # 6 ARP
          eth(bytes(46), 0x88CC),                           # 7 LLDP
          eth(bytes(46), 0x1234),                           # 8 unknown
          eth(ip4(17, udp())[:22])]                         # 9 UDP, cut short behind its IP header
everything = set(range(len(frames)))
write(tmp + "/in.pcap", frames)
write(tmp + "/other.pcap", frames)

vlan = [tool("one"), tool("two"), tool("three"), tap("t1", ["eth1"], [{"tool": "one"}], filter="vlan.id in {1-3}"),
        tap("t2", ["eth1"], [{"tool": "two"}], filter="tcp"), tap("t3", ["eth1"], [{"tool": "three"}], filter="vlan.id in {3-6}")]
r = Run(tmp + "/vlan", vlan, ["eth1=" + tmp + "/in.pcap"])
ok(r.status == 0 and [r.numbers(t + ".default").count(0) for t in ("one", "two", "three")] == [1, 1, 1],
   "BR01: overlapping maps: TCP on VLAN 3 reaches all three tools, once each")
ok(r.numbers("one.default") == [0, 1] and r.numbers("two.default") == [0, 2, 4, 5] and r.numbers("three.default") == [0, 2, 3],
   "BR01: and each tool gets what its map says, nothing else")

full = [tool("a"), tool("b"), tool("left"), tool("void"), tool("quiet"),
        tap("m-tcp", ["eth1"], [{"tool": "a"}], filter="tcp"),
        tap("m-again", ["eth1"], [{"tool": "a"}], filter="port == 80"),
        tap("m-not", ["eth1"], [{"tool": "b"}], filter="udp && !(vlan.id == 5)"),
        tap("m-but", ["eth1"], [{"tool": "quiet"}], filter="vlan.id >= 0", **{"except": ["m-tcp"]}),
        tap("m-false", ["eth1"], [{"tool": "void"}], filter="false"),
        tap("m-rest", ["eth1"], [{"tool": "left"}], rest=True)]


def contents(run):
    return {t: run.packets(t + ".default") for t in ("a", "b", "left", "void", "quiet")}


r = Run(tmp + "/full", full, ["eth1=" + tmp + "/in.pcap"])
want = contents(r)
ok(r.status == 0 and r.numbers("a.default") == [0, 2, 4, 5], "BR03: two maps from one source to one tool: one copy")
ok(r.account("tools", "a.default")["due"] == 4 and r.account("maps", "m-tcp")["packets"] == 4 and r.account("maps", "m-again")["packets"] == 3,
   "BR03: each map counts what it took, the tool what is due to it once")
ok(r.numbers("void.default") == [] and r.account("maps", "m-false")["packets"] == 0 and r.account("tools", "void.default")["due"] == 0,
   "BR06: a map whose filter is false delivers nothing and makes no copy")
ok(r.numbers("b.default") == [1, 9], "BR07: A && !B delivers nothing that B matches")
ok(r.numbers("quiet.default") == [1, 3], "BR09: except: nothing that the other map took")
ok(r.numbers("left.default") == [6, 7, 8], "BR08: rest takes exactly what no map took")
source = r.account("sources", "eth1")
ok(r.sums() and source["seen"] == 10 and source["unparsable"] == 1 and source["taken"] == 10,
   "BR16, BR17, BR18: the sums match, and the cut packet is counted as unparsable")

same = True
maps = full[5:]
orders = list(itertools.permutations(range(6)))[::24] + [(5, 4, 3, 2, 1, 0)]
for order in orders:
    other = Run(tmp + "/order", full[:5] + [maps[i] for i in order], ["eth1=" + tmp + "/in.pcap"])
    same = same and other.status == 0 and contents(other) == want
other = Run(tmp + "/order", full[::-1], ["eth1=" + tmp + "/in.pcap"])
ok(same and contents(other) == want, f"BR02: the same in {len(orders) + 1} orders of the objects")

names = dict(zip(("m-tcp", "m-again", "m-not", "m-but", "m-false", "m-rest"), ("z", "y", "x", "w", "v", "u")))
renamed = json.loads(json.dumps(full))
for o in renamed:
    o["metadata"]["name"] = names.get(o["metadata"]["name"], o["metadata"]["name"])
    if "except" in o["spec"]:
        o["spec"]["except"] = [names[n] for n in o["spec"]["except"]]
ok(contents(Run(tmp + "/renamed", renamed, ["eth1=" + tmp + "/in.pcap"])) == want, "BR02: nor do the maps' names matter")

leads = {"m-tcp": "a", "m-again": "a", "m-not": "b", "m-false": "void"}
kept = True
for gone, to in leads.items():
    less = json.loads(json.dumps([o for o in full if o["metadata"]["name"] != gone]))
    for o in less:
        if o["spec"].get("except") == [gone]:
            del o["spec"]["except"]
    left = contents(Run(tmp + "/less", less, ["eth1=" + tmp + "/in.pcap"]))
    depends = {to, "left"} | ({"quiet"} if gone == "m-tcp" else set())  # what names it, and the rest, depend on it by intent
    kept = kept and all(left[t] == want[t] for t in left if t not in depends)
ok(kept, "BR10: without one map, what other tools get is the same")

both = [tool("a"), tap("m", ["eth1", "eth2"], [{"tool": "a"}])]
r = Run(tmp + "/both", both, ["eth1=" + tmp + "/in.pcap", "eth2=" + tmp + "/other.pcap"])
ok(r.status == 0 and sorted(r.numbers("a.default")) == sorted(list(everything) * 2) and r.sums(),
   "BR04: two sources that saw the same packet: two copies")
said = subprocess.run(["tshark", "-r", r.file("a.default"), "-T", "fields", "-e", "frame.interface_name"], capture_output=True, text=True).stdout.split()
ok(sorted(said) == ["eth1"] * 10 + ["eth2"] * 10, "BR79: tshark names the source of each packet")
r = Run(tmp + "/both", both[:1] + [tap("m", ["eth1", "eth2"], [{"tool": "a"}])], [tmp + "/in.pcap"])
ok(r.numbers("a.default") == list(range(10)), "BR03: one capture for both interfaces is one source")
dedup = tool("a", discard=False, file={"path": "/x"}, ports=[{"name": "default", "chain": {"dedup": {"windowMicroseconds": 1000}}}])
r = Run(tmp + "/both", [dedup, both[1]], ["eth1=" + tmp + "/in.pcap", "eth2=" + tmp + "/other.pcap"])
ok(sorted(r.numbers("a.default")) == list(range(10)) and r.account("tools", "a.default")["lost"] == {"duplicate": 10} and r.sums(),
   "BR04, BR17: with dedup one copy, the others counted as duplicates")

r = Run(tmp + "/all", [tool("a"), tap("m", ["eth1"], [{"tool": "a"}])], ["eth1=" + tmp + "/in.pcap"])
got = r.packets("a.default")
ok([p[3] for p in got] == frames, "BR05: a map without a filter delivers everything, ARP, LLDP, unknown and cut ones too, byte by byte")

r = Run(tmp + "/port", [tool("a"), tool("b"), tap("m", ["e"], [{"tool": "a"}], filter="port == 80"), tap("n", ["e"], [{"tool": "b"}], filter="dst.port == 80")],
        ["e=" + tmp + "/in.pcap"])
ok(r.numbers("a.default") == [0, 2, 4] and r.numbers("b.default") == [0, 2], "BR13: port matches both directions, dst.port one")

cut = tool("a", discard=False, file={"path": "/x"}, ports=[{"name": "default", "chain": {"slice": {"bytes": 64}}},
                                                          {"name": "masked", "chain": {"mask": {"ranges": [{"from": "Payload"}], "fill": 255}}}])
long = [eth(ip4(6, tcp(rest=b"secret" * 100))), eth(ip4(17, udp()))]
write(tmp + "/long.pcap", long)
r = Run(tmp + "/slice", [cut, tap("m", ["e"], [{"tool": "a"}, {"tool": "a", "port": "masked"}])], ["e=" + tmp + "/long.pcap"])
got = r.packets("a.default")
ok([(len(p[3]), p[2]) for p in got] == [(64, len(long[0])), (len(long[1]), len(long[1]))] and got[0][3] == long[0][:64],
   "BR45, BR46: sliced to 64 bytes, with the true length beside; a shorter one stays")
text = open(r.file("a.masked"), "rb").read()
ok(b"secret" not in text and [p[2] for p in r.packets("a.masked")] == [len(f) for f in long] and r.sums(),
   "BR49, BR88: nothing of the masked bytes is in the file, lengths stay")
said = subprocess.run(["tshark", "-r", r.file("a.masked"), "-T", "fields", "-e", "frame.comment"], capture_output=True, text=True).stdout.split("\n")
ok("masked" in said[0], "BR49: and the packet's comment says that it is masked")
r = Run(tmp + "/slice", [tool("a", discard=True, mtu=600), tap("m", ["e"], [{"tool": "a"}])], ["e=" + tmp + "/long.pcap"])
ok(r.status == 0 and r.account("tools", "a.default")["lost"] == {"mtu": 1} and r.account("tools", "a.default")["sent"] == 1 and r.sums(),
   "BR17: what is larger than the tool's MTU is lost by that name; a tool that discards counts what it got")
done()
