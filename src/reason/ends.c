/* SPDX-License-Identifier: Apache-2.0 */
/* Collects ends and groups them, see ends.h. Judges nothing by itself: the engines do. */
#include "reason/ends.h"

#include <errno.h>
#include <stdlib.h>

#include "seam/policy.h"

/* The first address of each family. */
static void set_address(struct addr out[FAMILIES], bool has[FAMILIES], struct str text)
{
	struct addr a;

	if (addr_parse(text, &a))
		return;
	int f = addr_is4(&a) ? 0 : 1;
	if (has[f])
		return;
	out[f] = a;
	has[f] = true;
}

static void pod_addresses(const struct object *o, struct addr out[FAMILIES], bool has[FAMILIES])
{
	for (size_t i = 0; i < o->pod->status->pod_ips.len; i++)
		set_address(out, has, o->pod->status->pod_ips.items[i].ip);
}

static void node_addresses(const struct object *o, struct addr out[FAMILIES], bool has[FAMILIES])
{
	const struct node_status *st = o->node->status;

	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP"))
			set_address(out, has, st->addresses.items[i].address);
}

/* A family counts that the end has in each store. */
static void addresses(struct ends *e, struct end *end)
{
	for (size_t i = 0; i < e->n_engines; i++) {
		bool has[FAMILIES] = {false, false};
		if (end->kind == END_POD)
			pod_addresses(end->o[i], end->addr[i], has);
		else
			node_addresses(end->o[i], end->addr[i], has);
		for (int f = 0; f < FAMILIES; f++)
			end->has[f] = has[f] && (!i || end->has[f]);
	}
}

static bool pod_counts(const struct object *o)
{
	const struct pod_status *st = o->pod->status;

	return st && st->pod_ips.len && !str_eqz(st->phase, "Succeeded") && !str_eqz(st->phase, "Failed") &&
	       !(o->pod->spec && o->pod->spec->host_network.v);
}

static int add_pod(struct ends *e, const struct object *a, const struct object *b)
{
	const struct object *o = a ? a : b;
	struct end end = {.kind = END_POD, .o = {a, b}};

	if (e->n_engines == 1 && !pod_counts(a))
		return 0;
	if (e->n_engines == 2) {
		bool in_a = a && pod_counts(a), in_b = b && pod_counts(b);
		if (!in_a || !in_b) {
			e->only[0] += in_a;
			e->only[1] += in_b;
			return 0;
		}
	}
	end.ns = o->meta.ns;
	end.name = o->meta.name;
	end.workload = pod_workload(engine_store(e->engines[0]), o);
	end.node = o->pod->spec ? o->pod->spec->node_name : (struct str){0};
	addresses(e, &end);
	return vec_push(&e->list, end);
}

static int add_pods(struct ends *e, const struct pod_pairs *pairs)
{
	struct object_refs pods = {0};
	int r = 0;

	if (pairs) {
		VEC_EACH (&pairs->list, p)
			r = r ? r : add_pod(e, p->a, p->b);
		return r;
	}
	r = store_list(engine_store(e->engines[0]), KIND_pod, STR(""), &pods);
	VEC_EACH (&pods.list, o)
		r = r ? r : add_pod(e, *o, NULL);
	vec_free(&pods.list);
	return r;
}

static int add_nodes(struct ends *e)
{
	struct object_refs nodes = {0};
	int r = store_list(engine_store(e->engines[0]), KIND_node, STR(""), &nodes);

	VEC_EACH (&nodes.list, o) {
		struct end end = {.kind = END_NODE, .o = {*o}, .name = (*o)->meta.name};
		if (e->n_engines == 2)
			end.o[1] = store_get(engine_store(e->engines[1]), KIND_node, STR(""), end.name);
		if (e->n_engines == 1 || end.o[1])
			addresses(e, &end);
		if (!r && (end.has[0] || end.has[1]))
			r = vec_push(&e->list, end);
	}
	vec_free(&nodes.list);
	return r;
}

static int add_regions(struct ends *e)
{
	for (size_t i = 0; i < e->regions.list.len; i++) {
		const struct region *g = &e->regions.list.items[i];
		struct end end = {.kind = END_OUTSIDE, .region = i};
		if (g->kind != REGION_OUTSIDE)
			continue;
		int f = addr_is4(&g->sample) ? 0 : 1;
		end.addr[0][f] = end.addr[1][f] = g->sample;
		end.has[f] = true;
		if (vec_push(&e->list, end))
			return -ENOMEM;
	}
	return 0;
}

struct group_key { /* no padding */
	uint32_t kind, has[FAMILIES];
	struct judged_as by[ENGINES];
};

static struct group_key key_of(const struct ends *e, const struct end *end)
{
	struct group_key k = {.kind = end->kind, .has = {end->has[0], end->has[1]}};

	for (size_t i = 0; i < e->n_engines; i++)
		for (int f = 0; f < FAMILIES; f++) {
			if (!end->has[f])
				continue;
			k.by[i].class[f] = engine_class(e->engines[i], &end->addr[i][f]);
			if (end->kind != END_POD)
				continue;
			struct engine_sets s = engine_sets(e->engines[i], &end->addr[i][f]);
			k.by[i].ingress = s.ingress;
			k.by[i].egress = s.egress;
		}
	return k;
}

static int make_groups(struct ends *e)
{
	struct hash by_key = {0};
	int r = 0;

	for (size_t i = 0; i < e->list.len && !r; i++) {
		struct end *end = &e->list.items[i];
		struct group_key k = key_of(e, end);
		struct str text = {(const char *)&k, sizeof(k)};
		size_t at = (size_t)(uintptr_t)hash_get(&by_key, text);
		if (!at) {
			struct group g = {.kind = end->kind, .has = {end->has[0], end->has[1]}};
			memcpy(g.by, k.by, sizeof(g.by));
			r = vec_push(&e->groups, g);
			at = e->groups.len;
			r = r ? r : hash_set(&by_key, text, (void *)(uintptr_t)at, NULL);
		}
		if (r)
			break;
		end->group = at - 1;
		r = vec_push(&e->groups.items[at - 1].ends, (uint32_t)i);
	}
	hash_fini(&by_key);
	return r;
}

static int by_workload(const void *pa, const void *pb)
{
	const struct end *a = pa, *b = pb;
	int d = str_cmp(a->ns, b->ns);

	d = d ? d : str_cmp(a->workload, b->workload);
	return d ? d : str_cmp(a->name, b->name);
}

int ends_new(struct ends *out, struct engine *const *engines, size_t n, struct port_fns *fns,
	     const struct pod_pairs *pairs, const struct regions *extra)
{
	struct ends e = {.n_engines = n, .fns = fns};
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		e.engines[i] = engines[i];
		r = regions_add_store(&e.regions, engine_store(engines[i]));
	}
	for (size_t i = 0; extra && i < extra->list.len && !r; i++)
		r = regions_add(&e.regions, &extra->list.items[i].prefix, extra->list.items[i].kind);
	if (!r)
		r = regions_settle(&e.regions);
	if (!r)
		r = add_pods(&e, pairs);
	if (e.list.len > 1)
		qsort(e.list.items, e.list.len, sizeof(*e.list.items), by_workload);
	if (!r)
		r = add_nodes(&e);
	if (!r)
		r = add_regions(&e);
	if (!r)
		r = make_groups(&e);
	if (r)
		ends_fini(&e);
	else
		*out = e;
	return r;
}

void ends_fini(struct ends *e)
{
	VEC_EACH (&e->groups, g)
		vec_free(&g->ends);
	vec_free(&e->groups);
	vec_free(&e->list);
	regions_fini(&e->regions);
}

uint64_t groups_pairs(const struct ends *e, const struct group *src, const struct group *dst)
{
	uint64_t n = (uint64_t)src->ends.len * dst->ends.len;

	if (src->kind != END_POD && dst->kind != END_POD)
		return 0;
	if (src->kind == END_POD)
		return src == dst ? n - src->ends.len : n;
	if (src->kind == END_OUTSIDE)
		return n;
	VEC_EACH (&src->ends, i)
		VEC_EACH (&dst->ends, k)
			n -= !ends_judged(&e->list.items[*i], &e->list.items[*k]);
	return n;
}

int groups_fns(const struct ends *e, size_t i, const struct group *src, const struct group *dst, int family,
	       uint32_t *egress, uint32_t *ingress)
{
	int r = engine_fn(e->engines[i], src->by[i].egress, dst->by[i].class[family], egress);

	if (!r && dst->kind != END_OUTSIDE) /* names are never learned for addresses of the cluster */
		r = port_fn_unnamed(e->fns, *egress, egress);
	return r ? r : engine_fn(e->engines[i], dst->by[i].ingress, src->by[i].class[family], ingress);
}
