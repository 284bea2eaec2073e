#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pages made from tables/ are what tools/gen/all would write now.
. "$(dirname "$0")/tap.sh"
export BUILD="${WEFT_BUILD:-$LINT_ROOT/build}"
tools/gen/all "$tmp/doc" >"$tmp/log" 2>&1 || cat "$tmp/log" >"$tmp/failed"
touch "$tmp/failed"
check "the generator runs" "$tmp/failed"
for page in maps.md drops.md counters.md kinds.md checks.md filters.md weft.1; do
	if [ ! -e "$tmp/doc/$page" ]; then
		skip "doc/$page is current" "the program is not built"
		continue
	fi
	diff -u "doc/$page" "$tmp/doc/$page" >"$tmp/diff" 2>&1 || [ -s "$tmp/diff" ]
	check "doc/$page is current (make gen)" "$tmp/diff"
done
finish
