# SPDX-License-Identifier: Apache-2.0
"""A running cluster, for the parts of services.sh: its API, calls out of its namespaces, and TAP. WEFT_NAME names it,
WEFT its command. Numbers of checks go on from part to part in the file WEFT_TAP."""
import atexit
import glob
import http.client
import json
import os
import socket
import subprocess
import threading
import time
import traceback

NAME, WEFT = os.environ["WEFT_NAME"], os.environ["WEFT"]
RUN = "/run/weft/" + NAME
CALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "call.py")
counted, bad = 0, 0


def ok(text, good, seen=None):
    global counted, bad
    counted += 1
    bad += not good
    print("%sok %d - %s" % ("" if good else "not ", counted + first, text), flush=True)
    if not good and seen is not None:
        print("# seen: %s" % (seen() if callable(seen) else seen,), flush=True)
    return good


def same(text, seen, wanted):
    return ok(text, seen == wanted, "%s, not %s" % (seen, wanted))


def leave():
    with open(os.environ["WEFT_TAP"], "w", encoding="ascii") as f:
        f.write("%d %d\n" % (first + counted, failed + bad))


with open(os.environ["WEFT_TAP"], encoding="ascii") as tap:
    first, failed = map(int, tap.read().split())
atexit.register(leave)


class Hub(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(RUN + "/hub.sock")


def api(method, path, body=None, kind="application/json"):
    """The answer's object; an answer that is no success is raised."""
    hub = Hub("hub")
    hub.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
    answer = hub.getresponse()
    told = json.loads(answer.read() or b"{}")
    hub.close()
    if answer.status >= 300:
        raise RuntimeError("%s %s: %d %s" % (method, path, answer.status, told.get("message")))
    return told


WHERE = {"Service": "/api/v1/namespaces/default/services", "Pod": "/api/v1/namespaces/default/pods", "Node": "/api/v1/nodes",
         "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
         "AddressPool": "/apis/weft.network/v1alpha1/addresspools"}


def put(o):
    """Makes it, or makes the one of that name so."""
    path = WHERE[o["kind"]]
    try:
        old = api("GET", path + "/" + o["metadata"]["name"])
    except RuntimeError:
        return api("POST", path, o)
    o["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    return api("PUT", path + "/" + o["metadata"]["name"], o)


def get(kind, name):
    return api("GET", WHERE[kind] + "/" + name)


def patch(kind, name, body, sub=""):
    return api("PATCH", WHERE[kind] + "/" + name + sub, body, "application/merge-patch+json")


def delete(kind, name):
    try:
        api("DELETE", WHERE[kind] + "/" + name)
    except RuntimeError:
        pass


def wait(good, seconds=5):
    """What good() gives as soon as it is true, else its last word."""
    end = time.monotonic() + seconds
    while True:
        try:
            seen = good()
        except (RuntimeError, OSError, KeyError):
            seen = None
        if seen or time.monotonic() > end:
            return seen
        time.sleep(0.05)


def addresses(pod):
    """Of a pod: IPv4, then IPv6."""
    return sorted((i["ip"] for i in get("Pod", pod)["status"]["podIPs"]), key=lambda i: ":" in i)


def vips(service):
    return sorted(get("Service", service)["spec"]["clusterIPs"], key=lambda i: ":" in i)


def service(name, ports=((80, 80, "TCP"), (53, 53, "UDP")), selector=None, labels=None, annotations=None, **spec):
    """Its ports: (port, target, protocol[, node port]). Without a selector its slices are made by hand."""
    listed = []
    for port in ports:
        one = {"name": "%s%d" % (port[2].lower(), port[0]), "port": port[0], "targetPort": port[1], "protocol": port[2]}
        if len(port) > 3:
            one["nodePort"] = port[3]
        listed.append(one)
    spec = dict(ports=listed, **spec)
    spec.setdefault("ipFamilyPolicy", "PreferDualStack")
    if selector:
        spec["selector"] = selector
    meta = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    return put({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def endpoint(pod, version=0, zones=None, nodes=None, **conditions):
    o = get("Pod", pod)
    e = {"addresses": [addresses(pod)[version]], "nodeName": o["spec"]["nodeName"]}
    if conditions:
        e["conditions"] = conditions
    hints = {}
    if zones:
        hints["forZones"] = [{"name": z} for z in zones]
    if nodes:
        hints["forNodes"] = [{"name": n} for n in nodes]
    if hints:
        e["hints"] = hints
    return e


def slices(name, *endpoints, part="a", families=(0, 1), ports=((80, 80, "TCP"), (53, 53, "UDP"))):
    """The slices of a Service made by hand, one a family; `endpoints` are functions of the family."""
    for version in families:
        put({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": "%s-%s-%d" % (name, part, version), "labels": {"kubernetes.io/service-name": name}},
             "addressType": "IPv6" if version else "IPv4",
             "ports": [{"name": "%s%d" % (p[2].lower(), p[0]), "port": p[1], "protocol": p[2]} for p in ports],
             "endpoints": [e(version) for e in endpoints]})


def on(pod, **kw):
    return lambda version: endpoint(pod, version, **kw)


def argv_in(place, *words):
    """The command in that pod's namespace and cgroup, or in the one of a node or of the host outside."""
    net = "/run/netns/weft-%s-%s" % (NAME, place if place == "outside" or place.startswith("node-") else "default." + place)
    join = ["nsenter", "--net=" + net, *words]
    groups = [g for g in glob.glob("/sys/fs/cgroup/*/weft.%s/*/default.%s" % (NAME, place)) +
              glob.glob("/sys/fs/cgroup/weft.%s/*/default.%s" % (NAME, place))]
    if not groups:
        return join
    if get("Pod", place)["spec"].get("hostNetwork"):
        join[1] = "--net=/run/netns/weft-%s-%s" % (NAME, get("Pod", place)["spec"]["nodeName"])
    return ["sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh", groups[0], *join]


def calls(place, to, proto="tcp", **more):
    """What call.py says of [(HOST, PORT), …]: {"HOST PORT": …}; of one (HOST, PORT) only its word."""
    one = isinstance(to, tuple)
    words = argv_in(place, "python3", CALL, "calls", json.dumps(dict(proto=proto, to=[to] if one else to, **more)))
    told = json.loads(subprocess.run(words, stdout=subprocess.PIPE, timeout=60, check=True).stdout)
    return list(told.values())[0] if one else told


def word(seen):
    """One word for what calls of one place saw: pods' names in order, refused, none; several joined by +."""
    words = sorted(seen["pods"]) + (["refused"] if seen["refused"] else []) + (["none"] if seen["none"] else [])
    return "+".join(words)


def words(place, to, proto="tcp", **more):
    """The words of all places, each once: "a" when all are alike."""
    return " ".join(sorted({word(v) for v in calls(place, to, proto, **more).values()}))


def settles(text, place, to, wanted, proto="tcp", **more):
    """Checks that calls of all places come to that word, within five seconds, and then are it."""
    return same(text, last_word(place, to, wanted, proto, **more), wanted)


def last_word(place, to, wanted, proto="tcp", **more):
    seen, end = None, time.monotonic() + 5
    while seen != wanted and time.monotonic() < end:
        seen = words(place, to, proto, **more)
    return seen


class Talk:
    """A caller that goes on until hush(): call.py datagrams or stream."""

    def __init__(self, place, *words):
        self.p = subprocess.Popen(argv_in(place, "python3", CALL, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.p.stdout:
            self.lines.append(line.split())

    def answers(self, pod, seconds=5):
        """Waits until that pod answers."""
        return wait(lambda: [l for l in self.lines[-1:] if l[-1] == pod and l[0] in ("who", "from")], seconds)

    def hush(self):
        """All that it said."""
        try:
            self.p.stdin.close()
        except OSError:
            pass
        self.reader.join(10)
        self.p.wait(10)
        return self.lines


def play(*parts):
    """Each of them to its end, or a failed check that says where it broke off."""
    for part in parts:
        try:
            part()
        except Exception:  # pylint: disable=broad-except
            ok("%s: broke off" % part.__name__, False, traceback.format_exc().replace("\n", "\n# "))
