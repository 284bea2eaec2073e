# SPDX-License-Identifier: Apache-2.0
"""Row: the page in Chromium without a GPU: first paint, frames while the map is panned, how long what a person does
takes to be seen."""
import json
import os
import shutil
import subprocess

from .net import Failed
from .report import Finding, number, spread
from .stats import HOLDS, MISSES, interval, judge, median, percentile, percentile_interval

PAINT = ("the page's first paint, from loopback", "≤ 1,500 ms")
RATE = ("frames while the map is panned, 500 workloads and 2,000 edges that all change each second, no GPU", "≥ 40 frames/s")
P95 = ("the same, 95 % of frames within", "≤ 33.4 ms")
WORST = ("the same, the longest frame", "≤ 150 ms")
DONE = ("what a person does on the map, the flow table and the broker's board, until it is seen, 95 % within", "≤ 100 ms")
SLOWEST = ("the same, the slowest kind", "≤ 100 ms")
PAGE = [PAINT, RATE, P95, WORST, DONE, SLOWEST]
BUILT = os.path.join("web", "dist")


def measured(seconds, rounds):
    r = subprocess.run(["node", "bench/page/measure.mjs", BUILT, str(seconds), str(rounds)], capture_output=True, text=True, timeout=200)
    if r.returncode:
        raise Failed((r.stderr.strip().splitlines() or ["measure.mjs failed"])[-1])
    return json.loads(r.stdout)


def page(effort):
    if not shutil.which("node") or not shutil.which("chromium"):
        raise Failed("needs node and chromium")
    subprocess.run(["tools/web", BUILT], check=True, capture_output=True, timeout=90)
    runs = [measured(3, 2 if effort.quick else 5) for _ in range(max(2, effort.times // 3))]

    def finding(promise, key, unit, **bound):
        xs = [r[key] for r in runs]
        return Finding(*promise, spread(xs, unit), "–", judge(*interval(xs), **bound))

    kinds = {k: sorted(x for r in runs for x in r["hands"].get(k, [])) for k in runs[0]["hands"]}
    late = {k: percentile(xs, 95) for k, xs in kinds.items()}
    worst, every = max(late, key=late.get), [x for xs in kinds.values() for x in xs]
    cpu = {k: median([x for r in runs for x in r["cpu"].get(k, [])]) for k in kinds}
    words = "; ".join(f"{k} {number(late[k])} ({number(cpu[k])})" for k in sorted(late, key=late.get, reverse=True))
    lo, hi = percentile_interval(every, 95)
    done = Finding(*DONE, f"{number(percentile(every, 95))} ms ({number(lo)}–{number(hi)})", "–", judge(lo, hi, most=100.0), f"{len(every)} of {len(kinds)} kinds, real mouse and keys")
    slow = Finding(*SLOWEST, f"{number(late[worst])} ms ({worst})", "–", HOLDS if late[worst] <= 100 else MISSES,
                   f"each kind's, and the median of CPU time of the page's main thread meanwhile, what the load's frames take included: {words}")
    return [finding(PAINT, "paint", "ms", most=1500.0), finding(RATE, "perSecond", "frames/s", least=40.0), finding(P95, "p95", "ms", most=33.4),
            finding(WORST, "worst", "ms", most=150.0), done, slow]
