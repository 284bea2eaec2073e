/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs come and go: a packet that the kernel judged by an epoch is judged here by the same one, so the last
 * ones are kept for a while. Counters of worlds, places and maps that end are added to sums by name.
 */
#include <errno.h>

#include "base/own.h"
#include "copier/copier.h"

int world_new(struct world **out, struct broker *b, const char *objects)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->refs = 1;
	w->objects = strdup(objects);
	w->map_packets = calloc((size_t)b->maps_n + 1, sizeof(uint64_t));
	w->map_bytes = calloc((size_t)b->maps_n + 1, sizeof(uint64_t));
	if (!w->objects || !w->map_packets || !w->map_bytes || judge_new(&w->judge, b)) {
		free(w->objects);
		free(w->map_packets);
		free(w->map_bytes);
		free(w);
		return -ENOMEM;
	}
	w->broker = b;
	*out = w;
	return 0;
}

void world_adopt(struct world *w, const struct world *before)
{
	for (uint32_t i = 0; i < w->broker->groups_n; i++)
		for (uint32_t k = 0; k < before->broker->groups_n; k++)
			if (str_eq(w->broker->groups[i].name, before->broker->groups[k].name))
				group_adopt(judge_group(w->judge, i), judge_group(before->judge, k));
}

struct named *named_get(struct copier *c, bool group, struct str name)
{
	struct named fresh = {0};

	VEC_EACH (group ? &c->groups : &c->maps, n)
		if (str_eqz(name, n->name))
			return n;
	fresh.name = strndup(name.p, name.n);
	if (!fresh.name || vec_push(group ? &c->groups : &c->maps, fresh)) {
		free(fresh.name);
		return NULL;
	}
	return group ? &c->groups.items[c->groups.len - 1] : &c->maps.items[c->maps.len - 1];
}

static void keep_counts(struct copier *c, struct world *w)
{
	for (uint32_t i = 0; i < w->broker->maps_n; i++) {
		struct named *n = w->map_packets[i] ? named_get(c, false, w->broker->maps[i].name) : NULL;

		if (n) {
			n->a += w->map_packets[i];
			n->b += w->map_bytes[i];
		}
	}
	for (uint32_t i = 0; i < w->broker->groups_n; i++) {
		const struct group_counts *g = group_counts(judge_group(w->judge, i));
		struct named *n = g->packets + g->down ? named_get(c, true, w->broker->groups[i].name) : NULL;

		if (n) {
			n->a += g->down;
			n->b += g->packets;
		}
	}
}

void world_unref(struct copier *c, struct world **wp)
{
	struct world *w = TAKE(*wp);

	if (!w || --w->refs)
		return;
	keep_counts(c, w);
	judge_free(&w->judge);
	broker_free(&w->broker);
	free(w->objects);
	free(w->map_packets);
	free(w->map_bytes);
	free(w);
}

void epoch_free(struct copier *c, struct epoch **ep)
{
	struct epoch *e = TAKE(*ep);

	if (!e)
		return;
	for (uint32_t i = 0; i < e->places_n; i++)
		point_free(&e->places[i].point);
	for (uint32_t i = 0; e->ports && i < e->world->broker->ports_n; i++)
		port_unref(c, &e->ports[i]);
	free(e->ports);
	free(e->places);
	free(e->by_point);
	free(e->direct);
	arrivals_wants_fini(&e->arrivals);
	world_unref(c, &e->world);
	free(e);
}

static const char *kind_of(struct str kind)
{
	return str_eqz(kind, "pod") ? "pod" : str_eqz(kind, "uplink") ? "uplink" : "interface";
}

struct place *place_get(struct copier *c, uint32_t point, uint32_t ifindex, struct str name, struct str kind)
{
	static uint32_t ids;
	struct place *p;

	VEC_EACH (&c->places, i)
		if ((*i)->point == point && str_eqz(name, (*i)->name) &&
		    (!ifindex || !(*i)->ifindex || (*i)->ifindex == ifindex)) {
			if (ifindex)
				(*i)->ifindex = ifindex;
			return *i;
		}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct place){.id = ++ids,
			    .point = point,
			    .ifindex = ifindex,
			    .name = strndup(name.p, name.n),
			    .kind = kind_of(kind)};
	if (p->name && !vec_push(&c->places, p))
		return p;
	free(p->name);
	free(p);
	return NULL;
}

static void places_sweep(struct copier *c)
{
	for (size_t i = c->places.len; i-- > 0;) {
		struct place *p = c->places.items[i];

		p->gone = true;
		for (unsigned k = 0; k < EPOCHS_KEPT && c->epochs[k]; k++)
			for (uint32_t n = 0; n < c->epochs[k]->places_n; n++)
				p->gone &= c->epochs[k]->places[n].place != p;
		if (!p->gone)
			continue;
		c->past.received += p->received;
		c->past.bytes += p->bytes;
		c->past.classified += p->classified;
		c->past.unparsable += p->unparsable;
		c->past.turned += p->turned;
		vec_remove(&c->places, i);
		free(p->name);
		free(p);
	}
}

static void drop_from(struct copier *c, unsigned i)
{
	for (; i < EPOCHS_KEPT; i++)
		epoch_free(c, &c->epochs[i]);
	places_sweep(c);
}

void epoch_install(struct copier *c, struct epoch *e)
{
	epoch_free(c, &c->epochs[EPOCHS_KEPT - 1]);
	memmove(&c->epochs[1], &c->epochs[0], sizeof(c->epochs) - sizeof(c->epochs[0]));
	c->epochs[0] = e;
	places_sweep(c); /* of the one that made room, but for what the new one has */
	if (c->epochs[1])
		c->epochs[1]->replaced = uv_now(&c->loop) + 1;
	epochs_health(c);
}

void epochs_health(struct copier *c)
{
	const struct world *last = NULL;

	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++) {
		const struct epoch *e = c->epochs[i];
		const struct broker *b = e->world->broker;

		/* Epochs that share a world stand together; what the newest of them has counts. */
		for (uint32_t g = 0; e->world != last && g < b->groups_n; g++) {
			const struct broker_group *of = &b->groups[g];
			struct group *group = judge_group(e->world->judge, g);

			for (uint32_t m = 0; m < of->members_n; m++)
				group_set_down(group, m, !e->ports[of->members[m].port]->sink->taking);
			if (of->standby != BROKER_NONE)
				group_set_down(group, of->members_n, !e->ports[of->standby]->sink->taking);
		}
		last = e->world;
	}
}

void epochs_tick(struct copier *c, uint64_t ms)
{
	for (unsigned i = 1; i < EPOCHS_KEPT && c->epochs[i]; i++)
		if (ms > c->epochs[i]->replaced + EPOCH_KEPT_MS) {
			drop_from(c, i);
			return;
		}
}

static void named_free(struct named *n, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free(n[i].name);
}

void copier_fini(struct copier *c, uint64_t ms)
{
	drop_from(c, 0);
	sinks_end(c, ms);
	named_free(c->maps.items, c->maps.len);
	named_free(c->groups.items, c->groups.len);
	vec_free(&c->places);
	vec_free(&c->maps);
	vec_free(&c->groups);
	names_free(&c->names);
}
