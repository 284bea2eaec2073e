# SPDX-License-Identifier: Apache-2.0
"""One change among many: writes an object to the hub's API and sees, by bench-await, how long after the API's event
the kernel has it. Each kind of change is one object that goes to and fro between two states."""
import ipaddress
import subprocess
import time

from . import layouts, objects
from .net import Failed, tool
from .rig import FAR, NODE, Rig

NS = f"/namespaces/{objects.NS}"
ADDRESS = "10.96.200.1"


def mapped(address):
    a = ipaddress.ip_address(address)
    return a.packed if a.version == 6 else b"\0" * 10 + b"\xff\xff" + a.packed


def service_key(address, port, proto=6):
    """struct service_key of seam/service.h"""
    return mapped(address) + port.to_bytes(2, "big") + bytes([proto, 0])


class Change:
    """what: name in the table; path: of the object; bpf_map and key: the element that must change; states: the object's
    two forms."""

    def __init__(self, what, path, bpf_map, key, states):
        self.what, self.path, self.bpf_map, self.key, self.states = what, path, bpf_map, key, states

    def watch(self):
        collection, name = self.path.rsplit("/", 1)
        return f"{collection}?watch=1&fieldSelector=metadata.name%3D{name}"


LOCAL_PODS = 100


def fillers(count):
    """`count` Services with an endpoint each, `count` pods of another node, and `count` policies, all in force on this
    node: they spread over its pods, and each lets one pod of the other node in."""
    out = []
    for s in layouts.some(count, 1):
        out.append(objects.service(s.name, port=s.port, target=s.endpoints[0][1], address=s.address))
        out.append(objects.slice_of(s.name, s.endpoints))
    out += [objects.policy(f"p{i}", f"local-{i % LOCAL_PODS}", ingress_from=[f"peer-{i}"], ports=[("TCP", 8080)]) for i in range(count)]
    out += [objects.pod(f"far-{i}", FAR, {"app": f"peer-{i}"}) for i in range(count)]
    return out


def changes(rig):
    """Makes the objects that change, and says what to look at."""
    local = [rig.api("POST", f"/api/v1{NS}/pods", objects.pod(f"local-{i}", NODE)) for i in range(LOCAL_PODS)]
    peer = rig.api("POST", f"/api/v1{NS}/pods", objects.pod("peer", FAR, {"app": "peer", "role": "a"}))
    policy = objects.policy("moving", "local-0", ingress_from=["peer"], ports=[("TCP", 7000)])
    policy["spec"]["ingress"].append({"from": [{"podSelector": {"matchLabels": {"role": "b"}}}]})
    rig.api("POST", f"/apis/networking.k8s.io/v1{NS}/networkpolicies", policy)
    rig.api("POST", f"/api/v1{NS}/services", objects.service("moving", port=81, target=8080, address=ADDRESS))
    slice_ = objects.slice_of("moving", [("10.245.200.1", 8080), ("10.245.200.2", 8080)])
    rig.api("POST", f"/apis/discovery.k8s.io/v1{NS}/endpointslices", slice_)

    def address_of(name):
        for _ in range(2000):
            ip = rig.api("GET", f"/api/v1{NS}/pods/{name}").get("status", {}).get("podIP")
            if ip:
                return ip
            time.sleep(0.005)
        raise Failed(f"pod {name} got no address")

    local_ip, peer_ip = address_of("local-0"), address_of("peer")
    for pod in local:
        rig.wire(pod)

    def service(spec):
        spec["spec"]["ports"][0]["port"] = 82 if spec["spec"]["ports"][0]["port"] == 81 else 81

    def endpoint(spec):
        eps = spec["endpoints"]
        if len(eps) == 2:
            eps.append({"addresses": ["10.245.200.3"], "conditions": {"ready": True}})
        else:
            eps.pop()

    def label(spec):
        labels = spec["metadata"]["labels"]
        labels["role"] = "b" if labels["role"] == "a" else "a"

    def port(spec):
        p = spec["spec"]["ingress"][0]["ports"][0]
        p["port"] = 7001 if p["port"] == 7000 else 7000

    return local_ip, [
        Change("Service", f"/api/v1{NS}/services/moving", "service", service_key(ADDRESS, 82), service),
        Change("endpoint", f"/apis/discovery.k8s.io/v1{NS}/endpointslices/moving-1", "service", service_key(ADDRESS, 81), endpoint),
        Change("pod", f"/api/v1{NS}/pods/peer", "address", mapped(peer_ip), label),
        Change("policy", f"/apis/networking.k8s.io/v1{NS}/networkpolicies/moving", "endpoint", mapped(local_ip), port),
    ]


class Await:
    """bench-await on one watch."""

    def __init__(self, rig, change):
        self.pin, self.key = rig.pin(change.bpf_map), change.key.hex()
        self.p = subprocess.Popen([tool("bench-await"), f"{rig.run}/hub.sock", change.watch()], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, limit_ms, want):
        self.p.stdin.write(f"{self.pin} {self.key} {limit_ms} {want}\n")
        self.p.stdin.flush()
        return self.line()

    def line(self):
        text = self.p.stdout.readline().strip()
        if not text:
            raise Failed(self.p.stderr.read().strip()[-160:])
        return text

    def close(self):
        self.p.kill()
        self.p.wait()


def settled(await_, still=0.4, limit=20):
    """The element's value once it has stood still."""
    end = time.monotonic() + limit
    value, since = await_.ask(0, "?"), time.monotonic()
    while time.monotonic() - since < still:
        if time.monotonic() > end:
            raise Failed("the element does not come to rest")
        time.sleep(0.02)
        now = await_.ask(0, "?")
        if now != value:
            value, since = now, time.monotonic()
    return value


def time_changes(rig, change, count):
    """([request to kernel], [event to kernel]) in seconds, `count` changes. Ids in the kernel are hashes of content, so
    each of the two states has its own value, which two slow changes teach."""
    await_ = Await(rig, change)
    request, event, values = [], [], []
    try:
        obj = rig.api("GET", change.path)
        values.append(settled(await_))
        for _ in range(2):
            change.states(obj)
            obj = rig.api("PUT", change.path, obj)
            values.append(settled(await_))
        if values[0] != values[2] or values[0] == values[1]:
            raise Failed(f"the element of BPF map {change.bpf_map} does not follow the object")
        for i in range(count):
            if await_.ask(3000, values[(i + 1) % 2]) != "armed":
                raise Failed("bench-await did not start")
            change.states(obj)
            began = time.monotonic_ns()
            obj = rig.api("PUT", change.path, obj)
            answer = await_.line().split()
            if not answer[0].isdigit():
                raise Failed(f"{' '.join(answer)} within 3 s after {i} changes")
            request.append((int(answer[1]) - began) / 1e9)
            event.append(max(0, int(answer[1]) - int(answer[0])) / 1e9)
    finally:
        await_.close()
    return request, event


def change_times(effort):
    """[(what, (request, event) samples, reason when there are none)] in the order of the table."""
    names = ["Service", "endpoint", "pod", "policy"]
    try:
        with Rig("change", fillers(effort.many)) as rig:
            rig.start_agent(120, rows=effort.many)
            _, todo = changes(rig)
            out = []
            for c in todo:
                try:
                    out.append((c.what, time_changes(rig, c, effort.changes), None))
                except Failed as e:
                    out.append((c.what, None, str(e)))
            return out
    except Failed as e:
        return [(n, None, str(e)) for n in names]
