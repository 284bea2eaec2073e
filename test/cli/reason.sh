#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check, diff and prove on files: every check of tables/checks.def found and named with its place, SARIF, exit statuses;
# differences of folders and of Git revisions; assertions, their errors and their packets. As a user without privileges
# where this runs as root. The findings stand in test/cli/reason/suspicious.findings (WEFT_GOLDEN=write writes them anew).
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=${WEFT:-$PWD/build/src/cli/weft}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
n=0
bad=0
ok() { # NAME STATUS
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" | head -n 20
		bad=1
	fi
}
run() { # WANTED-STATUS ARGUMENTS…
	want=$1
	shift
	COLUMNS=120 "$weft" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? = "$want" ]
}
says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }

# check
run 0 check examples/shop && [ "$(wc -l <"$tmp/out")" = 1 ] && says 'nothing to remark: 5 policies'
ok "check has one line to say of the shop" $?
run 1 check test/cli/reason/suspicious.yaml
[ "${WEFT_GOLDEN:-}" = write ] && cp "$tmp/out" test/cli/reason/suspicious.findings
cmp -s "$tmp/out" test/cli/reason/suspicious.findings
ok "check finds what is suspicious, each with its place and its name" $?
[ "$bad" = 0 ] || diff "$tmp/out" test/cli/reason/suspicious.findings | sed 's/^/# /' | head -n 20
sed -n 's/^CHECK([a-z_]*, "\([a-z-]*\)".*/\1/p' tables/checks.def | while read -r name; do
	grep -q "\[$name\]" test/cli/reason/suspicious.findings || echo "$name"
done >"$tmp/unseen"
[ ! -s "$tmp/unseen" ]
ok "and every check is seen there ($(tr '\n' ' ' <"$tmp/unseen"))" $?
run 0 check --list && says rule-redundant && [ "$(grep -c '^[a-z]' "$tmp/out")" = "$(grep -c '^CHECK(' tables/checks.def)" ]
ok "check --list names them" $?
run 0 check --list -o json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert {"rule-redundant"} <= {c["name"] for c in d} and all(c["what"] and c["advice"] for c in d)' "$tmp/out" && run 2 check --list -o sarif
ok "and as JSON" $?
run 1 check -o sarif test/cli/reason/suspicious.yaml && python3 - "$tmp/out" <<'P'
import json, sys
log = json.load(open(sys.argv[1]))
assert log["version"] == "2.1.0" and len(log["runs"]) == 1
run = log["runs"][0]
rules = run["tool"]["driver"]["rules"]
assert run["tool"]["driver"]["name"] and len({r["id"] for r in rules}) == len(rules)
levels = set()
for r in run["results"]:
    assert rules[r["ruleIndex"]]["id"] == r["ruleId"] and r["message"]["text"]
    levels.add(r["level"])
    place = r["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "test/cli/reason/suspicious.yaml"
    region = place["region"]
    assert region["startLine"] > 0 and region["startColumn"] > 0 and region["endColumn"] > region["startColumn"]
assert levels == {"error", "warning", "note"}, levels
P
ok "SARIF 2.1.0: rules, results, regions" $?
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Ingress]}\n' >"$tmp/again.yaml"
run 0 check examples/shop "$tmp/again.yaml" && says duplicate-policy && run 1 check --strict examples/shop "$tmp/again.yaml" &&
	run 0 check --strict --ignore duplicate-policy examples/shop "$tmp/again.yaml"
ok "warnings fail with --strict, and not when their check is left out" $?
run 2 check --ignore no-such-check examples/shop && says no-such-check && run 2 check "$tmp/nowhere" && says nowhere
ok "unknown checks and missing folders: status 2" $?

# diff
cp -r examples/shop "$tmp/b"
sed -i 's/    - {port: grpc}/    - {port: 9999}/' "$tmp/b/policies.yaml"
run 0 diff examples/shop examples/shop && says 'no flow changes'
ok "diff of a folder with itself" $?
run 0 diff examples/shop "$tmp/b" &&
	says "shop/page -> shop/cart: tcp 7000 becomes refused (no longer allowed by NetworkPolicy shop/cart, examples/shop/policies.yaml:51:5)" &&
	says "shop/page -> shop/cart: tcp 9999 becomes allowed (allowed by NetworkPolicy shop/cart, $tmp/b/policies.yaml:51:5)" &&
	[ "$(wc -l <"$tmp/out")" = 3 ]
ok "diff names flows, rules and places, and nothing else" $?
run 1 diff --exit-code examples/shop "$tmp/b" && run 0 diff --exit-code examples/shop examples/shop && run 2 diff examples/shop "$tmp/nowhere" && run 2 diff examples/shop
ok "diff --exit-code, as git diff" $?
sed -i 's/replicas: 2/replicas: 3/; s/example\/page/example\/page:2/' "$tmp/b/shop.yaml"
cp examples/shop/policies.yaml "$tmp/b/policies.yaml"
run 0 diff examples/shop "$tmp/b" && says 'no flow changes' && says 'new pods, not compared: shop/' && ! says becomes
ok "another image and more replicas are no change of flows" $?
sed 's/^  name: cart$/&\n  annotations: {weft.network\/staged: "true"}/' examples/shop/policies.yaml >"$tmp/b/policies.yaml"
grep -c staged "$tmp/b/policies.yaml" >"$tmp/err"
run 0 diff examples/shop "$tmp/b" && says 'tcp 7000 becomes refused' && run 0 diff --staged examples/shop "$tmp/b" && says 'no flow changes'
ok "a staged policy is not enforced, and is with --staged" $?
if command -v git >/dev/null 2>&1; then
	export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
	mkdir "$tmp/tree" && cp -r examples/shop "$tmp/tree/k8s" && (cd "$tmp/tree" && git init -q . && git add . && git commit -qm one &&
		sed -i 's/    - {port: grpc}/    - {port: 9999}/' k8s/policies.yaml && git commit -qam two) >"$tmp/out" 2>"$tmp/err"
	old=$(cd "$tmp/tree" && git rev-parse --short=12 HEAD~1)
	(cd "$tmp/tree" && "$weft" diff HEAD~1..HEAD >"$tmp/out" 2>"$tmp/err") && says "k8s/policies.yaml:51:5@$old)" && says 'tcp 9999 becomes allowed'
	ok "diff of two revisions, positions with their commits" $?
	(cd "$tmp/tree/k8s" && rm policies.yaml && "$weft" diff HEAD~1..HEAD policies.yaml >"$tmp/out" 2>"$tmp/err") && says 'no flow changes'
	ok "of one path, that is not in the work tree any more" $?
	(cd "$tmp/tree" && "$weft" diff HEAD~9..HEAD >"$tmp/out" 2>"$tmp/err")
	[ $? = 2 ] && says 'there is no revision "HEAD~9"'
	ok "a revision that is not there" $?
	(cd "$tmp" && "$weft" diff HEAD~1..HEAD b >"$tmp/out" 2>"$tmp/err")
	[ $? = 2 ] && says 'no Git work tree'
	ok "no work tree" $?
fi

# prove
run 0 prove examples/shop 'ns=reports cannot reach ns=shop except tcp/8000, tcp/8080' 'app=page can reach svc=shop/cart on tcp/7000' &&
	[ "$(grep -c '^holds' "$tmp/out")" = 2 ] && says 'proven for 2 pairs'
ok "prove: what holds, and for how many pairs" $?
run 1 prove examples/shop 'ns=reports cannot reach ns=shop except tcp/8000' --scene "$tmp/bug.yaml" && says 'tcp 8080 passes' &&
	says 'allowed by NetworkPolicy shop/page-for-everybody, examples/shop/policies.yaml:21:5'
ok "what does not hold: the packet and its rule" $?
run 1 test --offline "$tmp/bug.yaml" && says 'expected no' && says yes
ok "its scene replays it" $?
run 2 prove examples/shop 'ns=shpo cannot reach any' && says 'nobody is meant by "ns=shpo"'
ok "a selector that means nobody proves nothing" $?
printf '# who may what\n\noutside cannot reach app=store   # never\nns=shop cannot rech ns=reports\n' >"$tmp/a.txt"
run 2 prove examples/shop -f "$tmp/a.txt" && says "$tmp/a.txt:4:16: error: here must stand \"reach\""
ok "a file of assertions, errors with line and column" $?
sed -i 4d "$tmp/a.txt"
run 0 prove examples/shop -f "$tmp/a.txt" && [ "$(grep -c holds "$tmp/out")" = 1 ]
ok "and without" $?
run 1 prove examples/shop 'pods cannot reach 169.254.169.254' -o json && python3 - "$tmp/out" <<'P'
import json, sys
a = json.load(open(sys.argv[1]))["assertions"][0]
assert not a["holds"] and a["counterexample"]["to"]["address"] == "169.254.169.254" and a["counterexample"]["why"]
P
ok "prove as JSON" $?

# The same without any privilege.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
	cp -r examples/shop "$tmp/shop" && cp "$weft" "$tmp/weft" && chmod -R a+rX "$tmp/shop" "$tmp/weft"
	as_nobody() { (cd "$tmp" && setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs "$@" >"$tmp/out" 2>"$tmp/err"); }
	as_nobody ./weft check shop && as_nobody ./weft diff shop shop && as_nobody ./weft prove shop 'outside cannot reach app=store'
	ok "check, diff and prove without privileges" $?
fi
echo "1..$n"
exit $bad
