/* SPDX-License-Identifier: Apache-2.0 */
/* Tools and ToolGroups: tool ports with their chains, groups with their members. See compile.h. */
#include <errno.h>

#include "base/own.h"
#include "broker/compile.h"
#include "object/tool.h"

struct bit {
	const char *name;
	unsigned bit;
};
static const struct bit strips[] = {{"VLAN", CHAIN_STRIP_VLAN},	      {"VLANs", CHAIN_STRIP_VLANS},
				    {"MPLS", CHAIN_STRIP_MPLS},	      {"VXLAN", CHAIN_STRIP_VXLAN},
				    {"Geneve", CHAIN_STRIP_GENEVE},   {"GRE", CHAIN_STRIP_GRE},
				    {"ERSPAN", CHAIN_STRIP_ERSPAN},   {"IPIP", CHAIN_STRIP_IPIP},
				    {"Padding", CHAIN_STRIP_PADDING}, {0}};
static const struct bit ignores[] = {{"MAC", CHAIN_IGNORE_MAC},	    {"VLAN", CHAIN_IGNORE_VLAN},
				     {"Outer", CHAIN_IGNORE_OUTER}, {"VNI", CHAIN_IGNORE_VNI},
				     {"TTL", CHAIN_IGNORE_TTL},	    {"DSCP", CHAIN_IGNORE_DSCP},
				     {"IPID", CHAIN_IGNORE_IP_ID},  {0}};
static const struct bit masked[] = {{"SourceMAC", CHAIN_MASK_SRC_MAC},
				    {"DestinationMAC", CHAIN_MASK_DST_MAC},
				    {"SourceIP", CHAIN_MASK_SRC_IP},
				    {"DestinationIP", CHAIN_MASK_DST_IP},
				    {"SourcePort", CHAIN_MASK_SRC_PORT},
				    {"DestinationPort", CHAIN_MASK_DST_PORT},
				    {0}};
static const struct bit bases[] = {
    {"L2", CHAIN_L2}, {"L3", CHAIN_L3}, {"L4", CHAIN_L4}, {"Payload", CHAIN_PAYLOAD}, {0}};

static unsigned bit_of(const struct bit *names, struct str word)
{
	while (names->name && !str_eqz(word, names->name))
		names++;
	return names->bit;
}

static unsigned bits_of(const struct bit *names, const struct strlist *words)
{
	unsigned all = 0;

	for (size_t i = 0; i < words->len; i++)
		all |= bit_of(names, words->items[i]);
	return all;
}

static int set_mask(struct compile *c, struct chain_mask *out, const struct port_mask *m)
{
	struct chain_range *r = arena_array(&c->b->arena, struct chain_range, m->ranges.len + 1);

	if (!r)
		return -ENOMEM;
	for (size_t i = 0; i < m->ranges.len; i++)
		r[i] = (struct chain_range){.from = bit_of(bases, m->ranges.items[i].from),
					    .offset = (uint32_t)m->ranges.items[i].offset.v,
					    .len = (uint32_t)m->ranges.items[i].length.v};
	*out = (struct chain_mask){.ranges = r,
				   .n = (unsigned)m->ranges.len,
				   .fields = bits_of(masked, &m->fields),
				   .fill = (uint8_t)m->fill.v,
				   .fix_checksums = str_eqz(m->checksums, "Fix")};
	return 0;
}

static int set_chain(struct compile *c, struct chain_config *out, const struct port_chain *p)
{
	if (p->sample)
		out->sample = (struct chain_sample){.one_in = (uint32_t)p->sample->one_in.v,
						    .by_flow = str_eqz(p->sample->by, "Session")};
	if (p->dedup)
		out->dedup = (struct chain_dedup){.mode = str_eqz(p->dedup->mode, "L3") ? CHAIN_DEDUP_L3
											: CHAIN_DEDUP_L2,
						  .window = (uint64_t)p->dedup->window.v * 1000,
						  .ignore = bits_of(ignores, &p->dedup->ignore),
						  .count_only = str_eqz(p->dedup->action, "Count"),
						  .entries = (uint32_t)p->dedup->entries.v};
	out->strip = bits_of(strips, &p->strip);
	if (p->slice)
		out->slice = (struct chain_slice){
		    .on = true, .from = bit_of(bases, p->slice->from), .bytes = (uint32_t)p->slice->bytes.v};
	if (p->stamp)
		out->stamp = (struct chain_stamp){.vlan_tpid = p->stamp->vlan.set ? 0x8100 : 0,
						  .vlan_tci = (uint16_t)p->stamp->vlan.v,
						  .trailer = p->stamp->trailer.v,
						  .device = (uint16_t)p->stamp->device.v,
						  .port = (uint8_t)p->stamp->port.v};
	return p->mask ? set_mask(c, &out->mask, p->mask) : 0;
}

enum {
	VXLAN_PORT = 4789,
	RING_BYTES = 64 << 20,
	ACTIVE_SECONDS = 60,
	IDLE_SECONDS = 15,
	HEALTHY_SECONDS = 3
};

/* Validated before: an address is one, a number in range. */
static void tunnel_to(struct broker_destination *to, const struct tool_spec *s)
{
	struct chain_encap *e = &to->encap;
	struct str remote = {0};

	if (s->vxlan) {
		to->way = BROKER_TO_VXLAN;
		*e = (struct chain_encap){.kind = CHAIN_ENCAP_VXLAN,
					  .id = (uint32_t)s->vxlan->vni.v,
					  .port =
					      s->vxlan->port.set ? (uint16_t)s->vxlan->port.v : VXLAN_PORT};
		remote = s->vxlan->remote;
	} else if (s->gre) {
		to->way = BROKER_TO_GRE;
		*e = (struct chain_encap){
		    .kind = CHAIN_ENCAP_GRE, .id = (uint32_t)s->gre->key.v, .has_key = s->gre->key.set};
		remote = s->gre->remote;
	} else {
		to->way = BROKER_TO_ERSPAN;
		*e = (struct chain_encap){.kind = CHAIN_ENCAP_ERSPAN2, .id = (uint32_t)s->erspan->session.v};
		remote = s->erspan->remote;
	}
	addr_parse(remote, &e->dst);
	e->dscp = (uint8_t)s->dscp.v;
	e->df = s->df.v;
	e->too_big = str_eqz(s->too_big, "Fragment") ? CHAIN_FRAGMENT
		     : str_eqz(s->too_big, "Slice")  ? CHAIN_CUT
						     : CHAIN_REFUSE;
}

/* A size that was checked to be one; else `otherwise`. */
static uint64_t bytes_of(struct str size, uint64_t otherwise)
{
	uint64_t n = otherwise;

	if (size.n)
		quantity_number(size, &n);
	return n;
}

static void file_to(struct broker_destination *to, const struct tool_file *f)
{
	to->way = BROKER_TO_FILE;
	to->path = f->path;
	if (!f->rotate)
		return;
	to->rotate_bytes = bytes_of(f->rotate->size, 0);
	to->rotate_seconds = (uint32_t)f->rotate->seconds.v;
	to->rotate_count = (uint32_t)f->rotate->count.v;
}

static void ipfix_to(struct broker_destination *to, const struct tool_ipfix *f)
{
	to->way = BROKER_TO_IPFIX;
	collector_parse(f->collector, &to->collector, &to->collector_port);
	to->tcp = str_eqz(f->protocol, "TCP");
	to->active = f->active.set ? (uint32_t)f->active.v : ACTIVE_SECONDS;
	to->idle = f->idle.set ? (uint32_t)f->idle.v : IDLE_SECONDS;
}

static struct broker_destination destination_of(const struct tool_spec *s)
{
	struct broker_destination to = {.way = BROKER_TO_DISCARD, .within = HEALTHY_SECONDS};

	if (s->health && s->health->within.set)
		to.within = (uint32_t)s->health->within.v;
	to.answers = s->health && s->health->answers.v;
	if (s->interface) {
		to.way = BROKER_TO_INTERFACE;
		to.node = s->interface->node;
		to.name = s->interface->name;
	} else if (s->pod) {
		to.way = BROKER_TO_POD;
		to.ns = s->pod->ns;
		to.selector = s->pod->pod_selector;
	} else if (s->vxlan || s->gre || s->erspan) {
		tunnel_to(&to, s);
	} else if (s->file) {
		file_to(&to, s->file);
	} else if (s->ring) {
		to.way = BROKER_TO_RING;
		to.ring_bytes = bytes_of(s->ring->size, RING_BYTES);
	} else if (s->ipfix) {
		ipfix_to(&to, s->ipfix);
	}
	return to;
}

enum { MTU_ETHERNET = 1500, MTU_LEAST = 576 };

static void add_port(struct compile *c, const struct object *o, const struct tool_port *p)
{
	const struct tool_spec *s = o->tool->spec;
	struct broker_port *port = &c->b->ports[c->b->ports_n++];
	AUTO_BUF why = {0};
	struct chain *trial = NULL;
	int r = 0;

	*port = (struct broker_port){.tool = o->meta.name,
				     .port = p->name,
				     .to = destination_of(s),
				     .mtu = (uint32_t)s->mtu.v,
				     .discard = s->discard.v,
				     .pos = object_pos(o, &p->name)};
	if (s->capacity.n && quantity_number(s->capacity, &port->capacity))
		compile_fail(c, o, &s->capacity, "for example 10G",
			     "\"" STR_FMT "\" is no number of bits per second", STR_ARG(s->capacity));
	port->chain.keep_merged = str_eqz(p->merged, "Mark");
	if (p->merged.n) { /* of captures, which do not tell what was merged */
		port->chain.wire_mtu = !port->mtu	       ? MTU_ETHERNET
				       : port->mtu < MTU_LEAST ? MTU_LEAST
							       : port->mtu;
		port->chain.guess_unfinished = true;
	}
	if (p->chain)
		r = set_chain(c, &port->chain, p->chain);
	if (!r && (r = chain_new(&trial, &port->chain, &why)) == -EINVAL) {
		compile_fail(c, o, &p->chain, NULL, "this chain cannot be: %s", why.n ? why.p : "invalid");
		r = 0;
	}
	chain_free(&trial);
	c->no_memory |= r != 0;
}

/* A node of Weft has that port for its own tunnel. */
static void warn_tunnel(struct compile *c, const struct object *o)
{
	const struct tool_vxlan *v = o->tool->spec ? o->tool->spec->vxlan : NULL;
	struct object_refs nodes = {0};
	struct addr to, own;

	if (!v || (v->port.set && v->port.v != VXLAN_PORT) || addr_parse(v->remote, &to))
		return;
	c->no_memory |= store_list(c->store, KIND_node, (struct str){0}, &nodes) != 0;
	VEC_EACH (&nodes.list, it) {
		const struct node_status *st = (*it)->node->status;

		for (size_t i = 0; st && i < st->addresses.len; i++)
			if (!addr_parse(st->addresses.items[i].address, &own) && addr_eq(&own, &to))
				compile_warn(c, o, &v->remote, "give the tunnel another port, such as 4790",
					     "UDP port 4789 of node " STR_FMT
					     " is Weft's own tunnel: copies that come there reach no tool",
					     STR_ARG((*it)->meta.name));
	}
	vec_free(&nodes.list);
}

static int by_port(const void *a, const void *b)
{
	const struct broker_port *x = a, *y = b;
	int d = str_cmp(x->tool, y->tool);
	return d ? d : str_cmp(x->port, y->port);
}

void compile_ports(struct compile *c, const struct object_refs *captures)
{
	struct object_refs tools = {0};
	size_t n = 0;

	c->no_memory |= store_list(c->store, KIND_tool, (struct str){0}, &tools) != 0;
	VEC_EACH (&tools.list, t)
		n += (*t)->tool->spec ? (*t)->tool->spec->ports.len : 0;
	n += captures->list.len;
	c->b->ports = arena_array(&c->b->arena, struct broker_port, n + 1);
	c->no_memory |= !c->b->ports;
	VEC_EACH (&tools.list, t)
		warn_tunnel(c, *t);
	VEC_EACH (&tools.list, t)
		for (size_t i = 0; !c->no_memory && (*t)->tool->spec && i < (*t)->tool->spec->ports.len; i++)
			add_port(c, *t, &(*t)->tool->spec->ports.items[i]);
	VEC_EACH (&captures->list, o)
		if (!c->no_memory)
			capture_port(c, *o);
	if (c->b->ports_n)
		qsort(c->b->ports, c->b->ports_n, sizeof(*c->b->ports), by_port);
	vec_free(&tools.list);
}

/* Nobody leads copies into somebody's capture. */
static bool is_of(const struct broker_port *p, struct str tool)
{
	return p->to.way != BROKER_TO_STREAM && str_eq(p->tool, tool);
}

static bool is_default(struct str port)
{
	return !port.n || str_eqz(port, "default");
}

uint32_t compile_port(struct compile *c, const struct object *o, const struct str *tool,
		      const struct str *port)
{
	const struct broker *b = c->b;
	struct str want = port->n ? *port : STR("default");
	AUTO_BUF hint = {0};

	for (uint32_t i = 0; i < b->ports_n; i++)
		if (is_of(&b->ports[i], *tool) && str_eq(b->ports[i].port, want))
			return i;
	for (uint32_t i = 0; i < b->ports_n; i++)
		if (is_of(&b->ports[i], *tool))
			buf_printf(&hint, "%s" STR_FMT, hint.n ? ", " : "its ports are ",
				   STR_ARG(b->ports[i].port));
	if (!hint.n)
		compile_missing(c, o, tool, KIND_tool);
	else
		compile_fail(c, o, is_default(*port) ? tool : port, hint.p,
			     "the Tool \"" STR_FMT "\" has no port \"" STR_FMT "\"", STR_ARG(*tool),
			     STR_ARG(want));
	return BROKER_NONE;
}

static int by_member(const void *a, const void *b)
{
	const struct broker_member *x = a, *y = b;
	return x->port < y->port ? -1 : x->port > y->port;
}

static void add_group(struct compile *c, const struct object *o)
{
	const struct toolgroup_spec *s = o->toolgroup->spec;
	struct broker_group *g = &c->b->groups[c->b->groups_n++];

	*g = (struct broker_group){
	    .name = o->meta.name,
	    .flow = (str_eqz(s->hash, "Inner") ? CHAIN_FLOW_INNER : 0) |
		    (!s->icmp_errors_follow.set || s->icmp_errors_follow.v ? CHAIN_FLOW_QUOTED : 0),
	    .sticky = s->sticky.v,
	    .standby = BROKER_NONE,
	    .pos = object_pos(o, &o->meta.name)};
	g->members = arena_array(&c->b->arena, struct broker_member, s->members.len + 1);
	if (!g->members) {
		c->no_memory = true;
		return;
	}
	for (size_t i = 0; i < s->members.len; i++) {
		const struct group_member *m = &s->members.items[i];
		uint32_t port = compile_port(c, o, &m->tool, &m->port);

		if (port != BROKER_NONE)
			g->members[g->members_n++] = (struct broker_member){
			    .port = port, .weight = m->weight.set ? (uint32_t)m->weight.v : 1};
	}
	if (g->members_n)
		qsort(g->members, g->members_n, sizeof(*g->members), by_member);
	if (!s->standby)
		return;
	g->standby = compile_port(c, o, &s->standby->tool, &s->standby->port);
	for (uint32_t i = 0; i < g->members_n; i++)
		if (g->members[i].port == g->standby)
			compile_warn(c, o, &s->standby->tool, "name a tool that is no member",
				     "the standby is a member: it is down with the last one");
}

void compile_groups(struct compile *c)
{
	struct object_refs groups = {0};

	c->no_memory |= store_list(c->store, KIND_toolgroup, (struct str){0}, &groups) != 0;
	c->b->groups = arena_array(&c->b->arena, struct broker_group, groups.list.len + 1);
	c->no_memory |= !c->b->groups;
	VEC_EACH (&groups.list, g)
		if (!c->no_memory && (*g)->toolgroup->spec)
			add_group(c, *g);
	vec_free(&groups.list);
}

uint32_t compile_group(const struct broker *b, struct str name)
{
	for (uint32_t i = 0; i < b->groups_n; i++)
		if (str_eq(b->groups[i].name, name))
			return i;
	return BROKER_NONE;
}
