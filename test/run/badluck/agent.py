# SPDX-License-Identifier: Apache-2.0
"""A node's agent is dead, all of its processes, while endpoints change: its kernel goes on with the last state, what is
wrong of it is known and said, and it is right soon after the agent is back. A part of badluck.sh."""
import shutil

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import agent, control, kill_agent, pids, readback, weft

AGENT = os.environ["WEFT_LIBEXEC"] + "/weft-agent"


def away(node):
    return [a for a in control(op="status")["away"] if a["node"] == node]


def pod(name, node, app):
    put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": {
        "nodeName": node, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "a", "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}]}})


def gone(name):
    try:
        get("Pod", name)
    except RuntimeError:
        return True
    return False


def many(place, to):
    """Many calls: calls() leaves off where three in a row get no answer."""
    sum_of = {"pods": {}, "refused": 0, "none": 0}
    for _ in range(12):
        seen = calls(place, to, n=5, wait=0.3)
        for k in ("refused", "none"):
            sum_of[k] += seen[k]
        for k, v in seen["pods"].items():
            sum_of["pods"][k] = sum_of["pods"].get(k, 0) + v
    return sum_of


def running(pod_name):
    """Processes in the pod's cgroup."""
    return [p for f in glob.glob("/sys/fs/cgroup/**/weft.%s/*/default.%s/**/cgroup.procs" % (NAME, pod_name), recursive=True)
            for p in open(f, encoding="ascii").read().split()]


def dead_while_endpoints_change():
    service("web", selector={"app": "web"})
    service("calm", selector={"app": "calm"})
    service("gate", selector={"app": "gate"})
    gate = [(ip, 80) for ip in vips("gate")]
    settles("a Service of pods with probes", "near", gate, "gate-1+gate-2", n=30)
    to, calm = [(ip, 80) for ip in vips("web")], [(ip, 80) for ip in vips("calm")]
    for name, node in (("web-5", "node-1"), ("web-6", "node-2")):  # what comes from files cannot be deleted here
        pod(name, node, "web")
    five = "web-1+web-2+web-3+web-5+web-6"
    same("five pods serve", last_word_within(15, "near", to, five), five)
    settles("another Service", "near", calm, "calm")
    same("nobody is away", control(op="status")["away"], [])
    open_one = Talk("near", "stream", calm[0][0], "80")
    open_one.answers("calm")
    os.rename(AGENT, AGENT + ".away")
    kill_agent("node-1")
    ok("the agent of node-1 is dead, all of it", wait(lambda: not pids("node-1") and away("node-1")))
    same("before anything changes callers notice nothing", words("near", to, n=60), five)

    gone_ip, local = addresses("web-6")[0], addresses("web-1")[0]
    changed = "web-1+web-2+web-3+web-4+web-5"
    delete("Pod", "web-6")
    pod("web-4", "node-2", "web")
    pod("late", "node-1", "late")
    same("the other node follows at once: pods there have the new endpoints", last_word_within(15, "far", to, changed), changed)
    ok("the pod has ended", wait(lambda: not os.path.exists("/run/netns/weft-%s-default.web-6" % NAME), 15))
    seen = many("near", to[0])
    ok("callers of node-1: who is still there serves", seen["pods"].get("web-1") and seen["pods"].get("web-2"), seen)
    ok("the new one gets nothing from there", "web-4" not in seen["pods"], seen)
    ok("and calls that go to the one that is gone get no answer, none else", seen["none"] > 0 and not seen["refused"] and
       "web-6" not in seen["pods"], seen)
    told = weft("drops", "--node", "node-2")[1]
    ok("node-2 counts them by name: weft drops", "no-endpoint" in told, told)
    weft("fault", "default/gate-2", "--not-ready")
    settles("a pod that is no longer ready gets nothing from the other node", "far", gate, "gate-1", n=30)
    same("and goes on serving callers of node-1", words("near", gate, n=30), "gate-1+gate-2")
    same("another Service is not touched", words("near", calm, n=20), "calm")

    status, text = weft("why", "near", "svc/web:80")
    for part in ("node-1: its agent is away since ", "Its kernel goes on with what was in force then",
                 "node-1 still sends to %s:80, which is no endpoint now" % gone_ip,
                 "node-1 does not send to %s:80 yet" % addresses("web-4")[0], "%s:80, default/web-1" % local):
        ok("weft why says: " + part, part in text, text)
    same("weft why ends with 3: the kernel does something else than the objects say", status, 3)
    status, text = weft("why", "far", "svc/web:80")
    ok("asked from the other node: node-1 is named as the end of web-1", "node-1: its agent is away" in text and
       "still sends" not in text, text)
    told = json.loads(weft("why", "near", "svc/web:80", "-o", "json")[1])
    ok("and as JSON, with the time", told["troubles"][0]["node"] == "node-1" and told["troubles"][0]["awayMs"] > 0, told.get("troubles"))
    ok("weft maps and weft drops go on by what they can read", weft("maps")[0] == 0, weft("maps")[1])

    began = time.monotonic()
    os.rename(AGENT + ".away", AGENT)
    same("the agent is back: it is started within 5 s, and callers of node-1 have the new endpoints",
         last_word_within(20, "near", to, changed), changed)
    print("# %.1f s after it could be started" % (time.monotonic() - began), flush=True)
    settles("who is not ready gets nothing any more", "near", gate, "gate-1", n=30)
    weft("fault", "--clear")
    same("no call goes wrong any more", words("near", to, n=100), changed)
    ok("a connection of before is whole", ["broken"] not in open_one.hush(), open_one.lines)
    ok("nobody is away", wait(lambda: not control(op="status")["away"]))
    status, text = weft("why", "near", "svc/web:80")
    ok("weft why has no notice", status == 0 and "notice" not in text, text)
    same("the kernel holds the plan", wait(lambda: readback("node-1") == "", 10), True)
    ok("a pod that waited for the agent runs", wait(lambda: get("Pod", "late")["status"]["phase"] == "Running", 15))


def own_pod_goes():
    """A pod of the dead agent's own node goes; and one lives on with its address."""
    to = [(ip, 80) for ip in vips("web")]
    rest = "web-1+web-2+web-3+web-4"
    shutil.move(AGENT, AGENT + ".away")
    kill_agent("node-1")
    ok("the agent of node-1 is dead again", wait(lambda: not pids("node-1")))
    delete("Pod", "web-5")
    ok("its pod ends all the same", wait(lambda: not running("web-5"), 15))
    seen = calls("near", to[0], n=60, wait=0.3)
    ok("calls of its node that go there are refused at once, none else", seen["refused"] > 0 and not seen["none"] and
       "web-5" not in seen["pods"], seen)
    same("the other node does not choose it any more", last_word_within(15, "far", to, rest), rest)
    shutil.move(AGENT + ".away", AGENT)
    same("the agent is back", last_word_within(20, "near", to, rest), rest)
    ok("the pod is gone", wait(lambda: gone("web-5"), 15))
    same("and nothing of it is left: the kernel holds the plan", wait(lambda: agent("node-1", "status") and readback("node-1") == "", 15), True)
    delete("Service", "gate")
    for name in ("web-4", "late"):
        delete("Pod", name)
    delete("Service", "web")
    delete("Service", "calm")


def last_word_within(seconds, place, to, wanted):
    seen, end = None, time.monotonic() + seconds
    while seen != wanted and time.monotonic() < end:
        seen = words(place, to, n=60, wait=0.3)
    return seen


play(dead_while_endpoints_change, own_pod_goes)
