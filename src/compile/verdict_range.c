/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All ports at once: what a set says of a class, and what may pass between two addresses, as ranges. Asks
 * verdict.c once for each stretch of ports in which no row begins or ends. Called by who compares states or
 * proves something of them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"
#include "compile/verdict_table.h"
#include "seam/class.h"

static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

struct cuts { /* ports at which a verdict may change */
	VEC(uint32_t) list;
};

static int cut_cmp(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;
	return (*a > *b) - (*a < *b);
}

static int cut_rows(const struct node_table *n, uint32_t portset, uint8_t proto, struct cuts *cuts)
{
	const struct port_keys *keys =
	    hash_get(&n->port_keys, (struct str){(const char *)&portset, sizeof(portset)});
	int e = 0;
	for (size_t i = 0; keys && i < keys->list.len && !e; i++) {
		const struct port_key *k = &keys->list.items[i];
		uint32_t low = ntohs(k->port);
		if (k->len == PORT_LEN_ANY || k->proto != proto)
			continue;
		e = vec_push(&cuts->list, low);
		e = e ? e : vec_push(&cuts->list, low + (1u << (PORT_LEN_MAX - k->len)));
	}
	return e;
}

/* The bounds of what a set says of a class, for one protocol. */
static int cut_cell(const struct node_table *n, uint32_t set, uint32_t class, uint8_t proto,
		    struct cuts *cuts)
{
	struct policy_key key = {.set = set, .class = class};
	const struct policy_value *v =
	    n && set != SET_NONE ? table_find(n, PLAN_MAP_policy, &key, sizeof(key)) : NULL;
	if (!v || !proto)
		return 0;
	if (v->portset == PORTSET_ONE && v->proto == proto) {
		int e = vec_push(&cuts->list, ntohs(v->port));
		return e ? e : vec_push(&cuts->list, ntohs(v->port) + 1u);
	}
	return v->portset > PORTSET_ONE ? cut_rows(n, v->portset, proto, cuts) : 0;
}

static int cuts_begin(struct cuts *cuts, uint8_t proto)
{
	cuts->list.len = 0;
	int e = vec_push(&cuts->list, 0);
	return e ? e : vec_push(&cuts->list, proto ? 65536 : 1);
}

static void cuts_end(struct cuts *cuts)
{
	qsort(cuts->list.items, cuts->list.len, sizeof(*cuts->list.items), cut_cmp);
}

static bool said_like(const struct said *a, const struct said *b)
{
	return a->allow == b->allow && a->rule == b->rule && a->names == b->names;
}

static int said_add(struct said_ranges *out, const struct said_range *r)
{
	struct said_range *last = out->list.len ? &out->list.items[out->list.len - 1] : NULL;
	if (last && last->proto == r->proto && said_like(&last->said, &r->said)) {
		last->high = r->high;
		return 0;
	}
	return vec_push(&out->list, *r);
}

int verdict_set_ranges(const struct verdict_table *t, size_t node, uint32_t set, uint32_t class,
		       struct said_ranges *out)
{
	struct cuts cuts = {0};
	size_t had = out->list.len;
	int e = 0;
	for (size_t p = 0; p < ARRAY_LEN(protos) && !e; p++) {
		e = cuts_begin(&cuts, protos[p]);
		e = e ? e : cut_cell(t->nodes.items[node], set, class, protos[p], &cuts);
		if (e)
			break;
		cuts_end(&cuts);
		for (size_t i = 0; i + 1 < cuts.list.len && !e; i++) {
			uint32_t low = cuts.list.items[i], end = cuts.list.items[i + 1];
			if (low == end)
				continue;
			struct said_range r = {
			    .proto = protos[p], .low = (uint16_t)low, .high = (uint16_t)(end - 1)};
			r.said = verdict_set_ask(t, node, set, class, protos[p], (uint16_t)low);
			e = said_add(out, &r);
		}
	}
	if (e)
		out->list.len = had;
	vec_free(&cuts.list);
	return e;
}

/* The bounds at both ends. Classes and sets are read as verdict_ask() reads them. */
static int cut_ends(const struct verdict_table *t, const struct question *q, uint8_t proto, struct cuts *cuts)
{
	struct verdict_end from, to;
	bool self = addr_eq(&q->src, &q->dst);
	uint32_t itself = addr_is4(&q->src) ? CLASS_SELF : CLASS_SELF6;
	int e = 0;
	if (verdict_end(t, &q->src, &from)) {
		uint32_t class = self ? itself : verdict_class(t, from.node, &q->dst);
		uint32_t set = q->staged && from.staged_egress ? from.staged_egress : from.egress_set;
		e = cut_cell(t->nodes.items[from.node], set, class, proto, cuts);
	}
	if (!e && verdict_end(t, &q->dst, &to)) {
		uint32_t class = self ? itself : verdict_class(t, to.node, &q->src);
		uint32_t set = q->staged && to.staged_ingress ? to.staged_ingress : to.ingress_set;
		e = cut_cell(t->nodes.items[to.node], set, class, proto, cuts);
	}
	return e;
}

static int range_add(struct verdict_ranges *out, const struct answer *a, uint8_t proto, uint32_t low,
		     uint32_t end)
{
	struct verdict_range *last = out->list.len ? &out->list.items[out->list.len - 1] : NULL;
	if (last && last->proto == proto && last->high + 1u == low && last->rule_egress == a->rule_egress &&
	    last->rule_ingress == a->rule_ingress) {
		last->high = (uint16_t)(end - 1);
		return 0;
	}
	return vec_push(&out->list, (struct verdict_range){.proto = proto,
							   .low = (uint16_t)low,
							   .high = (uint16_t)(end - 1),
							   .rule_egress = a->rule_egress,
							   .rule_ingress = a->rule_ingress});
}

int verdict_ranges(const struct verdict_table *t, const struct question *q, struct verdict_ranges *out)
{
	struct cuts cuts = {0};
	size_t had = out->list.len;
	int e = 0;
	for (size_t p = 0; p < ARRAY_LEN(protos) && !e; p++) {
		e = cuts_begin(&cuts, protos[p]);
		e = e ? e : cut_ends(t, q, protos[p], &cuts);
		if (e)
			break;
		cuts_end(&cuts);
		for (size_t i = 0; i + 1 < cuts.list.len && !e; i++) {
			uint32_t low = cuts.list.items[i], end = cuts.list.items[i + 1];
			struct question at = *q;
			at.proto = protos[p];
			at.port = (uint16_t)low;
			if (low == end)
				continue;
			struct answer a = verdict_ask(t, &at);
			if (a.verdict == JUDGED_ALLOW)
				e = range_add(out, &a, protos[p], low, end);
		}
	}
	if (e)
		out->list.len = had;
	vec_free(&cuts.list);
	return e;
}
