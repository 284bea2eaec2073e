/* SPDX-License-Identifier: Apache-2.0 */
/* Causes of a change, each once. Private to reason/. */
#ifndef WEFT_REASON_CAUSE_H
#define WEFT_REASON_CAUSE_H

#include "reason/diff.h"

struct cause_list {
	VEC(uint32_t) list;
};
struct side { /* one end's policies on one direction, before and after */
	const struct end *end;
	bool egress;
	const struct fn_range *was, *now;
	uint32_t set[ENGINES];
};
struct causes {
	struct diff *d;
	struct hash by_text; /* → index + 1 */
	bool staged;
};
/* Adds what makes the side refuse (or let pass) what it did not before. 0 or -ENOMEM. */
int cause_refused(struct causes *c, const struct side *s, struct cause_list *out);
int cause_allowed(struct causes *c, const struct side *s, struct cause_list *out);
void causes_fini(struct causes *c);

#endif
