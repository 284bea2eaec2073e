#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every pair of a folder of manifests, asked of `weft why -f` and reckoned anew here from the words of the
specification: the verdict, the policies that isolate and their lines, the rule that allows and its line, and how far the
nearest rule that missed is. Objects are read by `weft get -f`, lines by looking for the words in the text. Prints one
TAP line a folder. Knows NetworkPolicies only.

usage: why_pairs.py WEFT NAME FOLDER    (callers: every pod, "outside" and a node; targets: every pod, its declared
ports, and 81 where a policy names ports)
"""
import concurrent.futures
import ipaddress
import json
import os
import re
import subprocess
import sys

weft, name, folder = sys.argv[1:4]


def get(kinds):
    out = subprocess.run([weft, "get", kinds, "-A", "-f", folder, "-o", "json"], capture_output=True, text=True, check=True)
    v = json.loads(out.stdout or '{"items":[]}')
    return v["items"] if v["kind"] == "List" else [v]


# --- lines of policies, straight from the text ---


def lines_of_policies():
    """(namespace, name) → (path, first line, last line, line and column of podSelector)."""
    found = {}
    for at, _, files in os.walk(folder):
        for file in files:
            path, docs, start = os.path.join(at, file), [[]], [1]
            for n, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
                if line.startswith("---"):
                    docs.append([])
                    start.append(n + 1)
                else:
                    docs[-1].append(line)
            for first, doc in zip(start, docs):
                if not any(re.match(r"kind: *NetworkPolicy$", x.strip()) for x in doc):
                    continue
                word = {k: next((m[1] for x in doc if (m := re.match(rf" +{k}: *(\S+)", x))), None) for k in ("name", "namespace")}
                spec = next(i for i, x in enumerate(doc) if re.match(r"spec:", x))
                sel = next(i for i, x in enumerate(doc) if i > spec and re.match(r"  podSelector:", x))
                found[word["namespace"] or "default", word["name"]] = (path, first, first + len(doc), (first + sel, 3))
    return found


# --- the specification, said once more ---


def selects(selector, labels):
    if selector is None:
        return False
    for k, v in (selector.get("matchLabels") or {}).items():
        if labels.get(k) != v:
            return False
    for e in selector.get("matchExpressions") or []:
        have = e["key"] in labels
        ok = {"In": have and labels.get(e["key"]) in e.get("values", []),
              "NotIn": not have or labels[e["key"]] not in e.get("values", []),
              "Exists": have, "DoesNotExist": not have}[e["operator"]]
        if not ok:
            return False
    return True


def peer_fails(peer, ns, end):
    """How many fields of a peer keep it from matching."""
    block = peer.get("ipBlock")
    if block:
        a = ipaddress.ip_address(end["address"])
        inside = a in ipaddress.ip_network(block["cidr"])
        return int(not inside or any(a in ipaddress.ip_network(e) for e in block.get("except", [])))
    fields = [f for f in ("namespaceSelector", "podSelector") if f in peer]
    if "labels" not in end:
        return len(fields)
    fails = 0
    if "namespaceSelector" in peer:
        fails += not selects(peer["namespaceSelector"], namespaces[end["ns"]])
    else:
        fails += end["ns"] != ns
    if "podSelector" in peer:
        fails += not selects(peer["podSelector"], end["labels"])
    return fails


def port_fails(p, to, port):
    want = p.get("port")
    if p.get("protocol", "TCP") != "TCP":
        return 1
    if isinstance(want, str):
        want = to.get("ports", {}).get(want)
        return int(want != port)
    return int(want is not None and not want <= port <= p.get("endPort", want))


def rule_fails(rule, peers, ns, end, to, port):
    a = min([peer_fails(p, ns, end) for p in rule.get(peers) or []] or [0])
    b = min([port_fails(p, to, port) for p in rule.get("ports") or []] or [0])
    return a + b


def judge(direction, pod, end, to, port):
    """(isolating policies, {rule path: fields that fail}) of one direction of a pod."""
    isolating, rules = set(), {}
    for p in policies:
        spec, meta = p["spec"], p["metadata"]
        types = spec.get("policyTypes") or ["Ingress"] + ["Egress"] * bool(spec.get("egress"))
        if meta["namespace"] != pod["ns"] or direction.capitalize() not in types or not selects(spec["podSelector"], pod["labels"]):
            continue
        isolating.add((meta["namespace"], meta["name"]))
        for i, r in enumerate(spec.get(direction) or []):
            fails = rule_fails(r, "from" if direction == "ingress" else "to", meta["namespace"], end, to, port)
            rules[meta["namespace"], meta["name"], f"{direction}[{i}]"] = fails
    return isolating, rules


# --- asking, and holding against it ---


def key(policy):
    return tuple(policy.removeprefix("NetworkPolicy ").split("/"))


def check_side(side, direction, pod, end, to, port):
    isolating, rules = judge(direction, pod, end, to, port)
    fits = {r for r, n in rules.items() if not n}
    allowed = not isolating or bool(fits)
    if side["allowed"] != allowed:
        return f"says {side['allowed']}"
    if allowed and isolating:
        r = side["rule"]
        path, first, last, _ = lines[key(r["policy"])]
        if (*key(r["policy"]), r["path"]) not in fits:
            return f"names {r['policy']} {r['path']}, which does not match"
        if os.path.realpath(r["file"]) != os.path.realpath(path) or not first <= r["line"] < last:
            return f"{r['policy']} is not at {r['file']}:{r['line']}"
    if allowed:
        return None if isolating or side["reason"] == "not-selected" else f"reason {side['reason']}"
    named = {key(p["policy"]): (p["file"], (p["line"], p["column"])) for p in side["policies"]}
    if side["reason"] != "default-deny" or set(named) != isolating:
        return f"names {sorted(named)}, not {sorted(isolating)}"
    for p, (file, at) in named.items():
        if os.path.realpath(file) != os.path.realpath(lines[p][0]) or at != lines[p][3]:
            return f"{p} stands at {file}:{at}, not {lines[p]}"
    return check_missed(side["missed"], rules)


def check_missed(missed, rules):
    if bool(missed) != bool(rules):
        return f"{len(missed)} missed, {len(rules)} rules"
    for m in missed:
        what = (*key(m["policy"]), m["what"].split(".")[0])
        path, first, last, _ = lines[key(m["policy"])]
        if rules.get(what) != m["fields"]:
            return f"{m['what']}: {m['fields']} fields, not {rules.get(what)}"
        if os.path.realpath(m["file"]) != os.path.realpath(path) or not first <= m["line"] < last:
            return f"{m['what']} is not at {m['file']}:{m['line']}"
        field = re.match(r"[^:]*?([A-Za-z]+)(\[\d+\])?:", m["what"])[1]
        if field not in open(path, encoding="utf-8").read().split("\n")[m["line"] - 1] and field not in ("protocol", "except"):
            return f"line {m['line']} does not have {field}"
    if missed and missed[0]["fields"] != min(rules.values()):
        return f"nearest has {missed[0]['fields']} fields, not {min(rules.values())}"
    return None


def ask(pair):
    a, b, port = pair
    out = subprocess.run([weft, "why", "-f", folder, "--family", "4", "--proto", "tcp", "-o", "json", a, f"{b}:{port}"],
                         capture_output=True, text=True)
    if out.returncode not in (0, 1):
        return pair, None, f"status {out.returncode}: {out.stderr.strip()}"
    doc = json.loads(out.stdout)
    flow = doc["families"][0]["flows"][0]
    src = dict(ends[a], address=doc["families"][0]["source"])
    dst = dict(ends[b], address=flow["address"])
    refused = doc["allowed"] is False
    if refused != (out.returncode == 1) or "differs" in doc:
        return pair, refused, "status and answer differ"
    bad = None
    if "labels" in src:
        bad = check_side(flow["egress"], "egress", src, dst, dst, port)
    own_node = a.startswith("node:") and a[5:] == flow["node"]
    if own_node and not bad:
        bad = None if flow["ingress"]["reason"] == "own-node" else "not its own node's"
    elif not bad:
        bad = check_side(flow["ingress"], "ingress", dst, src, dst, port)
    return pair, refused, bad


def pod_end(ns, template):
    spec = template["spec"]
    return {"ns": ns, "labels": template["metadata"].get("labels", {}),
            "ports": {p["name"]: p["containerPort"] for c in spec["containers"] for p in c.get("ports", []) if "name" in p},
            "numbers": {p["containerPort"] for c in spec["containers"] for p in c.get("ports", []) if p.get("protocol", "TCP") == "TCP"}}


policies = get("networkpolicies")
lines = lines_of_policies()
namespaces = {}
for o in get("namespaces"):
    labels = o["metadata"].get("labels", {})
    namespaces[o["metadata"]["name"]] = dict(labels, **{"kubernetes.io/metadata.name": o["metadata"]["name"]})
ends = {"outside": {}, "node:node-1": {}}
for o in get("deployments,statefulsets,daemonsets,jobs,pods"):
    ns = o["metadata"].get("namespace", "default")
    namespaces.setdefault(ns, {"kubernetes.io/metadata.name": ns})
    kind = {"Pod": "pod", "Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds", "Job": "job"}[o["kind"]]
    ends[f"{ns}/{kind}/{o['metadata']['name']}"] = pod_end(ns, o if o["kind"] == "Pod" else o["spec"]["template"])

undeclared = {81} if '"ports"' in json.dumps(policies) else set()
pairs = [(a, b, port) for a in ends for b in ends if a != b and "labels" in ends[b] for port in sorted(ends[b]["numbers"] | undeclared)]
asked = refused = 0
failures = []
with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 4) as pool:
    for pair, no, bad in pool.map(ask, pairs):
        asked += 1
        refused += bool(no)
        if bad:
            failures.append(f"{pair[0]} to {pair[1]}:{pair[2]}: {bad}")
good = asked and not failures and set(lines) == {(p["metadata"]["namespace"], p["metadata"]["name"]) for p in policies}
print(f"{name}: {refused} refused of {asked} pairs, each with its policies and lines")
for f in failures[:10]:
    print(f"# {f}")
sys.exit(0 if good else 1)
