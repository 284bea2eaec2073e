/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Surgical edits: a manifest's text with one object changed or gone. Only the bytes of what changes are
 * others; comments, order and formatting stay. Pure: bytes in, bytes out. Every result has been decoded again
 * and gave exactly the wanted object beside the same others; what cannot be written so is refused, with the
 * place and the reason.
 */
#ifndef WEFT_SOURCE_EDIT_H
#define WEFT_SOURCE_EDIT_H

#include "object/decode.h"

struct edit_refusal {
	uint32_t line, col; /* 0: the whole file */
	char why[240];	    /* a sentence without its end */
	bool moved;	    /* the file does not hold the object that was to be changed */
};

/* An object as JSON, and what it is to become: the same members that both have alike stay as the file has
 * them. NULL in `want`: the object goes. Only metadata.labels, metadata.annotations and what is beside
 * metadata and status count. `keep_out`: annotations that never go into a file, NULL-terminated, or NULL. */
struct edit_ask {
	struct str text;  /* of the file */
	const char *path; /* its name; .json is JSON */
	const struct decode_limits *limits;
	const struct object *object;   /* names kind, namespace, name */
	const struct object *in_force; /* as the file gave it last, defaults set; NULL: do not compare */
	struct str old, want;
	bool remove;
	const char *const *keep_out;
};

/* The new text into out, the object that it gives (NULL when it was removed) into *now, to be unreferenced.
 * 0; -EINVAL with no; -ENOMEM. Out may be equal to the text. */
int edit_text(const struct edit_ask *ask, struct buf *out, struct object **now, struct edit_refusal *no);

/* The text with one more object at its end, as `yaml` writes it, comments and all. Of ask: text, path,
 * limits, and object, which names it. Same results. */
int edit_add(const struct edit_ask *ask, struct str yaml, struct buf *out, struct object **now,
	     struct edit_refusal *no);

#endif
