/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as text, and what overlaps in words: see broker.h. */
#include "base/own.h"
#include "broker/explain.h"

static void origin(struct buf *out, struct pos at)
{
	AUTO_BUF where = {0};

	pos_print(&where, at);
	if (where.n)
		buf_printf(out, "  # " STR_FMT, STR_ARG(buf_str(&where)));
	buf_addc(out, '\n');
}

static void port_name(struct buf *out, const struct broker *b, uint32_t port)
{
	buf_printf(out, STR_FMT "/" STR_FMT, STR_ARG(b->ports[port].tool), STR_ARG(b->ports[port].port));
}

static const char *base_name(enum chain_base base)
{
	static const char *const names[] = {
	    [CHAIN_L2] = "L2", [CHAIN_L3] = "L3", [CHAIN_L4] = "L4", [CHAIN_PAYLOAD] = "payload"};
	return names[base];
}

static void print_chain(struct buf *out, const struct chain_config *c)
{
	if (c->wire_mtu)
		buf_printf(out, "  merged %s over %u", c->keep_merged ? "marked" : "split", c->wire_mtu);
	if (c->sample.one_in)
		buf_printf(out, "  sample 1 in %u %s", c->sample.one_in,
			   c->sample.by_flow ? "sessions" : "packets");
	if (c->dedup.mode)
		buf_printf(out, "  dedup L%d %lluus ignore %#x%s", c->dedup.mode == CHAIN_DEDUP_L3 ? 3 : 2,
			   (unsigned long long)c->dedup.window / 1000, c->dedup.ignore,
			   c->dedup.count_only ? " count" : "");
	if (c->strip)
		buf_printf(out, "  strip %#x", c->strip);
	if (c->mask.n || c->mask.fields)
		buf_printf(out, "  mask fields %#x", c->mask.fields);
	for (unsigned i = 0; i < c->mask.n; i++)
		buf_printf(out, " %s+%u:%u", base_name(c->mask.ranges[i].from), c->mask.ranges[i].offset,
			   c->mask.ranges[i].len);
	if (c->mask.n || c->mask.fields)
		buf_printf(out, " with %u%s", c->mask.fill, c->mask.fix_checksums ? " fix checksums" : "");
	if (c->slice.on)
		buf_printf(out, "  slice %s+%u", base_name(c->slice.from), c->slice.bytes);
	if (c->stamp.vlan_tpid)
		buf_printf(out, "  stamp vlan %u", c->stamp.vlan_tci);
	if (c->stamp.trailer)
		buf_printf(out, "  stamp trailer %u:%u", c->stamp.device, c->stamp.port);
}

void broker_print_actions(struct buf *out, const struct broker_port *p)
{
	AUTO_BUF chain = {0};
	struct str text;

	print_chain(&chain, &p->chain);
	text = buf_str(&chain);
	while (text.n && text.p[0] == ' ')
		text = (struct str){text.p + 1, text.n - 1};
	for (size_t i = 0; i < text.n; i++)
		if (i + 1 < text.n && text.p[i] == ' ' && text.p[i + 1] == ' ')
			buf_addz(out, ", "), i++;
		else
			buf_addc(out, text.p[i]);
}

static void print_port(struct buf *out, const struct broker *b, uint32_t i)
{
	const struct broker_port *p = &b->ports[i];

	buf_addz(out, "port ");
	port_name(out, b, i);
	if (p->discard)
		buf_addz(out, "  discard");
	if (p->mtu)
		buf_printf(out, "  mtu %u", p->mtu);
	if (p->capacity)
		buf_printf(out, "  capacity %llu", (unsigned long long)p->capacity);
	print_chain(out, &p->chain);
	origin(out, p->pos);
}

static void print_group(struct buf *out, const struct broker *b, const struct broker_group *g)
{
	buf_printf(out, "group " STR_FMT "  members", STR_ARG(g->name));
	for (uint32_t i = 0; i < g->members_n; i++) {
		buf_addc(out, ' ');
		port_name(out, b, g->members[i].port);
		buf_printf(out, "*%u", g->members[i].weight);
	}
	buf_printf(out, "  hash %s%s%s", g->flow & CHAIN_FLOW_INNER ? "inner" : "outer",
		   g->flow & CHAIN_FLOW_QUOTED ? " quoted" : "", g->sticky ? "  sticky" : "");
	if (g->standby != BROKER_NONE) {
		buf_addz(out, "  standby ");
		port_name(out, b, g->standby);
	}
	origin(out, g->pos);
}

static void print_map(struct buf *out, const struct broker *b, const struct broker_map *m)
{
	static const char *const directions[] = {"", " in", " out", ""};
	static const char *const packets[] = {"", "", " dropped", " forwarded or dropped"};
	const char *join = m->rest ? "rest: " : "";

	buf_printf(out, "map " STR_FMT "  from", STR_ARG(m->name));
	for (uint32_t i = 0; i < m->sources.n; i++)
		buf_printf(out, "%s {" STR_FMT "}", i ? "," : "",
			   STR_ARG(b->sources[m->sources.items[i]].text));
	buf_printf(out, "%s%s  take %s", directions[m->directions], packets[m->packets], join);
	if (!m->filters.n)
		buf_addz(out, "everything");
	for (uint32_t i = 0; i < m->filters.n; i++)
		buf_printf(out, "%sfilter %u", i ? " or " : "", m->filters.items[i]);
	for (uint32_t i = 0; i < m->except.n; i++)
		buf_printf(out, "%s " STR_FMT, i ? "," : " except",
			   STR_ARG(b->maps[m->except.items[i]].name));
	buf_addz(out, "  to");
	for (uint32_t i = 0; i < m->ports.n; i++) {
		buf_addc(out, ' ');
		port_name(out, b, m->ports.items[i]);
	}
	for (uint32_t i = 0; i < m->groups.n; i++)
		buf_printf(out, " group " STR_FMT, STR_ARG(b->groups[m->groups.items[i]].name));
	origin(out, m->pos);
}

void broker_print(struct buf *out, const struct broker *b)
{
	for (uint32_t i = 0; i < b->sources_n; i++) {
		buf_printf(out, "source {" STR_FMT "}%s", STR_ARG(b->sources[i].text),
			   b->sources[i].feed ? "  feed" : "");
		origin(out, b->sources[i].pos);
	}
	for (uint32_t i = 0; i < b->filters_n; i++) {
		buf_printf(out, "filter %u  " STR_FMT, i, STR_ARG(b->filters[i].text));
		origin(out, b->filters[i].pos);
	}
	for (uint32_t i = 0; i < b->ports_n; i++)
		print_port(out, b, i);
	for (uint32_t i = 0; i < b->groups_n; i++)
		print_group(out, b, &b->groups[i]);
	for (uint32_t i = 0; i < b->maps_n; i++)
		print_map(out, b, &b->maps[i]);
}

bool broker_has(const struct broker_indexes *l, uint32_t i)
{
	for (uint32_t k = 0; k < l->n; k++)
		if (l->items[k] == i)
			return true;
	return false;
}

bool broker_leads(const struct broker *b, const struct broker_map *m, uint32_t port)
{
	if (broker_has(&m->ports, port))
		return true;
	for (uint32_t i = 0; i < m->groups.n; i++) {
		const struct broker_group *g = &b->groups[m->groups.items[i]];

		for (uint32_t k = 0; k < g->members_n; k++)
			if (g->members[k].port == port)
				return true;
	}
	return false;
}

void broker_print_overlaps(struct buf *out, const struct broker *b)
{
	enum { SHOWN = 5 };

	for (uint32_t s = 0; s < b->sources_n; s++)
		for (uint32_t p = 0; p < b->ports_n; p++) {
			AUTO_BUF names = {0};
			uint32_t n = 0;

			for (uint32_t i = 0; i < b->maps_n; i++)
				if (broker_has(&b->maps[i].sources, s) && broker_leads(b, &b->maps[i], p) &&
				    n++ < SHOWN)
					buf_printf(&names, "%s" STR_FMT, names.n ? ", " : "",
						   STR_ARG(b->maps[i].name));
			if (n < 2)
				continue;
			buf_printf(out, "%u maps lead from {" STR_FMT "} to ", n,
				   STR_ARG(b->sources[s].text));
			port_name(out, b, p);
			buf_printf(out, " (" STR_FMT "%s): of a packet that several take it gets one copy\n",
				   STR_ARG(buf_str(&names)), n > SHOWN ? ", …" : "");
		}
}
