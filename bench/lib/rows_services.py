# SPDX-License-Identifier: Apache-2.0
"""Rows: connections through a ClusterIP, one change among many, cold start; beside kube-proxy's rule layouts."""
from . import layouts, objects, proxies
from .api_change import change_times
from .measure import connect_cost, serve
from .net import Failed, World
from .report import Finding, failed, number, ratio_finding, spread
from .rig import Rig, cold_start
from .stats import interval, judge, median, percentile, percentile_interval
from .weft import Cluster

FLAT = ("connection through a ClusterIP, 1 → 10,000 Services", "flat (≤ 1.10 × at 1)")
AGAINST_IPTABLES = ("connection through a ClusterIP, 1 Service", "≥ iptables layout")
AGAINST_NFTABLES = ("connection through a ClusterIP, 1 Service", "≥ nftables layout")
CLUSTERIP = [FLAT, AGAINST_IPTABLES, AGAINST_NFTABLES]
CHANGE = [(f"one {what} changes among 10,000, API event to kernel", "p99 ≤ 5 ms (aim 1 ms)")
          for what in ("Service", "endpoint", "pod", "policy")]
COLD = [("cold start, 10,000 Services × 10 endpoints", "≤ 1 s")]

BACKENDS = 3
PORT = 8080 + 1000  # where the bench's own server listens in a pod; the stand-in has 8080


def many_services(count, endpoints, extra=()):
    """Objects of `count` Services with slices by hand, addresses outside every pod range."""
    out = [objects.namespace(), *extra]
    for s in layouts.some(count, endpoints):
        out.append(objects.service(s.name, port=s.port, target=s.endpoints[0][1], address=s.address))
        out.append(objects.slice_of(s.name, s.endpoints))
    return out


def weft_clients(world, count):
    """A sandbox with `count` Services; (cluster, client tuple) with the bench's servers in three backend pods."""
    real = objects.service("web", {"role": "backend"}, 80, PORT)
    pods = [objects.pod("client", "node-1")]
    pods += [objects.pod(f"backend-{i}", "node-1", {"role": "backend"}) for i in range(BACKENDS)]
    c = Cluster(f"svc{count}", {"all.yaml": many_services(count - 1, 1, [*pods, real])}, nodes=1)
    c.__enter__()
    try:
        c.wait_running(60)
        pids = []
        for i in range(BACKENDS):
            name = f"backend-{i}"
            pids.append(serve(world, c.netns(objects.NS, name), PORT, c.cgroup("node-1", objects.NS, name)))
        address = c.api("GET", f"/api/v1/namespaces/{objects.NS}/services/web")["spec"]["clusterIP"]
        return c, (f"Weft {count}", c.netns(objects.NS, "client"), c.cgroup("node-1", objects.NS, "client"), address, 80, pids)
    except BaseException:
        c.close()
        raise


def clusterip(effort):
    sizes = effort.services()
    clusters, clients = [], []
    with World() as world:
        try:
            for n in sizes:
                cluster, client = weft_clients(world, n)
                clusters.append(cluster)
                clients.append(client)
                for layout in proxies.BOTH:
                    node, ns, servers = proxies.node(world, f"{layout.name[0]}{n}", BACKENDS)
                    services = layouts.some(n, 1, [(a, proxies.PORT) for _, a, _ in servers])
                    layout.load(node, services)
                    clients.append((f"{layout.name} {n}", ns, None, layouts.middle(services).address, 80,
                                    [pid for _, _, pid in servers]))
            cost = connect_cost(world, clients, effort.rounds, effort.connect_ms)
        finally:
            for c in clusters:
                c.close()
    most = sizes[-1]

    def line(name):
        return "; ".join(f"{n:,}: {number(1e9 / median(cost[f'{name} {n}']))}/s" for n in sizes)

    mine = cost["Weft 1"]
    grown = [b / a for a, b in zip(mine, cost[f"Weft {most}"])]
    found = [ratio_finding(*FLAT, grown, line("Weft"), " | ".join(f"{l.name} {line(l.name)}" for l in proxies.BOTH), most=1.10,
                           note=f"cost at {most:,} over cost at 1")]
    for promise, layout in zip((AGAINST_IPTABLES, AGAINST_NFTABLES), proxies.BOTH):
        peer = cost[f"{layout.name} 1"]
        found.append(ratio_finding(*promise, [p / w for w, p in zip(mine, peer)], spread(mine, "ns"), spread(peer, "ns"), least=1.0))
    return found


def peer_changes(world, count, times):
    """ms of one change of a Service of three endpoints among `count`, each layout."""
    out = {}
    for layout in proxies.BOTH:
        ns = world.space(f"change-{layout.name[0]}")
        services = layouts.some(count, 1, [("10.210.0.3", 8080), ("10.210.0.4", 8080), ("10.210.0.5", 8080)])
        layout.load(ns, services)
        a = layouts.middle(services)
        b = layouts.Service(a.name, a.address, a.port, a.endpoints[:2] + [("10.210.0.9", 8080)])
        out[layout.name] = [1000 * layout.change(ns, *pair) for pair in [(a, b), (b, a)] * ((times + 1) // 2)]
    return out


def change(effort):
    with World() as world:
        peers = peer_changes(world, effort.many, 4 if effort.quick else 10)
    peer = "; ".join(f"{name}: {spread(ms, 'ms')}" for name, ms in peers.items())
    found = []
    for (what, samples, reason), promise in zip(change_times(effort), CHANGE):
        if reason:
            found.append(failed(*promise, reason))
            continue
        request, event = ([s * 1000 for s in side] for side in samples)
        lo, hi = percentile_interval(request, 99)
        found.append(Finding(
            *promise, f"p50 {number(median(request))} ms, p99 {number(percentile(request, 99))} ms ({number(lo)}–{number(hi)})",
            peer if what in ("Service", "endpoint") else "–", judge(lo, hi, most=5.0),
            f"{len(request)} changes, from sending the API request; from its event as another watcher got it: "
            f"p50 {number(median(event))} ms, p99 {number(percentile(event, 99))} ms"))
    return found


def cold(effort):
    count = effort.many
    services = layouts.some(count, 10)
    peers = []
    with World() as world:
        for layout in proxies.BOTH:
            ns = world.space(f"cold-{layout.name[0]}")
            try:
                peers.append(f"{layout.name}: {number(layout.load(ns, services, 75))} s")
            except Failed as e:
                peers.append(f"{layout.name}: more than 75 s" if "took more than" in str(e) else f"{layout.name}: {e}")
    times = []
    with Rig("cold", many_services(count, 10)) as rig:
        for _ in range(max(2, effort.times // 3)):
            times.append(cold_start(rig, rows=count * 11))
    return [Finding(*COLD[0], spread(times, "s"), "; ".join(peers), judge(*interval(times), most=1.0),
                    "agent start, with the hub up, until every row was read back; the peers' figure is the load of the rules alone")]
