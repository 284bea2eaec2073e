# SPDX-License-Identifier: Apache-2.0
"""weft why --copy: of each packet of a capture it names the tools whose files weft broker wrote it into, and of each map a
reason; of a connection it says which pods see it, which way, forwarded or dropped, by whose term (BR07, BR08, BR09, BR94)."""
import json
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
dice = random.Random(1)


def why(*args):
    r = subprocess.run([WEFT, "why", "--copy", "-o", "json", *args], capture_output=True, text=True, timeout=60)
    return r.returncode, json.loads(r.stdout) if r.stdout else {}, r.stderr


frames = [eth(ip4(6, tcp(sport, dport), src=f"10.0.0.{n % 5 + 1}"), vlan=vlan)
          for n, (sport, dport, vlan) in enumerate((40000 + i, (80, 443, 53)[i % 3], (None, 3, 7)[i % 4 % 3]) for i in range(18))]
frames += [eth(ip4(17, udp(5000 + i, (53, 80)[i % 2]))) for i in range(6)]
frames += [eth(bytes(28), 0x0806), eth(bytes(46), 0x88CC), eth(ip4(17, udp())[:22])]
write(tmp + "/in.pcap", frames)


def maps():
    names = [f"m{i}" for i in range(8)]
    filters = ["tcp", "port == 80", "vlan.id in {1-5}", "udp && !(port == 53)", "src.ip == 10.0.0.2", "false", "pcap:'arp'"]
    out = [tool("a"), tool("b"), tool("c"), tool("d"), group("g", members=[{"tool": "c"}, {"tool": "d"}])]
    for i, n in enumerate(names):
        spec = {}
        if i % 4 == 3:
            spec["rest"] = True
        elif i % 4 == 2 and i:
            spec["except"] = [names[dice.choice([0, 1])]]
        if dice.random() < 0.8:
            spec["filter"] = dice.choice(filters)
        out.append(tap(n, dice.choice([["eth1"], ["eth2"], ["eth1", "eth2"]]), [dice.choice([{"tool": "a"}, {"tool": "b"}, {"group": "g"}])], **spec))
    return out


agree, reasons, reached = 0, set(), 0
for round in range(4):
    run = Run(f"{tmp}/{round}", maps(), ["eth1=" + tmp + "/in.pcap"])
    files = {t: set(run.numbers(t + ".default")) if os.path.exists(run.file(t + ".default")) else set() for t in "abcd"}
    for n in range(len(frames)):
        status, doc, said = why("-f", run.maps, "--pcap", tmp + "/in.pcap", "--packet", str(n + 1), "--at", "eth1")
        place = doc["places"][0] if doc else {"tools": [], "maps": []}
        told = {t["tool"] for t in place["tools"]}
        same = told == {t for t in files if n in files[t]} and status == (0 if told else 1) and len(place["maps"]) == 8
        named = {m for t in place["tools"] for m in t["maps"]} <= {m["map"] for m in place["maps"] if m["takes"]}
        if not (same and named):
            print("#", round, n, status, told, {t: n in files[t] for t in files}, said)
        agree += same and named
        reached += bool(told)
        reasons |= {m["why"] for m in place["maps"]}
ok(agree == 4 * len(frames) and reached > 20, f"the tools that why names are those that broker gave the packet to, for {agree} packets, {reached} with copies")
ok(reasons >= {"taken", "source", "filter", "except", "rest"}, "BR94: each map that takes nothing has its reason: " + " ".join(sorted(reasons)))
status, doc, said = why("-f", f"{tmp}/0/maps.yaml", "--pcap", tmp + "/in.pcap", "--packet", "99", "--at", "eth1")
ok(status == 2 and "has 27 packets, and no number 99" in said, "a packet that the capture does not have is said")
status, doc, said = why("-f", f"{tmp}/0/maps.yaml", "--pcap", tmp + "/in.pcap", "--at", "eth7")
ok(status == 2 and 'no map looks at "eth7"' in said, "a place that no map names is said")

# A connection, by the manifests alone.
shutil.copytree("examples/shop", tmp + "/shop")
objects = [tool("ids", discard=True), tool("far", discard=True),
           {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": "cart"},
            "spec": {"from": [{"pods": {"podSelector": {"matchLabels": {"app": "page"}}}}], "filter": "tcp && dst.port == 7000", "to": [{"tool": "ids"}]}},
           {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": "lost"},
            "spec": {"from": [{"pods": {}}], "packets": "Dropped", "to": [{"tool": "far"}]}},
           {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": "left"},
            "spec": {"from": [{"pods": {}}], "rest": True, "direction": "In", "to": [{"tool": "far"}]}}]
with open(tmp + "/shop/maps.yaml", "w") as f:
    f.write("---\n".join(json.dumps(o) + "\n" for o in objects))


def flow(*args):
    status, doc, said = why("-f", tmp + "/shop", "--family", "4", *args)
    return status, [(p["place"].split("/")[1].split("-")[0], p["direction"], p["fate"], {m["map"]: m["why"] for m in p["maps"]},
                     [(t["tool"], t["maps"]) for t in p["tools"]]) for p in doc.get("places", [])]


status, seen = flow("shop/page", "shop/cart:7000")
ok(status == 0 and seen == [
    ("page", "out", "forwarded", {"lost": "fate", "cart": "taken", "left": "direction"}, [("ids", ["cart"])]),
    ("cart", "in", "forwarded", {"lost": "fate", "cart": "source", "left": "taken"}, [("far", ["left"])]),
    ("cart", "out", "forwarded", {"lost": "fate", "cart": "source", "left": "direction"}, []),
    ("page", "in", "forwarded", {"lost": "fate", "cart": "filter", "left": "taken"}, [("far", ["left"])])],
   "an allowed connection: both pods see both ways, each with its maps and their reasons" + ("" if status == 0 else f" ({seen})"))
status, seen = flow("shop/page", "shop/store:6379")
ok(status == 0 and seen == [("store", "in", "dropped", {"lost": "taken", "cart": "source", "left": "fate"}, [("far", ["lost"])])],
   "a refused one on the same node: seen once, dropped, where it is counted")
r = subprocess.run([WEFT, "why", "--copy", "-f", tmp + "/shop", "--family", "4", "shop/page", "shop/cart:7000"], capture_output=True, text=True)
ok(all(w in r.stdout for w in ("takes  cart", "matches: tcp, dst.port == 7000 (it has 7000)", "does not match: dst.port == 7000 (it has 40000)",
                               "→ ids/default (discard) through cart", "maps.yaml:", "do not look here: cart")),
   "as text: the term that matched or did not, and where it stands")

# Uplinks: between two nodes a tunnel's packet, or with routes the packet itself.
def at_uplinks(name, **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": name}, "spec": dict(spec, to=[{"tool": "ids"}])}


with open(tmp + "/shop/maps.yaml", "w") as f:
    f.write("---\n".join(json.dumps(o) + "\n" for o in [
        tool("ids", discard=True), at_uplinks("plain", **{"from": [{"uplink": {}}]}, filter="tcp && dst.port == 7000"),
        at_uplinks("tunnel", **{"from": [{"uplink": {}}]}, direction="In", filter="udp && dst.port == 4789 && tunnel.vni == 22341")]))


def wires(*args):
    status, doc, said = why("-f", tmp + "/shop", "--family", "4", *args)
    return [(p["node"], p["direction"], p["way"], "carries" in p, [m["map"] for m in p["maps"] if m["takes"]])
            for p in doc.get("places", []) if p["kind"] == "uplink"], doc


(seen, doc), (routed, _), (home, same) = wires("shop/page", "shop/cart:7000"), wires("shop/page", "shop/cart:7000", "--mode", "routes"), wires("shop/page", "shop/store:6379")
ends = [p["node"] for p in doc["places"] if p["kind"] == "pod"][:2]
ok(ends[0] != ends[1] and seen == [(ends[0], "out", "there", True, []), (ends[1], "in", "there", True, ["tunnel"]),
                                   (ends[1], "out", "back", True, []), (ends[0], "in", "back", True, ["tunnel"])],
   "between two nodes each uplink sees the tunnel's packet, both ways" + ("" if seen else f" ({doc})"))
told = [p for p in doc["places"] if p["kind"] == "uplink"]
ok(told[0]["packet"].endswith(":4789") and told[0]["carries"] == [p for p in doc["places"] if p["kind"] == "pod"][0]["packet"],
   "and it is said what that carries")
ok(routed == [(ends[0], "out", "there", False, ["plain"]), (ends[1], "in", "there", False, ["plain"]), (ends[1], "out", "back", False, []),
              (ends[0], "in", "back", False, [])], f"with routes each sees the packet itself ({routed})")
ok(home == [] and "unknown" not in same, "between pods of one node no uplink sees anything")
ok("unknown" in wires("outside", "shop/page:8080")[1], "what uplinks see of connections from outside is not told, and that is said")


# A plain host: addresses at an interface.
def at(*args):
    status, doc, said = why("-f", f"{tmp}/host.yaml", *args)
    return status, [(p["place"], p["packet"], [m["map"] for m in p["maps"] if m["takes"]]) for p in doc.get("places", [])], said


with open(tmp + "/host.yaml", "w") as f:
    f.write("---\n".join(json.dumps(o) + "\n" for o in [tool("a"), tap("web", ["eth1"], [{"tool": "a"}], filter="tcp && dst.port == 80"),
                                                        tap("six", ["eth1"], [{"tool": "a"}], filter="ip6 && udp"), tap("far", ["eth2"], [{"tool": "a"}])]))
ok(at("--at", "eth1", "10.0.0.1", "10.0.0.2:80")[:2] == (0, [("eth1", "10.0.0.1:40000 → 10.0.0.2:80", ["web"]), ("eth1", "10.0.0.2:80 → 10.0.0.1:40000", [])]),
   "a connection between addresses at an interface: both ways, by whose map")
ok(at("--at", "eth1", "fd00::1", "[fd00::2]:53", "--proto", "udp")[1] ==
   [("eth1", "[fd00::1]:40000 → [fd00::2]:53", ["six"]), ("eth1", "[fd00::2]:53 → [fd00::1]:40000", ["six"])], "over IPv6, UDP")
status, _, said = at("--at", "eth1", "shop/page", "10.0.0.2:80")
ok(status == 2 and '"shop/page" is none' in said, "a name at an interface: refused, with what to say")
ok(at("--at", "eth9", "10.0.0.1", "10.0.0.2:80")[0] == 2 and at("--at", "eth1", "10.0.0.1", "10.0.0.2")[0] == 2, "an interface that no map names, a port that is missing: refused")
done()
