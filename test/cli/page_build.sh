#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The page goes into the hub's program at build time: without npm the build goes on, and says how to get it; what is packed in is
# what was built.
cd "$(dirname "$0")/../.." || exit 1
. test/lint/tap.sh
mkdir -p "$tmp/bin" "$tmp/dist"
for tool in sh env python3 dirname mkdir mktemp rm cc cksum cat cmp mv flock tail; do
	at=$(command -v $tool) && ln -s "$at" "$tmp/bin/$tool"
done
python=$(python3 -c "import sys; print(sys.executable)")
PATH=$tmp/bin "$python" tools/embed "$tmp/none.c" "$tmp/none.d" "$tmp/dist" build >"$tmp/out" 2>&1 || echo "it failed" >"$tmp/bad"
grep -q "no node and npm here" "$tmp/out" || cat "$tmp/out" >>"$tmp/bad"
grep -q "bundle_len = 0;" "$tmp/none.c" || echo "something is packed in" >>"$tmp/bad"
[ -f "$tmp/bad" ] || : >"$tmp/bad"
check "without npm the build goes on, and says so" "$tmp/bad"
grep -o 'web/[^ ]*' "$tmp/none.d" | grep -c . >"$tmp/deps"
[ "$(cat "$tmp/deps")" -gt 10 ] && : >"$tmp/deps"
check "it is built again when the page changes" "$tmp/deps"
grep -q "none.c.failed" "$tmp/none.d" && [ ! -e "$tmp/none.c.failed" ] && : >"$tmp/again" || echo "nothing in $tmp/none.d is missing" >"$tmp/again"
check "what could not be built is tried again, though nothing changed" "$tmp/again"
PATH=$tmp/bin "$python" tools/embed "$tmp/off.c" "$tmp/off.d" "$tmp/dist" none && ! grep -q failed "$tmp/off.d" && : >"$tmp/off" || cat "$tmp/off.d" >"$tmp/off"
check "what nobody wants is not" "$tmp/off"
finish
