#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft-copier alone, with real packets, in a network namespace of its own: copier/*.py.
# Its parts name what they show: BR03 BR12 BR44 BR88.
cd "$(dirname "$0")/../.." || exit 1
WEFT_BUILD=${WEFT_BUILD:-$PWD/build}
program=$WEFT_BUILD/src/copier/weft-copier
part=${1:-tools}
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 77; }
for need in tshark capinfos tc setpriv unshare; do
	command -v $need >/dev/null || { echo "1..0 # SKIP needs $need"; exit 77; }
done
dir=$(mktemp -d /tmp/weft-copier.XXXXXX) || exit 1
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT INT TERM
# Mounts and links of these namespaces go with their last process.
unshare --net --mount --fork --kill-child sh -c 'mount --make-rprivate / && mkdir "$1/pins" && mount -t bpf none "$1/pins" &&
	ip link set lo up && sysctl -qw net.ipv6.conf.default.disable_ipv6=1 &&
	exec timeout 240 python3 -B "test/run/copier/$3.py" "$2" "$1"' sh "$dir" "$program" "$part"
