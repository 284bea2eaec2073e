# SPDX-License-Identifier: Apache-2.0
"""Row, only when it is named: memory over an hour. A hub alone with 500 workloads, told of 2,000 connections once a second, and its
page in Chromium, looked at all the time. Steady is what the last two thirds say: the line through their samples."""
import json
import os
import shutil
import subprocess
import sys
import time

from . import objects
from .net import Failed, tool
from .report import Finding, number
from .rig import FAR, Rig
from .stats import HOLDS, MISSES, OPEN, slope

WORKLOADS, EDGES, NAMESPACES = 500, 2000, 20
LINES = [("heap", "the page's heap, behind a forced collection"), ("page", "the page's process, private pages"), ("hub", "the hub, private pages")]
LOAD = f"{WORKLOADS} workloads, {EDGES:,} edges that all change each second, every view visited"
GROWS = "grows by ≤ 5 % in an hour (ours)"
HOUR = [(f"memory over an hour, {what}; {LOAD}" if i == 0 else f"the same, {what}", GROWS) for i, (_, what) in enumerate(LINES)]


def pod(i):
    p = objects.pod(f"app-{i}", FAR, {"app": f"app-{i}"})
    p["metadata"]["namespace"] = f"team-{i * NAMESPACES // WORKLOADS:02}"
    return p


def things():
    return [objects.namespace(f"team-{i:02}") for i in range(NAMESPACES)] + [pod(i) for i in range(WORKLOADS)]


def addresses(rig):
    return [p["status"]["podIP"] for p in rig.api("GET", "/api/v1/pods")["items"] if p.get("status", {}).get("podIP")]


def judged(samples, key):
    """What a third of the run and more says: growth in an hour as a share, with its 95 % interval."""
    late = samples[len(samples) // 3:]
    xs, ys = [s["minute"] / 60 for s in late], [s[key] for s in late]
    mean = sum(ys) / len(ys)
    by, error = slope(xs, ys)
    lo, hi = 100 * (by - error) / mean, 100 * (by + error) / mean
    verdict = HOLDS if hi <= 5 else MISSES if lo > 5 else OPEN
    return f"{number(mean)} MiB, {100 * by / mean:+.1f} % an hour ({lo:+.1f} to {hi:+.1f})", verdict, len(late)


def note_of(samples, key):
    last = samples[-1]
    at = lambda part: number(samples[int((len(samples) - 1) * part)][key])  # noqa: E731
    text = f"first {at(0)}, after a third {at(1 / 3)}, two thirds {at(2 / 3)}, last {at(1)} MiB; {last['minute']} minutes"
    if key == "heap":
        text += f"; DOM nodes {samples[len(samples) // 3]['nodes']:,} → {last['nodes']:,}, listeners {samples[len(samples) // 3]['listeners']:,} → {last['listeners']:,}"
    if key == "page":
        text += f"; resident {number(last['pageResident'])} MiB"
    if key == "hub":
        text += f"; resident {number(last['hubResident'])} MiB; flow records and history on disk are bounded, and grow up to their bounds by design"
    return text


def hour(effort):
    if not shutil.which("node") or not shutil.which("chromium"):
        raise Failed("needs node and chromium")
    seconds = effort.minutes * 60
    options = ["--node-lost", "86400", "--node-evict", "86400", "--flow-records", "20000", "--history", "16"]
    with Rig("page", things(), hub_options=options) as rig:
        rig.wait("addresses of all pods", lambda: len(addresses(rig)) == WORKLOADS, 60)
        talk = subprocess.Popen([tool("bench-reports"), os.path.join(rig.run, "hub.sock"), FAR, str(EDGES), str(seconds + 600)], stdin=subprocess.PIPE, text=True)
        look = None
        try:
            talk.stdin.write("\n".join(addresses(rig)) + "\n")
            talk.stdin.close()
            time.sleep(3)
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
        finally:
            for p in (look, talk):
                if p and p.poll() is None:
                    p.terminate()
                    p.wait()
    if len(samples) < 6:
        raise Failed(f"{len(samples)} samples are too few: --minutes 10 at least")
    found = []
    for promise, (key, _) in zip(HOUR, LINES):
        text, verdict, n = judged(samples, key)
        found.append(Finding(*promise, text, "–", verdict, f"line through the last {n} of {len(samples)} samples; {note_of(samples, key)}"))
    return found
