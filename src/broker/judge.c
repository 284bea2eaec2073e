/* SPDX-License-Identifier: Apache-2.0 */
/* Packets against maps: see judge.h. */
#include "broker/judge.h"

#include <errno.h>

#include "filter/dissect.h"

struct point {
	uint32_t *maps; /* in the broker's order: except before, rest last */
	uint32_t n;
	uint64_t *reach; /* bits of tool ports */
	uint64_t *has;	 /* bits of maps */
};

struct judge {
	const struct broker *b;
	struct group **groups;
	/* Of the packet at hand: bits. */
	uint64_t *known, *matched; /* filters */
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
	j->known = calloc(words(b->filters_n), sizeof(uint64_t));
	j->matched = calloc(words(b->filters_n), sizeof(uint64_t));
	j->took = calloc(words(b->maps_n), sizeof(uint64_t));
	j->due = calloc(words(b->ports_n), sizeof(uint64_t));
	j->in_groups = calloc(words(b->groups_n), sizeof(uint64_t));
	j->maps = calloc((size_t)b->maps_n + 1, sizeof(uint32_t));
	j->ports = calloc((size_t)b->ports_n + 1, sizeof(uint32_t));
	j->groups = calloc((size_t)b->groups_n + 1, sizeof(*j->groups));
	if (!j->known || !j->matched || !j->took || !j->due || !j->in_groups || !j->maps || !j->ports ||
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
	free(j->known);
	free(j->matched);
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

int point_new(struct point **out, const struct broker *b, const uint32_t *sources, uint32_t n)
{
	struct point *p = calloc(1, sizeof(*p));

	if (p) {
		p->maps = calloc((size_t)b->maps_n + 1, sizeof(*p->maps));
		p->reach = calloc(words(b->ports_n), sizeof(*p->reach));
		p->has = calloc(words(b->maps_n), sizeof(*p->has));
	}
	if (!p || !p->maps || !p->reach || !p->has) {
		point_free(&p);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < b->maps_n; i++) {
		const struct broker_map *m = &b->maps[b->order[i]];

		if (!is_from(m, sources, n))
			continue;
		p->maps[p->n++] = b->order[i];
		set(p->has, b->order[i]);
		reach(p, b, m);
	}
	*out = p;
	return 0;
}

void point_free(struct point **p)
{
	if (!*p)
		return;
	free((*p)->maps);
	free((*p)->reach);
	free((*p)->has);
	free(*p);
	*p = NULL;
}

bool point_reaches(const struct point *p, uint32_t port)
{
	return bit(p->reach, port);
}

bool point_has_map(const struct point *p, uint32_t map)
{
	return bit(p->has, map);
}

static bool filter_says(struct judge *j, uint32_t f)
{
	if (!bit(j->known, f)) {
		set(j->known, f);
		if (filter_dissected(j->b->filters[f].filter, &j->packet, &j->head))
			set(j->matched, f);
	}
	return bit(j->matched, f);
}

static bool takes(struct judge *j, const struct broker_map *m)
{
	for (uint32_t i = 0; i < m->except.n; i++)
		if (bit(j->took, m->except.items[i]))
			return false;
	for (uint32_t i = 0; i < m->filters.n; i++)
		if (filter_says(j, m->filters.items[i]))
			return true;
	return !m->filters.n;
}

static void add_due(struct judge *j, struct judged *out, uint32_t port)
{
	if (bit(j->due, port))
		return;
	set(j->due, port);
	out->ports_n++;
}

static void begin(struct judge *j, const struct chain_packet *p, struct judged *out)
{
	const struct broker *b = j->b;

	clear(j->known, b->filters_n);
	clear(j->matched, b->filters_n);
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
	for (uint32_t i = 0; i < at->n; i++) {
		const struct broker_map *m = &j->b->maps[at->maps[i]];
		bool any = out->maps_n && !j->b->maps[j->maps[0]].rest;

		if ((m->rest && any) || !(m->directions & direction) || !(m->packets & fate) || !takes(j, m))
			continue;
		set(j->took, at->maps[i]);
		j->maps[out->maps_n++] = at->maps[i];
		for (uint32_t k = 0; k < m->ports.n; k++)
			add_due(j, out, m->ports.items[k]);
		for (uint32_t k = 0; k < m->groups.n; k++)
			set(j->in_groups, m->groups.items[k]);
	}
	settle_ports(j, p, out);
}

struct group *judge_group(struct judge *j, uint32_t group)
{
	return j->groups[group];
}
