#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Policy is there before traffic is: when a node starts, when pods start, when an address comes to another pod, while the
# agent stands still, and after it died. Somebody knocks all the time. Spec: NP19, NP20, NP21, NP24, NP82, NP83.
cd "$(dirname "$0")/../.." || exit 1
test=policy-start
. test/run/cluster_lib
mkdir "$dir/m"
hammer="python3 test/run/policy/hammer.py"
packet="python3 test/run/policy/packet.py"

pod() { # NAME NODE LABELS PORTS
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {$3}}
spec: {nodeName: $2, terminationGracePeriodSeconds: 0, containers: [{name: c, image: a, ports: [$4]}]}
Y
}
http="{containerPort: 80}, {containerPort: 81}"
{
	pod aa-shut node-1 "app: shut" "$http"
	pod ab-open node-1 "app: open" "$http"
	pod knock node-2 "app: knock" "$http"
	pod web node-2 "app: web" "$http"
	cat <<'Y'
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut}
spec: {podSelector: {matchLabels: {app: shut}}, ingress: [{ports: [{port: 81}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: new}
spec:
  podSelector: {matchLabels: {app: new}}
  policyTypes: [Ingress, Egress]
  ingress: [{ports: [{port: 81}]}]
  egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}]
Y
} >"$dir/m/all.yaml"

in_pod() {
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" "$@"
}
begin() { # FILE COMMAND…: in the background; what it prints goes to the file
	file=$1
	shift
	"$@" >"$dir/$file" 2>&1 &
	echo $! >"$dir/$file.job"
	wait_for grep -q listening "$dir/$file"
}
finished() { # FILE
	kill "$(sed -n 's/^listening //p' "$dir/$1")"
	wait "$(cat "$dir/$1.job")"
}
saw() { # FILE PORT: how many connections were made
	sed -n "s/^$2 made=\([0-9]*\) .*/\1/p" "$dir/$1"
}
tried() { sed -n "s/^$2 made=[0-9]* of=\([0-9]*\) .*/\1/p" "$dir/$1"; }
never() { # DESCRIPTION FILE PORT
	[ "$(saw "$2" "$3")" = 0 ] && [ "$(tried "$2" "$3")" -gt 10 ]
	ok "$1: $(grep "^$3 " "$dir/$2")" $?
}
some() {
	[ "$(saw "$2" "$3")" -gt 0 ]
	ok "$1: $(grep "^$3 " "$dir/$2")" $?
}

# The outside host knocks from the moment in which it exists.
knocks_outside() {
	wait_for [ -e /run/netns/weft-$name-outside ]
	# Addresses are given in the order of names.
	nsenter --net=/run/netns/weft-$name-outside $hammer connect 60 80,81 10.244.0.2 fd57:e7f7:0:244::2 >"$dir/cold-shut" &
	nsenter --net=/run/netns/weft-$name-outside $hammer connect 60 80 10.244.0.3 fd57:e7f7:0:244::3 >"$dir/cold-open"
	wait
}
knocks_outside &
"$weft" up "$dir/m" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
came() { "$weft" get pod ab-open --name $name -o json | grep -q '"10.244.0.3"'; }
wait_for came
ok "the pods have the addresses that are knocked at" $?
in_pod knock $hammer connect 0.5 80,81 10.244.0.2 fd57:e7f7:0:244::2 >/dev/null
for f in cold-shut cold-open; do kill "$(sed -n 's/^listening //p' "$dir/$f")"; done
wait
never "NP24 from the node's first moment nothing reaches what policy refuses" cold-shut 80
some "NP24 what it allows does" cold-shut 81
some "NP24 and so does an open pod" cold-open 80

# Thirty pods come, three times ten, each with an init container, a sidecar and calls of its own.
new_pods() { # ROUND LABEL NODE
	for i in 0 1 2 3 4 5 6 7 8 9; do
		cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $2-$1-$i, labels: {app: $2}}
spec:
  nodeName: $3
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: side, image: i, restartPolicy: Always, ports: [{containerPort: 82}], env: [{name: A, value: "web:80"}]}
  - {name: init, image: i}
  containers: [{name: c, image: a, ports: [$http], env: [{name: A, value: "web:80"}]}]
Y
	done
}
running() { # LABEL: how many
	"$weft" get pods -l "app=$1" --name $name 2>/dev/null | grep -c Running
}
ten() { [ "$(running "$1")" = 10 ]; }
none() { [ "$(running "$1")" = 0 ]; }
hosts=$(seq -f '10.244.0.%g' 4 40; for i in $(seq 4 40); do printf 'fd57:e7f7:0:244::%x\n' "$i"; done)
begin new in_pod knock $hammer connect 120 80,81,82 $hosts
begin heard in_pod web $packet hear 6 120
for round in 1 2 3; do
	new_pods $round new node-1 >"$dir/m/new.yaml"
	wait_for ten new
	ok "NP19 ten pods start, round $round" $?
	rm "$dir/m/new.yaml"
	wait_for none new
done
new_pods 1 free node-2 >"$dir/m/free.yaml"
wait_for ten free
free=$("$weft" get pod free-1-0 --name $name -o json | sed -n 's/.*"podIP": *"\([^"]*\)".*/\1/p' | head -n 1)
calls() { grep -q "from $free " "$dir/heard"; }
wait_for calls
ok "NP19 a pod that no policy selects is heard when it calls ($free)" $?
finished new
finished heard
rm "$dir/m/free.yaml"
never "NP19 NP20 no new pod was ever reached where its policy refuses" new 80
never "NP19 nor its sidecar" new 82
some "NP20 all were where it allows" new 81
grep -q "from 10.244.0\|from fd57:e7f7:0:244::" "$dir/heard"
[ $? = 1 ]
ok "NP19 none of the thirty was heard by the Service that its containers call from the start" $?

# An address comes to another pod: after a new start the hub gives the lowest one that is free.
again() {
	kill -9 "$(pgrep -f "weft-hub .*--name $name ")"
	wait_for "$weft" get pods --name $name
}
again
pod client node-1 "app: client" "$http" >"$dir/m/client.yaml"
cat >"$dir/m/web.yaml" <<'Y'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}
Y
address() { "$weft" get pod "$1" --name $name -o json 2>/dev/null | sed -n 's/.*"podIP": *"\([^"]*\)".*/\1/p' | head -n 1; }
has_address() { [ -n "$(address "$1")" ] && "$weft" get pod "$1" --name $name | grep -q Running; }
gone() { ! "$weft" get pod "$1" --name $name >/dev/null 2>&1; }
wait_for has_address client
old=$(address client) web=$(address web)
reaches() { [ "$(in_pod "$1" $packet connect "$web" 80)" = "$2" ]; }
wait_for reaches client yes
ok "NP21 the pod that policy names gets in from $old" $?
rm "$dir/m/client.yaml"
wait_for gone client
again
pod other node-1 "app: other" "$http" >"$dir/m/other.yaml"
wait_for has_address other
same "NP21 its address comes to another pod" "$(address other)" "$old"
wait_for reaches other no
same "NP21 which is not let in" "$(in_pod other $packet connect "$web" 80)" no
rm "$dir/m/other.yaml"
wait_for gone other

# The agent stands still: what is in force stays, and no pod gets a network.
planner=$(pgrep -f "weft-planner .*--name $name --node node-1 ")
kill -STOP "$planner"
begin new in_pod knock $hammer connect 60 80,81 10.244.0.2 fd57:e7f7:0:244::2 $hosts
new_pods 4 late node-1 | sed 's/app: late/app: new/' >"$dir/m/late.yaml"
bound() { "$weft" get pod late-4-9 --name $name >/dev/null 2>&1; }
wait_for bound
ok "NP82 pods are bound to a node whose agent stands still" $?
in_pod knock $hammer connect 1 80 10.244.0.2 >/dev/null
same "NP82 none of them runs" "$(running new)" 0
kill -CONT "$planner"
wait_for ten new
ok "NP82 they run when it goes on" $?
finished new
never "NP82 the last policy was in force all the time, and no pod was open" new 80
some "NP82 what it allows went on" new 81

# A policy goes while its agent is dead: the next one leaves nothing of it.
reach_shut() { [ "$(in_pod knock $packet connect "$1" 80)" = "$2" ]; }
wait_for reach_shut 10.244.0.2 no
kill -STOP "$(pgrep -f "weft-planner .*--name $name --node node-1 ")"
sed -i '/name: shut}$/,/^spec/{s/name: shut}/name: shut-2}/;s/ports: \[{port: 81}\]/ports: [{port: 80}]/}' "$dir/m/all.yaml"
changed() { "$weft" get networkpolicies --name $name | grep -q shut-2; }
wait_for changed
ok "NP83 another policy takes the place of one while the agent stands still" $?
kill -9 "$(pgrep -f "weft-planner .*--name $name --node node-1 ")"
for host in 10.244.0.2 fd57:e7f7:0:244::2; do
	wait_for reach_shut $host yes
	ok "NP83 the new one is in force after the agent's restart ($host)" $?
	same "NP83 and nothing of the old one ($host)" "$(in_pod knock $packet connect $host 81)" no
done
"$weft" down --name $name >/dev/null
ok "down" $?
finish
