# SPDX-License-Identifier: Apache-2.0
"""Rows: 1 → 10,000 policies over 10,000 pods on what would be 100 nodes, as objects, against one real agent: what a change
costs, the memory of its processes, and how much of each BPF map is used."""
import ctypes
import os

from . import objects
from .api_change import LOCAL_PODS, NS, Change, changes, mapped, time_changes
from .report import Finding, number
from .rig import FAR, Rig, node_object
from .rows_agent import map_memory, memory_of, settle
from .stats import HOLDS, MISSES, interval, judge, median, percentile

NODES = 100  # with the agent's own
POLICY = ("one policy changes, 1 → 10,000 policies, 10,000 pods on 100 nodes", "flat (≤ 1.5 × at 1)")
POD = ("one pod changes, 1 → 10,000 policies, 10,000 pods on 100 nodes", "flat (≤ 1.5 × at 1)")
MEMORY = ("agent memory, 1 → 10,000 policies, 10,000 pods on 100 nodes", "≤ 60 MiB of private pages")
MAPS = ("BPF maps, 1 → 10,000 policies, 10,000 pods on 100 nodes", "all fits")
SCALE = [POLICY, POD, MEMORY, MAPS]
BPF_MAP_GET_NEXT_KEY, BPF_OBJ_GET, BPF = 4, 7, 321  # x86_64


def node_name(i):
    return FAR if i == 0 else f"far-{i}"


def world(policies, pods):
    """`pods` pods of the other nodes in as many apps, and `policies` policies of this node's pods but the first, each of
    which lets one of those apps in."""
    out = [objects.pod(f"far-{i}", node_name(i % (NODES - 1)), {"app": f"peer-{i}"}) for i in range(pods)]
    return out + [objects.policy(f"p{i}", f"local-{i % (LOCAL_PODS - 1) + 1}", ingress_from=[f"peer-{i % pods}"], ports=[("TCP", 8080)])
                  for i in range(policies)]


def add_nodes(rig):
    for i in range(1, NODES - 1):
        rig.api("POST", "/api/v1/nodes", node_object(node_name(i), f"172.31.{1 + i // 200}.{i % 200 + 1}", f"10.{100 + i}.0.0/16",
                                                     f"fd57:e7f7:1:{i:x}::/64"))


def crowded(rig):
    """The change of a policy whose pod has its share of all the others."""
    path = f"/apis/networking.k8s.io/v1{NS}/networkpolicies"
    rig.api("POST", path, objects.policy("crowded", "local-1", ingress_from=["peer"], ports=[("TCP", 7000)]))

    def port(spec):
        p = spec["spec"]["ingress"][0]["ports"][0]
        p["port"] = 7001 if p["port"] == 7000 else 7000

    address = rig.api("GET", f"/api/v1{NS}/pods/local-1")["status"]["podIP"]
    return Change("crowded", f"{path}/crowded", "endpoint", mapped(address), port)


def elements(path):
    """(elements, capacity) of a pinned BPF map, or None for what has no count."""
    libc = ctypes.CDLL(None, use_errno=True)

    def bpf(command, *words):
        attr = ctypes.create_string_buffer(128)
        for at, value in words:
            ctypes.memmove(ctypes.byref(attr, at), ctypes.byref(ctypes.c_uint64(value)), 8)
        return libc.syscall(BPF, command, attr, 128)

    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(BPF_OBJ_GET, (0, ctypes.addressof(name)))
    if fd < 0:
        return None
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
            info = dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)
        if "map_type" not in info or int(info["map_type"]) not in (1, 9, 5, 11):  # hashes and tries
            return None
        size = int(info["key_size"])
        key, following = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
        before, n, most = 0, 0, int(info["max_entries"])
        while n <= most and bpf(BPF_MAP_GET_NEXT_KEY, (0, fd), (8, before), (16, ctypes.addressof(following))) == 0:
            key.raw = following.raw
            before = ctypes.addressof(key)
            n += 1
        return n, most
    finally:
        os.close(fd)


def used(rig):
    out = {}
    for folder, _, names in os.walk(rig.bpf):
        for name in names:
            found = elements(os.path.join(folder, name))
            if found and found[0]:
                out[name] = found
    return out


class Size:
    """What one number of policies gives."""

    def __init__(self, effort, policies):
        self.policies = policies
        with Rig(f"scale-{policies}", world(policies, effort.many)) as rig:
            add_nodes(rig)
            rig.start_agent(180, rows=effort.many)
            _, todo = changes(rig)
            self.ms = {}
            for c in [*todo, crowded(rig)]:
                if c.what in ("policy", "pod", "crowded"):
                    request, _ = time_changes(rig, c, max(20, effort.changes // 5))
                    self.ms[c.what] = [1000 * s for s in request]
            settle(rig)
            self.memory, self.by_program = memory_of(rig.pids())
            self.maps, self.maps_mib = used(rig), map_memory(rig)


def times(sizes, what):
    return "; ".join(f"{s.policies:,}: p50 {number(median(s.ms[what]))} ms, p99 {number(percentile(s.ms[what], 99))} ms" for s in sizes)


def change_row(promise, sizes, what, note=""):
    first, last = sizes[0].ms[what], sizes[-1].ms[what]
    (lo1, hi1), (lo2, hi2) = interval(first), interval(last)
    return Finding(*promise, times(sizes, what), "–", judge(lo2 / hi1, hi2 / lo1, most=1.5),
                   f"ratio of medians {number(median(last) / median(first))} ({number(lo2 / hi1)}–{number(hi2 / lo1)}); from sending the "
                   f"API request to the kernel; {len(last)} changes each{note}")


def scale(effort):
    sizes = [Size(effort, n) for n in (1, 100, effort.many)]
    last = sizes[-1]
    share = ", ".join(f"{n} {number(v)}" for n, v in sorted(last.by_program.items(), key=lambda x: -x[1]))
    private = [s.memory["private"] for s in sizes]
    full = [n for n, (have, room) in last.maps.items() if have > room]
    shown = ", ".join(f"{n} {have:,} of {room:,}" for n, (have, room) in sorted(last.maps.items(), key=lambda x: -x[1][0]))
    return [
        change_row(POLICY, sizes, "policy", "; the pod has this policy only. A pod with an even share of all policies "
                   f"(one in {LOCAL_PODS - 1}), whose set is made anew: {times(sizes, 'crowded')}"),
        change_row(POD, sizes, "pod"),
        Finding(*MEMORY, "; ".join(f"{s.policies:,}: {number(m)} MiB" for s, m in zip(sizes, private)), "–",
                HOLDS if max(private) <= 60 else MISSES, f"by program at {last.policies:,}: {share}"),
        Finding(*MAPS, "; ".join(f"{s.policies:,}: {number(s.maps_mib)} MiB" for s in sizes), "–", MISSES if full else HOLDS,
                f"elements at {last.policies:,}: {shown}"),
    ]
