# SPDX-License-Identifier: Apache-2.0
"""Tools that live ones are elsewhere: tunnels, whose packets tshark must be able to take apart (BR48, BR58, BR60, BR62,
BR63), and rings, which keep the newest. Each packet's time is its number."""
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
frames = [eth(ip4(6, tcp(sport=40000 + i, rest=bytes([i]) * (10 + i)), ident=i)) for i in range(60)]
write(tmp + "/in.pcap", frames)
cap = [f"e={tmp}/in.pcap"]


def fields(path, *names, options=()):
    """One row for each packet, as tshark reads it."""
    r = subprocess.run(["tshark", "-n", "-r", path] + list(options) + ["-T", "fields", "-E", "separator=|", "-E", "occurrence=a"] +
                       [a for n in names for a in ("-e", n)], capture_output=True, text=True, timeout=120)
    return [line.split("|") for line in r.stdout.splitlines()]


def run(name, tools, captures=cap, **spec):
    return Run(f"{tmp}/{name}", tools + [tap("m", ["e"], [{"tool": t["metadata"]["name"]} for t in tools], **spec)], captures)


r = run("vxlan", [tool("four", vxlan={"remote": "198.51.100.7", "vni": 77}, dscp=10, dontFragment=True),
                  tool("six", vxlan={"remote": "2001:db8:7::7", "vni": 78, "port": 8472})])
rows = fields(r.file("four.default"), "ip.src", "ip.dst", "vxlan.vni", "ip.dsfield.dscp", "ip.flags.df", "udp.dstport", "ip.checksum.status",
              options=["-o", "ip.check_checksum:TRUE"])
ok(r.status == 0 and r.sums() and len(rows) == 60 and all(
    x[0].startswith("192.0.2.1,10.0.0.1") and x[1].startswith("198.51.100.7,10.0.0.2") and x[2] == "77" and x[3].startswith("10,") and
    x[4].startswith("1,") and x[5] == "4789" and x[6].startswith("1,") for x in rows), "BR62: VXLAN: addresses, VNI, DSCP, DF, header checksum")
ok([p[3][50:] for p in r.packets("four.default")] == frames and r.numbers("four.default") == list(range(60)),
   "BR62: VXLAN: inner bytes and times are unchanged")
rows = fields(r.file("six.default"), "ipv6.src", "ipv6.dst", "udp.dstport", "udp.checksum.status", options=["-o", "udp.check_checksum:TRUE", "-d", "udp.port==8472,vxlan"])
ok(len(rows) == 60 and all(x == ["2001:db8::1", "2001:db8:7::7", "8472", "1"] for x in rows) and
   [p[3][70:] for p in r.packets("six.default")] == frames, "VXLAN over IPv6: addresses, port, checksum, inner bytes")
ports = [p[3][34:36] for p in r.packets("four.default")]
ok(len(set(ports)) > 30 and all(49152 <= int.from_bytes(p, "big") for p in ports), "BR60: the outer source port varies with the inner flow")
again = [p[3][34:36] for p in run("again", [tool("four", vxlan={"remote": "198.51.100.7", "vni": 77})]).packets("four.default")]
ok(again == ports, "BR60: the same flow has the same port in every run")

r = run("gre", [tool("plain", gre={"remote": "198.51.100.7"}), tool("keyed", gre={"remote": "198.51.100.8", "key": 4711})])
ok(r.status == 0 and r.sums() and [p[3][38:] for p in r.packets("plain.default")] == [p[3][42:] for p in r.packets("keyed.default")] == frames and
   fields(r.file("keyed.default"), "gre.key", "gre.proto")[0][0].startswith("0x00001267"), "BR62: GRE: key, inner bytes are unchanged")

long = [eth(ip4(17, udp(rest=bytes([i]) * 900))) for i in range(8)]
write(tmp + "/mixed.pcap", [f for pair in zip(frames, long) for f in pair])
r = run("erspan", [dict(tool("s", erspan={"remote": "198.51.100.7", "session": 100}, ports=[
    {"name": "default", "chain": {"slice": {"from": "L2", "bytes": 128}}}]))], captures=[f"e={tmp}/mixed.pcap"])
rows = fields(r.file("s.default"), "gre.sequence_number", "erspan.spanid", "erspan.truncated", "erspan.version")
ok(r.status == 0 and r.sums() and [int(x[0]) - int(rows[0][0]) for x in rows] == list(range(16)) and {x[1] for x in rows} == {"100"},
   "BR63: ERSPAN: sequence numbers rise by one, one session")
ok([x[2] for x in rows] == ["0", "1"] * 8, "BR48: ERSPAN: the truncated bit is set for sliced packets, and for no others")

full = [eth(ip4(17, udp(sport=i, rest=bytes([i]) * 1472), ident=i)) for i in range(1, 6)] + frames[:5]
write(tmp + "/full.pcap", full)
tools = [tool(n.lower(), vxlan={"remote": "198.51.100.7", "vni": 1}, mtu=1500, tooBig=n) for n in ("Refuse", "Fragment", "Slice")]
r = run("big", tools, captures=[f"e={tmp}/full.pcap"])
refused, fragmented, sliced = (r.account("tools", n + ".default") for n in ("refuse", "fragment", "slice"))
ok(r.status == 0 and r.sums() and refused["lost"] == {"encap-too-big": 5} and refused["sent"] == 5, "BR58: a full packet over an MTU of 1,500: refused and counted")
whole = fields(r.file("fragment.default"), "vxlan.vni", "frame.len", options=["-o", "ip.defragment:TRUE", "-Y", "vxlan"])
ok(fragmented["added"] == 5 and fragmented["sent"] == 15 and len(whole) == 10 and all(p[2] <= 1514 for p in r.packets("fragment.default")),
   "BR58: or fragmented outside: tshark puts all of them together")
got = r.packets("slice.default")
ok(sliced["sent"] == 10 and [p[2] for p in got[:5]] == [1514 + 50] * 5 and {len(p[3]) for p in got[:5]} == {1514} and
   all(p[3][50:] == f[:1464] for p, f in zip(got, full)), "BR58: or sliced, with the true length kept")

write(tmp + "/many.pcap", [eth(ip4(17, udp(rest=i.to_bytes(4, "big") * 250))) for i in range(4000)])
r = Run(tmp + "/ring", [tool("new", ring={"size": "1Mi"}), tool("all", ring={"size": "16Mi"}), tool("file"),
                        tap("m", ["e"], [{"tool": "new"}, {"tool": "all"}, {"tool": "file"}])], [f"e={tmp}/many.pcap"])
new, every = r.account("tools", "new.default"), r.account("tools", "all.default")
kept = r.numbers("new.default")
ok(r.status == 0 and new["sumsMatch"] and new["sent"] == new["due"] == 4000 and new["lost"] == {} and 900 < len(kept) < 1048 and
   kept == list(range(4000 - len(kept), 4000)) and new["notes"]["overwritten"] == 4000 - len(kept) and
   r.packets("new.default") == r.packets("file.default")[-len(kept):], "a ring has the newest that fit, byte by byte; the others are overwritten, not lost")
ok(r.packets("all.default") == r.packets("file.default") and every["notes"]["overwritten"] == 0, "a ring with room for all has all")

r = Run(tmp + "/row", [tool("f", file={"path": "/elsewhere/row.pcapng", "rotate": {"size": "1Mi", "count": 2}}), tap("m", ["e"], [{"tool": "f"}])], [f"e={tmp}/many.pcap"])
rows = r.account("tools", "f.default")["files"]
ok(r.status == 0 and r.sums() and sorted(glob.glob(tmp + "/row/f.default*")) == rows and len(rows) == 2 and not os.path.exists("/elsewhere"),
   "rotate: the newest `count` files below --out, and the account names them")
kept = [p[0] for f in rows for p in tcpdump(f) or []]
ok(kept == list(range(4000 - len(kept), 4000)) and all(0 < os.path.getsize(f) <= 1 << 20 for f in rows) and
   os.path.getsize(rows[0]) > (1 << 20) - 2000 and int(rows[1][-12:-7]) == -(-4000 * 1086 // (1 << 20)) and r.account("tools", "f.default")["sent"] == 4000,
   "rotate: files are full before the next one begins, none is larger than `size`, no packet is between them")
row = [tool("f", file={"path": "row.pcapng", "rotate": {"seconds": 1000}}), tap("m", ["e"], [{"tool": "f"}])]
r = Run(tmp + "/time", row, [f"e={tmp}/many.pcap"])
rows = r.account("tools", "f.default")["files"]
ok(r.status == 0 and [[p[0] for p in tcpdump(f)] for f in rows] == [list(range(s, s + 1000)) for s in (0, 1000, 2000, 3000)],
   "rotate: by the packets' time, without `count` all are kept")
r = Run(tmp + "/time", row, [f"e={tmp}/in.pcap"], keep=True)
ok(r.status == 0 and glob.glob(tmp + "/time/f.default*") == r.account("tools", "f.default")["files"] == [tmp + "/time/f.default-00001.pcapng"],
   "rotate: an earlier run's files of the row are gone")
os.rename(tmp + "/time/f.default-00001.pcapng", tmp + "/time/f.default-00002.pcapng")
before = open(tmp + "/time/f.default-00002.pcapng", "rb").read()
r = Run(tmp + "/time", row, [f"e={tmp}/time/f.default-00002.pcapng"], keep=True)
ok(r.status == 0 and open(tmp + "/time/f.default-00002.pcapng", "rb").read() == before, "rotate: an input is neither removed")
write(tmp + "/time/f.default-00002.pcapng", frames + frames, start=990)
before = open(tmp + "/time/f.default-00002.pcapng", "rb").read()
r = Run(tmp + "/time", [tool("f", file={"path": "row.pcapng", "rotate": {"seconds": 60}}), row[1]], [f"e={tmp}/time/f.default-00002.pcapng"], keep=True)
ok(r.status == 1 and "f.default.pcapng: File exists" in r.said and open(tmp + "/time/f.default-00002.pcapng", "rb").read() == before and
   r.account("tools", "f.default")["lost"] == {"write": 60}, "rotate: nor written over: what it would have got is lost by name")


def refused_with(args, *words):
    p = subprocess.run([WEFT, "broker", f"{tmp}/vxlan/maps.yaml"] + args, capture_output=True, text=True, timeout=60)
    if not all(w in p.stderr for w in words):
        print("#", p.stderr)
    return p.returncode != 0 and all(w in p.stderr for w in words)


out = ["--pcap", cap[0], "--out", f"{tmp}/source"]
p = subprocess.run([WEFT, "broker", f"{tmp}/vxlan/maps.yaml", "--tunnel-source", "203.0.113.9"] + out, capture_output=True, text=True, timeout=60)
got = {(fields(f"{tmp}/source/four.default.pcapng", "ip.src")[0][0]).split(",")[0], fields(f"{tmp}/source/six.default.pcapng", "ipv6.src")[0][0]}
ok(p.returncode == 0 and got == {"203.0.113.9", "2001:db8::1"}, "--tunnel-source: of the tunnels of its family")
ok(refused_with(["--tunnel-source", "nobody"] + out, '"nobody" is no address'), "--tunnel-source: what is no address is refused")
ok(refused_with(["--tunnel-source", "203.0.113.9"], "is for captures"), "--tunnel-source: not for interfaces")
r = run("small", [tool("t", vxlan={"remote": "198.51.100.7", "vni": 1}, mtu=200)])
ok(r.status == 1 and "tool t/default: the MTU of a tunnel is 576" in r.said, "a tunnel whose MTU cannot be: refused, with its name")
done()
