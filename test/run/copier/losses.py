# SPDX-License-Identifier: Apache-2.0
"""weft-copier where things go wrong: readers and disks that stand still, a full disk, a kill, tools that fail. Each costs the
tool that it is about, and no other."""
import os, signal, socket, subprocess, sys, threading, time
from play import *

program, folder = sys.argv[1:3]
links(folder)
files = folder + "/files"
os.mkdir(files)
run("mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "none", files)
os.mkdir(files + "/small")
run("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", files + "/small")
feed = Feed()
c = Copier(program, folder, files)


def ports(path):
    out = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "udp.dstport"], capture_output=True, text=True)
    return [int(p) for p in out.stdout.split()], "".join(l for l in out.stderr.splitlines() if "Running as" not in l)


def statistics(body):
    """of the last block of each interface: {number: {option: value}}"""
    at, found = 0, {}
    while at + 12 <= len(body):
        kind, size = struct.unpack_from("<II", body, at)
        if kind == 5:
            options, where = {}, at + 20
            while where + 4 <= at + size - 4:
                code, n = struct.unpack_from("<HH", body, where)
                if n == 8:
                    options[code] = struct.unpack_from("<Q", body, where + 4)[0]
                where += 4 + (n + 3) // 4 * 4
            found[struct.unpack_from("<I", body, at + 8)[0]] = options
        at += size
    return found


def packets(body):
    at, n = 0, 0
    while at + 12 <= len(body):
        kind, size = struct.unpack_from("<II", body, at)
        n += kind == 6
        at += size
    return n, at == len(body)


# --- captures
capture = thing("Capture", "c1", {"from": [{"interface": {"name": "eth1"}}], "packets": "All"})
nothing = tool("none", discard=True)
try:
    c.get("/captures/c1/stream")
    check("a capture that nobody asked for is not there", False)
except LookupError as e:
    check("a capture that nobody asked for is not there", "404" in str(e))
r = c.config([capture, nothing, map_to("m", ["none"])], [ETH1 | {"sources": ["interface eth1"]}])
check("a Capture is in force", r["ok"], r)
feed(udp(1, 9), c.mark(1))
c.drained("capture", 1, "c1")
same("without a reader its packets have a loss of their own", c.tool("capture", "c1")["losses"], {"no-reader": 1})
quick, slow = c.open("/captures/c1/stream"), c.open("/captures/c1/stream")
head = quick.read1()
check("a stream begins with section and names before the first packet",
      head[:4] == b"\x0a\x0d\x0d\x0a" and b"shop/web" in head and b"clock: system clock" in head, head)
body = bytearray(head)
reader = threading.Thread(target=lambda: [body.extend(p) for p in iter(lambda: quick.read1(), b"")])
reader.start()
N = 30000
for i in range(N):
    feed(udp(i % 60000 + 1, 53, b"z" * 400), c.mark(1, OUT))
    if i % 500 == 0:
        time.sleep(0.002)
t = c.drained("capture", N + 1, "c1")
same("the capture's sums hold", (adds_up(t), t["due"], t["inFlight"]), (True, N + 1, 0))
until(lambda: packets(bytes(body))[0] >= N)
readers = sorted(c.tool("capture", "c1")["readers"], key=lambda r: r["lost"])
check("a reader that stands still loses its own packets only, and their number is told (BR85)",
      readers[0]["lost"] == 0 and readers[0]["sent"] == N and 0 < readers[1]["lost"] < N and
      readers[1]["lost"] + readers[1]["sent"] == N, readers)
same("no other tool lost one for it (BR22, BR23)", (c.tool("none")["due"], c.tool("none")["sent"]), (N + 1, N + 1))
c.config([nothing, map_to("m", ["none"])], [ETH1])
late = slow.read()
reader.join(10)
same("when the Capture goes, its streams end with whole blocks", (packets(bytes(body)), packets(late)),
     ((N, True), (readers[1]["sent"], True)))
st = statistics(late)
same("and the slow one's own statistics say what it lost (BR85)", [s[7] for s in st.values()], [readers[1]["lost"]])
with open(folder + "/quick.pcapng", "wb") as f:
    f.write(body)
same("tshark reads it", (len(ports(folder + "/quick.pcapng")[0]), ports(folder + "/quick.pcapng")[1]), (N, ""))

# --- a full disk, a disk that stands still
os.mkfifo(files + "/stuck.pcapng")
os.chmod(files + "/stuck.pcapng", 0o666)
stuck = os.open(files + "/stuck.pcapng", os.O_RDONLY | os.O_NONBLOCK)
objects = [nothing, tool("full", file={"path": "small/full.pcapng"}), tool("stuck", file={"path": "stuck.pcapng"}, health={"withinSeconds": 1}),
           tool("good", file={"path": "deep/er/good.pcapng"}), map_to("m", ["none", "full", "stuck", "good"])]
check("files are in force", c.config(objects, [ETH1])["ok"])
before = c.tool("none")["due"]
N = 24000
for i in range(N):
    feed(udp(7, i % 60000 + 1, b"z" * 500), c.mark(1))
    if i % 500 == 0:
        time.sleep(0.003)
good, full = c.drained("good", N), c.drained("full", N)
same("a tool beside them has everything (BR23)", (good["due"], good["sent"], good["losses"]), (N, N, {}))
check("a full disk is counted as disk, apart from all else, and the sums hold (BR83)",
      adds_up(full) and set(full["losses"]) == {"disk"} and full["losses"]["disk"] + full["sent"] == N, full)
got, err = ports(files + "/small/full.pcapng")
same("its file is whole and has what was counted as sent (BR83)", (len(got), err), (full["sent"], ""))
check("a tool whose disk is full is told of", not full["taking"])
s = c.tool("stuck")
check("a disk that stands still fills its own queue: what had no room is counted there (BR22)",
      adds_up(s) and set(s["losses"]) == {"queue"} and s["inFlight"] > 0, s)
check("and is unhealthy within the time that was set (BR31)", until(lambda: not c.tool("stuck")["taking"], 3))
os.set_blocking(stuck, True)
threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(stuck, 1 << 20), b"")], daemon=True).start()
check("when it goes on, the tool takes packets again", until(lambda: (t := c.tool("stuck"))["taking"] and not t["inFlight"]), c.tool("stuck"))
s = c.tool("stuck")
check("and nothing is in flight any more (BR18)", adds_up(s) and s["sent"] + s["losses"]["queue"] == N, s)

# --- killed in the middle
stop = False


def pour():
    i = 0
    while not stop:
        feed(udp(8, i % 60000 + 1, b"z" * 300), c.mark(1))
        i += 1
        if i % 200 == 0:
            time.sleep(0.004)


p = threading.Thread(target=pour)
p.start()
until(lambda: c.tool("good")["due"] > N + 2000)
sent = c.tool("good")["sent"]
c.process.send_signal(signal.SIGKILL)
c.process.wait()
stop = True
p.join()
got, err = ports(files + "/deep/er/good.pcapng")
check("killed while it writes, the file is read to its last whole block (BR80)", len(got) >= sent > N and err == "", (len(got), sent, err))
c.start(files)
check("a new one takes the same CONFIG", c.config(objects[:1] + objects[3:4] + [map_to("m", ["good"])], [ETH1])["ok"])
feed(udp(9, 4711), c.mark(1))
c.drained("good", 1)
same("what the killed one wrote is kept under another name", (ports(files + "/deep/er/good.1.pcapng")[0], ports(files + "/deep/er/good.pcapng")[0]),
     (got, [4711]))
check("nothing is reported of before (BR21)", c.account()["ring"]["received"] == 1 and c.account()["began"] > 0)

# --- links
os.mkdir(folder + "/outside")
os.chown(folder + "/outside", NOBODY, NOBODY)
os.symlink(folder + "/outside/a.pcapng", files + "/link.pcapng")
os.symlink(folder + "/outside", files + "/way")
with open(folder + "/outside/b.pcapng", "wb") as f:
    f.write(b"mine")
os.chown(folder + "/outside/b.pcapng", NOBODY, NOBODY)
c.config([tool("link", file={"path": "link.pcapng"}), tool("way", file={"path": "way/b.pcapng"}), tool("deep", file={"path": "way/new/c.pcapng"}),
          map_to("m", ["link", "way", "deep"])], [ETH1])
feed(udp(9, 4711), c.mark(1))
c.drained("link", 1)
same("nothing is written, made or renamed through a link", (sorted(os.listdir(folder + "/outside")), open(folder + "/outside/b.pcapng").read()),
     (["b.pcapng"], "mine"))
check("such tools take nothing, and say so", until(lambda: not any(c.tool(n)["taking"] for n in ("link", "way", "deep")), 3) and
      all(c.drained(n, 1)["losses"] for n in ("link", "way", "deep")), c.account()["tools"])

# --- rotation
rows = [tool("row", file={"path": "row.pcapng", "rotate": {"size": "100k", "count": 3}}), map_to("m", ["row"])]
c.config(rows, [ETH1])
for i in range(1000):
    feed(udp(9, i + 1, b"z" * 500), c.mark(1))
t = c.drained("row", 1000)
names = sorted(n for n in os.listdir(files) if n.startswith("row"))
got = [p for n in names for p in ports(f"{files}/{n}")[0]]
check("a row of files keeps the newest, each whole", len(names) == 3 and names[0] != "row-00001.pcapng" and got == list(range(1001 - len(got), 1001)),
      (names, len(got)))
check("each is at most as large as was said", all(os.path.getsize(f"{files}/{n}") <= 102400 for n in names))

# --- groups
back = Back()
group = thing("ToolGroup", "ids", {"members": [{"tool": "a"}, {"tool": "b"}], "standby": {"tool": "spare"}})
objects = [tool("a", interface={"name": "a"}), tool("b", interface={"name": "b"}), tool("spare", interface={"name": "s"}),
           thing("TrafficMap", "m", {"from": [{"interface": {"name": "eth1"}}], "to": [{"group": "ids"}]}), group]


def deal(n):
    back.take()
    for i in range(n):
        feed(udp(20000 + i, 53), c.mark(1))
    return [(o, f[34:36]) for o, f in back.wait(n, 3)]


way = lambda *names: [{"tool": n, "port": "default", "number": k + 1, "direct": []} for k, n in enumerate(["a", "b", "spare"]) if n in names]
c.config(objects, [ETH1], outlets=way("a", "b", "spare"))
both = deal(400)
check("a group deals sessions to its members", {o for o, _ in both} == {1, 2} and len(both) == 400)
c.config(objects, [ETH1], outlets=way("a", "spare"))
one = deal(400)
check("without a member the others' sessions stay (BR28)", {o for o, _ in one} == {1} and {s for o, s in both if o == 1} <= {s for o, s in one})
c.config(objects, [ETH1], outlets=way("spare"))
same("without any the standby takes over (BR32)", {o for o, _ in deal(50)}, {3})
del group["spec"]["standby"]
c.config(objects, [ETH1])
deal(50)
same("without one its packets are counted as down (BR32)", [g["down"] for g in c.account()["groups"]], [50])

# --- outlets that the kernel cannot serve
kernel = Outlets()
kernel.give(c)
group["spec"]["standby"] = {"tool": "spare"}
for t in objects[:3]:
    t["spec"]["health"] = {"withinSeconds": 1}
c.config(objects, [ETH1], outlets=way("a", "b", "spare"))
check("all tools take packets", until(lambda: all(c.tool(n)["taking"] for n in ("a", "b", "spare"))))
kernel.add(1, sent=100)
kernel.add(2, failed=50)
check("an interface that refuses all counts as failed (BR31)", until(lambda: not c.tool("b")["taking"], 3) and c.tool("a")["taking"])
same("its sessions go to the other member (BR28)", {o for o, _ in deal(200)}, {1})
check("after the time that was set it is tried again", until(lambda: c.tool("b")["taking"], 4))
kernel.add(1, unreachable=1)
kernel.add(2, failed=1)
check("members that fail leave it to the standby (BR32)", until(lambda: not c.tool("a")["taking"] and not c.tool("b")["taking"], 3) and
      {o for o, _ in deal(50)} == {3})
kernel.add(1, sent=1)
check("one that takes packets again has its sessions back", until(lambda: c.tool("a")["taking"], 1) and {o for o, _ in deal(50)} == {1})

# --- captures end
c.config([thing("Capture", "short", {"from": [{"interface": {"name": "eth1"}}], "seconds": 1})], [ETH1])
began = time.monotonic()
short = c.open("/captures/short/stream")
feed(udp(1, 53), c.mark(1))
body = short.read()
check("a Capture with seconds ends its streams by itself", packets(body) == (1, True) and 0.5 < time.monotonic() - began < 4,
      (packets(body), time.monotonic() - began))
# What the kernel has taken before its end is delivered, however late weft-copier is.
c.config([thing("Capture", "late", {"from": [{"interface": {"name": "eth1"}}], "seconds": 4}), tool("last", file={"path": "last.pcapng"}),
          map_to("m", ["last"])], [ETH1])
began = time.monotonic()
short = c.open("/captures/late/stream")
short.read1()
time.sleep(max(0, began + 0.6 - time.monotonic()))
c.process.send_signal(signal.SIGSTOP)
N = 20000  # more than weft-copier takes out of the ring at once
for i in range(N):
    feed(udp(2, i % 60000 + 1), c.mark(1))
time.sleep(max(0, began + 4.8 - time.monotonic()))
for i in range(50):
    feed(udp(3, i + 1), c.mark(1))
c.process.send_signal(signal.SIGCONT)
same("what was in the packet ring when a Capture ended is in its stream, what came later is not", packets(short.read()), (N, True))
t = c.tool("capture", "late")
same("and what came later has a name", (t["due"], t["sent"], t["losses"]), (N + 50, N, {"no-reader": 50}))
c.drained("last", N + 50)
c.process.send_signal(signal.SIGSTOP)
for i in range(300):
    feed(udp(4, i + 1), c.mark(1))
c.control.close()
c.peer.close()
c.process.send_signal(signal.SIGCONT)
same("it ends with its control socket", c.process.wait(15), 0)
same("and files have what was in the packet ring then", len(ports(files + "/last.pcapng")[0]), N + 350)
finish()
