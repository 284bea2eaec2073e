/* SPDX-License-Identifier: Apache-2.0 */
/* Finds for each workload the fewest labels that select its pods and no others, see units.h. */
#include "reason/units.h"

#include <errno.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/own.h"
#include "reason/match.h"

/* Labels that controllers make up: they change with each revision or pod. */
static bool made_up(struct str key)
{
	static const char *const keys[] = {"pod-template-hash",
					   "controller-revision-hash",
					   "pod-template-generation",
					   "statefulset.kubernetes.io/pod-name",
					   "apps.kubernetes.io/pod-index",
					   "controller-uid",
					   "batch.kubernetes.io/controller-uid",
					   "batch.kubernetes.io/job-completion-index"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (str_eqz(key, keys[i]))
			return true;
	return false;
}

/* The smaller, the more a person would choose it. */
static int rank(struct str key)
{
	static const char *const keys[] = {"app", "app.kubernetes.io/name", "k8s-app", "name", "component"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (str_eqz(key, keys[i]))
			return (int)i;
	return (int)ARRAY_LEN(keys);
}

static bool counts(const struct object *o)
{
	const struct pod_status *st = o->pod->status;

	return st && st->pod_ips.len && !str_eqz(st->phase, "Succeeded") && !str_eqz(st->phase, "Failed") &&
	       !(o->pod->spec && o->pod->spec->host_network.v);
}

struct pairs {
	VEC(struct strpair) list;
};

static int by_rank(const void *pa, const void *pb)
{
	const struct strpair *a = pa, *b = pb;
	int d = rank(a->key) - rank(b->key);

	return d ? d : str_cmp(a->key, b->key);
}

static bool has(const struct object *pod, const struct strpair *p)
{
	const struct str *v = strmap_get(&pod->meta.labels, p->key);

	return v && str_eq(*v, p->value);
}

static int common_labels(const struct unit *u, struct pairs *out)
{
	const struct strmap *first = &u->pods.items[0]->meta.labels;
	int r = 0;

	for (size_t i = 0; i < first->len && !r; i++) {
		bool all = !made_up(first->items[i].key);
		for (size_t k = 1; k < u->pods.len && all; k++)
			all = has(u->pods.items[k], &first->items[i]);
		if (all)
			r = vec_push(&out->list, first->items[i]);
	}
	if (out->list.len > 1)
		qsort(out->list.items, out->list.len, sizeof(*out->list.items), by_rank);
	return r;
}

/* Pods of the namespace that have all n labels. */
static size_t selected(const struct object_refs *pods, const struct strpair *labels, size_t n)
{
	size_t hits = 0;

	VEC_EACH (&pods->list, o) {
		bool all = counts(*o);
		for (size_t i = 0; i < n && all; i++)
			all = has(*o, &labels[i]);
		hits += all;
	}
	return hits;
}

static int take(struct unit *u, const struct strpair *labels, size_t n)
{
	int r = 0;

	u->labels.len = 0;
	for (size_t i = 0; i < n && !r; i++)
		r = vec_push(&u->labels, labels[i]);
	return r;
}

/* One label, two, all of them; 1 when not even all tell the unit from others. */
static int choose(struct unit *u, const struct object_refs *pods)
{
	struct pairs common = {0};
	int r = common_labels(u, &common);
	const struct strpair *l = common.list.items;
	size_t n = common.list.len, want = u->pods.len;
	bool done = false;

	for (size_t i = 0; i < n && !r && !done; i++) {
		done = selected(pods, &l[i], 1) == want;
		if (done)
			r = take(u, &l[i], 1);
	}
	for (size_t i = 0; i < n && !r && !done; i++)
		for (size_t k = i + 1; k < n && !r && !done; k++) {
			const struct strpair two[] = {l[i], l[k]};
			done = selected(pods, two, 2) == want;
			if (done)
				r = take(u, two, 2);
		}
	if (!r && !done) {
		r = take(u, l, n);
		done = selected(pods, l, n) == want;
	}
	vec_free(&common.list);
	return r ? r : !done;
}

/* Takes in the units whose pods have this one's labels too. */
static int merge(struct units *us, size_t at)
{
	struct unit *u = &us->list.items[at];

	for (size_t i = 0; i < us->list.len; i++) {
		struct unit *o = &us->list.items[i];
		bool hit = false;
		if (i == at || o->dead || !str_eq(o->ns, u->ns))
			continue;
		VEC_EACH (&o->pods, p) {
			bool all = true;
			VEC_EACH (&u->labels, l)
				all &= has(*p, l);
			hit |= all;
		}
		if (!hit)
			continue;
		o->dead = true;
		VEC_EACH (&o->pods, p)
			if (vec_push(&u->pods, *p))
				return -ENOMEM;
	}
	return 0;
}

static int choose_all(struct units *us, const struct store *s)
{
	int r = 0;

	for (size_t i = 0; i < us->list.len && r >= 0; i++) {
		struct unit *u = &us->list.items[i];
		struct object_refs pods = {0};
		if (u->dead)
			continue;
		r = store_list(s, KIND_pod, u->ns, &pods);
		while (!r && (r = choose(u, &pods)) == 1)
			r = merge(us, i); /* and once more, with fewer labels in common */
		vec_free(&pods.list);
	}
	return r < 0 ? r : 0;
}

static int add_pod(struct units *us, const struct store *s, const struct object *o)
{
	struct str name = pod_workload(s, o);

	VEC_EACH (&us->list, u)
		if (str_eq(u->ns, o->meta.ns) && str_eq(u->name, name))
			return vec_push(&u->pods, o);
	struct unit fresh = {.ns = o->meta.ns, .name = name};
	int r = vec_push(&fresh.pods, o);
	if (!r)
		r = vec_push(&us->list, fresh);
	if (r)
		vec_free(&fresh.pods);
	return r;
}

static int by_name(const void *pa, const void *pb)
{
	const struct unit *a = pa, *b = pb;
	int d = str_cmp(a->ns, b->ns);

	return d ? d : str_cmp(a->name, b->name);
}

static int index_pod(struct units *us, const struct object *o, size_t at)
{
	const struct pod_status *st = o->pod->status;
	int r = 0;

	for (size_t i = 0; i < st->pod_ips.len && !r; i++) {
		struct addr a;
		if (!addr_parse(st->pod_ips.items[i].ip, &a))
			r = hash_set(&us->by_address, (struct str){(const char *)&a, sizeof(a)},
				     (void *)(uintptr_t)(at + 1), NULL);
	}
	return r;
}

static int index_nodes(struct units *us, const struct store *s)
{
	struct object_refs nodes = {0};
	int r = store_list(s, KIND_node, STR(""), &nodes);

	VEC_EACH (&nodes.list, o) {
		const struct node_status *st = (*o)->node->status;
		for (size_t i = 0; st && i < st->addresses.len && !r; i++) {
			struct addr a;
			if (!addr_parse(st->addresses.items[i].address, &a))
				r = hash_set(&us->nodes, (struct str){(const char *)&a, sizeof(a)},
					     (void *)(uintptr_t)*o, NULL);
		}
	}
	vec_free(&nodes.list);
	return r;
}

int units_new(struct units *out, const struct store *s)
{
	struct object_refs pods = {0};
	struct units us = {0};
	int r = store_list(s, KIND_pod, STR(""), &pods);

	VEC_EACH (&pods.list, o)
		r = r ? r : counts(*o) ? add_pod(&us, s, *o) : 0;
	vec_free(&pods.list);
	if (us.list.len > 1)
		qsort(us.list.items, us.list.len, sizeof(*us.list.items), by_name);
	r = r ? r : choose_all(&us, s);
	for (size_t i = 0; i < us.list.len && !r; i++)
		for (size_t k = 0; k < us.list.items[i].pods.len && !r && !us.list.items[i].dead; k++)
			r = index_pod(&us, us.list.items[i].pods.items[k], i);
	r = r ? r : index_nodes(&us, s);
	if (r)
		units_fini(&us);
	else
		*out = us;
	return r;
}

void units_fini(struct units *u)
{
	VEC_EACH (&u->list, x) {
		vec_free(&x->pods);
		vec_free(&x->labels);
	}
	vec_free(&u->list);
	hash_fini(&u->by_address);
	hash_fini(&u->nodes);
}

long unit_of(const struct units *u, const struct addr *a)
{
	void *at = hash_get(&u->by_address, (struct str){(const char *)a, sizeof(*a)});

	return (long)(uintptr_t)at - 1;
}
