/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker says of one packet at one place, as a part of the document of `weft why --copy`. */
#include "cli/copies.h"

#include "base/own.h"
#include "filter/dissect.h"

static json_t *text_of(struct str s)
{
	return json_stringn_nocheck(s.p ? s.p : "", s.n);
}

static void add_pos(json_t *to, struct pos at)
{
	AUTO_BUF where = {0};

	pos_print(&where, at);
	if (where.n)
		json_object_set_new(to, "at", text_of(buf_str(&where)));
}

static const char *why_word(enum explain_why w)
{
	static const char *const words[] = {
	    [EXPLAIN_TAKEN] = "taken", [EXPLAIN_SOURCE] = "source", [EXPLAIN_DIRECTION] = "direction",
	    [EXPLAIN_FATE] = "fate",   [EXPLAIN_FILTER] = "filter", [EXPLAIN_EXCEPT] = "except",
	    [EXPLAIN_REST] = "rest"};
	return words[w];
}

static json_t *map_json(const struct broker *b, const struct explain_map *e)
{
	const struct broker_map *m = &b->maps[e->map];
	json_t *v = json_pack("{s:o,s:b,s:s}", "map", text_of(m->name), "takes", e->why == EXPLAIN_TAKEN,
			      "why", why_word(e->why));
	json_t *filters = json_array();

	add_pos(v, m->pos);
	if (e->other != BROKER_NONE)
		json_object_set_new(v, "other", text_of(b->maps[e->other].name));
	if (m->rest)
		json_object_set_new(v, "rest", json_true());
	for (uint32_t i = 0; i < e->filters_n; i++) {
		const struct broker_filter *f = &b->filters[e->filters[i].filter];
		json_t *one = json_pack("{s:o,s:b,s:o}", "filter", text_of(f->text), "matches",
					e->filters[i].matches, "terms", text_of(e->filters[i].terms));

		add_pos(one, f->pos);
		json_array_append_new(filters, one);
	}
	if (json_array_size(filters))
		json_object_set(v, "filters", filters);
	json_decref(filters);
	return v;
}

static void add_port(json_t *to, const struct broker *b, uint32_t port)
{
	json_object_set_new(to, "tool", text_of(b->ports[port].tool));
	json_object_set_new(to, "port", text_of(b->ports[port].port));
}

static json_t *group_json(const struct broker *b, const struct explain_group *g)
{
	json_t *v = json_pack("{s:o}", "group", text_of(b->groups[g->group].name));

	if (g->port == BROKER_NONE)
		json_object_set_new(v, "down", json_true());
	else
		add_port(v, b, g->port);
	return v;
}

static const char *const ways[] = {"interface", "pod",	"vxlan", "gre",	    "erspan",
				   "file",	"ring", "ipfix", "discard", "stream"};
_Static_assert(ARRAY_LEN(ways) == BROKER_TO_STREAM + 1, "each way has a word");

static json_t *port_json(const struct broker *b, const struct explain_port *e, const bool *down)
{
	const struct broker_port *p = &b->ports[e->port];
	json_t *v = json_object(), *maps = json_array();
	AUTO_BUF does = {0};

	add_port(v, b, e->port);
	for (uint32_t i = 0; i < e->maps_n; i++)
		json_array_append_new(maps, text_of(b->maps[e->maps[i]].name));
	json_object_set_new(v, "maps", maps);
	if (e->group != BROKER_NONE)
		json_object_set_new(v, "group", text_of(b->groups[e->group].name));
	json_object_set_new(v, "kind", json_string(ways[p->to.way]));
	broker_print_actions(&does, p);
	if (does.n)
		json_object_set_new(v, "does", text_of(buf_str(&does)));
	if (p->mtu)
		json_object_set_new(v, "mtu", json_integer(p->mtu));
	if (down)
		json_object_set_new(v, "taking", json_boolean(!down[e->port]));
	add_pos(v, p->pos);
	return v;
}

/* "10.244.0.5:40000 → 10.244.1.7:7070". */
static void words(struct buf *out, const struct chain_packet *p)
{
	const struct filter_packet packet = {.p = p->p, .caplen = p->caplen, .len = p->len, .link = p->link};
	struct dissected d;
	char src[ADDR_TEXT], dst[ADDR_TEXT];

	dissect(&d, &packet);
	if (!(d.has & HAS_IP)) {
		buf_printf(out, "%u bytes, no IP packet", p->len);
		return;
	}
	addr_print(&d.src, src);
	addr_print(&d.dst, dst);
	if (d.has & HAS_PORTS)
		buf_printf(out, addr_is4(&d.src) ? "%s:%u → %s:%u" : "[%s]:%u → [%s]:%u", src, d.sport, dst,
			   d.dport);
	else
		buf_printf(out, "%s → %s", src, dst);
}

static json_t *head(const struct broker *b, const struct copies_seen *s)
{
	static const char *const directions[] = {"", "in", "out", "either"};
	AUTO_BUF packet = {0};
	json_t *v, *sources = json_array();

	words(&packet, s->packet);
	for (uint32_t i = 0; i < s->sources_n; i++)
		json_array_append_new(sources, text_of(b->sources[s->sources[i]].text));
	v = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "place", s->place, "kind", s->kind, "way", s->way,
		      "direction", directions[s->direction], "fate",
		      s->fate == BROKER_DROPPED ? "dropped" : "forwarded", "packet", packet.p ? packet.p : "",
		      "sources", sources);
	if (s->node && *s->node)
		json_object_set_new(v, "node", json_string(s->node));
	if (s->inner) {
		AUTO_BUF carries = {0};

		words(&carries, s->inner);
		json_object_set_new(v, "carries", json_string(carries.p ? carries.p : ""));
	}
	return v;
}

json_t *copies_explain(const struct broker *b, const struct copies_seen *s)
{
	const struct explain_question q = {.packet = s->packet,
					   .sources = s->sources,
					   .sources_n = s->sources_n,
					   .direction = s->direction,
					   .fate = s->fate,
					   .down = s->down};
	struct explained x;
	json_t *v, *maps = json_array(), *groups = json_array(), *tools = json_array();

	if (broker_explain(&x, b, &q)) {
		json_decref(maps);
		json_decref(groups);
		json_decref(tools);
		return NULL;
	}
	v = head(b, s);
	for (uint32_t i = 0; i < x.maps_n; i++)
		json_array_append_new(maps, map_json(b, &x.maps[i]));
	for (uint32_t i = 0; i < x.groups_n; i++)
		json_array_append_new(groups, group_json(b, &x.groups[i]));
	for (uint32_t i = 0; i < x.ports_n; i++)
		json_array_append_new(tools, port_json(b, &x.ports[i], s->down));
	json_object_set_new(v, "whole", json_boolean(x.whole));
	json_object_set_new(v, "maps", maps);
	json_object_set_new(v, "groups", groups);
	json_object_set_new(v, "tools", tools);
	explained_fini(&x);
	return v;
}
