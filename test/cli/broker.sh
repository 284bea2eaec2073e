#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft broker over capture files: what maps mean (broker/meaning.py), groups (broker/groups.py), real captures with tcpdump
# as judge (broker/corpus.py), bad luck (broker/badluck.py), tunnels and rings (broker/places.py), reasons (broker/explain.py).
# What each shows is named there.
# Its parts name what they show: BR01 BR02 BR03 BR04 BR05 BR06 BR07 BR08 BR09 BR10 BR17 BR26 BR27 BR30 BR33 BR34 BR83 BR88.
cd "$(dirname "$0")/../.." || exit 1
WEFT=${WEFT:-${WEFT_BUILD:-build}/src/cli/weft}
export WEFT
for need in tcpdump tshark python3 "$WEFT"; do
	command -v "$need" >/dev/null || {
		echo "1..0 # SKIP there is no $need"
		exit 0
	}
done
dir=$(mktemp -d /tmp/weft-t-broker.XXXXXX)
trap 'rm -rf "$dir"' EXIT
n=0
bad=0
for part in meaning groups corpus badluck places explain; do
	mkdir "$dir/$part"
	python3 "test/cli/broker/$part.py" "$dir/$part" >"$dir/said"
	status=$?
	grep -q '^1\.\.' "$dir/said" || echo "not ok 0 - $part: ended early, status $status" >>"$dir/said"
	while IFS= read -r line; do
		case $line in
		"ok "*) n=$((n + 1)) && echo "ok $n - $part:${line#*-}" ;;
		"not ok "*) n=$((n + 1)) && bad=1 && echo "not ok $n - $part:${line#*-}" ;;
		"#"*) echo "$line" ;;
		esac
	done <"$dir/said"
done
echo "1..$n"
exit $bad
