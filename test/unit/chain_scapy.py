#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chains held against packets that scapy makes and reads: merged packets against scapy's own small ones (BR66), tunnels that
scapy built taken off (BR52, BR54, BR55, BR56), tunnels that scapy reads (BR48, BR58, BR60, BR62, BR63), masks whose checksums
scapy computes anew (BR50). Argument: the program chain_through. Prints TAP."""
import os
import subprocess
import sys
import tempfile

try:
    from scapy.all import (ARP, GRE, ICMP, IP, TCP, UDP, VXLAN, Dot1AD, Dot1Q, Ether, IPv6, Raw, defragment, rdpcap, wrpcap)
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.mpls import MPLS
except ImportError:
    print("1..0 # SKIP python3-scapy is not installed")
    sys.exit(0)

PROGRAM = sys.argv[1]
FOLDER = tempfile.TemporaryDirectory(prefix="weft-t-scapy-")
checks = failed = 0


def check(name, good, why=""):
    global checks, failed
    checks += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {checks} - {name}")
    if not good:
        print(f"# {why}")


def through(setting, packets):
    given, out = os.path.join(FOLDER.name, "in.pcap"), os.path.join(FOLDER.name, "out.pcapng")
    wrpcap(given, packets, linktype=1)
    said = subprocess.run([PROGRAM, setting, given, out], check=True, capture_output=True, text=True, timeout=60).stdout
    counts = dict(line.rsplit(" ", 1) for line in said.splitlines())
    return [bytes(p) for p in rdpcap(out)], {k: int(v) for k, v in counts.items()}


def anew(frame):
    """The frame with every length and checksum of IP, TCP, UDP, ICMP computed by scapy."""
    p = Ether(frame)
    layer = p
    while layer:
        if isinstance(layer, (IP, TCP, UDP, ICMP)):
            layer.chksum = None
        layer = layer.payload
    return bytes(p)


def frames_of(text):
    return b"".join(bytes([65 + (i * 7 + i // 251) % 26]) for i in range(text))


ETH = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
BODY = frames_of(8000)


def merged(name, ip, size):
    """One packet of 8,000 bytes must become what scapy makes of each piece by itself."""
    options = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
    whole = ETH / ip(0) / TCP(sport=5, dport=6, seq=0xfffff000, ack=3, flags="CPA", options=options) / BODY
    want = []
    for n, at in enumerate(range(0, len(BODY), size)):
        last = at + size >= len(BODY)
        flags = "A" + ("C" if n == 0 else "") + ("P" if last else "")
        want.append(bytes(ETH / ip(n) / TCP(sport=5, dport=6, seq=(0xfffff000 + at) & 0xffffffff, ack=3, flags=flags,
                                            options=options) / BODY[at:at + size]))
    got, _ = through("split", [whole])
    check(f"BR66 {name}: split as scapy makes each packet", got == want,
          f"{len(got)} of {len(want)}; the first that differs: {[i for i, (a, b) in enumerate(zip(got, want)) if a != b][:1]}")


def unfinished():
    p = ETH / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / b"some bytes"
    want = bytes(p)
    pseudo = bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 6]) + (len(want) - 34).to_bytes(2, "big")
    total = sum(int.from_bytes(pseudo[i:i + 2], "big") for i in range(0, 12, 2))
    p[TCP].chksum = (total & 0xffff) + (total >> 16)
    got, counts = through("split", [p])
    check("BR65 an unfinished checksum becomes scapy's", got == [want] and counts["checksum-finished"] == 1, counts)


def stripped():
    inner = ETH / IP(src="10.0.0.1", dst="10.0.0.2", ttl=9) / UDP(sport=1000, dport=53) / b"inner"
    ip = IP(src="192.0.2.1", dst="192.0.2.2")
    body = inner[IP]
    outer = Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:08")
    cases = {
        "BR52 VLAN": (ETH / Dot1AD(vlan=3) / Dot1Q(vlan=4, type=0x0800) / body, inner),
        "BR54 BR55 VXLAN": (outer / ip / UDP(sport=9, dport=4789) / VXLAN(vni=5, flags=8) / inner, inner),
        "BR55 VXLAN over IPv6": (outer / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=9, dport=4789) / VXLAN(vni=5, flags=8) / inner,
                                 inner),
        "BR55 Geneve": (outer / ip / UDP(sport=9, dport=6081) / GENEVE(vni=5, proto=0x6558) / inner, inner),
        "BR55 GRE": (outer / ip / GRE(proto=0x0800, key_present=1, key=7) / body, Ether(src=outer.src, dst=outer.dst) / body),
        "BR55 IP in IP": (outer / ip / body, Ether(src=outer.src, dst=outer.dst) / body),
        "BR56 MPLS": (outer / MPLS(label=16, s=0, ttl=9) / MPLS(label=17, s=1, ttl=9) / body,
                      Ether(src=outer.src, dst=outer.dst) / body),
        "BR55 VXLAN in GRE": (outer / ip / GRE(proto=0x0800) / ip / UDP(sport=9, dport=4789) / VXLAN(vni=5, flags=8) / inner, inner),
        "BR54 no VXLAN": (outer / ip / UDP(sport=9, dport=4789) / Raw(b"\x00" * 30), None),
    }
    for name, (given, want) in cases.items():
        got, _ = through("strip", [given])
        check(f"{name} taken off: what scapy put in", got == [bytes(want if want is not None else given)], got[0].hex())


def masked():
    given = [ETH / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / b"some secret",
             ETH / Dot1Q(vlan=3) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / b"odd",
             ETH / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / b"some secret",
             ETH / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP() / b"ping",
             ETH / ARP(psrc="10.0.0.1", pdst="10.0.0.2")]
    got, _ = through("mask", given)
    want = []
    for p in given:
        q = Ether(bytes(p))
        for layer in (IP, IPv6):
            if layer in q:
                q[layer].src = "120.120.120.120" if layer is IP else "7878:" * 7 + "7878"
        if ARP in q:
            q[ARP].psrc = "120.120.120.120"
        for layer in (TCP, UDP):
            if layer in q:
                q[layer].dport = 0x7878
        if Raw in q:
            q[Raw].load = b"x" * len(q[Raw].load)
        want.append(anew(bytes(q)))
    for g, w, p in zip(got, want, given):
        check(f"BR49 BR50 masked, checksums as scapy's: {p.summary()}", g == w, f"{g.hex()} {w.hex()}")


def tunnels():
    given = [bytes(ETH / IP(src="10.0.0.1", dst=f"10.0.1.{i}") / UDP(sport=1000 + i, dport=53) / frames_of(10 + i * 36))
             for i in range(40)]
    got, _ = through("vxlan", [Ether(p) for p in given])
    good = [p == anew(p[:36 + 4]) + p[40:] or Ether(p)[UDP].chksum == 0 for p in got]
    read = [Ether(p) for p in got]
    check("BR62 VXLAN: scapy reads the frames that went in", [bytes(p[VXLAN].payload) for p in read] == given and all(good))
    check("BR62 VXLAN: VNI, DSCP, DF, header checksum", all(
        p[VXLAN].vni == 77 and p[IP].tos == 10 << 2 and p[IP].flags == "DF" and
        p[IP].chksum == IP(bytes(anew(bytes(p)))[14:]).chksum for p in read))
    check("BR60 the source port varies", len({p[UDP].sport for p in read}) > 30)
    got, counts = through("gre", [Ether(bytes(ETH / IP() / UDP() / BODY[:1472]))] + [Ether(p) for p in given])
    whole = defragment([Ether(p)[IP] for p in got])
    inner = [bytes(p[GRE].payload) for p in whole]
    check("BR58 GRE: scapy puts the fragments together", inner[1:] == given and len(inner[0]) == 1514 and len(got) == len(given) + 2 and
          counts["fragments-added"] == 1, counts)
    for setting, kind in (("erspan2", 0x88be), ("erspan3", 0x22eb)):
        got, _ = through(setting, [Ether(p) for p in given])
        read = [Ether(p)[GRE] for p in got]
        cut = [bytes(p.payload)[2] >> 2 & 1 for p in read]
        check(f"BR48 BR63 {setting}: numbers rise by one, the truncated bit where it was cut",
              [p.seqence_number for p in read] == list(range(len(given))) and all(p.proto == kind for p in read) and
              cut == [int(len(p) > 64) for p in given], cut)


merged("TCP over IPv4", lambda n: IP(src="10.0.0.1", dst="10.0.0.2", id=(0xfffe + n) & 0xffff, flags="DF"), 1500 - 52)
merged("TCP over IPv6", lambda n: IPv6(src="fd00::1", dst="fd00::2"), 1500 - 72)
unfinished()
stripped()
masked()
tunnels()
print(f"1..{checks}")
FOLDER.cleanup()
sys.exit(1 if failed else 0)
