# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump: see badluck_clock.sh."""
import re
import ssl
import struct
import urllib.request

from cluster import *  # pylint: disable=wildcard-import,unused-wildcard-import
from luck import PROGRAMS, agent, kill_agent, pids, weft

HOUR = 3600


def set_clock(seconds):
    with open(os.environ["WEFT_CLOCK"], "r+b") as f:
        f.write(struct.pack("=q", seconds))


def hub_says(word):
    with open(RUN + "/log/hub.log", encoding="utf-8", errors="replace") as f:
        return f.read().count(word)


def ready_of(node):
    return [(c["status"], c.get("lastTransitionTime")) for c in get("Node", node)["status"]["conditions"] if c["type"] == "Ready"][0]


def under_the_shim():
    """Programs of hub and agents that have the mock loaded."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words_ = f.read().decode(errors="replace").split("\0")
            if NAME in words_ and os.path.basename(words_[0]) in PROGRAMS + ("weft-hub",):
                with open("/proc/%s/maps" % pid, encoding="ascii") as f:
                    found.add(os.path.basename(words_[0]) + (":yes" if "clock.so" in f.read() else ":no"))
        except OSError:
            continue
    return sorted(found)


def deployment():
    o = api("GET", "/apis/apps/v1/namespaces/default/deployments/slow")["status"]
    progress = [c for c in o.get("conditions", []) if c["type"] == "Progressing"]
    return o.get("readyReplicas", 0), o.get("availableReplicas", 0), [c["reason"] for c in progress]


def learned():
    hub = Hub("hub")
    hub.sock = socket.socket(socket.AF_UNIX)
    hub.sock.connect(RUN + "/node-1/observer.sock")
    hub.request("GET", "/learned")
    return [l["seconds"] for l in json.loads(hub.getresponse().read())["learned"] if l["address"] == "198.51.100.7"]


def over_tls():
    """What the hub answers with the certificates of the kubeconfig, whose validity it judges by its own clock."""
    with open(RUN + "/kubeconfig", encoding="ascii") as f:
        text = f.read()
    import base64
    import tempfile
    data = {k: base64.b64decode(re.search(k + ": *(\\S+)", text).group(1)) for k in
            ("certificate-authority-data", "client-certificate-data", "client-key-data")}
    with tempfile.NamedTemporaryFile() as both:
        both.write(data["client-certificate-data"] + data["client-key-data"])
        both.flush()
        context = ssl.create_default_context(cadata=data["certificate-authority-data"].decode())
        context.load_cert_chain(both.name)
        server = re.search(r"server: *(\S+)", text).group(1)
        with urllib.request.urlopen(server + "/api/v1/nodes", context=context, timeout=5) as answer:
            return answer.status


def learn():
    """A pod asks the cluster's DNS for the name."""
    code = ("import socket,struct\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2)\n"
            "q=b'\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+b'\\5cloud\\7example\\3org\\0'+b'\\0\\1\\0\\1'\n"
            "s.sendto(q,('10.96.0.10',53)); s.recv(500)")
    return subprocess.run(argv_in("near", "python3", "-c", code), timeout=20, check=False).returncode == 0


def kept(to, before, stream, when):
    """All that holds whatever the clock says."""
    weft("fault", "default/web-2", "--not-ready")
    settles("%s: a probe that fails takes its pod out" % when, "near", to, "web-1", n=20)
    weft("fault", "--clear")
    settles("%s: and back in" % when, "near", to, "web-1+web-2", n=30)
    same("%s: no node was lost" % when, (ready_of("node-1"), ready_of("node-2")), before["nodes"])
    same("%s: no container was restarted" % when,
         [get("Pod", p)["status"]["containerStatuses"][0]["restartCount"] for p in ("web-1", "web-2", "near")], [0, 0, 0])
    same("%s: minReadySeconds and the deadline of a rollout are neither over nor longer" % when, deployment(), before["deployment"])
    same("%s: affinity: the client stays with its pod" % when, word(calls("near", (vips("sticky")[0], 80), n=10)), before["sticky"])
    now = learned()
    ok("%s: a name learnt lasts as long as it did" % when, now and before["learned"] - 120 < now[0] <= before["learned"], now)
    same("%s: the hub takes its own certificates" % when, over_tls(), 200)
    ok("%s: the open connection is whole" % when, ["broken"] not in stream.lines, stream.lines)


def jumps():
    for node in ("node-1", "node-2"):
        wait(lambda n=node: ready_of(n)[0] == "True")
    service("web", selector={"app": "web"})
    service("sticky", selector={"app": "web"}, sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 3 * HOUR}})
    to = [(ip, 80) for ip in vips("web")]
    settles("two pods serve", "near", to, "web-1+web-2", n=30)
    same("hub and agents run with the mock of the clock", under_the_shim(),
         ["weft-agent:yes", "weft-applier:yes", "weft-hub:yes", "weft-observer:yes", "weft-planner:yes"])
    ok("the Deployment's pod is ready and not yet available", wait(lambda: deployment()[0] == 1), deployment())
    ok("a name is learnt", learn() and wait(learned))
    before = {"nodes": (ready_of("node-1"), ready_of("node-2")), "deployment": deployment(),
              "sticky": word(calls("near", (vips("sticky")[0], 80), n=10)), "learned": learned()[0]}
    same("it is not available before its time", before["deployment"][:2], (1, 0))
    stream = Talk("near", "stream", to[0][0], "80")
    stream.answers("web-1")
    for number, (offset, when) in enumerate(((5 * HOUR, "five hours forward"), (-5 * HOUR, "ten hours back"), (0, "right again"))):
        set_clock(offset)
        ok("the clock is set: %s; the hub says so" % when, wait(lambda n=number: hub_says("the clock was set") > n))
        kept(to, before, stream, when)
        made = put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new-%d" % number}, "spec": {"ports": [{"port": 80}]}})
        told = made["metadata"]["creationTimestamp"]
        off = time.mktime(time.strptime(told, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time() - offset
        ok("objects are stamped with the time that the clock says", -60 < off < 60, (told, off))
        if offset:
            kill_agent("node-1")
            same("agents killed meanwhile come back and say so", wait(lambda: (agent("node-1", "status") or {}).get("enforcing"), 15), True)
            kept(to, before, stream, when + ", agent started anew")
    programming = agent("node-1", "status")["programming"]
    ok("PR31 no time that was never taken is counted", programming["count"] > 0 and programming["maxUs"] < 60000000, programming)
    stream.hush()
    status, text = weft("get", "pods", "-A")
    ok("ages are told", status == 0 and "-" not in re.sub(r"[a-z0-9]-[a-z0-9]", "", text.split("\n", 1)[1]), text)


play(jumps)
