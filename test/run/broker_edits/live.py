# SPDX-License-Identifier: Apache-2.0
"""Chains that the kernel runs itself (masks, slices, tags) beside the same file over captures, byte for byte: frames of all
kinds from gen0 into src0, tools at tool0 to tool4 heard at end0 to end4; then merged packets; then a tool that is down."""
import collections
import os
import struct
import subprocess
import sys
import time

sys.path.insert(0, "test/run/broker_plain")
from host import *

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def port(**chain):
    return [{"name": "default", "chain": chain}]


def tagged(frame, vlan, tpid=b"\x81\x00"):
    return frame[:12] + tpid + struct.pack("!H", vlan) + frame[12:]


def ip6(next_header, payload):
    return MACS + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64) + bytes(range(32)) + payload


def corpus():
    """Of each kind that a chain tells apart; with the public captures where they are."""
    body = bytes(i * 7 % 251 + 1 for i in range(200))
    u = struct.pack("!HHHH", 99, 53, 8 + len(body), 7) + body
    t = struct.pack("!HHIIBBHHH", 99, 80, 5, 6, 0x80, 0x18, 64, 9, 0) + bytes(12) + body
    plain = [MACS + b"\x08\x00" + ip4(p, x) for p, x in ((17, u), (6, t), (1, b"\x08\0" + u), (132, u), (47, u), (50, u), (136, u), (33, u))]
    plain += [ip6(p, x) for p, x in ((17, u), (6, t), (58, b"\x80\0" + u), (0, b"\x11\0" + bytes(6) + u), (44, b"\x11\0\0\1" + bytes(4) + u), (59, u))]
    plain += [MACS + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + body[:38], MACS + b"\x88\xcc" + body,
              MACS + b"\x00\x40" + b"\xaa\xaa\3\0\0\0\x08\0" + ip4(17, u), MACS + b"\x88\x47" + b"\0\1\1\x40" + ip4(17, u),
              MACS + b"\x88\x64" + b"\x11\0\0\1\0\xe0\0\x21" + ip4(17, u)]
    options = bytearray(MACS + b"\x08\x00" + ip4(17, bytes(4) + u))
    options[14] = 0x46
    fragments = []
    for flags in (0x2000, 0x0010):
        f = bytearray(MACS + b"\x08\x00" + ip4(17, u))
        f[20:22] = struct.pack("!H", flags)
        fragments.append(bytes(f))
    short = bytearray(MACS + b"\x08\x00" + ip4(6, t))
    short[46] = 0x40
    plain += [bytes(options), bytes(short), MACS + b"\x08\x00" + bytes([0x75]) + bytes(60), MACS + b"\x08\x00" + ip4(17, u)[:24] + bytes(26)] + fragments
    plain += [MACS + b"\x08\x00" + ip4(17, struct.pack("!HHHH", 99, 53, 8 + n, 7) + bytes(i % 255 + 1 for i in range(n))) for n in (504, 512, 1024, 1450, 8000)]
    frames = plain + [tagged(f, 0x2007) for f in plain] + [tagged(tagged(f, 9), 5, b"\x88\xa8") for f in plain] + [tagged(f, 3, b"\x91\0") for f in plain]
    folder = os.path.join(os.environ.get("WEFT_INPUTS", ""), "pcap")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        r = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", os.path.join(folder, name), "-w", "-"], capture_output=True)
        packets, link = parse(r.stdout)
        frames += [p[3] for p in packets if link == 1 and 14 < len(p[3]) == p[2] <= 9000]
    return frames


def held(live, name):
    return [t for t in live["tools"] if t["tool"] == name][0]


frames = corpus()
some, others = ["SourceMAC", "DestinationIP", "SourcePort"], ["DestinationMAC", "SourceIP", "DestinationPort"]
chains = {"payload": port(mask={"ranges": [{"from": "Payload"}]}),
          "heads": port(slice={"from": "Payload", "bytes": 5}, mask={"ranges": [{"from": "L4", "offset": 4, "length": 4}, {"from": "Payload", "offset": 2, "length": 600}], "fill": 90}),
          "names": port(mask={"fields": some, "fill": 255, "ranges": [{"from": "L3", "offset": 1, "length": 3}]}, slice={"from": "L4", "bytes": 6}, stamp={"vlan": 77}),
          "first": port(mask={"fields": others, "ranges": [{"from": "L2", "offset": 10, "length": 9}, {"from": "L3", "offset": 100}]}),
          "short": port(slice={"bytes": 20}, stamp={"vlan": 4})}
tools = [tool(name, interface={"name": f"tool{i}"}, ports=p) for i, (name, p) in enumerate(chains.items())]
objects = tools + [tap("all", ["src0"], [{"tool": name} for name in chains])]
write(f"{tmp}/sent.pcap", frames)
offline = Run(f"{tmp}/offline", objects, [f"src0={tmp}/sent.pcap"])
ears = {name: Ear(f"end{i}") for i, name in enumerate(chains)}
live = Live("edits", objects)
live.epoch(1)
ok(os.path.exists("/sys/class/net/weft-edit0"), "the pair for edits is there")
send(frames)
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(frames))
status, last = live.end()
ok(status == 0 and last["complete"] and all(t["sumsMatch"] and not t["inFlight"] and not sum(t["lost"].values()) for t in last["tools"]),
   f"BR17 BR18: {len(frames)} frames: all sums match, nothing is in flight, nothing was lost")
for name, ear in ears.items():
    got, want = ear.frames(), [p[3] for p in offline.packets(name + ".default")]
    now, was = held(last, name), offline.account("tools", name + ".default")
    missing, more = collections.Counter(want) - collections.Counter(got), collections.Counter(got) - collections.Counter(want)
    for a, b in list(zip(sorted(missing), sorted(more)))[:3]:
        print(f"# wanted {a[:80].hex()} ({len(a)})\n# got    {b[:80].hex()} ({len(b)})")
    ok(want and not missing and not more, f"{name}: {len(want)} packets, the same bytes as over the capture")
    notes = [(now["notes"].get(k, 0), was["notes"].get(k, 0)) for k in ("masked", "sliced", "slice-shallow", "stamped")]
    ok(all(a == b for a, b in notes) and now["due"] == was["due"] and now["sent"] == len(want), f"{name}: the same numbers: {notes}")
    ok(now["direct"] > (0 if name == "short" else len(want) // 5), f"{name}: {now['direct']} of {now['sent']} were edited by the kernel")
ok(not os.path.exists("/sys/class/net/weft-edit0") and not subprocess.run("tc qdisc show | grep clsact", shell=True, capture_output=True).stdout,
   "nothing is left at any interface")

# --- order, and a tool that is down ---
plain = [udp(53, i, 100) for i in range(2000)]
ear = Ear("end0")
live = Live("order", [tools[0], tap("m", ["src0"], [{"tool": "payload"}], filter="udp")])
live.epoch(1)
send(plain)
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(plain))
sh("ip link set end0 down")
send(plain[:500])
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(plain) + 500)
sh("ip link set end0 up")
status, last = live.end()
now = held(last, "payload")
got = [struct.unpack("!H", f[18:20])[0] for f in ear.frames()]
ok(got == list(range(2000)), f"{len(got)} packets of one kind come in the order in which they were sent")
ok(status == 0 and now["sumsMatch"] and now["due"] == 2500 and now["sent"] == 2000 and now["lost"].get("refused") == 500,
   f"BR19: a tool that is down refuses each: {now['lost']}")

# Every fourth frame has two tags: the kernel hands it over, and weft-copier edits it.
mixed = [tagged(tagged(f, 5), 6, b"\x88\xa8") if i % 4 == 3 else f for i, f in enumerate(plain)]
ear = Ear("end0")
live = Live("both", [tools[0], tap("m", ["src0"], [{"tool": "payload"}])])
live.epoch(1)
send(mixed)
wait(lambda: live.accounts()[-1]["sources"][0]["seen"] >= len(mixed))
status, last = live.end()
got = ear.frames()
kinds = [[struct.unpack("!H", f[at + 18:at + 20])[0] for f in got if (f[12:14] == b"\x88\xa8") == (at > 0)] for at in (0, 8)]
ok(status == 0 and kinds[0] == [i for i in range(2000) if i % 4 < 3] and held(last, "payload")["direct"] == 1500,
   f"what the kernel edits keeps its order among frames that are handed over: {len(kinds[0])}")
ok(kinds[1] == list(range(3, 2000, 4)), f"and so does what is handed over: {len(kinds[1])}")

# --- merged packets: no segment goes by unmasked ---
far = subprocess.run(["ip", "netns", "identify"], capture_output=True, text=True).stdout.strip() + "-far"
subprocess.run(["ip", "netns", "add", far], check=True)
try:
    sh(f"for l in src0 gen0 tool0 end0; do ip link set $l mtu 1500; done; ip link set gen0 netns {far}; ip addr add 10.9.0.1/24 dev src0;"
       f"ip netns exec {far} sh -c 'ip link set gen0 up; ip addr add 10.9.0.2/24 dev gen0'")
    ear = Ear("end0")
    live = Live("merged", [tools[0], tap("m", ["src0"], [{"tool": "payload"}], filter="tcp")])
    live.epoch(1)
    before = int(sh("cat /sys/class/net/src0/statistics/rx_packets"))
    got = transfer(far)
    merged = got / (int(sh("cat /sys/class/net/src0/statistics/rx_packets")) - before)
    status, last = live.end()
    now, heard = held(last, "payload"), ear.frames()
    clear = [f for f in heard if any(f[14 + 20 + (f[46] >> 4) * 4:])]
    ok(merged > 3000 and max(map(len, heard)) <= 1514 and not clear,
       f"BR65 BR66: {len(heard)} frames of wire size, {len(clear)} of them with a byte that is not masked, of packets of {merged:.0f}")
    ok(status == 0 and now["sumsMatch"] and now["added"] > 1000 and now["due"] + now["added"] == now["sent"] + sum(now["lost"].values())
       and now["sent"] - len(heard) == now.get("droppedBehind", 0), f"BR17: each segment is accounted for: {now}")
    ok(sum(struct.unpack("!H", f[16:18])[0] - 20 - (f[46] >> 4) * 4 for f in heard if f[36:38] == b"\0\x50") + 1448 * (now["added"] + now["due"] - len(heard)) >= got,
       "and nothing else is missing")
finally:
    subprocess.run(["ip", "netns", "del", far])
done()
