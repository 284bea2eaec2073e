/* SPDX-License-Identifier: Apache-2.0 */
/* Taps as bytes and as text. What reads the bytes is decode.c. */
#include "tap/tap.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "tap/bytes.h"

void taps_fini(struct taps *t)
{
	arena_fini(&t->arena);
	*t = (struct taps){0};
}

static void put32(struct buf *out, uint32_t n)
{
	buf_add(out, &n, sizeof(n));
}

static void encode_form(struct buf *out, const struct tap_form *f)
{
	struct form_head h = {.kind = f->steps ? FORM_STEPS : FORM_CLASSIC, .n = f->n};

	buf_add(out, &h, sizeof(h));
	if (f->steps)
		buf_add(out, f->steps, f->n * sizeof(*f->steps));
	else
		buf_add(out, f->classic, f->n * sizeof(*f->classic));
}

static void encode_place(struct buf *out, const struct tap_place *p)
{
	struct place_head h = {.where = (uint32_t)p->where,
			       .ifindex = p->ifindex,
			       .judge = p->judge,
			       .point = p->point,
			       .own = p->own,
			       .directs = p->directs,
			       .feed = p->feed};

	memcpy(h.name, p->name, sizeof(h.name));
	memcpy(h.take, p->take, sizeof(h.take));
	buf_add(out, &h, sizeof(h));
	buf_add(out, p->direct, p->directs * sizeof(*p->direct));
}

void taps_encode(struct buf *out, const struct taps *t)
{
	struct taps_head h = {.magic = TAPS_MAGIC,
			      .epoch = t->epoch,
			      .judges = t->judges_n,
			      .places = t->places_n,
			      .outlets = t->outlets_n};

	buf_add(out, &h, sizeof(h));
	for (uint32_t i = 0; i < t->judges_n; i++) {
		put32(out, t->judges[i].n);
		for (uint32_t f = 0; f < t->judges[i].n; f++)
			encode_form(out, &t->judges[i].forms[f]);
	}
	for (uint32_t i = 0; i < t->places_n; i++)
		encode_place(out, &t->places[i]);
	for (uint32_t i = 0; i < t->outlets_n; i++) {
		const struct tap_outlet *o = &t->outlets[i];
		struct outlet_bytes b = {.number = o->number,
					 .way = (uint32_t)o->way,
					 .ifindex = o->ifindex,
					 .finish = o->finish,
					 .answers = o->answers,
					 .edits = o->edits,
					 .edit = o->edit};

		memcpy(b.name, o->name, sizeof(b.name));
		buf_add(out, &b, sizeof(b));
	}
}

/* --- as text --------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b, void *ctx)
{
	const struct taps *t = ctx;
	const struct tap_place *p = &t->places[*(const uint32_t *)a], *q = &t->places[*(const uint32_t *)b];

	if (p->where != q->where)
		return p->where < q->where ? -1 : 1;
	if (p->ifindex != q->ifindex)
		return p->ifindex < q->ifindex ? -1 : 1;
	return memcmp(p->name, q->name, sizeof(p->name));
}

static int by_outlet(const void *a, const void *b, void *ctx)
{
	const struct taps *t = ctx;
	uint32_t m = t->outlets[*(const uint32_t *)a].number, n = t->outlets[*(const uint32_t *)b].number;

	return m < n ? -1 : m > n;
}

static void print_judge(struct buf *out, const struct taps *t, uint32_t i)
{
	const struct tap_judge *j = &t->judges[i];

	buf_printf(out, "judge %u:", i);
	if (!j->n)
		buf_addz(out, " everything");
	for (uint32_t f = 0; f < j->n; f++)
		buf_printf(out, "%s %u %s", f ? "," : "", j->forms[f].n,
			   j->forms[f].steps ? "steps" : "classic");
	buf_addc(out, '\n');
}

static void print_takes(struct buf *out, const uint32_t take[TAP_TAKES])
{
	static const char *const names[TAP_TAKES] = {"in", "out", "in-dropped", "out-dropped"};

	for (unsigned i = 0; i < TAP_TAKES; i++)
		if (take[i])
			buf_printf(out, " %s 0x%x", names[i], take[i]);
}

static void print_place(struct buf *out, const struct tap_place *p)
{
	if (p->where == TAP_AT_POD)
		buf_printf(out, "place pod %u:", p->ifindex);
	else
		buf_printf(out, "place interface %.*s:", TAP_NAME, p->name);
	buf_printf(out, " point %u judge %u", p->point, p->judge);
	print_takes(out, p->take);
	if (p->own)
		buf_printf(out, " own 0x%x", p->own);
	if (p->feed)
		buf_addz(out, " feed");
	for (uint32_t d = 0; d < p->directs; d++) {
		buf_printf(out, "; direct %u", p->direct[d].outlet);
		print_takes(out, p->direct[d].take);
	}
	buf_addc(out, '\n');
}

static void print_edit(struct buf *out, const struct edit_value *e)
{
	static const char *const from[] = {"L2", "L3", "L4", "payload"};

	for (uint32_t i = 0; i < e->ranges; i++) {
		const struct edit_range *r = &e->range[i];

		buf_printf(out, " mask %s+%u", from[r->from], r->offset);
		if (r->len)
			buf_printf(out, ":%u", r->len);
	}
	if (e->fields)
		buf_printf(out, " fields 0x%x", e->fields);
	if (e->ranges || e->fields)
		buf_printf(out, " fill 0x%02x", e->fill);
	if (e->slice)
		buf_printf(out, " slice %s+%u", from[e->slice_from], e->slice_bytes);
	if (e->stamp_tpid)
		buf_printf(out, " tag 0x%04x %u", ntohs(e->stamp_tpid), e->stamp_tci);
}

static void print_outlet(struct buf *out, const struct tap_outlet *o)
{
	buf_printf(out, "outlet %u:", o->number);
	if (o->way == OUTLET_POD)
		buf_printf(out, " pod %u", o->ifindex);
	else
		buf_printf(out, " %s %.*s", o->way == OUTLET_ROUTED ? "routed" : "interface", TAP_NAME,
			   o->name);
	buf_addz(out, o->finish ? " finished" : "");
	buf_addz(out, o->answers ? " answers" : "");
	if (o->edits)
		print_edit(out, &o->edit);
	buf_addc(out, '\n');
}

/* Numbers 0…n-1 in the order that cmp gives their items: NULL when out of memory. */
static uint32_t *in_order(const struct taps *t, uint32_t n, int (*cmp)(const void *, const void *, void *))
{
	uint32_t *order = malloc(((size_t)n + 1) * sizeof(*order));

	for (uint32_t i = 0; order && i < n; i++)
		order[i] = i;
	if (order)
		qsort_r(order, n, sizeof(*order), cmp, (void *)(uintptr_t)t);
	return order;
}

void taps_print(struct buf *out, const struct taps *t)
{
	uint32_t *places = in_order(t, t->places_n, by_place);
	uint32_t *outlets = in_order(t, t->outlets_n, by_outlet);

	if (!places || !outlets)
		out->failed = true;
	for (uint32_t i = 0; i < t->judges_n; i++)
		print_judge(out, t, i);
	for (uint32_t i = 0; places && i < t->places_n; i++)
		print_place(out, &t->places[places[i]]);
	for (uint32_t i = 0; outlets && i < t->outlets_n; i++)
		print_outlet(out, &t->outlets[outlets[i]]);
	free(places);
	free(outlets);
}
