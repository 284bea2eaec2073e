/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy sets: the policies that select a pod in one direction, shared by pods that have the same; and the
 * matrix of sets and classes, of which only what allows something has a row. Called by compile.c once pods,
 * policies and classes are settled.
 */
#include <stdlib.h>

#include "compile/state.h"
#include "seam/class.h"

/* In the order in which they judge; of equal priority by name (CN06). */
static int part_cmp(const void *x, const void *y)
{
	const struct policy_dir *a = *(const struct policy_dir *const *)x;
	const struct policy_dir *b = *(const struct policy_dir *const *)y;
	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* What the names in ingress rules mean on this pod; equal names once. */
static void resolve(struct compiler *c, struct pset *want, const struct kin *k)
{
	VEC_EACH (&want->parts, it) {
		if (!(*it)->named)
			continue;
		VEC_EACH (&(*it)->rules, r) {
			VEC_EACH (&r->ports, rp) {
				bool have = !rp->name.n;
				VEC_EACH (&want->named, n)
					have |= n->proto == rp->proto && str_eq(n->name, rp->name);
				uint16_t number = have ? 0 : kin_port(k, rp->proto, rp->name);
				if (number)
					PUSH(c, &want->named,
					     (struct rule_port){rp->proto, number, number, rp->name});
			}
		}
	}
}

static void set_key(struct buf *b, const struct pset *want)
{
	buf_addc(b, (char)('0' + want->dir));
	VEC_EACH (&want->parts, p) {
		buf_addz(b, (*p)->name);
		buf_addc(b, '\0');
		buf_add(b, &(*p)->h, sizeof((*p)->h));
	}
	VEC_EACH (&want->named, n) {
		buf_adds(b, n->name);
		buf_addc(b, '\0');
		buf_add(b, &n->proto, sizeof(n->proto));
		buf_add(b, &n->low, sizeof(n->low));
	}
	for (int f = 0; f < 2; f++)
		ports_key(b, &want->self[f]);
}

static void index_set(struct compiler *c, struct pset *s)
{
	VEC_EACH (&s->parts, part) {
		VEC_EACH (&(*part)->rules, r) {
			s->any_peer |= r->any_peer || r->domains.len; /* a name may be of any address */
			VEC_EACH (&r->peers, a)
				PUSH(c, &(*a)->sets, s);
		}
	}
	if (s->any_peer)
		PUSH(c, &c->any_sets, s);
}

/* Takes over what the set is to be. */
static void take_parts(struct compiler *c, struct pset *s, struct pset *want)
{
	VEC_EACH (&want->parts, p)
		(*p)->refs++;
	VEC_EACH (&s->parts, p)
		policy_dir_unref(c, *p);
	vec_free(&s->parts);
	vec_free(&s->named);
	for (int f = 0; f < 2; f++) {
		ports_fini(&s->self[f]);
		s->self[f] = want->self[f];
	}
	memcpy(&s->parts, &want->parts, sizeof(s->parts));
	memcpy(&s->named, &want->named, sizeof(s->named));
	s->dir = want->dir;
	s->open = want->open;
	*want = (struct pset){0};
}

/* Other versions of the same policies: the same content, but their positions are others. */
static bool parts_moved(const struct pset *s, const struct pset *want)
{
	for (size_t i = 0; i < s->parts.len; i++)
		if (s->parts.items[i] != want->parts.items[i])
			return true;
	return false;
}

static struct pset *set_get(struct compiler *c, struct pset *want)
{
	AUTO_BUF key = {0};
	set_key(&key, want);
	struct pset *s = key.failed ? NULL : hash_get(&c->sets, buf_str(&key));
	if (!s) {
		s = key.failed ? NULL : calloc(1, sizeof(*s));
		if (!s || hash_set(&c->sets, buf_str(&key), s, NULL)) {
			free(s);
			c->failed = true;
			return NULL;
		}
		s->key = key_copy(c, buf_str(&key));
		s->id = id_take_as(&c->set_ids, hash_bytes(key.p, key.n, 0), s, SET_OPEN,
				   want->open ? SET_OPEN : 0);
		c->failed |= !s->id;
		s->fresh = true;
		s->born = c->run;
		if (want->open)
			c->open_turned = c->run;
		PUSH(c, &c->fresh_sets, s);
		take_parts(c, s, want);
		index_set(c, s);
	} else if (parts_moved(s, want)) {
		take_parts(c, s, want);
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
	if (!s || --s->refs)
		return;
	if (s->open)
		c->open_turned = c->run;
	if (s->dying)
		return;
	s->dying = true;
	past_set(c, s);
	PUSH(c, &c->dying_sets, s);
}

/* The set of a pod for one direction; NULL: nothing judges. */
static struct pset *wanted(struct compiler *c, const struct cpod *p, int dir, bool staged)
{
	struct pset want = {.dir = dir, .open = true}, *out = NULL;
	bool differs = false;
	VEC_EACH (&p->policies, it) {
		const struct cpolicy *pol = *it;
		if (!pol->dir[dir] || (pol->staged && !staged))
			continue;
		differs |= pol->staged;
		want.open &= pol->dir[dir]->tier != TIER_NETWORK;
		PUSH(c, &want.parts, pol->dir[dir]);
	}
	if (want.parts.len && staged == differs) {
		qsort(want.parts.items, want.parts.len, sizeof(*want.parts.items), part_cmp);
		if (dir == DIR_INGRESS)
			resolve(c, &want, p->kin);
		for (int f = 0; f < 2 && p->self; f++)
			if (p->addr[f].class)
				ports_eval_self(c, &want, p->addr[f].class, &want.self[f]);
		out = set_get(c, &want);
	}
	vec_free(&want.parts);
	vec_free(&want.named);
	ports_fini(&want.self[0]);
	ports_fini(&want.self[1]);
	return out;
}

static bool cluster_judges(const struct cpod *p)
{
	VEC_EACH (&p->policies, it)
		for (int d = 0; d < DIRS; d++)
			if (!(*it)->home && (*it)->dir[d])
				return true;
	return false;
}

static void pod_sets(struct compiler *c, struct cpod *p)
{
	p->self = p->local && cluster_judges(p);
	for (int i = 0; i < STAGES * DIRS; i++) {
		struct pset **at = &p->set[i / DIRS][i % DIRS], *was = *at;
		*at = p->local ? wanted(c, p, i % DIRS, i / DIRS == STAGED) : NULL;
		set_unref(c, was);
	}
}

static struct portset *portset_of(const struct compiler *c, const struct prow *r)
{
	if (!r || !r->want)
		return NULL;
	struct policy_value v;
	memcpy(&v, r->want->bytes, sizeof(v));
	return v.portset > PORTSET_ONE ? id_find(&c->portset_ids, v.portset) : NULL;
}

static void put_cell(struct compiler *c, struct pset *s, uint32_t class, const struct ports *p)
{
	struct policy_key key = {.set = s->id, .class = class};
	struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_policy, &key);
	struct portset *was = portset_of(c, r);
	struct cell cell;
	if (cell_of(c, p, s->open, &cell)) {
		if (cell.portset)
			portset_show(c, cell.portset);
		put_map(c, &s->owner, PLAN_MAP_policy, &key, &cell.v,
			cell.by ? &cell.by->src : &c->settings_src, cell.by ? cell.by->member : NULL);
	}
	if (was)
		portset_unref(c, was);
}

static void cell_put(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	struct ports p;
	(void)ctx;
	if (!k->refs || !s->refs)
		return;
	ports_eval(c, s, k, &p);
	if (!c->failed)
		put_cell(c, s, k->id, &p);
	ports_fini(&p);
}

static void drop_cell(struct compiler *c, struct pset *s, uint32_t class)
{
	struct policy_key key = {.set = s->id, .class = class};
	struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_policy, &key);
	struct portset *ps = portset_of(c, r);
	if (r)
		row_drop(&c->rows, &s->owner, r);
	if (ps)
		portset_unref(c, ps);
}

static void cell_drop(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	(void)ctx;
	drop_cell(c, s, k->id);
}

static void at_class(struct compiler *c, struct pset *s, struct pclass *k, cell_fn *fn, void *ctx)
{
	if (k->seen == c->stamp)
		return;
	k->seen = c->stamp;
	fn(c, s, k, ctx);
}

void each_class(struct compiler *c, struct pset *s, cell_fn *fn, void *ctx)
{
	c->stamp++;
	if (s->any_peer) {
		fn(c, s, c->world, ctx);
		HASH_EACH (&c->classes, it)
			fn(c, s, it->value, ctx);
		return;
	}
	VEC_EACH (&s->parts, part)
		VEC_EACH (&(*part)->rules, r)
			VEC_EACH (&r->peers, a)
				VEC_EACH (&(*a)->classes, k)
					at_class(c, s, *k, fn, ctx);
}

static void at_set(struct compiler *c, struct pset *s, const struct pclass *k, cell_fn *fn, void *ctx)
{
	if (s->seen == c->stamp)
		return;
	s->seen = c->stamp;
	fn(c, s, k, ctx);
}

void each_set(struct compiler *c, const struct pclass *k, cell_fn *fn, void *ctx)
{
	c->stamp++;
	VEC_EACH (&c->any_sets, s)
		at_set(c, *s, k, fn, ctx);
	VEC_EACH (&k->atoms.list, a)
		VEC_EACH (&(*a)->sets, s)
			at_set(c, *s, k, fn, ctx);
}

void sets_settle(struct compiler *c)
{
	VEC_EACH (&c->dirty_pods, p)
		pod_sets(c, *p);
	VEC_EACH (&c->fresh_sets, it) {
		struct pset *s = *it;
		each_class(c, s, cell_put, NULL);
		for (unsigned f = 0; f < 2 && s->refs; f++)
			if (s->self[f].list.len)
				put_cell(c, s, CLASS_SELF + f, &s->self[f]);
	}
	VEC_EACH (&c->fresh_classes, k)
		each_set(c, *k, cell_put, NULL);
	VEC_EACH (&c->dying_sets, it) {
		struct pset *s = *it;
		if (s->refs)
			continue;
		each_class(c, s, cell_drop, NULL);
		drop_cell(c, s, CLASS_SELF);
		drop_cell(c, s, CLASS_SELF6);
	}
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
	ports_fini(&s->self[0]);
	ports_fini(&s->self[1]);
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
