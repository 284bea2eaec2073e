#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft why` without a cluster: every pair of the shop and of all policy recipes, held against a reckoning of its own
# (why_pairs.py); and a few questions of each sort, word by word.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
inputs=${WEFT_INPUTS:-$PWD/../shared/inputs}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
bad=0
ok() { # NAME STATUS
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 20
		bad=1
	fi
}
pairs() { # NAME FOLDER
	python3 test/cli/why_pairs.py "$weft" "$1" "$2" >"$tmp/out" 2>"$tmp/err"
	r=$?
	ok "$(head -n 1 "$tmp/out")" $r
}
why() { # WANTED-STATUS ARGUMENTS…
	want=$1
	shift
	COLUMNS=200 "$weft" why "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }
hides() { ! says "$1"; }

cp -r examples/shop "$tmp/shop"
pairs "the shop" "$tmp/shop"
if [ -d "$inputs/policy-recipes" ]; then
	for f in "$inputs"/policy-recipes/*.yaml; do
		d=$tmp/$(basename "$f" .yaml)
		mkdir "$d"
		cp "$f" "$d/policy.yaml"
		python3 test/cli/why_cast.py "$weft" "$d" >"$tmp/cast.json" && mv "$tmp/cast.json" "$d/cast.json"
		pairs "$(basename "$f" .yaml)" "$d"
	done
else
	n=$((n + 1))
	echo "ok $n - the recipes # SKIP no inputs here"
fi

mkdir "$tmp/sorts"
cat >"$tmp/sorts/all.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: db, labels: {tier: data}}
---
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {tier: app}}
---
apiVersion: v1
kind: Pod
metadata: {name: sql, namespace: db, labels: {app: sql}}
spec:
  containers:
  - {name: c, image: example/sql, ports: [{name: pg, containerPort: 5432}, {name: admin, containerPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: app, labels: {app: web}}
spec:
  containers:
  - {name: c, image: example/web, ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: app, labels: {app: agent}}
spec:
  hostNetwork: true
  containers:
  - {name: c, image: example/agent}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http, nodePort: 30081}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: sql, namespace: db}
spec:
  podSelector: {matchLabels: {app: sql}}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {tier: app}}
      podSelector: {matchLabels: {app: api}}
    - ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.16/29]}
    ports:
    - port: pg
  - from:
    - namespaceSelector: {matchLabels: {tier: ops}}
    ports:
    - {port: 8000, endPort: 8400}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: app, annotations: {weft.network/staged: "true"}}
spec:
  podSelector: {matchLabels: {app: web}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {tier: app}}}
  egress:
  - name: names
    action: Accept
    to: [{domainNames: ["*.example.org"]}]
    protocols: [{tcp: {destinationPort: {number: 443}}}]
  - name: let-the-db-decide
    action: Pass
    to: [{namespaces: {matchLabels: {tier: data}}}]
    protocols: [{tcp: {destinationPort: {number: 5432}}}]
  - name: no-db
    action: Deny
    to: [{namespaces: {matchLabels: {tier: data}}}]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: floor}
spec:
  tier: Baseline
  priority: 1000
  subject: {namespaces: {matchLabels: {tier: app}}}
  egress:
  - name: nothing-outside
    action: Deny
    to: [{networks: [0.0.0.0/0]}]
YAML
f="$tmp/sorts"
line() { grep -nF -- "$1" "$f/all.yaml" | sed -n "${2:-1}s/:.*//p"; }

why 1 -f "$f" app/web db/sql:5432 && says 'Pass hands it to what follows: ClusterNetworkPolicy guard egress[1] "let-the-db-decide" (Admin tier, priority 10)' &&
	says "all.yaml:$(line 'name: let-the-db-decide')" && says 'podSelector: app=api, but app/web has app=web'
ok "Pass goes on to NetworkPolicies, and the nearest rule misses by one label (CN02)" $?
why 1 -f "$f" app/web db/sql:admin && says 'refused by ClusterNetworkPolicy guard egress[2] "no-db" (Admin tier, priority 10)' && says "all.yaml:$(line 'name: no-db')"
ok "a Deny of the Admin tier, with its line (CN01)" $?
why 1 -f "$f" --proto udp app/web db/sql:5432 && says '"no-db"' && says 'protocols[0].tcp: TCP 5432, asked UDP 5432'
ok "what stood before the Deny and missed by protocol" $?
why 1 -f "$f" app/web 198.51.100.7:80 && says 'refused by ClusterNetworkPolicy floor egress[0] "nothing-outside" (Baseline tier, priority 1000)' && says "all.yaml:$(line 'name: nothing-outside')"
ok "the Baseline tier refuses where nothing before decides (CN03)" $?
why 1 -f "$f" app/web 198.51.100.7:443 && says '"*.example.org" of ClusterNetworkPolicy guard egress[0] "names"'
ok "a domain name that would let it through is named (CN14)" $?
why 0 -f "$f" --family 4 outside db/sql:5432 && says 'allowed by NetworkPolicy db/sql ingress[0]' && why 1 -f "$f" 203.0.113.17 db/sql:5432 &&
	says 'ipBlock.except[0]: 203.0.113.16/29 takes 203.0.113.17 out'
ok "an address outside, and one that an except takes out (NP35)" $?
why 1 -f "$f" outside db/sql:5433 && says '"pg" is TCP 5432 on db/sql, asked TCP 5433' && why 1 -f "$f" --family 6 outside db/sql:pg && says 'ipBlock.cidr: 203.0.113.0/24 does not hold 2001:db8:113::10'
ok "a named port, and the other family (NP38, NP50)" $?
why 1 -f "$f" --proto icmp outside db/sql && says 'asked ICMP, which passes only where a rule names no ports'
ok "ICMP needs a rule without ports (NP70)" $?
why 0 -f "$f" db/sql db/sql:1 && says 'no policy stands between a pod and itself'
ok "a pod and itself (NP63)" $?
why 0 -f "$f" node:node-1 app/web:8080 && says 'no policy selects app/web for ingress' && why 0 -f "$f" app/agent app/web:8080 && says "it uses its node's network"
ok "a node's sockets, and a pod with hostNetwork (NP61, NP68)" $?
own=$("$weft" why -f "$f" outside db/sql:5432 -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["to"]["node"])')
why 0 -f "$f" "node:$own" db/sql:1 && says 'sockets of its own node always get in'
ok "the pod's own node gets in whatever the policies (NP61)" $?
here=$("$weft" why -f "$f" outside app/web:8080 -o json | python3 -c 'import json,sys; print(json.load(sys.stdin)["to"]["node"])')
[ "$here" = node-1 ] && away=node-2 || away=node-1
why 0 -f "$f" outside "node:$here:30081" && says "stays 203.0.113.10: an ipBlock with the client's address can match" &&
	why 0 -f "$f" outside "node:$away:30081" && says "the node's: an ipBlock with the client's address cannot match" &&
	why 0 -f "$f" --node "$away" outside app/web:80 && says "enters    at node port 30081 of $away"
ok "a node port tells whether the client's address survives (NP39)" $?
sed '/^metadata: {name: web, namespace: app}$/s/}$/, annotations: {weft.network\/forwarding: direct-return}}/' "$f/all.yaml" >"$tmp/direct.yaml"
why 0 -f "$tmp/direct.yaml" outside "node:$away:30081" && says 'answered directly' &&
	says "stays 203.0.113.10: an ipBlock with the client's address can match"
ok "it does with direct return (NP39, SV10)" $?
why 0 -f "$f" outside app/web:8080 && says 'would be refused: 1 policy isolates app/web' && says '(allows nothing) (staged)'
ok "what a staged policy would do" $?
why 0 -f "$f" db/sql app/svc/web && says 'becomes   Service app/web: 1 endpoint' && why 0 -f "$f" db/sql web.app.svc.cluster.local:http && says 'Service app/web'
ok "a Service by kind and by DNS name, port by name" $?
why 1 -f "$f" --family 4 app/web app/web:80 && says 'becomes   Service app/web' && says 'refused by ClusterNetworkPolicy floor' &&
	why 0 -f "$f" --family 6 app/web app/web:80 && says 'only cluster policies select app/web'
ok "to itself through a Service only cluster policies judge (CN18, NP64)" $?
why 1 -f "$f" --mode routes app/web db/sql:5432 && says 'refused' && hides tunnel
ok "plain routes have no tunnel" $?
why 2 -f "$f" app/wep db/sql:1 && says 'did you mean app/web?' && why 2 -f "$f" app/web db/sql && says '5432 (pg), 8443 (admin)' &&
	why 2 -f "$f" app/web:80 db/sql:1 && says 'the port belongs to the second' && why 2 -f "$f" node:node-9 db/sql:1 && says 'node-9'
ok "what is mistyped is told with what there is" $?
"$weft" why -f "$f" app/web db/sql:5432 -o json >"$tmp/out" 2>"$tmp/err"
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); i=d["families"][0]["flows"][0]["ingress"]; assert not d["allowed"] and i["reason"] == "default-deny" and i["missed"][0]["fields"] == 1 and i["set"] >= 16' "$tmp/out" 2>>"$tmp/err"
ok "the answer as JSON has the numbers" $?
COLUMNS=200 "$weft" get policies -f "$f" >"$tmp/out" 2>"$tmp/err" && grep -Eq '^– +guard +ClusterNetworkPolicy +Admin 10 +enforced +1 ' "$tmp/out" && grep -Eq '^app +web +NetworkPolicy +– +staged +1 ' "$tmp/out"
ok "get policies: both kinds, with tier, mode and pods" $?
echo "1..$n"
exit $bad
