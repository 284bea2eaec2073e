/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as others see them: with their origin looked up, and sorted. Called where a plan or a delta is given
 * out. */
#include <stdlib.h>

#include "compile/state.h"

struct row row_of(const struct prow *r, const struct rowval *v)
{
	struct row out = {.type = r->type,
			  .table = r->table,
			  .key_len = r->key_len,
			  .value_len = r->value_len,
			  .key = r->key,
			  .value = v->bytes};
	out.origin.object = v->src->text;
	if (v->src->o)
		out.origin.pos = v->member ? object_pos(v->src->o, v->member) : v->src->o->pos;
	return out;
}

static int cmp(const void *a, const void *b)
{
	return row_cmp(a, b);
}

void plan_sort(struct plan *p)
{
	if (p->rows.len)
		qsort(p->rows.items, p->rows.len, sizeof(*p->rows.items), cmp);
}
