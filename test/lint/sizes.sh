#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Budgets: a file has at most 800 lines (an entry program in bpf/ 250), a function at most 100. Exceptions stand in
# sizes.exceptions as "FILE LINES" or "FILE:FUNCTION LINES"; one that is no longer needed, or larger than needed, fails
# too, so the list only shrinks.
. "$(dirname "$0")/tap.sh"
exceptions=$LINT_ROOT/test/lint/sizes.exceptions
[ -f "$exceptions" ] || exceptions=/dev/null

files '*.c' '*.h' | grep -vE '^tables/' >"$tmp/list"
xargs wc -l <"$tmp/list" | awk '$2 != "total" { print $2, $1, ($2 ~ /^bpf\/[^\/]*\.c$/) ? 250 : 800 }' >"$tmp/sizes"
# A function's body starts and ends with a brace in the first column; its name is the last word before a "(".
while read -r f; do
	awk -v file="$f" '
	/^[A-Za-z_].*\(/ && !/;$/ && !/^#/ { head = $0; sub(/\(.*/, "", head); sub(/.*[ *]/, "", head) }
	/^\{/ { start = NR }
	/^\}/ && start { print file ":" head, NR - start + 1, 100; start = 0 }' "$f"
done <"$tmp/list" >>"$tmp/sizes"
awk -v exceptions="$exceptions" '
BEGIN { while ((getline line < exceptions) > 0) if (line !~ /^#/ && split(line, w, " ") >= 2) may[w[1]] = w[2] }
$2 > $3 && !($1 in may) { print $1 ": " $2 " lines, the budget is " $3 }
$1 in may && $2 > may[$1] { print $1 ": " $2 " lines, its exception allows " may[$1] }
$1 in may && $2 < may[$1] { print $1 ": " $2 " lines; shrink or drop its exception of " may[$1] }
{ seen[$1] = 1 }
END { for (f in may) if (!(f in seen)) print f ": an exception for what is not there" }' "$tmp/sizes" >"$tmp/over"
check "files and functions keep their budgets" "$tmp/over"
finish
