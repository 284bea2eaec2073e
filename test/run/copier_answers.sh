#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# weft-copier asks tools whether they answer: copier/answers.py.
# Its parts name what they show: BR28 BR29 BR31 BR32.
exec "$(dirname "$0")/copier.sh" answers
