# SPDX-License-Identifier: Apache-2.0
# Called by exporters.sh: WEFT NAME CHECKS-SO-FAR FOLDER. Datagrams that are lost on purpose, exporters and hubs that are killed.
import os, signal, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from collections import Counter  # noqa: E402

from collector import Udp  # noqa: E402
from common import Exporter, Refused, ended, exporter, lost  # noqa: E402
from pod_calls import finish, folder, name, ok, wait_for, weft, weft_run  # noqa: E402

refused = Refused()
port = 0


def send(n):
    """On a port of its own: a run's records are told apart."""
    global port
    port += 1
    refused.send(n, port)
    return Counter(x for x in refused.sent if x[0] == port)


def got(c):
    return Counter((r["dport"], r["bytes"]) for r in c.reading.records if r["dport"] == port)


def handed_on(x, n):
    return wait_for(lambda: exporter(x.to, "records_total") is not None and exporter(x.to, "records_total") + sum(lost(x.to, c) for c in ("refused", "unsure", "restart", "behind")) >= n)


# --- datagrams that are lost on the way
c = Udp(drop=lambda i: i % 7 == 0)
x = Exporter("--new", "--to", "udp://127.0.0.1:%d" % c.port, "--template-messages", "20", "--template-seconds", "1")
sent = send(4000)
handed_on(x, 4000)
ok("messages come to the collector, and each seventh is lost on its way", wait_for(lambda: len(c.reading.records) + c.dropped == 4000) and c.dropped > 300, (len(c.reading.records), c.dropped))
last = c.reading.templates_seen
ok("BR84 templates are sent again after so many messages", last > 4000 / 12 / 20, last)
ok("BR84 and after so long, with nothing to send", wait_for(lambda: c.reading.templates_seen > last + 2))
c.drop = lambda i: False
send(24)  # what comes after it shows a loss
wait_for(lambda: exporter(x.to, "records_total") == 4024)
wait_for(lambda: len(c.reading.records) + c.dropped == 4024)
flows = {d: n for d, n in c.reading.lost.items() if d}
ok("BR84 the loss that sequence numbers tell is that of the way: %d records" % c.dropped, sum(flows.values()) == c.dropped > 0, (flows, c.dropped))
ok("BR84 and our counter less what came", exporter(x.to, "records_total") - len(c.reading.records) == sum(flows.values()), (exporter(x.to, "records_total"), len(c.reading.records)))
ok("messages fit the way: none is larger than 1400 bytes", c.reading.sizes and max(c.reading.sizes) <= 1400 and not c.reading.bad, (max(c.reading.sizes), c.reading.bad[:3]))
names = {o["name"]: o["domain"] for o in c.reading.options if "name" in o}
ok("each node is a domain of its own, with its name", set(names) == {"node-1", "node-2"} and {r["observed"] for r in c.reading.records} == {names["node-1"]}, names)
ok("the exporter's statistics are there", [o for o in c.reading.options if "sent" in o and o["not_sent"] == 0 and o["sent"] >= 4000], c.reading.options[-2:])

# --- a collector that goes and comes back
before, had, reading = c.dropped, len(c.reading.records), c.reading
gone, i = 24, 0
while i < 4 or (i < 16 and not lost(x.to, "refused")):  # whether a message was on its way when it went is chance
    c.close()
    send(300)
    gone += 300
    ok("a collector that is gone is waited for (%d)" % (i + 1), wait_for(lambda: exporter(x.to, "standing") == 1))
    c.open()
    c.reading = reading
    wait_for(lambda: exporter(x.to, "standing") == 0)
    i += 1
send(24)
wait_for(lambda: len(reading.records) - had + lost(x.to, "refused") == gone)
flows = sum(n for d, n in reading.lost.items() if d) - before
ok("BR84 what was sent back is counted, and the collector computes the same loss: %d of %d records" % (flows, gone), flows == lost(x.to, "refused") > 0, (flows, lost(x.to, "refused")))
ok("all others are there, none twice", len(reading.records) - had + flows == gone, len(reading.records) - had)
ok("Ctrl-C ends it with its numbers", x.end() == 0 and "were handed on" in x.said(), x.said())
c.close()

# --- kill -9 of the exporter, again and again
c = Udp()
x = Exporter("--new", "--to", "udp://127.0.0.1:%d" % c.port, "--state", folder + "/killed.state")
second = subprocess.run([weft, "export", "-f", "--name", name, *x.args], capture_output=True, text=True)
ok("one state is of one exporter", second.returncode == 1 and "another exporter has it" in second.stderr, second.stderr)
base, port = ended(), port + 1
for i in range(12):
    refused.send(300, port)
    x.kill()
    x.start()
handed_on(x, 3600)
unsure = int(lost(x.to, "unsure"))
sent = Counter(p for p in refused.sent if p[0] == port)
wait_for(lambda: sum(got(c).values()) + unsure >= 3600)
ok("BR24 an exporter that was killed twelve times handed on each record once, or counted it (%d unsure)" % unsure, got(c) + Counter() == got(c) and not got(c) - sent and sum((sent - got(c)).values()) == unsure and unsure < 100,
   (sum(got(c).values()), unsure, (got(c) - sent).most_common(3)))
ok("the sequence goes on: the collector computes the same loss", sum(n for d, n in c.reading.lost.items() if d) == unsure, (c.reading.lost, unsure))
other = subprocess.run([weft, "export", "-f", "--name", name, "--to", "udp://127.0.0.1:9", "--state", folder + "/killed.state"], capture_output=True, text=True)
ok("a state of another exporter is refused", other.returncode == 1 and "another" in other.stderr, other.stderr)

# --- kill -9 of the hub: a new one begins anew
def hub():
    for p in os.listdir("/proc"):
        try:
            if p.isdigit() and open("/proc/%s/comm" % p).read() == "weft-hub\n" and name in open("/proc/%s/cmdline" % p).read().split("\0"):
                return int(p)
        except OSError:
            pass


port += 1
for i in range(6):
    refused.send(400, port)
    pid = hub()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: hub() not in (None, pid))
    wait_for(lambda: exporter(x.to, "up") == 1)
sent = Counter(p for p in refused.sent if p[0] == port)
wait_for(lambda: sum(got(c).values()) + (lost(x.to, "restart") or 0) >= 2400)
gone = int(lost(x.to, "restart"))
ok("BR24 with a hub that was killed six times goes what has a number (%d), and nothing comes twice" % gone, not got(c) - sent and sum((sent - got(c)).values()) == gone < 2400,
   (sum(got(c).values()), gone, (got(c) - sent).most_common(3), x.said()))
ok("the exporter lived on", x.process.poll() is None and "the hub answers again" in x.said(), x.said())
x.end()
c.close()

# --- what is written wrong
for args, status, text in (
        (("--to", "udp://no.such.collector.invalid:4739"), 1, "no.such.collector.invalid"), (("--to", "udp://127.0.0.1"), 2, "no host with a port"),
        (("--to", "file:/no/such/folder/x", "-f"), 1, "No such file or directory"), (("--to", "tcp://127.0.0.1:1"), 1, "Connection refused"),
        (("--to", "udp://127.0.0.1:1", "dst.prot == 1"), 2, "did you mean"), (("--to", "udp://127.0.0.1:1", "--as", "json"), 2, "datagrams carry IPFIX"),
        (("--state", "/tmp/x"), 2, "are for --follow"), (("--to", "file:" + folder + "/x", "--as", "ipfix"), 2, "lines of JSON")):
    p = weft_run("export", *args)
    ok("weft export %s: %s" % (" ".join(args).replace(folder, "…"), text), p.returncode == status and text in p.stderr, (p.returncode, p.stderr))
finish()
