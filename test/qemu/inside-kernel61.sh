#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What runs inside the 6.1 machine: every test program of test/bpf (each loads all of Weft's programs), then the
# scenes' core. Prints TAP, each program's own output as comments. Waits for nothing without a time limit.
n=0 bad=0
say() { # STATUS NAME
	n=$((n + 1))
	case $1 in
	0) echo "ok $n - $2" ;;
	77) echo "ok $n - $2 # SKIP $(sed -n 's/^.*# *SKIP *//p' /tmp/out | head -n 1)" ;;
	*) echo "not ok $n - $2 (status $1)"; bad=$((bad + 1)) ;;
	esac
}
# attempt NAME SECONDS COMMAND…: one point; the output as comments when it failed, else only the failed lines in it.
attempt() {
	name=$1 limit=$2
	shift 2
	timeout "$limit" "$@" >/tmp/out 2>&1 </dev/null
	status=$?
	# cmocka writes "not ok N # SKIP" for what it skips.
	if [ $status = 0 ] && grep '^not ok' /tmp/out | grep -qv '# *SKIP'; then
		status=1
	fi
	if [ $status != 0 ] && [ $status != 77 ]; then
		# What a failed check said stands before or after its line: all but the checks that passed.
		grep -Ev '^ok |^$' /tmp/out | tail -n 80 | sed 's/^#* */# /'
	else
		awk '/^ok/ && !/# *SKIP/ { n++ } /^ok.*# *SKIP/ { s++ } END { if (n + s) printf "# %d checks in it, %d skipped\n", n, s; exit !n && s }' /tmp/out ||
			status=77
	fi
	say $status "$name"
}

echo "# $(uname -sr), $(grep -c ^processor /proc/cpuinfo) CPUs"
case $(uname -r) in 6.1.*) say 0 "the kernel is a 6.1" ;; *) say 1 "the kernel is a 6.1" ;; esac
mkdir -p /tmp/bpffs
attempt "a bpffs can be mounted" 5 mount -t bpf bpf /tmp/bpffs
umount /tmp/bpffs
attempt "cgroup2 is there" 5 test -f /sys/fs/cgroup/cgroup.controllers
attempt "veth, vxlan and bridge devices" 10 sh -ec '
	ip link add a0 type veth peer name a1
	ip link add v0 type vxlan external dstport 4789
	ip link add b0 type bridge
	ip link del a0; ip link del v0; ip link del b0'

export WEFT_LIBEXEC=/opt/weft PATH=/opt/weft:$PATH CMOCKA_MESSAGE_OUTPUT=tap WEFT_INPUTS=/inputs
# Each program of the BPF object is a point of its own.
if [ -x /test/load-programs ]; then
	timeout 120 /test/load-programs >/tmp/loaded 2>&1
	grep '^#' /tmp/loaded
	grep -E '^(not )?ok' >/tmp/points </tmp/loaded
	while read -r line; do
		case $line in ok*) say 0 "loads: ${line#*- }" ;; *) say 1 "loads: ${line#*- }" ;; esac
	done </tmp/points
	[ -s /tmp/points ] || say 1 "the programs load: $(tail -n 1 /tmp/loaded)"
else
	say 1 "the build holds no load-programs"
fi
export WEFT_FILTER_FRAMES=1000 # of test/bpf/filter.c: this machine is slow
for t in /test/bpf/test*; do
	[ -x "$t" ] && attempt "bpf/$(basename "$t")" 120 "$t"
	[ -x "$t" ] || say 1 "test/bpf: the build holds no test program"
done
for t in run-sockets run-owner run-announce run-taps run-places; do
	attempt "run/$t" 120 "/test/run/$t" /opt/weft/weft-applier
done
if [ -x /opt/weft/weft ]; then
	# Emulation is ten times slower: a try may take longer before it counts as no.
	patience=
	weft test --help | grep -q -- --timeout && patience="--timeout 10000"
	while read -r scene options; do
		case $scene in '' | '#'*) continue ;; esac
		if [ -f "/test/scene/$scene" ]; then
			# shellcheck disable=SC2086
			attempt "scene/$scene" 240 weft test --tap $patience $options "/test/scene/$scene"
		else
			say 1 "scene/$scene: no such file"
		fi
	done </test/kernel61.scenes
fi
echo "1..$n"
[ "$bad" = 0 ]
