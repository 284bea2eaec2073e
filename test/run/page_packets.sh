#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An address that gives packets once, to a program without a session: curl reads it, tshark the packets, nobody a second time, and
# with no more rights than who asked for it (BR86, BR87). Streams of packets end within a second or two of the right to them, also
# those that are silent, and those whose reader takes nothing.
cd "$(dirname "$0")/../.." || exit 1
test=page-packets
. test/run/cluster_lib
command -v python3 >/dev/null || skip "needs python3"
command -v tshark >/dev/null || skip "needs tshark"
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
	printf -- '---\napiVersion: weft.network/v1alpha1\nkind: User\nmetadata: {name: anna}\n'
} >"$dir/m/all.yaml"
role() { # LEVEL
	printf 'apiVersion: weft.network/v1alpha1\nkind: Role\nmetadata: {name: r}\nspec: {level: %s, namespaces: [shop], users: [anna]}\n' "$1" >"$dir/new"
	mv "$dir/new" "$dir/m/role.yaml"
}
role capture
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
vault=$("$weft" get pod vault -n bank --name $name -o jsonpath='{.status.podIP}')
send() { # POD PACKETS
	python3 -B test/run/broker_live/send.py "/run/netns/weft-$name-$1" "$vault" 9000 1 "$2" 1
}
url=$("$weft" ui --print --user anna --name $name)
base=${url%/login/*}
curl -s -o /dev/null -c "$dir/anna" "$url"
csrf=$(curl -s -b "$dir/anna" "$base/page/me" | sed 's/.*"csrf":"\([^"]*\)".*/\1/')
write() { # PATH BODY
	curl -s -b "$dir/anna" -H "Origin: $base" -H "Weft-Csrf: $csrf" -H 'Content-Type: application/json' -d "$2" "$base$1"
}
in_ns() { printf '{"pods":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"%s"}}}}' "$1"; }
ticket() { # NAMESPACE FILTER [MORE]
	write /page/ticket "{\"spec\":{\"from\":[$(in_ns "$1")],\"filter\":\"$2\"${3:-}}}" >"$dir/ticket"
	sed -n 's/.*"path":"\([^"]*\)".*/\1/p' "$dir/ticket"
}
audit() { grep -c "$1" "$run/audit.log"; }

# one address, once
path=$(ticket shop 'udp && dst.port == 9000')
case $path in /capture/????????????????????????????????*) ok "an address" 0 ;; *) ok "an address: $(cat "$dir/ticket")" 1 ;; esac
same "it says nothing of whose it is, and is in no log" "$(grep -c "${path#/capture/}" "$run/audit.log" "$run"/log/hub.log | grep -v ':0$')" ""
{ curl -sSfN "$base$path" 2>"$dir/curl"; echo $? >"$dir/curl.rc"; } | timeout 20 tshark -r - -c 30 -T fields -e ip.dst -e udp.dstport >"$dir/lines" 2>"$dir/tshark" &
reader=$!
wait_for sh -c "grep -q '\"what\":\"download-start\",\"user\":\"anna\"' $run/audit.log"
ok "BR87 its opening is in the audit log" $?
for i in 1 2 3 4 5; do send shop.caller 10; done
wait $reader
same "the command as it is offered gives real packets" "$(sort "$dir/lines" | uniq -c | awk '{print $1, $2, $3}')" "30 $vault 9000"
same "BR86 they are hers alone" "$(audit '"what":"packets-link","user":"anna"')" 1
same "nobody opens it again" "$(curl -s -o "$dir/again" -w '%{http_code}' "$base$path")" 403
grep -q 'used already' "$dir/again"
ok "and is told why" $?
same "nor a word that nobody gave out" "$(curl -s -o /dev/null -w '%{http_code}' "$base/capture/$(printf '%064d' 7)")" 403
ended() { "$weft" get captures --name $name -o json | python3 -c 'import json,sys; c=json.load(sys.stdin)["items"]; sys.exit(not all(x.get("status",{}).get("ended") for x in c))'; }
wait_for ended
ok "the capture ends with its reader" $?
wait_for sh -c "grep '\"what\":\"capture-end\"' $run/audit.log | grep -q 'its reader left'"
ok "BR87 and that is in the audit log, with what was handed out" $?

# what she may not, an address does not either
ticket bank udp >/dev/null
same "BR86 no address for packets of another namespace" "$(grep -c 'may not see these packets' "$dir/ticket")" 1
ticket shop 'pod == shop/caller' >/dev/null
grep -q '"code":4[0-9][0-9]' "$dir/ticket"
ok "a filter that packets cannot answer is refused before there is an address" $?
same "without a session there is none" "$(curl -s -o /dev/null -w '%{http_code}' -H "Origin: $base" -d '{}' "$base/page/ticket")" 401

# the right goes
make() { # NAME
	write /apis/weft.network/v1alpha1/captures "{\"apiVersion\":\"weft.network/v1alpha1\",\"kind\":\"Capture\",\"metadata\":{\"name\":\"$1\"},\"spec\":{\"from\":[$(in_ns shop)],\"filter\":\"$2\"}}" >/dev/null
}
make busy udp
make silent 'tcp && dst.port == 1'
of=$base/apis/weft.network/v1alpha1/captures
cat >"$dir/lazy.py" <<'EOF'
import os, socket, sys, time
host, port, path, cookie = sys.argv[1:5]
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect((host, int(port)))
s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n".encode())
print("reads nothing", flush=True)
while not os.path.exists(sys.argv[5]):
    time.sleep(0.05)
tail = b""
while not tail.endswith(b"\r\n0\r\n\r\n"):
    piece = s.recv(65536)
    if not piece:
        break
    tail = (tail + piece)[-16:]
print("cut", flush=True)
EOF
cookie=$(awk '$6 ~ /weft-session/ {print $6 "=" $7}' "$dir/anna")
hostport=${base#http://}
python3 "$dir/lazy.py" "${hostport%:*}" "${hostport#*:}" "/apis/weft.network/v1alpha1/captures/busy/stream" "$cookie" "$dir/go" >"$dir/lazy" &
lazy=$!
path=$(ticket shop 'tcp && dst.port == 1')
: >"$dir/ended"
(curl -sN "$base$path" >"$dir/s.ticket"; echo ticket >>"$dir/ended") &
pids=$!
for s in busy silent "silent?node=node-1"; do
	q=${s#*\?}
	[ "$q" = "$s" ] && q= || q="?$q"
	(curl -sN -b "$dir/anna" "$of/${s%%\?*}/stream$q" >"$dir/s.$s"; echo "$s" >>"$dir/ended") &
	pids="$pids $!"
done
wait_for sh -c "test \$(grep -c '\"what\":\"download-start\",\"user\":\"anna\"' $run/audit.log) -ge 6"
ok "five streams run" $?
same "and none has ended" "$(cat "$dir/ended")" ""
for i in 1 2 3 4 5 6 7 8; do send shop.caller 500; done
before=$(date +%s%N)
role view
gone() { [ "$(wc -l <"$dir/ended")" -eq 4 ]; }
wait_for gone
ok "all of them end when she may see no packets any more" $?
took=$((($(date +%s%N) - before) / 1000000))
[ $took -lt 5000 ]
ok "soon ($took ms, of which the hub waits up to one second for more files, and up to one for its turn)" $?
wait_for sh -c "test \$(grep '\"what\":\"download-end\"' $run/audit.log | grep -c 'the right to these packets ended') -eq 5"
ok "BR87 each with the reason in the audit log ($(audit 'the right to these packets ended') of 5)" $?
touch "$dir/go"
wait_for sh -c "test \"\$(tail -n 1 '$dir/lazy')\" = cut"
ok "the one whose reader took nothing has its end behind what was sent before" $?
same "BR86 a new one is refused" "$(curl -s -o /dev/null -w '%{http_code}' -b "$dir/anna" "$of/busy/stream")" 403
# shellcheck disable=SC2086
kill $pids $lazy 2>/dev/null
finish
