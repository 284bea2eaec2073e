# SPDX-License-Identifier: Apache-2.0
"""Row: a million records of flows asked with filters."""

from .net import run_json, tool
from .report import Finding, number, spread
from .stats import interval, judge

HISTORY = [("a query over a million flow records, the slowest of eleven filters", "≤ 100 ms of CPU")]
ANSWER = 100000  # records that the hub gives in one answer


def history(effort):
    runs, every = [], []
    for _ in range(effort.times):
        for limit, into in ((ANSWER, runs), (0, every)):
            out = run_json(None, [tool("bench-history"), "100000" if effort.quick else "1000000", "1", str(limit)], timeout=60)
            into.append(max(q["ms"] for q in out["questions"]))
    note = (f"in memory ({number(out['bytes'] / 1048576)} MiB), the newest {ANSWER:,} that match, as the hub gives at most; sorting all "
            f"million, which no question of the API does: {spread(every, 'ms')}")
    return [Finding(*HISTORY[0], spread(runs, "ms"), "–", judge(*interval(runs), most=100.0), note)]
