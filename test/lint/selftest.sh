#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each lint check can fail: a small tree with one fault at a time, and the check that must find it. Not run on the real
# tree; run-tests' own reading of TAP is held here too.
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
n=0
bad=0
spdx='/* SPDX-License-Identifier: Apache-2.0 */'
# finds CHECK WORD: the check fails on the tree, and says WORD.
finds() {
	n=$((n + 1))
	LINT_ROOT=$tree WEFT_BUILD=$tree/build "$here/$1.sh" >"$tree/.out" 2>&1
	if [ $? != 0 ] && grep -q "^# .*$2" "$tree/.out"; then
		echo "ok $n - $1 finds: $2"
	else
		echo "not ok $n - $1 finds: $2"
		sed 's/^/# /' "$tree/.out"
		bad=1
	fi
}
fresh() {
	rm -rf "$tree"/*
	mkdir -p "$tree/src/base" "$tree/src/object" "$tree/src/apply" "$tree/src/compile" "$tree/test/lint" "$tree/bpf"
	cp "$top/.clang-format" "$tree/.clang-format"
	cp "$here/cppcheck.suppress" "$tree/test/lint/"
}

fresh
printf '%s\n#include "object/object.h"\n' "$spdx" >"$tree/src/base/a.c"
finds includes 'base includes object'
fresh
printf '%s\n#include "object/object.h"\n' "$spdx" >"$tree/src/apply/a.c"
finds includes 'apply never includes object'
fresh
printf '%s\n#include "source/dir.h"\n' "$spdx" >"$tree/src/compile/a.c"
finds includes 'neighbour'

fresh
mkdir -p "$tree/build/src/compile"
printf '#include <stdlib.h>\nint counter_of_calls = 3;\nchar *f(void) { counter_of_calls++; return getenv("HOME"); }\n' >"$tree/x.c"
(cd "$tree" && ${CC:-cc} -c x.c && ar rc build/src/compile/libcompile.a x.o)
finds purity 'getenv is called'
finds purity 'counter_of_calls is a variable'

fresh
{ echo "$spdx"; echo 'int f(void);'; echo 'int f(void)'; echo '{'; seq 1 101 | sed 's,.*,	;,'; echo '}'; } >"$tree/src/base/a.c"
finds sizes 'a.c:f: 103 lines'
fresh
{ echo "$spdx"; seq 1 801 | sed 's,.*,/* & */,'; } >"$tree/src/base/a.h"
finds sizes 'a.h: 802 lines'
fresh
{ echo "$spdx"; seq 1 251 | sed 's,.*,/* & */,'; } >"$tree/bpf/entry.bpf.c"
finds sizes 'entry.bpf.c: 252 lines'
fresh
echo "$spdx" >"$tree/src/base/a.h"
echo 'src/base/a.h 900' >"$tree/test/lint/sizes.exceptions"
finds sizes 'shrink or drop'

fresh
printf '%s\nint  x ;\n' "$spdx" >"$tree/src/base/a.c"
command -v clang-format-14 >/dev/null 2>&1 && finds format 'a.c:2'

fresh
echo "$spdx" >"$tree/src/base/util.c"
finds house 'util.c'
fresh
echo 'int x;' >"$tree/src/base/a.c"
finds house 'a.c'
fresh
printf '%s\nint x;\n' "$spdx" >"$tree/src/base/a.c"
finds house 'opens with no paragraph'
fresh
printf '%s\n/* One. */\n' "$spdx" >"$tree/bpf/a.h"
finds house 'bpf/a.h'
fresh
printf '%s\n/* One. */\nvoid f(char *a) { strcpy(a, "b"); }\n' "$spdx" >"$tree/src/base/a.c"
finds house 'strcpy'
fresh
printf '%s\n/* TO''DO: the rest */\n' "$spdx" >"$tree/src/base/a.c"
finds house 'the rest'
fresh
printf '{ "resolved": "https://example.org/x.tgz" }\n' >"$tree/package-lock.json"
finds house 'package-lock.json'
fresh
printf '%s\n/* One. */ \n' "$spdx" >"$tree/src/base/a.c"
finds house 'blank at the end'

fresh
printf '%s\n/* One. */\nint f(void)\n{\n\tint a[2] = {0};\n\treturn a[3];\n}\n' "$spdx" >"$tree/src/base/a.c"
command -v cppcheck >/dev/null 2>&1 && finds cppcheck 'arrayIndexOutOfBounds'

fresh
cp -r "$top/tables" "$top/doc" "$tree/"
mkdir -p "$tree/tools" && cp -r "$top/tools/gen" "$tree/tools/"
echo changed >>"$tree/doc/drops.md"
finds generated 'changed'

fresh
mkdir -p "$tree/test/run" "$tree/doc"
echo 'ok "NP01 open"' >"$tree/test/run/a.sh"
row() { echo "| $1 | holds | [run/a](../test/run/a.sh) | $2 |"; }
page() { # ID THAT IS LEFT OUT, RESULT OF THE OTHERS
	for id in $(seq -f 'NP%02g' 1 87) $(seq -f 'CN%02g' 1 22) $(seq -f 'SV%02g' 1 66) $(seq -f 'PR%02g' 1 34); do
		case $id in
		"$1") ;;
		CN22 | SV66) echo "| $id | holds | none | not yet |" ;;
		NP02) echo "| NP02 | holds | none | $2 |" ;;
		*) row "$id" "$2" ;;
		esac
	done >"$tree/doc/semantics.md"
}
page CN07 passed
finds semantics 'CN07 is not listed'
finds semantics 'NP02 names no test'
finds semantics 'NP03: test/run/a.sh does not name it'
finds semantics 'SV66 is not yet, and not in the list of such'
echo 'SV65 SV66 CN22' >"$tree/test/lint/semantics.notyet"
finds semantics 'SV65 is in the list of what is not yet, not so on the page'
finds semantics 'CN22 may not stand in semantics.notyet'
page none failed
finds semantics 'NP01'
mkdir -p "$tree/tools" && cp "$top/tools/semantics" "$tree/tools/"
printf 'failed\trun/a: NP01 open\n' >"$tree/results"
page none passed
n=$((n + 1))
said=$("$tree/tools/semantics" "$tree/results")
case $said in
*'NP01: doc/semantics.md says passed, the tests say failed') echo "ok $n - a page that praises what failed is told" ;;
*) echo "not ok $n - a page that praises what failed is told"; echo "# $said"; bad=1 ;;
esac

# The runner: what it counts.
n=$((n + 1))
fresh
mkdir -p "$tree/tools" "$tree/test/lint"
cp "$top/tools/run-tests" "$top/tools/run-one" "$tree/tools/"
printf '#!/bin/sh\nexit 0\n' >"$tree/tools/build"
printf '#!/bin/sh\necho 1..5; echo "ok 1 - a"; echo "not ok 2 - b # SKIP no root"; echo "not ok 3 - c"; echo "ok 4 - d # skip why"\nexit 1\n' >"$tree/test/lint/one.sh"
printf '#!/bin/sh\nkill -SEGV $$\n' >"$tree/test/lint/two.sh"
printf '#!/bin/sh\necho "1..0 # SKIP no kernel"\n' >"$tree/test/lint/three.sh"
printf '#!/bin/sh\necho 1..1; echo "ok 1 - x"; exit 99\n' >"$tree/test/lint/four.sh"
printf '#!/bin/sh\nexit 77\n' >"$tree/test/lint/five.sh"
printf '#!/bin/sh\nexit 0\n' >"$tree/test/lint/six.sh"
chmod +x "$tree"/tools/* "$tree"/test/lint/*.sh
last=$(BUILD=build DEBUG=build-debug "$tree/tools/run-tests" lint 2>&1 | tail -n 1)
# one: a passed, c failed and the plan broken, two skipped; two crashed; four ended badly after a pass; six passed.
if [ "$last" = "3 passed, 4 failed, 4 skipped" ]; then
	echo "ok $n - the runner counts passes, failures, skips, crashes and broken plans"
else
	echo "not ok $n - the runner counts passes, failures, skips, crashes and broken plans"
	echo "# it said: $last"
	bad=1
fi
echo "1..$n"
exit $bad
