#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `weft up` shows while it starts: on a terminal a line that tells how far it is, written over; elsewhere only what is
# done, and with -o json nothing but that.
set -u
cd "$(dirname "$0")/../.." || exit 1
weft=$(realpath "${WEFT:-build/src/cli/weft}")
name=t-up-$$
n=0
bad=0
if ! "$weft" doctor >/dev/null 2>&1; then
	echo "1..0 # SKIP this machine cannot run a cluster"
	exit 77
fi
tmp=$(mktemp -d)
trap '"$weft" down --name $name >/dev/null 2>&1; rm -rf "$tmp"' EXIT
ok() {
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 30
		bad=1
	fi
}
mkdir "$tmp/pods"
sed 's/replicas: 2/replicas: 40/' examples/ci/k8s/shop.yaml >"$tmp/pods/shop.yaml"
chmod a+rx "$tmp" && chmod -R a+rX "$tmp/pods"
: >"$tmp/err"
on_terminal() { python3 - "$@" <<'P'
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
try:
    while chunk := os.read(fd, 4096):
        out += chunk
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(out)
sys.exit(status)
P
}
on_terminal env TERM=xterm "$weft" up -d --name $name "$tmp/pods" >"$tmp/out" && grep -Eq "$(printf '\r\033')"'\[K.{0,12}… .*pods: [0-9]+ of [0-9]+' "$tmp/out" && grep -q 'serving after' "$tmp/out"
ok "on a terminal: how many pods run already, written over" $?
"$weft" down --name $name >/dev/null 2>&1
on_terminal env TERM=xterm NO_COLOR=1 "$weft" up -d --name $name "$tmp/pods" >"$tmp/out" && grep -Eq '… pods: [0-9]+ of [0-9]+' "$tmp/out" && ! grep -q "$(printf '\033\\[[0-9]*m')" "$tmp/out"
ok "without colours as well" $?
"$weft" down --name $name >/dev/null 2>&1
env CLICOLOR_FORCE=1 TERM=xterm "$weft" up -d --name $name "$tmp/pods" >"$tmp/out" 2>"$tmp/err" && ! grep -q "$(printf '\r')" "$tmp/out" && ! grep -q '…' "$tmp/out" && grep -q 'serving after' "$tmp/out"
ok "not on a pipe" $?
"$weft" down --name $name >/dev/null 2>&1
"$weft" up -d --name $name -o json "$tmp/pods" >"$tmp/out" 2>"$tmp/err" && python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["pods"] >= 41 and d["failed"] is None' "$tmp/out" 2>>"$tmp/err"
ok "with -o json only that" $?
echo "1..$n"
exit $bad
