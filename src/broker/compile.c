/* SPDX-License-Identifier: Apache-2.0 */
/* Objects → the broker's configuration: see broker.h. Tools and groups are in tool.c, filters in filters.c.
 */
#include "broker/compile.h"

#include <errno.h>
#include <stdio.h>

#include "base/own.h"

void compile_fault(struct compile *c, const struct object *o, size_t before)
{
	struct broker_fault f = {o, c->remarks->list.len > before ? before : SIZE_MAX};

	if (c->faults)
		c->no_memory |= vec_push(&c->faults->list, f) != 0;
}

static void told(struct compile *c, enum remark_level level, const struct object *o, const void *member,
		 const char *hint, const char *fmt, va_list ap)
{
	size_t before = c->remarks->list.len;
	AUTO_BUF text = {0};

	buf_vprintf(&text, fmt, ap);
	remark_add(c->remarks, level, object_pos(o, member), hint, "%s", text.p ? text.p : "invalid");
	if (level != REMARK_ERROR) {
		struct broker_fault f = {o, c->remarks->list.len > before ? before : SIZE_MAX};

		if (c->faults)
			c->no_memory |= vec_push(&c->faults->warnings, f) != 0;
		return;
	}
	c->bad = true;
	compile_fault(c, o, before);
}

void compile_fail(struct compile *c, const struct object *o, const void *member, const char *hint,
		  const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	told(c, REMARK_ERROR, o, member, hint, fmt, ap);
	va_end(ap);
}

void compile_warn(struct compile *c, const struct object *o, const void *member, const char *hint,
		  const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	told(c, REMARK_WARNING, o, member, hint, fmt, ap);
	va_end(ap);
}

void compile_missing(struct compile *c, const struct object *o, const struct str *name, enum kind k)
{
	enum { FAR = 3 };
	struct object_refs all = {0};
	struct str near = {0};
	unsigned best = FAR + 1;
	AUTO_BUF hint = {0};

	c->no_memory |= store_list(c->store, k, (struct str){0}, &all) != 0;
	VEC_EACH (&all.list, i) {
		unsigned d = str_distance(*name, (*i)->meta.name);
		if (d < best && d < name->n) {
			best = d;
			near = (*i)->meta.name;
		}
	}
	if (near.n)
		buf_printf(&hint, "did you mean " STR_FMT "?", STR_ARG(near));
	compile_fail(c, o, name, hint.p, "there is no %s \"" STR_FMT "\"", kind_table[k].name,
		     STR_ARG(*name));
	vec_free(&all.list);
}

static void source_text(struct buf *b, const struct traffic_source *s)
{
	if (s->interface) {
		buf_addz(b, "interface ");
		if (s->interface->node.n)
			buf_printf(b, STR_FMT "/", STR_ARG(s->interface->node));
		buf_adds(b, s->interface->name);
	} else if (s->service) {
		buf_printf(b, "service " STR_FMT "/" STR_FMT, STR_ARG(s->service->ns),
			   STR_ARG(s->service->name));
	} else if (s->pods) {
		buf_addz(b, "pods ");
		if (s->pods->pod_selector)
			selector_print(b, s->pods->pod_selector);
		buf_addz(b, " in ");
		if (s->pods->namespace_selector)
			selector_print(b, s->pods->namespace_selector);
		else
			buf_addz(b, "all");
	} else {
		buf_addz(b, "uplink ");
		if (s->uplink->node_selector)
			selector_print(b, s->uplink->node_selector);
	}
}

static struct broker_source source_of(const struct object *o, const struct traffic_source *s)
{
	struct broker_source out = {.pos = object_pos(o, s)};

	if (s->interface) {
		out.kind = BROKER_INTERFACE;
		out.node = s->interface->node;
		out.name = s->interface->name;
		out.feed = s->feed.set && s->feed.v;
	} else if (s->service) {
		out.kind = BROKER_SERVICE;
		out.ns = s->service->ns;
		out.name = s->service->name;
	} else if (s->pods) {
		out.kind = BROKER_PODS;
		out.namespaces = s->pods->namespace_selector;
		out.selector = s->pods->pod_selector;
	} else {
		out.kind = BROKER_UPLINK;
		out.selector = s->uplink->node_selector;
	}
	return out;
}

static uint32_t source_number(struct compile *c, const struct object *o, const struct traffic_source *s)
{
	struct broker *b = c->b;
	AUTO_BUF text = {0};

	source_text(&text, s);
	for (uint32_t i = 0; i < b->sources_n; i++)
		if (str_eq(b->sources[i].text, buf_str(&text))) {
			b->sources[i].feed |= s->feed.set && s->feed.v;
			return i;
		}
	struct broker_source new = source_of(o, s);
	new.text = arena_str(&b->arena, buf_str(&text));
	c->no_memory |= !new.text.p;
	b->sources[b->sources_n] = new;
	return b->sources_n++;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Sorted, each once, BROKER_NONE left out. */
static void settle(struct broker_indexes *l)
{
	uint32_t n = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_number);
	for (uint32_t i = 0; i < l->n; i++)
		if (l->items[i] != BROKER_NONE && (!n || l->items[n - 1] != l->items[i]))
			l->items[n++] = l->items[i];
	l->n = n;
}

bool compile_room(struct compile *c, struct broker_indexes *l, size_t n)
{
	*l = (struct broker_indexes){.items = arena_array(&c->b->arena, uint32_t, n + 1)};
	c->no_memory |= !l->items;
	return l->items;
}

static void map_filters(struct compile *c, const struct object *o, struct broker_map *m)
{
	const struct trafficmap_spec *s = o->trafficmap->spec;

	if (!compile_room(c, &m->filters, s->filter_refs.len + 1))
		return;
	if (s->filter.p)
		m->filters.items[m->filters.n++] = compile_filter(c, o, &s->filter);
	for (size_t i = 0; i < s->filter_refs.len; i++) {
		const struct str *ref = &s->filter_refs.items[i];
		const struct object *f = store_get(c->store, KIND_trafficfilter, (struct str){0}, *ref);

		if (!f || !f->trafficfilter->spec)
			compile_missing(c, o, ref, KIND_trafficfilter);
		else
			m->filters.items[m->filters.n++] =
			    compile_filter(c, f, &f->trafficfilter->spec->filter);
	}
}

static void map_targets(struct compile *c, const struct object *o, struct broker_map *m)
{
	const struct traffic_target_list *to = &o->trafficmap->spec->to;

	if (!compile_room(c, &m->ports, to->len) || !compile_room(c, &m->groups, to->len))
		return;
	for (size_t i = 0; i < to->len; i++) {
		const struct traffic_target *t = &to->items[i];
		uint32_t group;

		if (t->tool.n) {
			m->ports.items[m->ports.n++] = compile_port(c, o, &t->tool, &t->port);
			continue;
		}
		group = compile_group(c->b, t->group);
		if (group == BROKER_NONE)
			compile_missing(c, o, &t->group, KIND_toolgroup);
		m->groups.items[m->groups.n++] = group;
	}
	settle(&m->ports);
	settle(&m->groups);
}

unsigned compile_directions(struct str direction)
{
	return str_eqz(direction, "In")	   ? BROKER_DIRECTION_IN
	       : str_eqz(direction, "Out") ? BROKER_DIRECTION_OUT
					   : BROKER_DIRECTION_IN | BROKER_DIRECTION_OUT;
}

unsigned compile_packets(struct str packets)
{
	return str_eqz(packets, "Dropped") ? BROKER_DROPPED
	       : str_eqz(packets, "All")   ? BROKER_FORWARDED | BROKER_DROPPED
					   : BROKER_FORWARDED;
}

void compile_source(struct compile *c, const struct object *o, const struct traffic_source *s,
		    struct broker_map *m)
{
	m->sources.items[m->sources.n++] = source_number(c, o, s);
}

static void add_map(struct compile *c, const struct object *o)
{
	const struct trafficmap_spec *s = o->trafficmap->spec;
	struct broker_map *m = &c->b->maps[c->b->maps_n++];

	*m = (struct broker_map){.name = o->meta.name,
				 .directions = compile_directions(s->direction),
				 .packets = compile_packets(s->packets),
				 .rest = s->rest.v,
				 .pos = object_pos(o, &o->meta.name)};
	if (!compile_room(c, &m->sources, s->from.len))
		return;
	for (size_t i = 0; i < s->from.len; i++)
		compile_source(c, o, &s->from.items[i], m);
	map_filters(c, o, m);
	map_targets(c, o, m);
}

static uint32_t map_number(const struct broker *b, struct str name)
{
	for (uint32_t i = 0; i < b->maps_n; i++)
		if (str_eq(b->maps[i].name, name))
			return i;
	return BROKER_NONE;
}

/* What `except` names; once all maps are there. */
static void map_except(struct compile *c, const struct object *o, struct broker_map *m)
{
	const struct strlist *l = &o->trafficmap->spec->except;

	if (!compile_room(c, &m->except, l->len))
		return;
	for (size_t i = 0; i < l->len; i++) {
		uint32_t other = map_number(c->b, l->items[i]);

		if (other == BROKER_NONE)
			compile_missing(c, o, &l->items[i], KIND_trafficmap);
		else if (c->b->maps[other].rest)
			compile_fail(c, o, &l->items[i], "name the maps that the rest is the rest of",
				     "\"" STR_FMT "\" takes the rest, which is settled when all others are",
				     STR_ARG(l->items[i]));
		m->except.items[m->except.n++] = other;
	}
	settle(&m->except);
}

/* Depth-first without recursion: a map comes behind all that it names in `except`. */
struct visit {
	uint32_t map, next;
};

static void tell_circle(struct compile *c, const struct object_refs *objects, const struct visit *stack,
			uint32_t n, uint32_t back)
{
	AUTO_BUF text = {0};
	uint32_t i = 0;
	const struct object *o = objects->list.items[back];

	while (stack[i].map != back)
		i++;
	for (; i < n; i++)
		buf_printf(&text, STR_FMT " → ", STR_ARG(c->b->maps[stack[i].map].name));
	buf_adds(&text, c->b->maps[back].name);
	compile_fail(c, o, &o->trafficmap->spec->except, "break the circle at one of them",
		     "except leads in a circle: %s", text.p ? text.p : "");
}

enum { NEW, OPEN, DONE };

static void visit_from(struct compile *c, const struct object_refs *objects, uint32_t start, uint8_t *state,
		       struct visit *stack)
{
	struct broker *b = c->b;
	uint32_t n = 1, *placed = &b->order[0];

	while (placed < b->order + b->maps_n && *placed != BROKER_NONE)
		placed++;
	stack[0] = (struct visit){.map = start};
	state[start] = OPEN;
	while (n) {
		struct visit *v = &stack[n - 1];
		const struct broker_indexes *except = &b->maps[v->map].except;

		if (v->next == except->n) {
			state[v->map] = DONE;
			*placed++ = v->map;
			n--;
			continue;
		}
		uint32_t to = except->items[v->next++];
		if (state[to] == OPEN) {
			tell_circle(c, objects, stack, n, to);
		} else if (state[to] == NEW) {
			state[to] = OPEN;
			stack[n++] = (struct visit){.map = to};
		}
	}
}

static void order(struct compile *c, const struct object_refs *objects)
{
	struct broker *b = c->b;
	uint8_t *state = arena_array(&b->arena, uint8_t, b->maps_n + 1);
	struct visit *stack = arena_array(&b->arena, struct visit, b->maps_n + 1);

	b->order = arena_array(&b->arena, uint32_t, b->maps_n + 1);
	c->no_memory |= !state || !stack || !b->order;
	if (c->no_memory)
		return;
	for (uint32_t i = 0; i < b->maps_n; i++)
		b->order[i] = BROKER_NONE;
	for (int turn = 0; turn < 3; turn++) /* plain ones, rests, captures */
		for (uint32_t i = 0; i < b->maps_n; i++)
			if (turn == (b->maps[i].aside ? 2 : b->maps[i].rest) && state[i] == NEW)
				visit_from(c, objects, i, state, stack);
}

struct numbered {
	struct str text;
	uint32_t was;
};

static int by_text(const void *a, const void *b)
{
	return str_cmp(((const struct numbered *)a)->text, ((const struct numbered *)b)->text);
}

/* now[old number] = new number, by text. */
static uint32_t *renumber(struct compile *c, struct numbered *list, uint32_t n)
{
	uint32_t *now = arena_array(&c->b->arena, uint32_t, n + 1);

	c->no_memory |= !now;
	if (now && n)
		qsort(list, n, sizeof(*list), by_text);
	for (uint32_t i = 0; now && i < n; i++)
		now[list[i].was] = i;
	return now;
}

static void apply_numbers(struct broker_indexes *l, const uint32_t *now)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->items[i] != BROKER_NONE)
			l->items[i] = now[l->items[i]];
	settle(l);
}

/* Sources and filters were numbered as they came; now by their text. */
static void sort_all(struct compile *c)
{
	struct broker *b = c->b;
	uint32_t most = b->sources_n > b->filters_n ? b->sources_n : b->filters_n;
	struct numbered *list = arena_array(&b->arena, struct numbered, most + 1);
	struct broker_source *sources = arena_array(&b->arena, struct broker_source, b->sources_n + 1);
	struct broker_filter *filters = arena_array(&b->arena, struct broker_filter, b->filters_n + 1);
	const uint32_t *of_source, *of_filter;

	c->no_memory |= !list || !sources || !filters;
	if (c->no_memory)
		return;
	for (uint32_t i = 0; i < b->sources_n; i++)
		list[i] = (struct numbered){b->sources[i].text, i};
	of_source = renumber(c, list, b->sources_n);
	for (uint32_t i = 0; of_source && i < b->sources_n; i++)
		sources[of_source[i]] = b->sources[i];
	for (uint32_t i = 0; i < b->filters_n; i++)
		list[i] = (struct numbered){b->filters[i].text, i};
	of_filter = renumber(c, list, b->filters_n);
	if (!of_source || !of_filter)
		return;
	for (uint32_t i = 0; i < b->filters_n; i++)
		filters[of_filter[i]] = b->filters[i];
	b->sources = sources;
	b->filters = filters;
	for (uint32_t i = 0; i < b->maps_n; i++) {
		apply_numbers(&b->maps[i].sources, of_source);
		apply_numbers(&b->maps[i].filters, of_filter);
	}
}

static bool share_source(const struct broker_map *a, const struct broker_map *b)
{
	for (uint32_t i = 0, k = 0; i < a->sources.n && k < b->sources.n;) {
		if (a->sources.items[i] == b->sources.items[k])
			return true;
		*(a->sources.items[i] < b->sources.items[k] ? &i : &k) += 1;
	}
	return false;
}

/* `except` holds source by source: without a common one it does nothing. Selectors may meet in a pod. */
static void advise(struct compile *c, const struct object *o, const struct broker_map *m)
{
	const struct broker *b = c->b;
	const struct strlist *l = &o->trafficmap->spec->except;
	bool plain = true;

	for (uint32_t i = 0; i < m->sources.n; i++)
		plain &= b->sources[m->sources.items[i]].kind == BROKER_INTERFACE;
	for (size_t i = 0; plain && i < l->len; i++) {
		uint32_t other = map_number(b, l->items[i]);
		if (other != BROKER_NONE && !share_source(m, &b->maps[other]))
			compile_warn(c, o, &l->items[i], "what a map takes is told source by source",
				     "\"" STR_FMT
				     "\" has no source in common with this map, so nothing is left out",
				     STR_ARG(l->items[i]));
	}
}

/* Room for all maps, and for as many sources and filters as they can name. */
static bool make_room(struct compile *c, const struct object_refs *maps, const struct object_refs *captures)
{
	struct broker *b = c->b;
	size_t sources = 0, filters = 0;

	VEC_EACH (&maps->list, m) {
		sources += (*m)->trafficmap->spec->from.len;
		filters += (*m)->trafficmap->spec->filter_refs.len + 1;
	}
	VEC_EACH (&captures->list, o) {
		sources += (*o)->capture->spec->from.len + 1;
		filters++;
	}
	if (sources > UINT32_MAX / 2 || filters > UINT32_MAX / 2)
		return false;
	b->sources = arena_array(&b->arena, struct broker_source, sources + 1);
	b->filters = arena_array(&b->arena, struct broker_filter, filters + 1);
	b->maps = arena_array(&b->arena, struct broker_map, maps->list.len + captures->list.len + 1);
	return b->sources && b->filters && b->maps;
}

static int hold(struct compile *c, enum kind k)
{
	struct object_refs all = {0};
	int r = store_list(c->store, k, (struct str){0}, &all);

	VEC_EACH (&all.list, o) {
		if (!r)
			r = vec_reserve(&c->b->objects, c->b->objects.len + 1);
		if (!r)
			c->b->objects.items[c->b->objects.len++] = object_ref(*o);
	}
	vec_free(&all.list);
	return r;
}

static int compile_all(struct compile *c, const struct object_refs *maps, const struct object_refs *captures)
{
	if (!make_room(c, maps, captures))
		return -ENOMEM;
	compile_ports(c, captures);
	if (!c->no_memory)
		compile_groups(c);
	VEC_EACH (&maps->list, m)
		if (!c->no_memory)
			add_map(c, *m);
	for (uint32_t i = 0; !c->no_memory && i < c->b->maps_n; i++)
		map_except(c, maps->list.items[i], &c->b->maps[i]);
	if (!c->no_memory)
		capture_maps(c, captures);
	if (!c->bad && !c->no_memory)
		order(c, maps);
	if (!c->no_memory)
		sort_all(c);
	for (uint32_t i = 0; !c->bad && !c->no_memory && i < maps->list.len; i++)
		advise(c, maps->list.items[i], &c->b->maps[i]);
	return c->no_memory ? -ENOMEM : c->bad ? -EINVAL : 0;
}

int broker_compile(struct broker **out, const struct store *s, struct remarks *remarks)
{
	return broker_compile_told(out, s, remarks, NULL);
}

int broker_compile_told(struct broker **out, const struct store *s, struct remarks *remarks,
			struct broker_faults *faults)
{
	static const enum kind kinds[] = {KIND_tool, KIND_toolgroup, KIND_trafficfilter, KIND_trafficmap,
					  KIND_capture};
	struct broker *b = calloc(1, sizeof(*b));
	struct compile c = {.b = b, .store = s, .remarks = remarks, .faults = faults};
	struct object_refs maps = {0}, captures = {0};
	int r = b ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_LEN(kinds); i++)
		r = hold(&c, kinds[i]);
	if (!r)
		r = store_list(s, KIND_trafficmap, (struct str){0}, &maps);
	for (size_t i = maps.list.len; i-- > 0;) /* validation has told of them */
		if (!maps.list.items[i]->trafficmap->spec)
			vec_remove(&maps.list, i);
	if (!r)
		r = store_list(s, KIND_capture, (struct str){0}, &captures);
	for (size_t i = captures.list.len; i-- > 0;)
		if (!capture_runs(captures.list.items[i]))
			vec_remove(&captures.list, i);
	if (!r)
		r = compile_all(&c, &maps, &captures);
	vec_free(&maps.list);
	vec_free(&captures.list);
	if (r) {
		broker_free(&b);
		return r;
	}
	*out = b;
	return 0;
}

void broker_free(struct broker **b)
{
	if (!*b)
		return;
	for (uint32_t i = 0; (*b)->filters && i < (*b)->filters_n; i++)
		filter_unref(&(*b)->filters[i].filter);
	VEC_EACH (&(*b)->objects, o)
		object_unref(o);
	vec_free(&(*b)->objects);
	arena_fini(&(*b)->arena);
	free(*b);
	*b = NULL;
}
