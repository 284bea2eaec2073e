/* SPDX-License-Identifier: Apache-2.0 */
/* Making of steps, shared by transition.c and bridge.c. Private to compile/. */
#ifndef WEFT_COMPILE_TRANSITION_H
#define WEFT_COMPILE_TRANSITION_H

#include "compile/state.h"

/* An address or block whose class changes, as it is known between the first step and the last. */
struct shift {
	const struct pclass *from, *to;
	uint32_t
	    id; /* of the class in between: that of `from` or `to` where no policy set can tell, or its own */
	bool hard; /* its own */
};

/* What changes, read off the dirty rows. */
struct shifts {
	VEC(struct shift *) list;
	struct hash by_pair; /* (from, to) → struct shift */
	struct arena arena;
	size_t hard;	     /* shifts that some set may tell */
	size_t hard_rows[2]; /* address rows with such a shift, by family */
	bool hard_blocks;
	bool sets_change; /* a pod that stays gets another policy set */
	bool pods_come_or_go;
	bool unknown; /* an old class is not known any more */
};

/* The shift from one class to another, NULL when they are the same or out of memory (c->failed). */
struct shift *shift_get(struct compiler *c, struct shifts *s, const struct pclass *from,
			const struct pclass *to);
const struct pclass *class_by_id(const struct compiler *c, uint32_t id);
/* Class of an address that is no known one. */
const struct pclass *class_of_block(const struct compiler *c, const struct blocks *b, const struct addr *a,
				    unsigned shorter_than);

/* bridge.c: the change in up to five steps. */
int bridge(struct compiler *c, struct shifts *s, struct plan_delta *out);

/* Appends a change with copies of the bytes: 0 or -ENOMEM. v gives the origin. */
int step_add(struct plan_delta *d, struct plan_step *s, enum change_op op, const struct row *r);
void step_sort(struct plan_step *s);
/* Takes over s; an empty step is left out. */
int step_push(struct plan_delta *d, struct plan_step *s);

#endif
