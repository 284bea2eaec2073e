# SPDX-License-Identifier: Apache-2.0
"""Rows: pod to pod on one node and across two, beside what the kernel does without Weft."""
from . import objects, paths
from .measure import packet_cost, tcp_rate
from .net import World
from .report import ratio_finding, spread
from .weft import Cluster

TCP_SAME = ("pod to pod, same node: TCP", "≥ 0.95 × bare veth")
RATE_SAME = ("pod to pod, same node: packets/s", "≥ 0.75 × bare veth")
RATE_BRIDGE = ("pod to pod, same node: packets/s", "≥ 1.4 × bridge + iptables")
SAME = [TCP_SAME, RATE_SAME, RATE_BRIDGE]
VXLAN = ("pod to pod, across nodes, VXLAN: packets/s", "≥ 0.9 × plain VXLAN, no policy")
ROUTES = ("pod to pod, across nodes, routes: packets/s", "≥ 0.9 × plain routes, no policy")
ACROSS = [VXLAN, ROUTES]


def cast():
    """Two pairs of pods on node-1, one under policy in both directions; a pair across the nodes without policy."""
    ports = [("UDP", 9), ("TCP", 5201)]
    return [objects.namespace(), objects.pod("a", "node-1"), objects.pod("b", "node-1"), objects.pod("c", "node-1"),
            objects.pod("d", "node-2"),
            objects.policy("b-in", "b", ingress_from=["a"], ports=ports),
            objects.policy("a-out", "a", egress_to=["b"], ports=ports)]


def ratios(weft, peer, rate=False):
    """Pairwise, as throughput: of rates Weft / peer, of costs peer / Weft."""
    return [w / p if rate else p / w for w, p in zip(weft, peer)]


def per_second(costs):
    return spread([1e9 / c for c in costs], "packets/s")


def same_node(effort):
    with World() as world, Cluster("pods", {"pods.yaml": cast()}, nodes=2) as c:
        c.wait_running()
        mine = c.path("Weft", (objects.NS, "a"), (objects.NS, "b"))
        bare, bridge = paths.bare(world), paths.bridge(world)
        cost = packet_cost([mine, bare, bridge], effort.rounds, effort.flood_ms)
        tcp = tcp_rate([mine, bare], effort.tcp_rounds, effort.tcp_seconds)
    w = cost[mine.name]
    note = f"{spread(w)} ns a packet, policy in both directions"
    return [
        ratio_finding(*TCP_SAME, ratios(tcp[mine.name], tcp[bare.name], rate=True), spread(tcp[mine.name], "Gbit/s"),
                      spread(tcp[bare.name], "Gbit/s"), least=0.95),
        ratio_finding(*RATE_SAME, ratios(w, cost[bare.name]), per_second(w), per_second(cost[bare.name]), least=0.75,
                      note=note),
        ratio_finding(*RATE_BRIDGE, ratios(w, cost[bridge.name]), per_second(w), per_second(cost[bridge.name]), least=1.4),
    ]


def across_nodes(effort):
    found = []
    for mode, promise, peer_of in (("vxlan", VXLAN, paths.vxlan), ("routes", ROUTES, paths.routes)):
        with World() as world, Cluster("across", {"pods.yaml": cast()}, nodes=2, mode=mode) as c:
            c.wait_running()
            mine = c.path("Weft", (objects.NS, "c"), (objects.NS, "d"))
            peer = peer_of(world)
            cost = packet_cost([mine, peer], effort.rounds, effort.flood_ms)
            tcp = tcp_rate([mine, peer], max(2, effort.tcp_rounds // 2), effort.tcp_seconds)
        w, p = cost[mine.name], cost[peer.name]
        note = f"one TCP stream: {spread(tcp[mine.name])} against {spread(tcp[peer.name])} Gbit/s"
        found.append(ratio_finding(*promise, ratios(w, p), per_second(w), per_second(p), least=0.9, note=note))
    return found
