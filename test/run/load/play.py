# SPDX-License-Identifier: Apache-2.0
# Called by load.sh: WEFT NAME CHECKS-SO-FAR FOLDER.
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from generate import cost, counted, end, hub, ips, run, server  # noqa: E402
from pod_calls import finish, ok, programs, wait_for, weft_run  # noqa: E402

RATE, SECONDS = int(os.environ["RATE"]), int(os.environ["SECONDS_LONG"])
MINE = "record == flow && src.ns == default && dst.ns == default && dst.port in {7000-7063}"
SUMS = "src.ns == default && dst.ns == default && verdict == forwarded && dst.port in {7000-7063}"
ROOM = 100000  # records that one answer holds


def say(text):
    print("# " + text, flush=True)


def total(rows, member):
    return sum(r.get(member, 0) for r in rows)


def history(*more):
    out = weft_run("history", "-o", "json", "--by", "protocol", "--since", "1d", *more, SUMS).stdout
    return json.loads(out) if out else {"rows": []}


def exact():
    p = weft_run("account", "-o", "json")
    nodes = json.loads(p.stdout) if p.stdout else []
    return p.returncode == 0 and len(nodes) == 2 and all(s["says"] == "exact" for x in nodes for s in x["sums"]) and nodes


def losses():
    """Each loss of records that has a name, since the cluster began: of nodes, of the hub's memory, of its history."""
    told, kept = hub("flows", {"limit": 1, "filter": MINE}), hub("history", {"by": "none"})
    found = {"%s %s" % (what, n["name"]): n.get(what, 0) for n in told["nodes"] for what in ("missing", "lost", "evicted")}
    found.update({"no room": told["noRoom"], "untracked": kept["untracked"]})
    return {what: n for what, n in found.items() if n}


service = json.loads(weft_run("get", "service", "target", "-o", "json").stdout)["spec"]["clusterIPs"]
before = cost(programs())
servers = [server("target-%d" % i, 7000) for i in (1, 2)]
callers = []
for mine, other in ((1, 2), (2, 1)):
    near, far = ips("target-%d" % mine), ips("target-%d" % other)
    callers.append(run("caller-%d" % mine, "ask", RATE // 2, SECONDS * 1000,
                       "tcp,%s,7000,23" % service[0], "tcp,%s,7000,22" % service[1],
                       "tcp,%s,7000,12" % near[0], "tcp,%s,7000,11" % near[1], "tcp,%s,7000,12" % far[0], "tcp,%s,7000,11" % far[1],
                       "udp,%s,7000,5" % far[0], "udp,%s,7000,4" % near[1]))
asked = [counted(c) for c in callers]
pids = programs()
after = cost(pids)
served = [end(s) for s in servers]
begun = [[t["begun"] for t in a["targets"]] for a in asked]
tcp, udp = sum(sum(b[:6]) for b in begun), sum(sum(b[6:]) for b in begun)
seconds = max(a["wall_us"] for a in asked) / 1e6
say("%d flows (%d TCP, %d UDP) in %.1f s: %.0f a second; asked for were %d" % (tcp + udp, tcp, udp, seconds, (tcp + udp) / seconds, RATE))
for key in sorted(after):
    if key in before:
        say("%-24s %5.1f us of CPU a flow, %.1f MiB" % (" ".join(key), (after[key][0] - before[key][0]) * 1e6 / (tcp + udp), after[key][1]))
say("%-24s %5.1f us of CPU a flow" % ("the generator", sum(x["cpu_us"] for x in asked + served) / (tcp + udp)))
done, failed = (sum(t[what] for a in asked for t in a["targets"]) for what in ("done", "failed"))
ok("the generator began flows, and each came to its end", tcp + udp > RATE and done + failed == tcp + udp, asked)
if failed:  # on a machine that is not its own: they took longer than the generator waits, and are flows all the same
    say("%d took more than 30 s" % failed)
ok("and its servers count as many", done <= sum(s["accepted"] + s["datagrams"] for s in served) <= tcp + udp, (served, tcp, udp, failed))
ok("no program of Weft began anew", all(pids.get(k) == p for k, p in programs().items()) and set(before) <= set(after), (before, after))

expected = {"begun": tcp + udp, "packetsThere": sum(a["packets"][0] for a in asked), "packetsBack": sum(a["packets"][1] for a in asked),
            "bytesThere": sum(a["bytes"][0] for a in asked), "bytesBack": sum(a["bytes"][1] for a in asked)}


def sums():
    rows = history()["rows"]
    return {what: total(rows, what) for what in expected}


wait_for(lambda: sums() == expected)
found, lost = sums(), losses()
say("lost, by name: %s" % (lost or "nothing"))
ok("BR24 flows of the history + named losses = flows of the generator: %d" % (tcp + udp),
   found["begun"] <= tcp + udp <= found["begun"] + sum(lost.values()), (found, expected, lost))
if not lost:
    ok("packets and bytes of the history are those of the callers' interfaces: %d there, %d back" % (
        expected["packetsThere"], expected["packetsBack"]), found == expected, (found, expected))
over = wait_for(lambda: (lambda rows: sum(total(rows, m) for m in ("closed", "reset")) == tcp and rows)(
    [r for r in history()["rows"] if r["protocol"] == "TCP"]), 60)
ok("each TCP connection ended once, and its end is known: %d" % tcp, bool(over) or bool(lost), history()["rows"])
for step in ("1m", "1h"):
    rows = history("--step", step)["rows"]
    ok("the sums by %s are the same" % step, {what: total(rows, what) for what in expected} == found, rows)

p = weft_run("flows", "-o", "json", "--limit", str(ROOM), MINE)
flows = [json.loads(line) for line in p.stdout.splitlines()]
if tcp + udp <= ROOM:
    sizes = {"begun": len(flows), "packetsThere": sum(f["packets"]["there"] for f in flows), "packetsBack": sum(f["packets"]["back"] for f in flows),
             "bytesThere": sum(f["bytes"]["there"] for f in flows), "bytesBack": sum(f["bytes"]["back"] for f in flows)}
    ok("weft flows has each of them once, with the same packets and bytes", sizes == found, (sizes, found, p.stderr))
else:
    ok("weft flows has the newest %d, and says so" % ROOM, len(flows) == ROOM and "only the newest" in p.stderr, (len(flows), p.stderr))
named = {f["from"].get("name") for f in flows} | {f["to"].get("name") for f in flows}
ok("under the names of their pods", named == {"caller-1", "caller-2", "target-1", "target-2"}, named)
ok("BR18 all sums of weft account match to the packet", bool(wait_for(exact, 60)), weft_run("account").stdout)
told = {n["name"]: n for n in hub("flows", {"limit": 1})["nodes"]}
ok("BR18 each record that a node numbered has come to the hub", all(n["next"] == n["received"] for n in told.values()) or bool(lost), told)
finish()
