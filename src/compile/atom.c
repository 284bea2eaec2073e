/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atoms: what rules ask of an address, one atom for equal questions of many rules. While a rule in force uses
 * it, an atom is live and knows the kin that it matches. Called by policy.c, kin.c and class.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "compile/state.h"

static int str_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* "tier in (a,b)": values sorted, as their order says nothing. */
static void requirement_text(struct buf *b, const struct selector_requirement *r)
{
	buf_adds(b, r->key);
	if (str_eqz(r->op, "Exists") || str_eqz(r->op, "DoesNotExist")) {
		buf_addz(b, str_eqz(r->op, "Exists") ? " exists" : " absent");
		return;
	}
	buf_addz(b, str_eqz(r->op, "In") ? " in (" : " not in (");
	struct str *v = malloc((r->values.len + 1) * sizeof(*v));
	if (!v) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < r->values.len; i++)
		v[i] = r->values.items[i];
	qsort(v, r->values.len, sizeof(*v), str_order);
	for (size_t i = 0; i < r->values.len; i++) {
		if (i)
			buf_addc(b, ',');
		buf_adds(b, v[i]);
	}
	buf_addc(b, ')');
	free(v);
}

static int buf_order(const void *a, const void *b)
{
	return str_cmp(buf_str(a), buf_str(b));
}

void label_selector_text(struct buf *b, const struct label_selector *s)
{
	size_t n = s->match_expressions.len;
	if (!s->match_labels.len && !n) {
		buf_addc(b, '*');
		return;
	}
	const char *sep = "";
	for (size_t i = 0; i < s->match_labels.len; i++, sep = " ")
		buf_printf(b, "%s" STR_FMT "=" STR_FMT, sep, STR_ARG(s->match_labels.items[i].key),
			   STR_ARG(s->match_labels.items[i].value));
	struct buf *parts = calloc(n + 1, sizeof(*parts));
	if (!parts) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		requirement_text(&parts[i], &s->match_expressions.items[i]);
	qsort(parts, n, sizeof(*parts), buf_order);
	for (size_t i = 0; i < n; i++, sep = " ") {
		b->failed |= parts[i].failed;
		buf_addz(b, sep);
		buf_adds(b, buf_str(&parts[i]));
		buf_fini(&parts[i]);
	}
	free(parts);
}

static void atom_free(struct atom *a)
{
	object_unref((struct object **)&a->o);
	vec_free(&a->except);
	vec_free(&a->users);
	vec_free(&a->kins);
	vec_free(&a->classes);
	vec_free(&a->sets);
	free(a->text);
	free(a);
}

/* The atom of that text, made when there is none; `made` tells. With a reference. */
static struct atom *intern(struct compiler *c, struct buf *text, bool *made)
{
	*made = false;
	struct atom *a = text->failed ? NULL : hash_get(&c->atoms, buf_str(text));
	if (a) {
		a->refs++;
		return a;
	}
	a = text->failed ? NULL : calloc(1, sizeof(*a));
	if (!a || hash_set(&c->atoms, buf_str(text), a, NULL)) {
		free(a);
		c->failed = true;
		return NULL;
	}
	a->refs = 1;
	a->h = hash_bytes(text->p, text->n, 0);
	a->text = (char *)(uintptr_t)key_copy(c, buf_str(text)).p;
	*made = true;
	return a;
}

static int prefix_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct prefix));
}

static struct atom *block_atom(struct compiler *c, const struct object *policy, const struct ip_block *b)
{
	struct prefix cidr = {0};
	VEC(struct prefix) except = {0};
	if (prefix_parse(b->cidr, &cidr) == -EINVAL)
		return NULL;
	for (size_t i = 0; i < b->except.len; i++) {
		struct prefix e = {0};
		if (prefix_parse(b->except.items[i], &e) != -EINVAL)
			PUSH(c, &except, e);
	}
	if (except.len)
		qsort(except.items, except.len, sizeof(*except.items), prefix_order);
	AUTO_BUF text = {0};
	char word[PREFIX_TEXT];
	prefix_print(&cidr, word);
	buf_addz(&text, word);
	VEC_EACH (&except, e) {
		prefix_print(e, word);
		buf_printf(&text, "-%s", word);
	}
	bool made;
	struct atom *a = intern(c, &text, &made);
	if (!made) {
		vec_free(&except);
		return a;
	}
	a->kind = ATOM_BLOCK;
	a->o = object_ref(policy);
	a->cidr = cidr;
	a->except.items = except.items;
	a->except.len = except.len;
	a->except.cap = except.cap;
	return a;
}

struct atom *atom_of_peer(struct compiler *c, const struct object *policy, const struct policy_peer *peer)
{
	if (peer->ip_block)
		return block_atom(c, policy, peer->ip_block);
	AUTO_BUF text = {0};
	if (peer->namespace_selector) {
		buf_addc(&text, '{');
		label_selector_text(&text, peer->namespace_selector);
		buf_addc(&text, '}');
	} else {
		buf_adds(&text, policy->meta.ns);
	}
	buf_addc(&text, ':');
	if (peer->pod_selector)
		label_selector_text(&text, peer->pod_selector);
	else
		buf_addc(&text, '*');
	bool made;
	struct atom *a = intern(c, &text, &made);
	if (!made)
		return a;
	a->kind = ATOM_PODS;
	a->o = object_ref(policy);
	a->ns_selector = peer->namespace_selector;
	a->pod_selector = peer->pod_selector;
	if (!peer->namespace_selector)
		a->ns = a->o->meta.ns;
	return a;
}

struct atom *atom_of_network(struct compiler *c, const struct object *policy, struct str cidr)
{
	return block_atom(c, policy, &(struct ip_block){.cidr = cidr});
}

struct atom *atom_of_pods(struct compiler *c, const struct object *policy, const struct label_selector *ns,
			  const struct label_selector *pods)
{
	static const struct label_selector every = {0};
	struct policy_peer peer = {.namespace_selector =
				       (struct label_selector *)(uintptr_t)(ns ? ns : &every),
				   .pod_selector = (struct label_selector *)(uintptr_t)pods};
	return atom_of_peer(c, policy, &peer);
}

struct atom *atom_of_nodes(struct compiler *c, const struct object *policy, const struct label_selector *s)
{
	AUTO_BUF text = {0};
	buf_addz(&text, "nodes:");
	label_selector_text(&text, s);
	bool made;
	struct atom *a = intern(c, &text, &made);
	if (!made)
		return a;
	a->kind = ATOM_NODES;
	a->o = object_ref(policy);
	a->nodes = s;
	return a;
}

struct atom *atom_of_named(struct compiler *c, uint8_t proto, struct str name, uint16_t number)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "%s/" STR_FMT "=%u", proto_name(proto), STR_ARG(name), number);
	bool made;
	struct atom *a = intern(c, &text, &made);
	if (!made)
		return a;
	a->kind = ATOM_NAMED;
	a->proto = proto;
	a->name = (struct str){a->text + strlen(proto_name(proto)) + 1, name.n};
	a->number = number;
	return a;
}

void atom_ref(struct atom *a)
{
	a->refs++;
}

void atom_unref(struct compiler *c, struct atom *a)
{
	if (--a->refs || a->idle)
		return;
	a->idle = true;
	PUSH(c, &c->idle_atoms, a);
}

void atoms_bury(struct compiler *c)
{
	VEC_EACH (&c->idle_atoms, it) {
		struct atom *a = *it;
		a->idle = false;
		if (a->refs)
			continue;
		hash_del(&c->atoms, str_of(a->text));
		atom_free(a);
	}
	c->idle_atoms.len = 0;
}

void atom_use(struct compiler *c, struct atom *a, struct policy_rule *r, bool use)
{
	if (use)
		PUSH(c, &a->users, r);
	else
		CUT(&a->users, r);
	if (a->kind == ATOM_BLOCK)
		c->blocks_changed = true;
	if (a->touched)
		return;
	a->touched = true;
	atom_ref(a);
	PUSH(c, &c->touched_atoms, a);
}

bool atom_matches(const struct atom *a, const struct home *home, const struct strmap *labels)
{
	if (a->ns_selector ? !selector_matches(a->ns_selector, &home->labels) : !str_eq(a->ns, home->name))
		return false;
	return !a->pod_selector || selector_matches(a->pod_selector, labels);
}

struct match {
	struct compiler *c;
	struct atom *a;
};

static bool match_kin(struct kin *k, void *ctx)
{
	const struct match *m = ctx;
	if (!atoms_add(m->c, &k->atoms, m->a))
		return false;
	PUSH(m->c, &m->a->kins, k);
	kin_addrs_dirty(m->c, k);
	return false;
}

static void match_home(struct compiler *c, struct atom *a, const struct home *h)
{
	struct match m = {c, a};
	kins_selected(c, h, a->pod_selector, match_kin, &m);
}

static void nodes_dirty(struct compiler *c, const struct atom *a)
{
	HASH_EACH (&c->nodes, s) {
		struct cnode *n = s->value;
		if (!n->o || !selector_matches(a->nodes, &n->o->meta.labels))
			continue;
		VEC_EACH (&n->addrs, addr)
			addr_dirty(c, *addr);
	}
}

static void go_live_pods(struct compiler *c, struct atom *a)
{
	struct home *own = a->ns_selector ? NULL : home_get(c, a->ns);
	uint64_t key;
	if (!index_rarest(&c->asking_atoms, own, a->pod_selector, &key))
		key = index_key(own, NULL);
	c->failed |= index_add(&c->asking_atoms, &a->asks, key, a) != 0;
	if (c->failed)
		return;
	if (own) {
		match_home(c, a, own);
		return;
	}
	HASH_EACH (&c->homes, s) {
		struct home *h = s->value;
		if (h->kins.len && selector_matches(a->ns_selector, &h->labels))
			match_home(c, a, h);
	}
}

static void go_live(struct compiler *c, struct atom *a)
{
	if (a->kind == ATOM_PODS) {
		go_live_pods(c, a);
		return;
	}
	PUSH(c, &c->live_atoms[a->kind], a);
	if (a->kind == ATOM_NODES)
		nodes_dirty(c, a);
}

static void go_dead(struct compiler *c, struct atom *a)
{
	index_remove(&c->asking_atoms, &a->asks);
	if (a->kind != ATOM_PODS)
		CUT(&c->live_atoms[a->kind], a);
	if (a->kind == ATOM_NODES)
		nodes_dirty(c, a);
	VEC_EACH (&a->kins, k) {
		atoms_remove(&(*k)->atoms, a);
		kin_addrs_dirty(c, *k);
	}
	vec_free(&a->kins);
}

static int name_order(const void *pa, const void *pb)
{
	const struct rule_port *a = pa, *b = pb;
	return a->proto != b->proto ? a->proto - b->proto : str_cmp(a->name, b->name);
}

/* Whoever declares a name that egress rules began or ceased to ask for. */
static void names_settle(struct compiler *c)
{
	size_t n = c->changed_names.len;
	const struct rule_port *names = c->changed_names.items;
	if (n)
		qsort(c->changed_names.items, n, sizeof(*names), name_order);
	for (size_t i = 0; i < n; i++) {
		if (i && !name_order(&names[i - 1], &names[i]))
			continue;
		HASH_EACH (&c->kins, s)
			if (kin_port(s->value, names[i].proto, names[i].name))
				kin_addrs_dirty(c, s->value);
	}
	c->changed_names.len = 0;
}

void atoms_settle(struct compiler *c)
{
	VEC_EACH (&c->touched_atoms, it) {
		struct atom *a = *it;
		a->touched = false;
		bool live = a->users.len;
		if (live != a->live) {
			a->live = live;
			a->flipped = c->run;
			if (live)
				go_live(c, a);
			else
				go_dead(c, a);
		}
		atom_unref(c, a);
	}
	c->touched_atoms.len = 0;
	names_settle(c);
}

/* Sets of atoms, sorted by hash and then text: an order that does not depend on when they came. */
static int atom_order(const struct atom *a, const struct atom *b)
{
	if (a->h != b->h)
		return a->h < b->h ? -1 : 1;
	return a == b ? 0 : strcmp(a->text, b->text);
}

static size_t lower(const struct atoms *s, const struct atom *a)
{
	size_t lo = 0, hi = s->list.len;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (atom_order(s->list.items[mid], a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool atoms_have(const struct atoms *s, const struct atom *a)
{
	size_t i = lower(s, a);
	return i < s->list.len && s->list.items[i] == a;
}

bool atoms_add(struct compiler *c, struct atoms *s, struct atom *a)
{
	size_t i = lower(s, a);
	if (i < s->list.len && s->list.items[i] == a)
		return false;
	PUSH(c, &s->list, a);
	if (c->failed)
		return false;
	memmove(&s->list.items[i + 1], &s->list.items[i], (s->list.len - 1 - i) * sizeof(*s->list.items));
	s->list.items[i] = a;
	return true;
}

void atoms_remove(struct atoms *s, const struct atom *a)
{
	size_t i = lower(s, a);
	if (i < s->list.len && s->list.items[i] == a)
		vec_remove(&s->list, i);
}

void atoms_fini(struct compiler *c)
{
	HASH_EACH (&c->atoms, s)
		atom_free(s->value);
	hash_fini(&c->atoms);
	index_fini(&c->asking_atoms);
	for (size_t k = 0; k < ARRAY_LEN(c->live_atoms); k++)
		vec_free(&c->live_atoms[k]);
	vec_free(&c->touched_atoms);
	vec_free(&c->idle_atoms);
	vec_free(&c->changed_names);
}
