#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Feeds of weft broker (broker_feed/play.py): what a mirror port delivers, by XDP and by tc, goes to the tools as the same file
# over a capture says, byte by byte, and to nobody else of the host. Real frames by tcpreplay, tcpdump at the tools.
# Its parts name what they show: BR12 BR16 BR17 BR53 BR65 BR68 BR69.
cd "$(dirname "$0")/../.." || exit 1
WEFT=${WEFT:-${WEFT_BUILD:-build}/src/cli/weft}
case $WEFT in /*) ;; *) WEFT=$PWD/$WEFT ;; esac
export WEFT
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
for need in ip tc nft tcpdump tcpreplay tshark ethtool python3 "$WEFT"; do
	command -v "$need" >/dev/null || {
		echo "1..0 # SKIP there is no $need"
		exit 0
	}
done
ns=weft-t-broker-feed-$$
dir=$(mktemp -d /tmp/weft-t-broker-feed.XXXXXX)
chmod 755 "$dir"
trap 'ip netns del "$ns" 2>/dev/null; rm -rf "$dir"' EXIT
ip netns add "$ns"
ip netns exec "$ns" sh -ec '
	sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	for pair in src0:gen0 tool0:end0 tool1:end1 tool2:end2; do
		ip link add "${pair%:*}" mtu 9000 type veth peer name "${pair#*:}" mtu 9000
		ip link set "${pair%:*}" up
		ip link set "${pair#*:}" up
	done'
ip netns exec "$ns" python3 -B test/run/broker_feed/play.py "$dir"
