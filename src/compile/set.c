/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy sets: the policies that select a pod in one direction, shared by pods that have the same; and the
 * matrix of sets and classes, of which only what allows something has a row. Called by compile.c once pods,
 * policies and classes are settled.
 */
#include <stdlib.h>

#include "compile/state.h"

static int part_cmp(const void *x, const void *y)
{
	const struct policy_dir *const *a = x, *const *b = y;
	return strcmp((*a)->name, (*b)->name);
}

struct parts {
	VEC(struct policy_dir *) list;
};
struct named {
	VEC(struct rule_port) list;
};

/* What the names in ingress rules mean on this pod; equal names once. */
static void resolve(struct compiler *c, const struct parts *parts, const struct kin *k, struct named *out)
{
	VEC_EACH (&parts->list, it) {
		if (!(*it)->named)
			continue;
		VEC_EACH (&(*it)->rules, r) {
			VEC_EACH (&r->ports, rp) {
				bool have = !rp->name.n;
				VEC_EACH (&out->list, n)
					have |= n->proto == rp->proto && str_eq(n->name, rp->name);
				uint16_t number = have ? 0 : kin_port(k, rp->proto, rp->name);
				if (number)
					PUSH(c, &out->list,
					     (struct rule_port){rp->proto, number, number, rp->name});
			}
		}
	}
}

static void set_key(struct buf *b, int dir, const struct parts *parts, const struct named *named)
{
	buf_addc(b, (char)('0' + dir));
	VEC_EACH (&parts->list, p) {
		buf_addz(b, (*p)->name);
		buf_addc(b, '\0');
		buf_add(b, &(*p)->h, sizeof((*p)->h));
	}
	VEC_EACH (&named->list, n) {
		buf_adds(b, n->name);
		buf_addc(b, '\0');
		buf_add(b, &n->proto, sizeof(n->proto));
		buf_add(b, &n->low, sizeof(n->low));
	}
}

static void index_set(struct compiler *c, struct pset *s)
{
	VEC_EACH (&s->parts, part) {
		VEC_EACH (&(*part)->rules, r) {
			s->any_peer |= r->any_peer;
			VEC_EACH (&r->peers, a)
				PUSH(c, &(*a)->sets, s);
		}
	}
	if (s->any_peer)
		PUSH(c, &c->any_sets, s);
}

static void take_parts(struct compiler *c, struct pset *s, struct parts *parts, struct named *named)
{
	VEC_EACH (&parts->list, p)
		(*p)->refs++;
	VEC_EACH (&s->parts, p)
		policy_dir_unref(c, *p);
	vec_free(&s->parts);
	vec_free(&s->named);
	s->parts.items = parts->list.items;
	s->parts.len = parts->list.len;
	s->parts.cap = parts->list.cap;
	s->named.items = named->list.items;
	s->named.len = named->list.len;
	s->named.cap = named->list.cap;
	*parts = (struct parts){0};
	*named = (struct named){0};
}

/* Other versions of the same policies: the same content, but their positions are others. */
static bool parts_moved(const struct pset *s, const struct parts *parts)
{
	for (size_t i = 0; i < s->parts.len; i++)
		if (s->parts.items[i] != parts->list.items[i])
			return true;
	return false;
}

static struct pset *set_get(struct compiler *c, int dir, struct parts *parts, struct named *named)
{
	AUTO_BUF key = {0};
	set_key(&key, dir, parts, named);
	struct pset *s = key.failed ? NULL : hash_get(&c->sets, buf_str(&key));
	if (!s) {
		s = key.failed ? NULL : calloc(1, sizeof(*s));
		if (!s || hash_set(&c->sets, buf_str(&key), s, NULL)) {
			free(s);
			c->failed = true;
			return NULL;
		}
		s->dir = dir;
		s->key = key_copy(c, buf_str(&key));
		s->id = id_take(&c->set_ids, hash_bytes(key.p, key.n, 0), s);
		c->failed |= !s->id;
		s->fresh = true;
		s->born = c->run;
		PUSH(c, &c->fresh_sets, s);
		take_parts(c, s, parts, named);
		index_set(c, s);
	} else if (parts_moved(s, parts)) {
		take_parts(c, s, parts, named);
		if (!s->fresh) {
			s->fresh = true;
			PUSH(c, &c->fresh_sets, s);
		}
	}
	s->refs++;
	return s;
}

static void set_unref(struct compiler *c, struct pset *s)
{
	if (!s || --s->refs || s->dying)
		return;
	s->dying = true;
	PUSH(c, &c->dying_sets, s);
}

static void pod_sets(struct compiler *c, struct cpod *p)
{
	for (int d = 0; d < DIRS; d++) {
		struct parts parts = {0};
		struct named named = {0};
		struct pset *was = p->set[d];
		p->set[d] = NULL;
		for (size_t i = 0; p->local && i < p->policies.len; i++) {
			if (p->policies.items[i]->dir[d])
				PUSH(c, &parts.list, p->policies.items[i]->dir[d]);
		}
		if (parts.list.len) {
			qsort(parts.list.items, parts.list.len, sizeof(*parts.list.items), part_cmp);
			if (d == DIR_INGRESS)
				resolve(c, &parts, p->kin, &named);
			p->set[d] = set_get(c, d, &parts, &named);
		}
		vec_free(&parts.list);
		vec_free(&named.list);
		set_unref(c, was);
	}
}

static struct portset *portset_of(const struct compiler *c, const struct prow *r)
{
	if (!r || !r->want)
		return NULL;
	struct policy_value v;
	memcpy(&v, r->want->bytes, sizeof(v));
	return v.portset == PORTSET_ALL ? NULL : id_find(&c->portset_ids, v.portset);
}

static void cell_put(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	(void)ctx;
	if (!k->refs || !s->refs)
		return;
	struct ports p;
	ports_eval(c, s, k, &p);
	struct policy_key key = {.set = s->id, .class = k->id};
	struct portset *was = portset_of(c, row_find(&c->rows, ROW_MAP, PLAN_MAP_policy, &key));
	if (p.all) {
		struct policy_value v = {.portset = PORTSET_ALL, .rule = p.all->id};
		put_map(c, &s->owner, PLAN_MAP_policy, &key, &v, &p.all->src, p.all->member);
	} else if (p.list.len) {
		struct portset *ps = portset_get(c, &p);
		if (ps) {
			struct policy_value v = {.portset = ps->id};
			const struct rule *r = p.list.items[0].rule;
			portset_show(c, ps);
			put_map(c, &s->owner, PLAN_MAP_policy, &key, &v, &r->src, r->member);
		}
	}
	if (was)
		portset_unref(c, was);
	ports_fini(&p);
}

static void cell_drop(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	(void)ctx;
	struct policy_key key = {.set = s->id, .class = k->id};
	struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_policy, &key);
	struct portset *ps = portset_of(c, r);
	if (r)
		row_drop(&c->rows, &s->owner, r);
	if (ps)
		portset_unref(c, ps);
}

void each_class(struct compiler *c, struct pset *s, cell_fn *fn, void *ctx)
{
	if (s->any_peer) {
		fn(c, s, c->world, ctx);
		HASH_EACH (&c->classes, it)
			fn(c, s, it->value, ctx);
		return;
	}
	VEC_EACH (&s->parts, part) {
		VEC_EACH (&(*part)->rules, r) {
			VEC_EACH (&r->peers, a) {
				VEC_EACH (&(*a)->classes, k)
					fn(c, s, *k, ctx);
			}
		}
	}
}

void each_set(struct compiler *c, const struct pclass *k, cell_fn *fn, void *ctx)
{
	VEC_EACH (&c->any_sets, s)
		fn(c, *s, k, ctx);
	VEC_EACH (&k->atoms.list, a) {
		VEC_EACH (&(*a)->sets, s)
			fn(c, *s, k, ctx);
	}
}

void sets_settle(struct compiler *c)
{
	VEC_EACH (&c->dirty_pods, p)
		pod_sets(c, *p);
	VEC_EACH (&c->fresh_sets, s)
		each_class(c, *s, cell_put, NULL);
	VEC_EACH (&c->fresh_classes, k)
		each_set(c, *k, cell_put, NULL);
	VEC_EACH (&c->dying_sets, s)
		if (!(*s)->refs)
			each_class(c, *s, cell_drop, NULL);
	VEC_EACH (&c->dying_classes, k)
		if (!(*k)->refs)
			each_set(c, *k, cell_drop, NULL);
	VEC_EACH (&c->fresh_sets, s)
		(*s)->fresh = false;
	VEC_EACH (&c->fresh_classes, k)
		(*k)->fresh = false;
	c->fresh_sets.len = c->fresh_classes.len = 0;
}

static void set_free(struct compiler *c, struct pset *s)
{
	VEC_EACH (&s->parts, p)
		policy_dir_unref(c, *p);
	vec_free(&s->parts);
	vec_free(&s->named);
	owner_fini(&s->owner);
	free((void *)(uintptr_t)s->key.p);
	free(s);
}

void sets_bury(struct compiler *c)
{
	VEC_EACH (&c->dying_sets, it) {
		struct pset *s = *it;
		s->dying = false;
		if (s->refs)
			continue;
		VEC_EACH (&s->parts, part) {
			VEC_EACH (&(*part)->rules, r) {
				VEC_EACH (&r->peers, a)
					CUT(&(*a)->sets, s);
			}
		}
		if (s->any_peer)
			CUT(&c->any_sets, s);
		hash_del(&c->sets, s->key);
		id_drop(&c->set_ids, s->id);
		set_free(c, s);
	}
	c->dying_sets.len = 0;
}

void sets_fini(struct compiler *c)
{
	HASH_EACH (&c->sets, s)
		set_free(c, s->value);
	hash_fini(&c->sets);
	ids_fini(&c->set_ids);
	vec_free(&c->fresh_sets);
	vec_free(&c->dying_sets);
	vec_free(&c->any_sets);
}
