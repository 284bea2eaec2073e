#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file stands as .clang-format has it (make format).
. "$(dirname "$0")/tap.sh"
if ! command -v clang-format-14 >/dev/null 2>&1; then
	skip "C files are formatted" "no clang-format-14"
	finish
fi
files '*.c' '*.h' | xargs -r -n 32 clang-format-14 --dry-run -Werror 2>&1 | sed -n 's/^\([^ ]*:[0-9]*\):.*error: .*/\1: not formatted/p' |
	awk -F: '!seen[$1]++' >"$tmp/bad"
check "C files are formatted (make format)" "$tmp/bad"
finish
