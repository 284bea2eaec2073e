/* SPDX-License-Identifier: Apache-2.0 */
/* Packets against maps: see judge.h. */
#include "broker/judge.h"

#include <errno.h>

#include "base/own.h"
#include "filter/dissect.h"
#include "filter/index.h"

/* Maps of a point have positions, in the broker's order: what `except` names stands before, rest last. Sets
 * of maps are bits by position: a filter that matches brings all its maps at once. Captures come last. */
struct point {
	uint32_t *maps;
	uint32_t n, first_rest, first_aside;
	uint32_t *filters; /* that its maps have, each once */
	uint32_t filters_n;
	struct filter_index *index; /* of them, by their place in the list */
	uint64_t *asked;	    /* the same as bits */
	uint64_t *by_filter;	    /* for each filter of the broker: its maps */
	uint64_t *always;	    /* maps without a filter */
	uint64_t *in, *out, *forwarded, *dropped;
	uint64_t *reach; /* bits of tool ports */
	uint64_t *has;	 /* bits of maps by number */
};

struct judge {
	const struct broker *b;
	struct group **groups;
	/* Of the packet at hand. */
	uint64_t *ask;		   /* filters of the point that can match */
	uint64_t *candidates;	   /* positions */
	uint64_t *took;		   /* maps */
	uint64_t *due, *in_groups; /* tool ports, groups */
	uint32_t *maps, *ports;	   /* the lists of struct judged */
	struct filter_packet packet;
	struct dissected head;
};

static size_t words(uint32_t n)
{
	return (size_t)n / 64 + 1;
}

static bool bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= 1ull << (i % 64);
}

static void clear(uint64_t *bits, uint32_t n)
{
	memset(bits, 0, words(n) * sizeof(*bits));
}

int judge_new(struct judge **out, const struct broker *b)
{
	struct judge *j = calloc(1, sizeof(*j));
	int r = 0;

	if (!j)
		return -ENOMEM;
	j->b = b;
	j->ask = calloc(words(b->filters_n), sizeof(uint64_t));
	j->candidates = calloc(words(b->maps_n), sizeof(uint64_t));
	j->took = calloc(words(b->maps_n), sizeof(uint64_t));
	j->due = calloc(words(b->ports_n), sizeof(uint64_t));
	j->in_groups = calloc(words(b->groups_n), sizeof(uint64_t));
	j->maps = calloc((size_t)b->maps_n + 1, sizeof(uint32_t));
	j->ports = calloc((size_t)b->ports_n + 1, sizeof(uint32_t));
	j->groups = calloc((size_t)b->groups_n + 1, sizeof(*j->groups));
	if (!j->ask || !j->candidates || !j->took || !j->due || !j->in_groups || !j->maps || !j->ports ||
	    !j->groups)
		r = -ENOMEM;
	for (uint32_t i = 0; !r && i < b->groups_n; i++)
		r = group_new(&j->groups[i], b, &b->groups[i]);
	if (r) {
		judge_free(&j);
		return r;
	}
	*out = j;
	return 0;
}

void judge_free(struct judge **jp)
{
	struct judge *j = *jp;

	if (!j)
		return;
	for (uint32_t i = 0; j->groups && i < j->b->groups_n; i++)
		group_free(&j->groups[i]);
	free(j->groups);
	free(j->ask);
	free(j->candidates);
	free(j->took);
	free(j->due);
	free(j->in_groups);
	free(j->maps);
	free(j->ports);
	free(j);
	*jp = NULL;
}

static bool is_from(const struct broker_map *m, const uint32_t *sources, uint32_t n)
{
	for (uint32_t i = 0; i < m->sources.n; i++)
		for (uint32_t k = 0; k < n; k++)
			if (m->sources.items[i] == sources[k])
				return true;
	return false;
}

static void reach(struct point *p, const struct broker *b, const struct broker_map *m)
{
	for (uint32_t i = 0; i < m->ports.n; i++)
		set(p->reach, m->ports.items[i]);
	for (uint32_t i = 0; i < m->groups.n; i++) {
		const struct broker_group *g = &b->groups[m->groups.items[i]];

		for (uint32_t k = 0; k < g->members_n; k++)
			set(p->reach, g->members[k].port);
		if (g->standby != BROKER_NONE)
			set(p->reach, g->standby);
	}
}

static void place_map(struct point *p, const struct broker *b, uint32_t map)
{
	const struct broker_map *m = &b->maps[map];
	uint32_t at = p->n++;

	p->maps[at] = map;
	p->first_rest = m->rest || m->aside ? p->first_rest : p->n;
	p->first_aside = m->aside ? p->first_aside : p->n;
	set(p->has, map);
	reach(p, b, m);
	if (m->directions & BROKER_DIRECTION_IN)
		set(p->in, at);
	if (m->directions & BROKER_DIRECTION_OUT)
		set(p->out, at);
	if (m->packets & BROKER_FORWARDED)
		set(p->forwarded, at);
	if (m->packets & BROKER_DROPPED)
		set(p->dropped, at);
	if (!m->filters.n)
		set(p->always, at);
	for (uint32_t i = 0; i < m->filters.n; i++) {
		uint32_t f = m->filters.items[i];

		if (!bit(p->asked, f))
			p->filters[p->filters_n++] = f;
		set(p->asked, f);
		set(p->by_filter + f * words(b->maps_n), at);
	}
}

static bool point_room(struct point *p, const struct broker *b)
{
	uint64_t **const sets[] = {&p->always, &p->in, &p->out, &p->forwarded, &p->dropped, &p->has};
	bool good;

	p->maps = calloc((size_t)b->maps_n + 1, sizeof(*p->maps));
	p->filters = calloc((size_t)b->filters_n + 1, sizeof(*p->filters));
	p->asked = calloc(words(b->filters_n), sizeof(*p->asked));
	p->by_filter = calloc(((size_t)b->filters_n + 1) * words(b->maps_n), sizeof(*p->by_filter));
	p->reach = calloc(words(b->ports_n), sizeof(*p->reach));
	good = p->maps && p->filters && p->asked && p->by_filter && p->reach;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		*sets[i] = calloc(words(b->maps_n), sizeof(uint64_t));
		good &= *sets[i] != NULL;
	}
	return good;
}

static int make_index(struct point *p, const struct broker *b)
{
	const struct filter **filters = calloc((size_t)p->filters_n + 1, sizeof(struct filter *));
	int r;

	if (!filters)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->filters_n; i++)
		filters[i] = b->filters[p->filters[i]].filter;
	r = filter_index_new(&p->index, filters, p->filters_n);
	free(filters);
	return r;
}

int point_new(struct point **out, const struct broker *b, const uint32_t *sources, uint32_t n)
{
	struct point *p = calloc(1, sizeof(*p));
	bool good = p && point_room(p, b);

	for (uint32_t i = 0; good && i < b->maps_n; i++)
		if (is_from(&b->maps[b->order[i]], sources, n))
			place_map(p, b, b->order[i]);
	if (!good || make_index(p, b)) {
		point_free(&p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void point_free(struct point **pp)
{
	struct point *p = *pp;

	if (!p)
		return;
	free(p->maps);
	free(p->filters);
	filter_index_free(&p->index);
	free(p->asked);
	free(p->by_filter);
	free(p->always);
	free(p->in);
	free(p->out);
	free(p->forwarded);
	free(p->dropped);
	free(p->reach);
	free(p->has);
	free(p);
	*pp = NULL;
}

bool point_reaches(const struct point *p, uint32_t port)
{
	return bit(p->reach, port);
}

bool point_has_map(const struct point *p, uint32_t map)
{
	return bit(p->has, map);
}

static bool is_excepted(const struct judge *j, const struct broker_map *m)
{
	for (uint32_t i = 0; i < m->except.n; i++)
		if (bit(j->took, m->except.items[i]))
			return true;
	return false;
}

/* Maps of which a filter matches, of those that ask for such packets. */
static void find_candidates(struct judge *j, const struct point *at, unsigned direction, unsigned fate)
{
	size_t n = words(j->b->maps_n), used = words(at->n);

	memcpy(j->candidates, at->always, used * sizeof(uint64_t));
	filter_index_look(at->index, &j->head, j->ask);
	for (size_t i = 0; i < words(at->filters_n); i++)
		for (uint64_t left = j->ask[i]; left; left &= left - 1) {
			uint32_t f = at->filters[i * 64 + (uint32_t)__builtin_ctzll(left)];

			if (filter_dissected(j->b->filters[f].filter, &j->packet, &j->head))
				for (size_t w = 0; w < used; w++)
					j->candidates[w] |= at->by_filter[f * n + w];
		}
	for (size_t w = 0; w < used; w++)
		if (j->candidates[w])
			j->candidates[w] &= ((direction & BROKER_DIRECTION_IN ? at->in[w] : 0) |
					     (direction & BROKER_DIRECTION_OUT ? at->out[w] : 0)) &
					    ((fate & BROKER_FORWARDED ? at->forwarded[w] : 0) |
					     (fate & BROKER_DROPPED ? at->dropped[w] : 0));
}

static void add_due(struct judge *j, struct judged *out, uint32_t port)
{
	if (bit(j->due, port))
		return;
	set(j->due, port);
	out->ports_n++;
}

static void take(struct judge *j, struct judged *out, uint32_t map)
{
	const struct broker_map *m = &j->b->maps[map];

	set(j->took, map);
	j->maps[out->maps_n++] = map;
	for (uint32_t i = 0; i < m->ports.n; i++)
		add_due(j, out, m->ports.items[i]);
	for (uint32_t i = 0; i < m->groups.n; i++)
		set(j->in_groups, m->groups.items[i]);
}

static void begin(struct judge *j, const struct chain_packet *p, struct judged *out)
{
	const struct broker *b = j->b;

	clear(j->took, b->maps_n);
	clear(j->due, b->ports_n);
	clear(j->in_groups, b->groups_n);
	j->packet = (struct filter_packet){.p = p->p,
					   .caplen = p->caplen,
					   .len = p->len,
					   .link = p->link,
					   .vlan_in_meta = p->flags & PACKET_VLAN_BESIDE,
					   .vlan_tci = p->vlan_tci,
					   .vlan_tpid = p->vlan_tpid};
	*out = (struct judged){.whole = dissect(&j->head, &j->packet), .maps = j->maps, .ports = j->ports};
}

/* Members of the groups, then all tool ports in their order. */
static void settle_ports(struct judge *j, const struct chain_packet *p, struct judged *out)
{
	const struct broker *b = j->b;
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->groups_n; i++) {
		uint32_t port;

		if (!bit(j->in_groups, i))
			continue;
		port = group_choose(j->groups[i], p, j->head.has & (HAS_IP | HAS_MPLS), p->time);
		if (port == BROKER_NONE)
			out->down++;
		else
			add_due(j, out, port);
	}
	for (uint32_t w = 0; n < out->ports_n; w++)
		for (uint64_t left = j->due[w]; left; left &= left - 1)
			j->ports[n++] = w * 64 + (uint32_t)__builtin_ctzll(left);
}

void judge_packet(struct judge *j, const struct point *at, const struct chain_packet *p, unsigned direction,
		  unsigned fate, struct judged *out)
{
	begin(j, p, out);
	find_candidates(j, at, direction, fate);
	for (size_t w = 0; w < words(at->n); w++)
		for (uint64_t left = j->candidates[w]; left; left &= left - 1) {
			uint32_t place = (uint32_t)w * 64 + (uint32_t)__builtin_ctzll(left);

			if (place >= at->first_rest && place < at->first_aside && out->maps_n &&
			    !j->b->maps[j->maps[0]].rest)
				continue;
			if (!is_excepted(j, &j->b->maps[at->maps[place]]))
				take(j, out, at->maps[place]);
		}
	settle_ports(j, p, out);
}

struct group *judge_group(struct judge *j, uint32_t group)
{
	return j->groups[group];
}
