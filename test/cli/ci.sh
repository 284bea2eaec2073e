#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft test` in CI: statuses, JUnit, SARIF, annotations; and the very commands of examples/ci, taken out of the example
# files and run in a fresh clone of a fresh repository. Two things are not as at the services: packages are looked up, not
# installed; and `make install` of the fresh clone of Weft installs what is built already (BUILD), not a second build.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
weft=$(realpath "${WEFT:-build/src/cli/weft}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
bad=0
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		cat "$tmp/out" "$tmp/err" 2>/dev/null | head -n 30 | sed 's/^/# /'
		bad=1
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
run() {
	want=$1
	shift
	(cd "$at" && "$weft" "$@") >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }
# JUnit by its schema, and by a reader that others wrote.
junit_is() { # FILE TESTS FAILURES ERRORS SKIPPED
	if command -v xmllint >/dev/null 2>&1; then
		xmllint --noout --schema "$root/test/cli/ci/junit.xsd" "$1" >"$tmp/lint" 2>&1 || {
			sed 's/^/# /' "$tmp/lint"
			return 1
		}
	fi
	python3 - "$@" <<'P' 2>>"$tmp/err"
import sys
path, want = sys.argv[1], [int(x) for x in sys.argv[2:]]
try:
    from junitparser import JUnitXml
    x = JUnitXml.fromfile(path)
    said = [x.tests, x.failures, x.errors, x.skipped]
    x.update_statistics()
    assert said == [x.tests, x.failures, x.errors, x.skipped], said
except ImportError:
    import xml.etree.ElementTree as E
    x = E.parse(path).getroot()
    said = [int(x.get(k)) for k in ("tests", "failures", "errors", "skipped")]
assert said == want, said
P
}
sarif_is() { # FILE RULE PATH LINE COLUMN
	python3 - "$@" <<'P' 2>>"$tmp/err"
import json, sys
log, (rule, path, line, column) = json.load(open(sys.argv[1])), sys.argv[2:]
assert log["version"] == "2.1.0" and "sarif-2.1.0" in log["$schema"] and len(log["runs"]) == 1
run = log["runs"][0]
rules = run["tool"]["driver"]["rules"]
assert run["tool"]["driver"]["name"] == "weft test" and len({r["id"] for r in rules}) == len(rules)
places = set()
for r in run["results"]:
    assert rules[r["ruleIndex"]]["id"] == r["ruleId"] and r["message"]["text"] and r["level"] == "error"
    p = r["locations"][0]["physicalLocation"]
    region = p.get("region", {})
    assert not region or (region["startLine"] > 0 and region.get("endColumn", 2) > region.get("startColumn", 1))
    places.add((r["ruleId"], p["artifactLocation"]["uri"], str(region.get("startLine", "")), str(region.get("startColumn", ""))))
assert (rule, path, line, column) in places, places
P
}

at=$tmp/pages
mkdir -p "$at/many"
cat >"$at/good.yaml" <<'Y'
title: Only a & "b", <c> and 100%
cast: {pods: {a: {ports: [80]}, b: {}}}
expect: |
  from   a:80
  b      yes
Y
cat >"$at/bad.yaml" <<'Y'
title: What does not hold, has two places
cast:
  pods: {a: {ports: [80, 81]}, b: {}}
expect: |
  from       a:80   a:81

  b          yes    no
  outside    yes    yes
steps:
  - cast: {pods: {c: {}}}
    expect:
      reach: |
          from   a:80
          c      no
Y
printf 'title: x\ncast: {pods: {a: {label: {}}}}\n' >"$at/unread.yaml"
printf 'title: broken\ncast: {pods: {a: {\n' >"$at/broken.yaml"
printf 'title: needs a cluster\ncast: {pods: {a: {}}}\nsteps: [{run: "true"}]\n' >"$at/many/a.yaml"
cp "$at/good.yaml" "$at/many/b.yaml"
run 0 test --offline -o junit good.yaml && cp "$tmp/out" "$tmp/j.xml" && junit_is "$tmp/j.xml" 1 0 0 0
ok "all holds: status 0, and JUnit says so" $?
run 1 test --offline --junit "$tmp/j.xml" --sarif "$tmp/s.json" good.yaml bad.yaml && says 'bad.yaml:7:21: default/b → default/a:81: expected no, the model says yes' &&
	! says 'bad.yaml:8:' && junit_is "$tmp/j.xml" 2 1 0 0 && grep -q 'line="7"' "$tmp/j.xml" && sarif_is "$tmp/s.json" scene-expectation bad.yaml 7 21
ok "what does not hold: status 1, with line and column of the word in lines, JUnit and SARIF" $?
sed -i '7s/no$/yes/' "$at/bad.yaml"
run 1 test --offline --sarif "$tmp/s.json" bad.yaml && says 'bad.yaml:14:18: default/c → default/a:80' && says 'bad.yaml:10:5: step 1:' && sarif_is "$tmp/s.json" scene-expectation bad.yaml 14 18
ok "the same in a step, whose table is indented deeper" $?
sed -i '7s/yes$/no/' "$at/bad.yaml"
run 2 test --offline --junit "$tmp/j.xml" --sarif "$tmp/s.json" good.yaml unread.yaml broken.yaml nowhere.yaml && says 'unread.yaml:2:26: ' && says 'nowhere.yaml' &&
	junit_is "$tmp/j.xml" 4 0 3 0 && sarif_is "$tmp/s.json" scene-trouble unread.yaml 2 26 && sarif_is "$tmp/s.json" scene-trouble nowhere.yaml '' ''
ok "pages that cannot be read: status 2, errors and not failures" $?
run 0 test --offline --junit "$tmp/j.xml" many && junit_is "$tmp/j.xml" 2 0 0 1 && run 1 test --offline --no-skip many && says '1 skipped'
ok "all scenes of a folder; --no-skip fails on what is skipped" $?
run 2 test --offline --junit /dev/full good.yaml && says 'cannot write /dev/full' && run 2 test --offline --sarif "$tmp/none/s.json" good.yaml && says "$tmp/none/s.json"
ok "a report that cannot be written: status 2" $?
mkdir "$at/none"
run 2 test --offline none && says 'no scene in none'
ok "a folder without scenes" $?
run 1 test --offline -o github bad.yaml && says '::error file=bad.yaml,line=7,col=21,title=What does not hold%2C has two places::default/b → default/a:81: expected no, the model says yes (model)'
ok "annotations of GitHub Actions" $?
run 1 test --offline -o tap good.yaml bad.yaml && says 'not ok 2 - What does not hold' && says '1..2' && run 1 test --offline -o json good.yaml bad.yaml &&
	python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert (d["passed"], d["failed"]) == (1, 1) and d["scenes"][1]["failures"][0] == {"message": d["scenes"][1]["failures"][0]["message"], "line": 7, "column": 21}' "$tmp/out" 2>>"$tmp/err"
ok "TAP and JSON" $?
printf 'title: "odd \\x01 & \\uFFFE <x>"\ncast: {pods: {a: {ports: [80]}}}\nexpect: |\n  from a:80\n  x    yes\n' >"$at/odd.yaml"
run 1 test --offline --junit "$tmp/j.xml" odd.yaml && junit_is "$tmp/j.xml" 1 1 0 0
ok "a title that XML cannot hold" $?

# The examples. `origin` is the user's repository; the change of the branch opens the store to everybody.
if ! python3 -c 'import yaml' 2>/dev/null || ! command -v git >/dev/null 2>&1; then
	skip "the examples' own commands" "needs python3-yaml and git"
	echo "1..$n"
	exit $bad
fi
export HOME="$tmp/home" GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE 2>/dev/null
mkdir "$HOME"
git config --global user.name test && git config --global user.email test@localhost && git config --global init.defaultBranch main
git config --global protocol.file.allow always && git config --global --add safe.directory '*'
git init -q --bare "$tmp/origin.git" && git clone -q "$tmp/origin.git" "$tmp/first" 2>/dev/null
cp -r examples/ci/. "$tmp/first" && git -C "$tmp/first" add . && git -C "$tmp/first" commit -qm first && git -C "$tmp/first" push -q origin HEAD:main
git -C "$tmp/first" checkout -qb open && sed -i 's/{app: page}}}\]/{}}}]/' "$tmp/first/k8s/policies.yaml" &&
	sed -i 's/  - from: .*/  - from: [{namespaceSelector: {}}, {ipBlock: {cidr: 0.0.0.0\/0}}]/' "$tmp/first/k8s/policies.yaml" &&
	git -C "$tmp/first" commit -qam open && git -C "$tmp/first" push -q origin open
if [ -e .git ]; then
	git clone -q --bare "$root" "$tmp/weft.git" && git -C "$tmp/weft.git" branch -f under-test HEAD
else
	cp -r "$root" "$tmp/tree" && rm -rf "$tmp/tree"/build* && git -C "$tmp/tree" init -q && git -C "$tmp/tree" add -A && git -C "$tmp/tree" commit -qm tree &&
		git -C "$tmp/tree" branch under-test && git clone -q --bare "$tmp/tree" "$tmp/weft.git"
fi
PATH=$tmp/prefix/bin:$PATH
export PATH
# The steps of an example, one after the other, in a fresh clone of that revision. Says how each ended in $tmp/ends.
play() { # SERVICE FILE REVISION
	rm -rf "$tmp/steps" "$tmp/clone" "$tmp/prefix" "$tmp/runner"
	mkdir -p "$tmp/runner"
	: >"$tmp/ends"
	: >"$tmp/out"
	: >"$tmp/err"
	: >"$tmp/summary"
	python3 test/cli/ci/steps.py "$1" "$2" "$tmp/steps" 2>"$tmp/err" && git clone -q --branch "$3" "$tmp/origin.git" "$tmp/clone" || return 1
	for s in "$tmp/steps"/*.sh; do
		(cd "$tmp/clone" && env WEFT_REPOSITORY="file://$tmp/weft.git" WEFT_REVISION=under-test RUNNER_TEMP="$tmp/runner" CI_BUILDS_DIR="$tmp/runner" \
			GITHUB_BASE_REF=main GITHUB_STEP_SUMMARY="$tmp/summary" CI_MERGE_REQUEST_DIFF_BASE_SHA="$(git rev-parse origin/main)" \
			BUILD="$(dirname "$(dirname "$(dirname "$weft")")")" PREFIX="$tmp/prefix" bash --noprofile --norc -eo pipefail "$s") >>"$tmp/out" 2>>"$tmp/err"
		echo "$? $(cat "${s%.sh}.name")" >>"$tmp/ends"
	done
}
packages_known() {
	[ -s "$tmp/steps/packages" ] || return 1
	while read -r p; do
		dpkg-query -W "$p" >/dev/null 2>&1 || apt-cache show "$p" >/dev/null 2>&1 || { echo "# no package $p"; return 1; }
	done <"$tmp/steps/packages"
}
files_there() {
	while read -r f; do [ -s "$tmp/clone/$f" ] || { echo "# no file $f"; return 1; }; done <"$tmp/steps/files"
}
play github examples/ci/github.yml main && ! grep -v '^0 ' "$tmp/ends" && [ "$(wc -l <"$tmp/ends")" = 5 ]
ok "examples/ci/github.yml: every step's own commands run, from the clone of Weft on" $?
[ -x "$tmp/prefix/bin/weft" ] && files_there && junit_is "$tmp/clone/weft.xml" 1 0 0 0 && python3 -c 'import json,sys; [json.load(open(f)) for f in sys.argv[1:]]' "$tmp/clone/check.sarif" "$tmp/clone/weft.sarif"
ok "and leave the files that it uploads" $?
if command -v apt-cache >/dev/null 2>&1; then
	packages_known
	ok "its packages are known: $(tr '\n' ' ' <"$tmp/steps/packages")" $?
else
	skip "its packages are known" "no apt here"
fi
play github examples/ci/github.yml open && grep -q '^1 What must hold' "$tmp/ends" && grep -q '^0 What this change opens' "$tmp/ends" &&
	says '::error file=scenes/store.yaml,line=7,col=17,' && grep -q 'store' "$tmp/summary" && grep -q '^```' "$tmp/summary" && files_there
ok "a change that opens the store: that step fails with an annotation, and the summary tells what opens" $?
play gitlab examples/ci/gitlab-ci.yml main && grep -q '^0 ' "$tmp/ends" && files_there && junit_is "$tmp/clone/weft.xml" 1 0 0 0 && says 'holds  outside cannot reach'
ok "examples/ci/gitlab-ci.yml: the job's commands run" $?
play gitlab examples/ci/gitlab-ci.yml open && grep -q '^1 ' "$tmp/ends" && junit_is "$tmp/clone/weft.xml" 1 1 0 0
ok "and its job fails on the same change, with a report" $?
echo "1..$n"
exit $bad
