/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of maps, one for each text in its canonical form. See compile.h. */
#include <errno.h>

#include "base/own.h"
#include "broker/compile.h"

static uint32_t find(const struct broker *b, struct str text)
{
	for (uint32_t i = 0; i < b->filters_n; i++)
		if (str_eq(b->filters[i].text, text))
			return i;
	return BROKER_NONE;
}

static uint32_t keep(struct compile *c, struct filter **f, struct str text, struct pos at)
{
	struct broker *b = c->b;
	uint32_t i = find(b, text);

	if (i != BROKER_NONE)
		return i;
	b->filters[b->filters_n] =
	    (struct broker_filter){.text = arena_str(&b->arena, text), .filter = TAKE(*f), .pos = at};
	c->no_memory |= !b->filters[b->filters_n].text.p;
	return b->filters_n++;
}

uint32_t compile_filter(struct compile *c, const struct object *o, const struct str *text)
{
	AUTO(filter_unref) struct filter *f = NULL;
	struct pos at = object_pos(o, text);
	AUTO_BUF form = {0};
	AUTO_BUF why = {0};
	size_t before = c->remarks->list.len;
	int r;

	at.col += at.len == text->n + 2; /* in quotes */
	r = filter_parse(&f, *text, at, c->remarks);

	if (r == -EINVAL) {
		c->bad = true;
		compile_fault(c, o, before);
	}
	c->no_memory |= r == -ENOMEM;
	if (r)
		return BROKER_NONE;
	if (filter_uses(f, FILTER_BYTES, &why)) {
		compile_fail(c, o, text,
			     "name addresses and ports; which pods are meant says the map's `from`", "%s",
			     why.n ? why.p : "cannot be judged by bytes");
		return BROKER_NONE;
	}
	filter_print(f, &form);
	if (form.failed) {
		c->no_memory = true;
		return BROKER_NONE;
	}
	return keep(c, &f, buf_str(&form), at);
}
