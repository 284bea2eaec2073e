/* SPDX-License-Identifier: Apache-2.0 */
/* The names of things that a filter asks for, so that who asks can say which of them nobody has. Pure. */
#include "filter/node.h"

static void each(const struct node *n, void (*fn)(void *ctx, const char *field, struct str name), void *ctx)
{
	for (unsigned i = 0; i < n->kids_len; i++)
		each(n->kids[i], fn, ctx);
	if (n->op != NODE_TEST || filter_fields[n->field].type != TYPE_TEXT)
		return;
	for (unsigned i = 0; i < n->values_len; i++)
		if (!n->values[i].glob)
			fn(ctx, filter_fields[n->field].path, n->values[i].text);
}

void filter_names(const struct filter *f, void (*fn)(void *ctx, const char *field, struct str name),
		  void *ctx)
{
	if (f->root)
		each(f->root, fn, ctx);
}
