#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft get` as users of kubectl expect it: forms, selectors, order, names that are nearly right; colours; and following
# changes over a hub that is killed.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
name=t-get-$$
tmp=$(mktemp -d)
watchers=
n=0
bad=0
trap 'for w in $watchers; do kill $w 2>/dev/null; done; "$weft" down --name $name >/dev/null 2>&1; rm -rf "$tmp"' EXIT
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 30
		bad=1
	fi
}
run() {
	want=$1
	shift
	COLUMNS=200 "$weft" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }
wait_for() {
	end=$(($(date +%s) + 30))
	while [ "$(date +%s)" -lt $end ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}
is() { printf '%b' "$1" | cmp -s - "$tmp/out"; }
json() { python3 -c "import json,sys
d = json.load(open(sys.argv[1]))
assert $1" "$tmp/out" 2>>"$tmp/err"; }

# Without a cluster.
f="-f examples/ci/k8s"
run 0 get deploy -n shop $f -o jsonpath='{range .items[*]}{.metadata.name}={.spec.replicas}{"\n"}{end}' && is 'page=2\nstore=1\n'
ok "jsonpath: a range" $?
run 0 get deploy -n shop $f -o 'jsonpath={.items[?(@.spec.replicas>1)].metadata.name} {.items[-1:].metadata.name} {.items[0].spec.template.metadata.labels.app}' && is 'page store page'
ok "jsonpath: filters, slices, members" $?
run 0 get deploy page -n shop $f -o jsonpath=.metadata.name && is page && run 0 get deploy page -n shop $f -o "jsonpath={..containerPort}{.no.such}{['kind']}" && is 8080Deployment
ok "jsonpath: without braces, below, what is not there" $?
r=0
for path in '{.items[0}' '{.items[x]}' '{items}' '{.a b[}' '{range .items[*]}{.x[}{end}'; do
	run 2 get deploy -n shop $f -o "jsonpath=$path" && says 'jsonpath: ' || r=1
done
ok "jsonpath: what is wrong is told" $r
run 0 get deploy -n shop $f -o custom-columns=NAME:.metadata.name,N:.spec.replicas --no-headers && is 'page   2\nstore  1\n' && run 2 get deploy -n shop $f -o custom-columns=NAME && says 'has no path'
ok "custom columns" $?
run 0 get deploy/page svc/store -n shop $f -o json && json '[i["kind"] for i in d["items"]] == ["Deployment", "Service"]' && run 2 get deploy/page store $f && says 'is no KIND/NAME' && run 2 get deplo/page $f && says 'did you mean deployment'
ok "KIND/NAME" $?
run 1 get deploy stora -n shop $f && says 'did you mean store?' && run 1 get deploy store $f && says 'there is one in namespace shop'
ok "a name that is nearly right, in files" $?
run 2 get deploy -n shop $f -o jason && says 'did you mean json?' && run 2 gett && says 'did you mean `weft get`?' && run 2 get pods --selektor x && says 'did you mean --selector?' && run 2 get servises && says 'did you mean services?'
ok "values, commands, options and kinds that are nearly right" $?

# Colours: --color goes before NO_COLOR, that before CLICOLOR_FORCE, that before the terminal.
colored() { "$@" 2>/dev/null | grep -q "$(printf '\033')"; }
on_terminal() { python3 - "$@" <<'P'
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
try:
    while chunk := os.read(fd, 4096):
        out += chunk
except OSError:
    pass
os.waitpid(pid, 0)
sys.stdout.buffer.write(out)
P
}
plain="env -u NO_COLOR -u CLICOLOR_FORCE -u CLICOLOR TERM=xterm"
! colored $plain "$weft" help get && colored $plain "$weft" help get --color && colored $plain "$weft" help get --color=always && colored $plain CLICOLOR_FORCE=1 "$weft" help get &&
	! colored $plain CLICOLOR_FORCE=0 "$weft" help get && ! colored $plain CLICOLOR_FORCE=1 NO_COLOR=1 "$weft" help get && colored $plain NO_COLOR=1 "$weft" help get --color=always &&
	! colored $plain CLICOLOR_FORCE=1 "$weft" help get --color=never
ok "colours by --color, NO_COLOR and CLICOLOR_FORCE" $?
colored on_terminal $plain "$weft" help get && ! colored on_terminal $plain NO_COLOR=1 "$weft" help get && ! colored on_terminal $plain CLICOLOR=0 "$weft" help get &&
	! colored on_terminal $plain "$weft" help get --color=never && ! colored on_terminal env -u NO_COLOR TERM=dumb "$weft" help get
ok "colours on a terminal" $?
run 2 get pods --color=sometimes && says 'auto, always, never'
ok "--color with another word" $?

if ! "$weft" doctor >/dev/null 2>&1; then
	n=$((n + 1))
	echo "ok $n - get of a running cluster # SKIP this machine cannot run one"
	echo "1..$n"
	exit $bad
fi
cp -r examples/ci/k8s "$tmp/k8s"
chmod a+rx "$tmp" && chmod -R a+rX "$tmp/k8s"
run 0 up -d --name $name "$tmp/k8s"
ok "a cluster" $?
c="--name $name"
run 0 get pods $c -n shop -l app=page -o name && [ "$(grep -c ^pod/page- "$tmp/out")" = 2 ] && [ "$(wc -l <"$tmp/out")" = 2 ] && run 0 get pods $c -A --field-selector metadata.namespace=shop,spec.nodeName=node-1 -o name && says pod/ && ! says kube-dns
ok "by labels and by fields" $?
run 0 get pods $c -A --sort-by .metadata.name -o wide --no-headers && awk '{print $2}' "$tmp/out" >"$tmp/names" && LC_ALL=C sort -c "$tmp/names" && [ "$(wc -l <"$tmp/names")" = 4 ] && run 0 get pods $c -A --sort-by .spec.nodeName && says NAMESPACE &&
	run 2 get pods $c -A --sort-by 'x[' && says 'sort-by'
ok "--sort-by, --no-headers, -o wide" $?
run 0 get pods $c -n shop --show-labels && says LABELS && says app=page,
ok "--show-labels" $?
run 0 get pod/"$("$weft" get pods $c -n shop -l app=store -o jsonpath='{.items[0].metadata.name}')" svc/store $c -n shop && says ClusterIP && says 'CLUSTER-IP' && says 'RESTARTS'
ok "objects of two kinds" $?
run 1 get svc stroe $c -n shop && says 'did you mean store?' && run 1 get svc store $c && says 'there is one in namespace shop: -n shop' && run 0 get pods $c -n shpo && says 'there is no namespace shpo; did you mean shop?' && run 1 get svc x $c -n shpo && says 'did you mean shop?'
ok "a name and a namespace that are nearly right" $?
run 1 reach $c --from shop/pgae && says 'did you mean shop/page?' && run 1 reach $c --to stor && says 'did you mean' && run 1 fault $c shop/stoer --crash && says 'did you mean' && run 2 why $c shop/pgae --ready && says 'did you mean' && run 1 drops $c --node node-3 && says 'did you mean node-'
ok "the same for reach, fault, why and drops" $?

"$weft" get pods $c -n shop -w -l app=page >"$tmp/table" 2>"$tmp/told" &
watchers="$watchers $!"
"$weft" get pods $c -n shop -w -o json --output-watch-events >"$tmp/lines" 2>/dev/null &
watchers="$watchers $!"
"$weft" get deploy store $c -n shop -w -o 'jsonpath={.metadata.name} {.spec.replicas}' >"$tmp/one" 2>/dev/null &
watchers="$watchers $!"
running() { [ "$(grep -c 'Running' "$tmp/table")" -ge "$1" ] && [ -s "$tmp/lines" ] && [ -s "$tmp/one" ]; }
wait_for running 2
ok "watches show what is there" $?
lines_before=$(wc -l <"$tmp/table")
hub=$(for p in /proc/[0-9]*; do { tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -q "^[^ ]*weft-hub --name $name " && basename "$p"; done | head -n 1)
kill -9 "$hub"
wait_for grep -q 'the hub is back' "$tmp/told"
r=$?
sed -i 's/replicas: 2/replicas: 3/' "$tmp/k8s/shop.yaml"
wait_for running 3 || r=1
wait_for sh -c "grep '\"ADDED\"' '$tmp/lines' | grep -c '\"app\":\"page\"' | grep -qx 3" || r=1
cp "$tmp/table" "$tmp/out"
cp "$tmp/told" "$tmp/err"
ok "a killed hub is told, waited for, and what comes after is shown" $r
head -n 1 "$tmp/table" | grep -q '^NAME ' && [ "$(grep -c '^NAME ' "$tmp/table")" = 1 ] && [ "$(sed -n "2,${lines_before}p" "$tmp/table" | awk '{print $1}' | sort -u | wc -l)" = 2 ]
ok "one line of headings; what did not change is not shown again" $?
sed -i 's/replicas: 3/replicas: 1/;0,/replicas: 1$/b;s/replicas: 1$/replicas: 2/' "$tmp/k8s/shop.yaml"
wait_for grep -q '^store 2$' "$tmp/one" && wait_for sh -c "[ \$(grep -c '\"DELETED\"' '$tmp/lines') -ge 2 ]"
r=$?
python3 -c 'import json,sys
for l in open(sys.argv[1]): assert json.loads(l)["object"]["kind"] == "Pod", l' "$tmp/lines" 2>"$tmp/err" || r=1
cp "$tmp/lines" "$tmp/out"
ok "deletions, one object alone, one line of JSON for each" $r
run 0 down $c
r=$?
for w in $watchers; do
	wait_for sh -c "! kill -0 $w" || r=1
	wait "$w" && r=1
done
watchers=
grep -q "the cluster \"$name\" is gone" "$tmp/told" || r=1
cp "$tmp/told" "$tmp/err"
ok "a watch ends with its cluster, and says so" $r
echo "1..$n"
exit $bad
