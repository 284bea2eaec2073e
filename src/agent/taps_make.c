/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoch of taps, made whole from the store: objects → broker; the node's pods, uplink and interfaces →
 * places; tools → outlets; all of that → CONFIG and struct taps. Equal states give equal bytes: nothing is
 * told where nothing changed. Objects with an error leave those before them in force.
 */
#include <errno.h>
#include <time.h>

#include "agent/taps.h"
#include "base/log.h"
#include "base/own.h"
#include "broker/place.h"
#include "copier/config.h"
#include "copier/relay.h"

struct view { /* what is made, borrowing from the broker, the store and the arena */
	struct tapping *t;
	struct arena arena;
	VEC(struct broker_place) places;
	VEC(struct config_place) told; /* the same places */
	VEC(struct broker_outlet) outlets;
	VEC(struct config_outlet) served; /* the same outlets */
	VEC(struct config_tunnel) tunnels;
	VEC(struct config_relay) relays;
	VEC(struct config_arrival) arrivals;
	VEC(struct addr) nodes;
	struct addr own4, own6;
	uint32_t answers; /* outlet of answers to other nodes; 0: there are none, or none is given */
	VEC(struct config_name) names;
	bool fresh, failed;
};

/* --- numbers --- */

static bool is_used(const struct numbers *n, uint32_t number)
{
	VEC_EACH (&n->list, it)
		if (it->number == number)
			return true;
	return false;
}

/* The number of that key, a new one in *fresh; `end` when there is none left. */
static uint32_t number_of(struct numbers *n, struct str key, uint32_t run, bool *fresh)
{
	struct numbered new = {.run = run};

	VEC_EACH (&n->list, it)
		if (str_eqz(key, it->key)) {
			it->run = run;
			return it->number;
		}
	if (n->list.len >= n->end - n->first)
		return n->end;
	do {
		new.number = n->next;
		n->next = n->next + 1 < n->end ? n->next + 1 : n->first;
	} while (is_used(n, new.number));
	new.key = strndup(key.p, key.n);
	if (!new.key || vec_push(&n->list, new)) {
		free(new.key);
		return n->end;
	}
	*fresh = true;
	return new.number;
}

static void forget(struct numbers *n, uint32_t run)
{
	for (size_t i = n->list.len; i-- > 0;)
		if (n->list.items[i].run != run) {
			free(n->list.items[i].key);
			vec_remove(&n->list, i);
		}
}

/* --- objects --- */

/* Remarks that are not those of before. */
static void log_new(struct buf *said, struct remarks *rs)
{
	AUTO_BUF text = {0};

	remarks_sort(rs);
	VEC_EACH (&rs->list, r)
		remark_print(&text, r, false);
	if (text.n && !str_eq(buf_str(&text), buf_str(said)))
		VEC_EACH (&rs->list, r) {
			AUTO_BUF one = {0};

			remark_print(&one, r, false);
			if (r->level == REMARK_ERROR)
				log_error("taps: " STR_FMT, STR_ARG(buf_str(&one)));
			else
				log_warn("taps: " STR_FMT, STR_ARG(buf_str(&one)));
		}
	buf_clear(said);
	buf_adds(said, buf_str(&text));
}

static void drop_objects(struct tapping *t)
{
	VEC_EACH (&t->objects, o)
		object_unref(o);
	vec_free(&t->objects);
}

/* As weft-copier gets them: what changes without a meaning is left out. */
static int keep_objects(struct tapping *t)
{
	drop_objects(t);
	VEC_EACH (&t->b->objects, it) {
		struct object *o = NULL;
		int err = object_clone(&o, *it);

		if (!err) {
			o->meta = (struct metadata){.name = o->meta.name};
			if (o->desc->kind == KIND_tool)
				o->tool->status = NULL;
			if (o->desc->kind == KIND_trafficmap)
				o->trafficmap->status = NULL;
			if (o->desc->kind == KIND_capture && o->capture->status)
				*o->capture->status =
				    (struct capture_status){.ended = o->capture->status->ended};
			err = vec_push(&t->objects, o);
		}
		if (err) {
			object_unref(&o);
			return err;
		}
	}
	return 0;
}

static void note_wants(struct tapping *t)
{
	t->services = t->names = t->shared = false;
	for (uint32_t i = 0; i < t->b->sources_n; i++)
		t->services |= t->b->sources[i].kind == BROKER_SERVICE;
	for (uint32_t i = 0; i < t->b->ports_n; i++) {
		enum broker_way way = t->b->ports[i].to.way;

		t->names |= way == BROKER_TO_FILE || way == BROKER_TO_RING || way == BROKER_TO_STREAM;
		t->shared |= broker_is_shared(&t->b->ports[i].to);
	}
}

static int compile(struct tapping *t)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct broker *b = NULL;
	int err = broker_compile(&b, t->p->store, &rs);

	if (err == -ENOMEM)
		return err;
	log_new(&t->said, &rs);
	buf_clear(&t->wrong);
	if (err) {
		buf_addz(&t->wrong, "objects of the broker have errors; those before them are in force");
		return 0;
	}
	broker_free(&t->b);
	t->b = b;
	note_wants(t);
	return keep_objects(t);
}

/* --- places --- */

static void add_place(struct view *v, const struct broker_place *p, struct str key, struct str kind)
{
	const struct broker *b = v->t->b;
	struct broker_place place = *p;
	struct config_place told = {
	    .ifindex = p->ifindex, .name = p->name, .kind = kind, .sources_n = p->sources_n};
	struct str *sources = arena_array(&v->arena, struct str, p->sources_n + 1);

	place.point = told.point = number_of(&v->t->points, key, v->t->run, &v->fresh);
	if (place.point == v->t->points.end) {
		log_warn("taps: " STR_FMT " is not looked at: more than %u places", STR_ARG(p->name),
			 v->t->points.end);
		return;
	}
	v->failed |= !sources;
	for (uint32_t i = 0; sources && i < p->sources_n; i++)
		sources[i] = b->sources[p->sources[i]].text;
	told.sources = sources;
	v->failed |= vec_push(&v->places, place) || vec_push(&v->told, told);
}

static void add_pod(struct view *v, const struct object *pod)
{
	struct planner *p = v->t->p;
	uint32_t *sources = arena_array(&v->arena, uint32_t, v->t->b->sources_n + 1);
	struct broker_place place = {.where = TAP_AT_POD, .sources = sources};
	struct link_value value;
	struct link_key link;

	v->failed |= !sources;
	if (!sources || compiler_pod_link(p->compiler, pod->meta.uid, &link, &value))
		return;
	place.sources_n = place_pod(v->t->b, p->store, pod, sources);
	if (!place.sources_n)
		return;
	place.ifindex = link.ifindex;
	place.name =
	    arena_printf(&v->arena, STR_FMT "/" STR_FMT, STR_ARG(pod->meta.ns), STR_ARG(pod->meta.name));
	v->failed |= !place.name.p;
	add_place(v, &place, pod->meta.uid, STR("pod"));
}

static void merge(uint32_t *list, uint32_t *n, const uint32_t *more, uint32_t more_n)
{
	for (uint32_t i = 0; i < more_n; i++) {
		uint32_t at = 0;

		while (at < *n && list[at] < more[i])
			at++;
		if (at < *n && list[at] == more[i])
			continue;
		memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
		list[at] = more[i];
		++*n;
	}
}

static bool was_added(const struct view *v, struct str name)
{
	VEC_EACH (&v->places, p)
		if (p->where == TAP_AT_INTERFACE && str_eq(p->name, name))
			return true;
	return false;
}

/* An interface of the node; its uplink may be named as such and by its name: it is one place. */
static void add_interface(struct view *v, struct str name, const struct object *node)
{
	const struct broker *b = v->t->b;
	struct planner *p = v->t->p;
	bool uplink = p->o.uplink && str_eqz(name, p->o.uplink);
	uint32_t *sources = arena_array(&v->arena, uint32_t, 2 * (size_t)b->sources_n + 2);
	struct broker_place place = {.where = TAP_AT_INTERFACE, .name = name, .sources = sources};
	AUTO_BUF key = {0};

	v->failed |= !sources;
	if (!sources || was_added(v, name))
		return;
	place.sources_n = place_interface(b, str_of(p->o.node), name, sources);
	if (uplink && node)
		merge(sources, &place.sources_n, sources + b->sources_n + 1,
		      place_uplink(b, node, sources + b->sources_n + 1));
	if (!place.sources_n)
		return;
	if (name.n >= TAP_NAME) {
		log_warn("taps: \"" STR_FMT "\" is too long for the name of an interface", STR_ARG(name));
		return;
	}
	buf_printf(&key, "interface " STR_FMT, STR_ARG(name));
	add_place(v, &place, buf_str(&key), uplink ? STR("uplink") : STR("interface"));
}

static bool of_this_node(const struct view *v, struct str node)
{
	return !node.n || str_eqz(node, v->t->p->o.node);
}

static void add_places(struct view *v, const struct object *node)
{
	struct planner *p = v->t->p;
	const struct broker *b = v->t->b;
	struct object_refs pods = {0};

	v->failed |= store_pods_of_node(p->store, str_of(p->o.node), &pods) != 0;
	VEC_EACH (&pods.list, pod)
		add_pod(v, *pod);
	vec_free(&pods.list);
	if (p->o.uplink)
		add_interface(v, str_of(p->o.uplink), node);
	for (uint32_t i = 0; i < b->sources_n; i++)
		if (b->sources[i].kind == BROKER_INTERFACE && of_this_node(v, b->sources[i].node))
			add_interface(v, b->sources[i].name, node);
}

/* --- outlets --- */

static bool is_used_port(const struct broker *b, uint32_t port)
{
	for (uint32_t m = 0; m < b->maps_n; m++) {
		const struct broker_map *map = &b->maps[m];

		for (uint32_t i = 0; i < map->ports.n; i++)
			if (map->ports.items[i] == port)
				return true;
		for (uint32_t i = 0; i < map->groups.n; i++) {
			const struct broker_group *g = &b->groups[map->groups.items[i]];

			for (uint32_t k = 0; k < g->members_n; k++)
				if (g->members[k].port == port)
					return true;
			if (g->standby == port)
				return true;
		}
	}
	return false;
}

/* One with another destination or edit is another one: copies may be on their way to the number. */
static uint32_t outlet_number(struct view *v, struct str tool, struct str port, const struct tap_outlet *at)
{
	AUTO_BUF key = {0};
	bool fresh = false;
	uint32_t n;

	buf_printf(&key, STR_FMT "/" STR_FMT " %d %u %s", STR_ARG(tool), STR_ARG(port), (int)at->way,
		   at->ifindex, at->name);
	if (at->edits)
		buf_add(&key, &at->edit, sizeof(at->edit));
	n = number_of(&v->t->outlets, buf_str(&key), v->t->run, &fresh);
	if (n == v->t->outlets.end)
		log_warn("taps: tool " STR_FMT " is not served: more than %u outlets", STR_ARG(tool),
			 OUTLETS_MAX);
	return n;
}

static void add_outlet(struct view *v, uint32_t port, struct tap_outlet at, const struct addr *address)
{
	const struct broker_port *p = &v->t->b->ports[port];
	struct config_outlet served = {.tool = p->tool, .port = p->port};

	at.answers = p->to.answers;
	if (address && p->to.answers)
		served.address = *address;

	at.number = served.number = outlet_number(v, p->tool, p->port, &at);
	if (at.number == v->t->outlets.end)
		return;
	v->failed |= vec_push(&v->outlets, (struct broker_outlet){.port = port, .at = at}) ||
		     vec_push(&v->served, served);
}

/* The one that it is asked by whether it answers: IPv4 where it has both. */
static void pod_address(const struct object *pod, struct addr *out)
{
	const struct pod_status *st = pod->pod->status;

	*out = (struct addr){0};
	for (size_t i = 0; st && i < st->pod_ips.len; i++)
		if (!addr_parse(st->pod_ips.items[i].ip, out) && addr_is4(out))
			return;
}

/* The pod of this node that the tool's selector finds; of several the first by name. False: there is none. */
static bool add_pod_outlet(struct view *v, uint32_t port)
{
	struct planner *p = v->t->p;
	const struct broker_destination *to = &v->t->b->ports[port].to;
	struct object_refs pods = {0};
	struct link_value value;
	struct link_key link;
	struct addr address;
	bool found = false;

	v->failed |= store_list(p->store, KIND_pod, to->ns, &pods) != 0;
	VEC_EACH (&pods.list, it) {
		const struct object *pod = *it;

		if (!selector_matches(to->selector, &pod->meta.labels) ||
		    compiler_pod_link(p->compiler, pod->meta.uid, &link, &value))
			continue;
		pod_address(pod, &address);
		add_outlet(v, port, (struct tap_outlet){.way = OUTLET_POD, .ifindex = link.ifindex},
			   &address);
		found = true;
		break;
	}
	vec_free(&pods.list);
	return found;
}

/* The node's own address of the family of the far end. */
static bool node_address(const struct object *node, const struct addr *like, struct addr *out)
{
	const struct node_status *st = node ? node->node->status : NULL;

	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP") &&
		    !addr_parse(st->addresses.items[i].address, out) && addr_is4(out) == addr_is4(like))
			return true;
	return false;
}

static void add_tunnel(struct view *v, uint32_t port, const struct object *node)
{
	const struct broker_port *bp = &v->t->b->ports[port];
	struct planner *p = v->t->p;
	struct config_tunnel tunnel = {.tool = bp->tool, .mtu = p->welcome.mtu};
	struct tap_outlet at = {.way = OUTLET_ROUTED, .answers = bp->to.answers};

	VEC_EACH (&v->tunnels, it)
		if (str_eq(it->tool, bp->tool))
			return; /* its ports share it */
	if (!p->o.uplink || strlen(p->o.uplink) >= TAP_NAME ||
	    !node_address(node, &bp->to.encap.dst, &tunnel.source))
		return;
	memcpy(at.name, p->o.uplink, strlen(p->o.uplink));
	at.number = tunnel.number = outlet_number(v, bp->tool, (struct str){0}, &at);
	if (at.number == v->t->outlets.end)
		return;
	v->failed |= vec_push(&v->tunnels, tunnel) ||
		     vec_push(&v->outlets, (struct broker_outlet){.port = port, .at = at}) ||
		     vec_push(&v->served, (struct config_outlet){0});
}

/* --- other nodes --- */

/* Addresses of nodes, and the outlet by which this one answers them. */
static void add_nodes(struct view *v, const struct object *node)
{
	static const struct addr none6;
	const struct addr some4 = addr_from4(1);
	struct tap_outlet at = {.way = OUTLET_ROUTED};
	struct planner *p = v->t->p;
	struct object_refs nodes = {0};
	struct addr a;

	if (!node || !p->o.uplink || strlen(p->o.uplink) >= TAP_NAME)
		return;
	v->failed |= store_list(p->store, KIND_node, (struct str){0}, &nodes) != 0;
	VEC_EACH (&nodes.list, it)
		for (int six = 0; six < 2; six++)
			if (*it != node && node_address(*it, six ? &none6 : &some4, &a))
				v->failed |= vec_push(&v->nodes, a) != 0;
	vec_free(&nodes.list);
	if (!v->nodes.len)
		return;
	if (!node_address(node, &some4, &v->own4))
		v->own4 = (struct addr){0};
	if (!node_address(node, &none6, &v->own6))
		v->own6 = (struct addr){0};
	memcpy(at.name, p->o.uplink, strlen(p->o.uplink));
	at.number = outlet_number(v, STR("other nodes"), STR("answers"), &at);
	if (at.number == v->t->outlets.end)
		return;
	v->answers = at.number;
	v->failed |= vec_push(&v->outlets, (struct broker_outlet){.port = 0, .at = at}) ||
		     vec_push(&v->served, (struct config_outlet){0});
}

static uint64_t key_of(const struct view *v, const struct broker_port *bp)
{
	const struct object *tool = store_get(v->t->p->store, KIND_tool, (struct str){0}, bp->tool);

	return tool ? place_tool_key(tool->meta.uid, bp->port) : 0;
}

/* Others may send to it. */
static void add_arrival(struct view *v, uint32_t port)
{
	const struct broker_port *bp = &v->t->b->ports[port];
	struct config_arrival a = {.tool = bp->tool, .port = bp->port, .key = key_of(v, bp)};

	if (v->answers && a.key)
		v->failed |= vec_push(&v->arrivals, a) != 0;
}

/* Copies for the tool go to the node that has it. */
static void add_relay(struct view *v, uint32_t port, struct str name, const struct object *own, struct str at)
{
	const struct broker_port *bp = &v->t->b->ports[port];
	struct planner *p = v->t->p;
	const struct object *node = store_get(p->store, KIND_node, (struct str){0}, name);
	struct tap_outlet out = {.way = OUTLET_ROUTED};
	const struct addr *like = addr_is_zero(&v->own4) ? &v->own6 : &v->own4;
	struct config_relay r = {.tool = bp->tool,
				 .port = bp->port,
				 .at = at,
				 .source = *like,
				 .mtu = p->welcome.mtu,
				 .key = key_of(v, bp)};

	v->failed |= !at.p;
	if (!v->answers || !node || node == own || !r.key || !node_address(node, like, &r.far))
		return;
	memcpy(out.name, p->o.uplink, strlen(p->o.uplink));
	out.number = r.number = outlet_number(v, bp->tool, bp->port, &out);
	if (out.number == v->t->outlets.end)
		return;
	v->failed |= vec_push(&v->relays, r) ||
		     vec_push(&v->outlets, (struct broker_outlet){.port = port, .at = out}) ||
		     vec_push(&v->served, (struct config_outlet){0});
}

static void add_pod_tool(struct view *v, uint32_t port, const struct object *node)
{
	const struct broker_destination *to = &v->t->b->ports[port].to;
	const struct object *pod;

	if (add_pod_outlet(v, port)) {
		add_arrival(v, port);
		return;
	}
	pod = place_tool_pod(v->t->p->store, to, str_of(v->t->p->o.node));
	if (pod)
		add_relay(v, port, pod->pod->spec->node_name, node,
			  arena_printf(&v->arena, STR_FMT ", pod " STR_FMT "/" STR_FMT,
				       STR_ARG(pod->pod->spec->node_name), STR_ARG(pod->meta.ns),
				       STR_ARG(pod->meta.name)));
}

static void add_interface_tool(struct view *v, uint32_t port, const struct object *node)
{
	const struct broker_port *bp = &v->t->b->ports[port];
	struct tap_outlet at = {.way = OUTLET_INTERFACE, .finish = !bp->chain.keep_merged};

	if (bp->to.name.n >= TAP_NAME)
		return;
	if (!of_this_node(v, bp->to.node)) {
		add_relay(v, port, bp->to.node, node,
			  arena_printf(&v->arena, STR_FMT ", interface " STR_FMT, STR_ARG(bp->to.node),
				       STR_ARG(bp->to.name)));
		return;
	}
	memcpy(at.name, bp->to.name.p, bp->to.name.n);
	at.edits = broker_edit(bp, &at.edit);
	add_outlet(v, port, at, NULL);
	if (bp->to.node.n)
		add_arrival(v, port);
}

/* What other nodes send here, and answer: their copies, which no place looks at again (BR61). */
static void own_text(const struct view *v, struct buf *out)
{
	const struct addr *own[] = {&v->own4, &v->own6};
	char text[ADDR_TEXT];
	bool any = false;

	if (!v->answers)
		return;
	buf_printf(out, "udp && dst.port == %d && (", RELAY_PORT);
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (addr_is_zero(own[i]))
			continue;
		addr_print(own[i], text);
		buf_printf(out, "%sdst.ip == %s", any ? " || " : "", text);
		any = true;
	}
	buf_addc(out, ')');
	if (!any)
		buf_clear(out);
}

static void add_outlets(struct view *v, const struct object *node)
{
	const struct broker *b = v->t->b;

	for (uint32_t i = 0; i < b->ports_n; i++)
		if (!v->answers && is_used_port(b, i) && broker_is_shared(&b->ports[i].to))
			add_nodes(v, node);
	for (uint32_t i = 0; i < b->ports_n; i++) {
		if (!is_used_port(b, i))
			continue;
		switch (b->ports[i].to.way) {
		case BROKER_TO_INTERFACE:
			add_interface_tool(v, i, node);
			break;
		case BROKER_TO_POD:
			add_pod_tool(v, i, node);
			break;
		case BROKER_TO_VXLAN:
		case BROKER_TO_GRE:
		case BROKER_TO_ERSPAN:
			add_tunnel(v, i, node);
			break;
		default:
			break; /* weft-copier's own */
		}
	}
	v->t->relays = v->answers != 0;
}

/* --- names --- */

static void add_name(struct view *v, struct str address, struct str name)
{
	struct config_name n = {.name = name};

	v->failed |= !name.p;
	if (address.n && !addr_parse(address, &n.addr))
		v->failed |= vec_push(&v->names, n) != 0;
}

static void add_names(struct view *v)
{
	struct store *s = v->t->p->store;
	struct object_refs pods = {0}, services = {0};

	v->failed |= store_list(s, KIND_pod, (struct str){0}, &pods) ||
		     store_list(s, KIND_service, (struct str){0}, &services);
	VEC_EACH (&pods.list, it) {
		const struct object *o = *it;
		const struct pod_status *st = o->pod->status;
		struct str name;

		if (!st || (o->pod->spec && o->pod->spec->host_network.v))
			continue;
		name =
		    arena_printf(&v->arena, STR_FMT "/" STR_FMT, STR_ARG(o->meta.ns), STR_ARG(o->meta.name));
		for (size_t i = 0; i < st->pod_ips.len; i++)
			add_name(v, st->pod_ips.items[i].ip, name);
	}
	VEC_EACH (&services.list, it) {
		const struct object *o = *it;
		const struct service_spec *spec = o->service->spec;
		struct str name;

		if (!spec)
			continue;
		name = arena_printf(&v->arena, STR_FMT "." STR_FMT ".svc", STR_ARG(o->meta.name),
				    STR_ARG(o->meta.ns));
		for (size_t i = 0; i < spec->cluster_ips.len; i++)
			add_name(v, spec->cluster_ips.items[i], name);
	}
	vec_free(&pods.list);
	vec_free(&services.list);
}

/* --- all of it as bytes --- */

static void set_directs(struct view *v, const struct taps *taps)
{
	for (size_t i = 0; i < v->served.len; i++) {
		struct config_outlet *o = &v->served.items[i];
		uint32_t *direct = arena_array(&v->arena, uint32_t, taps->places_n + 1);

		v->failed |= !direct;
		for (uint32_t k = 0; direct && k < taps->places_n; k++)
			if (taps_direct(taps, taps->places[k].point, o->number))
				direct[o->direct_n++] = taps->places[k].point;
		o->direct = direct;
	}
	for (size_t i = v->served.len; i-- > 0;) /* tunnels' */
		if (!v->served.items[i].number)
			vec_remove(&v->served, i);
}

static int write_all(struct view *v, uint32_t epoch, struct buf *config, struct buf *taps)
{
	struct tapping *t = v->t;
	AUTO(remarks_fini) struct remarks rs = {0};
	struct taps made = {0};
	AUTO_BUF own = {0};
	int err;

	own_text(v, &own);
	err = broker_taps(&made, t->b, epoch, v->places.items, (uint32_t)v->places.len, v->outlets.items,
			  (uint32_t)v->outlets.len, buf_str(&own), &rs);

	if (!err) {
		log_new(&t->said_kernel, &rs);
		set_directs(v, &made);
		taps_encode(taps, &made);
		config_write(config,
			     &(struct config){.epoch = epoch,
					      .node = str_of(t->p->o.node),
					      .objects = (const struct object *const *)t->objects.items,
					      .objects_n = t->objects.len,
					      .places = v->told.items,
					      .places_n = v->told.len,
					      .outlets = v->served.items,
					      .outlets_n = v->served.len,
					      .tunnels = v->tunnels.items,
					      .tunnels_n = v->tunnels.len,
					      .relays = v->relays.items,
					      .relays_n = v->relays.len,
					      .arrivals = v->arrivals.items,
					      .arrivals_n = v->arrivals.len,
					      .nodes = v->nodes.items,
					      .nodes_n = v->nodes.len,
					      .own4 = v->own4,
					      .own6 = v->own6,
					      .answers = v->answers,
					      .names = v->names.items,
					      .names_n = v->names.len,
					      .files = t->p->o.files ? str_of(t->p->o.files) : STR("files")});
	}
	taps_fini(&made);
	return err ? err : v->failed ? -ENOMEM : config->failed || taps->failed ? -ENOMEM : 0;
}

/* Rises from planner to planner too: the clock of the machine's start in steps of 50 ms, then one by one. */
static uint32_t first_epoch(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint32_t)(now.tv_sec * 20 + now.tv_nsec / 50000000) + 1;
}

static void take_bytes(struct buf *to, struct buf *from)
{
	buf_fini(to);
	*to = *from;
	*from = (struct buf){0};
}

/* Places and outlets of the broker in force, and whether they say something new. */
static int make_view(struct view *v, bool *changed)
{
	struct tapping *t = v->t;
	const struct object *node = store_get(t->p->store, KIND_node, (struct str){0}, str_of(t->p->o.node));
	AUTO_BUF config = {0};
	AUTO_BUF taps = {0};
	int err;

	if (t->b->maps_n) {
		add_places(v, node);
		add_outlets(v, node);
		if (t->names)
			add_names(v);
	}
	err = v->failed ? -ENOMEM : write_all(v, t->epoch, &config, &taps);
	if (err || (t->epoch && str_eq(buf_str(&config), buf_str(&t->config)) &&
		    str_eq(buf_str(&taps), buf_str(&t->taps))))
		return err;
	t->epoch = t->epoch ? t->epoch + 1 : first_epoch();
	buf_clear(&config);
	buf_clear(&taps);
	err = write_all(v, t->epoch, &config, &taps);
	if (err)
		return err;
	take_bytes(&t->config, &config);
	take_bytes(&t->taps, &taps);
	*changed = true;
	return 0;
}

int taps_make(struct tapping *t, bool *changed, bool *fresh)
{
	struct view v = {.t = t};
	int err = 0;

	*changed = *fresh = false;
	if (t->objects_dirty)
		err = compile(t);
	if (err || !t->b || (!t->b->maps_n && !t->epoch && !t->left))
		return err;
	t->run++;
	err = make_view(&v, changed);
	if (!err) {
		*fresh = v.fresh;
		forget(&t->points, t->run);
		forget(&t->outlets, t->run);
	}
	vec_free(&v.places);
	vec_free(&v.told);
	vec_free(&v.outlets);
	vec_free(&v.served);
	vec_free(&v.tunnels);
	vec_free(&v.relays);
	vec_free(&v.arrivals);
	vec_free(&v.nodes);
	vec_free(&v.names);
	arena_fini(&v.arena);
	return err;
}
