# SPDX-License-Identifier: Apache-2.0
"""Which lost request was lost to what. A request has an address to which Weft led it, times, and a caller; deaths and
faults have theirs (chaos.py). The first rule that fits counts:

inside    it was on a connection that the dead pod had taken: made before the instance was dead, lost after its death began
node      the same with a pod of a node that lost power or cable
place     its caller's node, or the node that it had asked by address, was without power or cable, or not whole again
window    it was led to a dead pod that its node did not know to be dead: begun after the death began and before the
          node's kernel had no backend of that address any more
unknown   the same with a pod of a node without power or cable
elsewhere all others: what must not be
"""
CLASSES = ("inside", "node", "place", "window", "unknown", "elsewhere")
NODE_ADDRESSES = {"172.31.0.1%d" % i: "node-%d" % (i + 1) for i in range(3)}
NODE_ADDRESSES.update({"fd57:e7f7:0:1::1%d" % i: "node-%d" % (i + 1) for i in range(3)})


def entry(lost):
    host = lost["lost"].partition("@")[2].rpartition(":")[0].strip("[]")
    return NODE_ADDRESSES.get(host)


def out_of(death, node):
    """When no new call of that node went there any more."""
    times = [t for t in (death.out.get(node), death.back) if t is not None]
    return min(times) if times else float("inf")


def hits(lost, death):
    return lost["led"] in death.ips() and lost["failed"] >= death.begun


def judge(lost, deaths, faults):
    """(class, death or fault or None)"""
    here = entry(lost) or lost["by"]
    met = [d for d in deaths if hits(lost, d)]
    for d in met:
        if lost["connected"] is not None and lost["connected"] <= (d.dead or float("inf")):
            return ("node" if d.way.startswith("its node") else "inside"), d
    for f in faults:
        if f.node in (entry(lost), lost["by"]) and lost["failed"] >= f.begun and (f.over is None or lost["begun"] <= f.over):
            return "place", f
    for d in met:
        if lost["begun"] <= out_of(d, here):
            return ("unknown" if d.way.startswith("its node") else "window"), d
    return "elsewhere", None
