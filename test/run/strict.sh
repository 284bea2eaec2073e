#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Open connections under changed policies, by real TCP and UDP flows that go on through the change, to a pod of the same
# node and of another one, over both families, with only the caller or only the server sending. By default they go on
# (NP67); where a policy annotated strict selects a pod of them, or the cluster is started with --strict, they are cut
# within a second, whichever end the policy is at, and whichever end is silent.
cd "$(dirname "$0")/../.." || exit 1
test=strict
. test/run/cluster_lib

pod() { # NAME NODE
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1, role: ${3:-server}}}
spec: {nodeName: $2, containers: [{name: c, image: x, ports: [{containerPort: 7000}]}]}
Y
}
policy() { # KIND(in|out) ANNOTATION RULES: on the servers' ingress, or on the caller's egress
	selector="{role: server}" rules="ingress: $3" types=Ingress
	[ "$1" = out ] && selector="{role: caller}" rules="egress: $3" types=Egress
	cat <<Y
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: changing, annotations: {$2}}
spec: {podSelector: {matchLabels: $selector}, policyTypes: [$types], $rules}
Y
}
put_policy() { # as policy; whole at once, as editors do
	policy "$@" >"$dir/.new" && mv "$dir/.new" "$dir/cluster/policy.yaml"
}
address() { # POD FAMILY
	"$weft" get pod "$1" --name $name -o json | python3 -c '
import json, sys
ips = [i["ip"] for i in json.load(sys.stdin)["status"]["podIPs"]]
print([i for i in ips if (":" in i) == (sys.argv[1] == "6")][0])' "$2"
}
ns() { echo "/run/netns/weft-$name-default.$1"; }
begin() { # OPTION…
	mkdir -p "$dir/cluster"
	{ pod caller node-1 caller; pod near node-1; pod far node-2; } >"$dir/cluster/pods.yaml"
	put_policy in "" "[{}]"
	"$weft" up "$dir/cluster" --name $name --nodes 2 -d "$@" >"$dir/up" 2>&1
	ok "a cluster comes up${*:+ with $*}" $? || sed 's/^/# /' "$dir/up"
	servers=
	for p in near far; do servers="$servers $p|$(ns $p)|$(address $p 4)|$(address $p 6)"; done
}
flows() { # KIND ANNOTATION: open flows, then the policy that allows nothing
	policy "$1" "$2" "[]" >"$dir/closed.yaml"
	# shellcheck disable=SC2086
	python3 test/run/strict/flows.py 2.5 "mv '$dir/closed.yaml' '$dir/cluster/policy.yaml'" "$(ns caller)" $servers >"$dir/flows" 2>"$dir/error"
	[ "$(awk '$2 > 10' "$dir/flows" | wc -l)" = 16 ] || { echo "# not all flows were open"; sed 's/^/# /' "$dir/flows" "$dir/error"; return 1; }
}
refused() { ! nsenter --net="$(ns caller)" python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 7000), 0.3)' "$(address near 4)" 2>/dev/null; }
kept() { # WORDS
	ok "$1: 16 flows were open" $flowed
	awk '$3 < 2300' "$dir/flows" | sed 's/^/# ended: /'
	[ "$(awk '$3 >= 2300' "$dir/flows" | wc -l)" = 16 ]
	ok "NP67 $1: open connections go on" $?
}
cut() { # WORDS
	ok "$1: 16 flows were open" $flowed
	awk '$3 >= 1000' "$dir/flows" | sed 's/^/# goes on: /'
	[ "$(awk '$3 < 1000' "$dir/flows" | wc -l)" = 16 ]
	ok "strict, $1: all are cut within a second, the last after $(awk '{ print $3 }' "$dir/flows" | sort -n | tail -n 1) ms" $?
}
case_of() { # CHECK KIND ANNOTATION WORDS
	put_policy "$2" "$3" "[{}]"
	wait_for open_again
	flows "$2" "$3"
	flowed=$?
	"$1" "$4"
	wait_for refused
	ok "$4: new ones are refused" $?
}
open_again() { ! refused; }

# What the commands say before: an open connection of the caller to the server near, against a policy that refuses it.
told() { # STRICT(True|False)
	put_policy in "" "[{}]"
	wait_for open_again
	rm -f "$dir/held"
	nsenter --net="$(ns caller)" python3 -c '
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7000), 5)
open(sys.argv[2], "w").close()
time.sleep(60)' "$(address near 4)" "$dir/held" &
	holder=$!
	wait_for test -e "$dir/held"
	mkdir -p "$dir/next"
	cp "$dir/cluster/pods.yaml" "$dir/next"
	policy in "" "[]" >"$dir/next/policy.yaml"
	"$weft" diff --live "$dir/next" --name $name -o json >"$dir/live.json" 2>"$dir/error"
	python3 -c '
import json, sys
live, strict = json.load(open(sys.argv[1]))["live"], sys.argv[2] == "True"
assert live["strict"] == strict and live["refused"] >= 1 and live["cut"] == (live["refused"] if strict else 0), live' "$dir/live.json" "$1" 2>>"$dir/error"
	ok "diff --live tells whether open connections are cut (--strict: $1)" $? || sed 's/^/# /' "$dir/error"
	kill $holder 2>/dev/null
	wait $holder 2>/dev/null
	"$weft" get policies --name $name -n default -o json >"$dir/policies.json" 2>"$dir/error"
	python3 -c '
import json, sys
p = json.load(open(sys.argv[1]))
assert p and all(x["strict"] == (sys.argv[2] == "True") for x in p), p' "$dir/policies.json" "$1" 2>>"$dir/error"
	ok "get policies tells it, too (--strict: $1)" $? || sed 's/^/# /' "$dir/error"
}

strict='weft.network/strict: "true"'
begin
told False
case_of kept in "" "a policy at the servers"
case_of kept out "" "a policy at the caller"
case_of cut in "$strict" "a strict policy at the servers"
case_of cut out "$strict" "a strict policy at the caller"
"$weft" down --name $name >/dev/null 2>&1
begin --strict
told True
case_of cut in "" "a policy at the servers of a strict cluster"
case_of cut out "" "a policy at the caller of a strict cluster"
"$weft" down --name $name >/dev/null 2>&1
finish
