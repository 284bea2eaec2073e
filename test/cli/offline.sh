#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line without a cluster: usage, help, completion, files, plan, the model. As a user without privileges
# where this runs as root.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=${WEFT:-build/src/cli/weft}
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

run 2 && says Commands
ok "no command: help, status 2" $?
run 2 gte && says 'did you mean `weft get`?'
ok "a mistyped command is suggested" $?
run 2 up --noeds 3 && says 'did you mean --nodes?'
ok "a mistyped option is suggested" $?
run 2 up --nodes 65 && says 'a number from 1 to 64'
ok "a number out of range" $?
run 2 up --mode vlan && says 'vxlan|routes'
ok "a value that is none of the allowed" $?
run 2 up --host api.example.org && says 'what is its address?'
ok "a host without an address" $?
run 2 up --host a.example=1.2.3.4 --host a.example=b.example && says 'an alias has one target'
ok "a host that is a name of its own and an alias" $?
run 2 up --host kubernetes.default.svc.cluster.local=1.2.3.4 && says "the cluster's own"
ok "a host below the cluster's domain" $?
run 2 get && says 'KIND'
ok "a missing argument" $?
run 2 get pdos && says 'did you mean pods?'
ok "a mistyped kind is suggested" $?
run 2 up --name Bad_Name && says 'small letters'
ok "a name that cannot be a cluster's" $?
run 1 get pods --name no-such-cluster-here && says 'weft up --name no-such-cluster-here'
ok "no cluster of that name: says how to start it" $?
run 1 reach --offline "$tmp/nowhere" && says "$tmp/nowhere"
ok "a missing folder is named" $?

r=0
for c in $(sed -n "s/^COMMAND(\([a-z_]*\),.*/\1/p" tables/commands.def); do
	run 0 help $c && says Examples || r=1
	run 0 $c --help || r=1
done
ok "help of every command, with examples" $r
run 0 help --man && says '.SH COMMANDS' && run 0 help --man get && says '.TH WEFT-GET 1' && says '.SH EXAMPLES' && mkdir "$tmp/man" && run 0 help --man-pages "$tmp/man" &&
	[ -s "$tmp/man/weft.1" ] && [ "$(ls "$tmp/man" | wc -l)" = "$(($(grep -c '^COMMAND(' tables/commands.def) + 1))" ] && run 1 help --man-pages "$tmp/none" && says "$tmp/none/weft.1"
ok "the manual pages" $?
r=0
rm -rf "$tmp/prefix"
make -s install BUILD="$(dirname "$(dirname "$(dirname "$(realpath "$weft")")")")" DESTDIR="$tmp/prefix" PREFIX=/opt/weft >"$tmp/out" 2>"$tmp/err" || r=1
for f in bin/weft libexec/weft/weft-hub libexec/weft/weft-standin-tls share/man/man1/weft.1 share/man/man1/weft-get.1 share/bash-completion/completions/weft share/zsh/site-functions/_weft share/fish/vendor_completions.d/weft.fish; do
	[ -s "$tmp/prefix/opt/weft/$f" ] || { r=1; echo "no $f" >>"$tmp/err"; }
done
"$tmp/prefix/opt/weft/bin/weft" version >"$tmp/out" 2>&1 || r=1
echo old >"$tmp/prefix/opt/weft/share/man/man1/weft-old.1"
: >"$tmp/prefix/opt/weft/share/man/man1/other.1"
make -s install BUILD="$(dirname "$(dirname "$(dirname "$(realpath "$weft")")")")" DESTDIR="$tmp/prefix" PREFIX=/opt/weft >>"$tmp/out" 2>>"$tmp/err" || r=1
[ ! -e "$tmp/prefix/opt/weft/share/man/man1/weft-old.1" ] || r=1
ok "make install puts programs, manual pages and completions below DESTDIR; again, over an older one" $r
make -s uninstall DESTDIR="$tmp/prefix" PREFIX=/opt/weft >"$tmp/out" 2>"$tmp/err" && find "$tmp/prefix" -type f >"$tmp/out" && [ "$(cat "$tmp/out")" = "$tmp/prefix/opt/weft/share/man/man1/other.1" ]
ok "make uninstall takes them away and nothing else" $?
run 0 completion bash && bash -n "$tmp/out"
ok "bash takes its completion" $?
run 0 completion zsh && says '#compdef weft' && run 0 completion fish && says 'complete -c weft'
ok "zsh and fish have theirs" $?
run 2 completion tcsh
ok "a shell without completion" $?

run 0 get deploy,svc -n shop -f examples/shop && says catalogue && says 'examples/shop/shop.yaml:'
ok "get from files, with positions" $?
run 0 get deploy page -n shop -f examples/shop -o json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["kind"]=="Deployment" and d["spec"]["replicas"]==2' "$tmp/out" 2>>"$tmp/err"
ok "get as JSON" $?
run 0 get netpol -n shop -f examples/shop -o yaml && cp "$tmp/out" "$tmp/list.yaml" && run 0 get netpol -n shop -f "$tmp/list.yaml" -o yaml && cmp -s "$tmp/out" "$tmp/list.yaml"
ok "what get prints as YAML reads back as the same" $?
run 0 get pods -A -l app=analyst -o name -f examples/shop && [ "$(cat "$tmp/out")" = pod/analyst ]
ok "get by label, names only" $?
run 1 get deploy nobody -n shop -f examples/shop
ok "get of what is not there" $?

run 0 plan examples/shop && cp "$tmp/out" "$tmp/plan" && says '# node node-1' && says 'NetworkPolicy shop/store examples/shop/policies.yaml:'
ok "the plan names file and line" $?
run 0 plan examples/shop && cmp -s "$tmp/out" "$tmp/plan"
ok "the plan is the same each time" $?
mkdir "$tmp/one" && cat examples/shop/policies.yaml examples/shop/shop.yaml >/dev/null
{ cat examples/shop/policies.yaml; echo ---; cat examples/shop/shop.yaml; } >"$tmp/one/all.yaml"
run 0 plan "$tmp/one" && sed 's/ *#.*//' "$tmp/out" >"$tmp/a" && sed 's/ *#.*//' "$tmp/plan" >"$tmp/b" && cmp -s "$tmp/a" "$tmp/b"
ok "the plan does not depend on files and order" $?
run 1 plan --node node-9 examples/shop && says node-9
ok "a node that is not there" $?
run 0 reach --offline examples/shop --from shop/page --to shop/store && says no
ok "one question to the model" $?
run 0 reach --offline examples/shop -o json && python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
a = {(r["from"].split("/")[-1].split("-")[0], r["to"].split("/")[-1].split("-")[0]): r["model"] for r in d["results"] if r["from"].startswith("shop") and r["to"].startswith("shop") and r["from"] != r["to"]}
assert a[("cart", "store")] == "yes" and a[("page", "store")] == "no" and a[("page", "cart")] == "yes" and not d["packets"]' "$tmp/out" 2>>"$tmp/err"
ok "reach as JSON" $?
run 1 reach --offline examples/shop --from nobody && says 'nobody is called'
ok "a caller that is not there" $?

printf 'kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: [{name: 5}]}\n' >"$tmp/bad.yaml"
run 1 plan "$tmp/bad.yaml" && says "$tmp/bad.yaml:4:" && says '^'
ok "bad input: line, column, underlined" $?
mkdir "$tmp/large"
{
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata:\n  text: |\n'
	yes '    a line of text' | head -n 80000
} >"$tmp/large/a.yaml"
run 1 plan --max-file 1 "$tmp/large" && says "$tmp/large/a.yaml: error: larger than the limit of 1 MiB" && says --max-file &&
	run 1 reach --max-file 1 --offline "$tmp/large" && run 1 get cm --max-file 1 -f "$tmp/large" && run 1 up --max-file 1 "$tmp/large" &&
	says "larger than the limit" && run 0 plan --max-file 2 "$tmp/large"
ok "a file over the limit is refused, and read where the limit is raised" $?
printf 'kind: Pod\n  apiVersion: [\n' >"$tmp/broken.yaml"
run 1 up "$tmp/broken.yaml" && says "$tmp/broken.yaml:"
ok "up refuses broken manifests before it starts anything" $?
for s in a b; do
	printf 'kind: Service\napiVersion: v1\nmetadata: {name: %s}\nspec: {clusterIP: 10.96.0.77, ports: [{port: 80}]}\n---\n' $s
done >"$tmp/clash.yaml"
run 1 up "$tmp/clash.yaml" && says "$tmp/clash.yaml:9:" && says 'is already that of'
ok "up refuses two Services with one address before it starts anything" $?
run 0 doctor -o json || run 1 doctor -o json
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["ready"] == all(c["state"]=="ok" for c in d["checks"] if c["needed"])' "$tmp/out" 2>>"$tmp/err"
ok "doctor as JSON" $?
printf 'title: x\ncast: {pods: {a: {label: {}}}}\n' >"$tmp/scene.yaml"
run 2 test --offline "$tmp/scene.yaml" && says "scene.yaml:2:" && says 'has no "label"'
ok "a scene with an unknown key" $?
printf 'title: x\ncast: {pods: {a: {ports: [80]}, b: {}}}\nexpect: |\n  b a:80\n  b no\n' >"$tmp/scene.yaml"
sed -i 's/^  b a:80/  from a:80/' "$tmp/scene.yaml"
run 1 test --offline "$tmp/scene.yaml" && says 'expected no, the model says yes'
ok "a scene that does not hold fails" $?

# The same without any privilege.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
	cp -r examples/shop "$tmp/shop" && cp "$weft" "$tmp/weft" && chmod -R a+rX "$tmp/shop" "$tmp/weft"
	as_nobody() { (cd "$tmp" && setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs "$@" >"$tmp/out" 2>"$tmp/err"); }
	as_nobody ./weft plan shop && says '# node node-1'
	ok "plan without privileges" $?
	as_nobody ./weft reach --offline shop && says shop/store
	ok "reach --offline without privileges" $?
	as_nobody ./weft up shop
	[ $? = 1 ] && says 'up needs root'
	ok "up without root says so" $?
	as_nobody ./weft doctor
	[ $? = 1 ] && says 'user id 65534'
	ok "doctor without root" $?
else
	for t in plan reach up doctor; do
		n=$((n + 1))
		echo "ok $n - $t without privileges # SKIP needs root to give it up"
	done
fi
echo "1..$n"
exit $bad
