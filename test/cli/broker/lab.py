# SPDX-License-Identifier: Apache-2.0
"""What the broker's tests share: captures made and read, maps as YAML, a run with its accounts. Captures are read back
by tcpdump, not by Weft. Each packet's time is its number, so that sets of packets are sets of numbers."""
import glob
import json
import os
import struct
import subprocess
import sys

WEFT = os.environ.get("WEFT") or os.path.join(os.environ.get("WEFT_BUILD", "build"), "src/cli/weft")
number = 0
failed = []


def ok(good, name):
    global number
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    if not good:
        failed.append(name)


def skip(name, why):
    global number
    number += 1
    print(f"ok {number} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


def pcap_bytes(frames, link=1, lens=None, start=0):
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link)]
    for i, f in enumerate(frames):
        out.append(struct.pack("<IIII", start + i, 0, len(f), lens[i] if lens else len(f)) + f)
    return b"".join(out)


def write(path, frames, **more):
    with open(path, "wb") as f:
        f.write(pcap_bytes(frames, **more))


def parse(data):
    """[(seconds, nanoseconds, length, bytes)] and the link type of a pcap, as tcpdump writes it."""
    if len(data) < 24:
        return [], None
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link, at, out = struct.unpack(order + "I", data[20:24])[0], 24, []
    while at + 16 <= len(data):
        s, ns, cap, length = struct.unpack(order + "IIII", data[at:at + 16])
        out.append((s, ns, length, data[at + 16:at + 16 + cap]))
        at += 16 + cap
    return out, link


def tcpdump(path, expression=None):
    """What tcpdump takes of a capture; None where the expression has no meaning for it."""
    r = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", path, "-w", "-"] + ([expression] if expression else []),
                       capture_output=True, timeout=60)
    return None if r.returncode else parse(r.stdout)[0]


def numbers(path, expression):
    got = tcpdump(path, expression)
    return set() if got is None else {p[0] for p in got}


def tool(name, **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "Tool", "metadata": {"name": name},
            "spec": spec or {"file": {"path": f"/var/lib/weft/{name}.pcapng"}}}


def group(name, **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "ToolGroup", "metadata": {"name": name}, "spec": spec}


def tap(name, sources, to, **spec):
    return {"apiVersion": "weft.network/v1alpha1", "kind": "TrafficMap", "metadata": {"name": name},
            "spec": dict(spec, **{"from": [{"interface": {"name": s}} for s in sources], "to": to})}


class Run:
    """One run of weft broker: status, accounts, what each tool port's file holds."""

    def __init__(self, folder, objects, captures, before=(), keep=False):
        os.makedirs(folder, exist_ok=True)
        for old in [] if keep else glob.glob(folder + "/*.pcapng"):
            os.unlink(old)
        self.folder = folder
        self.maps = folder + "/maps.yaml"
        with open(self.maps, "w") as f:
            f.write("---\n".join(json.dumps(o) + "\n" for o in objects))
        args = [a for c in captures for a in ("--pcap", c)]
        r = subprocess.run(list(before) + [WEFT, "broker", self.maps] + args + ["--out", folder, "-o", "json"], capture_output=True,
                           text=True, timeout=120)
        self.status, self.said = r.returncode, r.stderr
        self.accounts = json.loads(r.stdout) if r.stdout else {}
        if r.returncode:
            print("#", r.stderr.replace("\n", "\n# "))

    def file(self, port):
        return f"{self.folder}/{port}.pcapng"

    def packets(self, port):
        return tcpdump(self.file(port)) or []

    def numbers(self, port):
        return [p[0] for p in self.packets(port)]

    def account(self, kind, name):
        for a in self.accounts.get(kind, ()):
            if name in (a.get("tool", "") + "." + a.get("port", ""), a.get("map"), a.get("source"), a.get("group")):
                return a
        return {}

    def sums(self):
        """BR16, BR17, BR18, computed anew from the single numbers and from the files."""
        for s in self.accounts["sources"]:
            if s["seen"] != s["classified"] + s["unparsable"]:
                return False
        for t in self.accounts["tools"]:
            if t["due"] + t["added"] != t["sent"] + sum(t["lost"].values()):
                return False
            if "file" in t and t["sent"] != len(tcpdump(t["file"]) or []):
                return False
        return True


# Frames.
MACS = bytes.fromhex("020000000002020000000001")


def ip4(proto, rest, src="10.0.0.1", dst="10.0.0.2", ident=0, fragment=0):
    a, b = (bytes(map(int, x.split("."))) for x in (src, dst))
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(rest), ident, fragment, 64, proto, 0) + a + b + rest


def tcp(sport=40000, dport=80, rest=b"", flags=2):
    return struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 0, 0, 0) + rest


def udp(sport=5000, dport=53, rest=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(rest), 0) + rest


def eth(rest, kind=0x0800, vlan=None):
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return MACS + tag + struct.pack("!H", kind) + rest
