#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft broker with chains that the kernel runs itself, between plain interfaces of a namespace of its own
# (broker_edits/live.py): the same bytes as the same file over a capture, each copy accounted for. BR17 BR19 BR49 BR66.
cd "$(dirname "$0")/../.." || exit 1
WEFT=${WEFT:-${WEFT_BUILD:-build}/src/cli/weft}
case $WEFT in /*) ;; *) WEFT=$PWD/$WEFT ;; esac
export WEFT
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
for need in ip tc tcpdump tshark python3 "$WEFT"; do
	command -v "$need" >/dev/null || {
		echo "1..0 # SKIP there is no $need"
		exit 0
	}
done
ns=weft-t-broker-edits-$$
dir=$(mktemp -d /tmp/weft-t-broker-edits.XXXXXX)
chmod 755 "$dir"
trap 'ip netns del "$ns" 2>/dev/null; rm -rf "$dir"' EXIT
ip netns add "$ns"
ip netns exec "$ns" sh -ec '
	sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	for pair in src0:gen0 tool0:end0 tool1:end1 tool2:end2 tool3:end3 tool4:end4; do
		ip link add "${pair%:*}" mtu 9000 type veth peer name "${pair#*:}" mtu 9000
		ip link set "${pair%:*}" up
		ip link set "${pair#*:}" up
	done'
ip netns exec "$ns" python3 test/run/broker_edits/live.py "$dir"
