/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge: a change that cannot be made by one row a flow, in five steps. It writes the states between the
 * old plan and the new one, row by row, and the steps are the differences of neighbouring states:
 *
 *   1  refine   addresses whose class changes get a class in between, which old policy sets judge as the old
 * class; pods that go are gone 2  narrow   pods whose policy set changes get a set in between, which allows
 * what old and new set both allow 3  rewrite  no pod has a set now for which the classes in between mean
 * something else before and after: they get their new meaning 4  widen    pods get their new sets 5  coarsen
 * addresses get their new classes, pods that come are there, what nobody uses any more goes
 *
 * Steps 1, 3 and 5 change no verdict; 2 only denies, 4 only allows. So a flow allowed before and after is
 * allowed throughout, and one that is denied at either end before, and at either end after, is denied
 * throughout.
 */
#include <errno.h>
#include <stdlib.h>

#include "compile/transition.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/name.h"

enum { OLD, REFINED, NARROW, REWRITTEN, WIDE, NEW, STATES };

struct over { /* a row in all states; NULL: absent */
	struct row row;
	const uint8_t *v[STATES];
};

struct pair {			      /* a policy set in between */
	const struct pset *from, *to; /* NULL: nothing judges */
	uint32_t id;		      /* open where both are */
};

struct bridge {
	struct compiler *c;
	struct shifts *s;
	struct hash overs; /* type, table, key → struct over */
	VEC(struct over *) list;
	VEC(struct pair *) pairs;
	VEC(struct portset *) portsets; /* held until the steps are written */
};

static void fail(struct bridge *b)
{
	b->c->failed = true;
}

static const uint8_t *keep(struct bridge *b, const void *p, size_t n)
{
	uint8_t *copy = arena_alloc(&b->s->arena, n);
	if (copy)
		memcpy(copy, p, n);
	else
		fail(b);
	return copy;
}

/* The row in all states; at first it stays as it was until the last. */
static struct over *over_get(struct bridge *b, uint8_t type, uint16_t table, const void *key)
{
	uint8_t name[3 + sizeof(struct name_key)] = {type, (uint8_t)table, (uint8_t)(table >> 8)};
	uint16_t kn, vn;
	if (row_sizes(type, table, &kn, &vn) || 3u + kn > sizeof(name)) {
		fail(b);
		return NULL;
	}
	memcpy(name + 3, key, kn);
	struct str k = {(const char *)name, 3u + kn};
	struct over *o = hash_get(&b->overs, k);
	if (o)
		return o;
	o = arena_new(&b->s->arena, struct over);
	if (!o || hash_set(&b->overs, k, o, NULL) || vec_push(&b->list, o)) {
		fail(b);
		return NULL;
	}
	o->row = (struct row){.type = type, .table = table, .key_len = kn, .value_len = vn};
	const struct prow *r = row_find(&b->c->rows, type, table, key);
	if (r && (r->want || r->in_force))
		o->row = row_of(r, r->want ? r->want : r->in_force);
	else
		o->row.key = keep(b, key, kn);
	for (int s = OLD; s < NEW; s++)
		o->v[s] = r && r->in_force ? r->in_force->bytes : NULL;
	o->v[NEW] = r && r->want ? r->want->bytes : NULL;
	return o;
}

static void between(struct over *o, const uint8_t *v)
{
	for (int s = REFINED; s <= WIDE; s++)
		o->v[s] = v;
}

static const uint8_t *with_class(struct bridge *b, const uint8_t *value, uint32_t class)
{
	struct address_value v;
	memcpy(&v, value, sizeof(v));
	v.class = class;
	return keep(b, &v, sizeof(v));
}

static void over_address(struct bridge *b, struct over *o)
{
	struct compiler *c = b->c;
	struct address_value was = {0}, now = {0};
	struct addr a;
	memcpy(&a, o->row.key, sizeof(a));
	if (o->v[OLD])
		memcpy(&was, o->v[OLD], sizeof(was));
	if (o->v[NEW])
		memcpy(&now, o->v[NEW], sizeof(now));
	if ((!o->v[OLD] || !o->v[NEW]) && ((was.flags | now.flags) & ADDRESS_POD)) {
		between(o, NULL);
		return;
	}
	const struct blocks *before = c->blocks_rebuilt == c->run ? &c->blocks_was : &c->blocks;
	const struct pclass *from =
	    o->v[OLD] ? class_by_id(c, was.class) : class_of_block(c, before, &a, 255);
	const struct pclass *to =
	    o->v[NEW] ? class_by_id(c, now.class) : class_of_block(c, &c->blocks, &a, 255);
	const struct shift *m = shift_get(c, b->s, from, to);
	between(o, with_class(b, o->v[NEW] ? o->v[NEW] : o->v[OLD], m ? m->id : to->id));
}

/* What every dirty row is in between, apart from policy sets and blocks. */
static void over_row(struct bridge *b, const struct prow *r)
{
	struct over *o = over_get(b, r->type, r->table, r->key);
	if (!o)
		return;
	const uint8_t *either = o->v[NEW] ? o->v[NEW] : o->v[OLD];
	if (r->type != ROW_MAP) {
		between(o, o->v[NEW]);
		return;
	}
	switch ((enum plan_map)r->table) {
	case PLAN_MAP_policy:
	case PLAN_MAP_port:
	case PLAN_MAP_name:
	case PLAN_MAP_name_match:
	case PLAN_MAP_range:
		between(o, either);
		break;
	case PLAN_MAP_address:
		over_address(b, o);
		break;
	case PLAN_MAP_endpoint:
	case PLAN_MAP_iface:
		between(o, NULL); /* pods that stay: over_pod() */
		break;
	case PLAN_MAP_block:
	case PLAN_MAP_block_trie: /* what over_blocks() does not need is out of use from NARROW to WIDE */
		between(o, o->v[NEW]);
		o->v[REFINED] = o->v[OLD];
		break;
	default:
		between(o, o->v[NEW]);
		break;
	}
}

static struct origin origin_of(const struct rule *r)
{
	struct origin out = {.object = r->src.text};
	if (r->src.o)
		out.pos = object_pos(r->src.o, r->member);
	return out;
}

static void set_origin(struct over *o, const struct rule *rule)
{
	if (!o->row.origin.object && rule)
		o->row.origin = origin_of(rule);
}

static void port_row(void *ctx, const struct port_key *k, const struct port_value *v, const struct rule *rule)
{
	struct bridge *b = ctx;
	struct over *o = over_get(b, ROW_MAP, PLAN_MAP_port, k);
	if (!o)
		return;
	set_origin(o, rule);
	between(o, keep(b, v, sizeof(*v)));
}

/* The value of a cell of the matrix, NULL where the default of the set says the same. */
static const uint8_t *cell_value(struct bridge *b, const struct ports *p, bool open, const struct rule **rule)
{
	struct cell cell;
	if (!cell_of(b->c, p, open, &cell))
		return NULL;
	*rule = cell.by;
	if (cell.portset) {
		if (vec_push(&b->portsets, cell.portset)) {
			portset_unref(b->c, cell.portset);
			fail(b);
			return NULL;
		}
		portset_rows(cell.portset, port_row, b);
	}
	return keep(b, &cell.v, sizeof(cell.v));
}

static void cell(struct bridge *b, uint32_t set, uint32_t class, const struct ports *until,
		 const struct ports *from)
{
	struct policy_key k = {.set = set, .class = class};
	const struct rule *rule = NULL;
	bool open = set & SET_OPEN;
	const uint8_t *one = cell_value(b, until, open, &rule);
	const uint8_t *two = from == until ? one : cell_value(b, from, open, &rule);
	struct over *o = NULL;
	if (one || two || row_find(&b->c->rows, ROW_MAP, PLAN_MAP_policy, &k))
		o = over_get(b, ROW_MAP, PLAN_MAP_policy, &k);
	if (!o)
		return;
	set_origin(o, rule);
	o->v[REFINED] = o->v[NARROW] = one;
	o->v[REWRITTEN] = o->v[WIDE] = two;
}

static bool is_old(const struct bridge *b, const struct pset *s)
{
	return s->born != b->c->run;
}

struct shift_cell {
	struct bridge *b;
	const struct shift *m;
};

/* A real set on a class in between: as before until pods have left it, then as after. */
static void shift_cell(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	struct shift_cell *sc = ctx;
	bool old = is_old(sc->b, s), new = s->refs > 0;
	struct ports was = {0}, now = {0};
	(void)k;
	if (old)
		ports_eval(c, s, sc->m->from, &was);
	if (new)
		ports_eval(c, s, sc->m->to, &now);
	cell(sc->b, s->id, sc->m->id, old ? &was : &now, new ? &now : &was);
	ports_fini(&was);
	ports_fini(&now);
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
	if (a->list.len != b->list.len)
		return false;
	for (size_t i = 0; i < a->list.len; i++) {
		const struct piece *x = &a->list.items[i], *y = &b->list.items[i];
		if (x->proto != y->proto || x->low != y->low || x->high != y->high || x->allow != y->allow ||
		    x->names != y->names)
			return false;
	}
	return true;
}

/* Whether a set that pods keep judges some shifted address otherwise afterwards. */
static bool affected(struct bridge *b, const struct pset *s)
{
	bool differ = false;
	for (size_t i = 0; i < b->s->list.len && !differ; i++) {
		const struct shift *m = b->s->list.items[i];
		struct ports was, now;
		if (!m->hard)
			continue;
		ports_eval(b->c, s, m->from, &was);
		ports_eval(b->c, s, m->to, &now);
		differ = !same_ports(&was, &now);
		ports_fini(&was);
		ports_fini(&now);
	}
	return differ;
}

/* What one end of a pair says; who is not judged may do everything. */
static void side_ports(struct bridge *b, const struct pset *s, const struct pclass *k, struct ports *out)
{
	if (s)
		ports_eval(b->c, s, k, out);
	else
		ports_all(b->c, out);
}

/* What both ends allow; takes over was and now. */
static void pair_put(struct bridge *b, const struct pair *p, struct ports *was, struct ports *now,
		     uint32_t class)
{
	struct ports ports;
	ports_and(b->c, was, now, &ports);
	if (!b->c->failed)
		cell(b, p->id, class, &ports, &ports);
	ports_fini(was);
	ports_fini(now);
	ports_fini(&ports);
}

static void pair_cell_at(struct bridge *b, const struct pair *p, const struct pclass *from,
			 const struct pclass *to, uint32_t class)
{
	struct ports was, now;
	side_ports(b, p->from, from, &was);
	side_ports(b, p->to, to, &now);
	pair_put(b, p, &was, &now, class);
}

/* A pod that reaches itself, over IPv4 (family 0) or IPv6: has an element only where both ends have. */
static void pair_self(struct bridge *b, const struct pair *p, unsigned family)
{
	const struct pset *ends[] = {p->from, p->to};
	struct ports ports[2];
	for (int i = 0; i < 2; i++)
		if (ends[i] && !ends[i]->self[family].list.len)
			return;
	for (int i = 0; i < 2; i++) {
		if (ends[i])
			ports_copy(b->c, &ends[i]->self[family], &ports[i]);
		else
			ports_all(b->c, &ports[i]);
	}
	pair_put(b, p, &ports[0], &ports[1], CLASS_SELF + family);
}

static void pair_cell(struct compiler *c, struct pset *s, const struct pclass *k, void *ctx)
{
	struct shift_cell *sc = ctx; /* m is the pair here */
	(void)c;
	(void)s;
	pair_cell_at(sc->b, (const void *)sc->m, k, k, k->id);
}

static void pair_cells(struct bridge *b, const struct pair *p)
{
	struct shift_cell sc = {b, (const void *)p};
	const struct pset *ends[] = {p->from, p->to};
	for (int i = 0; i < 2; i++)
		if (ends[i])
			each_class(b->c, (struct pset *)(uintptr_t)ends[i], pair_cell, &sc);
	VEC_EACH (&b->s->list, m)
		pair_cell_at(b, p, (*m)->from, (*m)->to, (*m)->id);
	pair_self(b, p, 0);
	pair_self(b, p, 1);
}

/* The id of the set between two sets; one of them where it does as well. */
static uint32_t pair_id(struct bridge *b, uint32_t from, uint32_t to)
{
	if (from == to && (from == SET_NONE || !b->s->hard))
		return from;
	if (!b->s->hard && (from == SET_NONE || to == SET_NONE))
		return from == SET_NONE ? to : from;
	const struct pset *f = id_find(&b->c->set_ids, from), *t = id_find(&b->c->set_ids, to);
	VEC_EACH (&b->pairs, p)
		if ((*p)->from == f && (*p)->to == t)
			return (*p)->id;
	if (from == to && !affected(b, f))
		return from;
	bool open = (from == SET_NONE || from & SET_OPEN) && (to == SET_NONE || to & SET_OPEN);
	struct pair *p = arena_new(&b->s->arena, struct pair);
	uint32_t ids[2] = {from, to};
	if (!p || vec_push(&b->pairs, p)) {
		fail(b);
		return to;
	}
	*p = (struct pair){.from = f,
			   .to = t,
			   .id = id_take_as(&b->c->set_ids, hash_bytes(ids, sizeof(ids), 1), p, SET_OPEN,
					    open ? SET_OPEN : 0)};
	if (!p->id)
		fail(b);
	return p->id;
}

/* Both sets of a pod must know CLASS_SELF where the flag says so. */
static uint32_t flags_with(uint32_t flags, uint32_t self)
{
	return (flags & ~ENDPOINT_SELF) | (self & ENDPOINT_SELF);
}

static void over_iface(struct bridge *b, uint32_t ifindex)
{
	struct over *o = over_get(b, ROW_MAP, PLAN_MAP_iface, &ifindex);
	struct iface_value was, now;
	if (!o || !o->v[OLD] || !o->v[NEW])
		return;
	memcpy(&was, o->v[OLD], sizeof(was));
	memcpy(&now, o->v[NEW], sizeof(now));
	struct iface_value v = now;
	v.ingress_set = was.ingress_set;
	v.egress_set = was.egress_set;
	v.staged_ingress = was.staged_ingress;
	v.staged_egress = was.staged_egress;
	v.flags = flags_with(now.flags, was.flags);
	o->v[REFINED] = keep(b, &v, sizeof(v));
	v.ingress_set = pair_id(b, was.ingress_set, now.ingress_set);
	v.egress_set = pair_id(b, was.egress_set, now.egress_set);
	v.flags = flags_with(now.flags, was.flags & now.flags);
	o->v[NARROW] = o->v[REWRITTEN] = keep(b, &v, sizeof(v));
	o->v[WIDE] = o->v[NEW];
}

static void over_endpoint(struct bridge *b, const struct addr *a)
{
	struct over *o = over_get(b, ROW_MAP, PLAN_MAP_endpoint, a);
	struct endpoint_value was, now;
	if (!o || !o->v[OLD] || !o->v[NEW])
		return;
	memcpy(&was, o->v[OLD], sizeof(was));
	memcpy(&now, o->v[NEW], sizeof(now));
	struct endpoint_value v = now;
	v.ingress_set = was.ingress_set;
	v.egress_set = was.egress_set;
	v.staged_ingress = was.staged_ingress;
	v.staged_egress = was.staged_egress;
	v.flags = flags_with(now.flags, was.flags);
	o->v[REFINED] = keep(b, &v, sizeof(v));
	v.ingress_set = pair_id(b, was.ingress_set, now.ingress_set);
	v.egress_set = pair_id(b, was.egress_set, now.egress_set);
	v.flags = flags_with(now.flags, was.flags & now.flags);
	o->v[NARROW] = o->v[REWRITTEN] = keep(b, &v, sizeof(v));
	o->v[WIDE] = o->v[NEW];
}

static void over_pods(struct bridge *b)
{
	HASH_EACH (&b->c->homes, s) {
		struct home *h = s->value;
		VEC_EACH (&h->locals, it) {
			const struct cpod *p = *it;
			over_iface(b, p->ifindex);
			for (int f = 0; f < 2; f++)
				if (!addr_is_zero(&p->addr[f].a))
					over_endpoint(b, &p->addr[f].a);
		}
	}
}

/* All prefixes of before and after, longest first; the lists are sorted so. */
static void union_blocks(struct bridge *b, struct blocks *out)
{
	const struct blocks *x = &b->c->blocks_was, *y = &b->c->blocks;
	size_t i = 0, j = 0;
	while (i < x->list.len || j < y->list.len) {
		const struct block *p = i < x->list.len ? &x->list.items[i] : NULL;
		const struct block *q = j < y->list.len ? &y->list.items[j] : NULL;
		int r = !p ? 1 : !q ? -1 : block_order(p, q);
		struct block at = r <= 0 ? *p : *q;
		i += r <= 0;
		j += r >= 0;
		if (vec_push(&out->list, at))
			fail(b);
	}
}

static void over_block(struct bridge *b, enum plan_map table, const struct block *at)
{
	struct compiler *c = b->c;
	unsigned within = at->p.len + 1u;
	const struct pclass *from = class_of_block(c, &c->blocks_was, &at->p.addr, within);
	const struct pclass *to = class_of_block(c, &c->blocks, &at->p.addr, within);
	const struct shift *m = shift_get(c, b->s, from, to);
	struct block_key k = {.len = at->p.len};
	memcpy(&k.addr, &at->p.addr, sizeof(k.addr));
	struct block_value v = {.class = m ? m->id : to->id};
	struct over *o = over_get(b, ROW_MAP, (uint16_t)table, &k);
	if (!o)
		return;
	if (!o->row.origin.object && at->src)
		o->row.origin = (struct origin){at->src->text, {0}};
	between(o, keep(b, &v, sizeof(v)));
}

static void over_blocks(struct bridge *b)
{
	if (b->c->blocks_rebuilt != b->c->run)
		return;
	struct blocks mid = {0};
	uint32_t key = 0;
	union_blocks(b, &mid);
	struct over *o = over_get(b, ROW_MAP, PLAN_MAP_config, &key);
	if (o && o->v[NEW]) {
		struct config_value v;
		memcpy(&v, o->v[NEW], sizeof(v));
		v.block_trie = blocks_lens(&mid, v.block_lens4, v.block_lens6);
		between(o, keep(b, &v, sizeof(v)));
		enum plan_map table = v.block_trie ? PLAN_MAP_block_trie : PLAN_MAP_block;
		VEC_EACH (&mid.list, it)
			over_block(b, table, it);
		struct block shield = {.src = &b->c->settings_src};
		if (v.block_trie && blocks_shield(&mid, &shield.p))
			over_block(b, table, &shield);
	}
	vec_free(&mid.list);
}

static void name_cell(struct bridge *b, const struct nameset *n, const struct domain *d)
{
	const struct rule *r = nameset_rule(n, d);
	if (!r)
		return;
	struct name_match_key k = {.names = n->id, .name = d->id};
	struct name_match_value v = {.rule = r->id};
	struct over *o = over_get(b, ROW_MAP, PLAN_MAP_name_match, &k);
	if (!o)
		return;
	set_origin(o, r);
	between(o, keep(b, &v, sizeof(v)));
}

/* Patterns of before and after are known in between, to all name sets, those in between included. */
static void over_names(struct bridge *b)
{
	HASH_EACH (&b->c->domains, s) {
		const struct domain *d = s->value;
		if (!d->live && d->flipped != b->c->run)
			continue;
		HASH_EACH (&b->c->namesets, t) {
			const struct nameset *n = t->value;
			if (d->flipped == b->c->run || !n->users)
				name_cell(b, n, d);
		}
	}
}

static int write_steps(struct bridge *b, struct plan_delta *out)
{
	for (int s = REFINED; s < STATES; s++) {
		struct plan_step step = {0};
		VEC_EACH (&b->list, it) {
			const struct over *o = *it;
			const uint8_t *was = o->v[s - 1], *now = o->v[s];
			if (!was == !now && (!was || !memcmp(was, now, o->row.value_len)))
				continue;
			struct row row = o->row;
			row.value = now ? now : was;
			enum change_op op = was ? (now ? CHANGE_SET : CHANGE_DEL) : CHANGE_ADD;
			if (step_add(out, &step, op, &row)) {
				vec_free(&step.changes);
				return -ENOMEM;
			}
		}
		if (step_push(out, &step))
			return -ENOMEM;
	}
	return 0;
}

static void bridge_fini(struct bridge *b)
{
	VEC_EACH (&b->pairs, p)
		id_drop(&b->c->set_ids, (*p)->id);
	VEC_EACH (&b->portsets, p)
		portset_unref(b->c, *p);
	vec_free(&b->pairs);
	vec_free(&b->portsets);
	vec_free(&b->list);
	hash_fini(&b->overs);
}

int bridge(struct compiler *c, struct shifts *s, struct plan_delta *out)
{
	struct bridge b = {.c = c, .s = s};
	VEC_EACH (&c->rows.dirty, r)
		over_row(&b, *r);
	over_pods(&b);
	over_blocks(&b);
	VEC_EACH (&b.pairs, p)
		pair_cells(&b, *p);
	VEC_EACH (&s->list, m) {
		struct shift_cell sc = {&b, *m};
		each_set(c, (*m)->from, shift_cell, &sc);
		each_set(c, (*m)->to, shift_cell, &sc);
	}
	over_names(&b);
	int e = c->failed ? -ENOMEM : write_steps(&b, out);
	bridge_fini(&b);
	return e;
}
