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

struct own {
	VEC(struct route_key) list;
};

static int keep_own(void *ctx, const struct route_key *key, const struct route_value *value)
{
	(void)value;
	return vec_push(&((struct own *)ctx)->list, *key);
}

static bool is_own(const struct own *own, const struct route_key *key)
{
	VEC_EACH (&own->list, k)
		if (!memcmp(k, key, sizeof(*k)))
			return true;
	return false;
}

void routes_apply(struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	struct nl_batch *b = a->batch;
	struct own own = {0};
	int err = 0;

	/* The kernel would replace a route of anybody; ours are known by their protocol number only. */
	if (c->op == CHANGE_SET)
		err = routes_each(a, keep_own, &own);
	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		struct route_key k;

		results[i] = err;
		memcpy(&k, c[i].row.key, sizeof(k));
		if (!err && c[i].op == CHANGE_SET && !is_own(&own, &k))
			results[i] = -ENOENT;
		if (results[i])
			continue;
		if (c[i].op == CHANGE_DEL) {
			route_unset(b, &k.to, &results[i]);
		} else {
			put(a, b, &c[i], &results[i]);
		}
	}
	nl_send(b);
	vec_free(&own.list);
	if (b->first_error)
		log_warn("route: %s %s", strerror(-b->first_error), b->text);
}

void routes_clean(struct applier *a)
{
	struct own all = {0};

	routes_each(a, keep_own, &all);
	nl_batch_init(a->batch, a->route_fd);
	VEC_EACH (&all.list, k)
		route_unset(a->batch, &k->to, NULL);
	nl_send(a->batch);
	vec_free(&all.list);
}
