/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions: where a value came from. `struct file` holds a source's name (as the user wrote it) and, while
 * needed for underlining, its text. Lines and columns count from 1; columns count bytes. line 0: no position.
 */
#ifndef WEFT_BASE_POS_H
#define WEFT_BASE_POS_H

#include "base/str.h"

struct file {
	unsigned refs;
	char *name;   /* owned */
	char *commit; /* owned; NULL when not from Git */
	char *text;   /* owned; NULL when dropped */
	size_t len;
};

int file_new(struct file **out, const char *name, const char *text,
	     size_t len);	       /* copies; text may be NULL */
struct file *file_ref(struct file *f); /* NULL is passed through */
void file_unref(struct file **f);

struct pos {
	const struct file *file; /* borrowed from the object or run that holds the reference */
	uint32_t line, col;	 /* from 1; 0: unknown */
	uint32_t len;		 /* bytes of the span on that line, at least 1 where known */
};

/* "name:line:col[@commit]", or "name", or "" where nothing is known. */
void pos_print(struct buf *b, struct pos p);

#endif
