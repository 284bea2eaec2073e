# SPDX-License-Identifier: Apache-2.0
# Sourced by the lint checks: LINT_ROOT is the tree under test, check() prints one TAP line. Not a test itself.
LINT_ROOT=${LINT_ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$LINT_ROOT" || exit 1
tap_n=0
tap_bad=0

# check NAME FILE: passes when FILE, the list of what is wrong, is empty.
check() {
	tap_n=$((tap_n + 1))
	if [ -s "$2" ]; then
		tap_bad=1
		echo "not ok $tap_n - $1"
		sed 's/^/# /' "$2" | head -n 40
	else
		echo "ok $tap_n - $1"
	fi
}
skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}
finish() {
	echo "1..$tap_n"
	exit $tap_bad
}
# The tree's own files: what git knows of, else what lies there.
files() {
	if [ -e .git ]; then
		git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -e "$f" ] && echo "$f"; done
	else
		for pattern in "$@"; do find . -type f -name "$pattern" | sed 's,^\./,,'; done
	fi
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
