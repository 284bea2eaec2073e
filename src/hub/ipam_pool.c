/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of AddressPools: which are free, and which a Service gets. What is taken follows from the status
 * of Services, as ipam_service_note() hears of it. Writes no object. See ipam.h.
 */
#include <errno.h>

#include "hub/ipam_state.h"
#include "object/addresspool.h"

static struct str addr_key(const struct addr *a)
{
	return (struct str){(const char *)a->b, sizeof(a->b)};
}

static bool pool_has(const struct object *pool, const struct addr *a)
{
	const struct addresspool_spec *spec = pool->addresspool->spec;
	struct address_range r;
	const char *why;
	for (size_t i = 0; spec && i < spec->addresses.len; i++)
		if (!address_range_parse(spec->addresses.items[i], &r, &why) && address_range_has(&r, a))
			return true;
	return false;
}

static bool pool_serves(const struct object *pool, const struct balancer_wish *w)
{
	if (pool->meta.deletion_timestamp.n)
		return false;
	if (w->pool.n)
		return str_eq(pool->meta.name, w->pool);
	return w->asked || !pool->addresspool->spec || !pool->addresspool->spec->auto_assign.set ||
	       pool->addresspool->spec->auto_assign.v;
}

/* A node answers for its own addresses already. */
static bool is_node_addr(const struct store *s, const struct addr *a)
{
	struct object_refs nodes = {0};
	bool is = false;
	if (store_list(s, KIND_node, STR(""), &nodes))
		return false;
	VEC_EACH (&nodes.list, n) {
		const struct node_status *st = (*n)->node->status;
		struct addr other;
		for (size_t i = 0; st && i < st->addresses.len; i++)
			is |= !addr_parse(st->addresses.items[i].address, &other) && addr_eq(&other, a);
	}
	vec_free(&nodes.list);
	return is;
}

static const char *holder_of(const struct ipam *ip, const struct addr *a, struct str key)
{
	const char *holder = hash_get(&ip->balancers, addr_key(a));
	return holder && !str_eqz(key, holder) ? holder : NULL;
}

/* The first free address at or after a place that follows from the Service's name. */
static bool pick_in(const struct ipam *ip, const struct store *s, const struct address_range *r,
		    struct str key, struct addr *out)
{
	uint64_t size = address_range_size(r), at = hash_bytes(key.p, key.n, 0x706f6f6c) % size;
	for (uint64_t n = 0; n < size; n++, at = (at + 1) % size) {
		*out = r->first;
		addr_add(out, at);
		if (!holder_of(ip, out, key) && !is_node_addr(s, out))
			return true;
	}
	return false;
}

static enum balancer_answer pick(const struct ipam *ip, const struct store *s,
				 const struct object_refs *pools, const struct balancer_wish *w, bool v6,
				 struct addr *out)
{
	bool any = false;
	VEC_EACH (&pools->list, p) {
		const struct addresspool_spec *spec = (*p)->addresspool->spec;
		if (!spec || !pool_serves(*p, w))
			continue;
		for (size_t i = 0; i < spec->addresses.len; i++) {
			struct address_range r;
			const char *why;
			if (address_range_parse(spec->addresses.items[i], &r, &why) ||
			    addr_is4(&r.first) == v6)
				continue;
			any = true;
			if (pick_in(ip, s, &r, w->key, out))
				return BALANCER_GIVEN;
		}
	}
	return any ? BALANCER_EXHAUSTED : BALANCER_NO_POOL;
}

enum balancer_answer ipam_balancer_pick(const struct ipam *ip, const struct store *s,
					const struct balancer_wish *w, bool v6, struct addr *out)
{
	struct object_refs pools = {0};
	enum balancer_answer answer = BALANCER_NO_POOL;
	if (store_list(s, KIND_addresspool, STR(""), &pools))
		return BALANCER_NO_POOL;
	const struct addr *fixed = w->asked ? w->asked : w->had;
	bool in = false;
	VEC_EACH (&pools.list, p)
		in |= fixed && addr_is4(fixed) != v6 && pool_serves(*p, w) && pool_has(*p, fixed);
	const char *holder = in ? holder_of(ip, fixed, w->key) : NULL;
	if (in && !holder) {
		*out = *fixed;
		answer = BALANCER_GIVEN;
	} else if (w->asked) {
		*out = *w->asked;
		answer = in ? BALANCER_TAKEN : BALANCER_OUTSIDE;
	} else {
		answer = pick(ip, s, &pools, w, v6, out);
	}
	vec_free(&pools.list);
	return answer;
}

const char *ipam_balancer_holder(const struct ipam *ip, const struct addr *a)
{
	return hash_get(&ip->balancers, addr_key(a));
}

int64_t ipam_pool_used(const struct ipam *ip, const struct object *pool)
{
	int64_t n = 0;
	HASH_EACH (&ip->balancers, slot) {
		struct addr a;
		memcpy(a.b, slot->key.p, sizeof(a.b));
		n += pool_has(pool, &a);
	}
	return n;
}
