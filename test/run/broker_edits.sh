#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft broker with chains that the kernel runs itself, between plain interfaces of a namespace of its own
# (broker_edits/live.py): the same bytes as the same file over a capture, each copy accounted for. BR17 BR19 BR49 BR66.
cd "$(dirname "$0")/../.." || exit 1
test=broker-edits pairs="src0:gen0 tool0:end0 tool1:end1 tool2:end2 tool3:end3 tool4:end4"
. test/run/broker_lib
ip netns exec "$ns" python3 test/run/broker_edits/live.py "$dir"
