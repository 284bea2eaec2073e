# SPDX-License-Identifier: Apache-2.0
"""Row: what a tool port does to its copies, one core, without a kernel: in memory, and a capture file beside editcap and
tcprewrite (CPU time of the whole program)."""
import os
import resource
import shutil
import subprocess
import tempfile

from .net import Failed, run_json, tool
from .report import Finding, number, ratio_finding, spread
from .stats import interval, judge, median

CHAIN = [
    ("dedup on one core, 512-byte packets, each new", "≥ 1.5 M packets/s (ours)"),
    ("masking the payload on one core, 512-byte packets", "≥ 1.5 M packets/s (ours)"),
    ("slicing to 96 bytes on one core, 512-byte packets", "≥ 5 M packets/s (ours)"),
    ("taking VXLAN off on one core, 512-byte packets", "≥ 5 M packets/s (ours)"),
    ("dedup of a capture file", "≤ 1 × editcap -d (ours)"),
    ("VLAN tags off a capture file", "≤ 1 × tcprewrite (ours)"),
]
MEMORY = [("dedup", 1.5), ("mask", 1.5), ("slice", 5.0), ("strip-vxlan", 5.0)]


def packets_of(effort):
    return 20000 if effort.quick else 200000


def cpu_of(cmd):
    """Seconds of CPU time of a program that must end well."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(cmd, capture_output=True, text=True, timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode:
        raise Failed(f"{os.path.basename(cmd[0])}: {(p.stderr or p.stdout).strip()[-200:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def in_memory(effort):
    runs = [run_json(None, [tool("bench-chain"), "memory", "50000" if effort.quick else "200000"], timeout=60)
            for _ in range(effort.times)]
    out = []
    for (what, budget), (action, least) in zip(CHAIN, MEMORY):
        rates = {size: [1e3 / r[action][size] for r in runs] for size in ("128", "512", "1514")}
        note = "; ".join(f"{size} bytes: {number(median(rates[size]))} M/s" for size in ("128", "1514"))
        verdict = judge(*interval(rates["512"]), least=least)
        out.append(Finding(what, budget, spread(rates["512"], "M/s"), "–", verdict, note))
    return out


def beside(what, budget, effort, folder, action, peer):
    if not shutil.which(peer[0]):
        return Finding(what, budget, verdict="not measured", note=f"{peer[0]} is not installed")
    packets = packets_of(effort)
    given, ours, theirs = (os.path.join(folder, name) for name in ("in.pcap", "ours.pcapng", "theirs.pcap"))
    run_json(None, [tool("bench-chain"), "file", "none", given, ours])  # the file is in memory for both
    weft, other = [], []
    for i in range(effort.times):
        turns = [(weft, [tool("bench-chain"), "file", action, given, ours]),
                 (other, [w.format(given=given, out=theirs) for w in peer])]
        for times, cmd in turns if i % 2 else reversed(turns):
            times.append(cpu_of(cmd))
    ratios = [a / b for a, b in zip(weft, other)]
    rate = [packets / t / 1e6 for t in weft]
    peer_rate = [packets / t / 1e6 for t in other]
    return ratio_finding(what, budget, ratios, spread(rate, "M/s"), f"{peer[0]} {spread(peer_rate, 'M/s')}", most=1.0,
                         note="CPU time, reading and writing included")


def chain(effort):
    out = in_memory(effort)
    with tempfile.TemporaryDirectory(prefix="weft-bench-chain-") as folder:
        cpu_of([tool("bench-chain"), "make", os.path.join(folder, "in.pcap"), str(packets_of(effort))])
        out.append(beside(*CHAIN[4], effort, folder, "dedup", ["editcap", "-d", "{given}", "{out}"]))
        out.append(beside(*CHAIN[5], effort, folder, "strip",
                          ["tcprewrite", "--enet-vlan=del", "-i", "{given}", "-o", "{out}"]))
    return out
