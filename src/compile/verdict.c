/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts by rows, looked up in the order and in the ways of the kernel programs, for any number of nodes at
 * once. Knows no objects and no rules, only their numbers. Called by the command line, by scenes and by
 * tests.
 */
#include "compile/verdict.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "compile/verdict_table.h"
#include "seam/class.h"
#include "seam/name.h"

static uint32_t class_of(const struct node_table *n, const struct addr *a)
{
	const struct address_value *known = table_find(n, PLAN_MAP_address, a, sizeof(*a));
	if (known)
		return known->class;
	const struct block_value *b = NULL;
	if (n->config.block_trie) {
		b = table_longest(n, PLAN_MAP_block_trie, n->trie_count, a);
		return b ? b->class : CLASS_WORLD;
	}
	const uint8_t *lens = addr_is4(a) ? n->config.block_lens4 : n->config.block_lens6;
	for (int i = 0; i < BLOCK_LENS && lens[i] && !b; i++)
		b = table_prefix(n, PLAN_MAP_block, a, lens[i] == 255 ? 0 : lens[i]);
	return b ? b->class : CLASS_WORLD;
}

uint32_t verdict_class(const struct verdict_table *t, size_t node, const struct addr *a)
{
	return class_of(t->nodes.items[node], a);
}

bool verdict_end(const struct verdict_table *t, const struct addr *a, struct verdict_end *out)
{
	const struct local *l = table_local(t, a);
	if (!l)
		return false;
	const struct endpoint_value *v = &l->value;
	*out = (struct verdict_end){.node = l->node->index,
				    .ifindex = v->ifindex,
				    .flags = v->flags,
				    .ingress_set = v->ingress_set,
				    .egress_set = v->egress_set,
				    .staged_ingress = v->staged_ingress,
				    .staged_egress = v->staged_egress};
	/* What leaves the pod is judged by its interface. */
	const struct iface_value *own = table_find(l->node, PLAN_MAP_iface, &v->ifindex, sizeof(v->ifindex));
	if (own) {
		out->egress_set = own->egress_set;
		out->staged_egress = own->staged_egress;
	}
	return true;
}

static const struct port_value *port_of(const struct node_table *n, const struct policy_value *v,
					uint8_t proto, uint16_t port)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
	for (int len = ports ? PORT_LEN_MAX : PORT_LEN_ANY; len >= 0; len--) {
		struct port_key k = {.portset = v->portset, .len = (uint8_t)len};
		if (!(v->lens >> len & 1))
			continue;
		if (len) {
			k.proto = proto;
			k.port = htons((uint16_t)(port & ~(0xffffu >> (len - 1))));
		}
		const struct port_value *hit = table_find(n, PLAN_MAP_port, &k, sizeof(k));
		if (hit)
			return hit;
	}
	return NULL;
}

static const struct policy_value *cell_at(const struct node_table *n, uint32_t set, uint32_t class)
{
	struct policy_key k = {.set = set, .class = class};
	return table_find(n, PLAN_MAP_policy, &k, sizeof(k));
}

static struct said set_says(const struct node_table *n, uint32_t set, uint32_t class, uint8_t proto,
			    uint16_t port)
{
	const struct said otherwise = {.allow = set == SET_NONE || set & SET_OPEN};
	const struct policy_value *v = set == SET_NONE ? NULL : cell_at(n, set, class);
	if (!v)
		return otherwise;
	switch (v->portset) {
	case PORTSET_ALL:
	case PORTSET_NONE:
		return (struct said){.allow = v->portset == PORTSET_ALL, .rule = v->rule};
	case PORTSET_ONE:
		return v->proto == proto && v->port == htons(port)
			   ? (struct said){.allow = true, .rule = v->rule}
			   : otherwise;
	default:
		break;
	}
	const struct port_value *p = port_of(n, v, proto, port);
	if (!p)
		return otherwise;
	return (struct said){.allow = p->verdict == VERDICT_ALLOW, .rule = p->rule, .names = p->names};
}

struct said verdict_set_ask(const struct verdict_table *t, size_t node, uint32_t set, uint32_t class,
			    uint8_t proto, uint16_t port)
{
	return set_says(t->nodes.items[node], set, class, proto, port);
}

/* The name class of a name of n bytes, or of all that ends in it; 0: none. */
static uint32_t name_at(const struct node_table *n, const char *text, size_t len, bool exact)
{
	struct name_key k = {.prefixlen = (uint32_t)(len + exact) * 8};
	for (size_t i = 0; i < len; i++) {
		char ch = text[len - 1 - i];
		k.text[i] = (uint8_t)(ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
	}
	const struct name_value *v = table_find(n, PLAN_MAP_name, &k, sizeof(k));
	return v ? v->name : 0;
}

/* The longest match: the name itself, or the nearest wildcard above it. */
static uint32_t name_class_of(const struct node_table *n, struct str name)
{
	while (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n >= NAME_BYTES)
		return 0;
	uint32_t id = name_at(n, name.p, name.n, true);
	for (size_t i = 1; i < name.n && !id; i++)
		if (name.p[i] == '.')
			id = name_at(n, name.p + i, name.n - i, false);
	return id;
}

static uint32_t name_rule_in(const struct node_table *n, uint32_t names, struct str name)
{
	struct name_match_key k = {.names = names, .name = name_class_of(n, name)};
	const struct name_match_value *v = k.name ? table_find(n, PLAN_MAP_name_match, &k, sizeof(k)) : NULL;
	return v ? v->rule : RULE_NONE;
}

uint32_t verdict_name_rule(const struct verdict_table *t, size_t node, uint32_t names, struct str name)
{
	return name_rule_in(t->nodes.items[node], names, name);
}

/* Addresses of the cluster itself are never learned under a name. */
static bool learnable(const struct node_table *n, const struct addr *a)
{
	if (table_find(n, PLAN_MAP_address, a, sizeof(*a)))
		return false;
	const struct range_value *r = table_longest(n, PLAN_MAP_range, n->range_count, a);
	return !r || r->kind == RANGE_DIRECT;
}

static struct said by_name(const struct node_table *n, struct said s, const struct question *q)
{
	if (s.allow || !s.names || !q->names_len || !learnable(n, &q->dst))
		return s;
	for (size_t i = 0; i < q->names_len; i++) {
		uint32_t rule = name_rule_in(n, s.names, q->names[i]);
		if (rule != RULE_NONE)
			return (struct said){.allow = true, .rule = rule};
	}
	return s;
}

/* Both ends of a flow, as far as they are judged. */
struct ends {
	const struct node_table *from, *to; /* NULL: that end is not judged */
	uint32_t egress_set, ingress_set;
	uint32_t egress_class, ingress_class;
	uint32_t rule;		/* without sets: what lets it in */
	enum judgement without; /* the verdict where both sets allow */
};

static uint32_t staged_or(uint32_t staged, uint32_t set, const struct question *q)
{
	return q->staged && staged != SET_NONE ? staged : set;
}

/* Whether nobody can answer at an address that is no wired pod's. */
static bool nobody(const struct node_table *n, const struct addr *a)
{
	const struct address_value *known = table_find(n, PLAN_MAP_address, a, sizeof(*a));
	if (known)
		return (known->flags & ADDRESS_POD) && !known->node;
	const struct range_value *r = table_longest(n, PLAN_MAP_range, n->range_count, a);
	return r && r->kind != RANGE_DIRECT;
}

static void self_ends(const struct local *pod, const struct question *q, struct ends *e)
{
	e->rule = RULE_SELF;
	if (!q->through_service || !(pod->value.flags & ENDPOINT_SELF))
		return;
	e->from = e->to = pod->node;
	e->egress_set = staged_or(pod->value.staged_egress, pod->value.egress_set, q);
	e->ingress_set = staged_or(pod->value.staged_ingress, pod->value.ingress_set, q);
	e->egress_class = e->ingress_class = addr_is4(&q->src) ? CLASS_SELF : CLASS_SELF6;
}

static void find_ends(const struct verdict_table *t, const struct question *q, struct ends *e)
{
	const struct local *from = table_local(t, &q->src), *to = table_local(t, &q->dst);
	*e = (struct ends){.without = JUDGED_ALLOW};
	if (from && addr_eq(&q->src, &q->dst)) {
		self_ends(from, q, e);
		return;
	}
	if (from) {
		const struct iface_value *own =
		    table_find(from->node, PLAN_MAP_iface, &from->value.ifindex, sizeof(from->value.ifindex));
		e->from = from->node;
		if (own)
			e->egress_set = staged_or(own->staged_egress, own->egress_set, q);
		e->egress_class = e->egress_set == SET_NONE ? CLASS_WORLD : class_of(from->node, &q->dst);
	}
	if (!to) {
		const struct node_table *n = from ? from->node : t->nodes.len ? t->nodes.items[0] : NULL;
		if (n && nobody(n, &q->dst))
			e->without = JUDGED_NOBODY;
		return;
	}
	const struct address_value *src = table_find(to->node, PLAN_MAP_address, &q->src, sizeof(q->src));
	if (src && (src->flags & ADDRESS_SELF)) {
		e->rule = RULE_NODE;
		return;
	}
	e->to = to->node;
	e->ingress_set = staged_or(to->value.staged_ingress, to->value.ingress_set, q);
	e->ingress_class = e->ingress_set == SET_NONE ? CLASS_WORLD : class_of(to->node, &q->src);
}

static struct answer judge(const struct ends *e, const struct question *q)
{
	struct answer out = {.verdict = e->without};
	if (!e->from && e->rule == RULE_SELF)
		out.rule_egress = e->rule;
	if (e->from) {
		struct said s = set_says(e->from, e->egress_set, e->egress_class, q->proto, q->port);
		s = by_name(e->from, s, q);
		out.rule_egress = s.rule;
		out.set_egress = e->egress_set;
		if (!s.allow) {
			out.verdict = JUDGED_DENY_EGRESS;
			return out;
		}
	}
	if (!e->to) {
		out.rule_ingress = e->rule;
	} else {
		struct said s = set_says(e->to, e->ingress_set, e->ingress_class, q->proto, q->port);
		out.rule_ingress = s.rule;
		out.set_ingress = e->ingress_set;
		if (!s.allow)
			out.verdict = JUDGED_DENY_INGRESS;
	}
	return out;
}

struct answer verdict_ask(const struct verdict_table *t, const struct question *q)
{
	struct ends e;
	find_ends(t, q, &e);
	return judge(&e, q);
}
