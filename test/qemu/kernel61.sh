#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The 6.1 kernel test: boots Debian's stock kernel (test/qemu/vm) with what $BUILD holds and runs inside-kernel61.sh
# there. Prints TAP; skipped whole where QEMU or the kernel package cannot be had. Called by tools/run-tests.
set -u
cd "$(dirname "$0")/../.."
export BUILD="${BUILD:-build}"
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# find_program NAME: where the build put it.
find_program() {
	find "$BUILD" -type f -perm -u+x -name "$1" ! -path '*/kernel61/*' | head -n 1
}

for p in weft weft-hub weft-agent weft-planner weft-applier weft-observer weft-standin; do
	at=$(find_program "$p")
	[ -n "$at" ] && echo "program $at /opt/weft/$p" >>"$list"
done
loader=$(find_program load-programs)
[ -n "$loader" ] && echo "program $loader /test/load-programs" >>"$list"
# Programs that Weft or its tests start; busybox has some of the names, but not what is asked of them.
for p in unbound unbound-control unbound-checkconf ping bpftool tc; do
	at=$(command -v $p || ls /usr/sbin/$p 2>/dev/null) && echo "program $at /bin/$p" >>"$list"
done
for t in "$BUILD"/test/bpf/test[-_]*; do
	[ -f "$t" ] && [ -x "$t" ] && echo "program $t /test/bpf/$(basename "$t")" >>"$list"
done
# A scripted planner at the real applier: what it does with sockets, owners, announcements and taps is the kernel's word too.
for t in run-sockets run-owner run-announce run-taps run-places; do
	at=$(find_program "$t")
	[ -n "$at" ] && echo "program $at /test/run/$t" >>"$list"
done
[ -d test/scene ] && echo "file test/scene /test/scene" >>"$list"
echo "file test/qemu/kernel61.scenes /test/kernel61.scenes" >>"$list"
if [ -n "${WEFT_INPUTS:-}" ] && [ -d "$WEFT_INPUTS" ]; then
	echo "file $WEFT_INPUTS/online-boutique /inputs/online-boutique" >>"$list"
	echo "file $WEFT_INPUTS/policy-recipes /inputs/policy-recipes" >>"$list"
fi
test/qemu/vm -t "${KERNEL61_SECONDS:-600}" -m 1536 test/qemu/inside-kernel61.sh <"$list"
status=$?
if [ "$status" = 77 ]; then
	echo "1..0 # SKIP the 6.1 kernel test: QEMU, busybox or the kernel package cannot be had"
	exit 0
fi
exit "$status"
