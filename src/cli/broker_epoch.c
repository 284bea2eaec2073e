/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoch on a host without a cluster: the interfaces that maps name are places, those that Tools name are
 * outlets, tunnels leave by the host's routes; the rest is weft-copier's. What needs a cluster is told and
 * left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/netlink_object.h"
#include "base/own.h"
#include "broker/place.h"
#include "broker/taps.h"
#include "cli/broker_live.h"
#include "cli/output.h"
#include "copier/config.h"

struct view {
	struct live *l;
	const struct broker *b;
	struct live_epoch *out;
	struct remarks remarks;
	VEC(struct broker_place) places;
	VEC(struct config_place) told; /* the same places */
	VEC(struct broker_outlet) outlets;
	VEC(struct config_outlet) served; /* the same outlets; of tunnels empty */
	VEC(struct config_tunnel) tunnels;
	bool failed;
};

static uint32_t number_of(struct live_keys *keys, struct str key)
{
	struct live_key fresh = {.number = keys->next};

	VEC_EACH (&keys->list, k)
		if (str_eqz(key, k->key))
			return k->number;
	if (keys->next == keys->end)
		return keys->end;
	fresh.key = strndup(key.p, key.n);
	if (!fresh.key || vec_push(&keys->list, fresh)) {
		free(fresh.key);
		return keys->end;
	}
	return keys->next++;
}

static bool of_this_node(const struct view *v, struct str node)
{
	return !node.n || str_eqz(node, v->l->node);
}

static void warn(struct view *v, struct pos at, const char *hint, const char *fmt, struct str name)
{
	remark_add(&v->remarks, REMARK_WARNING, at, hint, fmt, STR_ARG(name));
}

static bool fits(struct view *v, struct pos at, struct str name)
{
	if (name.n && name.n < TAP_NAME)
		return true;
	warn(v, at, "the kernel's names have at most 15 bytes",
	     "no interface can have the name \"" STR_FMT "\"", name);
	return false;
}

/* --- places ----------------------------------------------------------------------------------------- */

static void remember_place(struct view *v, struct str name, uint32_t point)
{
	struct live_place fresh = {.point = point};

	VEC_EACH (&v->l->places, p)
		if (p->point == point)
			return;
	memcpy(fresh.name, name.p, name.n);
	v->failed |= vec_push(&v->l->places, fresh) != 0;
}

static void add_place(struct view *v, const struct broker_source *s)
{
	uint32_t *sources = arena_array(&v->out->arena, uint32_t, v->b->sources_n + 1);
	struct str *texts = arena_array(&v->out->arena, struct str, v->b->sources_n + 1);
	struct broker_place place = {.where = TAP_AT_INTERFACE, .name = s->name, .sources = sources};
	struct config_place told = {.name = s->name, .kind = STR("interface"), .sources = texts};

	VEC_EACH (&v->places, p)
		if (str_eq(p->name, s->name))
			return;
	v->failed |= !sources || !texts;
	if (v->failed || !fits(v, s->pos, s->name))
		return;
	place.sources_n = place_interface(v->b, str_of(v->l->node), s->name, sources);
	for (uint32_t i = 0; i < place.sources_n; i++)
		texts[i] = v->b->sources[sources[i]].text;
	told.sources_n = place.sources_n;
	place.point = told.point = number_of(&v->l->points, s->name);
	v->failed |=
	    place.point == v->l->points.end || vec_push(&v->places, place) || vec_push(&v->told, told);
	remember_place(v, s->name, place.point);
}

static void add_places(struct view *v)
{
	for (uint32_t i = 0; i < v->b->sources_n; i++) {
		const struct broker_source *s = &v->b->sources[i];

		if (s->kind != BROKER_INTERFACE)
			warn(v, s->pos, "give an interface as the source, or apply the file to a cluster",
			     "there are no pods and no uplinks on a plain host: nothing comes from " STR_FMT,
			     s->text);
		else if (of_this_node(v, s->node))
			add_place(v, s);
		else
			warn(v, s->pos, "--node NAME says which node this host is",
			     "nothing comes from " STR_FMT ", which is on another node", s->text);
	}
}

void live_note_indexes(struct live *l)
{
	VEC_EACH (&l->places, p) {
		uint32_t index = if_nametoindex(p->name);
		bool known = !index;

		VEC_EACH (&p->indexes, i)
			known |= *i == index;
		if (!known && vec_push(&p->indexes, index))
			return;
	}
}

/* --- outlets ---------------------------------------------------------------------------------------- */

static bool is_used(const struct broker *b, uint32_t port)
{
	for (uint32_t m = 0; m < b->maps_n; m++) {
		const struct broker_map *map = &b->maps[m];

		for (uint32_t i = 0; i < map->ports.n; i++)
			if (map->ports.items[i] == port)
				return true;
		for (uint32_t i = 0; i < map->groups.n; i++) {
			const struct broker_group *g = &b->groups[map->groups.items[i]];

			if (g->standby == port)
				return true;
			for (uint32_t k = 0; k < g->members_n; k++)
				if (g->members[k].port == port)
					return true;
		}
	}
	return false;
}

uint64_t live_link_dropped(const char *name)
{
	char path[64], digits[32] = "";
	AUTO_FD int fd = -1;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/tx_dropped", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, digits, sizeof(digits) - 1) > 0 ? strtoull(digits, NULL, 10) : 0;
}

static void remember_way(struct view *v, struct str tool, struct str port, uint32_t number, const char *link)
{
	struct live_outlet fresh = {.number = number, .dropped = live_link_dropped(link)};

	VEC_EACH (&v->l->ways, w)
		if (w->number == number)
			return;
	fresh.tool = strndup(tool.p, tool.n);
	fresh.port = port.n ? strndup(port.p, port.n) : NULL;
	memcpy(fresh.link, link, TAP_NAME);
	v->failed |= !fresh.tool || (port.n && !fresh.port) || vec_push(&v->l->ways, fresh);
}

static bool add_outlet(struct view *v, uint32_t port, struct tap_outlet at, struct config_outlet served)
{
	const struct broker_port *p = &v->b->ports[port];
	AUTO_BUF key = {0};

	buf_printf(&key, STR_FMT "/" STR_FMT " %d %s", STR_ARG(p->tool), STR_ARG(served.port), (int)at.way,
		   at.name);
	if (at.edits)
		buf_add(&key, &at.edit, sizeof(at.edit));
	at.number = number_of(&v->l->outlets, buf_str(&key));
	if (at.number == v->l->outlets.end) {
		warn(v, p->pos, "start weft broker anew", "there are no numbers left for " STR_FMT, p->tool);
		return false;
	}
	if (served.tool.n)
		served.number = at.number;
	v->failed |= vec_push(&v->outlets, (struct broker_outlet){.port = port, .at = at}) ||
		     vec_push(&v->served, served);
	remember_way(v, p->tool, served.port, at.number, at.name);
	return true;
}

static void add_interface(struct view *v, uint32_t port)
{
	const struct broker_port *p = &v->b->ports[port];
	struct tap_outlet at = {
	    .way = OUTLET_INTERFACE, .finish = !p->chain.keep_merged, .answers = p->to.answers};

	if (!of_this_node(v, p->to.node)) {
		warn(v, p->pos, "--node NAME says which node this host is",
		     "tool " STR_FMT " is an interface of another node", p->tool);
		return;
	}
	if (!fits(v, p->pos, p->to.name))
		return;
	memcpy(at.name, p->to.name.p, p->to.name.n);
	at.edits = broker_edit(p, &at.edit);
	add_outlet(v, port, at, (struct config_outlet){.tool = p->tool, .port = p->port});
}

static void add_tunnel(struct view *v, uint32_t port)
{
	const struct broker_port *p = &v->b->ports[port];
	struct config_tunnel tunnel = {.tool = p->tool};
	struct tap_outlet at = {.way = OUTLET_ROUTED, .answers = p->to.answers};
	struct route_found found;
	AUTO_FD int fd = -1;

	VEC_EACH (&v->tunnels, it)
		if (str_eq(it->tool, p->tool))
			return; /* its ports share it */
	fd = nl_open();
	if (fd < 0 || route_find(fd, &p->to.encap.dst, &found) || !if_indextoname(found.index, at.name)) {
		warn(v, p->pos, "add a route to it, then write the file anew",
		     "there is no way to the far end of tool " STR_FMT, p->tool);
		return;
	}
	tunnel.source = found.source;
	tunnel.mtu = found.mtu;
	if (add_outlet(v, port, at, (struct config_outlet){0})) {
		tunnel.number = v->outlets.items[v->outlets.len - 1].at.number;
		v->failed |= vec_push(&v->tunnels, tunnel) != 0;
	}
}

static void add_outlets(struct view *v)
{
	for (uint32_t i = 0; i < v->b->ports_n; i++) {
		const struct broker_port *p = &v->b->ports[i];

		if (!is_used(v->b, i))
			continue;
		switch (p->to.way) {
		case BROKER_TO_INTERFACE:
			add_interface(v, i);
			break;
		case BROKER_TO_VXLAN:
		case BROKER_TO_GRE:
		case BROKER_TO_ERSPAN:
			add_tunnel(v, i);
			break;
		case BROKER_TO_POD:
			warn(v, p->pos, "give an interface, or apply the file to a cluster",
			     "there are no pods on a plain host: tool " STR_FMT " gets nothing", p->tool);
			break;
		default:
			break; /* weft-copier's own */
		}
	}
}

/* --- what is told ----------------------------------------------------------------------------------- */

static void note_direct(struct view *v)
{
	for (size_t i = 0; i < v->served.len; i++) {
		struct config_outlet *o = &v->served.items[i];
		uint32_t *points = arena_array(&v->out->arena, uint32_t, v->places.len + 1);

		v->failed |= !points;
		VEC_EACH (&v->places, p)
			if (points && o->tool.n && taps_direct(&v->out->taps, p->point, o->number))
				points[o->direct_n++] = p->point;
		o->direct = points;
	}
	/* Outlets of tunnels are told as tunnels. */
	for (size_t i = 0; i < v->served.len;)
		if (v->served.items[i].tool.n)
			i++;
		else
			vec_remove(&v->served, i);
}

static int by_name(const void *a, const void *b)
{
	const struct object *x = *(const struct object *const *)a, *y = *(const struct object *const *)b;

	return x->desc->kind != y->desc->kind ? (x->desc->kind < y->desc->kind ? -1 : 1)
					      : str_cmp(x->meta.name, y->meta.name);
}

/* In files they stand in any order, which means nothing; nor do the numbers that loading gave them. */
static const struct object *const *sorted(struct view *v)
{
	size_t n = v->b->objects.len;
	const struct object **list = arena_array(&v->out->arena, const struct object *, n + 1);

	v->failed |= !list;
	if (!list || !n)
		return list;
	for (size_t i = 0; i < n; i++) {
		v->b->objects.items[i]->meta.resource_version = (struct str){0};
		list[i] = v->b->objects.items[i];
	}
	qsort(list, n, sizeof(*list), by_name);
	return list;
}

static void tell(struct view *v, uint32_t epoch)
{
	const struct config c = {.epoch = epoch,
				 .node = str_of(v->l->node),
				 .objects = sorted(v),
				 .objects_n = v->failed ? 0 : v->b->objects.len,
				 .places = v->told.items,
				 .places_n = v->told.len,
				 .outlets = v->served.items,
				 .outlets_n = v->served.len,
				 .tunnels = v->tunnels.items,
				 .tunnels_n = v->tunnels.len,
				 .files = v->l->files >= 0 ? str_of(v->l->o->out) : (struct str){0}};

	config_write(&v->out->config, &c);
	v->failed |= v->out->config.failed;
}

int live_epoch_make(struct live *l, const struct broker *b, uint32_t epoch, struct live_epoch *out)
{
	struct view v = {.l = l, .b = b, .out = out};
	int r;

	*out = (struct live_epoch){0};
	add_places(&v);
	add_outlets(&v);
	r = v.failed ? -ENOMEM
		     : broker_taps(&out->taps, b, epoch, v.places.items, (uint32_t)v.places.len,
				   v.outlets.items, (uint32_t)v.outlets.len, (struct str){0}, &v.remarks);
	if (!r) {
		note_direct(&v);
		tell(&v, epoch);
		r = v.failed ? -ENOMEM : 0;
	}
	remarks_sort(&v.remarks);
	if (!l->quiet)
		remarks_print(stderr, &v.remarks, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	remarks_fini(&v.remarks);
	if (r)
		cli_error(NULL, "%s", strerror(-r));
	vec_free(&v.places);
	vec_free(&v.told);
	vec_free(&v.outlets);
	vec_free(&v.served);
	vec_free(&v.tunnels);
	return r;
}

void live_epoch_nothing(struct live *l, uint32_t epoch, struct buf *config)
{
	const struct config c = {.epoch = epoch, .node = str_of(l->node)};

	config_write(config, &c);
}

void live_epoch_fini(struct live_epoch *e)
{
	taps_fini(&e->taps);
	arena_fini(&e->arena);
	buf_fini(&e->config);
}
