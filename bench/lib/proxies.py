# SPDX-License-Identifier: Apache-2.0
"""Nodes whose Services are translated by kube-proxy's rules (layouts.py): a client pod and endpoint pods behind a
routed node, rules in the node's namespace. Peers of the rows about services; nothing of Weft is in them."""
import shutil
import time

from . import layouts
from .measure import serve
from .net import PREFIX, Failed, in_ns, mac, need, sysctl, veth

PORT = 8080


def node(world, tag, endpoints=3):
    """(node, client, [(endpoint namespace, address, server pid)])"""
    n = world.space(f"{tag}-node")
    sysctl(n, "net/ipv4/ip_forward", 1)
    pods = []
    for i in range(endpoints + 1):
        pod, addr = world.space(f"{tag}-p{i}"), f"10.210.0.{i + 2}"
        veth(n, f"pod{i}", pod, "eth0")
        in_ns(pod, ["sh", "-ec", f"""
            ip addr add {addr}/32 dev eth0
            ip route add 169.254.1.1 dev eth0
            ip route add default via 169.254.1.1
            ip neigh replace 169.254.1.1 lladdr {mac(n, f'pod{i}')} dev eth0 nud permanent"""])
        in_ns(n, ["sh", "-ec", f"""
            ip route add {addr} dev pod{i}
            ip neigh replace {addr} lladdr {mac(pod, 'eth0')} dev pod{i} nud permanent"""])
        pods.append((pod, addr))
    servers = [(pod, addr, serve(world, pod, PORT)) for pod, addr in pods[1:]]
    return n, pods[0][0], servers


NODE = "172.30.0.2"


def router_of(tag):
    """The namespace of the router that outside() made."""
    return f"{PREFIX}{tag}-router"


def outside(world, tag, n):
    """A host outside of node `n`, behind a router as in Weft's sandbox; its namespace. The node is NODE to it."""
    host, router = world.space(f"{tag}-out"), world.space(f"{tag}-router")
    veth(host, "eth0", router, "host0")
    in_ns(router, "ip link add fab0 type bridge")
    in_ns(router, "ip link set fab0 up")
    veth(router, "node0", n, "uplink0")
    in_ns(router, "ip link set node0 master fab0")
    in_ns(host, ["sh", "-ec", "ip addr add 203.0.113.10/24 dev eth0; ip route add default via 203.0.113.1"])
    in_ns(router, ["sh", "-ec", "ip addr add 203.0.113.1/24 dev host0; ip addr add 172.30.0.1/24 dev fab0"])
    in_ns(n, ["sh", "-ec", f"ip addr add {NODE}/24 dev uplink0; ip route add default via 172.30.0.1"])
    sysctl(router, "net/ipv4/ip_forward", 1)
    return host


def restore():
    """iptables-restore over the kernel's own tables where there is one: over nf_tables it takes minutes for 10,000."""
    for p in ("iptables-legacy-restore", "iptables-restore"):
        if shutil.which(p):
            return [p, "--noflush"]
    raise Failed("iptables-restore is missing")


def timed(ns, cmd, text, timeout):
    began = time.monotonic()
    in_ns(ns, cmd, stdin=text, timeout=timeout)
    return time.monotonic() - began


class Iptables:
    name = "iptables layout"

    @staticmethod
    def load(ns, services, timeout=120):
        """Seconds to load the rules of all services."""
        return timed(ns, restore(), layouts.iptables(services), timeout)

    @staticmethod
    def change(ns, old, new):
        return timed(ns, restore(), layouts.iptables_change(old, new), 60)


class Nftables:
    name = "nftables layout"

    @staticmethod
    def load(ns, services, timeout=120):
        """By parts, which is many times faster than at once."""
        need("nft")
        began = time.monotonic()
        for text in layouts.nftables_parts(services, NODE):
            left = timeout - (time.monotonic() - began)
            if left <= 0:
                raise Failed(f"nft took more than {timeout} s")
            in_ns(ns, ["nft", "-f", "-"], stdin=text, timeout=left)
        return time.monotonic() - began

    @staticmethod
    def change(ns, old, new):
        return timed(ns, ["nft", "-f", "-"], layouts.nftables_change(old, new), 60)


BOTH = [Iptables, Nftables]
