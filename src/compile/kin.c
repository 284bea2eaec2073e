/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kin: pods that no selector and no named port can tell apart. Selectors are matched against kin, once, not
 * against each pod. Called by pod.c, home.c and atom.c.
 */
#include <stdlib.h>

#include "compile/state.h"

static void ports_of_container(struct compiler *c, struct kin *k, const struct container *ct)
{
	for (size_t i = 0; i < ct->ports.len; i++) {
		const struct container_port *cp = &ct->ports.items[i];
		if (!cp->name.n)
			continue;
		uint16_t n = (uint16_t)cp->container_port.v;
		PUSH(c, &k->ports,
		     (struct rule_port){
			 .proto = proto_number(cp->protocol), .low = n, .high = n, .name = cp->name});
	}
}

/* Names that containers and restartable init containers (sidecars) declare, in that order. */
static void ports_of(struct compiler *c, struct kin *k, const struct object *o)
{
	k->ports.len = 0;
	const struct pod_spec *spec = o->pod->spec;
	if (!spec)
		return;
	for (size_t i = 0; i < spec->containers.len; i++)
		ports_of_container(c, k, &spec->containers.items[i]);
	for (size_t i = 0; i < spec->init_containers.len; i++)
		if (str_eqz(spec->init_containers.items[i].restart_policy, "Always"))
			ports_of_container(c, k, &spec->init_containers.items[i]);
}

uint16_t kin_port(const struct kin *k, uint8_t proto, struct str name)
{
	VEC_EACH (&k->ports, p)
		if (p->proto == proto && str_eq(p->name, name))
			return p->low;
	return 0;
}

static const struct strmap *labels_of(const struct kin *k)
{
	return &k->pods.items[0]->o->meta.labels;
}

static void add_sized(struct buf *b, struct str s)
{
	uint32_t n = (uint32_t)s.n;
	buf_add(b, &n, sizeof(n));
	buf_adds(b, s);
}

void kin_addrs_dirty(struct compiler *c, const struct kin *k)
{
	VEC_EACH (&k->pods, p) {
		addr_dirty(c, &(*p)->addr[0]);
		addr_dirty(c, &(*p)->addr[1]);
	}
}

static void unmatch(struct kin *k)
{
	VEC_EACH (&k->atoms.list, a)
		CUT(&(*a)->kins, k);
	vec_free(&k->atoms.list);
}

struct match {
	struct compiler *c;
	struct kin *k;
};

static void match_atom(void *item, void *ctx)
{
	const struct match *m = ctx;
	struct atom *a = item;
	if (atom_matches(a, m->k->home, labels_of(m->k)) && atoms_add(m->c, &m->k->atoms, a))
		PUSH(m->c, &a->kins, m->k);
}

void kin_match(struct compiler *c, struct kin *k)
{
	struct match m = {c, k};
	unmatch(k);
	index_asked(&c->asking_atoms, k->home, labels_of(k), match_atom, &m);
	index_asked(&c->asking_atoms, NULL, labels_of(k), match_atom, &m);
	kin_addrs_dirty(c, k);
}

bool kins_selected(const struct compiler *c, const struct home *h, const struct label_selector *s, kin_fn *fn,
		   void *ctx)
{
	uint64_t key;
	if (index_rarest(&c->kin_labels, h, s, &key)) {
		INDEX_EACH(&c->kin_labels, key, e)
		{
			struct kin *k = e->item;
			if (selector_matches(s, labels_of(k)) && fn(k, ctx))
				return true;
		}
		return false;
	}
	VEC_EACH (&h->kins, k)
		if ((!s || selector_matches(s, labels_of(*k))) && fn(*k, ctx))
			return true;
	return false;
}

static void put_labels(struct compiler *c, struct kin *k)
{
	const struct strmap *l = labels_of(k);
	k->labels = calloc(l->len + 1, sizeof(*k->labels));
	c->failed |= !k->labels;
	for (size_t i = 0; i < l->len && !c->failed; i++)
		c->failed |=
		    index_add(&c->kin_labels, &k->labels[i], index_key(k->home, &l->items[i]), k) != 0;
}

static void drop_labels(struct compiler *c, struct kin *k)
{
	size_t n = labels_of(k)->len;
	for (size_t i = 0; k->labels && i < n; i++)
		index_remove(&c->kin_labels, &k->labels[i]);
}

static struct kin *kin_get(struct compiler *c, struct cpod *p)
{
	AUTO_BUF key = {0};
	struct kin probe = {0};
	ports_of(c, &probe, p->o);
	add_sized(&key, p->home->name);
	const struct strmap *l = &p->o->meta.labels;
	for (size_t i = 0; i < l->len; i++) {
		add_sized(&key, l->items[i].key);
		add_sized(&key, l->items[i].value);
	}
	buf_addc(&key, '|');
	VEC_EACH (&probe.ports, rp) {
		add_sized(&key, rp->name);
		buf_add(&key, &rp->proto, 1);
		buf_add(&key, &rp->low, 2);
	}
	vec_free(&probe.ports);
	struct kin *k = hash_get(&c->kins, built(c, &key));
	if (k || key.failed) {
		c->failed |= key.failed;
		return k;
	}
	k = calloc(1, sizeof(*k));
	if (!k || hash_set(&c->kins, buf_str(&key), k, NULL)) {
		free(k);
		c->failed = true;
		return NULL;
	}
	k->key = key_copy(c, buf_str(&key));
	k->home = p->home;
	PUSH(c, &k->home->kins, k);
	return k;
}

void kin_join(struct compiler *c, struct cpod *p)
{
	struct kin *k = kin_get(c, p);
	if (!k || vec_push(&k->pods, p)) {
		c->failed = true;
		return;
	}
	p->kin = k;
	if (k->pods.len == 1) {
		ports_of(c, k, p->o);
		put_labels(c, k);
		kin_match(c, k);
	}
}

static void kin_free(struct kin *k)
{
	vec_free(&k->pods);
	vec_free(&k->ports);
	vec_free(&k->atoms.list);
	free(k->labels);
	free((void *)(uintptr_t)k->key.p);
	free(k);
}

void kin_leave(struct compiler *c, struct cpod *p)
{
	struct kin *k = p->kin;
	if (!k)
		return;
	p->kin = NULL;
	bool first = k->pods.items[0] == p;
	if (k->pods.len == 1)
		drop_labels(c, k);
	CUT(&k->pods, p);
	if (k->pods.len) {
		if (first)
			ports_of(c, k, k->pods.items[0]->o);
		return;
	}
	unmatch(k);
	CUT(&k->home->kins, k);
	hash_del(&c->kins, k->key);
	kin_free(k);
}

void kins_fini(struct compiler *c)
{
	HASH_EACH (&c->kins, s)
		kin_free(s->value);
	hash_fini(&c->kins);
	index_fini(&c->kin_labels);
}
