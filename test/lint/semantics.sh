#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doc/semantics.md lists each behaviour of network policies once, none skipped; each names tests that are there and hold
# its id, and all of them passed when the page was written (tools/semantics).
. "$(dirname "$0")/tap.sh"
page=doc/semantics.md
[ -e "$page" ] || { skip "$page" "there is none"; finish; }

{ seq -f 'NP%02g' 1 87; seq -f 'CN%02g' 1 22; } >"$tmp/ids"
sed -n 's/^| \([NC][PN][0-9]*\) |.*/\1/p' "$page" >"$tmp/listed"
diff "$tmp/ids" "$tmp/listed" | sed -n 's/^< \(.*\)/\1 is not listed in its place/p; s/^> \(.*\)/\1 is no behaviour, or stands twice/p' >"$tmp/missing"
check "each id stands once, in order" "$tmp/missing"

grep '^| [NC][PN][0-9]* |' "$page" | while read -r row; do
	id=$(echo "$row" | cut -d' ' -f2)
	tests=$(echo "$row" | grep -o '(\.\./test/[^)]*)' | sed 's,^(\.\./,,; s,)$,,')
	[ -n "$tests" ] || echo "$id names no test"
	for t in $tests; do
		if [ ! -f "$t" ]; then
			echo "$id: $t is not there"
		elif ! { echo "$t"; cat "$t"; } | grep -qiE "(^|[^A-Za-z0-9])$id([^0-9]|\$)"; then
			echo "$id: $t does not name it"
		fi
	done
done >"$tmp/tests"
check "each id's tests are there and name it" "$tmp/tests"

grep '^| [NC][PN][0-9]* |' "$page" | grep -v '| passed |$' | cut -d' ' -f2 >"$tmp/results"
check "each id's tests passed" "$tmp/results"
finish
