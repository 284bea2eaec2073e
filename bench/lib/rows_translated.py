# SPDX-License-Identifier: Apache-2.0
"""Rows: what it costs to translate each packet, where no hook could translate the socket: a ClusterIP from a socket outside
Weft's cgroups, a NodePort from a host outside. Beside the kernel's own NAT with connection tracking, by nftables, on the same
way; and beside the same ways without translation."""
from . import objects, proxies
from .measure import packet_cost
from .net import World, in_ns, need
from .paths import Path
from .report import number, ratio_finding, spread
from .rows_pods import per_second, ratios
from .stats import median
from .weft import Cluster

CLUSTERIP = ("translated packet by packet: ClusterIP, from a socket outside the hooks", "≥ 1.0 × nftables DNAT (ours)")
NODEPORT = ("translated packet by packet: NodePort, from outside, with a new source", "≥ 1.0 × nftables DNAT + masquerade (ours)")
TRANSLATED = [CLUSTERIP, NODEPORT]
TARGET, PORT, NODE_PORT, ADDRESS = 9, 90, 32709, "10.96.201.1"


def weft_paths(c):
    """The client pod's processes are not in its cgroup here: nothing translates their sockets."""
    receiver = c.path("", (objects.NS, "client"), (objects.NS, "server"))
    inner, outer = receiver.sender, c.node_netns("outside")

    def path(name, sender, address, port):
        return Path(name, sender, receiver.receiver, address, "eth0", port=port)

    return [path("Weft, pod", inner, receiver.address, TARGET), path("Weft, ClusterIP", inner, ADDRESS, PORT),
            path("Weft, outside", outer, receiver.address, TARGET), path("Weft, NodePort", outer, c.node_address("node-1"), NODE_PORT)]


def peer_paths(world):
    need("nft")
    node, client, servers = proxies.node(world, "nat", 1)
    host = proxies.outside(world, "nat", node)
    server, address, _ = servers[0]
    in_ns(node, ["nft", "-f", "-"], stdin=f"""
        table ip bench {{
            chain in {{
                type nat hook prerouting priority dstnat
                ip daddr {ADDRESS} udp dport {PORT} dnat to {address}:{TARGET}
                ip daddr {proxies.NODE} udp dport {NODE_PORT} mark set 0x4000 dnat to {address}:{TARGET}
            }}
            chain out {{
                type nat hook postrouting priority srcnat
                mark and 0x4000 != 0 masquerade fully-random
            }}
        }}
    """)
    # The ways without translation do not pay for connection tracking either.
    in_ns(node, ["nft", "-f", "-"], stdin=f"""
        table ip raw {{
            chain in {{
                type filter hook prerouting priority raw
                ip daddr {address} udp dport {TARGET} notrack
            }}
        }}
    """)
    in_ns(proxies.router_of("nat"), f"ip route add {address}/32 via {proxies.NODE}")

    def path(name, sender, to, port):
        return Path(name, sender, server, to, "eth0", port=port)

    return [path("kernel, pod", client, address, TARGET), path("kernel, ClusterIP", client, ADDRESS, PORT),
            path("kernel, outside", host, address, TARGET), path("kernel, NodePort", host, proxies.NODE, NODE_PORT)]


def finding(promise, cost, way, plain):
    mine, peer = cost[f"Weft, {way}"], cost[f"kernel, {way}"]

    def more(who):
        return number(median(cost[f"{who}, {way}"]) - median(cost[f"{who}, {plain}"]))

    return ratio_finding(*promise, ratios(mine, peer), per_second(mine), per_second(peer), least=1.0,
                         note=f"{spread(mine)} against {spread(peer)} ns a packet; {more('Weft')} and {more('kernel')} ns more than without translation")


def translated(effort):
    cast = [objects.namespace(), objects.pod("client", "node-1"), objects.pod("server", "node-1"),
            objects.service("udp", {"app": "server"}, PORT, TARGET, ADDRESS, NODE_PORT, "UDP")]
    with World() as world, Cluster("nat", {"all.yaml": cast}, nodes=1) as c:
        c.wait_running()
        paths = weft_paths(c) + peer_paths(world)
        cost = packet_cost(paths, effort.rounds, effort.flood_ms, TARGET)
    return [finding(CLUSTERIP, cost, "ClusterIP", "pod"), finding(NODEPORT, cost, "NodePort", "outside")]
