/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as JSON, printed once for all the watches that tell the same change: the last few changes are kept.
 * Called by watch.c only.
 */
#ifndef WEFT_SERVE_PRINTED_H
#define WEFT_SERVE_PRINTED_H

#include "object/object.h"

enum {
	PRINTED_KEPT = 64,	 /* more changes are seldom told at once */
	PRINTED_MOST = 32 << 10, /* bytes of one; longer ones are not kept */
};

struct printed {
	struct {
		uint64_t version; /* 0: none */
		unsigned how;	  /* enum object_print */
		struct buf text;
	} kept[PRINTED_KEPT];
};

/* Appends the object as object_print_json() does. An object's version names its content. */
void printed_add(struct printed *p, struct buf *b, const struct object *o, unsigned how);
void printed_fini(struct printed *p);

#endif
