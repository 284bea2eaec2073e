/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of edit share. Private to source/edit*.c. */
#ifndef WEFT_SOURCE_EDIT_STATE_H
#define WEFT_SOURCE_EDIT_STATE_H

#include <jansson.h>

#include "base/vec.h"
#include "source/edit.h"
#include "source/layout.h"

/* What a text gives. */
struct edit_given {
	VEC(struct object *) list;
	struct file *file;
	size_t errors, skipped;
};
int edit_read(const struct edit_ask *ask, struct str text, struct edit_given *g);
void edit_given_fini(struct edit_given *g);
/* Index of the object of the same kind and name; list.len: there is none. */
size_t edit_find(const struct edit_given *g, const struct object *o);
bool edit_same_text(const struct object *a, const struct object *b);

/* How the file is written, for what is added to it. */
struct edit_manner {
	bool json;
	const char *eol;
	unsigned step;	   /* columns from a map's key to the key of a map in it */
	unsigned seq_step; /* from a map's key to the dash of a list in it */
};

/* One value as text. inside: between brackets. style: of the text that it replaces, else 0. */
void edit_print_scalar(struct buf *b, const json_t *v, bool inside, char style);
/* With brackets, on one line; as JSON where the file is. Scalars too. */
void edit_print_flow(struct buf *b, const json_t *v, const struct edit_manner *m);
/* As JSON over lines, whose first is written at `indent`. */
void edit_print_lines(struct buf *b, const json_t *v, unsigned indent, const struct edit_manner *m);
/* A map or list as lines, the first without its indentation. Empty ones are brackets. */
void edit_print_block(struct buf *b, const json_t *v, unsigned indent, const struct edit_manner *m);
/* What follows "key:" or "-" of a map or list at that column, with the blank or line end before it. */
void edit_print_member(struct buf *b, const json_t *v, unsigned column, const struct edit_manner *m);
/* A text as literal lines at that column, from its "|" on: false when it cannot be written so. */
bool edit_print_literal(struct buf *b, struct str text, unsigned indent, const struct edit_manner *m);
void edit_print_key(struct buf *b, const char *key, bool inside, const struct edit_manner *m);

/* Which item of the old list each one of the new list continues: index or -1; those come from both lists in
 * one order. NULL: out of memory, or the lists are too long. To be freed. */
long *edit_align(const json_t *old, const json_t *new);

/* Bytes [start, end) become text. */
struct edit_cut {
	size_t start, end;
	char *text; /* owned */
	size_t n;
};
struct edit_run {
	struct str text;
	struct edit_manner manner;
	struct edit_refusal *no;
	VEC(struct edit_cut) cuts;
};
/* Fills run->cuts so that `node`, which holds `had`, holds `want`. 0, -EINVAL with run->no, -ENOMEM. */
int edit_change(struct edit_run *run, struct layout *node, const json_t *had, const json_t *want);
/* Takes a whole item out of its list. */
int edit_remove_item(struct edit_run *run, struct layout *item);
int edit_cut(struct edit_run *run, size_t start, size_t end, struct buf *text);
int edit_refuse(struct edit_run *run, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
