# SPDX-License-Identifier: Apache-2.0
"""Tool groups: BR26, BR27, BR30, BR33, BR34 with crafted sessions; who talks to whom is read here, not by Weft."""
import random
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
members = ["m1", "m2", "m3"]
dice = random.Random(7)


def spread(frames, name, weights=(1, 1, 1), **spec):
    write(f"{tmp}/{name}.pcap", frames)
    objects = [tool(m) for m in members[:len(weights)]] + [
        group("g", members=[{"tool": m, "weight": w} for m, w in zip(members, weights)], **spec), tap("all", ["e"], [{"group": "g"}])]
    r = Run(f"{tmp}/{name}", objects, [f"e={tmp}/{name}.pcap"])
    where = {}
    for m in members[:len(weights)]:
        for n in r.numbers(m + ".default"):
            where[n] = where.get(n, "") + m
    return r, where


def session():
    return (f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}", f"172.16.{dice.randrange(256)}.{dice.randrange(1, 255)}",
            dice.randrange(1024, 65536), dice.choice((80, 443, 53)))


def two_ways(s, make=tcp):
    proto = 6 if make is tcp else 17
    return [ip4(proto, make(s[2], s[3]), s[0], s[1]), ip4(proto, make(s[3], s[2]), s[1], s[0])]


sessions = [session() for _ in range(300)]
r, where = spread([eth(p) for s in sessions for p in two_ways(s)], "sessions")
ok(r.status == 0 and r.sums() and len(where) == 600 and all(where[2 * i] == where[2 * i + 1] for i in range(300)) and set(where.values()) == set(members),
   "BR26: both ways of 300 sessions reach the same one of three members")
groups = r.account("groups", "g")
ok(sum(m["packets"] for m in groups["members"]) == 600, "BR17: the group's accounts add up")

inner = [b"".join((struct.pack("!II", 0x08000000, 7 << 8), eth(p))) for s in sessions[:100] for p in two_ways(s)]
tunnel = [eth(ip4(17, udp(dice.randrange(1024, 65536), 4789, v), "192.0.2.1" if i % 2 else "192.0.2.2", "192.0.2.2" if i % 2 else "192.0.2.1"))
          for i, v in enumerate(inner)]
r, where = spread(tunnel, "inner", hash="Inner")
ok(all(where[2 * i] == where[2 * i + 1] for i in range(100)) and len(set(where.values())) == 3, "BR26: also through VXLAN, by the inner header")
r, where = spread(tunnel, "outer", hash="Outer")
ok(any(where[2 * i] != where[2 * i + 1] for i in range(100)), "and by the outer one they are apart: the setting matters")

pieces = []
for i in range(60):
    s, body = session(), udp(5000, 53, bytes(64))
    pieces += [eth(ip4(17, body[:40], s[0], s[1], i, 0x2000)), eth(ip4(17, body[40:], s[0], s[1], i, 5))]
r, where = spread(pieces, "pieces")
ok(all(where[2 * i] == where[2 * i + 1] for i in range(60)) and len(set(where.values())) == 3, "BR27: all fragments of a datagram follow the first one's member")

quotes = []
for s in sessions[:100]:
    there = ip4(6, tcp(s[2], s[3]), s[0], s[1])
    error = struct.pack("!BBHI", 3, 1, 0, 0) + there[:28]
    quotes += [eth(there), eth(ip4(1, error, "203.0.113.9", s[0]))]
r, where = spread(quotes, "quotes")
ok(all(where[2 * i] == where[2 * i + 1] for i in range(100)), "BR34: ICMP errors follow the session that they quote")
r, where = spread(quotes, "own", icmpErrorsFollowSession=False)
ok(any(where[2 * i] != where[2 * i + 1] for i in range(100)), "BR34: unless that is switched off")

other = [eth(bytes(dice.randrange(28, 60)), dice.choice((0x0806, 0x88CC, 0x1234))) for _ in range(100)]
r, where = spread(other, "other")
ok(len(set(where.values())) == 1 and len(where) == 100 and r.account("groups", "g")["notIP"] == 100, "BR33: non-IP packets go to one fixed member and are counted")

many = {session() for _ in range(10000)}
r, where = spread([eth(two_ways(s)[0]) for s in many], "weights", (3, 1))
share = sum(w == "m1" for w in where.values()) / len(many)
ok(len(where) == len(many) and abs(share - 0.75) < 0.02, f"BR30: weights 3:1 over {len(many)} random sessions: {100 * share:.1f} %")

r = Run(tmp + "/once", [tool("m1"), tool("m2"), group("g", members=[{"tool": "m1"}, {"tool": "m2"}]), tap("a", ["e"], [{"group": "g"}, {"tool": "m1"}]),
                        tap("b", ["e"], [{"group": "g"}])], [f"e={tmp}/sessions.pcap"])
two = r.numbers("m2.default")
ok(r.numbers("m1.default") == list(range(600)) and 0 < len(two) < 600 and len(two) == len(set(two)),
   "BR03: a tool that is named beside its group gets one copy, and two maps to one group send one")
done()
