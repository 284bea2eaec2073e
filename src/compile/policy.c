/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network policies: each direction read into rules over atoms, and which pods of this node it selects. A
 * policy that selects a wired pod of this node is in force here, and only then its atoms are live. Called by
 * compile.c and pod.c.
 */
#include <stdlib.h>

#include <netinet/in.h>

#include "compile/state.h"

uint8_t proto_number(struct str name)
{
	if (!name.n || str_eqz(name, "TCP"))
		return IPPROTO_TCP;
	if (str_eqz(name, "UDP"))
		return IPPROTO_UDP;
	return str_eqz(name, "SCTP") ? IPPROTO_SCTP : 0;
}

const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_SCTP:
		return "SCTP";
	default:
		return "?";
	}
}

struct rule *rule_get(struct compiler *c, const struct cpolicy *p, int dir, size_t index, const void *member)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "%s" STR_FMT "/%s/%zu", p->home ? "" : "cluster:", STR_ARG(object_key(p->o)),
		   dir == DIR_INGRESS ? "ingress" : "egress", index);
	struct rule *r = hash_get(&c->rules, built(c, &text));
	if (text.failed)
		return NULL;
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r || hash_set(&c->rules, buf_str(&text), r, NULL)) {
			free(r);
			c->failed = true;
			return NULL;
		}
		r->text = (char *)(uintptr_t)key_copy(c, buf_str(&text)).p;
		r->id = id_take(&c->rule_ids, hash_bytes(text.p, text.n, 0), r);
		r->src.text = src_text(c, p->o);
		c->failed |= !r->id;
	}
	r->refs++;
	r->src.o = p->o;
	r->member = member;
	return r;
}

void rule_unref(struct compiler *c, struct rule *r)
{
	if (!r || --r->refs)
		return;
	past_rule(c, r);
	hash_del(&c->rules, str_of(r->text));
	id_drop(&c->rule_ids, r->id);
	retire(c, r->src.text);
	retire(c, r->text);
	retire(c, r);
}

static void read_port(struct compiler *c, struct policy_rule *r, const struct policy_port *p)
{
	struct rule_port out = {.proto = proto_number(p->protocol), .low = 0, .high = 65535};
	if (p->port.type == INTSTR_INT) {
		out.low = out.high = (uint16_t)p->port.i;
		if (p->end_port.set)
			out.high = (uint16_t)p->end_port.v;
	} else if (p->port.type == INTSTR_STR) {
		out.low = 1;
		out.high = 0;
		out.name = p->port.s;
	}
	if (out.proto)
		PUSH(c, &r->ports, out);
}

static void read_rule(struct compiler *c, struct policy_rule *r, const struct cpolicy *p,
		      const struct policy_peer_list *peers, const struct policy_port_list *ports)
{
	r->any_peer = !peers->len;
	for (size_t i = 0; i < peers->len; i++) {
		struct atom *a = atom_of_peer(c, p->o, &peers->items[i]);
		if (a)
			PUSH(c, &r->peers, a);
	}
	r->any_port = !ports->len;
	for (size_t i = 0; i < ports->len; i++)
		read_port(c, r, &ports->items[i]);
}

static uint64_t dir_hash(const struct policy_dir *d)
{
	uint32_t place[3] = {(uint32_t)d->dir, (uint32_t)d->tier, (uint32_t)d->priority};
	uint64_t h = hash_bytes(place, sizeof(place), 0);
	h = hash_bytes(d->name, strlen(d->name), h);
	VEC_EACH (&d->rules, r) {
		uint32_t head[4] = {r->rule ? r->rule->id : 0, r->action, r->any_peer, r->any_port};
		h = hash_bytes(head, sizeof(head), h);
		VEC_EACH (&r->domains, it)
			h = hash_bytes((*it)->text, strlen((*it)->text), h);
		VEC_EACH (&r->peers, a)
			h = hash_bytes(&(*a)->h, sizeof((*a)->h), h);
		VEC_EACH (&r->ports, p) {
			uint16_t n[3] = {p->proto, p->low, p->high};
			h = hash_bytes(n, sizeof(n), h);
			h = hash_bytes(p->name.p, p->name.n, h);
		}
	}
	return h;
}

static bool has_type(const struct networkpolicy_spec *s, int dir)
{
	if (!s->policy_types.len)
		return dir == DIR_INGRESS || s->egress.len;
	for (size_t i = 0; i < s->policy_types.len; i++)
		if (str_eqz(s->policy_types.items[i], dir == DIR_INGRESS ? "Ingress" : "Egress"))
			return true;
	return false;
}

/* Who has no rules still isolates. */
static bool network_policy_rules(struct compiler *c, const struct cpolicy *p, int dir, struct policy_dir *d)
{
	const struct networkpolicy_spec *s = p->o->networkpolicy->spec;
	if (!s || !has_type(s, dir))
		return false;
	d->tier = TIER_NETWORK;
	size_t n = dir == DIR_INGRESS ? s->ingress.len : s->egress.len;
	for (size_t i = 0; i < n; i++) {
		struct policy_rule r = {0};
		const struct ingress_rule *in = &s->ingress.items[i];
		const struct egress_rule *eg = &s->egress.items[i];
		r.rule = rule_get(c, p, dir, i, dir == DIR_INGRESS ? (const void *)in : eg);
		if (dir == DIR_INGRESS)
			read_rule(c, &r, p, &in->from, &in->ports);
		else
			read_rule(c, &r, p, &eg->to, &eg->ports);
		PUSH(c, &d->rules, r);
	}
	return true;
}

static struct policy_dir *dir_read(struct compiler *c, const struct cpolicy *p, int dir)
{
	struct policy_dir *d = calloc(1, sizeof(*d));
	AUTO_BUF name = {0};
	if (!d) {
		c->failed = true;
		return NULL;
	}
	*d = (struct policy_dir){.refs = 1, .dir = dir, .o = p->o};
	buf_printf(&name, "%s" STR_FMT, p->home ? "" : "cluster:", STR_ARG(object_key(p->o)));
	d->name = (char *)(uintptr_t)key_copy(c, built(c, &name)).p;
	if (!(p->home ? network_policy_rules(c, p, dir, d) : cluster_policy_rules(c, p, dir, d))) {
		policy_dir_unref(c, d);
		return NULL;
	}
	VEC_EACH (&d->rules, r)
		VEC_EACH (&r->ports, rp)
			d->named |= rp->name.n != 0;
	if (!c->failed)
		d->h = dir_hash(d);
	return d;
}

void policy_dir_unref(struct compiler *c, struct policy_dir *d)
{
	if (!d || --d->refs)
		return;
	VEC_EACH (&d->rules, r) {
		VEC_EACH (&r->peers, a)
			atom_unref(c, *a);
		VEC_EACH (&r->domains, it)
			domain_unref(c, *it);
		rule_unref(c, r->rule);
		vec_free(&r->peers);
		vec_free(&r->domains);
		vec_free(&r->ports);
	}
	vec_free(&d->rules);
	free(d->name);
	free(d);
}

static void touch(struct compiler *c, struct cpolicy *p)
{
	if (p->touched)
		return;
	p->touched = true;
	PUSH(c, &c->touched_policies, p);
}

void policy_select(struct compiler *c, struct cpolicy *p, int by)
{
	p->selected = (unsigned)((int)p->selected + by);
	touch(c, p);
}

static void demand(struct compiler *c, struct policy_rule *r, bool on)
{
	if (on)
		PUSH(c, &c->demands, r);
	else
		CUT(&c->demands, r);
	VEC_EACH (&r->ports, p)
		if (p->name.n)
			PUSH(c, &c->changed_names, *p);
}

static void put_in_force(struct compiler *c, struct cpolicy *p, bool on)
{
	if (p->in_force == on)
		return;
	p->in_force = on;
	for (int d = 0; d < DIRS; d++) {
		if (!p->dir[d])
			continue;
		VEC_EACH (&p->dir[d]->rules, r) {
			bool named = false;
			VEC_EACH (&r->peers, a)
				atom_use(c, *a, r, on);
			VEC_EACH (&r->domains, it)
				domain_use(c, *it, r, on);
			VEC_EACH (&r->ports, rp)
				named |= rp->name.n != 0;
			if (named && d == DIR_EGRESS)
				demand(c, r, on);
		}
	}
}

void policies_settle(struct compiler *c)
{
	VEC_EACH (&c->touched_policies, it) {
		struct cpolicy *p = *it;
		p->touched = false;
		bool on = p->o && p->selected;
		for (int d = 0; d < DIRS && on; d++)
			if (!p->dir[d])
				p->dir[d] = dir_read(c, p, d);
		put_in_force(c, p, on);
		for (int d = 0; d < DIRS && !on; d++) {
			policy_dir_unref(c, p->dir[d]);
			p->dir[d] = NULL;
		}
	}
	c->touched_policies.len = 0;
}

bool policy_takes_pod(const struct cpolicy *p, const struct cpod *pod)
{
	if (!p->selects || (p->ns_selector && !selector_matches(p->ns_selector, &pod->home->labels)))
		return false;
	return !p->selector || selector_matches(p->selector, &pod->o->meta.labels);
}

static void check(struct compiler *c, struct cpolicy *p, struct cpod *pod)
{
	if (!policy_takes_pod(p, pod))
		return;
	PUSH(c, &pod->policies, p);
	policy_select(c, p, 1);
	pod_dirty(c, pod);
}

struct checked {
	struct compiler *c;
	struct cpod *pod;
};

static void check_item(void *item, void *ctx)
{
	const struct checked *x = ctx;
	check(x->c, item, x->pod);
}

/* home NULL: cluster policies */
static void check_those(struct compiler *c, const struct home *home, struct cpod *pod)
{
	struct checked x = {c, pod};
	index_asked(&c->asking_policies, home, &pod->o->meta.labels, check_item, &x);
}

void policy_check_pod(struct compiler *c, struct cpod *pod)
{
	check_those(c, pod->home, pod);
	check_those(c, NULL, pod);
}

/* The policy no longer selects the pod. */
static void deselect(struct compiler *c, struct cpolicy *p, struct cpod *pod)
{
	size_t n = pod->policies.len;
	CUT(&pod->policies, p);
	if (pod->policies.len != n)
		pod_dirty(c, pod);
}

void policy_check_home(struct compiler *c, const struct home *h)
{
	VEC_EACH (&h->locals, it) {
		struct cpod *pod = *it;
		for (size_t i = pod->policies.len; i-- > 0;) {
			struct cpolicy *p = pod->policies.items[i];
			if (p->home)
				continue;
			policy_select(c, p, -1);
			deselect(c, p, pod);
		}
		check_those(c, NULL, pod);
	}
}

static struct hash *table_of(struct compiler *c, enum kind kind)
{
	return kind == KIND_networkpolicy ? &c->policies : &c->cluster_policies;
}

static struct cpolicy *policy_make(struct compiler *c, enum kind kind, struct str key, const struct object *o)
{
	struct cpolicy *p = calloc(1, sizeof(*p));
	if (!p || hash_set(table_of(c, kind), key, p, NULL)) {
		free(p);
		c->failed = true;
		return NULL;
	}
	p->src.text = src_text(c, o);
	if (kind != KIND_networkpolicy)
		return p;
	p->home = home_get(c, o->meta.ns);
	return p;
}

static void let_go(struct compiler *c, struct cpolicy *p, const struct home *h)
{
	VEC_EACH (&h->locals, pod)
		deselect(c, p, *pod);
}

/* Takes the policy out of everything: as if it were not there. */
static void withdraw(struct compiler *c, struct cpolicy *p)
{
	put_in_force(c, p, false);
	if (p->selected && p->home) {
		let_go(c, p, p->home);
	} else if (p->selected) {
		HASH_EACH (&c->homes, s)
			let_go(c, p, s->value);
	}
	p->selected = 0;
	for (int d = 0; d < DIRS; d++) {
		policy_dir_unref(c, p->dir[d]);
		p->dir[d] = NULL;
	}
}

static bool annotated(const struct object *o, const char *key)
{
	const struct str *v = strmap_get(&o->meta.annotations, str_of(key));
	return v && str_eqz(*v, "true");
}

static void read_policy(struct cpolicy *p)
{
	p->staged = annotated(p->o, "weft.network/staged");
	p->strict = annotated(p->o, "weft.network/strict");
	if (!p->home) {
		cluster_policy_read(p);
		return;
	}
	const struct networkpolicy_spec *spec = p->o->networkpolicy->spec;
	p->selector = spec ? spec->pod_selector : NULL;
	p->selects = p->selector;
}

static void put_asking(struct compiler *c, struct cpolicy *p)
{
	uint64_t key;
	if (!p->selects)
		return;
	if (!index_rarest(&c->asking_policies, p->home, p->selector, &key))
		key = index_key(p->home, NULL);
	c->failed |= index_add(&c->asking_policies, &p->asks, key, p) != 0;
}

static void check_locals(struct compiler *c, struct cpolicy *p, const struct home *h)
{
	VEC_EACH (&h->locals, pod)
		check(c, p, *pod);
}

void policy_tell(struct compiler *c, enum kind kind, struct str key, const struct object *o)
{
	struct cpolicy *p = hash_get(table_of(c, kind), key);
	if (!p) {
		p = o ? policy_make(c, kind, key, o) : NULL;
		if (!p || c->failed)
			return;
	}
	withdraw(c, p);
	index_remove(&c->asking_policies, &p->asks);
	p->o = p->src.o = o;
	if (!o) {
		CUT(&c->touched_policies, p);
		hash_del(table_of(c, kind), key);
		retire(c, p->src.text);
		free(p);
		return;
	}
	read_policy(p);
	put_asking(c, p);
	if (p->home) {
		check_locals(c, p, p->home);
	} else {
		HASH_EACH (&c->homes, s)
			check_locals(c, p, s->value);
	}
	touch(c, p);
}

static void table_fini(struct compiler *c, struct hash *table)
{
	HASH_EACH (table, s) {
		struct cpolicy *p = s->value;
		for (int d = 0; d < DIRS; d++)
			policy_dir_unref(c, p->dir[d]);
		retire(c, p->src.text);
		free(p);
	}
	hash_fini(table);
}

void policies_fini(struct compiler *c)
{
	index_fini(&c->asking_policies);
	table_fini(c, &c->policies);
	table_fini(c, &c->cluster_policies);
	hash_fini(&c->rules);
	ids_fini(&c->rule_ids);
}
