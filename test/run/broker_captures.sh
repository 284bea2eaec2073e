#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft capture on a plain host (broker_captures/play.py): rings and live packets of a running weft broker, who may read them, and
# what its audit log says. Its parts name what they show: BR79 BR85 BR87.
cd "$(dirname "$0")/../.." || exit 1
test=broker-captures pairs="src0:gen0 src1:gen1 tool0:end0" needs="setpriv"
. test/run/broker_lib
ip netns exec "$ns" python3 -B test/run/broker_captures/play.py "$dir"
