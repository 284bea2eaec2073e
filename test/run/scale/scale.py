# SPDX-License-Identifier: Apache-2.0
"""Workloads are scaled, rolled and drained: see scale.sh."""
from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import weft

APPS = "/apis/apps/v1/namespaces/default/"
PROBE = {"httpGet": {"path": "/ready", "port": 80}, "periodSeconds": 1}


def workload(kind, name, replicas, **spec):
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, **spec,
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 2, "containers": [
            {"name": "c", "image": "a", "ports": [{"containerPort": 80}], "readinessProbe": PROBE}]}}}}


def pods(app):
    return [p for p in api("GET", WHERE["Pod"])["items"] if p["metadata"].get("labels", {}).get("app") == app
            and not p["metadata"].get("deletionTimestamp")]


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def ready(app):
    return sum(is_ready(p) for p in pods(app))


def scale():
    api("POST", APPS + "deployments", workload("Deployment", "web", 2))
    api("POST", APPS + "statefulsets", workload("StatefulSet", "db", 1, serviceName="db"))
    same("two pods are ready", wait(lambda: ready("web") == 2, 20), True)
    status, text = weft("scale", "deployment/web", "--replicas", "4")
    ok("weft scale deployment/web", status == 0 and "Deployment default/web: 4 replicas, before 2" in text, text)
    same("four are", wait(lambda: ready("web") == 4, 20), True)
    status, text = weft("scale", "web", "--replicas", "1", "--current-replicas", "3")
    ok("not what was expected: refused", status == 1 and "has 4 replicas, not 3" in text, text)
    same("the kind may be left out", weft("scale", "db", "--replicas", "2")[0], 0)
    same("two of the StatefulSet", wait(lambda: ready("db") == 2, 20), True)
    status, text = weft("scale", "filed", "--replicas", "3")
    ok("what comes from a file is changed there, and the line is named", status == 1 and "all.yaml:" in text, text)
    same("and was not changed", len(pods("filed")), 1)
    for words_, exit_ in ((("nobody", "--replicas", "1"), 1), (("pod/near", "--replicas", "1"), 1), (("web",), 2)):
        same("weft scale %s is refused" % " ".join(words_), weft("scale", *words_)[0], exit_)
    same("none at all", weft("scale", "sts/db", "--replicas", "0")[0], 0)
    same("they go", wait(lambda: not pods("db"), 20), True)


def several_at_a_time():
    api("POST", APPS + "statefulsets", workload("StatefulSet", "many", 5, serviceName="many", podManagementPolicy="Parallel",
                                                updateStrategy={"rollingUpdate": {"maxUnavailable": 2}}))
    same("five pods of a StatefulSet", wait(lambda: ready("many") == 5, 30), True)
    api("PATCH", APPS + "statefulsets/many", {"spec": {"template": {"metadata": {"labels": {"round": "2"}}}}}, "application/merge-patch+json")
    fewest, end, done = 5, time.monotonic() + 60, False
    while not done and time.monotonic() < end:
        now = pods("many")
        fewest = min(fewest, sum(is_ready(p) for p in now))
        done = len(now) == 5 and all(p["metadata"]["labels"].get("round") == "2" and is_ready(p) for p in now)
        time.sleep(0.02)
    same("it is rolled", done, True)
    same("with maxUnavailable 2 two at a time, never more", fewest, 3)
    api("DELETE", APPS + "statefulsets/many")


def drain():
    service("web", selector={"app": "web"})
    to = vips("web")[0]
    same("four pods serve", wait(lambda: ready("web") == 4), True)
    patch("Node", "node-2", {"spec": {"unschedulable": True}})
    stop, bad, total = threading.Event(), [], [0]

    def call():
        while not stop.is_set():
            seen = calls("near", (to, 80), n=20)
            total[0] += 20
            if seen["refused"] or seen["none"]:
                bad.append(seen)

    caller = threading.Thread(target=call)
    caller.start()
    there = [p["metadata"]["name"] for p in pods("web") if p["spec"]["nodeName"] == "node-2"]
    for name in there:  # as a drain does that minds a budget: the next when the one before is replaced
        api("POST", WHERE["Pod"] + "/%s/eviction" % name, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}})
        wait(lambda: ready("web") == 4, 20)
    ok("all %d pods of the node are elsewhere" % len(there), wait(lambda: {p["spec"]["nodeName"] for p in pods("web")} == {"node-1"}, 20))
    stop.set()
    caller.join()
    same("while it was drained no call failed (of %d)" % total[0], bad, [])
    patch("Node", "node-2", {"spec": {"unschedulable": None}})
    same("back again it takes pods", weft("scale", "web", "--replicas", "6")[0], 0)
    ok("on that node", wait(lambda: ready("web") == 6 and "node-2" in {p["spec"]["nodeName"] for p in pods("web")}, 20))


play(scale, several_at_a_time, drain)
