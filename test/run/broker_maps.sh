#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A thousand maps of one interface, live (broker_maps/live.py): matching none, some and all of its packets, with rest and except,
# and changed while packets come; tcpdump at the tools, and the same files over a capture of the same frames.
# Its parts name what they show: BR04 BR05 BR12 BR16 BR17.
cd "$(dirname "$0")/../.." || exit 1
test=broker-maps pairs="src0:gen0 tool0:end0 tool1:end1 tool2:end2"
. test/run/broker_lib
ip netns exec "$ns" python3 test/run/broker_maps/live.py "$dir"
