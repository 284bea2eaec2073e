#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What policies do to packets that no table of a scene sends: ICMP, SCTP, other protocols, fragments, multicast, packets
# with a false source; and node ports and Services by their bare addresses. Between pods of two nodes, in both families.
# Spec: NP39, NP43, NP47, NP60, NP70, NP73, NP75, NP76, NP80, NP85.
cd "$(dirname "$0")/../.." || exit 1
test=policy
. test/run/cluster_lib

pod() { # NAME NODE LABELS PORTS
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1, $3}}
spec: {nodeName: $2, containers: [{name: c, image: a, ports: [$4]}]}
Y
}
policy() { # NAME INGRESS
	cat <<Y
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: $1}
spec: {podSelector: {matchLabels: {app: $1}}, ingress: [$2]}
Y
}
{
	pod a-near node-1 "role: a"
	pod a-far node-2 "role: a"
	pod b node-2 "role: b"
	pod mute node-1 "role: b"
	for name in any port sctp udp; do
		pod $name node-1 "role: target" "{containerPort: 80}"
	done
	policy any "{from: [{podSelector: {matchLabels: {role: a}}}]}"
	policy port "{from: [{podSelector: {matchLabels: {role: a}}}], ports: [{port: 80}]}"
	policy sctp "{from: [{podSelector: {matchLabels: {role: a}}}], ports: [{protocol: SCTP, port: 80}]}"
	policy udp "{from: [{podSelector: {matchLabels: {role: a}}}], ports: [{protocol: UDP, port: 5353}]}"
	cat <<'Y'
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mute}
spec: {podSelector: {matchLabels: {app: mute}}, policyTypes: [Egress]}
---
apiVersion: v1
kind: Pod
metadata: {name: front, labels: {app: front}}
spec: {nodeName: node-1, containers: [{name: c, image: a, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  type: NodePort
  ipFamilyPolicy: PreferDualStack
  selector: {app: front}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: front}
spec:
  podSelector: {matchLabels: {app: front}}
  ingress:
  - {from: [{podSelector: {matchLabels: {role: a}}}], ports: [{port: 8080}]}
  - {from: [{ipBlock: {cidr: 203.0.113.10/32}}, {ipBlock: {cidr: "2001:db8:113::10/128"}}]}
Y
} >"$dir/all.yaml"

addresses() { sed -n "s,^$1 ,,p" "$dir/addresses"; } # NAME: of a pod, or "svc/NAME": IPv4, then IPv6
ask_addresses() {
	for kind in pods services; do
		"$weft" get $kind --name $name -o json
	done | python3 -c '
import json, sys
text, at = sys.stdin.read(), 0
while text[at:].strip():
    told, end = json.JSONDecoder().raw_decode(text[at:].lstrip())
    at += len(text[at:]) - len(text[at:].lstrip()) + end
    for o in told["items"]:
        ips = o["spec"].get("clusterIPs") or [i["ip"] for i in o["status"].get("podIPs", [])]
        print(("svc/" if o["kind"] == "Service" else "") + o["metadata"]["name"], *sorted(ips, key=lambda i: ":" in i))'
}
# As a process of that pod: its namespace and its cgroup, where connect() is translated.
in_pod() { # POD COMMAND…
	pod=$1 node=node-1
	case $pod in a-far | b) node=node-2 ;; esac
	shift
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec nsenter --net="$@"' sh \
		/sys/fs/cgroup/unified/weft.$name/$node/default.$pod "/run/netns/weft-$name-default.$pod" "$@"
}
packet="python3 test/run/policy/packet.py"
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
ask_addresses >"$dir/addresses"

echoes() { # ID FROM TO EXPECTED
	for host in $(addresses "$3"); do
		same "$1 an echo from $2 to $3 ($host): $4" "$(in_pod "$2" $packet ping "$host")" "$4"
	done
}
echoes "NP43 NP70" a-near any yes
echoes "NP43 NP70" a-far any yes
echoes "NP70 NP75" a-near port no
echoes "NP70 NP75" a-far port no
echoes NP70 b any no

hush() { # what listens tells its pid
	kill "$(sed -n 's/^listening //p' "$dir/heard")"
	wait $ear
}
# Each target hears what arrives of a protocol while callers speak.
hears() { # ID PROTO TARGET PORT "CALLERS THAT ARE HEARD" "OTHERS"
	in_pod "$3" $packet hear "$2" 10 >"$dir/heard" &
	ear=$!
	wait_for grep -q listening "$dir/heard"
	for from in $5 $6; do in_pod "$from" $packet say "$2" "$4" $(addresses "$3") >/dev/null; done
	hush
	for from in $5; do
		for ip in $(addresses "$from"); do
			grep -q "^from $ip port $4\$" "$dir/heard"
			ok "$1 protocol $2, port $4, from $from ($ip) to $3 arrives" $?
		done
	done
	for from in $6; do
		for ip in $(addresses "$from"); do
			grep -q "^from $ip " "$dir/heard"
			[ $? = 1 ]
			ok "$1 protocol $2, port $4, from $from ($ip) to $3 does not arrive" $?
		done
	done
}
hears NP47 132 sctp 80 "a-near a-far" b
hears NP47 132 sctp 81 "" "a-near a-far"
hears NP47 132 port 80 "" "a-near a-far"
hears "NP43 NP47" 132 any 81 "a-near a-far" b
hears NP75 253 any 0 "a-near a-far" b
hears NP75 253 port 0 "" "a-near a-far"
same "NP47 a rule for SCTP opens no TCP" "$(in_pod a-near $packet connect $(addresses sctp | cut -d' ' -f1) 80)" no

fragments() { # FROM PORT EXPECTED
	in_pod udp $packet pieces 10 >"$dir/heard" &
	ear=$!
	wait_for grep -q listening "$dir/heard"
	in_pod "$1" $packet fragments "$2" $(addresses udp) >/dev/null
	hush
	same "NP60 NP73 datagrams in fragments from $1 to port $2: $3" "$(tail -n 1 "$dir/heard")" "$3"
}
for from in a-near a-far; do
	fragments $from 5353 "fragments=6 whole=2,0"
	fragments $from 5354 "fragments=0 whole=0,0"
done
fragments b 5353 "fragments=0 whole=0,0"

drops() { # REASON POD: how many packets
	"$weft" drops --name $name -o json 2>/dev/null | python3 -c '
import json, sys
told = json.load(sys.stdin)
rows = told if isinstance(told, list) else told["drops"]
print(sum(d["packets"] for d in rows if d["reason"] == sys.argv[1] and d.get("pod") == sys.argv[2]))' "$1" "default/$2"
}
before=$(drops policy-egress mute)
in_pod mute $packet cast 224.0.0.251 5353 >/dev/null
in_pod mute $packet cast 255.255.255.255 5353 >/dev/null 2>&1
more() { [ "$(drops policy-egress mute)" -gt "$before" ]; }
wait_for more
ok "NP76 multicast from an isolated pod is dropped as policy-egress" $?

before=$(drops policy-ingress any)
in_pod b $packet spoof $(addresses any | cut -d' ' -f1) 80 $(addresses a-far | cut -d' ' -f1) >/dev/null
spoofed() { [ "$(drops spoofed b)" -gt 0 ]; }
wait_for spoofed
ok "NP80 a false source is dropped as spoofed" $?
same "NP80 and not as policy" "$(drops policy-ingress any)" "$before"

for host in $(addresses svc/front); do
	for from in a-near a-far; do
		same "NP85 $from reaches the Service's address $host" "$(in_pod $from $packet connect "$host" 80)" yes
	done
	same "NP85 b does not" "$(in_pod b $packet connect "$host" 80)" no
done
for host in $(addresses front); do
	same "NP85 nor by the pod's address $host" "$(in_pod b $packet connect "$host" 8080)" no
	same "NP85 a-far does" "$(in_pod a-far $packet connect "$host" 8080)" yes
done

outside() { nsenter --net=/run/netns/weft-$name-outside $packet connect "$1" 30080; }
for host in 172.31.0.10 fd57:e7f7:0:1::10; do
	same "NP39 a node port of the pod's own node keeps the client's address ($host)" "$(outside $host)" yes
done
for host in 172.31.0.11 fd57:e7f7:0:1::11; do
	same "NP39 one of another node does not, so that a rule for the client does not match ($host)" "$(outside $host)" no
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
