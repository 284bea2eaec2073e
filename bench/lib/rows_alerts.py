# SPDX-License-Identifier: Apache-2.0
"""Row: what a record costs the hub with many alerts."""

from .net import run_json, tool
from .report import Finding, number, spread
from .stats import interval, judge

ALERTS = [("what a record costs with 100 alerts, each with a filter of its own", "≤ 2 µs of CPU (ours)")]


def alerts(effort):
    rounds = "5" if effort.quick else "100"
    runs = {n: [run_json(None, [tool("bench-alert"), str(n), rounds], timeout=60)["ns"] / 1000 for _ in range(effort.times)]
            for n in (1, 100, 1000)}
    note = f"with one alert {number(min(runs[1]))} µs, with 1,000 {number(min(runs[1000]))} µs: found by what the record is, not asked one by one"
    return [Finding(*ALERTS[0], spread(runs[100], "µs"), "–", judge(*interval(runs[100]), most=2.0), note)]
