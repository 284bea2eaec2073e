# SPDX-License-Identifier: Apache-2.0
"""Direct return by real packets: whom pods see, which way answers take, what policies judge, sizes, errors, and a node that
is lost in the middle of a connection. Also what sockets of nodes serve to the outside. A part of services.sh."""
import json
import subprocess

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import

NODES = (("172.31.0.10", "fd57:e7f7:0:1::10"), ("172.31.0.11", "fd57:e7f7:0:1::11"), ("172.31.0.12", "fd57:e7f7:0:1::12"))
OUTSIDE = ("203.0.113.10", "2001:db8:113::10")
SHARED = ("172.31.0.240", "fd57:e7f7:0:1::f0")
DIRECT = {"weft.network/forwarding": "direct-return"}
PORTS = ((80, 80, "TCP", 30250), (53, 53, "UDP", 30251), (90, 8090, "TCP", 30252), (91, 8090, "UDP", 30253))
WHERE["NetworkPolicy"] = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"

# Counts what leaves a node by its uplink from these ports: answers that pass it. Prints its number at each line it reads.
COUNT = """
import json, socket, sys
name, ports = sys.argv[1], json.loads(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
s.bind((name, 3))
s.setblocking(False)
print("ready", flush=True)
for line in sys.stdin:
    n = 0
    while True:
        try:
            data, where = s.recvfrom(65535)
        except BlockingIOError:
            break
        at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
        n += where[2] == socket.PACKET_OUTGOING and int.from_bytes(data[at:at + 2], "big") in ports
    print(n, flush=True)
"""

# Sends back what it gets, by TCP and by UDP. The host outside calls it, too, as it calls all node ports.
ECHO = """
import socket, threading
t = socket.create_server(("::", 8090), family=socket.AF_INET6, dualstack_ipv6=True)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
u.bind(("::", 8090))
def datagrams():
    while True:
        u.sendto(*u.recvfrom(65535))
def stream(c):
    data, more = b"", b"?"
    while len(data) < 2000000 and more:
        more = c.recv(65536)
        data += more
    c.sendall(data)
    c.close()
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    threading.Thread(target=stream, args=(t.accept()[0],), daemon=True).start()
"""

SEND = """
import socket, sys
proto, host, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
data = data[:size]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
for _ in range(3):
    s = socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(5 if proto == "tcp" else 1)
    try:
        s.connect((host, port))
        s.sendall(data)
        got = b""
        while len(got) < size:
            more = s.recv(65536)
            if not more:
                break
            got += more
        print("same" if got == data else "other")
        break
    except OSError as e:
        print(e, file=sys.stderr)
"""

# An ICMP error from the outside host about an answer of (HOST, PORT): packets to our own port 40404 are to be smaller.
TOO_BIG = """
import socket, struct, sys
host, port, own, mtu = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def fold(data):
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
udp = struct.pack("!HHHH", port, 40404, 1408, 0)
if ":" in host:
    ip = struct.pack("!IHBB", 0x60000000, 1408, 17, 60) + b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (host, own))
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.bind((own, 0))
    s.sendto(struct.pack("!BBHI", 2, 0, 0, mtu) + ip + udp + bytes(32), (host, 0))
else:
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 1428, 7, 0x4000, 60, 17, 0) + socket.inet_aton(host) + socket.inet_aton(own)
    ip = ip[:10] + struct.pack("!H", fold(ip)) + ip[12:]
    body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + ip + udp
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.bind((own, 0))
    s.sendto(body[:2] + struct.pack("!H", fold(body)) + body[4:], (host, 0))
"""


class Tool:
    """A Python program in a place of the cluster that says `ready`."""

    def __init__(self, place, program, *words):
        self.p = subprocess.Popen(argv_in(place, "python3", "-c", program, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.p.stdout.readline()

    def ask(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        return int(self.p.stdout.readline())

    def end(self):
        self.p.kill()
        self.p.wait()


def run_in(place, *words):
    return subprocess.run(argv_in(place, *words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout


def uplink(node, address):
    links = json.loads(run_in(node, "ip", "-j", "-4", "address"))
    return [link["ifname"] for link in links if address in [a["local"] for a in link["addr_info"]]][0]


def make(annotations, *on_pods):
    service("direct", ports=PORTS, type="NodePort", externalIPs=list(SHARED), annotations=annotations)
    slices("direct", *[on(p) for p in on_pods], ports=[p[:3] for p in [(p[0], p[1], p[2]) for p in PORTS]])


def clients(family, port=30250, proto="tcp"):
    return calls("outside", (NODES[0][family], port), proto, n=5)["clients"]


def sees():
    """web-2 on node-2 behind the ports of node-1."""
    make(DIRECT, "web-2")
    count = Tool("node-1", COUNT, uplink("node-1", NODES[0][0]), json.dumps([30250, 30251]))
    for family in (0, 1):
        for port, proto in ((30250, "tcp"), (30251, "udp")):
            settled = wait(lambda f=family, n=port, p=proto: clients(f, n, p) == [OUTSIDE[family]])
            ok("SV10 direct return: the pod of another node sees the client, %s to %s" % (proto, NODES[0][family]), settled,
               clients(family, port, proto))
    count.ask()
    before = [word(calls("outside", (ip, port), proto, n=10)) for ip in NODES[0] for port, proto in ((30250, "tcp"), (30251, "udp"))]
    same("SV10 forty calls are answered", before, ["web-2"] * 4)
    same("SV10 and none of the answers passes the node that was asked", count.ask(), 0)
    policies()
    make({}, "web-2")
    ok("SV11 without the annotation the pod sees a node", wait(lambda: clients(0) not in ([OUTSIDE[0]], [])), clients(0))
    count.ask()
    clients(0)
    ok("SV11 and the answers pass it", count.ask() > 0)
    count.end()


def block(*cidrs):
    return put({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "who"},
                "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
                         "ingress": [{"from": [{"ipBlock": {"cidr": c}} for c in cidrs]}]}})


def policies():
    to = [(ip, 30250) for ip in NODES[0]]
    block("198.51.100.99/32", "2001:db8:99::/64")
    settles("NP39 SV10 direct return: an ipBlock without the client keeps it out", "outside", to, "none", wait=0.3)
    block(*[ip + ("/128" if ":" in ip else "/32") for ip in OUTSIDE])
    settles("NP39 SV10 and one of the client's address lets it in", "outside", to, "web-2")
    delete("NetworkPolicy", "who")


def sizes():
    make(DIRECT, "web-2")
    echo = Tool("web-2", ECHO)
    for ip in NODES[0]:
        for proto, port, size in (("tcp", 30252, 2000000), ("udp", 30253, 1300), ("udp", 30253, 1452), ("udp", 30253, 8000)):
            seen = wait(lambda p=proto, i=ip, n=port, s=size: run_in("outside", "python3", "-c", SEND, p, i, str(n), str(s)).strip())
            same("SV10 SV63 direct return: %d bytes by %s to %s and back" % (size, proto, ip), seen, "same")
    echo.end()


def errors():
    make(DIRECT, "web-2")
    for family, target in ((0, OUTSIDE[0]), (1, OUTSIDE[1])):
        host = NODES[0][family]
        asked = wait(lambda h=host: word(calls("outside", (h, 30251), "udp", port=40404)) == "web-2")
        ok("SV62 direct return: a datagram from a known port is answered, %s" % host, asked)
        run_in("outside", "python3", "-c", TOO_BIG, host, "30251", target, "1290")
        told = wait(lambda t=target: "mtu 1290" in run_in("web-2", "ip", "route", "get", t))
        ok("SV62 an error about an answer comes to the pod that sent it (%s)" % target, told, run_in("web-2", "ip", "route", "get", target))
        run_in("web-2", "ip", *(["-6"] if family else []), "route", "flush", "cache")


def moves():
    make(DIRECT, "web-2")
    for ip in NODES[0]:
        make(DIRECT, "web-2")
        talk = Talk("outside", "datagrams", ip, "30251")
        ok("SV52 direct return: a UDP sender is answered, %s" % ip, talk.answers("web-2"), talk.lines)
        make(DIRECT, "web-3")
        ok("SV52 SV50 it moves with its endpoint to another node", talk.answers("web-3"), talk.lines)
        make(DIRECT, "web-1")
        ok("SV52 SV50 and to the node that is asked", talk.answers("web-1"), talk.lines)
        talk.hush()


def fabric(*words):
    """A command at the router between the nodes and the outside host."""
    subprocess.run(["nsenter", "--net=/run/netns/weft-%s-fabric" % NAME, *words], check=True)


def route(family, via):
    length = "/128" if family else "/32"
    fabric("ip", *(["-6"] if family else []), "route", "replace", SHARED[family] + length, "via", via)


def shared():
    """The external address is brought to one node, then to another, as a router does whose neighbour dies."""
    make(dict(DIRECT, **{"weft.network/load-balancing": "maglev"}), "web-2", "web-3")
    for family in (0, 1):
        route(family, NODES[0][family])
        settles("SV45 the outside reaches an external address by a route, %s" % SHARED[family], "outside",
                [(SHARED[family], 80)], "web-2+web-3", n=30)
        same("SV45 SV10 and the pod sees it", calls("outside", (SHARED[family], 80), n=5)["clients"], [OUTSIDE[family]])
        talk = Talk("outside", "stream", SHARED[family], "80")
        ok("SV10 a stream through node-1", wait(lambda t=talk: t.lines and t.lines[0][0] == "from"), talk.lines)
        fabric("ip", "link", "set", "port0", "down")
        route(family, NODES[2 if talk.lines[0][-1] == "web-2" else 1][family])
        again = Talk("outside", "stream", SHARED[family], "80")
        ok("SV10 new ones come through another node", wait(lambda t=again: t.lines and t.lines[0][0] == "from"), again.lines)
        again.hush()
        said = talk.hush()
        ok("SV10 the stream goes on when node-1 is lost in its middle", not [l for l in said if l[0] == "broken"], said)
        fabric("ip", "link", "set", "port0", "up")
        back = wait(lambda f=family: calls("outside", (NODES[0][f], 30250), wait=0.5)["pods"], 20)
        ok("node-1 is back", back)
    delete("Service", "direct")


def host_sockets():
    """A pod on the network of node-3 answers by UDP, from outside and from pods and nodes elsewhere."""
    service("own", ports=((53, 8098, "UDP", 30260),), type="NodePort")
    slices("own", on("host"), ports=((53, 8098, "UDP"),))
    to = [(ip, 30260) for ip in NODES[2]]
    settles("SV49 a node port leads datagrams to a pod on that node's network", "outside", to, "host", "udp", n=5)
    same("SV49 SV10 it sees the client", [c["clients"] for c in calls("outside", to, "udp").values()], [[o] for o in OUTSIDE])
    settles("SV49 from a pod of another node", "near", to, "host", "udp", n=5)
    settles("SV49 through another node", "outside", [(ip, 30260) for ip in NODES[0]], "host", "udp", n=5)
    delete("Service", "own")


play(sees, sizes, errors, moves, shared, host_sockets)
