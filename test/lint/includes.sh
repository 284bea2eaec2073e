#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The order of the rooms: what a file in src/ROOM/ may include: base < {filter, pcapng, tap} < object < {store, chain} < {source,
# compile, broker, observe} < {apply, serve} < programs; rooms of one rank do not see each other; apply never sees object.
. "$(dirname "$0")/tap.sh"
files '*.c' '*.h' | grep -E '^src/[a-z]+/' | while read -r f; do
	sed -n 's/^#include "\([a-z]*\)\/\([^"]*\)".*/\1 \2/p' "$f" | while read -r to header; do
		echo "$f $(echo "$f" | cut -d/ -f2) $to $header"
	done
done | awk '
BEGIN {
	split("base filter object store source compile observe apply serve hub agent cni sandbox cli standin reason box pcapng chain broker tap copier", rooms)
	split("0 1 2 3 4 4 4 5 5 6 6 6 6 6 6 5 6 1 3 4 1 6", ranks)
	for (i in rooms) rank[rooms[i]] = ranks[i]
	# A program that is partly a library of another one.
	allowed["cli sandbox"] = allowed["cli hub"] = allowed["sandbox standin"] = 1
	allowed["agent copier"] = allowed["cli copier"] = allowed["cli agent"] = allowed["copier agent"] = 1
}
$3 == "seam" || $3 == "tables" || $3 == $2 { next }
!($3 in rank) { next }
!($2 in rank) { print $1 ": the room " $2 " has no rank in this test"; next }
$2 == "apply" && $3 == "object" { print $1 ": apply never includes object (" $3 "/" $4 ")"; next }
rank[$3] > rank[$2] { print $1 ": " $2 " includes " $3 "/" $4 ", which comes after it"; next }
rank[$3] == rank[$2] && !(($2 " " $3) in allowed) { print $1 ": " $2 " includes its neighbour " $3 "/" $4 }
' >"$tmp/order"
check "include order of the rooms" "$tmp/order"
finish
