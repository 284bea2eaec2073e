# SPDX-License-Identifier: Apache-2.0
"""Rows: the hub alone. Lists of many pods, many watches, the apply of many objects, and its memory. There is no peer: an
etcd with a kube-apiserver cannot be had here."""
import http.client
import json
import os
import time

from . import objects
from .api_change import fillers
from .measure import running_ns
from .net import Failed, run_json, tool
from .report import Finding, number, spread
from .rig import Rig
from .stats import HOLDS, MISSES, interval, judge
from .weft import UnixHTTP

LIST = [("list of 10,000 pods by the hub, JSON", "≤ 0.25 s (ours)"), ("list of 10,000 pods by the hub, Table", "≤ 0.25 s (ours)")]
MEMORY = ("hub memory, 10,000 pods + 10,000 Services", "≤ 200 MiB of private pages (ours)")
OWN = ("1,000 watches of one object each, 1,000 changes/s", "nothing lost, lag p99 ≤ 20 ms (ours)")
ALL = ("1,000 watches of everything, 1,000 changes/s", "nothing lost, lag p99 ≤ 1 s (ours)")
APPLY = [("apply of 1,000 objects, new", "≤ 2 s (ours)"), ("apply of 1,000 objects, unchanged", "≤ 1 s (ours)")]
HUB, WATCHES = [*LIST, MEMORY], [OWN, ALL]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CONFIGMAPS = f"/api/v1/namespaces/{objects.NS}/configmaps"


def private_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        values = {l.split(":")[0]: int(l.split()[1]) for l in f if l.strip().endswith("kB")}
    return (values["Private_Clean"] + values["Private_Dirty"]) / 1024, values["Rss"] / 1024


def peak_mib(pid):
    """The most that was resident since forget_peak()."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmHWM")) / 1024


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def at_rest(pid):
    """MiB (private, RSS) once the hub's CPU time stands still."""
    last = -1
    for _ in range(300):
        now = running_ns([pid])
        if now - last < 2e6:
            return private_mib(pid)
        last = now
        time.sleep(0.2)
    raise Failed("the hub does not come to rest in 60 s")


def one_list(rig, accept):
    """(seconds to the last byte, CPU seconds of the hub, bytes)"""
    c = UnixHTTP(os.path.join(rig.run, "hub.sock"), 60)
    c.connect()
    cpu, began, n = running_ns([rig.hub.pid]), time.monotonic(), 0
    c.request("GET", "/api/v1/pods", headers={"Accept": accept})
    r = c.getresponse()
    buf = bytearray(1 << 20)
    while k := r.readinto(buf):
        n += k
    took = time.monotonic() - began
    c.close()
    if r.status != 200:
        raise Failed(f"GET /api/v1/pods: {r.status}")
    return took, (running_ns([rig.hub.pid]) - cpu) / 1e9, n


def lists(rig, effort):
    found = []
    for promise, accept in zip(LIST, ("application/json", TABLE)):
        before, _ = at_rest(rig.hub.pid)
        forget_peak(rig.hub.pid)
        base = peak_mib(rig.hub.pid)
        got = [one_list(rig, accept) for _ in range(max(3, effort.times))]
        times, cpus = [g[0] for g in got], [g[1] for g in got]
        found.append(Finding(
            *promise, spread(times, "s"), "–", judge(*interval(times), most=0.25),
            f"{number(got[0][2] / 1e6)} MB; {spread(cpus, 's')} CPU of the hub; it had {number(before)} MiB private and at most "
            f"{number(peak_mib(rig.hub.pid) - base)} MiB more during {len(got)} lists"))
    return found


def watched(rig, promise, kind, watches, effort, most_ms):
    """One run of bench-watch."""
    rate = 200 if effort.quick else 1000
    forget_peak(rig.hub.pid)
    cpu = running_ns([rig.hub.pid])
    out = run_json(None, [tool("bench-watch"), os.path.join(rig.run, "hub.sock"), str(watches), kind, str(rate), "2" if effort.quick else "8"],
                   timeout=90)
    cpu = (running_ns([rig.hub.pid]) - cpu) / 1e9
    whole = out["received"] == out["expected"] and not out["ended"] and not out["refused"]
    lost = "nothing lost" if whole else (f"{out['expected'] - out['received']:,} of {out['expected']:,} events did not come, "
                                         f"{out['ended']} watches ended, {out['refused']} changes refused")
    return Finding(*promise, f"{lost}; lag p50 {number(out['p50_ms'])} ms, p99 {number(out['p99_ms'])} ms", "–",
                   HOLDS if whole and out["p99_ms"] <= most_ms else MISSES,
                   f"{out['made']:,} changes in {number(out['write_seconds'])} s ({number(out['made'] / out['write_seconds'])}/s of {rate:,}), "
                   f"{number(out['received'] / out['seconds'])} events/s; hub {number(100 * cpu / out['seconds'])} % of a core, at most "
                   f"{number(peak_mib(rig.hub.pid))} MiB resident; from sending the change to having the event")


def watching(rig, effort):
    for i in range(1000):
        rig.api("POST", CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": objects.meta(f"w{i}"), "data": {"at": "0"}})
    return [watched(rig, OWN, "own", 1000, effort, 20), watched(rig, ALL, "all", 50 if effort.quick else 1000, effort, 1000)]


def applied_objects(count):
    """(path, object): in equal parts Services, policies, ConfigMaps and Deployments without pods."""
    out = []
    for i in range(count // 4):
        core, name = f"/api/v1/namespaces/{objects.NS}", f"applied-{i}"
        out.append((f"{core}/services/{name}", objects.service(name, {"app": name})))
        out.append((f"/apis/networking.k8s.io/v1/namespaces/{objects.NS}/networkpolicies/{name}",
                    objects.policy(name, name, ingress_from=["peer"], ports=[("TCP", 8080)])))
        out.append((f"{core}/configmaps/{name}", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": objects.meta(name),
                                                  "data": {f"key-{k}": "value" * 20 for k in range(10)}}))
        out.append((f"/apis/apps/v1/namespaces/{objects.NS}/deployments/{name}", objects.deployment(name, 0)))
    return out


def apply_all(rig, todo):
    """Seconds for server-side apply of all, one after the other on one connection, as kubectl does it; also the hub's CPU."""
    c = UnixHTTP(os.path.join(rig.run, "hub.sock"), 30)
    c.connect()
    cpu, began = running_ns([rig.hub.pid]), time.monotonic()
    for path, body in todo:
        c.request("PATCH", f"{path}?fieldManager=bench&force=true", json.dumps(body), {"Content-Type": "application/apply-patch+yaml"})
        r = c.getresponse()
        text = r.read()
        if r.status not in (200, 201):
            raise Failed(f"apply of {path}: {r.status} {text[:120].decode(errors='replace')}")
    took = time.monotonic() - began
    c.close()
    return took, (running_ns([rig.hub.pid]) - cpu) / 1e9


def applying(rig, effort):
    count = 100 if effort.quick else 1000
    todo = applied_objects(count)
    try:
        runs = [apply_all(rig, todo)] + [apply_all(rig, todo) for _ in range(max(2, effort.times // 3))]
    except (Failed, OSError, http.client.HTTPException) as e:
        from .report import failed
        return [failed(*p, str(e)) for p in APPLY]
    again = [r[0] for r in runs[1:]]
    return [Finding(*APPLY[0], f"{number(runs[0][0])} s", "–", HOLDS if runs[0][0] <= 2 else MISSES,
                    f"{count:,} server-side applies one after the other; hub {number(runs[0][1])} s CPU"),
            Finding(*APPLY[1], spread(again, "s"), "–", judge(*interval(again), most=1.0), f"hub {number(runs[1][1])} s CPU")]


def hub(effort):
    with Rig("hub", [o for o in fillers(effort.many) if o["kind"] != "NetworkPolicy"]) as rig:
        private, rss = at_rest(rig.hub.pid)
        found = lists(rig, effort)
        after, _ = at_rest(rig.hub.pid)
    return [*found, Finding(*MEMORY, f"{number(private)} MiB", "–", HOLDS if private <= 200 else MISSES,
                            f"RSS {number(rss)} MiB; each Service has a slice; after the lists {number(after)} MiB private")]


def watches(effort):
    with Rig("watches") as rig:
        return watching(rig, effort)


def apply(effort):
    with Rig("apply") as rig:
        return applying(rig, effort)
