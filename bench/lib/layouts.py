# SPDX-License-Identifier: Apache-2.0
"""The rule layouts that kube-proxy writes for ClusterIP Services, generated for any number of them: its iptables mode
(a linear list of services, a chain a service, a chain an endpoint, chosen by statistic) and its nftables mode (a
verdict map of services, a chain a service, a verdict map over a random number). Pure: text only; also the texts of
one change, as kube-proxy makes it. Called by the rows about services."""
from dataclasses import dataclass, field
from hashlib import sha256

POD_RANGE = "10.210.0.0/16"


@dataclass
class Service:
    name: str
    address: str
    port: int
    endpoints: list = field(default_factory=list)  # (address, port)
    node_port: int = 0


NODE_PORTS = 100  # more are seldom, and the host outside calls each now and then


def some(count, endpoints, real=None, node_ports=0):
    """count services of `endpoints` made-up endpoints each; the one in the middle of the list has `real` ones, so
    that a linear search walks half of it. The `node_ports` around it have a port on each node."""
    def address(n):
        return f"10.{211 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}"

    out = []
    for i in range(count):
        eps = [(address(i * endpoints + e), 8080) for e in range(endpoints)]
        out.append(Service(f"s{i}", f"10.96.{(i + 256) // 250}.{i % 250 + 1}", 80, eps))
    if real:
        out[count // 2].endpoints = list(real)
    first = max(0, count // 2 - node_ports // 2)
    for i, service in enumerate(out[first:first + node_ports]):
        service.node_port = 30000 + i
    return out


def middle(services):
    return services[len(services) // 2]


def _id(*words):
    return sha256("/".join(str(w) for w in words).encode()).hexdigest()[:16].upper()


# iptables ------------------------------------------------------------------------------------------------------

def _svc(s):
    return "KUBE-SVC-" + _id(s.name)


def _sep(s, ep):
    return "KUBE-SEP-" + _id(s.name, *ep)


def _ext(s):
    return "KUBE-EXT-" + _id(s.name)


def _iptables_service(s):
    """Chains and rules of one service, without its line in KUBE-SERVICES."""
    chains, rules = [_svc(s)], []
    c = f'-m comment --comment "bench/{s.name}"'
    rules.append(f"-A {_svc(s)} {c} -m tcp -p tcp -d {s.address} --dport {s.port} ! -s {POD_RANGE} -j KUBE-MARK-MASQ")
    if s.node_port:
        chains.append(_ext(s))
        rules += [f"-A {_ext(s)} {c} -j KUBE-MARK-MASQ", f"-A {_ext(s)} -j {_svc(s)}"]
    for i, ep in enumerate(s.endpoints):
        left = len(s.endpoints) - i
        pick = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        rules.append(f"-A {_svc(s)} {c} {pick}-j {_sep(s, ep)}")
    for ep in s.endpoints:
        chains.append(_sep(s, ep))
        rules.append(f"-A {_sep(s, ep)} {c} -s {ep[0]} -j KUBE-MARK-MASQ")
        rules.append(f"-A {_sep(s, ep)} {c} -m tcp -p tcp -j DNAT --to-destination {ep[0]}:{ep[1]}")
    return chains, rules


def iptables(services):
    chains = ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODEPORTS", "KUBE-MARK-MASQ"]
    rules = [
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
        "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
    ]
    for s in services:
        rules.append(f'-A KUBE-SERVICES -m comment --comment "bench/{s.name} cluster IP" -m tcp -p tcp -d {s.address} '
                     f"--dport {s.port} -j {_svc(s)}")
    rules.append("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    rules += [f'-A KUBE-NODEPORTS -m comment --comment "bench/{s.name}" -m tcp -p tcp --dport {s.node_port} -j {_ext(s)}'
              for s in services if s.node_port]
    for s in services:
        more_chains, more_rules = _iptables_service(s)
        chains += more_chains
        rules += more_rules
    return "\n".join(["*nat"] + [f":{c} - [0:0]" for c in chains] + rules + ["COMMIT", ""])


def iptables_change(old, new):
    """What a partial sync feeds to iptables-restore --noflush when a service's endpoints change."""
    chains, rules = _iptables_service(new)
    gone = [_sep(old, ep) for ep in old.endpoints if ep not in new.endpoints]
    text = ["*nat"] + [f":{c} - [0:0]" for c in chains + gone] + rules + [f"-X {c}" for c in gone]
    return "\n".join(text + ["COMMIT", ""])


# nftables ------------------------------------------------------------------------------------------------------

def _nft_endpoint(s, ep):
    return f"endpoint-{_id(s.name, *ep)}"


def _nft_service_rules(s):
    n = len(s.endpoints)
    picks = ", ".join(f"{i} : goto {_nft_endpoint(s, ep)}" for i, ep in enumerate(s.endpoints))
    return [f"ip daddr {s.address} tcp dport {s.port} ip saddr != {POD_RANGE} jump mark-for-masquerade",
            f"numgen random mod {n} vmap {{ {picks} }}"]


def _nft_endpoint_rules(ep):
    return [f"ip saddr {ep[0]} jump mark-for-masquerade", f"meta l4proto tcp dnat to {ep[0]}:{ep[1]}"]


PART = 500  # services of one transaction: all at once takes nft minutes


def _nft_elements(services):
    out = ["add element ip kube-proxy service-ips { " + ", ".join(
        f"{s.address} . tcp . {s.port} : goto service-{s.name}" for s in services) + " }"]
    ports = ", ".join(f"tcp . {s.node_port} : goto external-{s.name}" for s in services if s.node_port)
    return out + (["add element ip kube-proxy service-nodeports { " + ports + " }"] if ports else [])


def _nft_part(services):
    out = ["table ip kube-proxy {"]
    for s in services:
        for ep in s.endpoints:
            out.append(f"chain {_nft_endpoint(s, ep)} {{ " + "; ".join(_nft_endpoint_rules(ep)) + "; }")
        out.append(f"chain service-{s.name} {{ " + "; ".join(_nft_service_rules(s)) + "; }")
        if s.node_port:
            out.append(f"chain external-{s.name} {{ jump mark-for-masquerade; goto service-{s.name}; }}")
    return "\n".join([*out, "}", *_nft_elements(services), ""])


def nftables_parts(services, node=None):
    """The layout as several texts, to be loaded one after the other; `node`: the address that has the node ports."""
    base = ["table ip kube-proxy {",
            "chain mark-for-masquerade { mark set mark or 0x4000; }",
            "chain masquerading { mark and 0x4000 == 0 return; mark set mark xor 0x4000; masquerade fully-random; }",
            "map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }",
            "map service-nodeports { type inet_proto . inet_service : verdict; }",
            "set nodeport-ips { type ipv4_addr; " + (f"elements = {{ {node} }}; " if node else "") + "}",
            "chain services { ip daddr . meta l4proto . th dport vmap @service-ips; "
            "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }",
            "chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }",
            "chain nat-output { type nat hook output priority -100; jump services; }",
            "chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }",
            "}", ""]
    return ["\n".join(base)] + [_nft_part(services[i:i + PART]) for i in range(0, len(services), PART)]


def nftables(services):
    return "".join(nftables_parts(services))


def nftables_change(old, new):
    """One transaction: new endpoint chains, the service's chain again, old endpoint chains away."""
    out = []
    for ep in new.endpoints:
        if ep in old.endpoints:
            continue
        out.append(f"add chain ip kube-proxy {_nft_endpoint(new, ep)}")
        out += [f"add rule ip kube-proxy {_nft_endpoint(new, ep)} {r}" for r in _nft_endpoint_rules(ep)]
    out.append(f"flush chain ip kube-proxy service-{new.name}")
    out += [f"add rule ip kube-proxy service-{new.name} {r}" for r in _nft_service_rules(new)]
    for ep in old.endpoints:
        if ep not in new.endpoints:
            out.append(f"flush chain ip kube-proxy {_nft_endpoint(old, ep)}")
            out.append(f"delete chain ip kube-proxy {_nft_endpoint(old, ep)}")
    return "\n".join(out + [""])
