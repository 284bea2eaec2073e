#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writing into manifests when something is in the way: others who save, disks, rights, links, kills.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
f=$manifests/a.yaml
cm=/api/v1/namespaces/default/configmaps
merge=application/merge-patch+json
text() { # NAME…
	for name; do
		printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s   # %s\ndata:\n  k: v   # a remark\n' "$name" "$name"
	done
}
text a b >"$f"
patch() { # NAME VALUE
	api PATCH "$cm/$1" '{"data":{"k":"'"$2"'"}}' $merge
}
value() { api GET "$cm/$1" | field 'o["data"]["k"]'; }
is() { [ "$(value "$1")" = "$2" ]; }
untouched() { # DESCRIPTION
	cmp -s "$f" "$dir/before"
	ok "$1" $?
}
strays() { find "$manifests" -name '.*.weft-new' | grep -c .; }

# without the switch
start --sandbox
out=$(patch a w)
has "a change is refused" "$out" '"code":409'
has "with file, line and column" "$out" "a.yaml:2:1"
has "and the way out" "$out" "or start the cluster with weft up --writable"
has "a deletion too" "$(api DELETE $cm/a)" "weft up --writable"
stop TERM

start --sandbox --writable
same "the process that writes" "$(cat "/proc/$(pgrep -P "$pid")/comm")" weft-hub-pen
same "it has few rights" "$(sed -n 's/^CapEff:\t//p' "/proc/$(pgrep -P "$pid")/status")" 000000001000000f
chown 1234:2345 "$f"
chmod 664 "$f"
is a v
ok "what it was" $?
patch a w >/dev/null
same "it is in force at once" "$(value a)" w
same "mode and owner stay" "$(stat -c '%a %u %g' "$f")" "664 1234 2345"
same "one line changed" "$( (text a b | sed '0,/k: v/s//k: w/') | cmp - "$f" 2>&1)" ""
same "nothing is left beside it" "$(strays)" 0

# each change is one event, and what the folder's watch sees of it is none
from=$(api GET $cm | field 'o["metadata"]["resourceVersion"]')
curl -sN --unix-socket "$run/hub.sock" "http://hub$cm?watch=true&fieldSelector=metadata.name=a&resourceVersion=$from" >"$dir/events" &
watcher=$!
for i in 1 2 3; do patch a "e$i" >/dev/null; done
text other >"$manifests/other.yaml"
wait_for is other v
patch other done >/dev/null
wait_for grep -q e3 "$dir/events"
kill "$watcher"
same "three changes are three events" "$(grep -c MODIFIED "$dir/events")" 3

# the file says something else than what is in force
cp "$f" "$dir/good"
sed '0,/  k: e3/s//  k: [1/' "$dir/good" >"$dir/before"
cp "$dir/before" "$dir/new"
mv "$dir/new" "$f" # at once: half of a file is another file
wait_for sh -c "grep -q 'error' $dir/log"
has "an object that its file does not hold any more" "$(patch a x)" "does not hold it any more"
untouched "nothing is written"
cp "$dir/good" "$dir/new"
chmod 664 "$dir/new"
mv "$dir/new" "$f"
wait_for sh -c "curl -s --unix-socket $run/hub.sock http://hub/apis/weft.network/internal/remarks | grep -q '\"remarks\":\[\]'"

# rights, links, names
cp "$f" "$dir/before"
chmod 444 "$f"
has "a read-only file" "$(patch a x)" "it is read-only: chmod u+w it"
untouched "nothing is written"
chmod 664 "$f"
ln "$f" "$dir/second"
has "a file with two names" "$(patch a x)" "further names (hard links)"
untouched "nothing is written"
rm "$dir/second"
mkdir "$manifests/.hidden"
text linked >"$manifests/.hidden/l.yaml"
ln -s .hidden/l.yaml "$manifests/link.yaml"
wait_for is linked v
has "a link" "$(patch linked x)" "it is a link, or no regular file"
rm "$manifests/link.yaml"
# Whoever holds the file open for writing would go on writing into what is no file any more.
exec 9>>"$f"
has "a file that is open for writing" "$(patch a x)" "another program has it open for writing"
exec 9>&-
untouched "nothing is written"
patch a free >/dev/null
same "and then it is" "$(value a)" free

# a disk without room
mkdir "$manifests/small"
if mount -t tmpfs -o size=16k weft-t-writable "$manifests/small" 2>/dev/null; then
	mounted=$manifests/small
	{ text full; seq 1500 | sed 's/^/# /'; } | head -c 7000 >"$mounted/full.yaml"
	head -c 4096 /dev/zero >"$mounted/ballast"
	cp "$mounted/full.yaml" "$dir/before"
	touch "$manifests/other.yaml"
	wait_for is full v
	out=$(patch full x)
	has "a full disk" "$out" "No space left on device"
	has "a full disk: nothing changed" "$out" '"code":500'
	cmp -s "$mounted/full.yaml" "$dir/before"
	ok "the file is as it was" $?
	same "the object too" "$(value full)" v
	same "nothing is left beside it" "$(strays)" 0
	rm "$mounted/ballast"
	patch full x >/dev/null
	same "with room again" "$(value full)" x
	mount -o remount,ro "$mounted"
	has "a file system that is read-only" "$(patch full y)" "Read-only file system"
	umount "$mounted"
	mounted=
fi

# somebody saves all the time, in both ways; none of his saves is lost
cat >"$dir/editor.py" <<'PY'
import os, re, sys
path, own = sys.argv[1], re.compile(r'# saved (\d+)\n')
lost = 0
for i in range(1, 301):
    text = open(path).read()
    seen = own.search(text)
    if i > 1 and (not seen or int(seen.group(1)) != i - 1):
        lost += 1
    text = own.sub('', text) + '# saved %d\n' % i
    if i % 2:
        with open(path + '.tmp~', 'w') as f:
            f.write(text)
        os.rename(path + '.tmp~', path)
    else:
        with open(path, 'r+') as f:
            f.seek(0)
            f.write(text)
            f.truncate()
print(lost)
PY
python3 "$dir/editor.py" "$f" >"$dir/lost" &
editor=$!
i=0 written=0
while kill -0 $editor 2>/dev/null; do
	i=$((i + 1))
	case $(patch a "r$i") in *'"code":4'* | *'"code":5'*) ;; *) written=$((written + 1)) ;; esac
done
wait $editor
same "saves of somebody else that were lost" "$(cat "$dir/lost")" 0
[ $written -gt 0 ]
ok "while changes of ours went in" $?
same "the file is whole" "$(sed 's/k: [a-z0-9]*/k: v/; /^# saved/d' "$f")" "$(text a b)"
same "nothing is left beside it" "$(strays)" 0

# killed at any moment, hub and writer
whole=0
for turn in 1 2 3 4 5 6 7 8; do
	(while :; do patch a "t$turn" && patch a "u$turn"; done) >/dev/null 2>&1 &
	busy=$!
	sleep "0.0$((turn * 11))"
	writer=$(pgrep -P "$pid")
	kill -9 "$writer" "$pid"
	wait "$pid" 2>/dev/null
	kill $busy 2>/dev/null
	wait $busy 2>/dev/null
	pid=
	[ "$(sed 's/k: [a-z0-9]*/k: v/; /^# saved/d' "$f")" = "$(text a b)" ] && whole=$((whole + 1))
	start --sandbox --writable
done
same "after each kill the file is whole" $whole 8
echo "half of a te" >"$manifests/.a.yaml.weft-new" # as one that was killed leaves it
patch a after >/dev/null
same "it writes on" "$(value a)" after
same "what a killed one left is gone" "$(strays)" 0
# Without its writer the hub says so, and changes nothing.
kill -9 "$(pgrep -P "$pid")"
cp "$f" "$dir/before"
has "a writer that is gone" "$(patch a gone)" "what writes files for the hub does not answer"
untouched "nothing is written"
same "nor in force" "$(value a)" after
stop TERM
same "the hub ends" "$ended" 0
finish
