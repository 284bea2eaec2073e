#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `weft account` of copies, of a node that says false numbers: each sum that does not match is WRONG and the status is
# 1; what nobody can tell is unknown, with the status 2, never 0. The node is played, in a mount namespace of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
if [ "${1:-}" != inside ]; then
	exec unshare -m "$0" inside
fi
weft=$(realpath "${WEFT:-build/src/cli/weft}")
mount -t tmpfs none /run && mkdir /run/weft || exit 1
tmp=/run/weft
n=0
bad=0
ok() { # NAME STATUS
	n=$((n + 1))
	if [ "$2" = 0 ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out" | head -n 20
		bad=1
	fi
}
good() { # the numbers of a node at which all matches
	cat >"$tmp/taps.json" <<-JSON
	{"sum": {"seen": 30, "copied": 20, "unwanted": 10, "failed": 0},
	 "places": [{"point": 1, "name": "shop/web"}],
	 "outlets": [{"outlet": 1, "direct": 0, "directFailed": 0, "sent": 14, "failed": 1, "unreachable": 0}]}
	JSON
	cat >"$tmp/copier.json" <<-JSON
	{"node": "node-1", "epoch": 7, "began": 1, "again": false, "frames": 15,
	 "ring": {"received": 18, "lost": 2, "judged": 17, "unknown": 1},
	 "places": [{"point": 1, "name": "shop/web", "received": 17, "classified": 16, "unparsable": 1}],
	 "tools": [{"tool": "ids", "port": "default", "kind": "interface", "taking": true, "outlet": 1, "due": 17,
	            "added": 1, "sent": 15, "inFlight": 1, "losses": {"mtu": 2}}]}
	JSON
}
account() { # WANTED-STATUS
	rm -rf "$tmp/t-account"
	COLUMNS=200 python3 test/cli/account/play.py "$tmp/t-account" "$weft" account --name t-account >"$tmp/out" 2>&1
	[ $? = "$1" ]
}
says() { grep -qE -- "$1" "$tmp/out"; }
wrong() { # NAME FILE FROM TO SUM VERDICT
	good
	sed -i "s/$3/$4/" "$tmp/$2.json"
	account 1 && says "$5 .*WRONG: $6" && [ "$(grep -c WRONG "$tmp/out")" = 1 ]
	ok "$1" $?
}

good
account 0 && says 'packets at taps .* matches' && says 'copies to weft-copier .* matches' &&
	says 'copies judged .* matches' && says 'tool ids/default .* matches' && says 'frames to tools .* matches'
ok "BR17 numbers that match" $?
wrong "BR16 more was copied than was seen" taps '"seen": 30' '"seen": 29' 'packets at taps' '1 too much went out'
wrong "BR17 a copy never came to weft-copier" copier '"lost": 2' '"lost": 1' 'copies to weft-copier' '1 missing'
wrong "BR16 a copy was not judged" copier '"classified": 16' '"classified": 13' 'copies judged' '3 missing'
wrong "BR17 a copy is lost without a name" copier '"mtu": 2' '"mtu": 1' 'tool ids/default' '1 missing'
wrong "BR17 a tool got more than it was due" copier '"sent": 15' '"sent": 17' 'tool ids/default' '2 too much went out'
wrong "BR64 a frame went nowhere" taps '"failed": 1' '"failed": 0' 'frames to tools' '1 missing'
edited() { # an outlet whose copies the kernel edits, two of which it handed over
	good
	sed -i 's/"direct": 0, "directFailed": 0/"direct": 9, "directFailed": 1, "given": 5, "segments": 12, "handed": 2/' "$tmp/taps.json"
	sed -i 's/"received": 18/"received": 20/; s/"judged": 17/"judged": 17, "handed": 2/; s/"due": 17/"due": 19/; s/"mtu": 2/"mtu": 4/' "$tmp/copier.json"
}
edited
account 0 && says 'tool ids/default .* matches' && says 'copies judged .* matches' && says 'copies to weft-copier .* matches'
ok "BR17 copies that the kernel edits, and those that it handed over" $?
sed -i 's/"segments": 12/"segments": 11/' "$tmp/taps.json"
account 1 && says 'tool ids/default .*WRONG: 1 too much went out'
ok "BR17 more edited copies left than were given" $?
edited
sed -i 's/"handed": 2,/"handed": 3,/; s/"segments": 12/"segments": 13/' "$tmp/taps.json"
account 1 && says 'copies to weft-copier .*WRONG: 1 missing'
ok "BR17 one that was handed over never came" $?
edited
sed -i 's/"segments": 12/"segments": 15/' "$tmp/taps.json"
account 0 && says 'tool ids/default +33 +25 +8 .* matches'
ok "BR17 what found no room before its edit is a loss of its own" $?
good
rm "$tmp/copier.json"
account 2 && says 'copies to weft-copier .*\?.* unknown; weft-copier does not answer' && ! says 'WRONG|tool ids'
ok "BR20 a weft-copier that does not answer: unknown, not 0" $?
good
sed -i 's/"again": false/"again": true/; s/"received": 18/"received": 8/; s/"unknown": 1/"unknown": 0/' "$tmp/copier.json"
sed -i 's/"received": 17, "classified": 16/"received": 8, "classified": 7/' "$tmp/copier.json"
account 2 && says 'copies to weft-copier .* unknown; weft-copier began anew' && ! says WRONG
ok "BR21 a weft-copier that began anew: what was before is unknown" $?
echo "1..$n"
exit $bad
