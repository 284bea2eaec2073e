/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps → judges, places and outlets: see taps.h. Filters that are wanted for the same at a place share a bit:
 * they become one form, joined by "or". So a place with a thousand maps to one tool asks one question.
 */
#include "broker/taps.h"

#include <errno.h>

#include "base/hash.h"
#include "base/own.h"

enum { JOINED_STEPS = 3000, JOINED_TEXT = 60000 };

/* What a filter, or everything (`always`), is wanted for at a place, for each enum tap_take: bit 0
 * weft-copier, bit 1 + i the place's direct[i]. */
struct wish {
	uint8_t take[TAP_TAKES];
};

struct program {
	bool known, works;
	struct tap_form form;
};

struct work {
	struct taps *out;
	const struct broker *b;
	const struct broker_outlet *outlets;
	uint32_t outlets_n;
	struct remarks *remarks;
	struct program *programs; /* of each filter, when it was asked for */
	struct hash joined;	  /* filters' numbers → struct program, that or nothing */
	struct hash judges;	  /* the numbers of its forms' filters → 1 + index */
	struct hash places;	  /* sources → 1 + index of a place with them */
	struct tap_judge *judge;
	struct tap_place *place;
	struct program own; /* packets of the tunnels of tools */
	/* Of the place at hand. */
	uint32_t *maps, maps_n;
	uint32_t direct[TAP_DIRECT_MAX]; /* index in outlets */
	uint32_t directs;
	struct wish *wish; /* of each filter */
	bool *wished;
	bool tells_own;
	struct wish always;
	struct tap_form forms[TAP_FILTERS_MAX];
	struct wish form_wish[TAP_FILTERS_MAX];
	uint32_t forms_n;
	struct buf key; /* of the judge */
};

static struct arena *memory(struct work *w)
{
	return &w->out->arena;
}

/* Copies what filter_program() made. */
static int keep_program(struct work *w, struct tap_form *form, const struct filter_program *p)
{
	size_t size = p->n * (p->steps ? sizeof(*p->steps) : sizeof(*p->classic));
	void *copy = arena_alloc(memory(w), size + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, p->steps ? (const void *)p->steps : p->classic, size);
	*form = (struct tap_form){.n = p->n};
	if (p->steps)
		form->steps = copy;
	else
		form->classic = copy;
	return 0;
}

static int program_of(struct work *w, uint32_t f, const struct program **out)
{
	const struct broker_filter *filter = &w->b->filters[f];
	struct program *p = &w->programs[f];
	struct filter_program made = {0};
	AUTO_BUF why = {0};
	int r;

	*out = p;
	if (p->known)
		return 0;
	p->known = true;
	r = filter_program(filter->filter, &made, &why);
	if (r == -ENOTSUP) {
		remark_add(w->remarks, REMARK_WARNING, filter->pos,
			   "the result is the same; every packet of these sources is copied for it",
			   "the kernel cannot judge this filter: %s", why.n ? why.p : "it has no form there");
		return 0;
	}
	if (!r)
		r = keep_program(w, &p->form, &made);
	p->works = !r;
	filter_program_fini(&made);
	return r;
}

static bool has(const uint32_t *list, uint32_t n, uint32_t i)
{
	for (uint32_t k = 0; k < n; k++)
		if (list[k] == i)
			return true;
	return false;
}

static bool in_group(const struct broker *b, const struct broker_map *m, uint32_t port)
{
	for (uint32_t i = 0; i < m->groups.n; i++) {
		const struct broker_group *g = &b->groups[m->groups.items[i]];

		if (g->standby == port)
			return true;
		for (uint32_t k = 0; k < g->members_n; k++)
			if (g->members[k].port == port)
				return true;
	}
	return false;
}

/* Copies leave as they were on the wire: nothing is to be done that a clone does not. */
static bool is_plain(const struct broker_port *p)
{
	const struct chain_config *c = &p->chain;

	return !p->mtu && !c->keep_merged && c->sample.one_in <= 1 && !c->dedup.mode && !c->strip &&
	       !c->mask.n && !c->mask.fields && !c->slice.on && !c->stamp.vlan_tpid && !c->stamp.trailer;
}

static int all_work(struct work *w, const struct broker_map *m, bool *yes)
{
	*yes = true;
	for (uint32_t i = 0; i < m->filters.n; i++) {
		const struct program *p;
		int r = program_of(w, m->filters.items[i], &p);

		if (r)
			return r;
		*yes &= p->works;
	}
	return 0;
}

/* Whether the kernel alone can say what of the place is due to the port. */
static int decides(struct work *w, uint32_t port, bool *yes)
{
	bool any = false;
	int r = 0;

	*yes = true;
	for (uint32_t i = 0; !r && *yes && i < w->maps_n; i++) {
		const struct broker_map *m = &w->b->maps[w->maps[i]];

		if (in_group(w->b, m, port)) {
			*yes = false;
		} else if (has(m->ports.items, m->ports.n, port)) {
			any = true;
			r = all_work(w, m, yes);
			*yes &= !m->rest && !m->except.n;
		}
	}
	*yes &= any;
	return r;
}

static int find_directs(struct work *w)
{
	int r = 0;

	w->directs = 0;
	for (uint32_t i = 0; !r && i < w->outlets_n && w->directs < TAP_DIRECT_MAX; i++) {
		const struct broker_outlet *o = &w->outlets[i];
		bool yes = false;

		if (o->at.way == OUTLET_INTERFACE && (o->at.edits || is_plain(&w->b->ports[o->port])))
			r = decides(w, o->port, &yes);
		if (yes)
			w->direct[w->directs++] = i;
	}
	return r;
}

static bool wants(const struct broker_map *m, unsigned take)
{
	unsigned direction =
	    take == TAP_IN || take == TAP_IN_DROPPED ? BROKER_DIRECTION_IN : BROKER_DIRECTION_OUT;
	unsigned fate = take == TAP_IN || take == TAP_OUT ? BROKER_FORWARDED : BROKER_DROPPED;

	return m->directions & direction && m->packets & fate;
}

/* Bits of struct wish for what the map leads to. */
static uint8_t leads(const struct work *w, const struct broker_map *m)
{
	uint8_t to = m->groups.n ? 1 : 0;

	for (uint32_t i = 0; i < m->ports.n; i++) {
		uint8_t bit = 1;

		for (uint32_t d = 0; d < w->directs; d++)
			if (w->outlets[w->direct[d]].port == m->ports.items[i])
				bit = (uint8_t)(2u << d);
		to |= bit;
	}
	return to;
}

static int add_wishes(struct work *w, const struct broker_map *m)
{
	uint8_t to = leads(w, m);
	int r = 0;

	for (uint32_t i = 0; !r && i < m->filters.n + !m->filters.n; i++) {
		const struct program *p = NULL;
		struct wish *wish = &w->always;

		if (m->filters.n)
			r = program_of(w, m->filters.items[i], &p);
		if (!r && p && p->works) {
			wish = &w->wish[m->filters.items[i]];
			w->wished[m->filters.items[i]] = true;
		}
		for (unsigned t = 0; t < TAP_TAKES; t++)
			if (wants(m, t))
				wish->take[t] |= to;
	}
	return r;
}

static void add_wish(struct wish *to, const struct wish *from)
{
	for (unsigned t = 0; t < TAP_TAKES; t++)
		to->take[t] |= from->take[t];
}

/* One form for all of `list`; NULL: there is none. */
static int join(struct work *w, const uint32_t *list, uint32_t n, const struct tap_form **out)
{
	struct str key = {.p = (const char *)list, .n = n * sizeof(*list)};
	AUTO(filter_unref) struct filter *f = NULL;
	AUTO(remarks_fini) struct remarks none = {0};
	struct filter_program made = {0};
	struct program *p = hash_get(&w->joined, key);
	AUTO_BUF text = {0};
	int r;

	if (n == 1) {
		*out = &w->programs[list[0]].form;
		return 0;
	}
	if (!p) {
		for (uint32_t i = 0; i < n; i++)
			buf_printf(&text, "%s(" STR_FMT ")", i ? " || " : "",
				   STR_ARG(w->b->filters[list[i]].text));
		p = arena_new(memory(w), struct program);
		r = text.failed || !p ? -ENOMEM : filter_parse(&f, buf_str(&text), (struct pos){0}, &none);
		if (!r)
			r = filter_program(f, &made, NULL);
		if (!r)
			r = keep_program(w, &p->form, &made);
		filter_program_fini(&made);
		if (r == -ENOMEM || hash_set(&w->joined, key, p, NULL))
			return -ENOMEM;
		p->works = !r;
	}
	*out = p->works ? &p->form : NULL;
	return 0;
}

/* false: no bit is left. */
static bool add_form(struct work *w, const struct tap_form *form, const struct wish *wish,
		     const uint32_t *list, uint32_t n)
{
	if (w->forms_n == TAP_FILTERS_MAX)
		return false;
	w->forms[w->forms_n] = *form;
	w->form_wish[w->forms_n++] = *wish;
	buf_add(&w->key, &n, sizeof(n));
	buf_add(&w->key, list, n * sizeof(*list));
	return true;
}

/* Filters with one wish; those that do not fit into the judge are left to weft-copier whole. */
static int add_equal(struct work *w, const uint32_t *list, uint32_t n, const struct wish *wish, bool *fits)
{
	const struct tap_form *form = NULL;
	int r = join(w, list, n, &form);

	if (r)
		return r;
	if (form) {
		*fits &= add_form(w, form, wish, list, n);
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		*fits &= add_form(w, &w->programs[list[i]].form, wish, &list[i], 1);
	return 0;
}

/* The filters that are wished for like `first`, in pieces that can be joined. */
static int add_like(struct work *w, uint32_t first, uint32_t *list, bool *fits)
{
	struct wish wish = w->wish[first];
	uint32_t n = 0, steps = 0;
	size_t text = 0;
	int r = 0;

	for (uint32_t i = first; !r && i < w->b->filters_n; i++) {
		const struct tap_form *form = &w->programs[i].form;

		if (!w->wished[i] || memcmp(&w->wish[i], &wish, sizeof(wish)))
			continue;
		w->wished[i] = false;
		if (!form->steps) {
			*fits &= add_form(w, form, &wish, &i, 1);
			continue;
		}
		if (n && (steps + form->n > JOINED_STEPS || text + w->b->filters[i].text.n > JOINED_TEXT)) {
			r = add_equal(w, list, n, &wish, fits);
			n = steps = 0;
			text = 0;
		}
		list[n++] = i;
		steps += form->n;
		text += w->b->filters[i].text.n + 6;
	}
	if (!r && n)
		r = add_equal(w, list, n, &wish, fits);
	return r;
}

/* Tunnels of tools, as filters of what comes in or goes out: copies are not copied again (BR61). */
static void own_text(struct buf *out, const struct broker *b)
{
	for (uint32_t i = 0; i < b->ports_n; i++) {
		const struct broker_destination *to = &b->ports[i].to;
		const struct chain_encap *e = &to->encap;
		char dst[ADDR_TEXT];

		if (!e->kind || (i && str_eq(b->ports[i - 1].tool, b->ports[i].tool)))
			continue;
		addr_print(&e->dst, dst);
		buf_printf(out, "%s(dst.ip == %s && ", out->n ? " || " : "", dst);
		if (e->kind == CHAIN_ENCAP_VXLAN)
			buf_printf(out, "udp && dst.port == %u)", e->port);
		else
			buf_addz(out, "proto == 47)");
	}
}

static int make_own(struct work *w, struct str more)
{
	AUTO(filter_unref) struct filter *f = NULL;
	AUTO(remarks_fini) struct remarks none = {0};
	struct filter_program made = {0};
	AUTO_BUF text = {0};
	int r;

	own_text(&text, w->b);
	if (more.n)
		buf_printf(&text, "%s(" STR_FMT ")", text.n ? " || " : "", STR_ARG(more));
	if (!text.n)
		return text.failed ? -ENOMEM : 0;
	r = filter_parse(&f, buf_str(&text), (struct pos){0}, &none);
	if (!r)
		r = filter_program(f, &made, NULL);
	if (!r)
		r = keep_program(w, &w->own.form, &made);
	filter_program_fini(&made);
	w->own.works = !r;
	return r;
}

/* The judge of an interface begins with the form that tells own packets; pods never see any. */
static void begin_judge(struct work *w)
{
	static const struct wish nobody;
	uint32_t mark = UINT32_MAX;

	w->forms_n = 0;
	buf_clear(&w->key);
	if (w->tells_own)
		add_form(w, &w->own.form, &nobody, &mark, 1);
}

static int make_forms(struct work *w, bool *fits)
{
	uint32_t *list = calloc((size_t)w->b->filters_n + 1, sizeof(*list));
	int r = list ? 0 : -ENOMEM;

	memset(w->wish, 0, w->b->filters_n * sizeof(*w->wish));
	memset(w->wished, 0, w->b->filters_n * sizeof(*w->wished));
	w->always = (struct wish){0};
	begin_judge(w);
	*fits = true;
	for (uint32_t i = 0; !r && i < w->maps_n; i++)
		r = add_wishes(w, &w->b->maps[w->maps[i]]);
	for (uint32_t i = 0; !r && i < w->b->filters_n; i++)
		if (w->wished[i])
			r = add_like(w, i, list, fits);
	free(list);
	return r;
}

/* More than a judge has bits for: the copier takes all that any filter is wished for. */
static void take_all(struct work *w)
{
	for (uint32_t i = 0; i < w->b->filters_n; i++)
		add_wish(&w->always, &w->wish[i]);
	begin_judge(w);
}

static int settle_judge(struct work *w, uint32_t *judge)
{
	void *known;
	struct tap_form *forms;

	buf_add(&w->key, &w->forms_n, sizeof(w->forms_n)); /* no key is empty */
	if (w->key.failed)
		return -ENOMEM;
	known = hash_get(&w->judges, buf_str(&w->key));
	if (known) {
		*judge = (uint32_t)(uintptr_t)known - 1;
		return 0;
	}
	forms = arena_array(memory(w), struct tap_form, w->forms_n + 1);
	*judge = w->out->judges_n;
	if (!forms || hash_set(&w->judges, buf_str(&w->key), (void *)(uintptr_t)(*judge + 1), NULL))
		return -ENOMEM;
	memcpy(forms, w->forms, w->forms_n * sizeof(*forms));
	w->judge[w->out->judges_n++] = (struct tap_judge){.forms = forms, .n = w->forms_n};
	return 0;
}

/* Bits of the answer by which something of that bit of the wishes is taken. */
static uint32_t mask(const struct work *w, unsigned take, unsigned bit)
{
	uint32_t all = w->always.take[take] >> bit & 1 ? TAP_ALWAYS : 0;

	for (uint32_t i = 0; i < w->forms_n; i++)
		all |= (uint32_t)(w->form_wish[i].take[take] >> bit & 1) << i;
	return all;
}

static void settle_takes(const struct work *w, struct tap_place *p)
{
	p->own = w->tells_own ? 1 : 0;
	p->directs = w->directs;
	for (uint32_t d = 0; d < w->directs; d++)
		p->direct[d].outlet = w->outlets[w->direct[d]].at.number;
	for (unsigned t = 0; t < TAP_TAKES; t++) {
		p->take[t] = mask(w, t, 0);
		for (uint32_t d = 0; d < w->directs; d++)
			p->direct[d].take[t] = mask(w, t, d + 1);
	}
}

static void find_maps(struct work *w, const struct broker_place *at)
{
	w->maps_n = 0;
	for (uint32_t i = 0; i < w->b->maps_n; i++) {
		const struct broker_map *m = &w->b->maps[i];
		bool from = false;

		for (uint32_t s = 0; !from && s < at->sources_n; s++)
			from = has(m->sources.items, m->sources.n, at->sources[s]);
		if (from)
			w->maps[w->maps_n++] = i;
	}
}

/* Judge and masks of a place; false in *any: no map leads there. */
static int fill_place(struct work *w, const struct broker_place *at, struct tap_place *p, bool *any)
{
	bool fits;
	int r;

	find_maps(w, at);
	w->tells_own = w->own.works && at->where == TAP_AT_INTERFACE;
	*any = w->maps_n > 0;
	if (!*any)
		return 0;
	r = find_directs(w);
	if (!r)
		r = make_forms(w, &fits);
	if (!r && !fits && w->directs) { /* fewer wishes differ */
		w->directs = 0;
		r = make_forms(w, &fits);
	}
	if (!r && !fits)
		take_all(w);
	if (!r)
		r = settle_judge(w, &p->judge);
	if (!r)
		settle_takes(w, p);
	p->feed = false;
	for (uint32_t i = 0; i < at->sources_n; i++)
		p->feed |= w->b->sources[at->sources[i]].feed;
	return r;
}

static int add_place(struct work *w, const struct broker_place *at)
{
	struct tap_place *p = &w->place[w->out->places_n];
	bool any = at->sources_n > 0;
	AUTO_BUF key = {0};
	void *like;
	int r = 0;

	buf_add(&key, &at->where, sizeof(at->where));
	buf_add(&key, at->sources, at->sources_n * sizeof(*at->sources));
	if (key.failed)
		return -ENOMEM;
	like = hash_get(&w->places, buf_str(&key));
	if (like)
		*p = w->place[(uintptr_t)like - 1];
	else if (any)
		r = fill_place(w, at, p, &any);
	if (r || !any)
		return r;
	if (!like && hash_set(&w->places, buf_str(&key), (void *)(uintptr_t)(w->out->places_n + 1), NULL))
		return -ENOMEM;
	p->where = at->where;
	p->point = at->point;
	p->ifindex = at->where == TAP_AT_POD ? at->ifindex : 0;
	memset(p->name, 0, sizeof(p->name));
	if (at->where == TAP_AT_INTERFACE && at->name.n < TAP_NAME)
		memcpy(p->name, at->name.p, at->name.n);
	w->out->places_n++;
	return 0;
}

static int add_outlets(struct work *w)
{
	struct tap_outlet *all = arena_array(memory(w), struct tap_outlet, w->outlets_n + 1);

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->outlets_n; i++)
		all[i] = w->outlets[i].at;
	w->out->outlets = all;
	w->out->outlets_n = w->outlets_n;
	return 0;
}

int broker_taps(struct taps *out, const struct broker *b, uint32_t epoch, const struct broker_place *places,
		uint32_t places_n, const struct broker_outlet *outlets, uint32_t outlets_n, struct str own,
		struct remarks *remarks)
{
	struct work w = {.out = out, .b = b, .outlets = outlets, .outlets_n = outlets_n, .remarks = remarks};
	int r = 0;

	*out = (struct taps){.epoch = epoch};
	w.programs = calloc((size_t)b->filters_n + 1, sizeof(*w.programs));
	w.wish = calloc((size_t)b->filters_n + 1, sizeof(*w.wish));
	w.wished = calloc((size_t)b->filters_n + 1, sizeof(*w.wished));
	w.maps = calloc((size_t)b->maps_n + 1, sizeof(*w.maps));
	out->judges = w.judge = arena_array(&out->arena, struct tap_judge, places_n + 1);
	out->places = w.place = arena_array(&out->arena, struct tap_place, places_n + 1);
	if (!w.programs || !w.wish || !w.wished || !w.maps || !w.judge || !w.place)
		r = -ENOMEM;
	if (!r)
		r = make_own(&w, own);
	for (uint32_t i = 0; !r && i < places_n; i++)
		r = add_place(&w, &places[i]);
	if (!r)
		r = add_outlets(&w);
	hash_fini(&w.joined);
	hash_fini(&w.judges);
	hash_fini(&w.places);
	buf_fini(&w.key);
	free(w.programs);
	free(w.wish);
	free(w.wished);
	free(w.maps);
	return r;
}

bool taps_direct(const struct taps *t, uint32_t point, uint32_t outlet)
{
	for (uint32_t i = 0; i < t->places_n; i++)
		for (uint32_t d = 0; t->places[i].point == point && d < t->places[i].directs; d++)
			if (t->places[i].direct[d].outlet == outlet)
				return true;
	return false;
}
