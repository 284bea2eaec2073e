# SPDX-License-Identifier: Apache-2.0
"""All endpoints of a Service are gone: refused at once, by TCP and UDP, from inside and outside, and `weft why` names the
Service and says of each pod what keeps it out. A part of badluck.sh."""
from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import weft

NODE = "172.31.0.10"


def both(name, port=80):
    return [(ip, port) for ip in vips(name)]


def all_gone():
    service("gate", ports=((80, 80, "TCP", 30300), (53, 53, "UDP", 30353)), selector={"app": "gate"}, type="NodePort")
    settles("two pods serve", "near", both("gate"), "gate-1+gate-2", n=20)
    weft("fault", "default/gate-1", "--not-ready")
    weft("fault", "default/gate-2", "--not-ready")
    for place in ("near", "far"):
        settles("SV06 none is ready: TCP is refused at once, from " + place, place, both("gate"), "refused", wait=3)
        settles("SV06 and UDP", place, both("gate", 53), "refused", "udp", wait=3)
    same("SV06 from outside, by TCP", word(calls("outside", (NODE, 30300), wait=3)), "refused")
    same("SV06 from outside, by UDP", word(calls("outside", (NODE, 30353), "udp", wait=3)), "refused")
    status, text = weft("why", "near", "svc/gate:80")
    same("weft why ends with 1", status, 1)
    for part in ("Service default/gate", "the Service has no endpoint that is ready; it is refused at once",
                 "its selector app=gate means 2 pods, and none serves",
                 "default/gate-1: container c: readiness probe is failing: status 503", "default/gate-2: container c:"):
        ok("it says: " + part, part in text, text)
    status, text = weft("why", "outside", "svc/gate:80", "--node", "node-1")
    ok("from outside as well", status == 1 and "default/gate-2: container c:" in text, text)
    status, text = weft("why", "near", "svc/gate:80", "-o", "json")
    outs = json.loads(text)["families"][0].get("outs", [])
    same("and as JSON", [o["pod"] for o in outs], ["default/gate-1", "default/gate-2"])
    weft("fault", "--clear")
    settles("they come back", "near", both("gate"), "gate-1+gate-2", n=20)


def no_pod():
    service("gate", selector={"app": "nobody"})
    settles("SV06 a selector that means no pod: refused", "near", both("gate"), "refused")
    ok("why says so", "its selector app=nobody means no pod" in weft("why", "near", "svc/gate:80")[1])
    service("gate", ports=((80, "grpc", "TCP"),), selector={"app": "gate"})
    settles("SV06 a named port that no pod has: refused", "near", both("gate"), "refused")
    seen = weft("why", "near", "svc/gate:80")[1]
    ok("why names it", 'no container of it declares a port with the name "grpc"' in seen, seen)
    delete("Service", "gate")
    service("hand")
    slices("hand", on("web-1", ready=False, serving=False))
    settles("SV06 slices by hand without one that serves: refused", "near", both("hand"), "refused")
    seen = weft("why", "near", "svc/hand:80")[1]
    ok("why says so", "it has no selector, and its EndpointSlices hold 2 endpoints, none of which serves" in seen, seen)
    delete("Service", "hand")
    for version in (0, 1):
        delete("EndpointSlice", "hand-a-%d" % version)


play(all_gone, no_pod)
