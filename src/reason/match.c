/* SPDX-License-Identifier: Apache-2.0 */
/* Matches the pods of two stores and gives the second's the addresses of the first's, see match.h. Called
 * before the engines are made. */
#include "reason/match.h"

#include <errno.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/own.h"
#include "object/position.h"

struct str pod_workload(const struct store *s, const struct object *pod)
{
	const struct object *o = pod;
	struct str name = pod->meta.name;

	for (int depth = 0; o && depth < 2; depth++) {
		const struct owner_reference *owner = NULL;
		for (size_t i = 0; i < o->meta.owner_references.len; i++)
			if (o->meta.owner_references.items[i].controller.v)
				owner = &o->meta.owner_references.items[i];
		if (!owner)
			break;
		name = owner->name;
		o = str_eqz(owner->kind, "ReplicaSet")
			? store_get(s, KIND_replicaset, pod->meta.ns, owner->name)
			: NULL;
	}
	return name;
}

struct candidate {
	const struct object *o;
	struct str workload;
	bool taken;
};
struct candidates {
	VEC(struct candidate) list;
};

static int by_workload(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	int d = str_cmp(a->o->meta.ns, b->o->meta.ns);

	d = d ? d : str_cmp(a->workload, b->workload);
	return d ? d : str_cmp(a->o->meta.name, b->o->meta.name);
}

static int collect(const struct store *s, struct candidates *out)
{
	struct object_refs pods = {0};
	int r = store_list(s, KIND_pod, STR(""), &pods);

	VEC_EACH (&pods.list, o)
		r = r ? r
		      : vec_push(&out->list, (struct candidate){.o = *o, .workload = pod_workload(s, *o)});
	vec_free(&pods.list);
	if (out->list.len > 1)
		qsort(out->list.items, out->list.len, sizeof(*out->list.items), by_workload);
	return r;
}

static bool same_workload(const struct candidate *a, const struct candidate *b)
{
	return str_eq(a->o->meta.ns, b->o->meta.ns) && str_eq(a->workload, b->workload);
}

/* Pairs of one workload: pods of one name first, then in order. */
static int pair_workload(struct candidate *a, size_t na, struct candidate *b, size_t nb,
			 struct pod_pairs *out)
{
	int r = 0;

	for (size_t i = 0, k = 0; i < na && k < nb && !r;) {
		int d = str_cmp(a[i].o->meta.name, b[k].o->meta.name);
		if (!d) {
			a[i].taken = b[k].taken = true;
			r = vec_push(&out->list, (struct pod_pair){a[i].o, b[k].o});
		}
		i += d <= 0;
		k += d >= 0;
	}
	for (size_t i = 0, k = 0; !r; i++, k++) {
		while (i < na && a[i].taken)
			i++;
		while (k < nb && b[k].taken)
			k++;
		if (i >= na && k >= nb)
			break;
		r = vec_push(&out->list, (struct pod_pair){i < na ? a[i].o : NULL, k < nb ? b[k].o : NULL});
	}
	return r;
}

static size_t run_of(const struct candidates *c, size_t from)
{
	size_t n = 1;

	while (from + n < c->list.len && same_workload(&c->list.items[from], &c->list.items[from + n]))
		n++;
	return n;
}

static int pair_all(struct candidates *a, struct candidates *b, struct pod_pairs *out)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (!r && (i < a->list.len || k < b->list.len)) {
		struct candidate *x = i < a->list.len ? &a->list.items[i] : NULL;
		struct candidate *y = k < b->list.len ? &b->list.items[k] : NULL;
		int d = !x ? 1 : !y ? -1 : str_cmp(x->o->meta.ns, y->o->meta.ns);
		if (!d)
			d = str_cmp(x->workload, y->workload);
		size_t na = d <= 0 ? run_of(a, i) : 0, nb = d >= 0 ? run_of(b, k) : 0;
		r = pair_workload(x, na, y, nb, out);
		i += na;
		k += nb;
	}
	return r;
}

static bool on_host(const struct object *o)
{
	return o->pod->spec && o->pod->spec->host_network.v;
}

/* An address that stood in a file is what the user says, and stays. */
static bool said_by_file(const struct object *o)
{
	struct pos p;

	return o->pod->status && position_get(o, &o->pod->status->pod_ips, &p);
}

static int move_pod(struct object **out, const struct object *o, const struct object *like, bool same_node)
{
	const struct pod_status *from = like->pod->status;
	struct object *copy = NULL;
	int r = object_clone(&copy, o);

	if (r)
		return r;
	struct arena *a = &copy->arena;
	struct pod_ip *ips = arena_array(a, struct pod_ip, from->pod_ips.len + 1);
	for (size_t i = 0; ips && i < from->pod_ips.len; i++)
		ips[i].ip = arena_str(a, from->pod_ips.items[i].ip);
	if (same_node)
		copy->pod->spec->node_name = arena_str(a, like->pod->spec->node_name);
	if (!ips) {
		object_unref(&copy);
		return -ENOMEM;
	}
	copy->pod->status->pod_ips = (struct pod_ip_list){ips, from->pod_ips.len, true};
	copy->pod->status->pod_ip = from->pod_ips.len ? ips[0].ip : (struct str){0};
	*out = copy;
	return 0;
}

/* The pods to put into b, with the addresses that their partners have. */
struct moves {
	VEC(struct object *) list;
	struct hash used; /* address → any, of a, and of b after the moves */
};

static int note_used(struct moves *m, const struct object *o)
{
	const struct pod_status *st = o->pod->status;
	int r = 0;

	for (size_t i = 0; st && !on_host(o) && i < st->pod_ips.len && !r; i++) {
		struct addr a;
		if (!addr_parse(st->pod_ips.items[i].ip, &a))
			r = hash_set(&m->used, (struct str){(const char *)&a, sizeof(a)}, m, NULL);
	}
	return r;
}

static int move_pair(struct moves *m, const struct pod_pair *p, const struct store *b)
{
	struct object *moved = NULL;

	if (!p->a || !p->b || on_host(p->a) || on_host(p->b) || !p->a->pod->status || !p->b->pod->status ||
	    !p->a->pod->spec || !p->b->pod->spec || said_by_file(p->b))
		return 0;
	bool same_node = store_get(b, KIND_node, STR(""), p->a->pod->spec->node_name);
	int r = move_pod(&moved, p->b, p->a, same_node);
	if (!r && vec_push(&m->list, moved)) {
		object_unref(&moved);
		r = -ENOMEM;
	}
	return r;
}

/* The next address that nobody has, upwards from the pod's own. */
static int free_address(struct moves *m, struct arena *arena, struct pod_ip *ip)
{
	struct addr a;
	char text[ADDR_TEXT];

	if (addr_parse(ip->ip, &a))
		return 0;
	while (hash_get(&m->used, (struct str){(const char *)&a, sizeof(a)}))
		addr_add(&a, 1);
	addr_print(&a, text);
	ip->ip = arena_str(arena, str_of(text));
	return ip->ip.p ? hash_set(&m->used, (struct str){(const char *)&a, sizeof(a)}, m, NULL) : -ENOMEM;
}

static int move_aside(struct moves *m, const struct object *o)
{
	struct object *copy = NULL;
	int r = 0;

	if (on_host(o) || !o->pod->status || !o->pod->status->pod_ips.len || said_by_file(o))
		return 0;
	r = object_clone(&copy, o);
	for (size_t i = 0; !r && i < copy->pod->status->pod_ips.len; i++)
		r = free_address(m, &copy->arena, &copy->pod->status->pod_ips.items[i]);
	if (!r) {
		copy->pod->status->pod_ip = copy->pod->status->pod_ips.items[0].ip;
		r = vec_push(&m->list, copy);
	}
	if (r)
		object_unref(&copy);
	return r;
}

static int move_all(const struct pod_pairs *pairs, struct store *b)
{
	struct moves m = {0};
	int r = 0;

	VEC_EACH (&pairs->list, p)
		r = r ? r : p->a ? note_used(&m, p->a) : 0;
	VEC_EACH (&pairs->list, p)
		r = r ? r : move_pair(&m, p, b);
	VEC_EACH (&pairs->list, p)
		r = r ? r : p->a ? 0 : move_aside(&m, p->b);
	VEC_EACH (&m.list, o) {
		if (!r)
			r = store_put(b, TAKE(*o), NULL);
		object_unref(o);
	}
	vec_free(&m.list);
	hash_fini(&m.used);
	return r;
}

static int match(const struct store *a, const struct store *b, struct pod_pairs *out)
{
	struct candidates ca = {0}, cb = {0};
	int r = collect(a, &ca);

	if (!r)
		r = collect(b, &cb);
	if (!r)
		r = pair_all(&ca, &cb, out);
	vec_free(&ca.list);
	vec_free(&cb.list);
	return r;
}

int match_pods(const struct store *a, struct store *b, struct pod_pairs *out)
{
	int r = match(a, b, out);

	if (!r)
		r = move_all(out, b);
	/* Again, as the moved ones are other objects. */
	out->list.len = 0;
	if (!r)
		r = match(a, b, out);
	return r;
}
