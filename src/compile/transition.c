/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From dirty rows to the steps of a change. Called once a run, when all that is wanted is known and what is
 * in force has not been touched.
 */
#include "compile/transition.h"

#include <errno.h>
#include <stdlib.h>

#include "seam/class.h"
#include "seam/endpoint.h"

/* Tables in the order in which rows are added; they go in the opposite order. */
static unsigned rank(const struct row *r)
{
	static const uint8_t maps[PLAN_MAP_COUNT] = {
	    [PLAN_MAP_name_match] = 1, [PLAN_MAP_name] = 2,	 [PLAN_MAP_port] = 3,
	    [PLAN_MAP_policy] = 4,     [PLAN_MAP_block] = 5,	 [PLAN_MAP_block_trie] = 5,
	    [PLAN_MAP_address] = 6,    [PLAN_MAP_node] = 7,	 [PLAN_MAP_range] = 8,
	    [PLAN_MAP_config] = 9,     [PLAN_MAP_backend] = 10,	 [PLAN_MAP_source_range] = 11,
	    [PLAN_MAP_service] = 12,   [PLAN_MAP_endpoint] = 14, [PLAN_MAP_iface] = 15,
	};
	if (r->type == ROW_MAP)
		return maps[r->table];
	/* Others are told of an address when all behind it is there. */
	return r->type == ROW_LINK ? 13 : r->type == ROW_ADDRESS ? 17 : 16;
}

static int change_cmp(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	unsigned ra = rank(&a->row), rb = rank(&b->row);
	int r = ra != rb ? (ra < rb ? -1 : 1) : row_cmp(&a->row, &b->row);
	return a->op == CHANGE_DEL ? -r : r;
}

void step_sort(struct plan_step *s)
{
	if (s->changes.len)
		qsort(s->changes.items, s->changes.len, sizeof(*s->changes.items), change_cmp);
}

static const uint8_t *keep(struct plan_delta *d, const uint8_t *p, size_t n)
{
	uint8_t *copy = arena_alloc(&d->arena, n);
	if (copy)
		memcpy(copy, p, n);
	return copy;
}

int step_add(struct plan_delta *d, struct plan_step *s, enum change_op op, const struct row *r)
{
	struct change ch = {.op = (uint8_t)op, .row = *r};
	if (r->origin.object)
		ch.row.origin.object = arena_strz(&d->arena, str_of(r->origin.object));
	ch.row.key = keep(d, r->key, r->key_len);
	ch.row.value = keep(d, r->value, r->value_len);
	if (!ch.row.key || !ch.row.value)
		return -ENOMEM;
	return vec_push(&s->changes, ch);
}

int step_push(struct plan_delta *d, struct plan_step *s)
{
	step_sort(s);
	int e = s->changes.len ? vec_push(&d->steps, *s) : 0;
	if (e || !s->changes.len)
		vec_free(&s->changes);
	return e;
}

static int one_step(struct compiler *c, struct plan_delta *out)
{
	struct plan_step s = {0};
	for (size_t i = 0; i < c->rows.dirty.len; i++) {
		const struct prow *r = c->rows.dirty.items[i];
		const struct rowval *was = r->in_force, *now = r->want;
		if (!was == !now && (!was || !memcmp(was->bytes, now->bytes, r->value_len)))
			continue;
		struct row row = row_of(r, now ? now : was);
		enum change_op op = was ? (now ? CHANGE_SET : CHANGE_DEL) : CHANGE_ADD;
		if (step_add(out, &s, op, &row)) {
			vec_free(&s.changes);
			return -ENOMEM;
		}
	}
	return step_push(out, &s);
}

const struct pclass *class_by_id(const struct compiler *c, uint32_t id)
{
	return id == CLASS_WORLD ? c->world : id_find(&c->class_ids, id);
}

const struct pclass *class_of_block(const struct compiler *c, const struct blocks *b, const struct addr *a,
				    unsigned shorter_than)
{
	const struct block *hit = block_of(b, a, shorter_than);
	return hit ? hit->class : c->world;
}

/* Whether b is a but for atoms that no set on the one side of the change asks for: those of a kind that came
 * (went) in this run. */
static bool differs_by_flipped(const struct compiler *c, const struct pclass *a, const struct pclass *b,
			       bool live)
{
	VEC_EACH (&a->atoms.list, x)
		if (!atoms_have(&b->atoms, *x))
			return false;
	VEC_EACH (&b->atoms.list, x) {
		bool flipped = (*x)->kind != ATOM_NAMED && (*x)->flipped == c->run && (*x)->live == live;
		if (!flipped && !atoms_have(&a->atoms, *x))
			return false;
	}
	return true;
}

struct shift *shift_get(struct compiler *c, struct shifts *s, const struct pclass *from,
			const struct pclass *to)
{
	if (from == to)
		return NULL;
	const struct pclass *pair[2] = {from, to};
	struct str key = {(const char *)pair, sizeof(pair)};
	struct shift *m = hash_get(&s->by_pair, key);
	if (m)
		return m;
	m = arena_new(&s->arena, struct shift);
	if (!m || hash_set(&s->by_pair, key, m, NULL) || vec_push(&s->list, m)) {
		c->failed = true;
		return NULL;
	}
	*m = (struct shift){.from = from, .to = to};
	if (differs_by_flipped(c, from, to, true)) {
		m->id = to->id;
	} else if (differs_by_flipped(c, to, from, false)) {
		m->id = from->id;
	} else {
		uint32_t ids[2] = {from->id, to->id};
		m->hard = true;
		m->id = id_take(&c->class_ids, hash_bytes(ids, sizeof(ids), 1), m);
		c->failed |= !m->id;
		s->hard++;
	}
	return m;
}

static void read_address(struct compiler *c, struct shifts *s, const struct prow *r)
{
	struct address_value was = {0}, now = {0};
	struct addr a;
	memcpy(&a, r->key, sizeof(a));
	if (r->in_force)
		memcpy(&was, r->in_force->bytes, sizeof(was));
	if (r->want)
		memcpy(&now, r->want->bytes, sizeof(now));
	if ((!r->in_force || !r->want) && ((was.flags | now.flags) & ADDRESS_POD)) {
		s->pods_come_or_go = true;
		return;
	}
	const struct blocks *before = c->blocks_rebuilt == c->run ? &c->blocks_was : &c->blocks;
	const struct pclass *from =
	    r->in_force ? class_by_id(c, was.class) : class_of_block(c, before, &a, 255);
	const struct pclass *to =
	    r->want ? class_by_id(c, now.class) : class_of_block(c, &c->blocks, &a, 255);
	if (!from || !to) {
		s->unknown = true;
		return;
	}
	const struct shift *m = shift_get(c, s, from, to);
	if (m && m->hard)
		s->hard_rows[addr_is4(&a) ? 0 : 1]++;
}

static void read_iface(struct shifts *s, const struct prow *r)
{
	struct iface_value was, now;
	if (!r->in_force || !r->want) {
		s->pods_come_or_go |= r->in_force || r->want;
		return;
	}
	memcpy(&was, r->in_force->bytes, sizeof(was));
	memcpy(&now, r->want->bytes, sizeof(now));
	s->sets_change |= was.ingress_set != now.ingress_set || was.egress_set != now.egress_set;
}

static void read_blocks(struct compiler *c, struct shifts *s)
{
	if (c->blocks_rebuilt != c->run)
		return;
	const struct blocks *lists[] = {&c->blocks_was, &c->blocks};
	for (int i = 0; i < 2; i++) {
		VEC_EACH (&lists[i]->list, b) {
			unsigned within = b->p.len + 1u;
			const struct shift *m =
			    shift_get(c, s, class_of_block(c, &c->blocks_was, &b->p.addr, within),
				      class_of_block(c, &c->blocks, &b->p.addr, within));
			s->hard_blocks |= m && m->hard;
		}
	}
}

static void read_changes(struct compiler *c, struct shifts *s)
{
	VEC_EACH (&c->rows.dirty, it) {
		const struct prow *r = *it;
		if (r->type == ROW_MAP && r->table == PLAN_MAP_address)
			read_address(c, s, r);
		if (r->type == ROW_MAP && r->table == PLAN_MAP_iface)
			read_iface(s, r);
	}
	read_blocks(c, s);
}

/* One step does where each flow's verdict changes by one row at most: no set of a pod that stays changes, and
 * of the addresses whose class some set can tell there is at most one of each family. A set of pods that come
 * (go) has no elements for classes that go (come): where it allows by default, no class may do so. */
static bool simple(const struct compiler *c, const struct shifts *s)
{
	if (s->unknown)
		return true;
	if (s->list.len && c->open_turned == c->run)
		return false;
	if (s->sets_change || s->hard_blocks)
		return false;
	return !s->hard || (!s->pods_come_or_go && s->hard_rows[0] <= 1 && s->hard_rows[1] <= 1);
}

int transition(struct compiler *c, struct plan_delta *out)
{
	struct shifts s = {0};
	int e = 0;
	if (!c->whole)
		read_changes(c, &s);
	if (c->failed)
		e = -ENOMEM;
	else if (c->whole || simple(c, &s))
		e = one_step(c, out);
	else
		e = bridge(c, &s, out);
	VEC_EACH (&s.list, m)
		if ((*m)->hard)
			id_drop(&c->class_ids, (*m)->id);
	vec_free(&s.list);
	hash_fini(&s.by_pair);
	arena_fini(&s.arena);
	return e;
}
