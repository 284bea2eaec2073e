# SPDX-License-Identifier: Apache-2.0
"""Row: a million records of flows asked with filters."""

from .net import run_json, tool
from .report import Finding, number, spread
from .stats import interval, judge, median

HISTORY = [("a query over a million flow records, the slowest of eleven filters", "≤ 100 ms of CPU")]


def history(effort):
    runs = []
    for _ in range(effort.times):
        out = run_json(None, [tool("bench-history"), "100000" if effort.quick else "1000000", "1"], timeout=60)
        runs.append([q["ms"] for q in out["questions"]])
    slowest = [max(r) for r in runs]
    all_of = [r[0] for r in runs]
    note = f"in memory, newest first; without a filter {number(median(all_of))} ms"
    return [Finding(*HISTORY[0], spread(slowest, "ms"), "–", judge(*interval(slowest), most=100.0), note)]
