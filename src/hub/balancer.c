/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of type LoadBalancer get addresses of AddressPools, one of each family that they have, and keep
 * them as long as they may. What they cannot get stands in a condition of their status, and is a remark once.
 * Called by cluster_pass(). See balancer.h.
 */
#include "hub/balancer.h"

#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "object/addresspool.h"

#define ASSIGNED "weft.network/AddressAssigned"

bool balancer_is_ours(const struct object *svc)
{
	const struct service_spec *spec = svc->service->spec;
	return spec && str_eqz(spec->type, "LoadBalancer") && !spec->load_balancer_class.n;
}

struct result {
	const char *reason; /* of the first family that got none; NULL: all have one */
	struct buf text;
};

static void explain(struct result *r, const struct cluster *c, const struct balancer_wish *w, bool v6,
		    enum balancer_answer answer, const struct addr *a)
{
	char text[ADDR_TEXT];
	const char *holder = answer == BALANCER_TAKEN ? ipam_balancer_holder(c->ipam, a) : NULL;
	if (r->reason)
		return;
	addr_print(a, text);
	switch (answer) {
	case BALANCER_GIVEN:
		break;
	case BALANCER_TAKEN:
		r->reason = "AddressTaken";
		buf_printf(&r->text, "loadBalancerIP %s is already that of Service %s", text,
			   holder ? holder : "?");
		break;
	case BALANCER_OUTSIDE:
		r->reason = "AddressOutside";
		buf_printf(&r->text, "loadBalancerIP %s is in no AddressPool%s that this Service may use",
			   text, v6 == addr_is4(a) ? " of its families" : "");
		break;
	case BALANCER_EXHAUSTED:
		r->reason = "PoolExhausted";
		if (w->pool.n)
			buf_printf(&r->text, "AddressPool " STR_FMT " has no free %s address",
				   STR_ARG(w->pool), v6 ? "IPv6" : "IPv4");
		else
			buf_printf(&r->text, "no AddressPool has a free %s address", v6 ? "IPv6" : "IPv4");
		break;
	case BALANCER_NO_POOL:
		r->reason = "NoPool";
		if (w->pool.n)
			buf_printf(&r->text, "there is no AddressPool " STR_FMT " with %s addresses",
				   STR_ARG(w->pool), v6 ? "IPv6" : "IPv4");
		else
			buf_printf(&r->text, "there is no AddressPool with %s addresses",
				   v6 ? "IPv6" : "IPv4");
		break;
	}
}

/* The address of a family that the Service has already. */
static bool had(const struct object *svc, bool v6, struct addr *a)
{
	const struct service_status *st = svc->service->status;
	const struct balancer_status *b = st ? st->load_balancer : NULL;
	for (size_t i = 0; b && i < b->ingress.len; i++)
		if (!addr_parse(b->ingress.items[i].ip, a) && addr_is4(a) != v6)
			return true;
	return false;
}

/* Which addresses it gets now; the families that only would be nice to have may stay without. */
static int assign(struct cluster *c, const struct object *svc, struct object *o, struct balancer_status *to,
		  struct result *why)
{
	const struct service_spec *spec = svc->service->spec;
	const struct str *pool = strmap_get(&svc->meta.annotations, STR("weft.network/address-pool"));
	struct arena *a = &o->arena;
	struct addr asked;
	bool asks = spec->load_balancer_ip.n && !addr_parse(spec->load_balancer_ip, &asked), met = !asks;
	bool nice = !str_eqz(spec->ip_family_policy, "RequireDualStack");
	to->ingress.items = arena_array(a, struct balancer_ingress, spec->ip_families.len);
	if (spec->ip_families.len && !to->ingress.items)
		return -ENOMEM;
	for (size_t i = 0; i < spec->ip_families.len; i++) {
		bool v6 = str_eqz(spec->ip_families.items[i], "IPv6"), of_it = asks && addr_is4(&asked) != v6;
		struct addr old, got = {0};
		struct balancer_wish w = {.key = object_key(svc),
					  .pool = pool ? *pool : (struct str){0},
					  .asked = of_it ? &asked : NULL,
					  .had = had(svc, v6, &old) ? &old : NULL};
		met |= of_it;
		enum balancer_answer answer = ipam_balancer_pick(c->ipam, c->store, &w, v6, &got);
		if (answer != BALANCER_GIVEN) {
			if (answer != BALANCER_NO_POOL || !nice)
				explain(why, c, &w, v6, answer, &got);
			continue;
		}
		char text[ADDR_TEXT];
		addr_print(&got, text);
		struct balancer_ingress *in = &to->ingress.items[to->ingress.len++];
		in->ip = arena_str(a, str_of(text));
		in->ip_mode = arena_str(a, STR("VIP"));
		to->ingress.set = true;
	}
	struct balancer_wish w = {.key = object_key(svc), .pool = pool ? *pool : (struct str){0}};
	bool six = spec->ip_families.len && str_eqz(spec->ip_families.items[0], "IPv6");
	if (!met)
		explain(why, c, &w, addr_is4(&asked), BALANCER_OUTSIDE, &asked);
	else if (!to->ingress.len)
		explain(why, c, &w, six, BALANCER_NO_POOL, &(struct addr){0});
	return 0;
}

static int drop_condition(struct service_status *st)
{
	for (size_t i = 0; i < st->conditions.len; i++)
		if (str_eqz(st->conditions.items[i].type, ASSIGNED)) {
			memmove(&st->conditions.items[i], &st->conditions.items[i + 1],
				(st->conditions.len - i - 1) * sizeof(*st->conditions.items));
			st->conditions.len--;
			return 0;
		}
	return 0;
}

static int fill(struct cluster *c, const struct object *svc, struct object *o, struct result *why)
{
	struct arena *a = &o->arena;
	if (!o->service->status)
		o->service->status = arena_new(a, struct service_status);
	struct service_status *st = o->service->status;
	if (!st)
		return -ENOMEM;
	st->load_balancer = arena_new(a, struct balancer_status);
	if (!st->load_balancer)
		return -ENOMEM;
	if (!balancer_is_ours(svc))
		return drop_condition(st);
	int r = assign(c, svc, o, st->load_balancer, why);
	if (!r)
		r = condition_set(a, &st->conditions, ASSIGNED, !why->reason,
				  why->reason ? why->reason : "Assigned", why->reason ? why->text.p : NULL,
				  c->now);
	return r;
}

int balancer_run(struct cluster *c, const struct object *svc, struct remarks *rs)
{
	const struct service_status *st = svc->service->status;
	const struct service_spec *spec = svc->service->spec;
	struct object *o = NULL;
	struct result why = {0};
	bool foreign = spec && str_eqz(spec->type, "LoadBalancer") && spec->load_balancer_class.n;
	bool has = st && st->load_balancer && st->load_balancer->ingress.len;
	const struct condition *was = st ? condition_find(&st->conditions, ASSIGNED) : NULL;
	/* What somebody else balances is theirs; what never was one has nothing to lose. */
	if ((foreign && !was) || (!balancer_is_ours(svc) && !has && !was))
		return 0;
	int r = object_clone(&o, svc);
	if (!r)
		r = fill(c, svc, o, &why);
	if (!r && why.text.failed)
		r = -ENOMEM;
	if (!r && why.reason && !(was && str_eqz(was->message, why.text.p)))
		remark_add(rs, REMARK_WARNING, svc->pos, "add addresses to an AddressPool: weft get pools",
			   "Service " STR_FMT " gets no address: %s", STR_ARG(object_key(svc)), why.text.p);
	buf_fini(&why.text);
	if (r || object_same(o, svc)) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

static int pool_status(struct cluster *c, const struct object *pool)
{
	struct object *o = NULL;
	int r = object_clone(&o, pool);
	if (r)
		return r;
	if (!o->addresspool->status)
		o->addresspool->status = arena_new(&o->arena, struct addresspool_status);
	struct addresspool_status *st = o->addresspool->status;
	int64_t used = ipam_pool_used(c->ipam, pool), all = 0;
	const struct addresspool_spec *spec = pool->addresspool->spec;
	for (size_t i = 0; spec && i < spec->addresses.len; i++) {
		struct address_range range;
		const char *why;
		if (!address_range_parse(spec->addresses.items[i], &range, &why))
			all += (int64_t)address_range_size(&range);
	}
	if (st)
		st->assigned = int_of(used);
	r = st ? condition_set(&o->arena, &st->conditions, "Exhausted", used >= all,
			       used >= all ? "NoneFree" : "SomeFree", NULL, c->now)
	       : -ENOMEM;
	if (r || object_same(o, pool)) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

int pools_run(struct cluster *c)
{
	struct object_refs pools = {0};
	if (!c->pools)
		return 0;
	c->pools = false;
	int r = store_list(c->store, KIND_addresspool, STR(""), &pools);
	VEC_EACH (&pools.list, p)
		*p = object_ref(*p);
	VEC_EACH (&pools.list, p) {
		struct object *held = (struct object *)(uintptr_t)*p;
		if (!r)
			r = pool_status(c, held);
		object_unref(&held);
	}
	vec_free(&pools.list);
	return r;
}

static bool meets_prefix(const struct address_range *r, const struct prefix *p)
{
	return p->len &&
	       (prefix_has(p, &r->first) || prefix_has(p, &r->last) || address_range_has(r, &p->addr));
}

static int check_cluster(struct cluster *c, const struct object *pool, const struct str *text,
			 const struct address_range *r, struct remarks *rs)
{
	struct object_refs nodes = {0};
	const char *whose = NULL;
	if (meets_prefix(r, &c->cfg.services4) || meets_prefix(r, &c->cfg.services6))
		whose = "the range of clusterIPs";
	int bad = store_list(c->store, KIND_node, STR(""), &nodes);
	VEC_EACH (&nodes.list, n) {
		const struct node_spec *spec = (*n)->node->spec;
		struct prefix p;
		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			if (!prefix_parse(spec->pod_cidrs.items[i], &p) && meets_prefix(r, &p))
				whose = "the pods' range of a node";
	}
	vec_free(&nodes.list);
	if (!whose)
		return bad;
	remark_add(rs, REMARK_ERROR, object_pos(pool, text), "choose addresses that nothing else has",
		   STR_FMT " of AddressPool " STR_FMT " overlaps %s", STR_ARG(*text),
		   STR_ARG(pool->meta.name), whose);
	return -EINVAL;
}

static int check_other(const struct object *pool, const struct str *text, const struct address_range *r,
		       const struct object *other, struct remarks *rs)
{
	const struct addresspool_spec *spec = other->addresspool->spec;
	int bad = 0;
	for (size_t i = 0; spec && i < spec->addresses.len; i++) {
		struct address_range o;
		const char *why;
		if (address_range_parse(spec->addresses.items[i], &o, &why) || !address_range_meets(r, &o))
			continue;
		AUTO_BUF at = {0};
		pos_print(&at, object_pos(other, &spec->addresses.items[i]));
		remark_add(rs, REMARK_ERROR, object_pos(pool, text), "let each address stand in one pool",
			   STR_FMT " of AddressPool " STR_FMT " overlaps " STR_FMT " of AddressPool " STR_FMT
				   "%s%s",
			   STR_ARG(*text), STR_ARG(pool->meta.name), STR_ARG(spec->addresses.items[i]),
			   STR_ARG(other->meta.name), at.n ? ", " : "", at.n ? at.p : "");
		bad = -EINVAL;
	}
	return bad;
}

int pool_admit(struct cluster *c, const struct object *pool, struct remarks *rs)
{
	const struct addresspool_spec *spec = pool->addresspool->spec;
	struct object_refs pools = {0};
	int r = store_list(c->store, KIND_addresspool, STR(""), &pools);
	for (size_t i = 0; spec && i < spec->addresses.len; i++) {
		struct address_range range;
		const char *why;
		const struct str *text = &spec->addresses.items[i];
		if (address_range_parse(*text, &range, &why))
			continue; /* validation says so */
		int one = check_cluster(c, pool, text, &range, rs);
		VEC_EACH (&pools.list, p)
			if (!str_eq((*p)->meta.name, pool->meta.name) &&
			    check_other(pool, text, &range, *p, rs))
				one = -EINVAL;
		if (!r)
			r = one;
	}
	vec_free(&pools.list);
	return r;
}
