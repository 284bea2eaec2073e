#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft broker between plain interfaces of a network namespace without a cluster (broker_plain/live.py): real frames in,
# tcpdump at the tools; the same result, packet by packet, as the same file over a capture of the same frames.
# Its parts name what they show: BR04 BR17.
cd "$(dirname "$0")/../.." || exit 1
test=broker-plain pairs="src0:gen0 tool0:end0 tool1:end1 tool2:end2"
. test/run/broker_lib
ip netns exec "$ns" python3 test/run/broker_plain/live.py "$dir"
