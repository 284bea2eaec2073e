#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft extcap` as Wireshark calls it: by a link weft-extcap, for interfaces, link types, options, filters, and to capture into a
# pipe that it closes; then by tshark itself (BR79). A cluster of two nodes with a ring.
cd "$(dirname "$0")/../.." || exit 1
test=extcap
. test/run/cluster_lib
command -v tshark >/dev/null || skip "needs tshark"
command -v python3 >/dev/null || skip "needs python3"
mkdir "$dir/m" "$dir/extcap"
{
	for p in caller/node-1 far/node-2 closed/node-2; do
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec: {nodeName: %s, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}\n' ${p%/*} ${p%/*} ${p#*/}
	done
	cat <<Y
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: []}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: keep}
spec: {ring: {}}
---
apiVersion: weft.network/v1alpha1
kind: Tool
metadata: {name: none}
spec: {discard: true}
---
apiVersion: weft.network/v1alpha1
kind: TrafficMap
metadata: {name: all}
spec: {from: [{pods: {}}], packets: All, filter: dst.port == 9001, to: [{tool: keep}]}
Y
} >"$dir/m/all.yaml"

# --- where Wireshark looks ---
"$weft" extcap --install="$dir/extcap" >"$dir/out" && "$weft" extcap --install="$dir/extcap" >"$dir/out"
same "--install makes the link, and again" "$? $(readlink -f "$dir/extcap/weft-extcap")" "0 $(readlink -f "$weft")"
: >"$dir/weft-extcap"
"$weft" extcap --install="$dir" 2>"$dir/err"
same "it replaces no file" "$? $(grep -c 'is there, and no symbolic link' "$dir/err")" "1 1"
"$weft" extcap --install="$dir/none" 2>"$dir/err"
same "a folder that is not there is told" "$? $(grep -c 'make the folder first' "$dir/err")" "1 1"
ext="$dir/extcap/weft-extcap"
"$weft" up "$dir/m" --name $name -d >"$dir/up" 2>&1
ok "the cluster comes up" $? || cat "$dir/up"
address() { "$weft" get pod "$1" --name $name -o jsonpath='{.status.podIP}'; }
far=$(address far) closed=$(address closed)
send() { # ADDRESS PORT PACKETS [PAUSE_MS]
	python3 -B test/run/broker_live/send.py /run/netns/weft-$name-default.caller "$1" "$2" 1 "$3" "${4:-0}"
}
captures() { "$weft" get captures --name $name -o json 2>/dev/null | python3 -c 'import json,sys; print(len([i for i in json.load(sys.stdin)["items"] if "endTime" not in i.get("status",{})]))'; }
none_left() { [ "$(captures)" = 0 ]; }
some() { [ "$(captures)" = 1 ]; }

# --- what it answers ---
same "it tells its version" "$("$ext" --extcap-version)" "extcap {version=$("$weft" version | awk '{print $2; exit}')}{display=Weft}"
"$ext" --extcap-interfaces --extcap-version=4.0 >"$dir/out"
same "a cluster is an interface, and each node's part of a ring" "$? $(grep "{value=weft-$name[.}]" "$dir/out")" "0 interface {value=weft-$name}{display=Weft cluster $name}
interface {value=weft-$name.keep.node-1}{display=Weft cluster $name: what Tool keep has kept on node-1}
interface {value=weft-$name.keep.node-2}{display=Weft cluster $name: what Tool keep has kept on node-2}"
same "it is of Ethernet" "$("$ext" --extcap-interface weft-$name --extcap-dlts)" "dlt {number=1}{name=EN10MB}{display=Ethernet}"
calls() { "$ext" --extcap-interface "$1" --extcap-config | sed -n 's/.*{call=--\([a-z]*\)}.*/\1/p' | tr '\n' ' '; }
same "its options" "$(calls weft-$name)" "filter from direction packets snap seconds "
same "those of a ring" "$(calls weft-$name.keep.node-2)" "filter last "
check() { "$ext" --extcap-interface weft-$name --extcap-capture-filter "$1"; }
same "a good filter is answered by nothing" "$(check 'tcp && port == 80')$(check 'tcp port 80')" ""
check 'tcp && prot == 80' >"$dir/out"
same "a bad one by what is wrong" "$? $(wc -l <"$dir/out") $(grep -c prot "$dir/out")" "0 1 1" || cat "$dir/out"
same "so is one that no packet can answer" "$(check 'pod == "far"' | wc -l)" 1
for i in weft-$name.keep.node-9 weft-$name.none.node-1 eth0 weft-; do
	"$ext" --extcap-interface $i --extcap-dlts >"$dir/out" 2>"$dir/err"
	same "$i is no interface" "$? $(wc -c <"$dir/out") $(grep -c "there is no interface \"$i\"" "$dir/err")" "1 0 1"
done
"$ext" --capture --extcap-interface weft-no-such-$$ --fifo "$dir/f" 2>"$dir/err"
same "a cluster that does not run is told" "$? $(grep -c 'no cluster "no-such-' "$dir/err")" "1 1"
"$ext" --capture --extcap-interface weft-$name 2>"$dir/err"
same "no pipe is told" "$? $(grep -c 'needs --fifo' "$dir/err")" "2 1"
"$ext" 2>"$dir/err"
same "a person who calls it is told who does" "$? $(grep -c 'Wireshark calls this' "$dir/err")" "2 1"

# --- into a pipe ---
mkfifo "$dir/fifo"
begin() { # FILE ARGS…: reads the pipe into FILE
	file=$1
	shift
	timeout 60 cat "$dir/fifo" >"$file" &
	reader=$!
	"$ext" --capture --fifo "$dir/fifo" "$@" 2>"$file.err" &
	pid=$!
	wait_for test -s "$file" && sleep 1
}
packets() { tshark -r "$1" 2>"$dir/terr" | wc -l; }
begin "$dir/both" --extcap-interface weft-$name --extcap-capture-filter 'udp port 9000 or udp port 9002' --filter 'dst.port == 9000' --from 'pods/app=caller pods/app=far'
send "$far" 9000 30 1
send "$far" 9002 30 1
enough() { [ "$(packets "$dir/both")" -ge 60 ]; }
wait_for enough
kill -TERM $pid
wait $pid
same "SIGTERM ends it" $? 0
wait $reader
same "BR79 both filters and both places hold" "$(tshark -r "$dir/both" -T fields -e frame.interface_name -e udp.dstport 2>"$dir/terr" | sort | uniq -c | awk '{$1=$1};1')" "30 node-1/default/caller 9000
30 node-2/default/far 9000" || cat "$dir/both.err"
same "what was written is whole" "$(grep -c 'cut short\|damaged\|corrupt' "$dir/terr")" 0
ok "its Capture is gone" "$(wait_for none_left; echo $?)"

begin "$dir/drop" --extcap-interface weft-$name --packets dropped --direction both --snap 64 --seconds 4 --filter ''
send "$far" 9000 10
send "$closed" 9000 10 1
wait $pid
same "--seconds ends it" $? 0
wait $reader
same "dropped packets only, and their first bytes" "$(tshark -r "$dir/drop" -Y 'udp.dstport == 9000' -T fields -e frame.interface_name -e frame.cap_len 2>/dev/null | sort | uniq -c | awk '$3 <= 64 {print $1, $2}')" "10 node-2/default/closed"

begin "$dir/left" --extcap-interface weft-$name --filter 'udp && dst.port == 9009'
ok "a capture of nothing is there" "$(wait_for some; echo $?)"
kill $reader
wait $reader 2>/dev/null
gone() { ! kill -0 $pid 2>/dev/null; }
wait_for gone
ok "a pipe that is closed ends it though no packet comes" $?
wait $pid
same "which is no error" $? 0
ok "its Capture is gone, too" "$(wait_for none_left; echo $?)"

# --- a ring ---
send "$far" 9001 25
kept() { "$ext" --capture --fifo "$dir/ring" --extcap-interface weft-$name.keep.node-2 2>/dev/null && [ "$(packets "$dir/ring")" = 25 ]; }
wait_for kept
same "what a node's part of a ring has kept" "$(tshark -r "$dir/ring" -T fields -e frame.interface_name 2>/dev/null | sort | uniq -c | awk '{$1=$1};1')" "25 node-2/default/far"
"$ext" --capture --fifo "$dir/ring" --extcap-interface weft-$name.keep.node-1 --last 1ms 2>"$dir/err" >"$dir/out"
same "a time back that is none is told" "$? $(grep -c 'not "1ms"' "$dir/err")" "2 1" || cat "$dir/err"

# --- tshark itself, with the link where it looks: in a view of this test's own ---
folder=$(tshark -G folders 2>/dev/null | sed -n 's/^Extcap path:[[:space:]]*//p')
cat >"$dir/view" <<'S'
#!/bin/sh
mount --bind "$1" "$2" && shift 2 && exec "$@"
S
chmod +x "$dir/view"
shark() { unshare -m "$dir/view" "$dir/extcap" "$folder" tshark "$@"; }
if ! [ -d "$folder" ]; then
	echo "# this tshark has no folder of extcap programs"
else
	shark -D >"$dir/D" 2>/dev/null
	same "tshark -D lists the interfaces" "$(grep -c " weft-$name[ .]" "$dir/D")" 3 || cat "$dir/D"
	shark -i weft-$name -f 'udp port 9004' -c 20 -a duration:30 -T fields -e frame.interface_name -e udp.dstport >"$dir/live" 2>"$dir/terr" &
	pid=$!
	wait_for some && sleep 1
	send "$far" 9004 40 5
	wait $pid
	same "tshark -i captures, and ends after 20 packets" "$? $(wc -l <"$dir/live") $(cut -f2 "$dir/live" | sort -u)" "0 20 9004" || cat "$dir/terr"
	same "BR79 it shows both places" "$(cut -f1 "$dir/live" | sort -u | tr '\n' ' ')" "node-1/default/caller node-2/default/far "
	ok "no Capture is left" "$(wait_for none_left; echo $?)"
	left() { ! ps -eo args= | grep -F "extcap-interface weft-$name" | grep -qv grep; }
	ok "no program of it, either" "$(wait_for left; echo $?)"
	shark -i weft-$name.keep.node-1 -T fields -e frame.interface_name >"$dir/kept" 2>"$dir/terr"
	same "tshark shows what a ring has kept" "$? $(sort "$dir/kept" | uniq -c | awk '{$1=$1};1')" "0 25 node-1/default/caller" || cat "$dir/terr"
fi
finish
