#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft-copier where things go wrong: copier/losses.py.
exec "$(dirname "$0")/copier.sh" losses
