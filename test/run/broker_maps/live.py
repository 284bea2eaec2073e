# SPDX-License-Identifier: Apache-2.0
"""A thousand maps of src0. Each frame has a number, so that what a tool heard is a list of numbers."""
import collections
import os
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, "test/run/broker_plain")
from host import *

N, FIRST = 1000, 20000
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # frames then come in the order in which they were sent
IDS = {"a": "end0", "b": "end1", "left": "end2"}
tools = [tool(t, interface={"name": f"tool{i}"}) for i, t in enumerate(IDS)]


def numbers_of(ear):
    """Numbers of the frames that a tool heard; what is no frame of ours is none."""
    return [struct.unpack("!H", f[18:20])[0] for f in ear.frames() if f[12:14] == b"\x08\x00" and f[23] == 17]


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private"))


def played(name, objects, frames):
    """What the tools heard, live and over a capture, and both accounts."""
    write(f"{tmp}/{name}.pcap", frames)
    offline = Run(f"{tmp}/{name}-offline", objects, [f"src0={tmp}/{name}.pcap"])
    ears = {t: Ear(e) for t, e in IDS.items()}
    live = Live(name, objects)
    live.epoch(1)
    send(frames)
    wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(frames))
    status, last = live.end()
    heard = {t: numbers_of(e) for t, e in ears.items()}
    ok(status == 0 and last["complete"] and all(t["sumsMatch"] and t["inFlight"] == 0 for t in last["tools"]), f"BR17 {name}: all sums match, nothing is in flight")
    seen = last["sources"][0]
    ok(seen["seen"] == len(frames) == seen["classified"] + seen["unparsable"], f"BR16 {name}: {len(frames)} seen, each of them judged")
    there = collections.defaultdict(lambda: {"due": 0}, {t["tool"]: t for t in offline.accounts["tools"]})
    for t in last["tools"]:
        if t["due"] != there[t["tool"]]["due"]:
            print("#", t, there[t["tool"]])
    ok(all(t["due"] == there[t["tool"]]["due"] for t in last["tools"]), f"{name}: as many are due to each tool as over the capture")
    over, counted = ({m.get("map") or m["name"]: m for m in a["maps"]} for a in (offline.accounts, last))
    # of what went straight to a tool that several maps share nobody knows whose it was, and the account says so
    wrong = [m for m in counted.values() if m["packets"] > over[m["name"]]["packets"] or m["packets"] < over[m["name"]]["packets"] and not m.get("part")]
    ok(over.keys() == counted.keys() and not wrong, f"{name}: each of {len(over)} maps counts as many, or says that it counts a part: {wrong[:2]}")
    return heard, {t["tool"]: t for t in last["tools"]}, {m: over[m]["packets"] for m in over}


def same(got, want, what):
    if got != want:
        more, less = collections.Counter(got) - collections.Counter(want), collections.Counter(want) - collections.Counter(got)
        print(f"# {len(got)} of {len(want)}; too many: {sorted(more)[:8]}, missing: {sorted(less)[:8]}")
    ok(got == want, what)


def dealt(n, more=()):
    """Each map asks for a port of its own; every second one for tool b."""
    return tools + [tap(f"m{i}", ["src0"], [{"tool": "ab"[i % 2]}], filter=f"udp && dst.port == {FIRST + i}") for i in range(n)] + list(more)


rest = tap("remainder", ["src0"], [{"tool": "left"}], rest=True)

# --- none ---
heard, said, maps = played("none", dealt(N), [udp(100 + i % 50, i) for i in range(2000)])
ok(heard == {"a": [], "b": [], "left": []} and said["a"]["due"] == said["b"]["due"] == 0 and not any(maps.values()),
   f"BR06 none: {len(maps)} maps take nothing of 2000 packets, no tool gets one")

# --- some ---
frames = [udp(FIRST + i // 2 if i % 2 else 100, i) for i in range(2 * N)]
heard, said, maps = played("some", dealt(N, [rest]), frames)
same(heard["a"], [i for i in range(2 * N) if i % 2 and i // 2 % 2 == 0], "some: a gets what its 500 maps ask for, once each, in order")
same(heard["b"], [i for i in range(2 * N) if i % 2 and i // 2 % 2], "... and b what its own do")
same(heard["left"], [i for i in range(2 * N) if not i % 2], "BR08 ... and the rest is what none of the thousand took")
ok(len(maps) == N + 1 and all(maps[f"m{i}"] == 1 for i in range(N)) and maps["remainder"] == N,
   "... each map's own count is one, the rest's is the other half")

# --- all ---
heard, said, maps = played("all", tools + [tap(f"m{i}", ["src0"], [{"tool": "ab"[i % 2]}], filter=f"udp && dst.port != {FIRST + i}") for i in range(N)] + [rest],
                              [udp(100 + i % 50, i) for i in range(2000)])
same(heard["a"], list(range(2000)), "BR03 all: five hundred maps take each packet for a, which gets one copy of each")
same(heard["b"], list(range(2000)), "... and five hundred for b")
ok(heard["left"] == [] and said["left"]["due"] == 0, "BR08 ... and nothing is left")
ok(all(maps[f"m{i}"] == 2000 for i in range(N)), "... each of the thousand counts each packet")

# --- "only what M did not take", a thousand times ---
objects = tools + [tap(f"m{i}", ["src0"], [{"tool": "a"}], filter=f"udp && dst.port == {FIRST + i}") for i in range(N // 2)]
objects += [tap(f"x{i}", ["src0"], [{"tool": "b"}], filter=f"udp && dst.port >= {FIRST + i} && dst.port <= {FIRST + i + 1}", **{"except": [f"m{i}"]}) for i in range(N // 2)]
frames = [udp(FIRST + i, i) for i in range(N // 2 + 1)]
heard, said, maps = played("except", objects, frames)
same(heard["a"], list(range(N // 2)), "except: a gets what five hundred maps ask for")
# x(i) has left what m(i) took of its two ports
same(heard["b"], list(range(1, N // 2 + 1)), "BR07 ... and b what each of five hundred others leaves of its own one")
ok(all(maps[f"x{i}"] == 1 for i in range(N // 2)), "... by each one's count")

# --- one of a thousand changes while packets come ---
live = Live("change", dealt(N))
live.epoch(1)
ears = {t: Ear(e) for t, e in IDS.items()}
pids = subprocess.run(["pgrep", "-P", str(live.p.pid), "weft-copier"], capture_output=True, text=True).stdout.split()
before = resident(live.p.pid)
stop, sent = threading.Event(), []


def steadily():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("gen0", 0))
    while not stop.is_set() and len(sent) < 60000:
        i = len(sent)
        s.send(udp(FIRST + 499 + i % 3, i))  # of m499, m500 and m501
        sent.append(i)
        if i % 20 == 19:
            time.sleep(0.004)
    s.close()


t = threading.Thread(target=steadily)
t.start()
changed = [i for i in dealt(N)]
ROUNDS = 6
for turn in range(ROUNDS):
    m = [o for o in changed if o["metadata"]["name"] == "m500"]
    if turn % 3 == 2:
        changed = dealt(N)
    elif turn % 3 == 1:
        changed = [o for o in dealt(N) if o["metadata"]["name"] != "m500"]
    else:
        m[0]["spec"]["filter"] = f"udp && dst.port == {FIRST + N + turn}"
    written(live.maps, changed)
    live.epoch(2 + turn)
last_epoch = live.accounts()[-1]["epoch"]
stop.set()
t.join()
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(sent))
after = resident(live.p.pid)
status, last = live.end()
heard = {k: numbers_of(e) for k, e in ears.items()}
ok(status == 0 and last_epoch == 1 + ROUNDS and last["complete"], f"change: {ROUNDS} changes of one map of a thousand while {len(sent)} packets come; all sums match")
same(heard["b"], [i for i in sent if i % 3 != 1], "BR10 BR12 ... the two beside it lose nothing, and get nothing twice")
some = [i for i in sent if i % 3 == 1]
of = set(some)
ok(set(heard["a"]) <= of and len(heard["a"]) == len(set(heard["a"])) and 0 < len(heard["a"]) < len(some), "... and what it takes itself begins and ends with it, once each")
print(f"# weft broker: {before} KiB at first, {after} KiB after {ROUNDS} changes")
ok(after < before + (32 << 10), "... in memory that stays")
done()
