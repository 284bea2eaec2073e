#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rule in a captured packet's comment is the one that was in force when it passed: read live over a change of policies, and
# from a ring after it, where a rule that is gone is said to be unknown, and never another's. A change about others changes nothing.
cd "$(dirname "$0")/../.." || exit 1
test=capture-rules
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
mkdir "$dir/m"
{
	for p in caller/node-1 far/node-2 else/node-2; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: {nodeName: %s, containers: [{name: c, image: web}]}\n' ${p%/*} ${p%/*} ${p#*/}
	done
	cat <<Y
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: keep}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: all}
spec: {from: [{pods: {podSelector: {matchLabels: {app: far}}}}], packets: All, filter: dst.port == 9000, to: [{tool: keep}]}
Y
} >"$dir/m/all.yaml"
policy() { # NAME APP
	cat >"$dir/m/$2.yaml.new" <<Y
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: $1}
spec: {podSelector: {matchLabels: {app: $2}}, ingress: [{ports: [{port: 9000, protocol: UDP}]}]}
Y
	mv "$dir/m/$2.yaml.new" "$dir/m/$2.yaml"
}
policy first far
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
address() { "$weft" get pod "$1" --name $name -o jsonpath='{.status.podIP}'; }
far=$(address far) other=$(address else)
send() { python3 -B test/run/broker_live/send.py /run/netns/weft-$name-default.caller "$far" 9000 1 "$1" 1; }
names() { "$weft" why default/caller "$1:9000" --proto udp --name $name | grep -q "default/$2"; }
# In the order of their times, equal ones once.
said() {
	python3 -c 'import json, sys
for line in sys.stdin:
    print("; ".join(json.loads(line).get("comments", ["nothing"])).split(" (")[0])' <"$1" | uniq
}
live() { [ "$(wc -l <"$dir/live")" -ge "$1" ]; }
last() { "$weft" capture --name $name --last 60s --ring keep -o json >"$dir/last" 2>"$dir/last.err"; }
seen() { send 1; live 1 && last && [ -s "$dir/last" ]; }
wait_for names "$far" first
"$weft" capture --name $name --from pods/app=far --seconds 60 -o json 'udp && dst.port == 9000' >"$dir/live" 2>"$dir/live.err" &
pid=$!
wait_for seen
ok "packets are seen live and in the ring" $? || cat "$dir/live.err" "$dir/last.err"
before=$(wc -l <"$dir/live")
send 10
wait_for live $((before + 10))
first="allowed by NetworkPolicy default/first ingress[0]" second="allowed by NetworkPolicy default/second ingress[0]"
gone="by which rule is not known: what decides about it was changed after that"
last
same "a ring's packets name the rule that let them in" "$(said "$dir/last")" "$first"
policy second far
wait_for names "$far" second
send 10
wait_for live $((before + 20))
kill -INT $pid
wait $pid
same "a capture over a change of policies names the rule of each packet's time" "$(said "$dir/live")" "$first
$second"
last
same "a ring that is read after it: of what was before the rule is not known, and no other is named" "$(said "$dir/last")" "$gone
$second"
policy about-others else
wait_for names "$other" about-others
last
same "a policy about others changes nothing of this" "$(said "$dir/last")" "$gone
$second"
finish
