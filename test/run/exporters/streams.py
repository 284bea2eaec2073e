# SPDX-License-Identifier: Apache-2.0
# Called by exporters_streams.sh: WEFT NAME CHECKS-SO-FAR FOLDER. FOLDER/disk is a file system of 64 MiB.
import glob, json, os, socket, subprocess, sys, threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from collections import Counter  # noqa: E402

from collector import Tcp  # noqa: E402
from common import Exporter, Refused, ended, exporter, lost  # noqa: E402
from pod_calls import finish, folder, name, ok, wait_for, weft  # noqa: E402

refused = Refused()
port = 0


def next_port():
    global port
    port += 1
    return port


def settled():
    """All that was sent is in the hub: what begins now has none of it."""
    return wait_for(lambda: ended() == len(refused.sent), 60)


def sent(to):
    return Counter(x for x in refused.sent if x[0] == to)


def key(record):
    return record["to"]["port"], record["bytes"]["there"]


def lines(path):
    """Records of a file; a line that is none fails."""
    with open(path, "rb") as f:
        text = f.read()
    assert not text or text.endswith(b"\n"), path
    return [json.loads(x) for x in text.splitlines()]


class Reader:
    """A Unix socket's reader that counts lines; with `stands` it takes the connection and reads nothing until it is told."""

    def __init__(self, path, stands=False):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        self.server.settimeout(0.1)
        self.records, self.go, self.closing, self.bad = [], threading.Event(), False, 0
        if not stands:
            self.go.set()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        buf, c = b"", None
        while not self.closing:
            try:
                if not c:
                    c, _ = self.server.accept()
                    c.settimeout(0.1)
                if not self.go.wait(0.1):
                    continue
                p = c.recv(65536)
            except TimeoutError:
                continue
            if not p:
                c, buf = None, b""
                continue
            buf += p
            *whole, buf = buf.split(b"\n")
            for x in whole:
                self.records.append(key(json.loads(x)))

    def close(self):
        self.closing = True
        self.thread.join()
        self.server.close()


# --- a file that turns over, an exporter that is killed
path, at = folder + "/flows.json", next_port()
x = Exporter("--new", "--to", "file:" + path, "--file-size", "1", "--files", "5", "--state", folder + "/file.state")
for i in range(8):
    refused.send(1000, at)
    x.kill()
    x.start()
wait_for(lambda: exporter(x.to, "waiting_records") == 0 and sum(len(lines(p)) for p in glob.glob(path + "*")) >= 8000)
files = sorted(glob.glob(path + "*"))
got = Counter(key(r) for p in files for r in lines(p))
ok("a file turns over by size: %d files, none larger than 1 MiB" % len(files), 3 < len(files) <= 5 and all(os.path.getsize(p) <= 1 << 20 for p in files), [(p, os.path.getsize(p)) for p in files])
ok("an exporter that was killed eight times wrote each of 8000 records once", got == sent(at) and lost(x.to, "unsure") == 0, (sum(got.values()), (got - sent(at)).most_common(3), (sent(at) - got).most_common(3)))
os.rename(path, folder + "/moved.json")
moved = len(lines(folder + "/moved.json"))
refused.send(3, next_port())
ok("a file that was moved away is begun anew", wait_for(lambda: os.path.exists(path) and len(lines(path)) == 3) and len(lines(folder + "/moved.json")) == moved)
refused.send(20000, next_port())
ok("and no more than five are kept", wait_for(lambda: os.path.exists(path + ".4") and exporter(x.to, "waiting_records") == 0) and len(glob.glob(path + "*")) == 5, glob.glob(path + "*"))
x.end()

# --- killed within a batch: its reader took the first chunk of it, and stands
settled()
slow, at = Reader(folder + "/slow.sock", stands=True), next_port()
refused.send(3000, at)
settled()
x = Exporter("--to", "unix:" + folder + "/slow.sock", "--state", folder + "/slow.state", "dst.port == %d" % at)
for i in range(3):
    wait_for(lambda: exporter(x.to, "standing") == 1)
    part = exporter(x.to, "records_total")
    x.kill()
    x.start()
slow.go.set()
ok("an exporter that is killed three times within a batch (after %d of 3000 records) goes on within it" % part,
   0 < part < 1000 and wait_for(lambda: len(slow.records) >= 3000 and exporter(x.to, "waiting_records") == 0) and Counter(slow.records) == sent(at) and lost(x.to, "unsure") == 0,
   (part, len(slow.records), (Counter(slow.records) - sent(at)).most_common(3), (sent(at) - Counter(slow.records)).most_common(3), lost(x.to, "unsure"), x.said()))
x.end()
slow.close()

# --- TCP: a collector that says goodbye four times, and is gone for a while
settled()
collector, at = Tcp(stops=[20000, 50000, 1500, 90000]), next_port()
x = Exporter("--new", "--to", "tcp://127.0.0.1:%d" % collector.port, "--names", "32473")
for i in range(20):
    refused.send(250, at)
    wait_for(lambda: exporter(x.to, "records_total") >= len([1 for p in refused.sent if p[0] == at]) - 250)
ok("IPFIX over TCP, to a collector that closes the connection four times: each of 5000 records once",
   wait_for(lambda: len(collector.reading.records) >= 5000 and exporter(x.to, "records_total") == 5000) and collector.connections == 5 and not collector.reading.bad and
   Counter((r["dport"], r["bytes"]) for r in collector.reading.records) == sent(at), (len(collector.reading.records), collector.connections, collector.reading.bad[:3], exporter(x.to, "records_total")))
named = collector.reading.records[0]
ok("with names under the enterprise number that was given", named[(32473, 1)] == "default/near" and named[(32473, 2)] == "default/shut" and named[(32473, 6)] == "policy-ingress", named)
collector.close()
refused.send(100, at)
ok("a collector that is gone is waited for", wait_for(lambda: exporter(x.to, "standing") == 1) and "waiting" in x.said(), x.said())
again = Tcp(collector.port)
again.reading.next = {}
ok("and has what waited when it is back", wait_for(lambda: len(again.reading.records) == 100) and sum(lost(x.to, c) for c in ("behind", "unsure", "refused")) == 0, len(again.reading.records))
x.end()
again.close()

# --- standard output, and a reader that ends
settled()
at = next_port()
p = subprocess.Popen([weft, "export", "-f", "--new", "--name", name, "dst.port == %d" % at], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wait_for(lambda: exporter("-", "up") == 1)
refused.send(5, at)
read = [key(json.loads(p.stdout.readline())) for _ in range(5)]
ok("lines on standard output, as they end", Counter(read) == sent(at), read)
p.stdout.close()
refused.send(5, at)
ok("a reader that ends, ends it", wait_for(lambda: p.poll() is not None), p.poll())
p.kill()
p.wait()

# --- a full disk and a reader that stands still, beside one that reads
settled()
full, at = folder + "/disk/flows.json", next_port()
filler = open(folder + "/disk/filler", "wb", buffering=0)
good, bad = Reader(folder + "/good.sock"), Reader(folder + "/bad.sock", stands=True)
reads = Exporter("--new", "--to", "unix:" + folder + "/good.sock")
stands = Exporter("--new", "--to", "unix:" + folder + "/bad.sock")
disk = Exporter("--new", "--to", "file:" + full)
refused.send(100, at)
wait_for(lambda: exporter(disk.to, "records_total") == 100 and exporter(reads.to, "records_total") == 100)
try:
    while True:
        os.write(filler.fileno(), b"x" * 4096)
except OSError:
    pass
begun = ended()
for i in range(20):
    refused.send(4500, at, 20)
entered = wait_for(lambda: ended() - begun >= 90000 and ended() - begun, 60) or ended() - begun
total = entered + 100
ok("90000 records, more than the hub keeps of drops", entered == 90000, entered)
ok("a full disk stops the file's exporter, and a reader that stands still its own", wait_for(lambda: exporter(disk.to, "standing") == 1 and exporter(stands.to, "standing") == 1), (disk.said(), stands.said()))
ok("BR24 the one that reads has each record once", wait_for(lambda: len(good.records) >= total, 60) and Counter(good.records) == sent(at) and sum(lost(reads.to, c) for c in ("behind", "unsure")) == 0,
   (len(good.records), total, (Counter(good.records) - sent(at)).most_common(3), lost(reads.to, "behind")))
ok("the file holds whole lines", len(lines(full)) >= 100 and not Counter(key(r) for r in lines(full)) - sent(at))
waits = exporter(disk.to, "waiting_records")
ok("what waits is told", waits > 60000, waits)
filler.close()
os.unlink(folder + "/disk/filler")
bad.go.set()
ok("BR24 the reader goes on, and what came and what was lost is all: %d lost" % (lost(stands.to, "behind") or 0),
   wait_for(lambda: len(bad.records) + lost(stands.to, "behind") == total, 60) and lost(stands.to, "behind") > 10000 and not Counter(bad.records) - sent(at) and lost(stands.to, "unsure") == 0,
   (len(bad.records), lost(stands.to, "behind"), total, (Counter(bad.records) - sent(at)).most_common(3)))
ok("BR24 the file goes on when there is room, and what is in it and what was lost to the disk is all: %d lost" % (lost(disk.to, "disk") or 0),
   wait_for(lambda: exporter(disk.to, "waiting_records") == 0 and lost(disk.to, "disk") > 0 and len(lines(full)) + lost(disk.to, "disk") == total, 60) and lost(disk.to, "disk") > 10000 and
   not Counter(key(r) for r in lines(full)) - sent(at), (len(lines(full)), lost(disk.to, "disk"), lost(disk.to, "behind"), total, disk.said()))
ok("it was told, with the number", "records were not exported" in disk.said() and "going on" in disk.said(), disk.said())
for e in (reads, stands, disk):
    ok("%s ends when it is told to" % e.to.split(":")[0], e.end() == 0, e.said())
good.close()
bad.close()
finish()
