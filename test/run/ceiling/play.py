# SPDX-License-Identifier: Apache-2.0
"""Called by ceiling.sh: WEFT NAME CHECKS-SO-FAR FOLDER CGROUP. See there."""
import json
import os
import socket
import sys
import time

from generate import ips, run
from pod_calls import finish, make_socket, ok, programs, wait_for, weft_run

limit = sys.argv[5]
TURNS, TURN, RATE, FLOOD, BOUND = 24, 0.2, 40000, 200000, 1.5
PERIOD, CEILING = 100000, 1000  # microseconds: a hundredth of a CPU


def put(name, value):
    with open(f"{limit}/{name}", "w", encoding="ascii") as f:
        f.write(str(value))


def ceiling(on):
    if os.path.exists(limit + "/cpu.max"):
        put("cpu.max", f"{CEILING if on else 'max'} {PERIOD}")
    else:
        put("cpu.cfs_quota_us", CEILING if on else -1)


def throttled():
    with open(limit + "/cpu.stat", encoding="ascii") as f:
        return int(dict(line.split() for line in f)["nr_throttled"])


def echo(address):
    """A pod that answers, in a process of its own."""
    s = make_socket("server", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 7000))
    pid = os.fork()
    while not pid:
        data, who = s.recvfrom(2000)
        s.sendto(data, who)
    return pid


def requests(s, seconds):
    """How long each took, us, one after the other."""
    took, end = [], time.perf_counter_ns() + int(seconds * 1e9)
    while True:
        begin = time.perf_counter_ns()
        s.send(b"?")
        s.recv(100)
        now = time.perf_counter_ns()
        took.append((now - begin) / 1000)
        if now > end:
            return took


def flooded(rate):
    return run("caller", "syn", ips("shut")[0], 7000, rate, rate * 1000)


def stop(flood):
    flood.terminate()
    return json.loads(flood.communicate()[0] or "{}").get("sent", 0)


def p99(all):
    return sorted(all)[len(all) * 99 // 100]


def account():
    p = weft_run("account", "-o", "json")
    return p.returncode, json.loads(p.stdout)[0]["sums"] if p.stdout else []


def exact():
    code, sums = account()
    good = code == 0 and sums and all(s["says"] == "exact" for s in sums)
    return {s["sum"]: {t["name"]: t["low"] for t in s["terms"]} for s in sums} if good else None


def refused():
    return sum(d["packets"] for d in json.loads(weft_run("drops", "-o", "json").stdout or "[]") if d["reason"] in ("policy-ingress", "spoofed"))


server = echo(ips("server")[0])
try:
    s = make_socket("caller", socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((ips("server")[0], 7000))
    requests(s, 0.2)
    before = wait_for(exact, 30)
    put("cgroup.procs", programs()["weft-observer", "node-1"])
    got, were = {True: [], False: []}, throttled()
    flood = flooded(RATE)
    # Short turns: what else the machine does meanwhile hits both alike.
    for i in range(2 * TURNS):
        on = i % 2 == i // 2 % 2
        ceiling(on)
        time.sleep(0.1)
        got[on] += requests(s, TURN)
    at_ceiling, sent = throttled() - were, stop(flood)
    ceiling(True)
    flood = flooded(FLOOD)
    time.sleep(6)
    code, sums = account()
    told = [x["says"] for x in sums]
    sent += stop(flood)
    ceiling(False)
finally:
    os.kill(server, 9)
ratio = p99(got[True]) / p99(got[False])
ok(f"the observer was held at its ceiling ({at_ceiling} times)", at_ceiling > TURNS)
ok("BR96 p99 of %d requests of a pod: %.0f us with the observer at its ceiling, of %d: %.0f us with one that has time: %.2f times, at most %.1f"
   % (len(got[True]), p99(got[True]), len(got[False]), p99(got[False]), ratio, BOUND), ratio < BOUND)
ok("at its ceiling the account says that it holds, or that it is not known, never a wrong number", told and "wrong" not in told or code == 2, (code, told))
after = wait_for(exact, 60)
ok("BR96 BR18 when it has time again all sums match to the packet", bool(after and before), weft_run("account", "-o", "wide").stdout)
lost = after["events"]["EVENTS_LOST"] - before["events"]["EVENTS_LOST"]
ok(f"BR96 what gave way is the telling of single drops: {lost} had no room in the ring, by that name", lost > 0, after["events"])
ok("BR96 and not their counts: each of the refused packets is among the drops", refused() >= sent > 0, (refused(), sent))
finish()
