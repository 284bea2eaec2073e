#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that mean ill, or nothing, on a hub's Unix socket: each verb with what it must refuse, bodies without end, large
answers that nobody reads, watches that nobody reads, requests that break off. Prints a line "yes|NO WHAT" for each check."""
import json, os, random, socket, sys, time

path, pid = sys.argv[1], sys.argv[2]
NS = "/api/v1/namespaces/lab"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON, OPS, APPLY = "application/json", "application/json-patch+json", "application/apply-patch+yaml"


def conn(receive=0, wait=60):
    s = socket.socket(socket.AF_UNIX)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(path)
    s.settimeout(wait)
    return s


def private():
    """MiB"""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        v = {l.split(":")[0]: int(l.split()[1]) for l in f if l.strip().endswith("kB")}
    return (v["Private_Clean"] + v["Private_Dirty"]) / 1024


def fds():
    return len(os.listdir(f"/proc/{pid}/fd"))


def say(what, good):
    print(("yes " if good else "NO ") + what, flush=True)


def until(what, good, seconds=20):
    end = time.monotonic() + seconds
    while not good() and time.monotonic() < end:
        time.sleep(0.05)
    say(what, good())


def request(method, where, body=b"", kind=JSON, more=""):
    return (f"{method} {where} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n").encode() + body


def answer(s):
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(65536)
        if not more:
            return 0, b"", got
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    size = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")]
    while size and len(body) < size[0]:
        body += s.recv(1 << 20)
    return int(head.split()[1]), head, body


good = conn()


def ask(method, where, body=b"", kind=JSON):
    global good
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    good.sendall(request(method, where, body, kind))
    code, head, text = answer(good)
    if b"close" in head.lower():
        good = conn()
    return code, text


def configmap(name, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def service(**spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def each_verb():
    """(what, verb, where, body, type, code, reason, field or part of the message)"""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    cm, policy = NS + "/configmaps/one", "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"
    deep = b'{"data":' + b'{"a":' * 200 + b"1" + b"}" * 201
    return [
        ("a list as body", "POST", NS + "/configmaps", [], JSON, 400, "BadRequest", "object"),
        ("no body", "POST", NS + "/configmaps", b"", JSON, 400, "BadRequest", "body"),
        ("half a body", "POST", NS + "/configmaps", b'{"apiVersion":"v1","ki', JSON, 400, "BadRequest", "line 1 column"),
        ("text that is not UTF-8", "POST", NS + "/configmaps", b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\xff"}}', JSON, 400, "BadRequest", "line 1 column"),
        ("nested without end", "POST", NS + "/configmaps", deep, JSON, 400, "BadRequest", "line 1 column"),
        ("another kind", "POST", NS + "/configmaps", pod, JSON, 400, "BadRequest", "Pod"),
        ("a version that is not served", "POST", NS + "/configmaps", configmap("x") | {"apiVersion": "v2"}, JSON, 400, "BadRequest", "v2"),
        ("a version in the URL that is not served", "GET", "/apis/apps/v1beta1/deployments", b"", JSON, 404, "NotFound", ""),
        ("another namespace", "POST", NS + "/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "other"}}, JSON, 400, "BadRequest", "namespace"),
        ("no name", "POST", NS + "/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, JSON, 422, "Invalid", "metadata.name"),
        ("a name that is none", "POST", NS + "/configmaps", configmap("Not A Name"), JSON, 422, "Invalid", "metadata.name"),
        ("a port that is none", "POST", NS + "/services", service(ports=[{"port": 0}]), JSON, 422, "Invalid", "spec.ports[0].port"),
        ("text for a number", "POST", NS + "/services", service(ports=[{"port": "eighty"}]), JSON, 400, "BadRequest", "spec.ports[0].port"),
        ("a map for a list", "POST", NS + "/services", service(ports={"port": 80}), JSON, 400, "BadRequest", "spec.ports"),
        ("a CIDR that is none", "POST", policy, {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"}, "spec": {
            "podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]}}, JSON, 422, "Invalid", "spec.ingress[0].from[0].ipBlock.cidr"),
        ("a content type of another world", "POST", NS + "/configmaps", b"<a/>", "text/xml", 415, "UnsupportedMediaType", "text/xml"),
        ("PUT of an old version", "PUT", cm, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "resourceVersion": "1"}}, JSON, 409, "Conflict", "modified"),
        ("PUT under another name", "PUT", cm, configmap("two"), JSON, 400, "BadRequest", "two"),
        ("PUT of what is not there", "PUT", NS + "/configmaps/none", configmap("none"), JSON, 404, "NotFound", "none"),
        ("PATCH of an unknown type", "PATCH", cm, {}, JSON, 415, "UnsupportedMediaType", "application/merge-patch+json"),
        ("a merge patch that is no object", "PATCH", cm, [], MERGE, 400, "BadRequest", "object"),
        ("a merge patch of a wrong shape", "PATCH", NS + "/services/web", {"spec": {"ports": "many"}}, MERGE, 400, "BadRequest", "spec.ports"),
        ("a merge patch that moves it", "PATCH", cm, {"metadata": {"name": "two"}}, MERGE, 400, "BadRequest", "two"),
        ("operations that are none", "PATCH", cm, {"op": "add"}, OPS, 400, "BadRequest", "list of operations"),
        ("an operation on nothing", "PATCH", cm, [{"op": "remove", "path": "/data/none"}], OPS, 422, "Invalid", "operation 1, remove of /data/none"),
        ("an operation that there is not", "PATCH", cm, [{"op": "test", "path": "/kind", "value": "ConfigMap"}, {"op": "explode", "path": "/data"}], OPS, 422, "Invalid", "operation 2"),
        ("a strategic patch that is no object", "PATCH", NS + "/services/web", [], STRATEGIC, 400, "BadRequest", "object"),
        ("apply without a manager", "PATCH", cm, configmap("one"), APPLY, 422, "Invalid", "fieldManager"),
        ("apply that is neither YAML nor JSON", "PATCH", cm + "?fieldManager=m", b"a: [", APPLY, 400, "BadRequest", "YAML"),
        ("apply of another manager's field", "PATCH", cm + "?fieldManager=m", configmap("one", data={"a": "9"}), APPLY, 409, "Conflict", ".data.a"),
        ("DELETE of what is not there", "DELETE", NS + "/configmaps/none", b"", JSON, 404, "NotFound", "none"),
        ("DELETE with a body that is none", "DELETE", cm, b"[", JSON, 400, "BadRequest", "DeleteOptions"),
        ("DELETE if it is another", "DELETE", cm, {"preconditions": {"uid": "other"}}, JSON, 409, "Conflict", "uid"),
        ("a verb that there is not", "BREW", cm, b"", JSON, 405, "MethodNotAllowed", "BREW"),
        ("POST of one", "POST", cm, configmap("one"), JSON, 405, "MethodNotAllowed", "POST"),
        ("a selector that is none", "GET", NS + "/configmaps?labelSelector=a%20in%20(", b"", JSON, 400, "BadRequest", "labelSelector"),
        ("a limit that is none", "GET", NS + "/configmaps?limit=many", b"", JSON, 400, "BadRequest", "limit"),
        ("a continue that is none", "GET", NS + "/configmaps?limit=1&continue=x", b"", JSON, 400, "BadRequest", "continue"),
        ("a watch of the future", "GET", NS + "/configmaps?watch=true&resourceVersion=99999999", b"", JSON, 410, "Expired", "99999999"),
    ]


def refusals():
    ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}})
    code, _ = ask("POST", NS + "/configmaps?fieldManager=first", configmap("one", data={"a": "1"}))
    ask("POST", NS + "/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    before = json.loads(ask("GET", NS + "/configmaps/one")[1])
    say("typed clients may leave out apiVersion and kind", ask("POST", NS + "/configmaps", {"metadata": {"name": "typed"}})[0] == 201)
    for what, verb, where, body, kind, want, reason, part in each_verb():
        code, text = ask(verb, where, body, kind)
        try:
            o = json.loads(text)
        except ValueError:
            o = {}
        whole = (code, o.get("kind"), o.get("code"), o.get("reason"), o.get("status")) == (want, "Status", want, reason, "Failure")
        told = part in o.get("message", "") or any(part in c.get("field", "") for c in o.get("details", {}).get("causes", []))
        say(f"{what}: {want} {reason}" + ("" if whole and told else f"; not {code} {text[:400]!r}, {part}"), whole and told)
    say("nothing was half-applied", json.loads(ask("GET", NS + "/configmaps/one")[1]) == before)


def too_large():
    """413 arrives, although the client writes its body to the end before it reads."""
    codes = []
    for chunked in (False, True) * 10:
        s, block = conn(), b" " * (1 << 20)
        if chunked:
            s.sendall(f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        else:
            s.sendall(f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {8 << 20}\r\n\r\n".encode())
        try:
            for _ in range(8):
                s.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
            if chunked:
                s.sendall(b"0\r\n\r\n")
            codes.append(answer(s)[0])
        except OSError as e:
            codes.append(str(e))
        s.close()
    say(f"bodies that are too large are refused, once they were written: {set(codes)}", codes == [413] * 20)
    s = conn()
    s.sendall(f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
    say("a terabyte is refused at its word", answer(s)[0] == 413)
    s = conn()
    s.sendall(f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: {8 << 20}\r\nExpect: 100-continue\r\n\r\n".encode())
    say("and what asks before it writes", answer(s)[0] == 413)
    s, cut = conn(), False
    s.sendall(f"POST {NS}/configmaps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    try:
        for _ in range(200):
            s.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
    except OSError:
        cut = True
    say("a body without end is cut off", cut)


def unread():
    """Large answers that nobody takes: bounded together, refused beyond, given back."""
    for i in range(10):
        ask("POST", NS + "/configmaps", configmap(f"big-{i}", data={"a": "x" * 2000000}))
    before, opened = private(), fds()
    deaf = [conn(4096) for _ in range(40)]
    for s in deaf:
        s.sendall(request("GET", NS + "/configmaps"))
    busy, retry = 0, False
    for s in deaf[-15:]:
        code, head, _ = answer(s) if s.recv(12, socket.MSG_PEEK)[9:12] == b"429" else (200, b"", b"")
        busy += code == 429
        retry |= b"retry-after: 1" in head.lower()
    most = private() - before
    say(f"of forty lists of 20 MB that nobody reads, those beyond 256 MiB are told to try again: {busy}", busy == 15 and retry)
    say(f"and cost {most:.0f} MiB at most", most < 400)
    for s in deaf:
        s.close()
    until("they are let go with their clients", lambda: fds() <= opened)
    until("and their memory", lambda: private() < before + 60)
    say("a list is given then", ask("GET", NS + "/configmaps")[0] == 200)

    before, opened = private(), fds()
    deaf = [conn(4096) for _ in range(100)]
    for s in deaf:
        s.sendall(b"GET /api/v1/namespaces/lab/configmaps?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    for s in deaf:
        s.recv(1)
    most = private() - before
    say(f"a hundred watches of 20 MB each that nobody reads cost {most:.0f} MiB", most < 500)
    last = deaf.pop()
    for s in deaf:
        s.close()
    names, rest = 0, b""
    while names < 10:
        got = last.recv(1 << 20)
        if not got:
            break
        names += (rest + got).count(b'"name":"big-') - rest.count(b'"name":"big-')
        rest = got[-11:]
    say("one that reads late has all of it", names == 10)
    last.close()
    until("all are let go", lambda: fds() <= opened)
    for i in range(10):
        ask("DELETE", NS + f"/configmaps/big-{i}")


def history():
    """Old versions are kept by their bytes."""
    for i in range(400):
        ask("PATCH", NS + "/configmaps/one", {"data": {"a": f"{i}" + "x" * 200000}}, MERGE)
    say(f"after 80 MB of changes the hub has {private():.0f} MiB", private() < 80)
    code, _ = ask("GET", NS + "/configmaps?watch=true&resourceVersion=2")
    say("what they put out is Expired", code == 410)


def broken_off():
    """Requests that end anywhere, by a reset or without a word."""
    random.seed(5)
    whole = [request("POST", NS + "/configmaps", json.dumps(configmap("half", data={"a": "b" * 500})).encode()),
             request("PATCH", NS + "/configmaps/one", b'{"data":{"b":"c"}}', MERGE), request("GET", "/api/v1/pods?watch=true"),
             request("GET", NS + "/configmaps"), request("GET", "/openapi/v3/api/v1"),
             request("GET", NS + "/pods/none/exec?command=a", more="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n")]
    opened = fds()
    for _ in range(1500):
        raw = random.choice(whole)
        s = conn()
        s.sendall(raw[: random.randrange(1, len(raw) + 1)])
        if random.random() < 0.3:
            s.shutdown(socket.SHUT_WR)
        s.close()
    until("1,500 requests that break off are let go", lambda: fds() <= opened + 2)
    s = conn()
    s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(random.randrange(256) for _ in range(500)) + b"\r\n\r\n")
    say("noise is refused", answer(s)[0] in (0, 400))
    s = conn()
    s.sendall(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n")
    say("a path without end is refused", answer(s)[0] in (400, 414, 431))
    say("the hub answers", ask("GET", "/version")[0] == 200)


for part in (refusals, too_large, unread, history, broken_off):
    began = time.monotonic()
    try:
        part()
        print(f"# {part.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    except OSError as e:
        say(f"{part.__name__}: {e}", False)
