# SPDX-License-Identifier: Apache-2.0
"""weft-copier alone, with real packets: what it judges, hands out, writes and counts."""
import os, subprocess, sys, threading, time
from play import *

program, folder = sys.argv[1:3]
links(folder)
files = folder + "/files"
os.mkdir(files)
os.chown(files, NOBODY, NOBODY)
feed, back = Feed(), Back()
c = Copier(program, folder, files)


def fields(path, *names, filter=""):
    cmd = ["tshark", "-r", path, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    for n in names:
        cmd += ["-e", n]
    if filter:
        cmd += ["-Y", filter]
    return [l.split("\t") for l in subprocess.run(cmd, capture_output=True, text=True).stdout.splitlines()]


# --- configurations
same("CONFIG is taken", c.config([], []), {"epoch": 1, "ok": True})
r = c.config([map_to("m", ["nobody"])], [ETH1])
check("a map without its tool is refused with the reason", not r["ok"] and "nobody" in r["error"], r)
r = c.config([tool("ids", discard=True), map_to("m", ["ids"])], [ETH1 | {"sources": ["interface eth9"]}])
check("a place with a source that no map names is refused", not r["ok"] and "source" in r["error"], r)
c.epoch = 4

# --- tools: overlap, accounts, frames
objects = [tool("all", interface={"name": "t1"}), tool("web", interface={"name": "t2"}), tool("gone", interface={"name": "t3"}),
           tool("none", discard=True),
           tool("disk", file={"path": "disk.pcapng"},
                ports=[{"name": "default", "chain": {"mask": {"ranges": [{"from": "Payload"}], "fill": 42}}}]),
           tool("last", ring={"size": "1Mi"}),
           map_to("everything", ["all", "none", "disk", "last"], packets="All"), map_to("http", ["web", "all"], "dst.port == 80"),
           map_to("away", ["gone"], "dst.port == 80"), map_to("left", ["web"], rest=True)]
outlets = [{"tool": "all", "port": "default", "number": 5, "direct": []},
           {"tool": "web", "port": "default", "number": 1000, "direct": []}]
r = c.config(objects, [ETH1], outlets=outlets)
check("tools and maps are in force", r["ok"], r)
back.take()
for i in range(300):
    feed(udp(1000 + i, 80 if i % 3 == 0 else 53), c.mark(1, OUT if i % 2 else 0))
for i in range(7):
    feed(udp(2000 + i, 53), c.mark(1, DROPPED, 3))
got = back.wait(407)
same("one copy for each tool that maps send it to (BR03)", (sum(o == 5 for o, _ in got), sum(o == 1000 for o, _ in got)),
     (307, 100))
same("frames arrive as they were seen, without the outlet's tag", {f for o, f in got if o == 1000},
     {udp(1000 + i, 80) for i in range(0, 300, 3)})
t = c.drained("disk", 307)
a = c.account()
same("what was received is judged", (a["ring"]["received"], a["ring"]["judged"], a["ring"]["unknown"], a["ring"]["lost"]),
     (307, 307, 0, 0))
same("of the place: received = classified + unparsable (BR16)",
     [(p["received"], p["classified"], p["unparsable"]) for p in a["places"]], [(307, 307, 0)])
check("for every tool, due + added = sent + each loss, and nothing is in flight (BR17, BR18)",
      len(a["tools"]) == 6 and all(adds_up(t) and not t["inFlight"] for t in a["tools"]), a["tools"])
same("what is due by tool", {t["tool"]: t["due"] for t in a["tools"]},
     {"all": 307, "web": 100, "gone": 100, "none": 307, "disk": 307, "last": 307})
same("a tool of which the node knows no way has a loss of its own", c.tool("gone")["losses"], {"no-outlet": 100})
same("packets by map", {m["name"]: m["packets"] for m in a["maps"]}, {"away": 100, "everything": 307, "http": 100, "left": 0})
metrics = c.get("/metrics").decode()
check("/metrics has the same numbers", 'weft_tool_sent_packets_total{node="node-1",tool="disk",port="default"} 307' in metrics
      and 'reason="no-outlet"} 100' in metrics, metrics)

# --- epochs
feed(udp(1, 80), c.mark(1, epoch=63))
feed(udp(1, 80), c.mark(2))
until(lambda: c.account()["ring"]["unknown"] == 2)
same("copies of an unknown epoch or place are counted and go nowhere", (c.account()["ring"]["unknown"], back.take()), (2, []))
old = c.mark(1)
r = c.config(objects[:6] + [map_to("everything", ["none"], packets="All")], [ETH1], outlets=outlets)
feed(udp(1, 80), old)
feed(udp(2, 80), c.mark(1))
got = back.wait(2, 3)
same("a packet is judged wholly by the epoch by which the kernel judged it (BR12)", sorted(o for o, _ in got), [5, 1000])
t = c.drained("none", 309)
same("a tool keeps its numbers over epochs", (t["due"], t["sent"]), (309, 309))

# --- the file
until(lambda: c.drained("disk", 308) and c.account()["epoch"] and len(c.account()["tools"]), 1)
r = c.config([], [])
until(lambda: len(fields(files + "/disk.pcapng", "frame.number")) == 308 and b"\x05\x00\x00\x00" in open(files + "/disk.pcapng", "rb").read()[-200:], 12)
rows = fields(files + "/disk.pcapng", "frame.interface_name", "frame.packet_flags_direction", "frame.comment", "udp.payload", "ip.src_host")
same("the file has each packet once", len(rows), 308)
same("its interface is the source, with the node (BR79)", {r[0] for r in rows}, {"node-1/eth1"})
same("payload is masked in all of them, and the comment says so (BR49, BR88)",
     ({r[3] for r in rows}, {r[2] for r in rows}), ({"2a" * 18}, {"masked", "dropped: " + rows[-2][2][9:-8] + "; masked"}))
same("direction is the place's", sum(int(r[1], 16) == 2 for r in rows), 150)
info = subprocess.run(["capinfos", "-T", "-r", "-c", files + "/disk.pcapng"], capture_output=True, text=True)
check("capinfos reads it", info.stdout.split()[-1] == "308", info)

# --- the ring
c.config(objects, [ETH1], outlets=outlets)
for i in range(20000):
    feed(udp(5000, i % 60000 + 1, b"y" * 100), c.mark(1))
t = c.drained("last", 308 + 20000)
body = c.get("/rings/last/stream")
with open(folder + "/ring.pcapng", "wb") as f:
    f.write(body)
ports = [int(r[0]) for r in fields(folder + "/ring.pcapng", "udp.dstport")]
check("a ring has the newest packets that fit, in their order", 3000 < len(ports) < 8000 and ports == list(range(20001 - len(ports), 20001)),
      (len(ports), ports[:3], ports[-3:]))
time.sleep(1.2)
feed(udp(1, 4242), c.mark(1))
c.drained("last", 308 + 20001)
with open(folder + "/ring.pcapng", "wb") as f:
    f.write(c.get("/rings/last/stream?port=default&last=1"))
same("and gives those of the last seconds", fields(folder + "/ring.pcapng", "udp.dstport"), [["4242"]])

# --- the same packet at two places, seen by two CPUs
two = tool("once", ports=[{"name": "default", "chain": {"dedup": {"windowMicroseconds": 5000000}}}], file={"path": "once.pcapng"})
both = thing("TrafficMap", "both", {"from": [{"interface": {"name": n}} for n in ("eth1", "eth2")], "to": [{"tool": "once"}]})
ETH2 = {"point": 2, "ifindex": 8, "name": "eth2", "kind": "interface", "sources": ["interface eth2"]}
c.config([two, both], [ETH1, ETH2])
cpus, feeds = sorted(os.sched_getaffinity(0)), [Feed(), Feed()]


def from_cpu(n):
    os.sched_setaffinity(threading.get_native_id(), {cpus[n % len(cpus)]})
    for i in range(500):
        feeds[n](udp(30000 + i, 53), c.mark(n + 1))


threads = [threading.Thread(target=from_cpu, args=(n,)) for n in (0, 1)]
[t.start() for t in threads]
[t.join() for t in threads]
t = c.drained("once", 1000)
same("duplicates are matched across places and CPUs: one delivered, one counted (BR04, BR35, BR44)",
     (t["due"], t["sent"], t["losses"]), (1000, 500, {"duplicate": 500}))
rows = until(lambda: len(r := fields(files + "/once.pcapng", "udp.srcport")) == 500 and r) or []
same("each packet once", sorted(int(r[0]) for r in rows), list(range(30000, 30500)))

same("it ends with its control socket", c.end(), 0)
finish()
