# SPDX-License-Identifier: Apache-2.0
"""Real captures of every link type under WEFT_INPUTS/pcap: what each tool gets equals what tcpdump takes with the same
pcap expressions, packet by packet, joined by the model of sets below (BR71, BR07, BR08, BR09, BR03, BR16 to BR18)."""
import os
import sys

sys.path.insert(0, sys.path[0])
from lab import *

tmp = sys.argv[1]
folder = os.path.join(os.environ.get("WEFT_INPUTS", ""), "pcap")
if not os.path.isdir(folder):
    skip("real captures", "WEFT_INPUTS has no pcap/")
    done()

by_link = {}
for name in sorted(os.listdir(folder)):
    r = subprocess.run(["tcpdump", "--time-stamp-precision=nano", "-nr", os.path.join(folder, name), "-w", "-"], capture_output=True)
    packets, link = parse(r.stdout)
    if packets:
        by_link.setdefault(link, []).extend(packets)

filters = {"web": "tcp port 80 or tcp port 443", "tcp": "tcp", "udp": "udp", "ten": "net 10.0.0.0/8", "arp": "arp", "six": "ip6",
           "small": "less 100", "frag": "ip[6:2] & 0x3fff != 0", "tagged": "vlan"}
objects = [{"apiVersion": "weft.network/v1alpha1", "kind": "TrafficFilter", "metadata": {"name": n}, "spec": {"filter": f"pcap:'{f}'"}}
           for n, f in filters.items()]
objects += [tool("t-" + n) for n in filters] + [tool(n) for n in ("union", "minus", "less", "rest", "copy")]
objects += [tap("m-" + n, ["e"], [{"tool": "t-" + n}], filterRefs=[n]) for n in filters]
objects += [tap("union-1", ["e"], [{"tool": "union"}], filterRefs=["web", "arp"]), tap("union-2", ["e"], [{"tool": "union"}], filterRefs=["small"]),
            tap("minus", ["e"], [{"tool": "minus"}], filterRefs=["small"], **{"except": ["m-udp", "m-ten"]}),
            tap("less", ["e"], [{"tool": "less"}], **{"except": ["minus", "m-tcp"]}),  # itself an exception of an exception
            tap("rest", ["e"], [{"tool": "rest"}], rest=True)]
few = [o for o in objects if o["metadata"]["name"] != "less" or o["kind"] == "Tool"]
good, total, whole, sums = True, 0, True, True
for link, packets in sorted(by_link.items()):
    path = f"{tmp}/{link}.pcap"
    write(path, [p[3] for p in packets], link=link, lens=[p[2] for p in packets])
    everything = set(range(len(packets)))
    said = {n: numbers(path, f) for n, f in filters.items()}
    want = {"t-" + n: s for n, s in said.items()}
    want["union"] = said["web"] | said["arp"] | said["small"]
    want["minus"] = said["small"] - said["udp"] - said["ten"]
    want["rest"] = everything - set().union(*said.values())
    r = Run(f"{tmp}/out-{link}", few, [f"e={path}"])
    sums = sums and r.status == 0 and r.sums() and r.accounts["sources"][0]["seen"] == len(packets)
    for port, numbers_wanted in want.items():
        got = r.packets(port + ".default")
        right = [p[0] for p in got] == sorted(numbers_wanted)
        for p in got:
            was = packets[p[0]]
            if p[2:] != (max(was[2], len(was[3])), was[3]):  # a length below what is there cannot be
                print(f"# link type {link}, {port}, packet {p[0]}: length {was[2]}, {len(was[3])} bytes became {p[2]}, {len(p[3])}")
                whole = False
        if not right:
            print(f"# link type {link}, {port}: {len(got)} packets, wanted {len(numbers_wanted)}")
        good = good and right
        total += len(got)
    more = Run(f"{tmp}/more-{link}", objects, [f"e={path}"])
    right = more.numbers("less.default") == sorted(everything - want["minus"] - said["tcp"]) and more.numbers("rest.default") == []
    if not right:
        print(f"# link type {link}: less {len(more.numbers('less.default'))}")
    good = good and right and more.sums()
count = sum(map(len, by_link.values()))
ok(good and total > 1000, f"BR71, BR03, BR07, BR08, BR09: {count} packets of {len(by_link)} link types: each tool gets what tcpdump and the model of sets say ({total} copies)")
ok(whole, "BR69, BR70: each copy equals its original byte by byte, with its length on the wire")
ok(sums, "BR16, BR17, BR18: the sums of every run match, and the files have what the accounts say")

r = Run(tmp + "/several", [tool("all"), tap("m", ["a", "b"], [{"tool": "all"}])], [f"a={tmp}/1.pcap", f"b={tmp}/{sorted(by_link)[-1]}.pcap"])
said = subprocess.run(["capinfos", "-M", r.file("all.default")], capture_output=True, text=True).stdout
ok(r.status == 0 and "Number of interfaces in file: 2" in said and f"{len(by_link[1]) + len(by_link[sorted(by_link)[-1]])}" in said.replace(",", ""),
   "BR79: two link types in one file, one interface for each source: capinfos counts the same")
said = subprocess.run(["capinfos", "-M", "-D", r.file("all.default")], capture_output=True, text=True)
times = subprocess.run(["tshark", "-r", r.file("all.default"), "-T", "fields", "-e", "frame.time_epoch"], capture_output=True, text=True).stdout.split()
ok([float(t) for t in times] == sorted(map(float, times)), "BR81: inputs are merged by time")
done()
