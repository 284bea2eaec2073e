# SPDX-License-Identifier: Apache-2.0
"""The peers of a pod's path: a bare veth, bridge + iptables, plain routes, the kernel's own VXLAN. Each maker gives a
Path between two namespaces of a World; nothing of Weft is in them."""
from dataclasses import dataclass

from .net import in_ns, mac, need, sysctl, veth

PORT = 9


@dataclass
class Path:
    name: str
    sender: str    # namespace
    receiver: str  # namespace
    address: str   # of the receiver
    device: str    # of the receiver
    cgroup: str = None           # of the sender's processes
    receiver_cgroup: str = None
    port: int = 0                # where the sender sends to, when something translates it


def bare(world, tag="bare"):
    a, b = world.space(f"{tag}-a"), world.space(f"{tag}-b")
    veth(a, "eth0", b, "eth0")
    in_ns(a, "ip addr add 10.201.0.1/24 dev eth0")
    in_ns(b, "ip addr add 10.201.0.2/24 dev eth0")
    return Path("bare veth", a, b, "10.201.0.2", "eth0")


def bridge(world, tag="bridge"):
    """Two pods on a Linux bridge whose frames pass iptables: connection tracking and three rules."""
    need("iptables")
    node, a, b = world.space(f"{tag}-node"), world.space(f"{tag}-a"), world.space(f"{tag}-b")
    in_ns(node, "ip link add br0 type bridge")
    in_ns(node, "ip link set br0 up")
    for ns, dev, addr in ((a, "pa", "10.202.0.1"), (b, "pb", "10.202.0.2")):
        veth(node, dev, ns, "eth0")
        in_ns(node, f"ip link set {dev} master br0")
        in_ns(ns, f"ip addr add {addr}/24 dev eth0")
    sysctl(node, "net/bridge/bridge-nf-call-iptables", 1)
    in_ns(node, "iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
    in_ns(node, "iptables -A FORWARD -s 10.202.0.1 -d 10.202.0.2 -p udp -j ACCEPT")
    in_ns(node, "iptables -A FORWARD -s 10.202.0.1 -d 10.202.0.2 -p tcp -j ACCEPT")
    in_ns(node, "iptables -P FORWARD DROP")
    return Path("bridge + iptables", a, b, "10.202.0.2", "eth0")


def _nodes(world, tag, pod_mtu):
    """Two nodes on a fabric bridge, a routed pod behind each."""
    fabric = world.space(f"{tag}-fabric")
    in_ns(fabric, "ip link add fab0 type bridge")
    in_ns(fabric, "ip link set fab0 up")
    nodes = []
    for i in (1, 2):
        node, pod = world.space(f"{tag}-n{i}"), world.space(f"{tag}-p{i}")
        veth(fabric, f"n{i}", node, "uplink0")
        in_ns(fabric, f"ip link set n{i} master fab0")
        in_ns(node, f"ip addr add 172.30.0.{i}/24 dev uplink0")
        veth(node, "pod0", pod, "eth0", pod_mtu)
        in_ns(pod, f"ip addr add 10.20{2 + i}.0.2/32 dev eth0")
        in_ns(pod, "ip route add 169.254.1.1 dev eth0")
        in_ns(pod, "ip route add default via 169.254.1.1")
        in_ns(pod, f"ip neigh replace 169.254.1.1 lladdr {mac(node, 'pod0')} dev eth0 nud permanent")
        in_ns(node, f"ip route add 10.20{2 + i}.0.2 dev pod0")
        in_ns(node, f"ip neigh replace 10.20{2 + i}.0.2 lladdr {mac(pod, 'eth0')} dev pod0 nud permanent")
        sysctl(node, "net/ipv4/ip_forward", 1)
        nodes.append((node, pod))
    return nodes


def routes(world, tag="routes"):
    (n1, p1), (n2, p2) = _nodes(world, tag, 1500)
    in_ns(n1, "ip route add 10.204.0.0/24 via 172.30.0.2")
    in_ns(n2, "ip route add 10.203.0.0/24 via 172.30.0.1")
    return Path("plain routes", p1, p2, "10.204.0.2", "eth0")


def vxlan(world, tag="vxlan"):
    """A VXLAN device a node with static entries, as simple overlays build it."""
    nodes = _nodes(world, tag, 1450)
    for i, (node, _) in enumerate(nodes, 1):
        in_ns(node, f"ip link add vx0 mtu 1450 type vxlan id 1 local 172.30.0.{i} dev uplink0 dstport 4789 nolearning")
        in_ns(node, "ip link set vx0 up")
        in_ns(node, f"ip addr add 10.20{2 + i}.0.1/32 dev vx0")
    for i, (node, _) in enumerate(nodes, 1):
        other = 3 - i
        far = mac(nodes[other - 1][0], "vx0")
        in_ns(node, f"ip neigh replace 10.20{2 + other}.0.1 lladdr {far} dev vx0 nud permanent")
        in_ns(node, f"bridge fdb replace {far} dev vx0 dst 172.30.0.{other}")
        in_ns(node, f"ip route add 10.20{2 + other}.0.0/24 via 10.20{2 + other}.0.1 dev vx0 onlink")
    return Path("plain VXLAN", nodes[0][1], nodes[1][1], "10.204.0.2", "eth0")
