# SPDX-License-Identifier: Apache-2.0
"""Rows: what a verdict costs in the kernel, by bench-verdict (BPF_PROG_TEST_RUN over many flows)."""
from .net import run_json, tool
from .report import Finding, ratio_finding, spread
from .stats import interval, judge

FEW = ("verdict, established packet, 10,000 live flows, 10,000 policies", "≤ 120 ns")
MANY = ("verdict, established packet, 1,000,000 random flows, 10,000 policies", "≤ 400 ns")
NEW = ("verdict, first packet of a flow, 10,000 policies", "≤ 700 ns")
FLAT = ("verdict, established packet, 1 → 10,000 policies", "flat (≤ 1.10 × at 1)")
VERDICT = [FEW, MANY, NEW, FLAT]


def verdict(effort):
    out = run_json(None, [tool("bench-verdict"), str(3 if effort.quick else 15), "100000" if effort.quick else "500000"], timeout=110)

    def bound(promise, samples, most, peer="–", note=""):
        return Finding(*promise, spread(samples, "ns"), peer, judge(*interval(samples), most=most), note)

    none, one, many = (out[f"established_{n}"] for n in ("none", "one", "many"))
    return [
        bound(FEW, many, 120, f"no policy: {spread(none, 'ns')}"),
        bound(MANY, out["established_million"], 400),
        bound(NEW, out["new_many"], 700, f"no policy: {spread(out['new_none'], 'ns')}",
              f"one policy: {spread(out['new_one'], 'ns')}; every flow goes to another pod with a policy of its own, both ends judged; "
              f"rules of several ports: {spread(out['new_sets'], 'ns')}; a flood that nobody answers: {spread(out['new_flood'], 'ns')}"),
        ratio_finding(*FLAT, [m / o for o, m in zip(one, many)], spread(many, "ns"), f"one policy: {spread(one, 'ns')}", most=1.10),
    ]
