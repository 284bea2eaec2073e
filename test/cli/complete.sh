#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Completion as it is installed, by keys typed into interactive bash, zsh and fish on a pseudo-terminal: fixed words
# first, then names of a running cluster.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
name=t-comp-$$
tmp=$(mktemp -d)
trap '"$weft" down --name $name >/dev/null 2>&1; rm -rf "$tmp"' EXIT
n=0
bad=0
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 30
		bad=1
	fi
}
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
offers() { # WANTED-LINE WORDS…
	want=$1
	shift
	"$weft" __complete "$@" >"$tmp/out" 2>"$tmp/err" && cut -f1 "$tmp/out" | grep -qxF -- "$want" && [ ! -s "$tmp/err" ]
}
offers reach re && offers why "" && ! offers why re
ok "commands" $?
offers --nodes up --no && offers routes up --mode "" && offers --mode=routes up --mode=r && offers junit test -o j && ! offers :files up --mode ""
ok "options and their values" $?
offers pods get po && offers pods,services get pods,ser && offers probes get p && offers :files up "" && offers :files get -f "" && offers zsh completion ""
ok "kinds, files, shells" $?
nothing() { "$weft" __complete "$@" >"$tmp/out" 2>&1 && [ ! -s "$tmp/out" ]; }
nothing no-such-command "" && nothing get --name no-such-cluster pods "" && nothing get --name Bad_Name pods "" && nothing up --no-such-option=
ok "nothing and no error where nothing is known" $?

BUILD=$(dirname "$(dirname "$(dirname "$weft")")") tools/install install "$tmp/prefix" >"$tmp/out" 2>"$tmp/err"
# keys SHELL: then pairs of what is typed and what the line is after Tab, from the standard input.
keys() {
	command -v "$1" >/dev/null 2>&1 || return 77
	sed -n 'p;n' "$tmp/pairs" >"$tmp/typed"
	sed -n 'n;p' "$tmp/pairs" >"$tmp/wanted"
	tr '\n' '\0' <"$tmp/typed" | timeout 200 xargs -0 python3 test/cli/complete_keys.py "$1" "$tmp/prefix" >"$tmp/got" 2>"$tmp/err"
	diff "$tmp/wanted" "$tmp/got" >"$tmp/out"
}
try_all() { # WHAT
	for shell in bash zsh fish; do
		keys $shell
		case $? in
		0) ok "$shell: $1" 0 ;;
		77) skip "$shell: $1" "no $shell here" ;;
		*) ok "$shell: $1" 1 ;;
		esac
	done
}
cat >"$tmp/pairs" <<'P'
weft rea
weft reach
weft up --mode ro
weft up --mode routes
weft up --mode=ro
weft up --mode=routes
weft get pods,networkp
weft get pods,networkpolicies
weft completion fi
weft completion fish
weft check loa
weft check loaded
P
try_all "commands, values, kinds, files"

if ! "$weft" doctor >/dev/null 2>&1; then
	skip "names of a running cluster" "this machine cannot run one"
	echo "1..$n"
	exit $bad
fi
cp -r examples/shop "$tmp/shop"
chmod a+rx "$tmp" && chmod -R a+rX "$tmp/shop"
"$weft" up -d --name $name "$tmp/shop" >"$tmp/out" 2>"$tmp/err"
ok "a cluster" $?
offers store-0 get --name $name -n shop pods "" && ! offers analyst get --name $name -n shop pods "" && offers analyst get --name $name -A pods "" &&
	offers pod/store-0 get --name $name -n shop pod/st && offers node-2 maps --name $name --node "" && offers reports reach --name $name -n "" &&
	offers --namespace=reports reach --name $name --namespace=
ok "names follow the namespace and the cluster that the line names" $?
offers shop/store why --name $name "" && offers shop/store-0 why --name $name "" && offers node:node-1 why --name $name shop/page node: &&
	offers outside why --name $name o && offers node/node-1 fault --name $name node && offers --from=shop/cart reach --name $name --from=shop/ && offers $name get --name t-
ok "ends, nodes, workloads, clusters" $?
cat >"$tmp/pairs" <<P
weft get --name $name pods -n repo
weft get --name $name pods -n reports
weft get --name $name -n shop pods sto
weft get --name $name -n shop pods store-0
weft get --name $name -n shop pod/sto
weft get --name $name -n shop pod/store-0
weft why --name $name repor
weft why --name $name reports/analyst
weft why --name $name outside nod
weft why --name $name outside node:node-
weft fault --name $name node/
weft fault --name $name node/node-
weft get --name $name
weft get --name $name
weft reach --name $name --from=repor
weft reach --name $name --from=reports/analyst
P
try_all "names of a running cluster"
cat >"$tmp/pairs" <<P
weft drops --name $name 'tcp && reason == policy-i
weft drops --name $name tcp && reason == policy-ingress
weft flows --name $name 'service == shop/cat
weft flows --name $name service == shop/catalogue
weft top --name $name "workload in {shop/cart, reports/a
weft top --name $name workload in {shop/cart, reports/analyst
weft history --name $name 'src.workl
weft history --name $name src.workload
P
try_all "filters, in quotes, with names of a running cluster"
offers 'src.pod.label["app"] == "catalogue' flows --name $name 'src.pod.label["app"] == "ca' && ! offers vlan flows --name $name vla && offers vlan filter vla
ok "values of labels; only fields that records have" $?
echo "1..$n"
exit $bad
