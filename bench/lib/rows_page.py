# SPDX-License-Identifier: Apache-2.0
"""Row: the page in Chromium without a GPU: first paint, frames while the map is panned, how long a choice takes to be seen."""
import json
import os
import shutil
import subprocess

from .net import Failed
from .report import Finding, spread
from .stats import interval, judge

PAINT = ("the page's first paint, from loopback", "≤ 1,500 ms")
RATE = ("frames while the map is panned, 500 workloads and 2,000 edges that all change each second, no GPU", "≥ 40 frames/s")
P95 = ("the same, 95 % of frames within", "≤ 33.4 ms")
WORST = ("the same, the longest frame", "≤ 150 ms")
CHOOSE = ("a line of the ranking is chosen, until it is painted, 95 % within", "≤ 100 ms")
PAGE = [PAINT, RATE, P95, WORST, CHOOSE]
BUILT = os.path.join("web", "dist")


def measured(seconds):
    r = subprocess.run(["node", "bench/page/measure.mjs", BUILT, str(seconds)], capture_output=True, text=True, timeout=60)
    if r.returncode:
        raise Failed((r.stderr.strip().splitlines() or ["measure.mjs failed"])[-1])
    return json.loads(r.stdout)


def page(effort):
    if not shutil.which("node") or not shutil.which("chromium"):
        raise Failed("needs node and chromium")
    subprocess.run(["tools/web", BUILT], check=True, capture_output=True, timeout=90)
    runs = [measured(3) for _ in range(max(3, effort.times // 3))]

    def finding(promise, key, unit, **bound):
        xs = [r[key] for r in runs]
        return Finding(*promise, spread(xs, unit), "–", judge(*interval(xs), **bound))

    return [finding(PAINT, "paint", "ms", most=1500.0), finding(RATE, "perSecond", "frames/s", least=40.0), finding(P95, "p95", "ms", most=33.4),
            finding(WORST, "worst", "ms", most=150.0), finding(CHOOSE, "chosenP95", "ms", most=100.0)]
