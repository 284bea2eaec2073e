/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows wanted and rows in force. Whoever wants a row claims it as an owner; where several owners claim one
 * key (two Services with one address), the owner whose name sorts first has it, whatever the order in which
 * they came. What differs between wanted and in force is on the list of dirty rows until rows_commit().
 */
#ifndef WEFT_COMPILE_ROWS_H
#define WEFT_COMPILE_ROWS_H

#include "base/hash.h"
#include "base/vec.h"
#include "compile/plan.h"
#include "object/object.h"

struct src { /* the object that causes rows; text is "Pod shop/web", owned by whoever holds the src */
	const struct object *o; /* NULL: settings */
	char *text;
};

struct rowval {
	struct rowval *next; /* further claims in the order of their owners */
	struct owner *owner;
	const struct src *src;
	const void *member; /* of src->o */
	uint32_t gen : 31;
	uint32_t claimed : 1;
	uint8_t bytes[]; /* there are many: begins where the members end */
};

struct prow {
	struct rowval *want;	 /* claims; the first counts */
	struct rowval *in_force; /* may be a claim or a left-over until commit */
	uint32_t hash;
	uint8_t type;
	bool dirty;
	uint16_t table, key_len, value_len;
	uint8_t key[];
};

struct owner {
	struct src *src;	 /* gives the order of claims; NULL: sole owner of its rows */
	VEC(struct prow *) rows; /* what it claims, when listed */
	VEC(struct prow *) old;	 /* between begin and end */
	uint32_t gen : 31;
	uint32_t listed : 1;
};

struct rows {
	struct prow **slots;
	size_t len, cap;
	VEC(struct prow *) dirty;
	bool failed; /* out of memory since the last rows_forget() */
};

/* Claims a row or changes the claim: 0 or -ENOMEM. */
int row_put(struct rows *t, struct owner *ow, uint8_t type, uint16_t table, const void *key,
	    const void *value, const struct src *src, const void *member);
void row_drop(struct rows *t, struct owner *ow, struct prow *r);
struct prow *row_find(const struct rows *t, uint8_t type, uint16_t table, const void *key);

/* Between begin and end a listed owner puts all rows that it wants; what it had before and did not put again
 * goes. */
void owner_begin(struct owner *ow);
void owner_end(struct rows *t, struct owner *ow);
void owner_clear(struct rows *t, struct owner *ow);
void owner_fini(struct owner *ow);

void rows_commit(struct rows *t);
/* Forgets all claims; what is in force stays, and all is dirty. 0 or -ENOMEM. */
int rows_forget(struct rows *t);
void rows_fini(struct rows *t);

#endif
