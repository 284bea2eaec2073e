#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft-copier where things go wrong: copier/losses.py.
# Its parts name what they show: BR22 BR23 BR28 BR31 BR32 BR83.
exec "$(dirname "$0")/copier.sh" losses
