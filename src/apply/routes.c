/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of the plan in the node's namespace: row → netlink and back. Touches only routes with our protocol
 * number. Called by rows.c and readback.c.
 */
#include <errno.h>

#include "apply/state.h"
#include "base/log.h"

static void put(struct applier *a, struct nl_batch *b, const struct change *c, int *result)
{
	struct route_want w = {.protocol = WEFT_ROUTE_PROTOCOL};
	struct route_value v;
	struct route_key k;

	memcpy(&k, c->row.key, sizeof(k));
	memcpy(&v, c->row.value, sizeof(v));
	w.to = k.to;
	w.mtu = v.mtu;
	switch (v.way) {
	case ROUTE_POD:
		w.index = v.ifindex;
		break;
	case ROUTE_TUNNEL:
		w.index = a->tunnel;
		break;
	case ROUTE_VIA:
		w.index = a->uplink;
		w.via = &v.via;
		break;
	default:
		w.unreachable = true;
		break;
	}
	route_set(b, &w, c->op == CHANGE_SET, result);
}

void routes_apply(struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	struct nl_batch *b = a->batch;

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		struct route_key k;

		results[i] = 0;
		memcpy(&k, c[i].row.key, sizeof(k));
		if (c[i].op == CHANGE_DEL) {
			route_unset(b, &k.to, &results[i]);
		} else {
			put(a, b, &c[i], &results[i]);
		}
	}
	nl_send(b);
	if (b->first_error)
		log_warn("route: %s %s", strerror(-b->first_error), b->text);
}

struct each {
	const struct applier *a;
	int (*fn)(void *ctx, const struct route_key *key, const struct route_value *value);
	void *ctx;
};

static int one(const struct route_info *r, void *ctx)
{
	struct each *e = ctx;
	struct route_key k = {.to = r->to};
	struct route_value v = {.mtu = r->mtu, .via = r->via};

	if (r->unreachable)
		v.way = ROUTE_UNREACHABLE;
	else if (!addr_is_zero(&r->via))
		v.way = ROUTE_VIA;
	else if (e->a->tunnel && r->index == e->a->tunnel)
		v.way = ROUTE_TUNNEL;
	else {
		v.way = ROUTE_POD;
		v.ifindex = r->index;
	}
	return e->fn(e->ctx, &k, &v);
}

int routes_each(const struct applier *a,
		int (*fn)(void *ctx, const struct route_key *key, const struct route_value *value), void *ctx)
{
	struct each e = {a, fn, ctx};

	return route_dump(a->route_fd, one, &e);
}

struct prefixes {
	VEC(struct prefix) list;
};

static int unset_one(void *ctx, const struct route_key *key, const struct route_value *value)
{
	(void)value;
	return vec_push(&((struct prefixes *)ctx)->list, key->to);
}

void routes_clean(struct applier *a)
{
	struct prefixes all = {0};

	routes_each(a, unset_one, &all);
	nl_batch_init(a->batch, a->route_fd);
	VEC_EACH (&all.list, to)
		route_unset(a->batch, to, NULL);
	nl_send(a->batch);
	vec_free(&all.list);
}
