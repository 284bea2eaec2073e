/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Differences between two texts by lines, in the unified form that diff and patch know, and the way back: the
 * one text from the other, to the byte. Pure. What tells where a text comes from is the caller's.
 */
#ifndef WEFT_SOURCE_LINEDIFF_H
#define WEFT_SOURCE_LINEDIFF_H

#include "base/str.h"

/* Appends the difference, with so many lines of context; nothing where the texts are alike. A text with p
 * NULL is a file that is not there (/dev/null). 0 or -ENOMEM. */
int linediff_print(struct buf *out, const char *path, struct str was, struct str now, unsigned context);
/* The new text from the old one; back: the old one from the new one. Each line of the difference must stand
 * where it says. 0, -EINVAL where one does not, -ENOMEM. */
int linediff_apply(struct buf *out, struct str diff, struct str text, bool back);

#endif
