/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in force, kept while the kernel is read back, and its difference from a plan. Pure.
 */
#ifndef WEFT_AGENT_COMPARE_H
#define WEFT_AGENT_COMPARE_H

#include "base/hash.h"
#include "compile/plan.h"

struct kept_row {
	uint8_t type;
	uint16_t table, key_len, value_len;
	bool wanted;
	uint8_t bytes[]; /* key, then value */
};
/* Keeps a copy of a row; the same key again replaces it. 0, -ENOMEM, -EINVAL. */
int kept_add(struct hash *actual, const struct row *r);
void kept_forget(struct hash *actual);
/* Appends to `out` the one step that makes `actual` equal to the plan; its rows are borrowed from both. 0 or
 * -ENOMEM. */
int kept_compare(struct hash *actual, const struct plan *want, struct plan_delta *out);

#endif
