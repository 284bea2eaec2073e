#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft doctor --fix` (always with --name here: others' clusters are none of this test's business): removes what a killed cluster left and nothing else: not a running cluster, not a folder without a
# lock, not a namespace or cgroup that is only called like ours.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
dead=t-dead-$$
live=t-live-$$
stray=t-stray-$$
n=0
bad=0
if ! "$weft" doctor >/dev/null 2>&1; then
	echo "1..0 # SKIP this machine cannot run a cluster"
	exit 77
fi
tmp=$(mktemp -d)
cgroup=$(awk '$9 == "cgroup2" || $8 == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
trap '"$weft" down --name $dead >/dev/null 2>&1; "$weft" down --name $live >/dev/null 2>&1
	ip netns del weft-$stray-fabric 2>/dev/null; rmdir "$cgroup/weft.$stray" /run/weft/$stray 2>/dev/null; rm -rf "$tmp"' EXIT
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
# Everything on this machine that carries the dead cluster's name.
traces() {
	ip netns list 2>/dev/null | grep "weft-$dead-" || true
	ls -d /run/weft/$dead "$cgroup/weft.$dead" 2>/dev/null || true
	grep "/$dead/" /proc/mounts || true
	for p in /proc/[0-9]*; do
		{ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null | grep -E "weft-(hub|agent|planner|applier|observer|standin).*(--name $dead |/$dead/)" || true
	done
}
cp -r examples/ci/k8s "$tmp/k8s"
chmod a+rx "$tmp" && chmod -R a+rX "$tmp/k8s"
run 0 up -d --name $dead "$tmp/k8s" && run 0 up -d --name $live "$tmp/k8s"
ok "two clusters" $?
run 0 doctor --fix --dry-run && says "left alone: cluster \"$dead\" runs" && says "left alone: cluster \"$live\" runs" && run 0 doctor --fix --name $dead && ! says removed: &&
	run 0 doctor && ! says "$dead"
ok "nothing is left over while they run" $?
pid=$(head -n 1 /run/weft/$dead/lock)
kill -9 "$pid"
wait_for sh -c "! kill -0 $pid"
ip netns add weft-$stray-fabric && mkdir -p "$cgroup/weft.$stray"
run 0 doctor && says leftovers && says "$dead" && ! says "$live" && run 0 doctor -o json &&
	python3 -c 'import json,sys; c=[c for c in json.load(open(sys.argv[1]))["checks"] if c["check"] == "leftovers"]; assert c[0]["state"] == "left" and sys.argv[2] in c[0]["found"] and "--fix" in c[0]["advice"]' "$tmp/out" $dead 2>>"$tmp/err"
ok "doctor tells of what a killed one left" $?
traces >"$tmp/before"
run 0 doctor --fix --dry-run && says "would remove: cluster \"$dead\"" && traces >"$tmp/after" && [ -s "$tmp/before" ] && cmp -s "$tmp/before" "$tmp/after"
ok "--dry-run says it and removes nothing" $?
mkdir /run/weft/$stray
run 0 doctor --fix --name $live && says "left alone: cluster \"$live\" runs" && run 0 doctor --fix --name $stray && says "left alone: /run/weft/$stray has no lock file" &&
	run 0 doctor --fix --name $dead && says "removed: cluster \"$dead\"" && ! says "$live" && traces >"$tmp/out" && [ ! -s "$tmp/out" ]
ok "--fix removes all of it, and says so" $?
rmdir /run/weft/$stray
run 0 doctor --fix --name $stray && says "left alone: /run/netns/weft-$stray-fabric" && says "weft.$stray" && ! says 'removed:' && ip netns list | grep -q "weft-$stray-fabric" && [ -d "$cgroup/weft.$stray" ]
ok "what is only called like ours is told and left alone" $?
run 0 get pods -n shop --name $live -o name && wait_for sh -c "'$weft' reach --name $live --from shop/page --to shop/store | grep -q yes"
ok "the running cluster still runs" $?
run 2 doctor --dry-run && says -- '--dry-run goes with --fix'
ok "--dry-run alone" $?
if command -v setpriv >/dev/null 2>&1; then
	cp "$weft" "$tmp/weft"
	setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs "$tmp/weft" doctor --fix >"$tmp/out" 2>"$tmp/err"
	[ $? = 1 ] && says 'needs root'
	ok "--fix without root" $?
fi
echo "1..$n"
exit $bad
