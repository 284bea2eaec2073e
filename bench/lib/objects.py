# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects of the bench, as Python dictionaries. Pure."""

NS = "bench"


def meta(name, labels=None, namespace=NS):
    return {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}


def namespace(name=NS):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(name, node=None, labels=None, port=8080):
    spec = {"containers": [{"name": "c", "image": "none", "ports": [{"containerPort": port}]}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta(name, {"app": name, **(labels or {})}), "spec": spec}


def deployment(name, replicas, port=8080):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name), "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [{"name": "c", "image": "none", "ports": [{"containerPort": port}]}]}}}}


def service(name, selector=None, port=80, target=8080, address=None, node_port=0, protocol="TCP"):
    spec = {"ports": [{"port": port, "targetPort": target, "protocol": protocol}]}
    if node_port:
        spec["type"] = "NodePort"
        spec["ports"][0]["nodePort"] = node_port
    if selector:
        spec["selector"] = selector
    if address:
        spec["clusterIP"] = address
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta(name), "spec": spec}


def slice_of(name, endpoints):
    """An EndpointSlice by hand; endpoints: [(address, port)], one port for all."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": meta(f"{name}-1", {"kubernetes.io/service-name": name}), "addressType": "IPv4",
            "ports": [{"name": "", "port": endpoints[0][1], "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a, _ in endpoints]}


def policy(name, selects, ingress_from=None, egress_to=None, ports=()):
    """A NetworkPolicy: pods with label app in `selects` take from (and reach) pods with these app labels."""
    rule_ports = [{"protocol": proto, "port": port} for proto, port in ports]
    spec = {"podSelector": {"matchLabels": {"app": selects}}, "policyTypes": []}
    if ingress_from is not None:
        spec["policyTypes"].append("Ingress")
        spec["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": a}}} for a in ingress_from],
                            **({"ports": rule_ports} if rule_ports else {})}]
    if egress_to is not None:
        spec["policyTypes"].append("Egress")
        spec["egress"] = [{"to": [{"podSelector": {"matchLabels": {"app": a}}} for a in egress_to],
                           **({"ports": rule_ports} if rule_ports else {})}]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta(name), "spec": spec}
