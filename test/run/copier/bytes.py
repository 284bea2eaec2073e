# SPDX-License-Identifier: Apache-2.0
"""weft-copier's bytes: tunnels as their far end sees them, packets that the kernel had merged or not finished, tags."""
import os, socket, struct, subprocess, sys
from play import *

program, folder = sys.argv[1:3]
links(folder)
files = folder + "/files"
os.mkdir(files)
os.chown(files, NOBODY, NOBODY)
feed, back = Feed(), Back()
c = Copier(program, folder, files)


def save(frames):
    """A capture of frames: its path."""
    path = folder + "/frames.pcap"
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for frame in frames:
            f.write(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
    return path


def fields(path, *names):
    cmd = ["tshark", "-r", path, "-T", "fields", "-E", "occurrence=a", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
           "-o", "udp.check_checksum:TRUE"]
    for n in names:
        cmd += ["-e", n]
    return [l.split("\t") for l in subprocess.run(cmd, capture_output=True, text=True).stdout.splitlines()]


# --- tunnels
tunnels = [{"tool": n, "source": "172.31.0.11", "number": k, "mtu": 1500} for n, k in (("vx", 11), ("gre", 12), ("er", 13), ("cut", 14))]
objects = [tool("vx", vxlan={"remote": "172.31.0.99", "vni": 77}, dscp=10), tool("gre", gre={"remote": "172.31.0.98", "key": 5}),
           tool("er", erspan={"remote": "172.31.0.97", "session": 9}, tooBig="Slice"),
           tool("cut", vxlan={"remote": "172.31.0.96", "vni": 78}, tooBig="Fragment"), map_to("m", ["vx", "gre", "er", "cut"])]
r = c.config(objects, [ETH1], tunnels=tunnels)
check("tunnels are in force", r["ok"], r)
back.take()
for i in range(20):
    feed(udp(1000 + i, 53), c.mark(1))
feed(udp(5, 53, b"L" * 1472), c.mark(1))
got = back.wait(20 * 4 + 1 + 2)
by = {n: [f for o, f in got if o == n] for n in (11, 12, 13, 14)}
same("each tunnel has its packets; one that does not fit goes by the tool's setting (BR58)", {n: len(f) for n, f in by.items()},
     {11: 20, 12: 20, 13: 21, 14: 22})
same("what is refused has a loss of its own", c.tool("vx")["losses"], {"encap-too-big": 1})
check("the sums hold", all(adds_up(t) for t in c.account()["tools"]), c.account()["tools"])
rows = fields(save(by[11]), "ip.src", "ip.dst", "udp.dstport", "vxlan.vni", "ip.dsfield.dscp", "ip.checksum.status")
same("VXLAN: addresses, port, VNI, DSCP and checksum are as they must be", {tuple(r) for r in rows},
     {("172.31.0.11,10.0.0.1", "172.31.0.99,10.0.0.2", "4789,53", "77", "10,0", "1,1")})
check("VXLAN: the source port varies with the flow (BR60)", len({f[34:36] for f in by[11]}) > 10)
same("VXLAN: inner bytes are unchanged (BR62)", [f[50:] for f in by[11]], [udp(1000 + i, 53) for i in range(20)])
same("GRE: the key", {tuple(r) for r in fields(save(by[12]), "gre.key")}, {("0x00000005",)})
rows = fields(save(by[13]), "gre.sequence_number", "erspan.spanid", "erspan.truncated")
same("ERSPAN: sequence numbers rise by one (BR63)", [int(r[0]) - int(rows[0][0]) for r in rows], list(range(21)))
same("ERSPAN: a sliced packet has the truncated bit (BR48)", [r[2] for r in rows], ["0"] * 20 + ["1"])
same("all is counted as handed to the kernel", {t["tool"]: t["sent"] for t in c.account()["tools"]}, {"vx": 20, "gre": 20, "er": 21, "cut": 22})

# --- bytes as on the wire
objects = [tool("wire", interface={"name": "t"}), tool("whole", file={"path": "whole.pcapng"}, ports=[{"name": "default", "merged": "Mark"}]),
           tool("web", interface={"name": "u"}), map_to("m", ["wire", "whole"]), map_to("w", ["web"], "tcp && vlan.id == 42")]
outlets = [{"tool": "wire", "port": "default", "number": 1, "direct": []}, {"tool": "web", "port": "default", "number": 2, "direct": []}]
check("interfaces are in force", c.config(objects, [ETH1], outlets=outlets)["ok"])
data = bytes(i * 7 % 256 for i in range(6000))
head = udp(80, 33000)[:14]
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 100, 0x4000, 64, 6, 0, socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2"))
total = sum(struct.unpack(">10H", ip))
total = (total & 0xFFFF) + (total >> 16)
ip = ip[:10] + struct.pack(">H", ~total & 0xFFFF) + ip[12:]
pseudo = sum(struct.unpack(">4H", ip[12:20])) + 6 + 20 + len(data)
pseudo = (pseudo & 0xFFFF) + (pseudo >> 16)
tcp = struct.pack(">HHIIBBHHH", 80, 33000, 1000, 2000, 0x50, 0x18, 500, pseudo, 0)
vnet = struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16)
back.take()
feed(head + ip + tcp + data, c.mark(1), vnet)
got = [f for o, f in back.wait(5) if o == 1]
rows = fields(save(got), "tcp.len", "tcp.seq_raw", "tcp.checksum.status", "ip.checksum.status", "ip.id")
same("a merged packet leaves as the wire has it: lengths, numbers, checksums (BR65, BR66)", rows,
     [["1448" if i < 4 else "208", str(1000 + 1448 * i), "1", "1", f"0x{100 + i:04x}"] for i in range(5)])
same("its payload is whole", b"".join(f[54:] for f in got), data)
t = c.drained("whole", 1)
same("due, added and sent tell of the split", [(t["due"], t["added"], t["sent"]) for t in (c.tool("wire"), c.tool("whole"))],
     [(1, 4, 5), (1, 0, 1)])
rows = fields(files + "/whole.pcapng", "tcp.len", "frame.comment", "tcp.checksum.status")
same("a tool that asks for it has it merged, marked and finished", rows, [["6000", "several packets of the wire in one", "1"]])

small = bytes(8)
tcp = struct.pack(">HHIIBBHHH", 80, 33000, 1000, 2000, 0x50, 0x18, 500, 0, 0)
tagged = udp(9, 10)
tagged = tagged[:12] + struct.pack(">HH", 0x8100, 0x602A) + tagged[12:]
back.take()
feed(tagged, c.mark(1))
same("a tag that the kernel holds beside the bytes is back in them (BR68)", [f for o, f in back.wait(1)], [tagged])
inner = head + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0x66C4, socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")) + tcp
inner = inner[:12] + struct.pack(">HH", 0x8100, 42) + inner[12:]
feed(inner, c.mark(1))
same("and filters see it", sorted((o, f) for o, f in back.wait(2)), [(1, inner), (2, inner)])
odd = [head[:12] + b"\x88\xcc" + bytes(46), bytes(range(60)), head + b"\x45" + bytes(3)]
for f in odd:
    feed(f, c.mark(1))
same("LLDP, unknown types and what is cut short are handed on as they are (BR05, BR69)", [f for o, f in back.wait(3)], odd)
p = c.account()["places"][0]
check("and what makes no sense is counted as unparsable (BR16, BR75)", p["unparsable"] >= 1 and p["received"] == p["classified"] + p["unparsable"], p)

# --- capacity
c.config([tool("thin", discard=True, capacity="1M"), tool("wide", discard=True, capacity="1G"), map_to("m", ["thin", "wide"])], [ETH1])
for i in range(200):
    feed(udp(1, 53, b"z" * 1400), c.mark(1))
thin = c.drained("thin", 200)
check("seconds with more than a tool's capacity are counted, and nothing is lost by it",
      thin["sent"] == 200 and 1 <= thin.get("overCapacitySeconds", 0) <= 2 and "overCapacitySeconds" not in c.tool("wide"), thin)

# --- flow records, through the process's own limits
collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
collector.bind(("127.0.0.1", 0))
collector.settimeout(0.1)
r = c.config([tool("flows", ipfix={"collector": "127.0.0.1:%d" % collector.getsockname()[1], "idleTimeoutSeconds": 1}), map_to("m", ["flows"])],
             [ETH1])
check("a collector is in force", r["ok"], r)
for i in range(60):
    feed(udp(40000 + i // 3, 53), c.mark(1))
t = c.drained("flows", 60, seconds=20)
check("packets become flow records: in flight while the flow is open, sent with its record (BR17, BR18)",
      (t["due"], t["sent"], t["inFlight"], t["losses"]) == (60, 60, 0, {}), t)
messages = []
try:
    while True:
        messages.append(collector.recv(2000))
except TimeoutError:
    pass
check("the collector has templates and records in messages of IPFIX", len(messages) >= 2 and
      all(struct.unpack(">HH", m[:4]) == (10, len(m)) for m in messages) and any(m[16:18] == b"\x00\x02" for m in messages), len(messages))
c.end()
finish()
