#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doc/semantics.md lists each behaviour of policies, Services, probes, taps and filters once, none skipped; each names tests that are there
# and hold its id, and all of them passed when the page was written (tools/semantics). What is not built yet stands in
# test/lint/semantics.notyet, a list that only shrinks; on the page its result is "not yet". Policies are never there.
. "$(dirname "$0")/tap.sh"
page=doc/semantics.md
[ -e "$page" ] || { skip "$page" "there is none"; finish; }

rows() { grep -E '^\| (NP|CN|SV|PR|BR)[0-9]+ \|' "$page"; }
{ seq -f 'NP%02g' 1 87; seq -f 'CN%02g' 1 22; seq -f 'SV%02g' 1 66; seq -f 'PR%02g' 1 34; seq -f 'BR%02g' 1 96; } >"$tmp/ids"
rows | cut -d' ' -f2 >"$tmp/listed"
diff "$tmp/ids" "$tmp/listed" | sed -n 's/^< \(.*\)/\1 is not listed in its place/p; s/^> \(.*\)/\1 is no behaviour, or stands twice/p' >"$tmp/missing"
check "each id stands once, in order" "$tmp/missing"

list=test/lint/semantics.notyet
grep -v '^#' "$list" 2>/dev/null | tr -s ' ' '\n' | grep . | sort >"$tmp/notyet"
rows | grep '| not yet |$' | cut -d' ' -f2 | sort >"$tmp/marked"
{
	grep -vE '^(SV|PR|BR)[0-9][0-9]$' "$tmp/notyet" | sed 's/$/ may not stand in '"$(basename $list)/"
	diff "$tmp/notyet" "$tmp/marked" | sed -n 's/^< \(.*\)/\1 is in the list of what is not yet, not so on the page/p; s/^> \(.*\)/\1 is not yet, and not in the list of such/p'
} >"$tmp/later"
check "what is not yet is what the list of such says" "$tmp/later"

rows | grep -v '| not yet |$' | while read -r row; do
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

rows | grep -vE '\| (passed|not yet) \|$' | cut -d' ' -f2 >"$tmp/results"
check "each id's tests passed" "$tmp/results"
finish
