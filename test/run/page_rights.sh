#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# BR86 with real packets: a User with rights on the namespace shop sends to a pod of bank, and finds neither its name nor its packets
# in captures, flows, history, the page's stream, completion; the administrator does.
cd "$(dirname "$0")/../.." || exit 1
test=page-rights
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
mkdir "$dir/m"
{
	for ns in shop bank; do
		printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n' $ns
	done
	for p in shop/caller/node-1 bank/vault/node-2 bank/clerk/node-1; do
		printf '%s\n' "$p" | (
			IFS=/ read -r ns pod node
			printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, labels: {app: %s}}\nspec: {nodeName: %s, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}\n' "$pod" "$ns" "$pod" "$node"
		)
	done
	"$weft" user anna --no-password --level capture --in shop
} >"$dir/m/all.yaml"
sed -i 's/^apiVersion: weft.network\/v1alpha1$/---\n&/' "$dir/m/all.yaml"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
grep -q 'page  *http://127.0.0.1:[0-9]*/login/' "$dir/up"
ok "weft up says where the page is" $?
vault=$("$weft" get pod vault -n bank --name $name -o jsonpath='{.status.podIP}')
send() { # POD PACKETS
	python3 -B test/run/broker_live/send.py "/run/netns/weft-$name-$1" "$vault" 9000 1 "$2" 1
}
enter() { # JAR [ARGUMENTS]
	jar=$1
	shift
	url=$("$weft" ui --print --name $name "$@")
	base=${url%/login/*}
	curl -s -o /dev/null -c "$dir/$jar" "$url"
}
enter admin
enter anna --user anna
page() { # JAR CURL-ARGUMENTS…
	jar=$1
	shift
	curl -s -b "$dir/$jar" "$@"
}
write() { # JAR PATH BODY
	csrf=$(page "$1" "$base/page/me" | sed 's/.*"csrf":"\([^"]*\)".*/\1/')
	page "$1" -X POST -H "Origin: $base" -H "Weft-Csrf: $csrf" -H 'Content-Type: application/json' -d "$3" "$base$2"
}
has() { grep -a -q "$1" "$2" && echo yes; }
foreign() { grep -a -c -e vault -e bank -e clerk "$1"; }
capture() { # JAR NAME FROM
	write "$1" /apis/weft.network/v1alpha1/captures '{"apiVersion":"weft.network/v1alpha1","kind":"Capture","metadata":{"name":"'"$2"'"},
		"spec":{"filter":"udp && port == 9000","seconds":60,"from":['"$3"']}}' >"$dir/made"
	sed 's/.*"reason":"\([A-Za-z]*\)".*/\1/; s/^{"apiVersion.*/made/' "$dir/made"
}
in_ns() { printf '{"pods":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%s"}}}}' "$1"; }

# Captures
same "BR86 a Capture of her namespace" "$(capture anna mine "$(in_ns shop)")" made
same "BR86 of another" "$(capture anna theirs "$(in_ns bank)")" Forbidden
same "BR86 of both" "$(capture anna both "$(in_ns shop),$(in_ns bank)")" Forbidden
same "BR86 of all pods" "$(capture anna all '{"pods":{}}')" Forbidden
same "BR86 of a node's uplink" "$(capture anna up '{"uplink":{}}')" Forbidden
same "BR86 the administrator's is not hers" "$(capture admin his "$(in_ns shop)") $(page anna -o /dev/null -w '%{http_code}' "$base/apis/weft.network/v1alpha1/captures/his/stream")" "made 403"
same "BR86 nor does she see it" "$(page anna "$base/apis/weft.network/v1alpha1/captures" | grep -o '"name":"[a-z]*"' | tr '\n' ' ')" '"name":"mine" '
streams=
for s in "anna mine" "anna mine?node=node-1" "admin his"; do
	# shellcheck disable=SC2086
	set -- $s
	path=${2%%\?*}/stream
	[ "$path" = "$2/stream" ] || path="$path?${2#*\?}"
	page "$1" -N -m 12 "$base/apis/weft.network/v1alpha1/captures/$path" >"$dir/stream-$1$(printf '%s' "$2" | tr -dc 1)" &
	streams="$streams $!"
done
wait_for test -s "$dir/stream-anna" && wait_for test -s "$dir/stream-anna1" && wait_for test -s "$dir/stream-admin"
ok "the captures run" $?
sleep 1
send shop.caller 100
send bank.clerk 100
# shellcheck disable=SC2086
wait $streams
packets() { tshark -r "$1" -T fields -e frame.number 2>/dev/null | wc -l; }
if command -v tshark >/dev/null; then
	same "BR86 her packets are there" "$(packets "$dir/stream-anna")" 100
	same "BR86 of one node, too" "$(packets "$dir/stream-anna1")" 100
fi
same "BR86 no other name is in her capture" "$(foreign "$dir/stream-anna") $(has shop/caller "$dir/stream-anna")" "0 yes"
same "BR86 nor in that of one node" "$(foreign "$dir/stream-anna1") $(has shop/caller "$dir/stream-anna1")" "0 yes"
[ "$(foreign "$dir/stream-admin")" -gt 0 ]
ok "the administrator's has it" $?

# Flows and history
ask='{"filter":"dst.port == 9000","limit":100}'
known() { write admin /page/flows "$ask" >"$dir/flows-admin" && [ "$(grep -o vault "$dir/flows-admin" | wc -l)" -ge 2 ]; }
wait_for known
ok "the administrator sees both callers" $?
write anna /page/flows "$ask" >"$dir/flows-anna"
same "BR86 flows: her own, the other end hidden" "$(foreign "$dir/flows-anna") $(has '"name":"caller"' "$dir/flows-anna") $(has hidden "$dir/flows-anna")" "0 yes yes"
write anna /page/flows '{"filter":"dst.ns == bank || dst.pod == bank/vault","limit":100}' >"$dir/flows-by"
same "BR86 no filter finds a hidden name" "$(grep -c '"record"' "$dir/flows-by")" 0
told() { write admin /page/history '{"filter":"dst.port == 9000","by":"from,to"}' >"$dir/history-admin" && grep -q vault "$dir/history-admin" && grep -q caller "$dir/history-admin"; }
wait_for told
ok "history has it" $?
write anna /page/history '{"filter":"dst.port == 9000","by":"from,to"}' >"$dir/history-anna"
same "BR86 history: her own, the other end hidden" "$(foreign "$dir/history-anna") $(has caller "$dir/history-anna") $(has hidden "$dir/history-anna")" "0 yes yes"

# The page's stream: objects and the graph
page anna -N -m 3 "$base/page/live?kinds=pods,namespaces,endpointslices&graph=1&broker=1" >"$dir/live-anna"
same "BR86 the page's stream" "$(foreign "$dir/live-anna")" 0
grep -q '"kind":"hidden"' "$dir/live-anna" && grep -q '"name":"caller"' "$dir/live-anna"
ok "BR86 has her pods, and others as one that is hidden" $?
page admin -N -m 3 "$base/page/live?kinds=pods&graph=1" >"$dir/live-admin"
[ "$(foreign "$dir/live-admin")" -gt 0 ]
ok "the administrator's has all" $?
for who in anna admin; do
	for text in 'src.pod == ' 'dst.ns == ' ''; do
		page $who -G --data-urlencode "text=$text" --data-urlencode what=filter "$base/page/complete"
		page $who -G --data-urlencode "text=$text" --data-urlencode what=pod "$base/page/complete"
	done >"$dir/complete-$who"
done
same "BR86 completion" "$(foreign "$dir/complete-anna") $(has caller "$dir/complete-anna") $(has vault "$dir/complete-admin")" "0 yes yes"
page anna "$base/api/v1/events" >"$dir/events"
same "BR86 events" "$(foreign "$dir/events")" 0
for q in why kernel reach account doctor policies maps history top; do
	write anna "/page/ask/$q" '{"from":"shop/caller","to":"bank/vault"}'
done >"$dir/asked"
sed 's/bank\/vault//g' "$dir/asked" >"$dir/asked-more" # what she said herself
same "BR86 questions" "$(foreign "$dir/asked-more")" 0
same "the kernels answer her of her own" "$(write anna /page/ask/kernel '{"from":"shop/caller","to":"shop/caller:8080"}' | grep -c '"families"')" 1
same "and the administrator of all" "$(write admin /page/ask/kernel '{"from":"shop/caller","to":"bank/vault:8080"}' | grep -o '"kernelAsked": *true' | sort -u | tr -d ' ')" '"kernelAsked":true'

# The hub may ask the nodes why, and order nothing
python3 - "$run/node-1/questions.sock" >"$dir/ops" 2>&1 <<'EOF'
import json, os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.settimeout(5)
for op in ("status", "causes", "add", "del", "check", "plan", "readback", "fault", ""):
    s.send(json.dumps({"id": 1, "op": op, "ids": [], "node": True, "loss": 0.5, "namespace": "shop", "pod": "caller"}).encode())
    print(op, json.loads(s.recv(1 << 17))["ok"])
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1].replace("questions", "agent"))
    print("agent.sock", True)
except PermissionError:
    print("agent.sock", False)
EOF
same "who may only ask orders nothing" "$(tr '\n' ' ' <"$dir/ops")" "status True causes True add False del False check False plan False readback False fault False  False agent.sock False "
finish
