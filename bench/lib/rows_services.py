# SPDX-License-Identifier: Apache-2.0
"""Rows: connections through a ClusterIP, one change among many, cold start; beside kube-proxy's rule layouts."""
from . import layouts, objects, proxies
from .api_change import ADDRESS, NS, Change, change_times, service_key, time_changes
from .measure import connect_cost, serve
from .net import Failed, World
from .report import Finding, failed, number, ratio_finding, spread
from .rig import Rig, cold_start
from .stats import interval, judge, median, percentile, percentile_interval
from .weft import Cluster

def promises(way):
    return [(f"connection through a {way}, 1 → 10,000 Services × 10 endpoints", "flat (≤ 1.10 × at 1)")] + \
        [(f"connection through a {way}, 1 Service", f"≥ {layout.name}") for layout in proxies.BOTH]


WAYS = ["ClusterIP", "NodePort"]  # from a pod; from a host outside, by the node where the endpoints are
CLUSTERIP = promises("ClusterIP") + promises("NodePort")
CHANGE = [(f"one {what} changes among 10,000, API event to kernel", "p99 ≤ 5 ms (aim 1 ms)")
          for what in ("Service", "endpoint", "pod", "policy")]
COLD = [("cold start, 10,000 Services × 10 endpoints", "≤ 1 s")]

ENDPOINT = ("one endpoint changes among 100,000, API event to kernel", "p99 ≤ 5 ms (aim 1 ms)")
COLD.append(ENDPOINT)

BACKENDS = 3
NODE_PORT = 32700  # above those of the others
PORT = 8080 + 1000  # where the bench's own server listens in a pod; the stand-in has 8080


def many_services(count, endpoints, extra=(), node_ports=0):
    """Objects of `count` Services with slices by hand, addresses outside every pod range."""
    out = [objects.namespace(), *extra]
    for s in layouts.some(count, endpoints, node_ports=node_ports):
        out.append(objects.service(s.name, port=s.port, target=s.endpoints[0][1], address=s.address, node_port=s.node_port))
        out.append(objects.slice_of(s.name, s.endpoints))
    return out


def weft_clients(world, count):
    """A sandbox with `count` Services of 10 endpoints, one of them with the bench's servers in three pods; (cluster, [client
    tuple of each way])."""
    real = objects.service("web", {"role": "backend"}, 80, PORT, node_port=NODE_PORT)
    pods = [objects.pod("client", "node-1")]
    pods += [objects.pod(f"backend-{i}", "node-1", {"role": "backend"}) for i in range(BACKENDS)]
    c = Cluster(f"svc{count}", {"all.yaml": many_services(count - 1, 10, [*pods, real], layouts.NODE_PORTS)}, nodes=1)
    c.__enter__()
    try:
        c.wait_running(60)
        pids = []
        for i in range(BACKENDS):
            name = f"backend-{i}"
            pids.append(serve(world, c.netns(objects.NS, name), PORT, c.cgroup("node-1", objects.NS, name)))
        address = c.api("GET", f"/api/v1/namespaces/{objects.NS}/services/web")["spec"]["clusterIP"]
        return c, [(f"Weft ClusterIP {count}", c.netns(objects.NS, "client"), c.cgroup("node-1", objects.NS, "client"), address, 80, pids),
                   (f"Weft NodePort {count}", c.node_netns("outside"), None, c.node_address("node-1"), NODE_PORT, pids)]
    except BaseException:
        c.close()
        raise


def peer_clients(world, layout, count):
    """The same by one of kube-proxy's layouts."""
    node, ns, servers = proxies.node(world, f"{layout.name[0]}{count}", BACKENDS)
    host = proxies.outside(world, f"{layout.name[0]}{count}", node)
    services = layouts.some(count, 10, [(a, proxies.PORT) for _, a, _ in servers], layouts.NODE_PORTS)
    layout.load(node, services)
    one, pids = layouts.middle(services), [pid for _, _, pid in servers]
    return [(f"{layout.name} ClusterIP {count}", ns, None, one.address, 80, pids),
            (f"{layout.name} NodePort {count}", host, None, proxies.NODE, one.node_port, pids)]


def connection_findings(way, cost, sizes):
    def line(name):
        return "; ".join(f"{n:,}: {number(1e9 / median(cost[f'{name} {way} {n}']))}/s" for n in sizes)

    flat, *against = promises(way)
    mine, most = cost[f"Weft {way} 1"], sizes[-1]
    grown = [b / a for a, b in zip(mine, cost[f"Weft {way} {most}"])]
    found = [ratio_finding(*flat, grown, line("Weft"), " | ".join(f"{l.name} {line(l.name)}" for l in proxies.BOTH), most=1.10,
                           note=f"cost at {most:,} over cost at 1")]
    for promise, layout in zip(against, proxies.BOTH):
        peer = cost[f"{layout.name} {way} 1"]
        found.append(ratio_finding(*promise, [p / w for w, p in zip(mine, peer)], spread(mine, "ns"), spread(peer, "ns"), least=1.0))
    return found


def clusterip(effort):
    sizes = effort.services()
    clusters, clients = [], []
    with World() as world:
        try:
            for n in sizes:
                cluster, mine = weft_clients(world, n)
                clusters.append(cluster)
                clients += mine
                for layout in proxies.BOTH:
                    clients += peer_clients(world, layout, n)
            cost = connect_cost(world, clients, effort.rounds, effort.connect_ms // 2)
        finally:
            for c in clusters:
                c.close()
    return [f for way in WAYS for f in connection_findings(way, cost, sizes)]


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
        found.append(changed(promise, samples, peer if what in ("Service", "endpoint") else "–"))
    return found


def changed(promise, samples, peer):
    """The row of some changes, of which (request, event) seconds are known."""
    request, event = ([s * 1000 for s in side] for side in samples)
    lo, hi = percentile_interval(request, 99)
    return Finding(*promise, f"p50 {number(median(request))} ms, p99 {number(percentile(request, 99))} ms ({number(lo)}–{number(hi)})",
                   peer, judge(lo, hi, most=5.0),
                   f"{len(request)} changes, from sending the API request; from its event as another watcher got it: "
                   f"p50 {number(median(event))} ms, p99 {number(percentile(event, 99))} ms")


def one_endpoint(rig):
    """A further Service of 10 endpoints, made by the API; its last endpoint goes to and fro between two addresses."""
    path = f"/apis/discovery.k8s.io/v1{NS}/endpointslices"
    rig.api("POST", f"/api/v1{NS}/services", objects.service("moving", port=81, target=8080, address=ADDRESS))
    rig.api("POST", path, objects.slice_of("moving", [(f"10.250.0.{i}", 8080) for i in range(1, 11)]))

    def swap(spec):
        last = spec["endpoints"][-1]["addresses"]
        last[0] = "10.250.0.10" if last[0] == "10.250.0.11" else "10.250.0.11"

    return Change("endpoint", f"{path}/moving-1", "service", service_key(ADDRESS, 81), swap)


def cold(effort):
    count = effort.many
    services = layouts.some(count, 10)
    a = layouts.middle(services)
    b = layouts.Service(a.name, a.address, a.port, a.endpoints[:-1] + [("10.250.0.1", 8080)])
    peers, changes_ = [], []
    with World() as world:
        for layout in proxies.BOTH:
            ns = world.space(f"cold-{layout.name[0]}")
            try:
                peers.append(f"{layout.name}: {number(layout.load(ns, services, 75))} s")
                changes_.append(f"{layout.name}: {spread([1000 * layout.change(ns, *pair) for pair in [(a, b), (b, a)] * 3], 'ms')}")
            except Failed as e:
                peers.append(f"{layout.name}: more than 75 s" if "took more than" in str(e) else f"{layout.name}: {e}")
    times = []
    with Rig("cold", many_services(count, 10)) as rig:
        for _ in range(max(2, effort.times // 3)):
            times.append(cold_start(rig, rows=count * 11))
        rig.start_agent(60, rows=count * 11)
        found = changed(ENDPOINT, time_changes(rig, one_endpoint(rig), effort.changes), "; ".join(changes_) or "–")
    return [Finding(*COLD[0], spread(times, "s"), "; ".join(peers), judge(*interval(times), most=1.0),
                    "agent start, with the hub up, until every row was read back; the peers' figure is the load of the rules alone"), found]
