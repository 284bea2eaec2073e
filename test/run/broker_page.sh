#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft broker --page without a browser (broker_page/play.py): ports as the kernel counts them, the hub's privileges and its end, what
# is refused without --writable, TLS at other addresses, names that are taken, and what a killed run leaves.
cd "$(dirname "$0")/../.." || exit 1
WEFT=${WEFT:-${WEFT_BUILD:-build}/src/cli/weft}
case $WEFT in /*) ;; *) WEFT=$PWD/$WEFT ;; esac
export WEFT
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
for need in ip tcpdump curl python3 "$WEFT"; do
	command -v "$need" >/dev/null || {
		echo "1..0 # SKIP there is no $need"
		exit 0
	}
done
ns=weft-t-broker-page-$$
name=weft-t-bpage-$$
dir=$(mktemp -d /tmp/weft-t-broker-page.XXXXXX)
chmod 755 "$dir"
trap 'ip netns del "$ns" 2>/dev/null; rm -rf "$dir" "/run/weft/$name"' EXIT
ip netns add "$ns"
ip netns exec "$ns" sh -ec '
	sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
	ip link set lo up
	for pair in src0:gen0 tool0:end0; do
		ip link add "${pair%:*}" mtu 9000 type veth peer name "${pair#*:}" mtu 9000
		ip link set "${pair%:*}" up
		ip link set "${pair#*:}" up
	done
	ip addr add 192.0.2.1/24 dev gen0'
ip netns exec "$ns" python3 -B test/run/broker_page/play.py "$dir" "$name"
