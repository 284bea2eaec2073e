/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The positions of an object's values, by the value's address: 16 bytes each, sorted when first asked for. A
 * list item and its first member share an address; where the member has a position it stands for both.
 */
#ifndef WEFT_OBJECT_POSITION_H
#define WEFT_OBJECT_POSITION_H

#include "base/vec.h"
#include "object/object.h"

struct position {
	const void *at;
	uint64_t line : 24, col : 26, len : 14;
};

struct object_positions {
	VEC(struct position) list;
	bool sorted;
};

/* For decoders, which name each address once: as object_set_pos(), without looking for an entry to replace.
 */
int position_add(struct object *o, const void *member, struct pos p);
/* Exactly this address: false when it has none. */
bool position_get(const struct object *o, const void *at, struct pos *out);
/* Entries whose address lies in [from, from + size): the first and their number. */
const struct position *position_range(const struct object *o, const void *from, size_t size, size_t *n);
/* Memory of src at [from, from + size) was copied to `to` in dst: copies the positions in it. 0 or -ENOMEM.
 */
int position_copy(struct object *dst, const struct object *src, const void *to, const void *from,
		  size_t size);
/* Gives back what the list has reserved but not used. */
void position_trim(struct object *o);
void position_free(struct object_positions **ps);

/* One step from an object down to a member. */
struct step {
	const struct field_desc *field; /* NULL in the first step: metadata or the body */
	const void *member;		/* address of the field in its struct */
	const void *item;		/* item of a list or map that the path goes through, or NULL */
	size_t index;
};
enum { STEPS_MAX = 16 };
/* The steps that lead to the member at `at`, outermost first; their number, 0 when it is not inside o. */
size_t position_steps(const struct object *o, const void *at, struct step steps[STEPS_MAX]);

#endif
