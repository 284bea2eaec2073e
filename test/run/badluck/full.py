# SPDX-License-Identifier: Apache-2.0
"""The BPF maps for Services and endpoints are full: a change that does not fit is refused whole, the last good state stays,
an alarm has the numbers, and it goes when it fits again. A part of badluck.sh."""
import re

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import agent, kill_agent, pids, readback, weft


def alarm(node="node-1"):
    told = agent(node, "status")
    return told["alarm"] if told else "no answer"


def ghosts(count):
    """Endpoints that exist in a slice only."""
    put({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "name": "many-0", "labels": {"kubernetes.io/service-name": "many"}}, "addressType": "IPv4",
        "ports": [{"name": "tcp80", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["198.51.100.%d" % (i + 1)]} for i in range(count)]})


def endpoints():
    service("kept", selector={"app": "web"})
    service("many", ports=((80, 80, "TCP"),), ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
    to = [(ip, 80) for ip in vips("kept")]
    settles("a Service with three endpoints", "near", to, "web-1+web-2+web-3", n=30)
    same("no alarm", (alarm(), alarm("node-2")), ("", ""))
    ghosts(100)
    seen = wait(lambda: "map-full" in alarm() and alarm())
    ok("NP81 100 endpoints more do not fit: %s" % seen, seen and seen.startswith("map-full: BPF map backend has room for 64 elements"), seen)
    same("NP82 the other Service goes on", words("near", to, n=30), "web-1+web-2+web-3")
    same("nothing of the refused change is in force", word(calls("near", (vips("many")[0], 80))), "refused")
    told = subprocess.run([WEFT, "doctor"], stdout=subprocess.PIPE, text=True, timeout=60).stdout
    ok("weft doctor has it", re.search("cluster %s, node-1: map-full: BPF map" % NAME, told), told)
    status, text = weft("maps")
    ok("weft maps says it", "node-1: map-full: BPF map backend has room for 64" in text and status == 0, text)
    status, text = weft("why", "near", "svc/many:80")
    for part in ("notice", "node-1: map-full: BPF map backend has room for 64 elements", "Until then all of it goes on as it was in force last",
                 "node-1 does not send to 198.51.100.1:80 yet"):
        ok("weft why says: " + part, part in text, text)
    same("weft why ends with 3: the kernel does something else", status, 3)
    kill_agent("node-1")
    same("an agent that is started anew in this finds the same", wait(lambda: pids("node-1") and "map-full" in alarm(), 15), True)
    seen = weft("why", "near", "svc/many:80")[1]
    ok("and why still answers", "map-full: BPF map backend" in seen and "node-1 does not send to 198.51.100.1:80 yet" in seen, seen)
    same("NP82 the other Service goes on", words("near", to, n=30), "web-1+web-2+web-3")
    status, text = weft("why", "near", "svc/kept:80")
    ok("and of the other Service that it works, with the notice", status == 0 and "map-full" in text and "kernel  " not in text, text)
    patch("Service", "kept", {"spec": {"selector": {"app": "calm"}}})
    seen = wait(lambda: "kernel    node-1 still sends to" in weft("why", "near", "svc/kept:80")[1])
    ok("while it stands no other change of that node is in force either, and why says what is stale", seen)
    patch("Service", "kept", {"spec": {"selector": {"app": "web"}}})
    ghosts(2)
    same("with 2 it fits: the alarm goes", wait(lambda: alarm() == "" and alarm("node-2") == ""), True)
    ok("and why has no notice", "notice" not in weft("why", "near", "svc/many:80")[1])
    same("the kernel holds the plan", readback("node-1"), "")
    delete("Service", "many")
    delete("EndpointSlice", "many-0")


def services():
    to = [(ip, 80) for ip in vips("kept")]
    made = ["s%d" % i for i in range(12)]
    for name in made:
        service(name, selector={"app": "calm"})
    seen = wait(lambda: "map-full" in alarm() and alarm())
    ok("NP81 too many Services: %s" % seen, seen and seen.startswith("map-full: BPF map service has room for 40 elements"), seen)
    same("NP82 those that were there go on", words("near", to, n=30), "web-1+web-2+web-3")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "labels": {"app": "late"}},
           "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "c", "image": "a", "ports": [{"containerPort": 80}]}]}}
    put(pod)
    status, text = weft("why", "near", "svc/%s:80" % made[-1])
    ok("weft why names the map", "map-full: BPF map service has room for 40" in text, text)
    for name in made:
        delete("Service", name)
    same("they go: the alarm goes", wait(lambda: alarm() == "" and alarm("node-2") == ""), True)
    same("a pod that waited runs", wait(lambda: get("Pod", "late")["status"]["phase"] == "Running", 10), True)
    same("the kernel holds the plan", wait(lambda: readback("node-1") == ""), True)
    delete("Pod", "late")
    delete("Service", "kept")


play(endpoints, services)
