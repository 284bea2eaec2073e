# SPDX-License-Identifier: Apache-2.0
"""Rows: how fast an agent of an empty node enforces, and the memory of its processes."""
import ctypes
import os
import time

from .api_change import fillers
from .net import Failed
from .report import Finding, number, spread
from .rig import Rig
from .stats import HOLDS, MISSES, interval, judge

START = [("agent start to enforcing, empty", "≤ 100 ms")]
IDLE = ("agent memory, idle", "≤ 10 MiB of private pages")
FULL = ("agent memory, 10,000 pods + 10,000 Services", "≤ 60 MiB of private pages")
MEMORY = [IDLE, FULL]


def start(effort):
    times = []
    with Rig("start") as rig:
        for _ in range(effort.times + 1):
            times.append(1000 * rig.start_agent(20))
            rig.stop_agent()
    times = times[1:]  # the first one reads the programs from disk
    return [Finding(*START[0], spread(times, "ms"), "–", judge(*interval(times), most=100),
                    "from starting the process until its socket answers that it enforces")]


def memory_of(pids):
    """MiB by kind over processes, and private MiB by program."""
    total = {"private": 0, "Rss": 0, "Pss": 0}
    by_program = {}
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            values = {l.split(":")[0]: int(l.split()[1]) for l in f if l.strip().endswith("kB")}
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            name = f.read().strip()
        private = values["Private_Clean"] + values["Private_Dirty"]
        by_program[name] = by_program.get(name, 0) + private / 1024
        total["private"] += private / 1024
        total["Rss"] += values["Rss"] / 1024
        total["Pss"] += values["Pss"] / 1024
    return total, by_program


def map_memory(rig):
    """MiB that the kernel charges for the pinned BPF maps of the node, by their fdinfo."""
    libc = ctypes.CDLL(None, use_errno=True)
    total = 0
    for folder, _, names in os.walk(rig.bpf):
        for name in names:
            path = os.path.join(folder, name).encode()
            attr = ctypes.create_string_buffer(128)
            buf = ctypes.create_string_buffer(path)
            ctypes.memmove(attr, ctypes.byref(ctypes.c_uint64(ctypes.addressof(buf))), 8)
            fd = libc.syscall(321, 7, attr, 128)  # bpf(BPF_OBJ_GET) on x86_64
            if fd < 0:
                continue
            with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
                text = f.read()
            os.close(fd)
            if "map_type" in text:
                total += next((int(l.split()[1]) for l in text.splitlines() if l.startswith("memlock")), 0)
    return total / 1048576


def finding(promise, rig, most):
    total, by_program = memory_of(rig.pids())
    share = ", ".join(f"{n} {number(v)}" for n, v in sorted(by_program.items(), key=lambda x: -x[1]))
    return Finding(*promise, f"{number(total['private'])} MiB", "–", HOLDS if total["private"] <= most else MISSES,
                   f"RSS {number(total['Rss'])}, PSS {number(total['Pss'])}, BPF maps {number(map_memory(rig))} MiB; private by program: {share}")


def memory(effort):
    found = []
    with Rig("idle") as rig:
        rig.start_agent(20)
        settle(rig)
        found.append(finding(IDLE, rig, 10))
    count = effort.many
    objects_ = [o for o in fillers(count) if o["kind"] != "NetworkPolicy"]
    with Rig("full", objects_) as rig:
        rig.start_agent(120, rows=2 * count)
        settle(rig)
        found.append(finding(FULL, rig, 60))
    return found


def settle(rig):
    """Until the processes' memory stands still for half a second."""
    last, same = None, 0
    for _ in range(100):
        now = round(memory_of(rig.pids())[0]["private"], 1)
        same = same + 1 if now == last else 0
        last = now
        if same >= 5:
            return
        time.sleep(0.1)
    raise Failed("the agent's memory did not settle in 10 s")
