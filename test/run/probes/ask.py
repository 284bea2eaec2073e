# SPDX-License-Identifier: Apache-2.0
"""Questions of probes.sh to a cluster in /run/weft/NAME; prints the answer. Usage: ask.py RUN QUESTION [ARGUMENT…]"""
import datetime
import http.client
import json
import socket
import sys

run, question, args = sys.argv[1], sys.argv[2], sys.argv[3:]


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("x", timeout=3)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(3)
        self.sock.connect(self.path)


def ask(sock, path, method="GET", body=None, kind="application/json"):
    c = Unix(run + "/" + sock)
    c.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
    r = c.getresponse()
    text = r.read()
    try:
        return r.status, json.loads(text)
    except ValueError:
        return r.status, {}


def pod(name):
    return ask("hub.sock", "/api/v1/namespaces/p/pods/" + name)[1]


def statuses(p):
    s = p.get("status", {})
    return s.get("initContainerStatuses", []) + s.get("containerStatuses", [])


def probes(name):
    return ask("node-1/observer.sock", "/probes?pod=p/" + name)[1].get("probes", [])


def probe(name, kind, container="c"):
    return next((x for x in probes(name) if x["kind"] == kind and x["container"] == container), {})


def endpoint(service, name):
    for s in ask("hub.sock", "/apis/discovery.k8s.io/v1/namespaces/p/endpointslices")[1].get("items", []):
        if s["metadata"]["labels"].get("kubernetes.io/service-name") != service:
            continue
        for e in s.get("endpoints") or []:
            if e["targetRef"]["name"] == name:
                return e["conditions"]
    return {}


def when(text):
    base, _, rest = text.partition(".")
    t = datetime.datetime.strptime(base.rstrip("Z"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return t.timestamp() + (float("0." + rest.rstrip("Z")) if rest else 0)


def agent_status():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(3)
    s.connect(run + "/node-1/agent.sock")
    s.send(b'{"id":1,"op":"status"}')
    return json.loads(s.recv(65536))


def condition(p, kind):
    return next((c["status"] for c in p.get("status", {}).get("conditions", []) if c["type"] == kind), "missing")


if question == "ready":
    sys.exit(0 if condition(pod(args[0]), "Ready") == "True" else 1)
elif question == "container-ready":
    print(next((str(s["ready"]).lower() for s in statuses(pod(args[0]))), "none"))
elif question == "restarts":
    print(next((s.get("restartCount", 0) for s in statuses(pod(args[0])) if s["name"] == (args[1:] or ["c"])[0]), -1))
elif question == "condition":
    print(condition(pod(args[0]), args[1]))
elif question == "ended":  # by itself or by a kill: its exit status decides how
    print(str(pod(args[0]).get("status", {}).get("phase") in ("Failed", "Succeeded")).lower())
elif question == "probe":  # POD KIND MEMBER [CONTAINER]
    print(probe(args[0], args[1], *(args[3:])).get(args[2], ""))
elif question == "causes":  # POD KIND: all causes in the history
    print(" ".join(sorted({r["cause"] for r in probe(args[0], args[1]).get("results", [])})))
elif question == "endpoint":  # SERVICE POD CONDITION
    print(str(endpoint(args[0], args[1]).get(args[2], "none")).lower())
elif question == "delay":  # POD KIND: from the start to the first try, in seconds; in the start's own second the instance before may be tried
    start = when(next(s["state"]["running"]["startedAt"] for s in statuses(pod(args[0]))))
    print("%.1f" % (min(when(r["at"]) for r in probe(args[0], args[1])["results"] if when(r["at"]) > start + 1) - start))
elif question == "gate":  # POD TYPE STATUS
    body = {"status": {"conditions": [{"type": args[1], "status": args[2]}]}}
    print(ask("hub.sock", "/api/v1/namespaces/p/pods/" + args[0] + "/status", "PATCH", body,
              "application/strategic-merge-patch+json")[0])
elif question == "create":  # PROBE-KIND MEMBER=VALUE: the status of making a pod with it
    key, value = args[1].split("=")
    probe = {"tcpSocket": {"port": 80}, key: int(value)} if args[0] != "grpc" else {"grpc": {key: value}}
    container = {"name": "c", "image": "x", args[0] if args[0] != "grpc" else "readinessProbe": probe}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new", "namespace": "p"},
            "spec": {"containers": [container]}}
    print(ask("hub.sock", "/api/v1/namespaces/p/pods?dryRun=All", "POST", body)[0])
elif question == "taint":  # KEY or nothing
    body = {"spec": {"taints": [{"key": args[0], "effect": "NoSchedule"}] if args else None}}
    print(ask("hub.sock", "/api/v1/nodes/node-1", "PATCH", body, "application/merge-patch+json")[0])
elif question == "health-port":
    print(ask("hub.sock", "/api/v1/namespaces/p/services/" + args[0])[1]["spec"].get("healthCheckNodePort", 0))
elif question == "programming":
    print(agent_status()["programming"]["count"])
elif question == "programming-last":
    print(agent_status()["programming"]["lastUs"])
elif question == "told":
    print(ask("node-1/observer.sock", "/status")[1]["probing"]["resultToHub"]["count"])
elif question == "callers":  # who was seen calling a pod, as FROM:PORT
    ip = pod(args[0])["status"]["podIP"]
    flows = ask("node-1/observer.sock", "/seen")[1]["flows"]
    print(" ".join(sorted({"%s:%d" % (f["from"], f["port"]) for f in flows if f["to"] == ip})))
