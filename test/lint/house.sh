#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# House rules that a search can tell: file names, licence line, opening paragraph, calls that are never right, words
# that promise something undone, addresses that do not belong here.
. "$(dirname "$0")/tap.sh"

files | grep -E '(^|/)(common\.h|utils?\.[ch]|misc\.[ch]|helpers?\.[a-z]+|shared\.h)$' >"$tmp/names"
check "no file that is a place for everything" "$tmp/names"

files '*.c' '*.h' '*.def' '*.sh' 'web/*.ts' 'web/*.svelte' 'web/*.mjs' 'test/browser/*.mjs' | while read -r f; do
	head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' || echo "$f"
done >"$tmp/spdx"
check "each source file names its licence" "$tmp/spdx"

files '*.c' '*.h' | grep -E '^(bpf|seam)/' | while read -r f; do
	head -n 1 "$f" | grep -qF '(GPL-2.0-only OR BSD-2-Clause)' || echo "$f"
done >"$tmp/dual"
check "what the kernel loads is dual BSD/GPL" "$tmp/dual"

files '*.c' '*.h' '*.def' | while read -r f; do
	sed -n '2,3p' "$f" | grep -qE '^(/\*|//)' || echo "$f: opens with no paragraph"
done >"$tmp/opening"
check "each C file opens with a paragraph" "$tmp/opening"

files '*.c' '*.h' | grep -E '^(src|bpf|seam)/' | xargs -r grep -HnE '(^|[^a-z_])(strcpy|strcat|sprintf|vsprintf|gets|alloca|atoi|atol|strtok) *\(' >"$tmp/calls"
check "no call that cannot be used safely" "$tmp/calls"

words='TO''DO|FIX''ME|XX''X|HA''CK'
files '*.c' '*.h' '*.def' '*.sh' '*.md' '*.yaml' '*.ts' '*.svelte' '*.mjs' 'meson.build' 'Makefile' 'tools/*' | sort -u |
	xargs -r grep -HnE "(^|[^A-Za-z])($words)([^A-Za-z]|\$)" >"$tmp/undone"
check "no word that promises something undone" "$tmp/undone"

files '*package-lock.json' '*.md' '*.txt' '*.sh' | sort -u | grep -vE '^(LICENSES/|test/lint/)' | xargs -r grep -HnE '"resolved": *"http|registry\.|/work/|file:///' >"$tmp/addresses"
check "no address of a machine or a registry" "$tmp/addresses"

files '*.c' '*.h' | xargs -r awk 'FNR == 1 { bom = substr($0, 1, 3) == "\357\273\277" } /[ \t]+$/ { print FILENAME ":" FNR ": blank at the end of the line" } /\r$/ { print FILENAME ":" FNR ": carriage return" }' >"$tmp/blanks"
check "no blank at the end of a line" "$tmp/blanks"
finish
