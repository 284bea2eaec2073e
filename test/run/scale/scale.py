# SPDX-License-Identifier: Apache-2.0
"""Workloads are scaled, rolled and drained: see scale.sh."""
import shutil

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


def kubectl_drain():
    """A drain as an operator does it: kubectl cordons, evicts, and waits until all are gone."""
    if not shutil.which("kubectl"):
        ok("kubectl drain # SKIP there is none on this machine", True)
        return
    api("POST", APPS + "statefulsets", workload("StatefulSet", "kept", 3, serviceName="kept"))
    same("a StatefulSet of three", wait(lambda: ready("kept") == 3, 60), True)
    there = [p["metadata"]["name"] for p in pods("web") + pods("kept") if p["spec"]["nodeName"] == "node-2"]
    env = dict(os.environ, KUBECONFIG=RUN + "/kubeconfig")
    done = subprocess.run(["kubectl", "drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s"],
                          env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    ok("kubectl drain ends well", done.returncode == 0 and "node/node-2 drained" in done.stdout, done.stdout)
    ok("it evicted all %d of them" % len(there), there and all("pod/%s evicted" % p in done.stdout for p in there), done.stdout)
    left = [p["metadata"]["name"] for p in api("GET", WHERE["Pod"])["items"] if p["spec"].get("nodeName") == "node-2"]
    same("nobody is left on the node", left, [])
    same("the workloads are whole elsewhere", wait(lambda: ready("web") == 6 and ready("kept") == 3, 60), True)
    same("with the StatefulSet's names", sorted(p["metadata"]["name"] for p in pods("kept")), ["kept-0", "kept-1", "kept-2"])
    done = subprocess.run(["kubectl", "uncordon", "node-2"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    ok("kubectl uncordon", done.returncode == 0, done.stdout)


def node_loss():
    """A node goes without a word: what it had comes up on the other, and Services lead there."""
    to = vips("web")[0]
    weft("scale", "web", "--replicas", "10")
    same("pods on both nodes", wait(lambda: ready("web") == 10 and {p["spec"]["nodeName"] for p in pods("web")} == {"node-1", "node-2"}, 30), True)
    same("the node is down", weft("fault", "node/node-2", "--down")[0], 0)
    gone = {a for p in pods("web") if p["spec"]["nodeName"] == "node-2" for a in (i["ip"] for i in p["status"]["podIPs"])}

    def known():
        return {e["addresses"][0] for s in api("GET", WHERE["EndpointSlice"])["items"] for e in s["endpoints"]
                if s["metadata"]["labels"].get("kubernetes.io/service-name") == "web" and e["conditions"].get("ready")}

    ok("the Service leads to none of its pods any more", wait(lambda: known() and not known() & gone, 60), known() & gone)
    seen = wait(lambda: (lambda r: r if not r["refused"] + r["none"] else None)(calls("near", (to, 80), n=20)), 20)
    ok("and every call is answered", seen, seen)
    told = subprocess.run([WEFT, "doctor"], stdout=subprocess.PIPE, text=True, timeout=60)
    ok("weft doctor names the node, and the machine is still fit", told.returncode == 0 and
       "cluster %s, node-2: its agent is away since" % NAME in told.stdout, told.stdout)
    same("all pods are ready again, on the node that is left", wait(
        lambda: ready("web") == 10 and {p["spec"]["nodeName"] for p in pods("web") if is_ready(p)} == {"node-1"}, 120), True)
    same("the node comes back", weft("fault", "node/node-2", "--clear")[0], 0)
    same("and takes pods again", weft("scale", "web", "--replicas", "14")[0], 0)
    ok("on that node", wait(lambda: ready("web") == 14 and "node-2" in {p["spec"]["nodeName"] for p in pods("web")}, 60))
    ok("weft doctor has nothing to say of it then", wait(lambda: "cluster %s," % NAME not in subprocess.run(
        [WEFT, "doctor"], stdout=subprocess.PIPE, text=True, timeout=60).stdout, 30))
    same("nothing runs twice there", doubles("node-2"), [])


def doubles(node):
    """Containers of the node's pods with more than one process of their own: a stand-in is one."""
    found = []
    for path in glob.glob("/sys/fs/cgroup/**/weft.%s/%s/*/cgroup.procs" % (NAME, node), recursive=True):
        with open(path, encoding="ascii") as f:
            if len(f.read().split()) > 1 and os.path.basename(os.path.dirname(path)).startswith("default."):
                found.append(path)
    return found


play(scale, several_at_a_time, drain, kubectl_drain, node_loss)
