#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compile/, reason/, broker/, chain/, pcapng/ and tap/ are pure: their objects use only the C library calls of pure.symbols and what the rooms below them
# define; they hold no writable data. A call to open, time, printf, libbpf or a global variable fails here.
. "$(dirname "$0")/tap.sh"
build=${WEFT_BUILD:-$LINT_ROOT/build}
for room in compile reason broker chain pcapng tap; do
	lib=$build/src/$room/lib$room.a
	if [ ! -f "$lib" ]; then
		skip "$room/ is pure" "it is not built"
		continue
	fi
	# Thin archives name their members; nm takes both forms.
	for l in "$room" compile base object store filter chain; do
		[ -f "$build/src/$l/lib$l.a" ] && nm --defined-only "$build/src/$l/lib$l.a" 2>/dev/null
	done | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | sort -u >"$tmp/defined"
	nm -u "$lib" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u >"$tmp/used"
	sed 's/#.*//; s/ *$//' "$(dirname "$0")/pure.symbols" | grep . | sort -u >"$tmp/allowed"
	comm -23 "$tmp/used" "$tmp/defined" | comm -23 - "$tmp/allowed" | sed "s/\$/ is called by $room\/ and not in test\/lint\/pure.symbols/" >"$tmp/calls"
	check "$room/ calls nothing that is not pure" "$tmp/calls"
	# Symbols of base/ that touch the world, though they are defined in a room below.
	grep -xE 'log_at|log_open|clock_us|clock_wall|remarks_print' "$tmp/used" | sed 's/$/ touches the world/' >"$tmp/world"
	check "$room/ asks for no clock and writes no log" "$tmp/world"
	# Tables of constants that hold addresses lie in .data.rel.ro, which is not writable once the program runs.
	objdump -t "$lib" 2>/dev/null | awk '/ O / && $0 ~ /\.(data|bss)/ && $0 !~ /\.data\.rel\.ro/ { print $NF " is a variable that can be written" }' >"$tmp/data"
	check "$room/ has no writable globals" "$tmp/data"
done
finish
