#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cppcheck finds nothing of the kinds warning, portability and performance in src/.
. "$(dirname "$0")/tap.sh"
if ! command -v cppcheck >/dev/null 2>&1; then
	skip "cppcheck" "it is not installed"
	finish
fi
cppcheck -j 2 -q --std=c11 --enable=warning,portability --inline-suppr --suppressions-list=test/lint/cppcheck.suppress \
	--max-configs=2 -I. -Isrc -D_GNU_SOURCE -DWEFT_VERSION='"0"' --template='{file}:{line}: {id}: {message}' \
	src 2>"$tmp/found" >/dev/null
check "cppcheck finds nothing" "$tmp/found"
finish
