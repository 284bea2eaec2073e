/* SPDX-License-Identifier: Apache-2.0 */
/* See printed.h. */
#include "serve/printed.h"

void printed_add(struct printed *p, struct buf *b, const struct object *o, unsigned how)
{
	size_t i = o->version % PRINTED_KEPT, before = b->n;
	struct buf *text = &p->kept[i].text;

	if (o->version && p->kept[i].version == o->version && p->kept[i].how == how) {
		buf_adds(b, buf_str(text));
		return;
	}
	object_print_json(b, o, how);
	if (b->failed || b->n - before > PRINTED_MOST)
		return;
	buf_clear(text);
	buf_add(text, b->p + before, b->n - before);
	p->kept[i].version = text->failed ? 0 : o->version;
	p->kept[i].how = how;
}

void printed_fini(struct printed *p)
{
	for (unsigned i = 0; i < PRINTED_KEPT; i++)
		buf_fini(&p->kept[i].text);
}
