#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The bytes that weft-copier hands out: copier/bytes.py.
exec "$(dirname "$0")/copier.sh" bytes
