#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a hub must refuse and outlive: hub_bad.py.
cd "$(dirname "$0")/../.." || exit 1
. test/run/hub_lib
start --sandbox --no-tls
timeout 240 python3 test/run/hub_bad.py "$run/hub.sock" "$pid" >"$dir/out" 2>"$dir/err"
ended=$?
while read -r answer what; do
	case $answer in
	yes) ok "$what" 0 ;;
	*) ok "$answer $what" 1 ;;
	esac
done <"$dir/out"
same "all parts came to their end" "$ended" 0
sed "s,^,# ," "$dir/err"
serving >/dev/null
ok "the hub serves on" $?
stop TERM
same "and ends in order" "$ended" 0
finish
