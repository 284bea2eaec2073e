#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the kernel's own stack drops of pods' packets, with real packets: a socket that nobody reads, wrong checksums, closed
# ports, a rule of the pod's own nftables. Counted to the packet by pod and the kernel's reason (BR19), as records too; what
# Weft dropped is not counted again (BR18); a flood of drops is counted whole and told in part, by number (BR24).
cd "$(dirname "$0")/../.." || exit 1
test=kerneldrops
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
"$weft" doctor | grep -q "^kernel-drops *ok" || skip "tracepoint kfree_skb cannot be watched here"

pod() { # NAME NODE
	cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec: {nodeName: $2, containers: [{name: c, image: a, ports: [{containerPort: 8080}]}]}
Y
}
{
	pod caller node-1
	pod near node-1
	pod far node-2
	pod closed node-1
	cat <<Y
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: []}
Y
} >"$dir/all.yaml"
"$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || sed 's/^/# /' "$dir/up"
address() { # POD NUMBER
	"$weft" get pod "$1" --name $name -o jsonpath="{.status.podIPs[$2].ip}"
}
in_pod() { # POD COMMAND…
	pod=$1
	shift
	nsenter --net="/run/netns/weft-$name-default.$pod" python3 test/run/kernel_drops/send.py "$@"
}
drops() { # POD REASON: packets
	"$weft" drops --name $name -o json | python3 -c '
import json, sys
print(sum(d["packets"] for d in json.load(sys.stdin) if d.get("pod") == "default/" + sys.argv[1] and d["reason"] == sys.argv[2]))' "$@"
}
flows() { "$weft" flows --name $name --limit 99999 -o json "$@" 2>/dev/null; }
count() { flows "$@" | wc -l; }
is() { [ "$(count "$1")" = "$2" ]; }

for to in near far; do
	address=$(address $to 0) address6=$(address $to 1)
	mkfifo "$dir/$to.in"
	in_pod $to full <"$dir/$to.in" >"$dir/$to.out" &
	exec 3>"$dir/$to.in"
	wait_for grep -q ready "$dir/$to.out"
	in_pod caller udp "$address" 9000 200 1000
	echo >&3
	exec 3>&-
	wait_for grep -q dropped "$dir/$to.out"
	lost=$(sed -n 's/dropped //p' "$dir/$to.out")
	same "BR19 $to's socket dropped what nobody read, and the kernel's reason says as much" "$(drops $to kernel:SOCKET_RCVBUFF)" "$lost"
	[ "$lost" -gt 0 ]
	ok "there were some" $?
	in_pod caller tcpsum "$address" 8080 5
	same "wrong TCP checksums at $to" "$(drops $to kernel:TCP_CSUM)" 5
	in_pod caller udpsum "$address" 9000 4
	same "wrong UDP checksums at $to" "$(drops $to kernel:UDP_CSUM)" 4
	before=$(drops $to kernel:NO_SOCKET)
	in_pod caller udp "$address" 9999 3 10
	in_pod caller udp "$address6" 9999 2 10
	same "a closed port of $to, both families" "$(($(drops $to kernel:NO_SOCKET) - before))" 5
done
same "the node of one does not count the other's" "$("$weft" drops --name $name --node node-2 -o json | grep -c default/near)" 0
wait_for is "reason == \"kernel:TCP_CSUM\" && src.pod == caller && dst.pod == near && dst.port == 8080 && verdict == dropped" 5
ok "each is a record under its ends" $? || flows 'reason == kernel' | head -n 3
wait_for is 'reason == "kernel:UDP_CSUM" && dst.pod == far && seen.node == node-2 && udp' 4
ok "of the node that saw it" $?
[ "$(count 'reason == kernel && dst.pod in {near, far}')" -gt 20 ]
ok "reason == kernel is any of them" $?
"$weft" drops --name $name | grep "default/near *to-pod *kernel:SOCKET_RCVBUFF" | grep -q "reads too slowly"
ok "weft drops tells what to do" $?
"$weft" drops 'reason == "kernel:TCP_CSUM"' --name $name | grep -q "kernel:TCP_CSUM"
ok "weft drops takes the filter" $?
"$weft" filter 'reason == "kernel:SOCKET_RCVBUFF" || tcp' >"$dir/filter"
grep -q 'reason == kernel:SOCKET_RCVBUFF || tcp' "$dir/filter"
ok "a filter prints so that it reads the same" $? || cat "$dir/filter"
history() { "$weft" history --name $name --since 5m --by reason 'reason == kernel' -o json 2>/dev/null | grep -q '"kernel"'; }
wait_for history
ok "history adds them up as kernel" $?
"$weft" history --name $name --since 5m 'reason == "kernel:TCP_CSUM"' 2>&1 | grep -q "added up as kernel"
ok "and says that it knows no more" $?

# What Weft itself drops, by policy or because nobody has the address, is no drop of the kernel's; nor what it has refused.
kernel() { curl -s --unix-socket "$run/node-1/observer.sock" http://x/drops | python3 -c '
import json, sys
print(sum(d["packets"] for d in json.load(sys.stdin)["kernelDrops"] if d["pod"] == "default/caller" or d["pod"] == "default/closed"))'; }
wait_for kernel
before=$(kernel)
in_pod caller udp "$(address closed 0)" 8080 7 10
in_pod caller udp "$(address closed 1)" 8080 7 10
same "policy dropped these" "$(drops closed policy-ingress)" 14
in_pod caller udp "$(address closed 0 | sed 's/[0-9]*$/200/')" 8080 5 10
in_pod caller udp "$(address closed 1 | sed 's/[0-9a-f]*$/c8/')" 8080 5 10
for i in 1 2 3; do
	nsenter --net="/run/netns/weft-$name-default.caller" ping -c 1 -W 1 "$(address closed 0 | sed 's/[0-9]*$/200/')" >/dev/null
	nsenter --net="/run/netns/weft-$name-default.caller" ping -c 1 -W 1 "$(address closed 1 | sed 's/[0-9a-f]*$/c8/')" >/dev/null
done
same "nobody has these addresses" "$(drops caller no-endpoint)" 16
same "BR18 the kernel's drops know nothing of either" "$(kernel)" "$before"

# A flood of drops.
account() { curl -s --unix-socket "$run/node-1/observer.sock" http://x/account | python3 -c "
import json, sys
v = json.load(sys.stdin)
t = {x['name']: x['high'] for s in v['sums'] for x in s['terms']}
says = {s['sum']: s['says'] for s in v['sums']}
print($1)"; }
near=$(address near 0) before=$(drops near kernel:NO_SOCKET) held=$(account "t['KERNEL_HELD']")
in_pod caller udp "$near" 9999 20000 10
same "BR24 a flood is counted to the packet" "$(($(drops near kernel:NO_SOCKET) - before))" 20000
[ "$(account "t['KERNEL_HELD']")" -gt "$held" ]
ok "BR24 of what was not told there is a number" $?
same "the sums match" "$(account "says['drops by the kernel'], says['events']")" "exact exact"
same "without drops of Weft's own" "$(drops near no-backend)" 0
"$weft" down --name $name >/dev/null
ok "down" $?
[ ! -e "$run" ] && ! bpftool link show 2>/dev/null | grep -q "weft-$name"
ok "nothing is left" $?
finish
