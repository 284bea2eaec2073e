/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: verdicts by rows, looked up in the order and in the ways of the kernel programs, for any number
 * of nodes at once. Knows no objects. Called by the command line, by scenes and by tests.
 */
#include "compile/verdict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/own.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/policy.h"

struct node_table {
	struct hash maps[PLAN_MAP_COUNT]; /* key → malloc'd value */
	struct config_value config;
	uint32_t port_count[65]; /* rows of each prefixlen */
	uint32_t trie_count[129], range_count[129];
};
struct local { /* a wired pod */
	struct node_table *node;
	struct endpoint_value value;
};
struct verdict_table {
	struct hash endpoints; /* address → struct local */
	VEC(struct node_table *) nodes;
};

int verdict_table_new(struct verdict_table **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void node_free(struct node_table *n)
{
	for (int m = 0; m < PLAN_MAP_COUNT; m++) {
		HASH_EACH (&n->maps[m], s)
			free(s->value);
		hash_fini(&n->maps[m]);
	}
	free(n);
}

void verdict_table_free(struct verdict_table **tp)
{
	struct verdict_table *t = *tp;
	if (!t)
		return;
	*tp = NULL;
	HASH_EACH (&t->endpoints, s)
		free(s->value);
	hash_fini(&t->endpoints);
	VEC_EACH (&t->nodes, n)
		node_free(*n);
	vec_free(&t->nodes);
	free(t);
}

int verdict_table_node(struct verdict_table *t, size_t *index)
{
	struct node_table *n = calloc(1, sizeof(*n));
	if (!n || vec_push(&t->nodes, n)) {
		free(n);
		return -ENOMEM;
	}
	*index = t->nodes.len - 1;
	return 0;
}

static bool asked(uint16_t map)
{
	return map == PLAN_MAP_address || map == PLAN_MAP_block || map == PLAN_MAP_block_trie ||
	       map == PLAN_MAP_range || map == PLAN_MAP_iface || map == PLAN_MAP_policy ||
	       map == PLAN_MAP_port;
}

static void count_len(struct node_table *n, const struct row *r, bool more)
{
	uint32_t len, *at = NULL;
	memcpy(&len, r->key, sizeof(len));
	if (r->table == PLAN_MAP_port && len <= 64)
		at = &n->port_count[len];
	if (r->table == PLAN_MAP_block_trie && len <= 128)
		at = &n->trie_count[len];
	if (r->table == PLAN_MAP_range && len <= 128)
		at = &n->range_count[len];
	if (at)
		*at += more ? 1 : (uint32_t)-1;
}

static int endpoint_put(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	struct local *l = malloc(sizeof(*l));
	void *old = NULL;
	if (!l || hash_set(&t->endpoints, (struct str){(const char *)r->key, r->key_len}, l, &old)) {
		free(l);
		return -ENOMEM;
	}
	free(old);
	l->node = n;
	memcpy(&l->value, r->value, sizeof(l->value));
	return 0;
}

static int row_in(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	if (r->type != ROW_MAP)
		return 0;
	if (r->table == PLAN_MAP_config)
		memcpy(&n->config, r->value, sizeof(n->config));
	if (r->table == PLAN_MAP_endpoint)
		return endpoint_put(t, n, r);
	if (!asked(r->table))
		return 0;
	void *copy = malloc(r->value_len), *old = NULL;
	if (!copy ||
	    hash_set(&n->maps[r->table], (struct str){(const char *)r->key, r->key_len}, copy, &old)) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, r->value, r->value_len);
	if (!old)
		count_len(n, r, true);
	free(old);
	return 0;
}

static void row_out(struct verdict_table *t, struct node_table *n, const struct row *r)
{
	struct str key = {(const char *)r->key, r->key_len};
	if (r->type != ROW_MAP)
		return;
	if (r->table == PLAN_MAP_endpoint)
		free(hash_del(&t->endpoints, key));
	if (!asked(r->table))
		return;
	void *old = hash_del(&n->maps[r->table], key);
	if (old)
		count_len(n, r, false);
	free(old);
}

int verdict_table_change(struct verdict_table *t, size_t index, const struct change *ch)
{
	struct node_table *n = t->nodes.items[index];
	if (ch->op == CHANGE_DEL) {
		row_out(t, n, &ch->row);
		return 0;
	}
	return row_in(t, n, &ch->row);
}

int verdict_table_add(struct verdict_table *t, const struct plan *p)
{
	size_t index;
	int e = verdict_table_node(t, &index);
	for (size_t i = 0; i < p->rows.len && !e; i++)
		e = row_in(t, t->nodes.items[index], &p->rows.items[i]);
	return e;
}

static const void *find(const struct node_table *n, enum plan_map m, const void *key, size_t len)
{
	return hash_get(&n->maps[m], (struct str){key, len});
}

static const void *find_prefix(const struct node_table *n, enum plan_map m, const struct addr *a,
			       unsigned len)
{
	struct block_key k = {.len = len};
	struct addr masked = *a;
	prefix_mask(&masked, len);
	memcpy(&k.addr, &masked, sizeof(k.addr));
	return find(n, m, &k, sizeof(k));
}

static const void *longest(const struct node_table *n, enum plan_map m, const uint32_t count[129],
			   const struct addr *a)
{
	for (unsigned len = 129; len-- > 0;) {
		const void *v = count[len] ? find_prefix(n, m, a, len) : NULL;
		if (v)
			return v;
	}
	return NULL;
}

static uint32_t class_of(const struct node_table *n, const struct addr *a)
{
	const struct address_value *known = find(n, PLAN_MAP_address, a, sizeof(*a));
	if (known)
		return known->class;
	const struct block_value *b = NULL;
	if (n->config.block_trie) {
		b = longest(n, PLAN_MAP_block_trie, n->trie_count, a);
		return b ? b->class : CLASS_WORLD;
	}
	const uint8_t *lens = addr_is4(a) ? n->config.block_lens4 : n->config.block_lens6;
	for (int i = 0; i < BLOCK_LENS && lens[i] && !b; i++)
		b = find_prefix(n, PLAN_MAP_block, a, lens[i] == 255 ? 0 : lens[i]);
	return b ? b->class : CLASS_WORLD;
}

static bool port_allows(const struct node_table *n, uint32_t portset, const struct question *q,
			uint32_t *rule)
{
	bool ports = q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP || q->proto == IPPROTO_SCTP;
	for (unsigned len = ports ? 64 : 32; len >= 32; len = len == 48 ? 32 : len - 1) {
		if (n->port_count[len]) {
			struct port_key k = {.prefixlen = len, .portset = portset};
			unsigned cut = len > 48 ? 64 - len : 16;
			if (len > 32) {
				k.proto = q->proto;
				k.port = htons((uint16_t)((q->port >> cut) << cut));
			}
			const struct port_value *v = find(n, PLAN_MAP_port, &k, sizeof(k));
			if (v) {
				*rule = v->rule;
				return v->verdict == VERDICT_ALLOW;
			}
		}
		if (len == 32)
			break;
	}
	return false;
}

static bool set_allows(const struct node_table *n, uint32_t set, const struct addr *peer,
		       const struct question *q, uint32_t *rule)
{
	*rule = RULE_NONE;
	if (set == SET_NONE)
		return true;
	struct policy_key k = {.set = set, .class = class_of(n, peer)};
	const struct policy_value *v = find(n, PLAN_MAP_policy, &k, sizeof(k));
	if (!v)
		return false;
	if (v->portset == PORTSET_ALL) {
		*rule = v->rule;
		return true;
	}
	return port_allows(n, v->portset, q, rule);
}

/* Whether nobody can answer at an address that is no wired pod's. */
static bool nobody(const struct node_table *n, const struct addr *a)
{
	const struct address_value *known = find(n, PLAN_MAP_address, a, sizeof(*a));
	if (known)
		return (known->flags & ADDRESS_POD) && !known->node;
	const struct range_value *r = longest(n, PLAN_MAP_range, n->range_count, a);
	return r && r->kind != RANGE_DIRECT;
}

struct answer verdict_ask(const struct verdict_table *t, const struct question *q)
{
	struct answer out = {.verdict = JUDGED_ALLOW};
	const struct local *from =
	    hash_get(&t->endpoints, (struct str){(const char *)&q->src, sizeof(q->src)});
	const struct local *to = hash_get(&t->endpoints, (struct str){(const char *)&q->dst, sizeof(q->dst)});
	if (from && addr_eq(&q->src, &q->dst)) {
		out.rule_egress = out.rule_ingress = RULE_SELF;
		return out;
	}
	if (from) {
		const struct iface_value *own =
		    find(from->node, PLAN_MAP_iface, &from->value.ifindex, sizeof(from->value.ifindex));
		if (!own || !set_allows(from->node, own->egress_set, &q->dst, q, &out.rule_egress)) {
			out.verdict = JUDGED_DENY_EGRESS;
			return out;
		}
	}
	if (!to) {
		const struct node_table *n = from ? from->node : t->nodes.len ? t->nodes.items[0] : NULL;
		if (n && nobody(n, &q->dst))
			out.verdict = JUDGED_NOBODY;
		return out;
	}
	const struct address_value *src = find(to->node, PLAN_MAP_address, &q->src, sizeof(q->src));
	if (src && (src->flags & ADDRESS_SELF)) {
		out.rule_ingress = RULE_NODE;
		return out;
	}
	if (!set_allows(to->node, to->value.ingress_set, &q->src, q, &out.rule_ingress))
		out.verdict = JUDGED_DENY_INGRESS;
	return out;
}

struct cuts { /* ports at which a verdict may change */
	VEC(uint32_t) list;
};

static int cut_cmp(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;
	return (*a > *b) - (*a < *b);
}

/* The bounds of all rows for that protocol, whatever their port set: more cuts than needed do no harm. */
static int port_cuts(const struct node_table *n, uint8_t proto, struct cuts *cuts)
{
	int e = 0;
	HASH_EACH (&n->maps[PLAN_MAP_port], s) {
		struct port_key k;
		memcpy(&k, s->key.p, sizeof(k));
		if (k.prefixlen <= 32 || k.proto != proto)
			continue;
		uint32_t low = ntohs(k.port), size = 1u << (64 - k.prefixlen);
		e = e ? e : vec_push(&cuts->list, low);
		e = e ? e : vec_push(&cuts->list, low + size);
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
	static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct cuts cuts = {0};
	int e = 0;
	for (size_t p = 0; p < ARRAY_LEN(protos) && !e; p++) {
		cuts.list.len = 0;
		e = vec_push(&cuts.list, 0);
		e = e ? e : vec_push(&cuts.list, protos[p] ? 65536 : 1);
		VEC_EACH (&t->nodes, n)
			e = e ? e : port_cuts(*n, protos[p], &cuts);
		if (e)
			break;
		qsort(cuts.list.items, cuts.list.len, sizeof(*cuts.list.items), cut_cmp);
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
	vec_free(&cuts.list);
	return e;
}
