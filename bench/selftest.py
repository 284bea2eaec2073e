# SPDX-License-Identifier: Apache-2.0
"""Checks what the bench computes: intervals against simulation, verdicts at their edges, the rule layouts' shape.
Prints TAP; a meson test of suite unit. Measures nothing and needs no root."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from lib import api_change, layouts, report, rows, rows_hub, rows_page_hour, rows_probes, stats  # noqa: E402

points = []


def check(name, ok):
    points.append(ok)
    print(f"{'ok' if ok else 'not ok'} {len(points)} - {name}")


def coverage(n, tries=4000):
    """How often the interval of n samples holds the true median."""
    dice = random.Random(n)
    hit = 0
    for _ in range(tries):
        lo, hi = stats.interval([dice.expovariate(1) for _ in range(n)])
        hit += lo <= 0.6931 <= hi
    return hit / tries


check("nine samples: second to eighth", stats.interval(list(range(9))) == (1, 7))
check("eleven samples: second to tenth", stats.interval(list(range(11))) == (1, 9))
check("five samples: all of them", stats.interval(list(range(5))) == (0, 4))
for n in (6, 9, 11, 15, 31):
    check(f"interval of {n} samples holds the median 95 times in 100", 0.94 <= coverage(n) <= 0.995)
check("median of an even number", stats.median([4, 1, 3, 2]) == 2.5)
check("99th percentile of 1,000", stats.percentile(list(range(1000)), 99) == 989)
lo, hi = stats.percentile_interval(list(range(1000)), 99)
check("its interval lies around it", lo < 989 < hi < 1000)
check("100 samples do not bound the 99th percentile from above", stats.percentile_interval(list(range(100)), 99)[1] is None)
check("holds: the whole interval above", stats.judge(0.95, 1.1, least=0.95) == stats.HOLDS)
check("misses: the whole interval below", stats.judge(0.5, 0.94, least=0.95) == stats.MISSES)
check("open: the bound inside", stats.judge(0.9, 1.1, least=0.95) == stats.OPEN)
check("upper bound holds", stats.judge(1, 5, most=5) == stats.HOLDS)
check("upper bound is missed", stats.judge(5.1, 6, most=5) == stats.MISSES)
check("no upper end, no holding", stats.judge(1, None, most=5) == stats.OPEN)
check("numbers are short", [report.number(x) for x in (0.1234, 12.34, 123.4, 12345.6, 0)] == ["0.123", "12.3", "123", "12,346", "0"])

services = layouts.some(20, 3, [("10.210.0.3", 8080), ("10.210.0.4", 8080)])
text = layouts.iptables(services)
check("iptables layout: a chain a service and an endpoint", text.count(":KUBE-SVC-") == 20 and text.count(":KUBE-SEP-") == 59)
check("iptables layout: the real endpoints are in the middle one", layouts.middle(services).endpoints[1] == ("10.210.0.4", 8080))
check("iptables layout: chances by what is left", "--probability 0.3333333333" in text and "--probability 0.5000000000" in text)
text = layouts.nftables(services)
check("nftables layout: a chain a service and an endpoint", text.count("chain service-") == 20 and text.count("chain endpoint-") == 59)
parts = layouts.nftables_parts(layouts.some(1200, 2), "172.30.0.2")
check("nftables layout by parts: the base, and 500 services each", len(parts) == 4 and "".join(parts).count("chain service-") == 1200)
ported = layouts.some(5000, 1, node_ports=100)
check("node ports: 100 around the middle one, all different",
      len({s.node_port for s in ported if s.node_port}) == 100 and layouts.middle(ported).node_port and not ported[0].node_port)
check("node ports in the iptables layout", layouts.iptables(ported).count("-A KUBE-NODEPORTS ") == 100)
check("node ports in the nftables layout", layouts.nftables(ported).count(" : goto external-") == 100)
check("one service has its node port too", layouts.some(1, 1, node_ports=100)[0].node_port == 30000)
old = layouts.middle(services)
new = layouts.Service(old.name, old.address, old.port, [old.endpoints[0], ("10.210.0.9", 8080)])
check("a change takes the old endpoint away", layouts.iptables_change(old, new).count("-X KUBE-SEP-") == 1
      and layouts.nftables_change(old, new).count("delete chain") == 1)
check("addresses of services differ", len({s.address for s in layouts.some(10000, 1)}) == 10000)
check("addresses of endpoints differ", len({e for s in layouts.some(10000, 10) for e in s.endpoints}) == 100000)
check("key of a service element", api_change.service_key("10.96.200.1", 81).hex() == "00000000000000000000ffff0a60c80100510600")
line = [2.0 + 0.5 * x + 0.01 * (-1) ** x for x in range(40)]
by, lo, hi = stats.slope(range(40), line)
check("a line's slope, and that it is in its interval", abs(by - 0.5) < 0.002 and lo <= 0.5 <= hi and hi - lo < 0.01)
check("how far samples lie from their line", abs(stats.scatter(range(40), line, by) - 0.01) < 0.002)
turned = [2.0 + 0.5 * x + 30 * (x % 2) for x in range(40)]
check("what is done in turns is no growth", stats.slope(range(40), turned, 2) == (0.5, 0.5, 0.5) and stats.scatter(range(40), turned, 0.5, 2) == 0)
check("what stays the same does not grow", stats.slope(range(20), [7] * 20, 2) == (0, 0, 0))
bad = [y + (50 if x in (3, 20, 37) else 0) for x, y in enumerate(line)]
check("three samples at bad moments change little", abs(stats.slope(range(40), bad)[0] - 0.5) < 0.01)
noise = random.Random(5)
for what, turns in (("", 1), (", compared in two turns,", 2)):
    missed = 0
    for _ in range(400):
        _, lo, hi = stats.slope(range(40), [noise.gauss(100, 3) for _ in range(40)], turns)
        missed += not lo <= 0 <= hi
    check(f"noise{what} grows in about one of twenty ({missed} of 400)", 4 <= missed < 36)
walk = 0
for _ in range(200):
    ys = [0.0]
    for _ in range(39):
        ys.append(0.7 * ys[-1] + noise.gauss(0, 3))
    _, lo, hi = stats.slope(range(40), ys)
    walk += not lo <= 0 <= hi
check(f"noise whose neighbours are alike seldom grows ({walk} of 200)", walk < 40)
grown = [{"minute": m, "heap": 10 if m < 30 else 20 + (m - 30) / 10 + 0.01 * (-1) ** m} for m in range(60)]
text, verdict, how = rows_page_hour.judged(grown, "heap", "MiB")
check(f"growth in the second half is told in MiB an hour, and misses: {text}; {how}",
      verdict == stats.MISSES and text.startswith("21.4 MiB, +6.0") and "30 of 60" in how)
level = [{"minute": m, "heap": m if m < 30 else 20 + 0.1 * (-1) ** m} for m in range(60)]
check("growth before it counts for nothing", rows_page_hour.judged(level, "heap", "MiB")[1] == stats.HOLDS)
rough = [{"minute": m, "heap": noise.gauss(20, 2)} for m in range(60)]
check("what is too rough is not decided", rows_page_hour.judged(rough, "heap", "MiB")[1] == stats.OPEN)
promised = [p for r in rows.ROWS + rows.LONG for p in r.promises]
check("no two rows have one name, and no two promises are alike",
      len({r.name for r in rows.ROWS + rows.LONG}) == len(rows.ROWS + rows.LONG) and len(set(promised)) == len(promised))
check("a budget that the design does not have says so", all("(ours)" in b for w, b in promised if "hub" in w or "watches of" in w or "apply of" in w))
histogram = [{"count": n, "buckets": [{"leMs": m, "count": c} for m, c in zip((1, 5, 10), b)]}
             for n, b in ((100, (0, 50, 100)), (300, (197, 248, 299)))]
check("99 of 100 tries began within, from two readings", rows_probes.late_p99(*histogram) == 5)
check("later than the histogram reaches", rows_probes.late_p99({"count": 0, "buckets": [{"leMs": 1, "count": 0}]}, {"count": 2, "buckets": [{"leMs": 1, "count": 1}]}) is None)
cast = rows_probes.probed_pod(0, 4)["spec"]["containers"]
check("a container's two probes are of both sorts", all(("httpGet" in c["readinessProbe"]) != ("httpGet" in c["livenessProbe"]) for c in cast))
check("what is applied is of four kinds, alike", [sum(o["kind"] == k for _, o in rows_hub.applied_objects(1000)) for k in
      ("Service", "NetworkPolicy", "ConfigMap", "Deployment")] == [250] * 4)
print(f"1..{len(points)}")
sys.exit(0 if all(points) else 1)
