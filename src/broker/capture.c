/* SPDX-License-Identifier: Apache-2.0 */
/* Captures that somebody looks at: each a map aside, which leads to a port of its own. See compile.h. */
#include "broker/compile.h"

bool capture_runs(const struct object *o)
{
	return o->capture->spec && !(o->capture->status && o->capture->status->ended.n);
}

enum { SECONDS = 3600 };

void capture_port(struct compile *c, const struct object *o)
{
	const struct capture_spec *s = o->capture->spec;
	struct broker_port *port = &c->b->ports[c->b->ports_n++];

	*port = (struct broker_port){
	    .tool = STR("capture"),
	    .port = o->meta.name,
	    .to = {.way = BROKER_TO_STREAM, .seconds = s->seconds.set ? (uint32_t)s->seconds.v : SECONDS},
	    .pos = object_pos(o, &o->meta.name)};
	if (s->snap.set)
		port->chain.slice =
		    (struct chain_slice){.on = true, .from = CHAIN_L2, .bytes = (uint32_t)s->snap.v};
}

static uint32_t port_number(const struct broker *b, struct str name)
{
	for (uint32_t i = 0; i < b->ports_n; i++)
		if (b->ports[i].to.way == BROKER_TO_STREAM && str_eq(b->ports[i].port, name))
			return i;
	return BROKER_NONE;
}

static bool fill(struct compile *c, const struct object *o, struct broker_map *m)
{
	static const struct source_pods any;
	static const struct traffic_source all = {.pods = (struct source_pods *)(uintptr_t)&any};
	const struct capture_spec *s = o->capture->spec;

	if (!m->name.p || !compile_room(c, &m->sources, s->from.len + 1) ||
	    !compile_room(c, &m->filters, 1) || !compile_room(c, &m->ports, 1) ||
	    !compile_room(c, &m->groups, 0) || !compile_room(c, &m->except, 0)) {
		c->no_memory = true;
		return false;
	}
	m->ports.items[m->ports.n++] = port_number(c->b, o->meta.name);
	if (s->filter.n) {
		uint32_t f = compile_filter(c, o, &s->filter);

		if (f == BROKER_NONE)
			return false;
		m->filters.items[m->filters.n++] = f;
	}
	for (size_t i = 0; i < s->from.len; i++)
		compile_source(c, o, &s->from.items[i], m);
	if (!s->from.len)
		compile_source(c, o, &all, m);
	return true;
}

void capture_maps(struct compile *c, const struct object_refs *captures)
{
	VEC_EACH (&captures->list, it) {
		const struct object *o = *it;
		const struct capture_spec *s = o->capture->spec;
		bool bad = c->bad;
		struct broker_map m = {
		    .name = arena_printf(&c->b->arena, "capture/" STR_FMT, STR_ARG(o->meta.name)),
		    .directions = compile_directions(s->direction),
		    .packets = compile_packets(s->packets.n ? s->packets : STR("All")),
		    .aside = true,
		    .pos = object_pos(o, &o->meta.name)};

		if (fill(c, o, &m))
			c->b->maps[c->b->maps_n++] = m;
		c->bad = bad;
	}
}
