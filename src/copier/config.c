/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIG's JSON (config.h, doc/internals.md) into an epoch: objects are decoded, checked and compiled as the
 * planner does it; places get their sources by the broker's names; tool ports that are as before stay. With
 * any mistake nothing changes.
 */
#include <errno.h>
#include <jansson.h>

#include "base/log.h"
#include "base/own.h"
#include "copier/config.h"
#include "copier/copier.h"
#include "object/decode.h"

enum { PLACES_MAX = TAP_POINTS_MAX, NAMES_MAX = 1 << 20, OBJECTS_MAX = 100000 };

static int refuse(struct buf *why, const char *what)
{
	if (!why->n)
		buf_addz(why, what);
	return -EINVAL;
}

static struct str text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return (struct str){json_string_value(v), json_string_length(v)};
}

/* A whole number in [0, max], 0 where it is left out. */
static int number_of(const json_t *o, const char *key, uint32_t max, uint32_t *out)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if ((v && !json_is_integer(v)) || n < 0 || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int put_object(struct store *s, const json_t *item, struct remarks *rs)
{
	AUTO_MEM char *text = json_dumps(item, JSON_COMPACT);
	struct object *o = NULL;
	int r = text ? decode_json_object(str_of(text), NULL, NULL, &o, rs) : -ENOMEM;

	if (!r && !object_validate(o, rs))
		r = -EINVAL;
	if (!r)
		r = object_default(o);
	if (!r)
		r = store_put(s, TAKE(o), NULL);
	object_unref(&o);
	return r;
}

static void explain(struct buf *why, struct remarks *rs)
{
	remarks_sort(rs);
	VEC_EACH (&rs->list, r)
		if (r->level == REMARK_ERROR && !why->n)
			buf_printf(why, "%s", r->text);
}

static int make_world(struct copier *c, struct world **out, const json_t *objects, struct buf *why)
{
	AUTO_MEM char *text = json_dumps(objects, JSON_COMPACT);
	AUTO(remarks_fini) struct remarks rs = {0};
	struct broker *b = NULL;
	struct store *s = NULL;
	const json_t *item;
	size_t i;
	int r;

	if (!text)
		return -ENOMEM;
	if (c->epochs[0] && !strcmp(c->epochs[0]->world->objects, text)) {
		c->epochs[0]->world->refs++;
		*out = c->epochs[0]->world;
		return 0;
	}
	r = store_new(&s, 1);
	json_array_foreach (objects, i, item) {
		if (!r)
			r = put_object(s, item, &rs);
	}
	if (!r)
		r = broker_compile(&b, s, &rs);
	store_free(&s);
	if (r == -ENOENT)
		r = refuse(why, "an object is of a kind that is not known");
	explain(why, &rs);
	if (!r)
		r = world_new(out, b, text);
	if (r)
		broker_free(&b);
	else if (c->epochs[0])
		world_adopt(*out, c->epochs[0]->world);
	return r;
}

static int source_number(const struct broker *b, struct str text, uint32_t *out)
{
	uint32_t low = 0, high = b->sources_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int d = str_cmp(b->sources[mid].text, text);

		if (!d) {
			*out = mid;
			return 0;
		}
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -ENOENT;
}

static int add_place(struct copier *c, struct epoch *e, const json_t *item, struct buf *why)
{
	const struct broker *b = e->world->broker;
	const json_t *sources = json_object_get(item, "sources"), *text;
	AUTO_MEM uint32_t *numbers = calloc(json_array_size(sources) + 1, sizeof(*numbers));
	struct epoch_place *at = &e->places[e->places_n];
	uint32_t ifindex, n = 0;
	size_t i;

	if (!numbers)
		return -ENOMEM;
	if (number_of(item, "point", TAP_POINTS_MAX - 1, &at->number) ||
	    number_of(item, "ifindex", INT32_MAX, &ifindex) || !text_of(item, "name").n)
		return refuse(why, "a place has no point, ifindex or name that can be");
	if (e->by_point[at->number])
		return refuse(why, "two places have one point");
	json_array_foreach (sources, i, text) {
		if (source_number(b, (struct str){json_string_value(text), json_string_length(text)},
				  &numbers[n]))
			return refuse(why, "a place has a source that no object names");
		n++;
	}
	if (point_new(&at->point, b, numbers, n))
		return -ENOMEM;
	e->places_n++;
	at->place = place_get(c, at->number, ifindex, text_of(item, "name"), text_of(item, "kind"));
	e->by_point[at->number] = at;
	return at->place ? 0 : -ENOMEM;
}

static int add_places(struct copier *c, struct epoch *e, const json_t *places, struct buf *why)
{
	size_t n = json_array_size(places), i;
	const json_t *item;
	int r = 0;

	if (n > PLACES_MAX)
		return refuse(why, "more places than points");
	e->points_n = TAP_POINTS_MAX;
	e->places = calloc(n + 1, sizeof(*e->places));
	e->by_point = calloc(e->points_n, sizeof(struct epoch_place *));
	if (!e->places || !e->by_point)
		return -ENOMEM;
	json_array_foreach (places, i, item) {
		if (!r)
			r = add_place(c, e, item, why);
	}
	return r;
}

static bool is_named(const json_t *item, struct str tool, struct str port)
{
	struct str other = text_of(item, "port");

	return str_eq(text_of(item, "tool"), tool) && (!other.n || str_eq(other, port));
}

static int add_direct(struct epoch *e, const json_t *outlet, uint32_t port)
{
	const json_t *points = json_object_get(outlet, "direct"), *v;
	size_t i;

	json_array_foreach (points, i, v) {
		json_int_t n = json_integer_value(v);

		if (!json_is_integer(v) || n < 0 || n >= (json_int_t)TAP_POINTS_MAX)
			return -EINVAL;
		e->direct[e->direct_n++] = (uint32_t)n << 16 | port;
	}
	return 0;
}

/* What CONFIG's outlets and tunnels say of a tool port. */
static int find_outlet(struct epoch *e, const json_t *config, uint32_t port, struct port_wants *w)
{
	const json_t *outlets = json_object_get(config, "outlets"), *item;
	size_t i;

	json_array_foreach (outlets, i, item) {
		if (!is_named(item, w->port->tool, w->port->port))
			continue;
		struct str address = text_of(item, "address");

		if (number_of(item, "number", OUTLETS_MAX, &w->outlet) || add_direct(e, item, port) ||
		    (address.n && addr_parse(address, &w->address)))
			return -EINVAL;
	}
	json_array_foreach (json_object_get(config, "tunnels"), i, item) {
		if (!str_eq(text_of(item, "tool"), w->port->tool))
			continue;
		if (number_of(item, "number", OUTLETS_MAX, &w->outlet) ||
		    number_of(item, "mtu", UINT16_MAX, &w->way_mtu) ||
		    addr_parse(text_of(item, "source"), &w->source))
			return -EINVAL;
	}
	return 0;
}

static int key_of(const json_t *item, uint64_t *out)
{
	struct str text = text_of(item, "key");
	uint64_t key = 0;

	if (!text.n || text.n > 14)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, text.p[i]);

		if (!at || !*at)
			return -EINVAL;
		key = key << 4 | (uint64_t)(at - digits);
	}
	*out = key;
	return key ? 0 : -EINVAL;
}

/* Where another node has it. */
static int find_relay(const json_t *config, struct port_wants *w)
{
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(config, "relays"), i, item) {
		if (!str_eq(text_of(item, "tool"), w->port->tool) ||
		    !str_eq(text_of(item, "port"), w->port->port))
			continue;
		if (w->outlet || key_of(item, &w->key) ||
		    number_of(item, "number", OUTLETS_MAX, &w->outlet) ||
		    number_of(item, "mtu", UINT16_MAX, &w->way_mtu) ||
		    addr_parse(text_of(item, "source"), &w->source) ||
		    addr_parse(text_of(item, "far"), &w->far))
			return -EINVAL;
		w->at = text_of(item, "at");
	}
	return 0;
}

static int add_arrival(struct epoch *e, const json_t *item)
{
	const struct broker *b = e->world->broker;
	struct arrivals_tool *to = &e->arrivals.tools[e->arrivals.tools_n];

	for (uint32_t i = 0; i < b->ports_n; i++)
		if (is_named(item, b->ports[i].tool, b->ports[i].port)) {
			to->port = i;
			e->arrivals.tools_n++;
			return key_of(item, &to->key);
		}
	return -EINVAL;
}

static int add_own(struct arrivals_wants *w, const json_t *own)
{
	const json_t *v;
	size_t i;

	json_array_foreach (own, i, v) {
		struct addr a;

		if (addr_parse((struct str){json_string_value(v), json_string_length(v)}, &a))
			return -EINVAL;
		*(addr_is4(&a) ? &w->own4 : &w->own6) = a;
	}
	return 0;
}

/* Who may send copies to which tool ports of this node. */
static int add_arrivals(struct epoch *e, const json_t *config, struct buf *why)
{
	const json_t *all = json_object_get(config, "arrivals"), *nodes = json_object_get(all, "nodes"),
		     *tools = json_object_get(all, "tools"), *v;
	struct arrivals_wants *w = &e->arrivals;
	int r = number_of(all, "outlet", OUTLETS_MAX, &w->outlet);
	size_t i;

	w->nodes = calloc(json_array_size(nodes) + 1, sizeof(*w->nodes));
	w->tools = calloc(json_array_size(tools) + 1, sizeof(*w->tools));
	if (!w->nodes || !w->tools)
		return -ENOMEM;
	if (!r)
		r = add_own(w, json_object_get(all, "own"));
	json_array_foreach (nodes, i, v) {
		if (!r)
			r = addr_parse((struct str){json_string_value(v), json_string_length(v)},
				       &w->nodes[w->nodes_n++]);
	}
	json_array_foreach (tools, i, v) {
		if (!r)
			r = add_arrival(e, v);
	}
	return r ? refuse(why, "arrivals have an address, a key or a tool port that cannot be") : 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static size_t count_direct(const json_t *config)
{
	const json_t *item;
	size_t i, n = 0;

	json_array_foreach (json_object_get(config, "outlets"), i, item)
		n += json_array_size(json_object_get(item, "direct"));
	return n;
}

/* All wants are read before the first output is opened: what is refused leaves no file behind. */
static int add_ports(struct copier *c, struct epoch *e, const json_t *config, struct buf *why)
{
	const struct broker *b = e->world->broker;
	AUTO_MEM struct port_wants *w = calloc((size_t)b->ports_n + 1, sizeof(*w));
	int r = 0;

	if (b->ports_n > UINT16_MAX)
		return refuse(why, "more than 65535 tool ports");
	e->ports = calloc((size_t)b->ports_n + 1, sizeof(struct port *));
	e->direct = calloc((count_direct(config) + 1) * (b->ports_n + 1), sizeof(uint32_t));
	if (!w || !e->ports || !e->direct)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->ports_n; i++) {
		w[i] = (struct port_wants){.port = &b->ports[i], .only_port = true};
		for (uint32_t k = i ? i - 1 : 0; k < b->ports_n && k <= i + 1; k++)
			w[i].only_port &= k == i || !str_eq(b->ports[k].tool, b->ports[i].tool);
		if (find_outlet(e, config, i, &w[i]) || find_relay(config, &w[i]))
			return refuse(why, "an outlet or a tunnel has numbers that cannot be");
	}
	for (uint32_t i = 0; !r && i < b->ports_n; i++)
		r = port_get(c, &e->ports[i], &w[i], c->epochs[0]);
	qsort(e->direct, e->direct_n, sizeof(*e->direct), by_number);
	return r;
}

void names_free(struct names *n)
{
	VEC_EACH (&n->list, i)
		free((char *)(uintptr_t)i->name);
	vec_free(&n->list);
}

static bool names_same(const struct copier *c, const struct output_name *names, size_t n)
{
	if (n != c->names.list.len)
		return false;
	for (size_t i = 0; i < n; i++)
		if (memcmp(&names[i].addr, &c->names.list.items[i].addr, sizeof(names->addr)) ||
		    strcmp(names[i].name, c->names.list.items[i].name))
			return false;
	return true;
}

/* Names are for files' readers: what is wrong with one leaves it out. Captures are told of changes only. */
static void take_names(struct copier *c, const json_t *names)
{
	struct names fresh = {0};
	const json_t *item;
	size_t i;

	json_array_foreach (names, i, item) {
		const char *addr = json_string_value(json_array_get(item, 0)),
			   *name = json_string_value(json_array_get(item, 1));
		struct output_name n = {0};

		if (!addr || !name || addr_parse(str_of(addr), &n.addr) || fresh.list.len >= NAMES_MAX)
			continue;
		n.name = strdup(name);
		if (!n.name || vec_push(&fresh.list, n))
			free((char *)(uintptr_t)n.name);
	}
	if (names_same(c, fresh.list.items, fresh.list.len)) {
		names_free(&fresh);
		return;
	}
	names_free(&c->names);
	c->names = fresh;
	c->host.names = c->names.list.items;
	c->host.names_n = c->names.list.len;
	c->host.names_version++;
}

static int apply(struct copier *c, const json_t *config, struct buf *why)
{
	const json_t *objects = json_object_get(config, "objects");
	struct str node = text_of(config, "node");
	struct epoch *e = calloc(1, sizeof(*e));
	int r = e ? 0 : -ENOMEM;

	if (r)
		return r;
	if (number_of(config, "epoch", UINT32_MAX, &e->number) || !json_is_array(objects) ||
	    json_array_size(objects) > OBJECTS_MAX || !node.n || node.n >= sizeof(c->host.node)) {
		free(e);
		return refuse(why, "epoch, node or objects are missing or cannot be");
	}
	memcpy(c->host.node, node.p, node.n);
	c->host.node[node.n] = 0;
	r = make_world(c, &e->world, objects, why);
	if (r) {
		free(e);
		return r;
	}
	r = add_places(c, e, json_object_get(config, "places"), why);
	if (!r)
		r = add_arrivals(e, config, why);
	if (!r)
		r = add_ports(c, e, config, why);
	if (r) {
		epoch_free(c, &e);
		return r;
	}
	take_names(c, json_object_get(config, "names"));
	epoch_install(c, e);
	return 0;
}

int config_apply(struct copier *c, struct str json, struct buf *why)
{
	json_error_t error;
	AUTO(json_decrefp) json_t *config = json_loadb(json.p, json.n, 0, &error);
	char node[sizeof(c->host.node)];
	int r;

	if (!config) {
		buf_printf(why, "line %d: %s", error.line, error.text);
		return -EINVAL;
	}
	memcpy(node, c->host.node, sizeof(node));
	r = apply(c, config, why);
	if (r)
		memcpy(c->host.node, node, sizeof(node));
	if (r && !why->n)
		buf_addz(why, strerror(-r));
	return r;
}
