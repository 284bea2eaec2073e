#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The bytes that weft-copier hands out: copier/bytes.py.
# Its parts name what they show: BR05.
exec "$(dirname "$0")/copier.sh" bytes
