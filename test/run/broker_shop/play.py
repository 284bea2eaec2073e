# SPDX-License-Identifier: Apache-2.0
# Called by broker_shop.sh: WEFT NAME CHECKS-SO-FAR FOLDER.
import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "load"), os.path.dirname(HERE)]
from generate import cost, counted, end, ips, run, server  # noqa: E402
from pod_calls import finish, folder, make_socket, name, ok, programs, wait_for, weft_run  # noqa: E402
import socket  # noqa: E402

RATE, SECONDS = int(os.environ["RATE"]), int(os.environ["SECONDS_LONG"])
NODES, PORT, OTHER_PORT, REFUSED_RATE = ("node-1", "node-2"), 7000, 7100, 50
RUN = "/run/weft/" + name


def inside(node, *words, **how):
    p = subprocess.Popen(["nsenter", "--net=/run/netns/weft-%s-%s" % (name, node), *words], **how)
    atexit.register(p.kill)  # of what has ended, nothing
    return p


def shell(node, text):
    assert inside(node, "sh", "-ec", text).wait() == 0, text


def interface(pod):
    """Packets and bytes that its eth0 sent and got."""
    text = subprocess.run(["nsenter", "--net=/run/netns/weft-%s-default.%s" % (name, pod), "cat", "/proc/net/dev"],
                          capture_output=True, text=True, check=True).stdout
    words = [line.split(":")[1].split() for line in text.splitlines() if line.strip().startswith("eth0:")][0]
    return int(words[1]) + int(words[9]), int(words[0]) + int(words[8])


def ask(node, path):
    p = subprocess.run(["curl", "-sg", "--max-time", "20", "--unix-socket", "%s/%s/copier.sock" % (RUN, node), "http://x" + path],
                       capture_output=True)
    return p.stdout


def tools(node):
    text = ask(node, "/account")
    return {t["tool"]: t for t in json.loads(text)["tools"]} if text else {}


def shark(path, *words):
    return subprocess.run(["tshark", "-n", "-r", path, *words], capture_output=True, text=True).stdout.splitlines()


def exact():
    p = weft_run("account", "-o", "json")
    nodes = json.loads(p.stdout) if p.stdout else []
    return p.returncode == 0 and len(nodes) == 2 and all(s["says"] == "exact" for x in nodes for s in x["sums"])


def nfdump(path):
    p = subprocess.run(["nfdump", "-R", path, "-q", "-N", "-6", "-o", "fmt:%pkt %byt %dp"], capture_output=True, text=True)
    rows = [list(map(int, line.split())) for line in p.stdout.splitlines() if line.strip()]
    return sum(r[0] for r in rows if r[2] == PORT), sum(r[0] for r in rows if r[2] != PORT)


def refuse(sockets, targets, sent):
    """As long as the load runs: REFUSED_RATE packets a second of each socket, in turn to each target; sent[0] counts them."""
    begun, turn = time.monotonic(), 0
    while time.monotonic() < begun + SECONDS:
        for s in sockets:
            to = targets[s.family]
            s.sendto(b"let me in", (to[turn % len(to)], PORT))
            sent[0] += 1
        turn += 1
        time.sleep(max(0, begun + turn / REFUSED_RATE - time.monotonic()))


# --- the tools: an interface with two readers, a collector -------------------------------------------------------
readers, collectors = {}, {}
for node in NODES:
    shell(node, "ip link add ids0 mtu 9000 type veth peer name ids1 mtu 9000; ip link set ids0 up; ip link set ids1 up; ip link set lo up")
    os.makedirs("%s/nf-%s" % (folder, node))
    collectors[node] = inside(node, "nfcapd", "-b", "127.0.0.1", "-p", "4739", "-w", "%s/nf-%s" % (folder, node), "-t", "3600",
                              stdout=subprocess.DEVNULL, stderr=open("%s/nfcapd-%s" % (folder, node), "w"))
    dump = inside(node, "tcpdump", "-i", "ids1", "-Q", "in", "-n", "-B", "65536", "-w", "-", stdout=subprocess.PIPE,
                  stderr=open("%s/tcpdump-%s" % (folder, node), "w"))
    ids = subprocess.Popen([sys.executable, os.path.join(HERE, "ids.py"), str(PORT)], stdin=dump.stdout, stdout=subprocess.PIPE, text=True)
    dump.stdout.close()
    readers[node] = dump, ids
ok("maps are in force on both nodes", wait_for(lambda: all(tools(n).keys() >= {"ids", "payments", "refused", "last"} for n in NODES)),
   [tools(n) for n in NODES])
ok("their interfaces too", wait_for(lambda: all(inside(n, "sh", "-c", "tc filter show dev weft-copy0 egress | grep -q bpf").wait() == 0 for n in NODES)))
time.sleep(3)  # what new interfaces of pods say of themselves

# --- load ----------------------------------------------------------------------------------------------------------
PODS = ["%s-%d" % (app, i) for app in ("frontend", "payment", "other") for i in (1, 2)]
service = json.loads(weft_run("get", "service", "payment", "-o", "json").stdout)["spec"]["clusterIPs"]
ms, begun_at, before = SECONDS * 1000, time.time(), {p: interface(p) for p in PODS}
spent = cost(programs())
servers = [server("payment-%d" % i, PORT) for i in (1, 2)] + [server("other-%d" % i, OTHER_PORT) for i in (1, 2)]
askers = []
for mine, far in ((1, 2), (2, 1)):
    near_ips, far_ips = ips("payment-%d" % mine), ips("payment-%d" % far)
    askers.append(run("frontend-%d" % mine, "ask", RATE // 2, ms, "tcp,%s,%d,40" % (service[0], PORT), "tcp,%s,%d,30" % (service[1], PORT),
                      "tcp,%s,%d,15" % (near_ips[0], PORT), "tcp,%s,%d,15" % (far_ips[1], PORT)))
    askers.append(run("other-%d" % mine, "ask", max(RATE // 20, 2), ms, *("tcp,%s,%d,1" % (ip, OTHER_PORT) for ip in ips("other-%d" % far)[:2])))
refused = [0]
strangers = [make_socket("stranger-%d" % i, family, socket.SOCK_DGRAM) for i in (1, 2) for family in (socket.AF_INET, socket.AF_INET6)]
payments = [ips("payment-%d" % i) for i in (1, 2)]
refuser = threading.Thread(target=refuse, args=(strangers, {socket.AF_INET: [p[0] for p in payments], socket.AF_INET6: [p[1] for p in payments]}, refused))
refuser.start()
asked = [counted(a) for a in askers]
refuser.join()
refused = refused[0]
ok("packets that policy refuses came all through the load: %d of both families" % refused, refused > SECONDS * REFUSED_RATE, refused)
for s in servers:
    end(s)
flows = [sum(t["done"] for t in a["targets"]) for a in asked]
ok("the load ran: %d flows of frontends, %d of others" % (flows[0] + flows[2], flows[1] + flows[3]),
   all(t["failed"] == 0 and t["begun"] for a in asked for t in a["targets"]), asked)
ok("BR18: nothing is in flight any more", bool(wait_for(lambda: all(t["inFlight"] == 0 for n in NODES for t in tools(n).values()))),
   [tools(n) for n in NODES])
time.sleep(1)
after = {p: interface(p) for p in PODS}
used = cost(programs())
moved = {p: (after[p][0] - before[p][0], after[p][1] - before[p][1]) for p in PODS}
for key in sorted(used):
    if key in spent and "copier" in key[0]:
        packets = sum(moved["%s-%s" % (app, key[1][-1])][0] for app in ("payment", "other"))
        print("# %s %s: %.2f us of CPU a copy, %.1f MiB" % (key[0], key[1], (used[key][0] - spent[key][0]) * 1e6 / max(packets, 1), used[key][1]))

# --- what each tool has ----------------------------------------------------------------------------------------------
total = 0
for i, node in enumerate(NODES, 1):
    dump, ids = readers[node]
    dump.send_signal(signal.SIGINT)
    got = json.loads(ids.communicate(timeout=120)[0])
    dump.wait()
    said = open("%s/tcpdump-%s" % (folder, node)).read()
    want, app = moved["frontend-%d" % i], "frontend-%d" % i
    ok("%s: tcpdump at the tool's interface lost nothing of its own" % node, "0 packets dropped by kernel" in said, said)
    ok("%s: the tool's interface has each packet of %s once: %d packets, %d bytes" % (node, app, *want), (got["packets"], got["bytes"]) == want, (got, want))
    ok("%s: the reader that follows connections saw %d of them, no gap, nothing twice, no wrong checksum" % (node, flows[(i - 1) * 2]),
       got["began"] == flows[(i - 1) * 2] and not got["gaps"] and not got["again"] and not got["badSums"], got)
    path = "%s/%s/files/payments.pcapng" % (RUN, node)
    rows = shark(path, "-o", "tcp.check_checksum:TRUE", "-Y", "tcp.port == %d" % PORT, "-T", "fields", "-e", "frame.len", "-e", "tcp.checksum.status", "-e", "tcp.payload")
    rows = [r.split("\t") for r in rows]
    want = moved["payment-%d" % i]
    ok("%s: the file has each packet of payment-%d once: %d packets, %d bytes" % (node, i, *want),
       (len(rows), sum(int(r[0]) for r in rows)) == want, (len(rows), sum(int(r[0]) for r in rows), want))
    ok("%s: not one byte of payload is there, and all checksums are right" % node,
       rows and all(r[1] == "1" and not r[2].replace("78", "") for r in rows) and any(r[2] for r in rows),
       [r for r in rows if r[1] != "1" or r[2].replace("78", "")][:3])
    total += sum(t["due"] for t in tools(node).values())
    ring = "%s/ring-%s.pcapng" % (folder, node)
    with open(ring, "wb") as f:
        f.write(ask(node, "/rings/last/stream?last=%d" % (time.time() - begun_at + 60)))
    rest = len(shark(ring, "-Y", "tcp.port == %d" % OTHER_PORT))
    want = moved["other-%d" % i][0]
    ok("%s: the ring has each packet of other-%d once: %d" % (node, i, want), rest == want, (rest, want))
    taken = shark(ring, "-Y", 'tcp.port == %d && (frame.interface_name contains "frontend" || frame.interface_name contains "payment")' % PORT)
    ok("%s: and none that a map took" % node, not taken, taken[:3])
time.sleep(4)  # flows of the collector fall silent
for c in collectors.values():
    c.terminate()
    c.wait()
found = [nfdump("%s/nf-%s" % (folder, node)) for node in NODES]
ok("nfdump: every packet that policy refused, and no other to that port: %d" % refused, sum(f[0] for f in found) == refused, found)
drops = json.loads(weft_run("drops", "-o", "json").stdout)
drops = sum(d["packets"] for d in drops if d["reason"] == "policy-ingress" and str(d.get("pod")).startswith("default/payment"))
ok("as many as weft drops says", drops == refused, drops)
ok("BR16, BR17, BR18: all sums of weft account match to the packet (%d copies were due)" % total, bool(wait_for(exact, 60)), weft_run("account").stdout)
# What plain.py sends through plain interfaces: real frames of both families.
for wanted, path in (("a", "%s/node-1/files/payments.pcapng" % RUN), ("b", "%s/ring-node-2.pcapng" % folder)):
    subprocess.run(["tcpdump", "-r", path, "-c", "1500", "-w", "%s/%s.pcap" % (folder, wanted), "tcp"], check=True, stderr=subprocess.DEVNULL)
finish()
