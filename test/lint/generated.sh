#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pages made from tables/ are what tools/gen/all would write now.
. "$(dirname "$0")/tap.sh"
export BUILD="${WEFT_BUILD:-$LINT_ROOT/build}"
tools/gen/all "$tmp/doc" >"$tmp/log" 2>&1 || cat "$tmp/log" >"$tmp/failed"
touch "$tmp/failed"
check "the generator runs" "$tmp/failed"
for page in maps.md drops.md counters.md kinds.md checks.md filters.md; do
	if [ ! -e "$tmp/doc/$page" ]; then
		skip "doc/$page is current" "the program is not built"
		continue
	fi
	diff -u "doc/$page" "$tmp/doc/$page" >"$tmp/diff" 2>&1 || [ -s "$tmp/diff" ]
	check "doc/$page is current (make gen)" "$tmp/diff"
done
if [ -d "$tmp/doc/man" ]; then
	diff -ru doc/man "$tmp/doc/man" >"$tmp/diff" 2>&1
	check "doc/man is current (make gen)" "$tmp/diff"
	# As both readers of manual pages take them.
	if command -v mandoc >/dev/null 2>&1; then
		(cd "$tmp/doc/man" && mandoc -Tlint -W warning ./*.1) >"$tmp/roff" 2>&1
		check "mandoc has nothing to say about the manual pages" "$tmp/roff"
	else
		skip "mandoc has nothing to say about the manual pages" "no mandoc here"
	fi
	if command -v groff >/dev/null 2>&1 && command -v man >/dev/null 2>&1; then
		for page in "$tmp"/doc/man/*.1; do
			MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -P cat -l "$page" 2>&1 >/dev/null
		done >"$tmp/groff"
		check "nor has groff" "$tmp/groff"
	else
		skip "nor has groff" "no man-db with groff here"
	fi
else
	skip "doc/man is current" "the program is not built"
fi
finish
