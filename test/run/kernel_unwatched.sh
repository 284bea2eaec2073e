#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine where tracepoint kfree_skb cannot be watched: the cluster works, and what the kernel's own stack drops is unknown
# wherever it is asked for, never 0 (BR20): weft drops, weft flows, weft account, /metrics; Weft's own drops are there.
cd "$(dirname "$0")/../.." || exit 1
test=unwatched
. test/run/cluster_lib
. test/run/manifest_lib
command -v python3 >/dev/null || skip "needs python3"
unwatched() { python3 test/run/kernel_drops/unwatched.py "$@"; }
unwatched true || skip "no seccomp filter can be set here"
{
	pod caller node-1
	pod near node-1
	pod shut node-1
	shut shut
} >"$dir/all.yaml"
unwatched "$weft" doctor >"$dir/doctor" 2>&1
grep -q "^kernel-drops.*tracepoint kfree_skb" "$dir/doctor" && ! grep -q "^kernel-drops *ok" "$dir/doctor"
ok "weft doctor says that it cannot be watched" $? || grep kernel-drops "$dir/doctor"
unwatched "$weft" up "$dir/all.yaml" --name $name --nodes 2 -d >"$dir/up" 2>&1
ok "the cluster comes up all the same" $? || sed 's/^/# /' "$dir/up"
send() { # POD PORT COUNT
	nsenter --net="/run/netns/weft-$name-default.caller" python3 test/run/kernel_drops/send.py udp \
		"$("$weft" get pod "$1" --name $name -o jsonpath="{.status.podIPs[0].ip}")" "$2" "$3" 10
}
send near 9999 5
send shut 9999 7
own() {
	"$weft" drops --name $name -o json 2>/dev/null | python3 -c '
import json, sys
sys.exit(sum(d["packets"] for d in json.load(sys.stdin) if d["reason"] == "policy-ingress") != 7)'
}
wait_for own
ok "Weft's own drops are counted" $?
says() { # WHAT NODES COMMAND…: which nodes it says are unknown
	what=$1 nodes=$2
	shift 2
	"$weft" "$@" --name $name >"$dir/out" 2>"$dir/err"
	same "BR20 $what" "$(sed -n "s/.*what the kernel's own stack drops on \(node-[0-9]\) is unknown.*/\1/p" "$dir/err" | tr '\n' ' ')" "$nodes"
}
both="node-1 node-2 "
says "weft drops: unknown, by node" "$both" drops
! grep -q "kernel:" "$dir/out"
ok "and has no number of them" $?
says "of one node" "node-2 " drops --node node-2
says "weft drops with a filter" "$both" drops 'dst.pod == near'
says "weft flows, by reason" "$both" flows 'reason == kernel'
grep -q "No flow matches" "$dir/out"
ok "beside that it found none" $?
says "weft flows, by a reason of the kernel's" "$both" flows 'reason == "kernel:NO_SOCKET"'
says "weft flows, by verdict" "$both" flows 'verdict == dropped'
grep -q "policy-ingress" "$dir/out"
ok "beside those that it found" $?
says "what nobody asked about is not told" "" flows 'tcp || reason == policy-ingress'
"$weft" account --name $name -o json >"$dir/account" 2>&1
same "BR20 weft account: the sum of the kernel's drops is unknown, others match" "$(python3 - "$dir/account" <<'P'
import json, sys
sums = [(s["sum"], s["says"]) for n in json.load(open(sys.argv[1])) for s in n.get("sums", [])]
print(sorted({says for sum, says in sums if sum == "drops by the kernel"}), {says for sum, says in sums if sum != "drops by the kernel"} <= {"exact", "within"})
P
)" "['unknown'] True"
"$weft" account --name $name | grep "drops by the kernel" | grep -q unknown
ok "in words too" $? || "$weft" account --name $name | grep "by the kernel"
curl -s --unix-socket "$run/node-1/observer.sock" http://x/metrics >"$dir/metrics"
same "BR20 /metrics has no sample of what is unknown" "$(grep -c '^weft_kernel_drops\|^weft_account_matches.*drops by the kernel' "$dir/metrics")" 0
grep -q '^weft_account_matches' "$dir/metrics"
ok "and has the others" $?
"$weft" down --name $name >/dev/null
ok "down" $?
finish
