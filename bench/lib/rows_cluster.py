# SPDX-License-Identifier: Apache-2.0
"""Rows: the sandbox up and down as a user waits for it, and reachability questions without a cluster."""
import os
import re
import tempfile

from . import objects
from .net import Failed, run_json, sh, tool
from .report import Finding, failed, number, spread
from .stats import interval, judge, median
from .weft import Cluster, manifest

SHOP = ("sandbox up: 2 nodes, the public shop's 12 Deployments, every pod wired and serving", "≤ 1 s")
HUNDRED = ("sandbox up: 2 nodes, 100 pods", "≤ 2 s")
DOWN_SHOP = ("sandbox gone, the shop", "≤ 0.5 s")
DOWN_HUNDRED = ("sandbox gone, 100 pods", "≤ 0.5 s")
SANDBOX = [SHOP, DOWN_SHOP, HUNDRED, DOWN_HUNDRED]
COMPILE = [("compiling alone: 10,000 pods, 10,000 Services × 10 endpoints, whole", "≤ 0.5 s"),
           ("compiling alone: one change among 10,000", "≤ 1 ms"),
           ("compiling alone: a selector that touches all 10,000", "≤ 50 ms")]
QUESTIONS = [("offline: a million reachability questions", "≤ 1 s")]


def inputs():
    """The public inputs, by WEFT_INPUTS or beside this tree."""
    for path in (os.environ.get("WEFT_INPUTS"), "../shared/inputs"):
        if path and os.path.isdir(os.path.join(path, "online-boutique")):
            return os.path.join(path, "online-boutique")
    return None


def up_and_down(promises, times, **cluster):
    """`weft up -d` returns when every pod is wired, enforced and serving; that all were wired is checked here."""
    ups, downs, own, pods = [], [], [], 0
    for i in range(times):
        c = Cluster(f"updown{i}", **cluster)
        try:
            c.up(60)
            status = c.status()
            pods = status["pods"]
            if not pods or status["wired"] != pods:
                raise Failed(f"weft up returned with {status['wired']} of {pods} pods wired")
            ups.append(c.up_seconds)
            own.append(status["upUs"] / 1e6)
        finally:
            c.close()
        downs.append(c.down_seconds)
        left = c.left_behind()
        if left:
            raise Failed(f"weft down left {left}")
    return [
        Finding(*promises[0], spread(ups, "s"), "–", judge(*interval(ups), most=float(promises[0][1].split()[1])),
                f"{pods} pods; until `weft up -d` returned; by its own count {spread(own, 's')}"),
        Finding(*promises[1], spread(downs, "s"), "–", judge(*interval(downs), most=0.5),
                "until `weft down` returned; no namespace, cgroup, folder or mount left"),
    ]


def sandbox(effort):
    found = []
    shop = inputs()
    times = max(2, effort.times)
    if shop:
        found += up_and_down((SHOP, DOWN_SHOP), times, folder=shop)
    else:
        found += [failed(*p, "WEFT_INPUTS names no folder with online-boutique") for p in (SHOP, DOWN_SHOP)]
    hundred = {"pods.yaml": [objects.namespace()] + [objects.deployment(f"d{i}", 10) for i in range(10)]}
    try:
        found += up_and_down((HUNDRED, DOWN_HUNDRED), max(2, effort.times // 2), files=hundred)
    except Failed as e:
        found += [failed(*p, str(e)) for p in (HUNDRED, DOWN_HUNDRED)]
    return found


def question_cast(count):
    """`count` pods in 100 groups, each group taking from three others on one port, in both directions."""
    out = [objects.namespace()]
    out += [objects.deployment(f"g{i}", count // 100) for i in range(100)]
    for i in range(100):
        peers = [f"g{(i * 7 + k) % 100}" for k in (1, 2, 3)]
        out.append(objects.policy(f"in-{i}", f"g{i}", ingress_from=peers, ports=[("TCP", 8080)]))
        out.append(objects.policy(f"out-{i}", f"g{i}", egress_to=peers, ports=[("TCP", 8080)]))
    return out


def questions(effort):
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        with open(os.path.join(folder, "all.yaml"), "w", encoding="utf-8") as f:
            f.write(manifest(question_cast(1000 if effort.quick else 10000)))
        out = run_json(None, [tool("bench-questions"), folder, "1000000", str(3 if effort.quick else 9)], timeout=110)
    times = out["seconds"]
    note = (f"{out['pods']:,} pods, {out['policies']} policies, 50 nodes; {100 * out['allowed'] / out['asked']:.1f} % of them allowed; "
            f"reading and compiling before: {number(out['prepare_seconds'])} s")
    return [Finding(*QUESTIONS[0], spread(times, "s"), "–", judge(*interval(times), most=1.0), note)]


def compiling(effort):
    """What bench-compile prints: "NAME … median N us worst N us rows N", or one figure a line."""
    runs = []
    for _ in range(effort.times):
        lines = sh([tool("bench-compile")] + (["1000", "1000"] if effort.quick else []), timeout=60).splitlines()
        runs.append({re.split(r"  +", line)[0]: [int(n) for n in re.findall(r"(\d+) us", line)] for line in lines})
    if not all("cold start" in r and "selector of all pods" in r for r in runs):
        raise Failed("bench-compile prints no line named cold start or selector of all pods")
    whole = [r["cold start"][0] / 1e6 for r in runs]
    every = [r["selector of all pods"][0] / 1e3 for r in runs]
    singles = [name for name, n in runs[0].items() if len(n) == 2 and name != "selector of all pods"]
    slowest = [max(r[name][1] for name in singles) / 1e3 for r in runs]
    medians = ", ".join(f"{name} {number(median([r[name][0] for r in runs]))} µs" for name in singles)
    return [Finding(*COMPILE[0], spread(whole, "s"), "–", judge(*interval(whole), most=0.5)),
            Finding(*COMPILE[1], spread(slowest, "ms"), "–", judge(*interval(slowest), most=1.0),
                    f"the slowest of all changes of a run; medians: {medians}"),
            Finding(*COMPILE[2], spread(every, "ms"), "–", judge(*interval(every), most=50))]
