#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A step over several files and the hub, cut off by kill -9 at every call that leaves a trace, of the hub and of
# its pen: after the next start all of it is there or nothing is. And a full disk below the database.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
I=/apis/weft.network/internal
cm=/api/v1/namespaces/default/configmaps
cc -shared -fPIC -O1 -o "$dir/kill_at.so" test/run/kill_at.c -ldl 2>"$dir/cc" || {
	echo "1..0 # SKIP no C compiler: $(head -1 "$dir/cc")"
	exit 0
}
text() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {k: %s}   # a remark\n' "$1" "$2"; }
value() { api GET "$cm/$1" | field 'o.get("data",{}).get("k","-")'; }
edit() { printf '{"verb":"put","kind":"ConfigMap","name":"%s","resourceVersion":"%s","yaml":"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\ndata: {k: %s}\\n"}' \
	"$1" "$(api GET "$cm/$1" | field 'o["metadata"]["resourceVersion"]')" "$1" "$2"; }
new() { printf '{"verb":"put","kind":"ConfigMap","name":"%s","yaml":"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s}\\ndata: {k: %s}\\n"}' "$1" "$1" "$2"; }
body() { # VALUE
	printf '{"name":"three","edits":[%s,%s,%s,%s]}' "$(edit a "$1")" "$(edit b "$1")" "$(edit hub "$1")" "$(new "new$1" "$1")"
}
state() { # what files, objects and history say
	echo "$(sed -n 's/^data: {k: \(.*\)}.*/\1/p' "$manifests/a.yaml") $(sed -n 's/^data: {k: \(.*\)}.*/\1/p' "$manifests/b.yaml")" \
		"$(value a) $(value b) $(value hub)" \
		"$(cat "$manifests/weft-page.yaml" 2>/dev/null | grep -c "name: $1}")" \
		"$(api GET "$I/changes?limit=1000" | field 'len([x for x in o["changes"] if x["origin"] == "page"])')"
}
text a v0 >"$manifests/a.yaml"
text b v0 >"$manifests/b.yaml"
start --sandbox --writable --no-tls --page off
api POST $cm '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"hub"},"data":{"k":"v0"}}' >/dev/null
stop TERM

# Each moment takes two starts of a hub: by default every fourth is tried. WEFT_KILL_EVERY=1 tries all.
every=${WEFT_KILL_EVERY:-4}
# One round: the step v(n) → v(n+1), killed at call N of that process.
now=0 whole=0 none=0 half=0 left=0 ends=0
round() { # COMM N
	rm -f "$dir/armed"
	LD_PRELOAD=$dir/kill_at.so KILL_AT_FILE=$dir/armed KILL_AT_COMM=$1 "$HUB" --name test --dir "$run" --sandbox --writable \
		--no-tls --page off "$manifests" 2>>"$dir/log" &
	pid=$!
	wait_for serving || return 1
	next=$((now + 1))
	steps=$(api GET "$I/changes?limit=1000" | field 'len([x for x in o["changes"] if x["origin"] == "page"])')
	request=$(body v$next)
	echo "$2" >"$dir/armed"
	answer=$(api POST $I/changes "$request")
	case $answer in *'"id":'[0-9]*) answered=1 ;; *) answered=0 ;; esac
	rm -f "$dir/armed"
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
	start --sandbox --writable --no-tls --page off
	got=$(state "newv$next")
	stop TERM
	lefts=$(find "$manifests" -name '.*' -type f)
	[ -z "$lefts" ] || {
		left=$((left + 1))
		echo "# $1 at $2: left: $lefts"
		rm -f $lefts
	}
	case $got in
	"v$next v$next v$next v$next v$next 1 $((steps + 1))") whole=$((whole + 1)) now=$next ;;
	"v$now v$now v$now v$now v$now 0 $steps")
		none=$((none + 1))
		[ $answered = 0 ] || {
			half=$((half + 1))
			echo "# $1 at $2: answered, but nothing is there"
		}
		;;
	*)
		half=$((half + 1))
		echo "# $1 at $2: $got; expected v$now or v$next, $steps steps before"
		now=$next
		;;
	esac
	ends=$answered
}
for comm in weft-hub weft-hub-pen; do
	n=0 at=1 none=0 whole=0
	while [ $at -le 60 ]; do
		round $comm $at || break
		# The call was never reached: all of them were tried.
		[ "$ends" = 1 ] && [ $at -gt 3 ] && break
		at=$((at + every))
	done
	eval "none_$(echo $comm | tr - _)=$none"
	echo "# $comm: $at moments: $none times nothing was done, $whole times all"
	eval "at_$(echo $comm | tr - _)=$at"
done
n=0
# shellcheck disable=SC2154
[ "$at_weft_hub" -gt 8 ] && [ "$at_weft_hub" -lt 60 ]
ok "every call of the hub was a moment to kill it" $?
# shellcheck disable=SC2154
[ "$at_weft_hub_pen" -gt 5 ] && [ "$at_weft_hub_pen" -lt 60 ]
ok "every call of the pen, too" $?
same "a step is there whole or not at all" "$half" 0
same "nothing is left beside a file" "$left" 0
# shellcheck disable=SC2154
[ "$none_weft_hub" -gt 0 ]
ok "some kills came before it was kept, and files were put back" $?

# a full disk under the database
small=$dir/small
mkdir "$small"
if mount -t tmpfs -o size=2m weft-t-changes "$small" 2>/dev/null; then
	mounted=$small
	run=$small
	start --sandbox --writable --no-tls --page off
	api POST $cm '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"hub"},"data":{"k":"v'$now'"}}' >/dev/null
	request=$(body full)
	dd if=/dev/zero of="$small/ballast" bs=4k 2>/dev/null
	cp -r "$manifests" "$dir/before"
	out=$(api POST $I/changes "$request")
	has "a full disk" "$out" "nothing was changed"
	diff -r "$dir/before" "$manifests" >/dev/null
	ok "no file is another" $?
	same "no object either" "$(value a) $(value b) $(value hub)" "v$now v$now v$now"
	rm "$small/ballast"
	same "with room again" "$(api POST $I/changes "$(body full)" | field 'o["id"] > 0')" True
	same "it is in force" "$(value a) $(value b) $(value hub)" "full full full"
	# Room for the journal, none for the step itself: what was written is taken back.
	taken=0
	for rest in 1 2 3 4 5 6 8 10 12 16; do
		request=$(body "r$rest")
		was=$(value a)
		rm -rf "$dir/before"
		cp -r "$manifests" "$dir/before"
		rm -f "$small/ballast"
		dd if=/dev/zero of="$small/ballast" bs=4k 2>/dev/null
		truncate -s "-$((rest * 4))k" "$small/ballast"
		out=$(api POST $I/changes "$request")
		rm -f "$small/ballast"
		case $out in
		*"nothing was changed"*)
			diff -r "$dir/before" "$manifests" >/dev/null && [ "$(value a) $(value b) $(value hub)" = "$was $was $was" ] ||
				echo "# with $rest pages: half of it"
			taken=$((taken + 1))
			;;
		esac
	done
	[ $taken -gt 1 ]
	ok "a disk that fills up in the middle: taken back ($taken times)" $?
	stop TERM
	start --sandbox --writable --no-tls --page off
	same "and after a restart" "$(value a) $(value b)" "$(value hub) $(value hub)"
	stop TERM
	umount "$mounted"
	mounted=
fi
finish
