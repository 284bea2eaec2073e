# SPDX-License-Identifier: Apache-2.0
"""Row: weft broker over a capture file, beside tcpdump -r with the same filter. CPU time a packet of the whole process,
its start taken off by a run over a capture of one packet."""
import json
import os
import random
import resource
import struct
import subprocess
import tempfile

from .net import Failed, need, run_json, tool
from .report import number, ratio_finding, spread
from .stats import median

BROKER = [("the broker over a capture: one map with a pcap expression, a tenth of the packets taken", "≤ 2 × the CPU of tcpdump -r -w (ours)"),
          ("the broker over a capture: 1,000 maps with filters of their own, one taken", "≤ 1/3 of the CPU of tcpdump -r -w, once for each filter (ours)"),
          ("the broker over a capture: 1,000 maps that share ten filters", "≤ 2 × ten maps with these filters (ours)")]
JUDGE = [("judging a packet by maps in memory, 1 → 1,000 maps with ports of their own", "≤ 2 × one map"),
         ("judging a packet by maps in memory, 1 → 1,000 maps of four kinds", "≤ 2 × one map"),
         ("judging a packet by 1,000 maps with ports of their own", "≤ 1/20 of libpcap, filter by filter (ours)"),
         ("judging a packet by maps in the kernel, 1 → 1,000 maps with ports of their own", "≤ 2 × one map"),
         ("judging a packet by maps in the kernel, 1 → 1,000 maps of four kinds", "≤ 2 × one map")]
WEFT = os.path.join(os.environ.get("BUILD", "build"), "src/cli/weft")


def capture(path, n):
    dice = random.Random(1)
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i in range(n):
            port = dice.randrange(1000, 1010) if i % 10 == 0 else dice.randrange(20000, 60000)
            body = bytes.fromhex("0200000000020200000000010800") + struct.pack(
                "!BBHHHBBHII", 0x45, 0, 128, 0, 0, 64, 17, 0, 0x0A000000 + dice.randrange(65536), 0x0A010000 + dice.randrange(65536)) + struct.pack(
                "!HHHH", 5000, port, 108, 0) + bytes(100)
            f.write(struct.pack("<IIII", i // 1000, i % 1000, len(body), len(body)) + body)


def maps(path, filters):
    objects = [{"kind": "Tool", "metadata": {"name": "t"}, "spec": {"file": {"path": "/x"}}}]
    objects += [{"kind": "TrafficMap", "metadata": {"name": f"m{i}"},
                 "spec": {"from": [{"interface": {"name": "e"}}], "filter": f, "to": [{"tool": "t"}]}} for i, f in enumerate(filters)]
    with open(path, "w") as f:
        f.write("---\n".join(json.dumps(dict(o, apiVersion="weft.network/v1alpha1")) + "\n" for o in objects))


def cpu(cmd):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if r.returncode:
        raise Failed(r.stderr.strip() or f"{cmd[0]}: status {r.returncode}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def broker(effort):
    need("tcpdump")
    n = 20000 if effort.quick else 200000
    one = "udp dst portrange 1000-1009"
    sets = {"one": [f"pcap:'{one}'"], "thousand": [f"udp && dst.port == {1000 + i}" for i in range(1000)],
            "shared": [f"udp && dst.port == {1000 + i % 10}" for i in range(1000)]}
    samples = {name: [] for name in list(sets) + ["tcpdump", "ten"]}
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as d:
        capture(d + "/in.pcap", n)
        capture(d + "/none.pcap", 1)
        for name, filters in sets.items():
            maps(f"{d}/{name}.yaml", filters)
        maps(d + "/ten.yaml", [f"udp && dst.port == {1000 + i}" for i in range(10)])
        for _ in range(effort.times):
            for name in list(sets) + ["ten"]:
                def run(which):
                    return cpu([WEFT, "broker", f"{d}/{name}.yaml", "--pcap", f"e={d}/{which}.pcap", "--out", d + "/out"])
                samples[name].append((run("in") - run("none")) / n * 1e9)

            def dump(which):
                return cpu(["tcpdump", "-nr", f"{d}/{which}.pcap", "-w", d + "/dump.pcap", one])
            samples["tcpdump"].append((dump("in") - dump("none")) / n * 1e9)
    beside = [a / b for a, b in zip(samples["one"], samples["tcpdump"])]
    each = [a / (1000 * b) for a, b in zip(samples["thousand"], samples["tcpdump"])]
    flat = [a / b for a, b in zip(samples["shared"], samples["ten"])]
    rate = f"{number(1e9 / median(samples['one']))} packets/s of one CPU; packets of 142 bytes"
    return [ratio_finding(*BROKER[0], beside, spread(samples["one"], "ns a packet"), spread(samples["tcpdump"], "ns a packet"), most=2.0, note=rate),
            ratio_finding(*BROKER[1], each, spread(samples["thousand"], "ns a packet"), f"{number(1000 * median(samples['tcpdump']))} ns a packet, 1,000 runs",
                          most=1 / 3),
            ratio_finding(*BROKER[2], flat, spread(samples["shared"], "ns a packet"), spread(samples["ten"], "ns a packet, ten maps"), most=2.0)]


def judge(effort):
    packets = "50000" if effort.quick else "500000"
    values = {}
    for _ in range(effort.times):
        for mode in ([], ["kernel"]):
            for key, ns in run_json(None, [tool("bench-judge")] + mode + [packets], timeout=60).items():
                values.setdefault(" ".join(mode + [key]), []).append(ns)

    def row(i, many, one, most, peer, note=""):
        ratios = [x / y for x, y in zip(values[many], values[one])]
        return ratio_finding(*JUDGE[i], ratios, spread(values[many], "ns a packet"), spread(values[one], peer), most=most, note=note)
    kinds = "ports, addresses, prefixes with ports, VLANs"
    test_run = "the program of one place by BPF_PROG_TEST_RUN, headers and all"
    return [row(0, "thousand", "one", 2.0, "ns a packet, one map", "headers found and filters asked; packets of 142 bytes, a tenth taken"),
            row(1, "mixed", "one", 2.0, "ns a packet, one map", kinds),
            row(2, "thousand", "libpcap_thousand", 0.05, "ns a packet", f"one filter: {number(median(values['libpcap_one']))} ns"),
            row(3, "kernel thousand", "kernel one", 2.0, "ns a packet, one map", test_run),
            row(4, "kernel mixed", "kernel one", 2.0, "ns a packet, one map", test_run + "; " + kinds)]
