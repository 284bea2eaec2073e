/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares all pairs of groups by two engines, see diff.h. A pair's difference is a cell: lines of (family,
 * was, now, ports, causes). Equal cells have one number; cells then join to rectangles of sources and
 * destinations (rectangle.c). Pure.
 */
#include "reason/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/cause.h"
#include "reason/rectangle.h"

struct line {
	int family;
	uint8_t was, now;
	VEC(struct port_span) ports;
	struct cause_list causes;
};
struct cell {
	VEC(struct line) lines;
};

struct differ {
	struct diff *d;
	struct causes causes;
	struct hash memo;	/* what a cell depends on → cell + 1 */
	struct hash by_lines;	/* the cell's text → cell + 1 */
	VEC(struct cell) cells; /* 0: nothing changes */
	struct grid grid;
};

static void line_fini(struct line *l)
{
	vec_free(&l->ports);
	vec_free(&l->causes.list);
}

static void cell_fini(struct cell *c)
{
	VEC_EACH (&c->lines, l)
		line_fini(l);
	vec_free(&c->lines);
}

/* All that a cell depends on; no padding. */
struct cell_key {
	uint32_t fn[FAMILIES][4]; /* egress, ingress before; egress, ingress after */
	uint32_t family[FAMILIES];
	uint32_t sets[4];
};

static uint8_t both(const struct fn_range *egress, const struct fn_range *ingress)
{
	return egress->word < ingress->word ? egress->word : ingress->word;
}

static struct line *line_for(struct cell *c, int family, uint8_t was, uint8_t now,
			     const struct cause_list *causes)
{
	VEC_EACH (&c->lines, l) {
		if (l->family == family && l->was == was && l->now == now &&
		    l->causes.list.len == causes->list.len &&
		    (!causes->list.len ||
		     !memcmp(l->causes.list.items, causes->list.items, causes->list.len * sizeof(uint32_t))))
			return l;
	}
	struct line fresh = {.family = family, .was = was, .now = now};
	VEC_EACH (&causes->list, i)
		if (vec_push(&fresh.causes.list, *i))
			goto fail;
	if (vec_push(&c->lines, fresh))
		goto fail;
	return &c->lines.items[c->lines.len - 1];
fail:
	line_fini(&fresh);
	return NULL;
}

static int note_range(struct differ *w, struct cell *c, int family, const struct fn_range *const r[4],
		      const struct port_span *ports, const struct side sides[2])
{
	uint8_t was = both(r[0], r[1]), now = both(r[2], r[3]);
	struct cause_list causes = {0};
	int e = 0;

	/* One refusal is enough, and the receiver's is told; to be allowed takes both ends. */
	bool told = false;
	for (int i = 1; i >= 0 && !e; i--) {
		struct side s = sides[i];
		s.was = r[i];
		s.now = r[2 + i];
		if (now < was && s.now->word < was && !told)
			e = cause_refused(&w->causes, &s, &causes);
		if (now > was && s.was->word < now)
			e = cause_allowed(&w->causes, &s, &causes);
		told |= causes.list.len > 0;
	}
	struct line *l = e ? NULL : line_for(c, family, was, now, &causes);
	vec_free(&causes.list);
	if (!l)
		return -ENOMEM;
	struct port_span *last = l->ports.len ? &l->ports.items[l->ports.len - 1] : NULL;
	if (last && last->proto == ports->proto && (uint32_t)last->high + 1 == ports->low) {
		last->high = ports->high;
		return 0;
	}
	return vec_push(&l->ports, *ports);
}

static int compare(struct differ *w, struct cell *c, int family, const uint32_t fn[4],
		   const struct side sides[2])
{
	const struct port_fn *fns[4];
	const struct fn_range *r[4];
	struct port_walk walk = {0};
	struct port_span p = {0};
	int e = 0;

	for (int i = 0; i < 4; i++)
		fns[i] = port_fn(w->d->ends.fns, fn[i]);
	while (!e && port_walk_next(&walk, fns, 4, r, &p.proto, &p.low, &p.high)) {
		uint8_t was = both(r[0], r[1]), now = both(r[2], r[3]);
		bool names = was == PORT_NAMES && now == PORT_NAMES && (r[0]->names != r[2]->names);
		if (was != now || names)
			e = note_range(w, c, family, r, &p, sides);
	}
	return e;
}

/* Where both families say the same, the line is of no family. */
static bool same_lines(const struct line *a, const struct line *b)
{
	return a->was == b->was && a->now == b->now && a->ports.len == b->ports.len &&
	       a->causes.list.len == b->causes.list.len &&
	       !memcmp(a->ports.items, b->ports.items, a->ports.len * sizeof(*a->ports.items)) &&
	       (!a->causes.list.len ||
		!memcmp(a->causes.list.items, b->causes.list.items, a->causes.list.len * sizeof(uint32_t)));
}

static void join_families(struct cell *c, const struct cell_key *k)
{
	if (!k->family[0] || !k->family[1]) {
		VEC_EACH (&c->lines, l)
			l->family = 0;
		return;
	}
	for (size_t i = 0; i < c->lines.len; i++)
		for (size_t n = i + 1; n < c->lines.len; n++) {
			struct line *a = &c->lines.items[i], *b = &c->lines.items[n];
			if (!a->family || a->family == b->family || !same_lines(a, b))
				continue;
			a->family = 0;
			line_fini(b);
			vec_remove(&c->lines, n);
			break;
		}
}

static void cell_text(struct buf *b, const struct cell *c)
{
	VEC_EACH (&c->lines, l) {
		buf_printf(b, "\n%d %d %d:", l->family, l->was, l->now);
		VEC_EACH (&l->ports, p)
			buf_printf(b, " %d/%d-%d", p->proto, p->low, p->high);
		VEC_EACH (&l->causes.list, i)
			buf_printf(b, " #%u", *i);
	}
}

/* The cell's number; takes the cell over. */
static int intern(struct differ *w, struct cell *c, uint32_t *id)
{
	AUTO_BUF text = {0};

	cell_text(&text, c);
	void *known = hash_get(&w->by_lines, buf_str(&text));
	*id = (uint32_t)(uintptr_t)known;
	if (known || !c->lines.len) {
		cell_fini(c);
		return 0;
	}
	if (text.failed || vec_push(&w->cells, *c)) {
		cell_fini(c);
		return -ENOMEM;
	}
	*id = (uint32_t)w->cells.len;
	return hash_set(&w->by_lines, buf_str(&text), (void *)(uintptr_t)*id, NULL);
}

static int make_cell(struct differ *w, const struct cell_key *k, const struct group *src,
		     const struct group *dst, uint32_t *id)
{
	const struct end *from = &w->d->ends.list.items[src->ends.items[0]];
	const struct end *to = &w->d->ends.list.items[dst->ends.items[0]];
	const struct side sides[2] = {{.end = from, .egress = true}, {.end = to}};
	struct cell c = {0};
	int e = 0;

	for (int f = 0; f < FAMILIES && !e; f++)
		if (k->family[f])
			e = compare(w, &c, f ? 6 : 4, k->fn[f], sides);
	if (e) {
		cell_fini(&c);
		return e;
	}
	join_families(&c, k);
	return intern(w, &c, id);
}

/* 0 in *id: nothing changes from src to dst. */
static int cell_of(struct differ *w, const struct group *src, const struct group *dst, uint32_t *id)
{
	struct cell_key k = {
	    .sets = {src->by[0].egress, dst->by[0].ingress, src->by[1].egress, dst->by[1].ingress}};
	bool differs = false;
	int e = 0;

	*id = 0;
	for (int f = 0; f < FAMILIES && !e; f++) {
		if (!src->has[f] || !dst->has[f])
			continue;
		k.family[f] = 1;
		e = groups_fns(&w->d->ends, 0, src, dst, f, &k.fn[f][0], &k.fn[f][1]);
		if (!e)
			e = groups_fns(&w->d->ends, 1, src, dst, f, &k.fn[f][2], &k.fn[f][3]);
		differs |= k.fn[f][0] != k.fn[f][2] || k.fn[f][1] != k.fn[f][3];
	}
	if (e || !differs)
		return e;
	struct str key = {(const char *)&k, sizeof(k)};
	void *known = hash_get(&w->memo, key);
	if (known) {
		*id = (uint32_t)(uintptr_t)known - 1;
		return 0;
	}
	e = make_cell(w, &k, src, dst, id);
	return e ? e : hash_set(&w->memo, key, (void *)(uintptr_t)(*id + 1), NULL);
}

static int fill(struct differ *w)
{
	const struct ends *ends = &w->d->ends;
	int e = 0;

	for (size_t d = 0; d < ends->groups.len; d++)
		for (size_t s = 0; s < ends->groups.len && !e; s++) {
			const struct group *src = &ends->groups.items[s], *dst = &ends->groups.items[d];
			uint32_t id = 0;
			uint64_t n = groups_pairs(ends, src, dst);
			if (!n)
				continue;
			w->d->compared += n;
			e = cell_of(w, src, dst, &id);
			if (!id || e)
				continue;
			w->d->changed += n;
			e = grid_put(&w->grid, id, (uint32_t)s, (uint32_t)d);
		}
	return e;
}

/* The groups' ends, but for groups that have nothing to say to any of the others. */
static bool *mark(const struct ends *e, const struct rectangle *rect, bool sources)
{
	bool *in = calloc(e->list.len + 1, sizeof(*in));
	const uint32_t *groups = sources ? rect->sources.items : rect->destinations.items;
	const uint32_t *others = sources ? rect->destinations.items : rect->sources.items;
	size_t n = sources ? rect->sources.len : rect->destinations.len;
	size_t n_others = sources ? rect->destinations.len : rect->sources.len;

	for (size_t i = 0; in && i < n; i++) {
		const struct group *g = &e->groups.items[groups[i]];
		bool any = false;
		for (size_t k = 0; k < n_others && !any; k++) {
			const struct group *o = &e->groups.items[others[k]];
			any = groups_pairs(e, sources ? g : o, sources ? o : g) > 0;
		}
		for (size_t k = 0; any && k < g->ends.len; k++)
			in[g->ends.items[k]] = true;
	}
	return in;
}

static void change_fini(struct diff_change *c)
{
	free(c->sources);
	free(c->destinations);
	vec_free(&c->ports);
	vec_free(&c->causes);
}

static int put_line(struct diff *d, const struct rectangle *rect, const struct line *l)
{
	struct diff_change c = {.family = l->family, .was = l->was, .now = l->now};
	int e = 0;

	c.sources = mark(&d->ends, rect, true);
	c.destinations = mark(&d->ends, rect, false);
	for (size_t s = 0; s < rect->sources.len; s++)
		for (size_t t = 0; t < rect->destinations.len; t++)
			c.flows += groups_pairs(&d->ends, &d->ends.groups.items[rect->sources.items[s]],
						&d->ends.groups.items[rect->destinations.items[t]]);
	VEC_EACH (&l->ports, p)
		e = e ? e : vec_push(&c.ports, *p);
	VEC_EACH (&l->causes.list, i)
		e = e ? e : vec_push(&c.causes, *i);
	if (e || !c.sources || !c.destinations || vec_push(&d->changes, c)) {
		change_fini(&c);
		return -ENOMEM;
	}
	return 0;
}

static int first(const bool *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in[i])
			return (int)i;
	return (int)n;
}

static int by_names(const void *pa, const void *pb, void *ctx)
{
	const struct diff_change *a = pa, *b = pb;
	const struct diff *d = ctx;
	size_t n = d->ends.list.len;
	int x = (int)a->now - (int)b->now;

	x = x ? x : first(a->destinations, n) - first(b->destinations, n);
	x = x ? x : first(a->sources, n) - first(b->sources, n);
	return x ? x : a->family - b->family;
}

static int put_changes(struct differ *w)
{
	struct rectangles rects = {0};
	int e = grid_rectangles(&w->grid, &w->d->ends, &rects);

	VEC_EACH (&rects.list, rect) {
		const struct cell *c = &w->cells.items[rect->cell - 1];
		for (size_t i = 0; i < c->lines.len && !e; i++)
			e = put_line(w->d, rect, &c->lines.items[i]);
	}
	rectangles_fini(&rects);
	if (!e && w->d->changes.len > 1)
		qsort_r(w->d->changes.items, w->d->changes.len, sizeof(*w->d->changes.items), by_names, w->d);
	return e;
}

int diff_new(struct diff *out, struct engine *const engines[ENGINES], struct port_fns *fns,
	     const struct pod_pairs *pairs, const struct diff_options *opt)
{
	struct diff d = {0};
	struct differ w = {.d = &d, .causes = {.d = &d, .staged = opt->staged}};
	int e = ends_new(&d.ends, engines, ENGINES, fns, pairs, NULL);

	if (!e)
		e = fill(&w);
	if (!e)
		e = put_changes(&w);
	VEC_EACH (&w.cells, c)
		cell_fini(c);
	vec_free(&w.cells);
	hash_fini(&w.memo);
	hash_fini(&w.by_lines);
	causes_fini(&w.causes);
	grid_fini(&w.grid);
	if (e)
		diff_fini(&d);
	else
		*out = d;
	return e;
}

void diff_fini(struct diff *d)
{
	VEC_EACH (&d->changes, c)
		change_fini(c);
	vec_free(&d->changes);
	VEC_EACH (&d->causes, c) {
		free(c->text);
		free(c->rule);
		file_unref(&c->file);
	}
	vec_free(&d->causes);
	ends_fini(&d->ends);
}
