# SPDX-License-Identifier: Apache-2.0
"""A node is cut off and comes back: callers move, exactly one node answers for a balancer's address, and its pods are
endpoints again without a restart. A part of badluck_wide.sh."""
import re

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import readback, weft

POOL = "172.31.0.200"
ARP = """import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind((sys.argv[1], 0)); s.settimeout(0.1)
own = s.getsockname()[4]; me = socket.inet_aton(sys.argv[2]); want = socket.inet_aton(sys.argv[3])
seen, end = set(), time.monotonic() + float(sys.argv[4])
while time.monotonic() < end:
    s.send(b"\\xff" * 6 + own + b"\\x08\\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + own + me + bytes(6) + want)
    stop = time.monotonic() + 0.2
    while time.monotonic() < stop:
        try:
            d = s.recv(100)
        except OSError:
            continue
        if d[20:22] == b"\\0\\2" and d[28:32] == want:
            seen.add(d[22:28].hex(":"))
print(" ".join(sorted(seen)))
"""


def fabric():
    """The device of the fabric's router in the nodes' network, and its address."""
    text = subprocess.run(["ip", "netns", "exec", "weft-%s-fabric" % NAME, "ip", "-o", "-4", "addr", "show"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.search(r"\d+: (\S+) +inet (172\.31\.0\.1)/", text).groups()


def who_answers(seconds=1):
    """Link addresses that answer for the balancer's address, asked for some time."""
    dev, own = fabric()
    done = subprocess.run(["ip", "netns", "exec", "weft-%s-fabric" % NAME, "python3", "-c", ARP, dev, own, POOL, str(seconds)],
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout.split()


def link(node):
    text = subprocess.run(["ip", "netns", "exec", "weft-%s-%s" % (NAME, node), "cat", "/sys/class/net/uplink0/address"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    return text.strip()


def node_ready(node):
    return [c["status"] for c in get("Node", node)["status"]["conditions"] if c["type"] == "Ready"][0]


def announcer():
    status, text = weft("why", "outside", POOL + ":80", "-o", "json")
    return json.loads(text)["families"][0].get("translation", {}).get("announcedBy") if status in (0, 1) else None


def restarts():
    return [get("Pod", p)["status"]["containerStatuses"][0]["restartCount"] for p in ("web-1", "web-2")]


def cut():
    put({"apiVersion": "weft.network/v1alpha1", "kind": "AddressPool", "metadata": {"name": "pool"}, "spec": {"addresses": [POOL]}})
    service("web", ports=((80, 80, "TCP"), (53, 53, "UDP")), selector={"app": "web"}, type="LoadBalancer",
            ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
    same("the Service has the balancer's address", wait(lambda: get("Service", "web")["status"]["loadBalancer"]["ingress"][0]["ip"]), POOL)
    place, to = (POOL, 80), [(vips("web")[0], 80)]
    settles("it is served from outside", "outside", [place], "web-1+web-2", n=30)
    first = announcer()
    ok("weft why names the node that announces it: %s" % first, first in ("node-1", "node-2"), weft("why", "outside", POOL + ":80")[1])
    other, inside = ("node-2", "near") if first == "node-1" else ("node-1", "far")
    inside = "far" if first == "node-1" else "near"
    lost, kept = ("web-1", "web-2") if first == "node-1" else ("web-2", "web-1")
    same("it alone answers", wait(lambda: who_answers() == [link(first)] and [link(first)]), [link(first)])
    sound = Talk("outside", "datagrams", POOL, "53")
    weft("fault", "node/" + first, "--cut")
    same("cut off: it is not Ready", wait(lambda: node_ready(first) == "Unknown", 20), True)
    same("callers inside move to who is left", wait(lambda: words(inside, to, n=20, wait=0.3) == kept, 10), True)
    same("the other node announces the address, alone", wait(lambda: who_answers() == [link(other)] and other, 10), other)
    same("callers outside are served by it", wait(lambda: words("outside", [place], n=20, wait=0.3) == kept, 10), True)
    same("weft why names it", announcer(), other)
    ok("weft why --ready says what is wrong with the pod of the node that is cut off",
       "not ready" in weft("why", lost, "--ready")[1], weft("why", lost, "--ready")[1])
    weft("fault", "node/" + first, "--clear")
    same("it comes back and is Ready", wait(lambda: node_ready(first) == "True", 20), True)
    same("its pods serve again", wait(lambda: words(inside, to, n=30, wait=0.3) == "web-1+web-2", 15), True)
    same("none was restarted", restarts(), [0, 0])
    now = wait(lambda: len(who_answers(0.5)) == 1 and announcer() == first and first, 10)
    same("the address is with the node of before", now, first)
    same("and it alone answers, asked for two seconds", who_answers(2), [link(first)])
    settles("from outside all of it is served", "outside", [place], "web-1+web-2", n=30)
    lines = sound.hush()
    # One socket: it keeps its pod while it may. Before the cut that was either of them.
    ok("who asked from outside all the time was answered by who is left: %s" % lines[-1],
       kept in {l[-1] for l in lines if l[0] == "who"}, lines[-5:])
    same("the kernels hold the plan", wait(lambda: readback("node-1") == "" and readback("node-2") == "", 10), True)
    delete("Service", "web")
    api("DELETE", WHERE["AddressPool"] + "/pool")


play(cut)
