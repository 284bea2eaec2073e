/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who answers for an address of a balancer: one node of those that are ready, for externalTrafficPolicy Local
 * of those with an endpoint, chosen by the hash of address and node, so that all nodes agree without asking
 * each other and a node that goes moves its own addresses only. Addresses outside of all AddressPools are
 * somebody else's to announce. Called by service.c and why_service.c.
 */
#include <stdlib.h>

#include "compile/service.h"

static bool read_span(struct str text, struct address_span *out)
{
	struct str last = text, first = str_cut(&last, '-');
	if (last.n)
		return !addr_parse(str_trim(first), &out->first) && !addr_parse(str_trim(last), &out->last);
	struct prefix p;
	if (!addr_parse(text, &out->first)) {
		out->last = out->first;
		return true;
	}
	if (prefix_parse(text, &p))
		return false;
	out->first = out->last = p.addr;
	for (unsigned bit = p.len; bit < 128; bit++)
		out->last.b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	return true;
}

void pools_read(struct compiler *c)
{
	c->pools.len = 0;
	HASH_EACH (&c->told[KIND_addresspool], s) {
		const struct told *t = s->value;
		const struct addresspool_spec *spec = t->o ? t->o->addresspool->spec : NULL;
		for (size_t i = 0; spec && i < spec->addresses.len; i++) {
			struct address_span span;
			if (read_span(spec->addresses.items[i], &span))
				PUSH(c, &c->pools, span);
		}
	}
}

static bool in_pools(const struct compiler *c, const struct addr *a)
{
	VEC_EACH (&c->pools, p)
		if (memcmp(a, &p->first, sizeof(*a)) >= 0 && memcmp(a, &p->last, sizeof(*a)) <= 0)
			return true;
	return false;
}

struct best {
	const struct cnode *node;
	uint64_t rank;
};

static void bid(struct best *b, const struct cnode *n, const struct addr *a)
{
	uint64_t rank = hash_bytes(a, sizeof(*a), hash_bytes(n->name.p, n->name.n, 0));
	if (!b->node || rank < b->rank || (rank == b->rank && str_cmp(n->name, b->node->name) < 0))
		*b = (struct best){n, rank};
}

/* Among the nodes of endpoints of the address's family. */
static void bid_endpoints(const struct compiler *c, const struct cservice *s, const struct addr *a,
			  bool (*usable)(const struct endpoint *e), struct best *out)
{
	VEC_EACH (&s->slices, it) {
		const struct endpointslice *es = (*it)->endpointslice;
		if (!str_eqz(es->address_type, addr_is4(a) ? "IPv4" : "IPv6"))
			continue;
		for (size_t i = 0; i < es->endpoints.len; i++) {
			const struct endpoint *e = &es->endpoints.items[i];
			const struct cnode *n = usable(e) ? hash_get(&c->nodes, e->node_name) : NULL;
			if (n && n->answers)
				bid(out, n, a);
		}
	}
}

const struct cnode *announcer(const struct compiler *c, const struct cservice *s, const struct addr *a)
{
	struct best best = {0};
	if (!in_pools(c, a))
		return NULL;
	if (str_eqz(s->o->service->spec->external_traffic_policy, "Local")) {
		bid_endpoints(c, s, a, endpoint_ready, &best);
		if (!best.node)
			bid_endpoints(c, s, a, endpoint_ending, &best);
	}
	/* When no node is ready, perhaps only the word of it is late: all go on as they did. */
	for (int ready = 1; ready >= 0 && !best.node; ready--) {
		HASH_EACH (&c->nodes, h) {
			const struct cnode *n = h->value;
			if (n->o && (n->answers || (!ready && !n->excluded)))
				bid(&best, n, a);
		}
	}
	return best.node;
}

bool announce_rows(struct compiler *c, struct cservice *s, const struct addr *a)
{
	struct address_key k = {.addr = *a};
	s->balanced = true;
	if (c->self && announcer(c, s, a) == c->self)
		row_put(&c->rows, &s->owner, ROW_ADDRESS, 0, &k, "", &s->src, NULL);
	return in_pools(c, a);
}
