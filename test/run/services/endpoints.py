# SPDX-License-Identifier: Apache-2.0
"""Which endpoints get traffic: conditions of slices, traffic policies, kinds of Services. A part of services.sh."""
from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import

NODES = (("172.31.0.10", "fd57:e7f7:0:1::10"), ("172.31.0.11", "fd57:e7f7:0:1::11"), ("172.31.0.12", "fd57:e7f7:0:1::12"))


def both(service_name, port=80):
    return [(ip, port) for ip in vips(service_name)]


def conditions():
    service("cond")
    to = both("cond")
    slices("cond", on("web-1", ready=True), on("web-2", ready=False, serving=True, terminating=True), on("web-3", ready=False))
    settles("SV01 only endpoints that are ready get new traffic", "near", to, "web-1", n=20)
    settles("SV01 by UDP as well", "near", both("cond", 53), "web-1", "udp", n=20)
    slices("cond", on("web-1"), on("web-2", ready=False))
    settles("SV02 no word on ready counts as ready", "far", to, "web-1", n=10)
    slices("cond", on("web-1", ready=False, serving=False, terminating=False),
           on("web-2", ready=False, serving=True, terminating=True), on("web-3", ready=False, serving=False, terminating=True))
    settles("SV04 SV05 none is ready: the one that ends and serves, never the one that only ends", "near", to, "web-2", n=20)
    slices("cond", on("web-3", ready=False, serving=False, terminating=True))
    settles("SV05 SV06 one that ends and does not serve is none: refused", "near", to, "refused")
    slices("cond")
    for place in ("near", "far", "host"):
        settles("SV06 no endpoint: TCP is refused at once, from " + place, place, to, "refused")
    settles("SV06 and UDP", "near", both("cond", 53), "refused", "udp")
    delete("Service", "cond")


def parts_of_one():
    service("parts")
    to = both("parts")
    slices("parts", on("web-1"))
    slices("parts", on("web-1"), on("web-2"), part="b")
    settles("SV21 slices made by hand are honoured", "near", to, "web-1+web-2", n=20)
    seen = calls("near", (vips("parts")[0], 53), "udp", n=400)["pods"]
    ok("SV18 an endpoint of two slices has no double weight", 140 <= seen.get("web-1", 0) <= 260, seen)
    slices("parts", part="b")
    last_word("near", to, "web-1", n=10)
    talk = Talk("near", "stream", to[0][0], "80")
    talk.answers("web-1")
    failed_calls = 0
    for turn in range(6):  # the new slice first, then the old one without it, as the hub writes them
        slices("parts", on("web-1"), part="b" if turn % 2 == 0 else "a")
        slices("parts", part="a" if turn % 2 == 0 else "b")
        failed_calls += sum(v["refused"] + v["none"] for v in calls("near", to, n=20).values())
    same("SV19 an endpoint that moves from slice to slice is never away", failed_calls, 0)
    ok("SV53 and an open connection stays", ["broken"] not in talk.hush(), talk.lines)
    delete("Service", "parts")


def families():
    service("fam")
    four, six = both("fam")
    slices("fam", on("web-1"), families=(0,))
    slices("fam", families=(1,))
    settles("SV20 an IPv4 slice feeds the IPv4 address", "near", [four], "web-1")
    settles("SV20 and never the other one", "near", [six], "refused")
    delete("Service", "fam")
    service("fam", ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"], selector={"app": "web"})
    same("SV65 one family is respected", [":" in ip for ip in vips("fam")], [True])
    settles("SV65 and served", "near", [(vips("fam")[0], 80)], "web-1+web-2+web-3", n=30)
    delete("Service", "fam")
    service("fam", selector={"app": "web"})
    for version, (ip, port) in enumerate(both("fam")):
        seen = calls("near", (ip, port), n=5)["clients"]
        same("SV65 SV12 %s: the caller's own address of that family is seen" % ip, seen, [addresses("near")[version]])
        same("SV12 and from another node", calls("far", (ip, port), n=5)["clients"], [addresses("far")[version]])
    delete("Service", "fam")


def ready_of_pods():
    """The gate of pod `gated` opens and closes; web-1 is always ready."""
    service("gate", selector={"group": "gate"})
    to = both("gate")
    settles("SV03 a pod whose gate is closed gets nothing", "near", to, "refused")
    service("gate", selector={"group": "gate"}, publishNotReadyAddresses=True)
    settles("SV03 SV17 with publishNotReadyAddresses it does", "near", to, "gated")
    service("gate", selector={"group": "gate"}, publishNotReadyAddresses=False)
    settles("SV03 and no more without", "near", to, "refused")
    gate("True")
    settles("SV03 its gate opens", "near", to, "gated")
    delete("Service", "gate")


def gate(status):
    have = [c for c in get("Pod", "gated")["status"]["conditions"] if c["type"] != "weft.test/open"]
    patch("Pod", "gated", {"status": {"conditions": have + [{"type": "weft.test/open", "status": status}]}}, "/status")


def gone_pods():
    service("gone", selector={"app": "short"})
    to = both("gone")
    settles("SV16 a pod is served while it runs", "near", to, "short")
    ips = addresses("short")
    patch("Pod", "short", {"metadata": {"labels": {"app": "other"}}})
    settles("SV53 a pod that loses its label leaves the Service", "near", to, "refused")
    patch("Pod", "short", {"metadata": {"labels": {"app": "short"}}})
    last_word("near", to, "short")
    api("DELETE", WHERE["Pod"] + "/short", {"gracePeriodSeconds": 0})
    settles("SV16 a pod that is gone is no endpoint", "near", to, "refused")
    settles("SV16 and its address refuses", "near", [(ip, 80) for ip in ips], "refused")
    settles("SV16 from another node, too", "far", [(ip, 80) for ip in ips], "refused")
    delete("Service", "gone")


def not_ours():
    labels = {"service.kubernetes.io/service-proxy-name": "another"}
    service("proxy", selector={"app": "web"}, labels=labels)
    to = both("proxy")
    settles("SV22 a Service of another proxy is not served", "near", to, "none", wait=0.3)
    service("proxy", selector={"app": "web"})
    settles("SV22 it is once the label is gone", "near", to, "web-1+web-2+web-3", n=30)
    service("proxy", selector={"app": "web"}, labels={"service.kubernetes.io/headless": ""})
    settles("SV24 the label of headless ones turns it off", "near", to, "none", wait=0.3)
    service("proxy", selector={"app": "web"})
    settles("SV24 and on again", "near", to, "web-1+web-2+web-3", n=30)
    delete("Service", "proxy")


def kinds():
    service("kind", ports=((80, 80, "TCP", 30200),), selector={"app": "web"}, type="NodePort")
    to, node = both("kind"), [(ip, 30200) for ip in NODES[0]]
    settles("SV25 SV35 a NodePort is served", "outside", node, "web-1+web-2+web-3", n=30)
    delete("Service", "kind")
    settles("SV25 it goes with all of its addresses", "near", to, "none", wait=0.3)
    settles("SV25 and its node port", "outside", node, "refused")
    put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kind"},
         "spec": {"type": "ExternalName", "externalName": "else.example.org"}})
    put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kind"},
         "spec": {"type": "ClusterIP", "selector": {"app": "web"}, "ipFamilyPolicy": "PreferDualStack",
                  "ports": [{"name": "tcp80", "port": 80}]}})
    settles("SV25 ExternalName becomes ClusterIP", "near", both("kind"), "web-1+web-2+web-3", n=30)
    to = both("kind")
    put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kind"},
         "spec": {"type": "ExternalName", "externalName": "else.example.org"}})
    settles("SV25 and back: nothing is left", "near", to, "none", wait=0.3)
    delete("Service", "kind")


play(conditions, parts_of_one, families, ready_of_pods, gone_pods, not_ours, kinds)
