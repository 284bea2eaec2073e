#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Feeds of weft broker (broker_feed/play.py): what a mirror port delivers, by XDP and by tc, goes to the tools as the same file
# over a capture says, byte by byte, and to nobody else of the host. Real frames by tcpreplay, tcpdump at the tools.
# Its parts name what they show: BR12 BR16 BR17 BR53 BR65 BR68 BR69.
cd "$(dirname "$0")/../.." || exit 1
test=broker-feed pairs="src0:gen0 tool0:end0 tool1:end1 tool2:end2" needs="nft tcpreplay ethtool"
. test/run/broker_lib
ip netns exec "$ns" python3 -B test/run/broker_feed/play.py "$dir"
