/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps from bytes that nobody vouches for: sizes are checked before anything is taken, numbers before they
 * are used. What filters do is checked where they become programs (apply/filter.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>

#include "tap/bytes.h"

struct reader {
	const uint8_t *p;
	size_t left;
	struct buf *why;
	struct arena *arena;
	uint8_t points[TAP_POINTS_MAX / 8 + 1],
	    outlets[(OUTLETS_MAX + 8) / 8]; /* one bit each: there is one */
};

static bool test_bit(const uint8_t *bits, uint32_t n)
{
	return bits[n / 8] & 1u << n % 8;
}

static bool set_bit(uint8_t *bits, uint32_t n)
{
	bool before = test_bit(bits, n);

	bits[n / 8] = (uint8_t)(bits[n / 8] | 1u << n % 8);
	return before;
}

static int cut_short(const struct reader *r)
{
	buf_addz(r->why, "the taps are cut short");
	return -EPROTO;
}

static int take(struct reader *r, void *out, size_t n)
{
	if (r->left < n)
		return cut_short(r);
	memcpy(out, r->p, n);
	r->p += n;
	r->left -= n;
	return 0;
}

/* n items of `size` bytes in the arena; they must be there, with `more` bytes for each at least. */
static int room(struct reader *r, void **out, uint32_t n, size_t size, size_t least)
{
	if (n > r->left / least)
		return cut_short(r);
	*out = arena_alloc_array(r->arena, (size_t)n + 1, size);
	return *out ? 0 : -ENOMEM;
}

static int take_form(struct reader *r, struct tap_form *f, uint32_t judge, uint32_t number)
{
	struct form_head h = {0};
	int err = take(r, &h, sizeof(h));
	bool steps = h.kind == FORM_STEPS;
	size_t size = steps ? sizeof(struct filter_step) : sizeof(struct filter_classic);
	void *items = NULL;

	if (err)
		return err;
	if (!h.n || (!steps && h.kind != FORM_CLASSIC) ||
	    h.n > (steps ? FILTER_STEPS_MAX : FILTER_CLASSIC_MAX)) {
		buf_printf(r->why, "judge %u: filter %u has no form (kind %u, length %u)", judge, number,
			   h.kind, h.n);
		return -EPROTO;
	}
	err = room(r, &items, h.n, size, size);
	if (err)
		return err;
	f->n = h.n;
	if (steps)
		f->steps = items;
	else
		f->classic = items;
	return take(r, items, h.n * size);
}

static int take_judge(struct reader *r, struct tap_judge *j, uint32_t number)
{
	struct tap_form *forms;
	uint32_t n;
	int err = take(r, &n, sizeof(n));

	if (!err && n > TAP_FILTERS_MAX) {
		buf_printf(r->why, "judge %u has %u filters; up to %u are taken", number, n, TAP_FILTERS_MAX);
		err = -EPROTO;
	}
	if (!err)
		err = room(r, (void **)&forms, n, sizeof(*forms), sizeof(struct form_head));
	if (err)
		return err;
	j->forms = forms;
	j->n = n;
	for (uint32_t i = 0; i < n && !err; i++)
		err = take_form(r, &forms[i], number, i);
	return err;
}

/* A name that an interface can have (as the kernel's dev_valid_name(), and printable), padded with NULs. */
static bool is_name(const char name[TAP_NAME])
{
	size_t n = strnlen(name, TAP_NAME);

	if (!n || n == TAP_NAME || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < TAP_NAME; i++)
		if (i < n ? name[i] <= ' ' || name[i] > '~' || name[i] == '/' || name[i] == ':'
			  : name[i] != 0)
			return false;
	return true;
}

static bool is_empty(const char name[TAP_NAME])
{
	static const char none[TAP_NAME];

	return !memcmp(name, none, TAP_NAME);
}

static int take_directs(struct reader *r, struct tap_place *p)
{
	int err = take(r, p->direct, p->directs * sizeof(*p->direct));

	for (uint32_t i = 0; i < p->directs && !err; i++)
		for (uint32_t k = 0; k < i && !err; k++)
			if (p->direct[k].outlet == p->direct[i].outlet) {
				buf_printf(r->why, "point %u leads to outlet %u twice", p->point,
					   p->direct[i].outlet);
				err = -EPROTO;
			}
	return err;
}

static int take_place(struct reader *r, struct tap_place *p, uint32_t judges)
{
	struct place_head h;
	int err = take(r, &h, sizeof(h));
	const char *wrong = NULL;

	if (err)
		return err;
	if (h.point >= TAP_POINTS_MAX)
		wrong = "its number is too large";
	else if (set_bit(r->points, h.point))
		wrong = "it is there twice";
	else if (h.judge >= judges)
		wrong = "there is no such judge";
	else if (h.directs > TAP_DIRECT_MAX)
		wrong = "it has too many direct outlets";
	else if (h.where != TAP_AT_POD && h.where != TAP_AT_INTERFACE)
		wrong = "it is neither at a pod nor at an interface";
	else if (h.where == TAP_AT_POD ? !h.ifindex || h.ifindex > INT32_MAX || !is_empty(h.name)
				       : h.ifindex || !is_name(h.name))
		wrong = "it names no interface";
	else if (h.feed > (h.where == TAP_AT_INTERFACE))
		wrong = "it cannot be a feed";
	if (wrong) {
		buf_printf(r->why, "point %u: %s", h.point, wrong);
		return -EPROTO;
	}
	p->where = (enum tap_where)h.where;
	p->ifindex = h.ifindex;
	p->judge = h.judge;
	p->point = h.point;
	p->own = h.own;
	p->directs = h.directs;
	p->feed = h.feed;
	memcpy(p->name, h.name, sizeof(p->name));
	memcpy(p->take, h.take, sizeof(p->take));
	return take_directs(r, p);
}

static const char *wrong_range(const struct edit_range *g)
{
	if (g->from > EDIT_PAYLOAD)
		return "its edit begins at no header";
	return g->offset > EDIT_OFFSET_MAX || g->len > EDIT_OFFSET_MAX ? "its edit reaches too far" : NULL;
}

static const char *wrong_edit(const struct edit_value *e)
{
	const struct edit_range slice = {.from = e->slice_from, .offset = e->slice_bytes};
	const char *wrong = wrong_range(&slice);

	if (e->ranges > EDIT_RANGES_MAX)
		return "its edit has too many ranges";
	for (uint32_t i = 0; i < EDIT_RANGES_MAX && !wrong; i++)
		wrong = wrong_range(&e->range[i]);
	if (!wrong && (e->fields > EDIT_FIELDS || e->fill > 0xff || e->slice > 1))
		wrong = "its edit is none";
	if (!wrong && e->stamp_tpid && e->stamp_tpid != htons(ETH_P_8021Q) &&
	    e->stamp_tpid != htons(ETH_P_8021AD))
		wrong = "its edit has a tag that is none";
	return wrong;
}

static int take_outlet(struct reader *r, struct tap_outlet *o)
{
	struct outlet_bytes b;
	int err = take(r, &b, sizeof(b));
	const char *wrong = NULL;

	if (err)
		return err;
	if (!b.number || b.number > OUTLETS_MAX)
		wrong = "its number is out of range";
	else if (set_bit(r->outlets, b.number))
		wrong = "it is there twice";
	else if (b.way != OUTLET_INTERFACE && b.way != OUTLET_POD && b.way != OUTLET_ROUTED)
		wrong = "it has no way";
	else if (b.way == OUTLET_POD ? !b.ifindex || b.ifindex > INT32_MAX || !is_empty(b.name)
				     : b.ifindex || !is_name(b.name))
		wrong = "it names no interface";
	else if (b.finish > (b.way == OUTLET_INTERFACE))
		wrong = "it cannot finish packets";
	else if (b.answers > 1)
		wrong = "it cannot answer so";
	else if (b.edits > b.finish)
		wrong = "it cannot edit packets";
	else
		wrong = wrong_edit(&b.edit);
	if (wrong) {
		buf_printf(r->why, "outlet %u: %s", b.number, wrong);
		return -EPROTO;
	}
	o->number = b.number;
	o->way = (enum outlet_way)b.way;
	o->ifindex = b.ifindex;
	o->finish = b.finish;
	o->answers = b.answers;
	o->edits = b.edits;
	o->edit = b.edit;
	memcpy(o->name, b.name, sizeof(o->name));
	return 0;
}

static int cmp_where(const void *a, const void *b)
{
	const struct tap_place *p = *(const struct tap_place *const *)a,
			       *q = *(const struct tap_place *const *)b;

	if (p->ifindex != q->ifindex)
		return p->ifindex < q->ifindex ? -1 : 1;
	return memcmp(p->name, q->name, TAP_NAME);
}

/* One place for each interface, and outlets that are there. */
static int check_places(struct reader *r, const struct taps *t)
{
	const struct tap_place **sorted = malloc(((size_t)t->places_n + 1) * sizeof(*sorted));
	int err = sorted ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < t->places_n && !err; i++) {
		const struct tap_place *p = sorted[i] = &t->places[i];

		for (uint32_t d = 0; d < p->directs && !err; d++) {
			uint32_t n = p->direct[d].outlet;

			if (!n || n > OUTLETS_MAX || !test_bit(r->outlets, n)) {
				buf_printf(r->why, "point %u: there is no outlet %u", p->point, n);
				err = -EPROTO;
			}
		}
	}
	if (!err)
		qsort(sorted, t->places_n, sizeof(*sorted), cmp_where);
	for (uint32_t i = 1; i < t->places_n && !err; i++)
		if (!cmp_where(&sorted[i - 1], &sorted[i])) {
			uint32_t a = sorted[i - 1]->point, b = sorted[i]->point;

			buf_printf(r->why, "points %u and %u are one interface", a < b ? a : b,
				   a < b ? b : a);
			err = -EPROTO;
		}
	free(sorted);
	return err;
}

static int decode(struct reader *r, struct taps *t)
{
	struct tap_judge *judges;
	struct tap_place *places;
	struct tap_outlet *outlets;
	struct taps_head h;
	int err = take(r, &h, sizeof(h));

	if (!err && h.magic != TAPS_MAGIC) {
		buf_addz(r->why, "these are no taps of this build");
		err = -EPROTO;
	}
	if (!err)
		err = room(r, (void **)&judges, h.judges, sizeof(*judges), sizeof(uint32_t));
	if (err)
		return err;
	t->epoch = h.epoch;
	t->judges = judges;
	t->judges_n = h.judges;
	for (uint32_t i = 0; i < h.judges && !err; i++)
		err = take_judge(r, &judges[i], i);
	if (!err)
		err = room(r, (void **)&places, h.places, sizeof(*places), sizeof(struct place_head));
	if (err)
		return err;
	t->places = places;
	t->places_n = h.places;
	for (uint32_t i = 0; i < h.places && !err; i++)
		err = take_place(r, &places[i], h.judges);
	if (!err)
		err = room(r, (void **)&outlets, h.outlets, sizeof(*outlets), sizeof(struct outlet_bytes));
	if (err)
		return err;
	t->outlets = outlets;
	t->outlets_n = h.outlets;
	for (uint32_t i = 0; i < h.outlets && !err; i++)
		err = take_outlet(r, &outlets[i]);
	if (!err && r->left) {
		buf_addz(r->why, "bytes are left over behind the taps");
		err = -EPROTO;
	}
	return err ? err : check_places(r, t);
}

int taps_decode(struct taps *out, const void *bytes, size_t n, struct buf *why)
{
	struct taps t = {.arena = {.limit = 4 * (size_t)TAPS_BYTES_MAX}};
	struct reader *r = calloc(1, sizeof(*r));
	int err = r ? 0 : -ENOMEM;

	if (!err && n > TAPS_BYTES_MAX) {
		buf_printf(why, "the taps have %zu bytes; up to %d are taken", n, TAPS_BYTES_MAX);
		err = -EPROTO;
	}
	if (!err) {
		*r = (struct reader){.p = bytes, .left = n, .why = why, .arena = &t.arena};
		err = decode(r, &t);
	}
	free(r);
	if (err)
		taps_fini(&t);
	else
		*out = t;
	return err;
}
