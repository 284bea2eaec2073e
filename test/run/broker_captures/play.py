# SPDX-License-Identifier: Apache-2.0
"""Rings and captures of a host without a cluster, with real frames; tshark and tcpdump read what comes."""
import sys

sys.path.insert(0, "test/run/broker_plain")
from host import *

import atexit
import shutil

inode = os.stat("/proc/self/ns/net").st_ino
folder = f"/run/weft-broker/{inode}"
door = folder + "/control.sock"
atexit.register(shutil.rmtree, folder, ignore_errors=True)  # the audit log outlives its broker


def capture(*args, **more):
    return subprocess.run([WEFT, "capture", *args], capture_output=True, text=True, timeout=60, **more)


class Reader:
    """weft capture in the background, into a file; ready once its Capture runs."""

    def __init__(self, name, *args, stdout=subprocess.DEVNULL):
        self.path = f"{tmp}/{name}.pcapng"
        self.err = open(f"{tmp}/{name}.err", "w+")
        before = len(lines("download-start"))
        self.p = subprocess.Popen([WEFT, "capture", *(["-w", self.path] if stdout == subprocess.DEVNULL else ["-o", "pcapng"]), *args],
                                  stdout=stdout, stderr=self.err)
        wait(lambda: len(lines("download-start")) > before or self.p.poll() is not None)

    def end(self, how=signal.SIGINT):
        self.p.send_signal(how)
        return self.p.wait(30)

    def frames(self):
        return [p[3] for p in tcpdump(self.path) or []]

    def said(self):
        with open(self.err.name) as f:
            return f.read()


def lines(what):
    try:
        with open(folder + "/audit.log") as f:
            return [l for l in map(json.loads, f) if l["what"] == what]
    except FileNotFoundError:
        return []


def without_time(l):
    return {k: v for k, v in l.items() if k not in ("time", "node")}


first = [udp(53, i) for i in range(40)] + [tcp(80, i) for i in range(60)]
objects = [tool("kept", ring={"size": "4Mi"}), tool("seen", interface={"name": "tool0"}),
           tap("all", ["src0", "src1"], [{"tool": "kept"}]), tap("web", ["src0"], [{"tool": "seen"}], filter="tcp")]
r = capture("--broker", "--last", "60s", "-w", tmp + "/none.pcapng")
ok(r.returncode == 1 and "no weft broker runs" in r.stderr and "sudo weft broker FILE" in r.stderr, "without a broker: told, with what to do")

live = Live("host", objects)
live.epoch(1)
ok(wait(lambda: os.path.exists(door)) and (os.stat(door).st_mode & 0o777, os.stat(folder).st_mode & 0o777, os.stat(door).st_uid) == (0o600, 0o700, 0) and
   not os.path.exists(folder + "/audit.log"), "the door is root's alone, and there is no log before anybody looked")
r = capture("--broker", "--last", "60s", preexec_fn=lambda: os.setresuid(65534, 65534, 65534))
ok(r.returncode == 1 and "root's to see" in r.stderr, "who is not root is told so")

send(first)
wait(lambda: (live.accounts()[-1]["sources"][0]["seen"] if live.accounts() else 0) >= len(first), 5)
r = capture("--broker", "--last", "60s", "-w", tmp + "/last.pcapng")
got = [p[3] for p in tcpdump(tmp + "/last.pcapng")]
ok(r.returncode == 0 and got == first and f"{len(first)} packets" in r.stderr, "weft capture --last: what the ring has kept, byte by byte")
r = capture("--last", "60s", "tcp", "-w", tmp + "/tcp.pcapng")
ok(r.returncode == 0 and [p[3] for p in tcpdump(tmp + "/tcp.pcapng")] == first[40:], "where no cluster runs --broker need not be said; a filter holds")
r = capture("--last", "60s", "--ring", "seen", "-w", tmp + "/no.pcapng")
ok(r.returncode == 1 and "no tool of that name keeps packets" in r.stderr and "kept" in r.stderr, "a tool that is no ring: refused, with those that are")
bytes_of = sum(map(len, first))
ends = wait(lambda: lines("download-end")[1:] and lines("download-end"))
ok([without_time(l) for l in ends] == [{"what": "download-end", "user": ends[0]["user"], "tool": "kept", "packets": 100, "bytes": bytes_of, "dropped": 0}] * 2 and
   len(lines("download-start")) == 2 and ends[0]["user"], "BR87: each look into a ring is in the audit log, with who and how much")

# Live.
epochs = live.accounts()[-1]["epoch"]
a = Reader("a", "--broker", "udp && port == 53", "--interface", "src0")
b = Reader("b", "--broker")
send(first)
send([udp(53, 900 + i) for i in range(10)], "gen1")
wait(lambda: (live.accounts()[-1]["sources"][1]["seen"] if live.accounts() else 0) >= 10, 5)
r = capture("--broker", "port == 1 &&")
ok(r.returncode == 2 and "1:" in r.stderr, "a filter that is none: refused with its place")
r = capture("--broker", "--from", "svc/shop/cart", "-w", tmp + "/x.pcapng")
ok(r.returncode == 1 and "a broker has interfaces alone" in r.stderr, "pods and Services: refused, with what there is")
r = capture("--broker", "--dropped", "-w", tmp + "/x.pcapng")
ok(r.returncode == 1 and "before anybody's verdict" in r.stderr, "dropped packets: refused, since none are seen here")
ok(a.end() == 0 and a.frames() == first[:40], "live: what the filter takes at the interface, byte by byte, in order")
ok(b.end() == 0 and sorted(b.frames()) == sorted(first + [udp(53, 900 + i) for i in range(10)]), "live: without a filter all of every interface of the maps")
names = subprocess.run(["capinfos", "-I", b.path], capture_output=True, text=True).stdout
ok("/src0" in names and "/src1" in names, "BR79: one interface for each source, with its name")
starts, stops = lines("capture-start"), wait(lambda: lines("capture-end")[1:] and lines("capture-end")) or []
ok([s.get("filter") for s in starts] == ["udp && port == 53", None] and sorted((l["packets"], l["bytes"]) for l in stops) ==
   [(40, sum(map(len, first[:40]))), (110, sum(map(len, first)) + 10 * 60)] and len(lines("refused")) == 0,
   "BR87: each Capture's start and end is in the audit log, with filter, packets and bytes")
wait(lambda: live.accounts()[-1]["epoch"] >= epochs + 4)

# A reader that does not read, beside one that does.
many = [udp(7, i, 1400) for i in range(12000)]
slow = Reader("slow", "--broker", stdout=subprocess.PIPE)
slow.p.send_signal(signal.SIGSTOP)
fast = Reader("fast", "--broker", "--interface", "src0")
send(many)
wait(lambda: os.path.exists(fast.path) and os.path.getsize(fast.path) > 12000 * 1400, 20)
ok(fast.end() == 0 and len(fast.frames()) == 12000, "BR85: a reader beside a slow one has every packet")
slow.p.send_signal(signal.SIGCONT)
slow.p.send_signal(signal.SIGINT)
data = slow.p.communicate(timeout=30)[0]
with open(tmp + "/slow.pcapng", "wb") as f:
    f.write(data)
got = len(tcpdump(tmp + "/slow.pcapng"))
lost = [int(l.split(": ")[1].split()[0]) for l in slow.said().splitlines() if "not read fast enough" in l]
ok(0 < got < 12000 and lost == [12000 - got], f"BR85: a slow reader loses only its own packets, and shows the number ({got} + {lost})")
end = wait(lambda: [l for l in lines("download-end") if l["dropped"]])
ok(end and end[0]["dropped"] == lost[0] and end[0]["packets"] == got, "BR87: the audit log has what it got and lost")

# A killed weft-copier, a reader that is killed, a file with an error.
c = Reader("c", "--broker", "--interface", "src0")
children = subprocess.run(["pgrep", "-P", str(live.p.pid), "weft-copier"], capture_output=True, text=True).stdout.split()
os.kill(int(children[0]), signal.SIGKILL)
before = len(lines("download-start"))
wait(lambda: len(lines("download-start")) > before)
send([udp(9, i) for i in range(20)])
written(live.maps, objects + [tap("wrong", ["src0"], [{"tool": "nobody"}])])
wait(lambda: "nobody" in live.said())
d = Reader("d", "--broker", "--interface", "src0")
send([udp(10, i) for i in range(20)])
ok(d.end() == 0 and d.frames() == [udp(10, i) for i in range(20)], "a Capture begins while a file of the maps has an error")
ok(c.end() == 0 and c.frames() == [udp(9, i) for i in range(20)] + [udp(10, i) for i in range(20)] and "broke off 1 time" in c.said(),
   "weft-copier is killed: the stream goes on with the next one, and says so")
e = Reader("e", "--broker")
n = len(lines("capture-end"))
e.end(signal.SIGKILL)
ok(wait(lambda: len(lines("capture-end")) > n, 25), "a reader is killed: its Capture is over within 15 seconds")
written(live.maps, objects)
f = Reader("f", "--broker", "--interface", "src0")
send([udp(11, i) for i in range(20)])
status, account = live.end()
ok(status == 0 and account["complete"], "the broker ends while one captures: all sums match")
f.p.wait(30)
ok(f.frames() == [udp(11, i) for i in range(20)], "and the reader has all that was")
ok(sorted(os.listdir(folder)) == ["audit.log", "audit.log.1"] and os.stat(folder + "/audit.log").st_uid == 0 and
   len(lines("capture-end")) == len(lines("capture-start")), "what stays is the audit log")
done()
