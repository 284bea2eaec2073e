/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of Services at the uplink: row → netlink and back. The stack then answers ARP and NDP for them;
 * their packets are the programs' matter. Touches only addresses with our protocol number. Called by rows.c,
 * readback.c and applier.c.
 */
#include <errno.h>

#include "apply/state.h"
#include "base/log.h"

struct own {
	const struct applier *a;
	VEC(struct addr) list; /* at the uplink */
};

static int keep_own(uint32_t index, const struct addr *addr, void *ctx)
{
	struct own *o = ctx;

	return index == o->a->uplink ? vec_push(&o->list, *addr) : 0;
}

static bool has(const struct own *o, const struct addr *addr)
{
	VEC_EACH (&o->list, one)
		if (addr_eq(one, addr))
			return true;
	return false;
}

void addresses_apply(struct applier *a, const struct change *c, size_t n, int32_t *results)
{
	struct nl_batch *b = a->batch;
	struct own own = {.a = a};
	int err = addr_dump(a->route_fd, keep_own, &own);

	nl_batch_init(b, a->route_fd);
	for (size_t i = 0; i < n; i++) {
		struct address_key k;

		results[i] = err;
		memcpy(&k, c[i].row.key, sizeof(k));
		if (err || has(&own, &k.addr) == (c[i].op != CHANGE_DEL))
			continue; /* as asked already */
		if (c[i].op == CHANGE_DEL)
			addr_unset(b, a->uplink, &k.addr, &results[i]);
		else
			addr_offer(b, a->uplink, &k.addr, &results[i]);
	}
	nl_send(b);
	if (b->first_error)
		log_warn("address of a Service: %s %s", strerror(-b->first_error), b->text);
	for (size_t i = 0; i < n; i++) {
		struct address_key k;

		memcpy(&k, c[i].row.key, sizeof(k));
		if (c[i].op == CHANGE_DEL)
			announce_stop(a, &k.addr);
		else if (!results[i])
			announce(a, &k.addr);
	}
	vec_free(&own.list);
}

int addresses_each(const struct applier *a, int (*fn)(void *ctx, const struct address_key *key), void *ctx)
{
	struct own own = {.a = a};
	int err = a->uplink ? addr_dump(a->route_fd, keep_own, &own) : 0;

	VEC_EACH (&own.list, addr) {
		struct address_key k = {.addr = *addr};

		if (!err)
			err = fn(ctx, &k);
	}
	vec_free(&own.list);
	return err;
}

struct removal {
	struct applier *a;
	VEC(struct addr) list;
	VEC(uint32_t) index;
	bool all; /* those at the uplink too */
};

static int note_removal(uint32_t index, const struct addr *addr, void *ctx)
{
	struct removal *r = ctx;
	int err = 0;

	if (!r->all && index == r->a->uplink)
		return 0;
	err = vec_push(&r->list, *addr);
	return err ? err : vec_push(&r->index, index);
}

static int remove_own(struct applier *a, bool all)
{
	struct removal r = {.a = a, .all = all};
	int err = addr_dump(a->route_fd, note_removal, &r);

	nl_batch_init(a->batch, a->route_fd);
	for (size_t i = 0; !err && i < r.list.len; i++)
		addr_unset(a->batch, r.index.items[i], &r.list.items[i], NULL);
	nl_send(a->batch);
	vec_free(&r.list);
	vec_free(&r.index);
	return err;
}

int addresses_adopt(struct applier *a)
{
	return remove_own(a, false);
}

void addresses_clean(struct applier *a)
{
	remove_own(a, true);
}
