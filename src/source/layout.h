/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout: how a manifest's text is laid out: each value with its first and last byte, its style, and what
 * makes it hard to change (anchors, aliases, tags). Knows nothing of kinds. Private to source/.
 */
#ifndef WEFT_SOURCE_LAYOUT_H
#define WEFT_SOURCE_LAYOUT_H

#include "base/arena.h"
#include "base/str.h"

enum layout_type { LAYOUT_SCALAR, LAYOUT_MAP, LAYOUT_SEQ, LAYOUT_ALIAS };

struct layout {
	enum layout_type type;
	char style;	     /* SCALAR: 0 plain, or the character that begins it: ' " | > */
	bool flow;	     /* MAP, SEQ: in brackets */
	bool anchor, tagged; /* has one of its own */
	size_t start, end;   /* bytes of what is written; equal where nothing is */
	struct str text;     /* SCALAR: its value */
	struct layout *up;   /* the map or list that it is in, NULL at the top */
	struct layout *key;  /* of a map's value */
	struct layout *first, *last, *next;
	size_t n; /* of children */
};

/* The document or list item whose map begins at byte `at`, and the slice of the text that its document is.
 * root: the whole document. */
struct layout_found {
	struct layout *map, *root;
	size_t from, to;
};
/* 0; -ENOENT: nothing begins there; -EINVAL: the document cannot be read; -ENOMEM. */
int layout_find(struct arena *a, struct str text, bool json, size_t at, struct layout_found *out);

/* The child of that key, NULL; *merged: the map has a key "<<". */
struct layout *layout_get(const struct layout *map, const char *key, bool *merged);
/* Byte offset of line and column, both from 1; columns of a first line begin behind a byte order mark. */
size_t layout_offset(struct str text, uint32_t line, uint32_t col);
/* And back. */
void layout_place(struct str text, size_t at, uint32_t *line, uint32_t *col);
/* Where the line that holds byte `at` begins, and where it ends, before its line end. */
size_t layout_line(struct str text, size_t at);
size_t layout_line_end(struct str text, size_t at);

#endif
