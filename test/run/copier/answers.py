# SPDX-License-Identifier: Apache-2.0
"""Canaries: their bytes as tshark reads them, their beat, who counts as silent and when, and what a group makes of it. A copy is
never a canary, nor the other way round."""
import socket, struct, sys, threading, time

from play import *

CANARY = 0x800
program, folder = sys.argv[1:3]
links(folder)
c, feed, back, kernel = Copier(program, folder), Feed(), Back(), Outlets()
kernel.give(c)
WITHIN = 1
asks = {"health": {"withinSeconds": WITHIN, "answers": True}}
objects = [tool("a", interface={"name": "a"}, **asks), tool("b", interface={"name": "b"}), tool("spare", interface={"name": "s"}),
           tool("pod", pod={"namespace": "x", "podSelector": {}}, **asks), tool("far", vxlan={"remote": "10.9.9.9", "vni": 7}, **asks),
           thing("ToolGroup", "ids", {"members": [{"tool": "a", "weight": 3}, {"tool": "b"}], "standby": {"tool": "spare"}, "sticky": True}),
           map_to("m", [{"group": "ids"}]), map_to("n", ["pod", "far"], "tcp")]
out = lambda name, number, **more: {"tool": name, "port": "default", "number": number, "direct": []} | more
ways = {"outlets": [out("a", 1), out("b", 2), out("spare", 3), out("pod", 4, address="10.0.0.77")],
        "tunnels": [{"tool": "far", "source": "10.0.0.1", "number": 5, "mtu": 1500}]}
seen, stop = [], False


def listen():
    """Answers for those tools that shall: [(time, tag, frame)]."""
    while not stop:
        for tag, frame in back.take():
            seen.append((time.monotonic(), tag, frame))
            if tag & CANARY and tag - CANARY in alive:
                kernel.add(tag - CANARY, answers=1, cookie=struct.unpack("<Q", frame[42:50])[0] if tag - CANARY == 5 else None)
        time.sleep(0.005)


alive = {1, 4, 5}
listener = threading.Thread(target=listen, daemon=True)
listener.start()
check("tools that must answer are in force", c.config(objects, [ETH1], **ways)["ok"])
canaries = lambda number: [(t, f) for t, tag, f in list(seen) if tag == number | CANARY]
check("those that must answer are asked, the others are not",
      until(lambda: all(len(canaries(n)) >= 4 for n in (1, 4, 5)), 6) and not canaries(2) and not canaries(3))
gaps = [b[0] - a[0] for a, b in zip(canaries(1), canaries(1)[1:])]
check("three times in the time that is set", all(0.2 < g < 0.7 for g in gaps), gaps)
check("whoever answers is healthy", all(c.tool(n)["taking"] and c.tool(n)["answers"] for n in ("a", "pod", "far")))
check("of the others nothing is said", all("answers" not in c.tool(n) for n in ("b", "spare")))
same("no canary is a copy: nothing is due, no frame is counted", (c.account()["frames"], {c.tool(n)["due"] for n in ("a", "pod", "far")}), (0, {0}))

# --- bytes
with open(folder + "/canaries.pcap", "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for n in (1, 4, 5):
        f.write(struct.pack("<IIII", n, 0, len(canaries(n)[0][1]), len(canaries(n)[0][1])) + canaries(n)[0][1])
fields = ["eth.src", "eth.dst", "ipv6.src", "ipv6.dst", "icmpv6.type", "icmpv6.checksum.status", "arp.opcode", "arp.dst.proto_ipv4", "ip.src", "ip.dst", "icmp.type",
          "icmp.checksum.status", "ip.checksum.status"]
rows = subprocess.run(["tshark", "-o", "ip.check_checksum:TRUE", "-r", folder + "/canaries.pcap", "-T", "fields"] + [x for n in fields for x in ("-e", n)],
                      check=True, capture_output=True, text=True).stdout.splitlines()
same("to an interface: an echo request to all nodes of the link", rows[0].split("\t")[:6],
     ["02:57:45:43:00:01", "33:33:00:00:00:01", "fe80::57:4543:1", "ff02::1", "128", "1"])
same("to a pod: who has its address?", rows[1].split("\t")[:2] + rows[1].split("\t")[6:8], ["02:57:45:43:00:04", "ff:ff:ff:ff:ff:ff", "1", "10.0.0.77"])
same("to a tunnel's far end: an echo request, outside the tunnel", rows[2].split("\t")[8:13], ["10.0.0.1", "10.9.9.9", "8", "1", "1"])


# --- silence
def deal(n, first=20000):
    before = len(seen)
    for i in range(n):
        feed(udp(first + i, 53), c.mark(1))
    until(lambda: sum(not tag & CANARY for _, tag, _ in seen[before:]) >= n, 5)
    return {struct.unpack(">H", f[34:36])[0]: tag for _, tag, f in seen[before:] if not tag & CANARY}


both = deal(2000)
share = sum(o == 1 for o in both.values()) / len(both)
check("BR30: sessions are dealt by weight, 3 to 1", set(both.values()) == {1, 2} and 0.72 < share < 0.78, share)
alive.clear()
gone = time.monotonic()
check("BR31: who stops answering is unhealthy within the time", until(lambda: not c.tool("a")["taking"], WITHIN + 1) and
      WITHIN - 0.5 < time.monotonic() - gone < WITHIN + 0.8, time.monotonic() - gone)
check("and the account says why", until(lambda: all(c.tool(n)["answers"] is False and not c.tool(n)["taking"] for n in ("a", "pod", "far")), 1))
now = deal(2000)
check("BR28: its sessions go to the other member, whose own stay", set(now.values()) == {2})
deal(100, 50000)
for _ in range(3):
    kernel.add(5, answers=1, cookie=4711)
    time.sleep(0.2)
check("an echo that nobody asked for is no answer", c.tool("far")["answers"] is False)
objects[1]["spec"] |= asks
check("the other must answer from now on", c.config(objects, [ETH1], **ways)["ok"] and c.tool("b")["taking"])
check("BR32: the last one that is silent leaves it to the standby", until(lambda: not c.tool("b")["taking"], WITHIN + 1) and
      set(deal(100).values()) == {3})
alive |= {1, 2, 4, 5}
check("who answers again is healthy at once", until(lambda: all(c.tool(n)["taking"] and c.tool(n)["answers"] for n in ("a", "b", "pod", "far")), 1))
objects[0]["spec"]["health"] = {}
alive.clear()
c.config(objects, [ETH1], **ways)
check("a tool that need not answer any more is asked no more, and keeps what it has",
      "answers" not in c.tool("a") and until(lambda: not c.tool("b")["taking"], 3) and c.tool("a")["taking"] and c.tool("a")["due"] > 1000)
copies = sum(not tag & CANARY for _, tag, _ in seen)
t = c.account()
same("canaries are no frames of the account, copies are all of them", (t["frames"], all(adds_up(x) for x in t["tools"])), (copies, True))

# --- collectors, which never speak: what can be known of them without a single record
objects = [tool("udp", ipfix={"collector": "127.0.0.1:4739"}, **asks), tool("tcp", ipfix={"collector": "127.0.0.1:4740", "protocol": "TCP"}, **asks),
           tool("mute", ipfix={"collector": "127.0.0.1:4741"}), map_to("m", ["udp", "tcp", "mute"])]
c.config(objects, [ETH1])
check("a machine without a collector is known, over UDP and over TCP",
      until(lambda: not c.tool("udp")["taking"] and not c.tool("tcp")["taking"], 4), c.account()["tools"])
check("of one that need not answer nothing is known before the first record", c.tool("mute")["taking"])
listen_tcp = socket.create_server(("127.0.0.1", 4740))
collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
collector.bind(("127.0.0.1", 4739))
check("a collector that comes is healthy", until(lambda: c.tool("udp")["taking"] and c.tool("tcp")["taking"], 6), c.account()["tools"])
peer = listen_tcp.accept()[0]
check("it gets templates again and again", until(lambda: len(collector.recv(2048)) > 16 and len(collector.recv(2048)) > 16, 3))
listen_tcp.close()
peer.close()
collector.close()
check("one that goes fails, without a single record", until(lambda: not c.tool("udp")["taking"] and not c.tool("tcp")["taking"], 4), c.account()["tools"])
stop = True
listener.join()
same("it ends with its control socket", c.end(), 0)
finish()
