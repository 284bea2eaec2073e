# SPDX-License-Identifier: Apache-2.0
"""Row, only when it is named: memory over an hour. A hub alone with 500 workloads, told of 2,000 connections once a second, of
which 2 each time end while others begin elsewhere, and its page in Chromium, looked at all the time. It starts where the hub is at
its bounds: ended connections in memory, history on disk, keys of history were full before. Steady is what the second half says: the
line through its samples."""
import json
import os
import select
import shutil
import subprocess
import sys
import time

from . import objects
from .net import Failed, tool
from .report import Finding, number
from .rig import FAR, Rig
from .stats import HOLDS, MISSES, OPEN, scatter, slope

WORKLOADS, EDGES, NAMESPACES, ENDS = 500, 2000, 20, 2
RECORDS, HISTORY = 20000, 32  # of ended connections; MiB
KEYS = 32768  # of history, before it forgets those that nothing uses (observe/rollup_state.h)
FILL = KEYS + 25000  # they are at their most once, and nearly a second time
TURNS = 2  # page/hour.mjs leaves the map in every second minute
LINGER = 320  # seconds for which a map knows an edge that is over, and some (observe/graph.h)
LINES = [("heap", "MiB", "the page's heap, behind a forced collection"), ("nodes", "", "DOM nodes, documents' and left ones"),
         ("listeners", "", "listeners"), ("page", "MiB", "the page's process, pages of its own"),
         ("drawing", "MiB", "the process that draws, pages of its own"), ("hub", "MiB", "the hub, pages of its own")]
LOAD = f"{WORKLOADS} workloads, {EDGES:,} edges that all change each second, {ENDS} of them for others, every view visited"
GROWS = "grows by ≤ 5 % in an hour (ours)"
HOUR = [(f"memory over an hour, {what}; {LOAD}" if i == 0 else f"the same, {what}", GROWS) for i, (_, _, what) in enumerate(LINES)]


def pod(i):
    p = objects.pod(f"app-{i}", FAR, {"app": f"app-{i}"})
    p["metadata"]["namespace"] = f"team-{i * NAMESPACES // WORKLOADS:02}"
    return p


def things():
    return [objects.namespace(f"team-{i:02}") for i in range(NAMESPACES)] + [pod(i) for i in range(WORKLOADS)]


def addresses(rig):
    return [p["status"]["podIP"] for p in rig.api("GET", "/api/v1/pods")["items"] if p.get("status", {}).get("podIP")]


def private_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty")) / 1024


def fill(rig, talk, limit=600):
    """Until everything in the hub that has a bound is at it, and the hub's size stands."""
    if not select.select([talk.stdout], [], [], limit)[0] or not (line := talk.stdout.readline()):
        raise Failed("the hub was not filled")
    filled, sizes, began = json.loads(line), [], time.monotonic()
    while True:
        flows = rig.api("POST", "/apis/weft.network/internal/flows", {"limit": 1})
        history = rig.api("POST", "/apis/weft.network/internal/history", {"limit": 1, "since": int(time.time())})
        sizes.append(private_mib(rig.hub.pid))
        # questions about names have a quarter more of it, and there are none here; of more keys some were forgotten
        full = flows["kept"] == RECORDS and history["madeRoom"]["seconds"] > 0 and KEYS / 2 < history["keys"] <= KEYS
        print(f"bench:   before: kept {flows['kept']}, history {json.dumps(history['madeRoom'])}, {history['bytes'] >> 20} MiB, {history['keys']} keys, "
              f"{history['folded']} folded; hub {number(sizes[-1])} MiB", file=sys.stderr, flush=True)
        if full and time.monotonic() - began > LINGER and len(sizes) >= 6 and max(sizes[-6:]) <= 1.05 * min(sizes[-6:]):
            return f"{filled['records']:,} connections before, in {number(filled['seconds'])} s, then {history['keys']:,} keys, {history['bytes'] >> 20} MiB on disk"
        if time.monotonic() - began > limit:
            raise Failed(f"not full or not steady after {limit} s")
        time.sleep(10)


def judged(samples, key, unit):
    """What the second half says: growth in an hour with its 95 % interval, beside how far samples lie from the line; the verdict is
    about the share of the mean."""
    late = samples[len(samples) // 2:]
    xs, ys = [s["minute"] / 60 for s in late], [s[key] for s in late]
    mean = sum(ys) / len(ys)
    by, lo, hi = slope(xs, ys, TURNS)
    share = [100 * v / mean for v in (lo, hi)]
    verdict = HOLDS if share[1] <= 5 else MISSES if share[0] > 5 else OPEN
    unit = f" {unit}" if unit else ""
    signed = lambda v: ("−" if v < 0 else "+") + number(abs(v))  # noqa: E731
    text = f"{number(mean)}{unit}, {signed(by)}{unit} an hour ({signed(lo)} to {signed(hi)}; {share[0]:+.1f} to {share[1]:+.1f} %)"
    return text, verdict, f"line through the last {len(late)} of {len(samples)} samples, of which half lie within {number(scatter(xs, ys, by, TURNS))}{unit} of it"


def note_of(samples, key):
    last = samples[-1]
    at = lambda part: number(samples[int((len(samples) - 1) * part)][key])  # noqa: E731
    text = f"first {at(0)}, after a third {at(1 / 3)}, two thirds {at(2 / 3)}, last {at(1)}; {last['minute']} minutes"
    return text + {"page": f"; resident {number(last['pageResident'])} MiB", "hub": f"; resident {number(last['hubResident'])} MiB"}.get(key, "")


def looked_at(rig, seconds):
    """The samples: the page's and the hub's, a minute each, and how full the hub was before."""
    talk = subprocess.Popen([tool("bench-reports"), os.path.join(rig.run, "hub.sock"), FAR, str(EDGES), str(seconds + 1500), "1000", str(ENDS), str(FILL)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    look = None
    try:
        talk.stdin.write("\n".join(addresses(rig)) + "\n")
        talk.stdin.close()
        full = fill(rig, talk)
        link = rig.api("POST", "/apis/weft.network/internal/login")["url"]
        look = subprocess.Popen(["node", "bench/page/hour.mjs", link, str(seconds), str(rig.hub.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        samples = []
        for line in look.stdout:
            samples.append(json.loads(line))
            print("bench:   " + line.strip(), file=sys.stderr, flush=True)
        said = look.stderr.read()
        if look.wait() or talk.poll() is not None:
            print(said, file=sys.stderr)
            raise Failed(next((l for l in said.splitlines() if "Error" in l), "the connections ended"))
        return samples, full
    finally:
        for p in (look, talk):
            if p and p.poll() is None:
                p.terminate()
                p.wait()


def hour(effort):
    if not shutil.which("node") or not shutil.which("chromium"):
        raise Failed("needs node and chromium")
    options = ["--node-lost", "86400", "--node-evict", "86400", "--flow-records", str(RECORDS), "--history", str(HISTORY)]
    with Rig("page", things(), hub_options=options) as rig:
        rig.wait("addresses of all pods", lambda: len(addresses(rig)) == WORKLOADS, 60)
        samples, full = looked_at(rig, effort.minutes * 60)
    if len(samples) < 16:
        raise Failed(f"{len(samples)} samples are too few: --minutes 16 at least")
    found = []
    for promise, (key, unit, _) in zip(HOUR, LINES):
        text, verdict, how = judged(samples, key, unit)
        note = f"{how}; {note_of(samples, key)}" + (f"; {full}" if key == "hub" else "")
        found.append(Finding(*promise, text, "–", verdict, note))
    return found
