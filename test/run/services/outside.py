# SPDX-License-Identifier: Apache-2.0
"""Node ports, balancer and external addresses, host ports: who may call them, from where, and whom pods see. A part of
services.sh."""
import json
import subprocess

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import

NODES = (("172.31.0.10", "fd57:e7f7:0:1::10"), ("172.31.0.11", "fd57:e7f7:0:1::11"), ("172.31.0.12", "fd57:e7f7:0:1::12"))
OUTSIDE = ("203.0.113.10", "2001:db8:113::10")
EVERYWHERE = [ip for node in NODES for ip in node]
ALL = "web-1+web-2+web-3"


def node_ports():
    service("port", ports=((80, 80, "TCP", 30210), (53, 53, "UDP", 30211)), selector={"app": "web"}, type="NodePort")
    settles("SV35 a node port answers on each node", "outside", [(ip, 30210) for ip in EVERYWHERE], ALL, n=40)
    settles("SV35 by UDP", "outside", [(ip, 30211) for ip in EVERYWHERE], ALL, "udp", n=40)
    settles("SV35 and for pods", "near", [(ip, 30210) for ip in EVERYWHERE], ALL, n=40)
    one_endpoint()
    elsewhere()
    service("port", ports=((80, 80, "TCP", 30212), (53, 53, "UDP", 30211)), selector={"app": "web"}, type="NodePort")
    settles("SV38 another number is served", "outside", [(ip, 30212) for ip in EVERYWHERE], ALL, n=40)
    settles("SV38 and the old one is refused", "outside", [(ip, 30210) for ip in EVERYWHERE], "refused")
    service("heir", ports=((80, 80, "TCP", 30210),), selector={"group": "gate"}, publishNotReadyAddresses=True, type="NodePort")
    settles("SV38 until another Service takes it", "outside", [(ip, 30210) for ip in EVERYWHERE], "gated")
    delete("Service", "heir")
    delete("Service", "port")


def one_endpoint():
    """Only web-2 is behind it: the other nodes have no endpoint."""
    service("only", ports=((80, 80, "TCP", 30220),), type="NodePort")
    slices("only", on("web-2"), ports=((80, 80, "TCP"),))
    settles("SV35 a node without an endpoint answers", "outside", [(ip, 30220) for ip in EVERYWHERE], "web-2")
    for family in (0, 1):
        seen = calls("outside", (NODES[1][family], 30220))["clients"]
        same("SV10 at the endpoint's own node the client keeps its address", seen, [OUTSIDE[family]])
        seen = calls("outside", (NODES[2][family], 30220))["clients"]
        ok("SV11 through another node replies go back through it", seen and seen != [OUTSIDE[family]], seen)
    local = {"ports": ((80, 80, "TCP", 30220),), "type": "NodePort", "externalTrafficPolicy": "Local"}
    service("only", **local)
    settles("SV08 Local, no endpoint on the node: nothing comes back", "outside",
            [(ip, 30220) for ip in NODES[0] + NODES[2]], "none", wait=0.3)
    settles("SV10 Local at the endpoint's node", "outside", [(ip, 30220) for ip in NODES[1]], "web-2")
    same("SV10 keeps the client's address", calls("outside", (NODES[1][0], 30220))["clients"], [OUTSIDE[0]])
    settles("SV09 SV10 pods that call their own node reach it, wherever it is", "near", [(ip, 30220) for ip in NODES[0]], "web-2")
    settles("SV09 another node's port they call as from outside", "near", [(ip, 30220) for ip in NODES[2]], "none", wait=0.3)
    slices("only", on("web-1", ready=False, serving=True, terminating=True), on("web-2", ready=True), ports=((80, 80, "TCP"),))
    settles("SV04 Local: a node's own endpoint that ends and serves is used", "outside", [(ip, 30220) for ip in NODES[0]], "web-1")
    settles("SV04 while all of the cluster has a ready one", "near", both("only"), "web-2", n=10)
    delete("Service", "only")


def both(service_name, port=80):
    return [(ip, port) for ip in vips(service_name)]


def elsewhere():
    settles("SV37 on a node's loopback it is refused", "node-1", [("127.0.0.1", 30210), ("::1", 30210)], "refused")
    settles("SV37 and opens nothing for others", "outside", [(NODES[0][0], 30299)], "refused")
    for ip, length in (("172.31.0.77", "32"), ("fd57:e7f7:0:1::77", "128")):
        subprocess.run(argv_in("node-1", "ip", "address", "add", ip + "/" + length, "dev", uplink("node-1"),
                                *(["nodad"] if ":" in ip else [])), check=True)
        settles("SV36 a further address of the machine (%s) is none of the node: refused" % ip, "outside", [(ip, 30210)], "refused")


def uplink(node):
    told = subprocess.run(argv_in(node, "ip", "-j", "-4", "address"), stdout=subprocess.PIPE, check=True).stdout
    return [link["ifname"] for link in json.loads(told) if NODES[0][0] in [a["local"] for a in link["addr_info"]]][0]


def internal():
    service("inside", selector={"app": "web"}, internalTrafficPolicy="Local")
    settles("SV07 Local: a pod reaches the endpoint of its node", "near", both("inside"), "web-1", n=20)
    settles("SV07 on each node its own", "far", both("inside"), "web-2", n=20)
    service("inside", internalTrafficPolicy="Local")
    slices("inside", on("web-1"))
    settles("SV07 no endpoint on the node: nothing comes back", "far", both("inside"), "none", wait=0.3)
    settles("SV07 by UDP, too", "far", both("inside", 53), "none", "udp", wait=0.3)
    delete("Service", "inside")


def balancers():
    put({"apiVersion": "weft.network/v1alpha1", "kind": "AddressPool", "metadata": {"name": "pool"},
         "spec": {"addresses": ["172.31.0.200-172.31.0.220", "fd57:e7f7:0:1::c8-fd57:e7f7:0:1::dc"]}})
    more = {"selector": {"app": "web"}, "type": "LoadBalancer"}
    service("lb", **more)
    to = wait(lambda: ingress("lb"))
    ok("SV09 a balancer gets addresses of the pool, of both families", to and len(to) == 2, to)
    if not to:
        return
    settles("SV09 they answer to the outside", "outside", to, ALL, n=40)
    settles("SV43 and to pods", "near", to, ALL, n=40)
    service("lb", externalTrafficPolicy="Local", **more)
    slices_of = [wait(lambda: calls("outside", to[0], n=20)["clients"] == [OUTSIDE[0]])]
    ok("SV10 Local keeps the client's address", slices_of[0])
    settles("SV09 pods reach all endpoints of a Local one", "far", to, ALL, n=40)
    ranges(to, more)
    proxy_mode(more)
    delete("Service", "lb")
    settles("SV25 a balancer that is gone has no address", "near", to, "none", wait=0.3)


def ingress(name):
    got = get("Service", name).get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return sorted(((i["ip"], 80) for i in got), key=lambda i: ":" in i[0])


def ranges(to, more):
    service("lb", loadBalancerSourceRanges=["192.0.2.0/24", "2001:db8:ffff::/64"], **more)
    settles("SV42 a client that is in no range gets nothing", "outside", to, "none", wait=0.3)
    settles("SV42 pods always pass", "near", to, ALL, n=40)
    service("lb", loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8:113::/48"], **more)
    settles("SV42 a client in a range does", "outside", to, ALL, n=40)


def proxy_mode(more):
    """198.51.100.7 is one of the outside host's own addresses: what leaves the node is answered by it."""
    service("cloud", loadBalancerClass="else.example/x", **more)
    for mode, answers in (("VIP", ALL), ("Proxy", "outside"), ("VIP", ALL)):
        patch("Service", "cloud", {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7", "ipMode": mode}]}}}, "/status")
        settles("SV43 ipMode %s: %s answers pods" % (mode, answers), "near", [("198.51.100.7", 80)], answers, n=40)
    delete("Service", "cloud")


def external():
    service("ext", selector={"app": "web"}, externalIPs=["172.31.0.230", "fd57:e7f7:0:1::e6"])
    settles("SV45 external addresses are served to pods", "near", [("172.31.0.230", 80), ("fd57:e7f7:0:1::e6", 80)], ALL, n=40)
    delete("Service", "ext")
    settles("SV45 and no more afterwards", "near", [("172.31.0.230", 80)], "none", wait=0.3)


def unknown():
    service("known", selector={"app": "web"})
    settles("SV44 a port that the Service does not have is refused", "near", both("known", 81), "refused")
    settles("SV44 by UDP, too", "near", both("known", 81), "refused", "udp")
    settles("SV44 an address that no Service has gets no answer", "near", [("10.96.255.250", 80), ("fd57:e7f7:0:96::fffa", 80)],
            "none", wait=0.3)
    delete("Service", "known")


def host_ports():
    def pod(name, *ports):
        api("POST", WHERE["Pod"], {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"group": "ports"}},
                                   "spec": {"nodeName": "node-2", "containers": [
                                       {"name": "c", "image": "a", "ports": [dict(p) for p in ports]}]}})
    pod("hp-4", {"containerPort": 80, "hostPort": 8123, "hostIP": NODES[1][0]},
        {"containerPort": 53, "hostPort": 8123, "hostIP": NODES[1][0], "protocol": "UDP"})
    pod("hp-6", {"containerPort": 80, "hostPort": 8123, "hostIP": NODES[1][1]})
    settles("SV46 one port with two host addresses: each its pod", "outside", [(NODES[1][0], 8123)], "hp-4")
    settles("SV46 the other address", "outside", [(NODES[1][1], 8123)], "hp-6")
    settles("SV46 and the other protocol", "outside", [(NODES[1][0], 8123)], "hp-4", "udp")
    settles("SV46 another node has no such port", "outside", [(NODES[0][0], 8123)], "refused")
    settles("SV46 pods reach it", "near", [(NODES[1][0], 8123)], "hp-4")
    for name in ("hp-4", "hp-6"):
        api("DELETE", WHERE["Pod"] + "/" + name, {"gracePeriodSeconds": 0})
    settles("SV46 it goes with its pod", "outside", [(NODES[1][0], 8123), (NODES[1][1], 8123)], "refused")


play(node_ports, internal, unknown, balancers, external, host_ports)
