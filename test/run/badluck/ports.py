# SPDX-License-Identifier: Apache-2.0
"""A node has no port left to translate to, towards one destination: its next connections there are dropped by name, all
else goes on, `weft drops`, `weft why` and `weft who` say so, and with the pod that has them its ports come back. A part of
badluck.sh."""
import re

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import weft

OUTSIDE, NODE = "203.0.113.10", "172.31.0.10"
ECHO = """import socket, sys
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
a.bind(("%s", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, who = a.recvfrom(100)
    if data == b"?":
        a.sendto(b"!", who)
""" % OUTSIDE
FLOOD = """import socket
for port in range(1024, 1024 + 45000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.bind(("", port))
        s.sendto(b"x", ("%s", 7001))
    except OSError:
        pass
    s.close()
""" % OUTSIDE
ASK = """import socket, sys
good = 0
for i in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
    s.sendto(b"?", ("%s", int(sys.argv[1])))
    try:
        good += s.recv(10) == b"!"
    except OSError:
        pass
    s.close()
print(good)
""" % OUTSIDE


def asks(place, port, n=20):
    """How many of n new connections to that port of the host outside are answered."""
    done = subprocess.run(argv_in(place, "python3", "-c", ASK, str(port), str(n)), stdout=subprocess.PIPE, timeout=60, check=True)
    return int(done.stdout)


def full():
    put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "flood", "labels": {"app": "flood"}}, "spec": {
        "nodeName": "node-1", "terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "a"}]}})
    wait(lambda: get("Pod", "flood")["status"]["phase"] == "Running", 15)
    echos = [subprocess.Popen(argv_in("outside", "python3", "-c", ECHO, str(port)), stdout=subprocess.PIPE) for port in (7001, 7002)]
    try:
        for e in echos:
            e.stdout.readline()
        same("another pod of the node asks a host outside", (asks("near", 7001), asks("near", 7002)), (20, 20))
        ok("why has no notice", "notice" not in weft("why", "near", OUTSIDE + ":7001", "--proto", "udp")[1], weft("why", "near", OUTSIDE + ":7001", "--proto", "udp")[1])
        subprocess.run(argv_in("flood", "python3", "-c", FLOOD), timeout=60, check=True)
        got = asks("near", 7001)
        ok("one pod has all ports to that destination: of 20 new connections of others %d get one" % got, got < 10, got)
        same("other destinations are not touched", asks("near", 7002), 20)
        same("nor is the other node", asks("far", 7001), 20)
        told = weft("drops", "--node", "node-1")[1]
        ok("weft drops names it, with the pod", re.search(r"default/near .*snat-ports", told), told)
        told = weft("why", "near", OUTSIDE + ":7001", "--proto", "udp")[1]
        doctor = subprocess.run([WEFT, "doctor"], stdout=subprocess.PIPE, text=True, timeout=60).stdout
        ok("weft doctor too", re.search("cluster %s, node-[12]: [0-9]+ packets found no port" % NAME, doctor), doctor)
        ok("weft why says it", "notice" in told and "could not be translated" in told and "snat-ports" in told, told)
        told = weft("who", NODE)[1]
        ok("weft who says who has them", re.search(r"node-1 *udp *default/flood .*%s:7001 *(1[0-9]|20)[0-9]{3}\n" % OUTSIDE, told), told)
        delete("Pod", "flood")
        same("with the pod its ports come back", wait(lambda: asks("near", 7001) == 20, 20), True)
    finally:
        for e in echos:
            e.kill()
            e.wait()


play(full)
