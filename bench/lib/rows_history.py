# SPDX-License-Identifier: Apache-2.0
"""Row: a million records of flows asked with filters: in memory alone, and through the hub's API."""
import http.client
import json
import os
import time

from . import objects
from .measure import running_ns
from .net import Failed, run_json, sh, tool
from .report import Finding, failed, number, spread
from .rig import FAR, Rig
from .rows_hub import at_rest
from .stats import interval, judge
from .weft import UnixHTTP

MEMORY = ("a query over a million flow records, the slowest of eleven filters", "≤ 100 ms of CPU")
API = ("the same through the hub's API, the newest 1,000 as weft flows asks, the slowest of five filters", "≤ 100 ms (ours)")
HISTORY = [MEMORY, API]
ANSWER = 100000  # records that the hub gives in one answer
PODS = 500
FILTERS = ("", "tcp && dst.port in {80, 443, 8000-8100}", 'src.pod.label["app"] == "app-7" && dst.port == 5432', "ns == bench && !(dst.ip == 10.0.0.0/8) && bytes > 1M",
           "rtt > 20ms && state == closed && !(src.pod ~ 'pod-1*')")


def in_memory(effort, count):
    runs, every = [], []
    for _ in range(effort.times):
        for limit, into in ((ANSWER, runs), (0, every)):
            out = run_json(None, [tool("bench-history"), str(count), "1", str(limit)], timeout=60)
            into.append(max(q["ms"] for q in out["questions"]))
    note = (f"in memory ({number(out['bytes'] / 1048576)} MiB), the newest {ANSWER:,} that match, as the hub gives at most; sorting all "
            f"million, which no question of the API does: {spread(every, 'ms')}")
    return Finding(*MEMORY, spread(runs, "ms"), "–", judge(*interval(runs), most=100.0), note)


def ask(c, question):
    """(ms to the last byte, the answer's bytes)"""
    began = time.monotonic()
    c.request("POST", "/apis/weft.network/internal/flows", json.dumps(question), {"Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read()
    if r.status != 200:
        raise Failed(f"flows: {r.status} {text[:120].decode(errors='replace')}")
    return (time.monotonic() - began) * 1e3, text


def addresses(rig):
    items = rig.api("GET", "/api/v1/pods")["items"]
    return [o["status"]["podIP"] for o in items if o.get("status", {}).get("podIP")]


def fill(rig, count):
    rig.wait("addresses of all pods", lambda: len(addresses(rig)) == PODS, 30)
    path = os.path.join(rig.run, "hub.sock")
    return json.loads(sh([tool("bench-reports"), path, FAR, str(count)], stdin="\n".join(addresses(rig)) + "\n", timeout=90))


def through_api(effort, count):
    pods = [objects.pod(f"pod-{i}", FAR, {"app": f"app-{i % 40}"}) for i in range(PODS)]
    # three quarters of the room are for answered connections
    with Rig("history", pods, hub_options=["--flow-records", str(count // 3 * 4 + 4)]) as rig:
        before, _ = at_rest(rig.hub.pid)
        filled = fill(rig, count)
        after, rss = at_rest(rig.hub.pid)
        c = UnixHTTP(os.path.join(rig.run, "hub.sock"), 60)
        kept = json.loads(ask(c, {"limit": 1})[1])["kept"]
        if kept != count:
            raise Failed(f"the hub kept {kept:,} of {count:,} records")
        slowest, sizes = [], []
        for _ in range(max(3, effort.times)):
            got = [ask(c, {"filter": f, "limit": 1000}) for f in FILTERS]
            slowest.append(max(g[0] for g in got))
            sizes.append(max(len(g[1]) for g in got))
        cpu = running_ns([rig.hub.pid])
        largest, text = ask(c, {"limit": ANSWER})
        cpu = (running_ns([rig.hub.pid]) - cpu) / 1e6
        c.close()
    return Finding(*API, spread(slowest, "ms"), "–", judge(*interval(slowest), most=100.0),
                   f"{count:,} records took {number(filled['seconds'])} s to come; hub {number(after)} MiB private with them, {number(before)} before "
                   f"(RSS {number(rss)}); answers to {number(max(sizes) / 1e6)} MB; the largest that there is, {ANSWER:,} records in {number(len(text) / 1e6)} MB: "
                   f"{number(largest)} ms, {number(cpu)} ms CPU of the hub")


def history(effort):
    count = 100000 if effort.quick else 1000000
    found = [in_memory(effort, count)]
    try:
        return found + [through_api(effort, count)]
    except (Failed, OSError, http.client.HTTPException) as e:
        return found + [failed(*API, str(e))]
