#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cast for policies that come without pods: of each namespace and pod that a selector of theirs asks for one that has
just these labels, and beside them one that has other values of all, and one that has none. Prints a List of Namespaces and Pods.

usage: why_cast.py WEFT FOLDER
"""
import json
import subprocess
import sys

weft, folder = sys.argv[1:3]
out = subprocess.run([weft, "get", "networkpolicies", "-A", "-f", folder, "-o", "json"], capture_output=True, text=True, check=True)
v = json.loads(out.stdout)
policies = v["items"] if v["kind"] == "List" else [v]


def labels_of(selector):
    labels = dict(selector.get("matchLabels") or {})
    for e in selector.get("matchExpressions") or []:
        if e["operator"] in ("In", "Exists"):
            labels[e["key"]] = (e.get("values") or ["any"])[0]
    return labels


def selectors(v, key):
    if isinstance(v, dict):
        for k, x in v.items():
            if k == key and x is not None:
                yield x
            yield from selectors(x, key)
    if isinstance(v, list):
        for x in v:
            yield from selectors(x, key)


def ports(v):
    return sorted({p["port"] for l in selectors(v, "ports") for p in l if isinstance(p.get("port"), int)} | {80})


def other(sets):
    return [{k: "other" for labels in sets for k in labels if not k.startswith("kubernetes.io/")}]


def distinct(sets):
    return [json.loads(x) for x in sorted({json.dumps(s, sort_keys=True) for s in sets})]


wanted = [labels_of(s) for s in selectors(policies, "podSelector")]
homes = [labels_of(s) for s in selectors(policies, "namespaceSelector")]
homes = [h for h in distinct(homes + other(homes)) if h]
pods = distinct(wanted + other(wanted) + [{}])
pods += [{"app": "neighbour"}] if len(pods) == 1 else []
names = {p["metadata"]["namespace"]: {} for p in policies}
for i, h in enumerate(homes):
    names[h.get("kubernetes.io/metadata.name", f"home-{i}")] = {k: v for k, v in h.items() if not k.startswith("kubernetes.io/")}
names["plain"] = {}
items = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": l}} for n, l in names.items()]
for n in names:
    for i, l in enumerate(pods):
        spec = {"containers": [{"name": "c", "image": "example/c", "ports": [{"containerPort": p} for p in ports(policies)]}]}
        items.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{i}", "namespace": n, "labels": l}, "spec": spec})
json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)
