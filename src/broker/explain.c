/* SPDX-License-Identifier: Apache-2.0 */
/* Why a packet goes where it goes: see explain.h. */
#include "broker/explain.h"

#include <errno.h>

#include "base/own.h"
#include "filter/dissect.h"

struct work {
	struct explained *out;
	const struct broker *b;
	const struct explain_question *q;
	bool *took;	/* by map */
	uint32_t first; /* of the maps that took it; BROKER_NONE: none so far */
	bool failed;
};

static bool is_from(const struct broker_map *m, const struct explain_question *q)
{
	for (uint32_t i = 0; i < m->sources.n; i++)
		for (uint32_t k = 0; k < q->sources_n; k++)
			if (m->sources.items[i] == q->sources[k])
				return true;
	return false;
}

static struct filter_packet view(const struct chain_packet *p)
{
	return (struct filter_packet){.p = p->p,
				      .caplen = p->caplen,
				      .len = p->len,
				      .link = p->link,
				      .vlan_in_meta = p->flags & PACKET_VLAN_BESIDE,
				      .vlan_tci = p->vlan_tci,
				      .vlan_tpid = p->vlan_tpid};
}

static bool ask_filter(struct work *w, uint32_t filter, struct explain_filter *out)
{
	const struct filter_packet packet = view(w->q->packet);
	AUTO_BUF why = {0};

	*out = (struct explain_filter){.filter = filter};
	out->matches = filter_packet_why(w->b->filters[filter].filter, &packet, &why);
	out->terms = arena_str(&w->out->arena, buf_str(&why));
	w->failed |= why.failed || !out->terms.p;
	return out->matches;
}

static bool filters_match(struct work *w, const struct broker_map *m, struct explain_map *e)
{
	bool matches = !m->filters.n;

	e->filters = arena_array(&w->out->arena, struct explain_filter, m->filters.n + 1);
	w->failed |= !e->filters;
	for (uint32_t i = 0; e->filters && !matches && i < m->filters.n; i++)
		matches = ask_filter(w, m->filters.items[i], &e->filters[e->filters_n++]);
	return matches;
}

static uint32_t excepted_by(const struct work *w, const struct broker_map *m)
{
	for (uint32_t i = 0; i < m->except.n; i++)
		if (w->took[m->except.items[i]])
			return m->except.items[i];
	return BROKER_NONE;
}

static enum explain_why why_of(struct work *w, uint32_t map, struct explain_map *e)
{
	const struct broker_map *m = &w->b->maps[map];

	if (!is_from(m, w->q))
		return EXPLAIN_SOURCE;
	if (!(m->directions & w->q->direction))
		return EXPLAIN_DIRECTION;
	if (!(m->packets & w->q->fate))
		return EXPLAIN_FATE;
	if (!filters_match(w, m, e))
		return EXPLAIN_FILTER;
	e->other = m->rest ? w->first : BROKER_NONE;
	if (e->other != BROKER_NONE && !w->b->maps[e->other].rest)
		return EXPLAIN_REST;
	e->other = excepted_by(w, m);
	return e->other != BROKER_NONE ? EXPLAIN_EXCEPT : EXPLAIN_TAKEN;
}

static void explain_maps(struct work *w)
{
	struct explained *x = w->out;

	for (uint32_t i = 0; !w->failed && i < w->b->maps_n; i++) {
		struct explain_map *e = &x->maps[x->maps_n++];

		*e = (struct explain_map){.map = w->b->order[i], .other = BROKER_NONE};
		e->why = why_of(w, e->map, e);
		if (e->why != EXPLAIN_TAKEN)
			continue;
		w->took[e->map] = true;
		if (w->first == BROKER_NONE)
			w->first = e->map;
	}
}

static bool has(const struct broker_indexes *l, uint32_t i)
{
	for (uint32_t k = 0; k < l->n; k++)
		if (l->items[k] == i)
			return true;
	return false;
}

/* A map leads to the port itself, or to a group that chose it. */
static bool leads(const struct explained *x, const struct broker_map *m, uint32_t port)
{
	if (has(&m->ports, port))
		return true;
	for (uint32_t i = 0; i < x->groups_n; i++)
		if (x->groups[i].port == port && has(&m->groups, x->groups[i].group))
			return true;
	return false;
}

static void explain_port(struct work *w, uint32_t port)
{
	struct explained *x = w->out;
	struct explain_port *e = &x->ports[x->ports_n++];
	bool named = false;

	*e = (struct explain_port){.port = port, .group = BROKER_NONE};
	e->maps = arena_array(&x->arena, uint32_t, w->b->maps_n + 1);
	w->failed |= !e->maps;
	for (uint32_t i = 0; e->maps && i < x->maps_n; i++) {
		const struct broker_map *m = &w->b->maps[x->maps[i].map];

		if (x->maps[i].why != EXPLAIN_TAKEN || !leads(x, m, port))
			continue;
		e->maps[e->maps_n++] = x->maps[i].map;
		named |= has(&m->ports, port);
	}
	for (uint32_t i = 0; !named && i < x->groups_n; i++)
		if (x->groups[i].port == port)
			e->group = x->groups[i].group;
}

static bool group_asked(const struct work *w, uint32_t group)
{
	for (uint32_t i = 0; i < w->b->maps_n; i++)
		if (w->took[i] && has(&w->b->maps[i].groups, group))
			return true;
	return false;
}

static void set_down(const struct work *w, struct judge *j, uint32_t group)
{
	const struct broker_group *g = &w->b->groups[group];

	for (uint32_t k = 0; w->q->down && k < g->members_n; k++)
		group_set_down(judge_group(j, group), k, w->q->down[g->members[k].port]);
	if (w->q->down && g->standby != BROKER_NONE)
		group_set_down(judge_group(j, group), g->members_n, w->q->down[g->standby]);
}

static void explain_targets(struct work *w, struct judge *j, const struct point *at)
{
	struct explained *x = w->out;
	const struct chain_packet *p = w->q->packet;
	struct judged said;
	const struct filter_packet packet = view(p);
	struct dissected d;
	bool ip;

	dissect(&d, &packet);
	ip = d.has & (HAS_IP | HAS_MPLS); /* as the judge tells groups */
	for (uint32_t i = 0; i < w->b->groups_n; i++)
		set_down(w, j, i);
	judge_packet(j, at, p, w->q->direction, w->q->fate, &said);
	x->whole = said.whole;
	for (uint32_t i = 0; i < w->b->groups_n; i++)
		if (group_asked(w, i))
			x->groups[x->groups_n++] =
			    (struct explain_group){i, group_choose(judge_group(j, i), p, ip, p->time)};
	for (uint32_t i = 0; i < said.ports_n; i++)
		explain_port(w, said.ports[i]);
}

static bool make_room(struct work *w)
{
	struct arena *a = &w->out->arena;
	const struct broker *b = w->b;

	w->took = arena_array(a, bool, b->maps_n + 1);
	w->out->maps = arena_array(a, struct explain_map, b->maps_n + 1);
	w->out->groups = arena_array(a, struct explain_group, b->groups_n + 1);
	w->out->ports = arena_array(a, struct explain_port, b->ports_n + 1);
	return w->took && w->out->maps && w->out->groups && w->out->ports;
}

int broker_explain(struct explained *out, const struct broker *b, const struct explain_question *q)
{
	struct work w = {.out = out, .b = b, .q = q, .first = BROKER_NONE};
	struct judge *j = NULL;
	struct point *at = NULL;

	*out = (struct explained){0};
	w.failed = !make_room(&w) || judge_new(&j, b) || point_new(&at, b, q->sources, q->sources_n);
	if (!w.failed)
		explain_maps(&w);
	if (!w.failed)
		explain_targets(&w, j, at);
	point_free(&at);
	judge_free(&j);
	if (w.failed)
		explained_fini(out);
	return w.failed ? -ENOMEM : 0;
}

void explained_fini(struct explained *e)
{
	arena_fini(&e->arena);
	*e = (struct explained){0};
}
