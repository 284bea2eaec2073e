/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remarks on policies that were told in this run: what is right by the letter and does nothing, or not what
 * it seems to say. Changes nothing; called by compile.c when all is settled.
 */
#include "compile/state.h"

static bool selects(const struct cpolicy *p, const struct kin *k)
{
	return p->selector && selector_matches(p->selector, &k->pods.items[0]->o->meta.labels);
}

static void advise_selector(struct compiler *c, const struct cpolicy *p)
{
	VEC_EACH (&p->home->kins, k)
		if (selects(p, *k))
			return;
	remark_add(c->remarks, REMARK_HINT, object_pos(p->o, &p->o->networkpolicy->spec->pod_selector),
		   "it takes effect as soon as a pod matches", "this policy selects no pod now");
}

/* The declared name that is nearest to a name that nobody declares; found again over several pods. */
struct nearest {
	struct str name;
	unsigned distance;
};

static void compare(struct nearest *n, const struct kin *k, struct str name)
{
	VEC_EACH (&k->ports, p) {
		unsigned d = str_distance(p->name, name);
		if (d < n->distance || (d == n->distance && str_cmp(p->name, n->name) < 0))
			*n = (struct nearest){p->name, d};
	}
}

static void advise_name(struct compiler *c, const struct cpolicy *p, const void *member, struct str name,
			const char *whose, const struct nearest *n)
{
	AUTO_BUF hint = {0};
	if (n->distance <= 2)
		buf_printf(&hint, "did you mean \"" STR_FMT "\"?", STR_ARG(n->name));
	else
		buf_addz(&hint, "a name stands for the number that the destination pod declares under it");
	remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, member), hint.p,
		   "port \"" STR_FMT "\" is declared by no pod that %s", STR_ARG(name), whose);
}

static void advise_ingress(struct compiler *c, const struct cpolicy *p, const struct policy_port *pp)
{
	struct nearest near = {.distance = 64};
	bool selected = false;
	VEC_EACH (&p->home->kins, k) {
		if (!selects(p, *k))
			continue;
		selected = true;
		if (kin_port(*k, proto_number(pp->protocol), pp->port.s))
			return;
		compare(&near, *k, pp->port.s);
	}
	if (selected)
		advise_name(c, p, &pp->port, pp->port.s, "this policy selects", &near);
}

static bool rule_names(const struct policy_rule *r, const struct kin *k)
{
	bool hit = r->any_peer;
	VEC_EACH (&r->peers, a)
		hit = hit || ((*a)->kind == ATOM_PODS &&
			      atom_matches(*a, k->home, &k->pods.items[0]->o->meta.labels));
	return hit;
}

static void advise_egress(struct compiler *c, const struct cpolicy *p, const struct policy_rule *r,
			  const struct policy_port *pp)
{
	struct nearest near = {.distance = 64};
	bool named = false, blocks = false;
	HASH_EACH (&c->kins, s) {
		const struct kin *k = s->value;
		if (!rule_names(r, k))
			continue;
		named = true;
		if (kin_port(k, proto_number(pp->protocol), pp->port.s))
			return;
		compare(&near, k, pp->port.s);
	}
	VEC_EACH (&r->peers, a)
		blocks |= (*a)->kind == ATOM_BLOCK;
	if (named)
		advise_name(c, p, &pp->port, pp->port.s, "this rule names", &near);
	else if (blocks)
		remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, &pp->port), "give the number",
			   "addresses outside of the cluster declare no port names, so \"" STR_FMT
			   "\" matches none of them",
			   STR_ARG(pp->port.s));
}

/* NP40: policy is checked after translation. */
static void advise_range(struct compiler *c, const struct cpolicy *p, const struct str *text)
{
	struct prefix cidr;
	if (prefix_parse(*text, &cidr))
		return;
	const struct prefix *services[] = {&c->cfg.services4, &c->cfg.services6};
	for (int i = 0; i < 2; i++)
		if (services[i]->len && prefix_covers(services[i], &cidr))
			remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, text),
				   "select the pods behind the Service",
				   "Service addresses are translated before policy is checked: this matches "
				   "nothing");
}

static void advise_policy(struct compiler *c, const struct cpolicy *p)
{
	const struct networkpolicy_spec *s = p->o->networkpolicy->spec;
	advise_selector(c, p);
	for (size_t i = 0; i < s->ingress.len && p->dir[DIR_INGRESS]; i++) {
		const struct policy_port_list *ports = &s->ingress.items[i].ports;
		for (size_t j = 0; j < ports->len; j++)
			if (ports->items[j].port.type == INTSTR_STR)
				advise_ingress(c, p, &ports->items[j]);
	}
	for (size_t i = 0; i < s->egress.len && p->dir[DIR_EGRESS]; i++) {
		const struct egress_rule *r = &s->egress.items[i];
		for (size_t j = 0; j < r->ports.len; j++)
			if (r->ports.items[j].port.type == INTSTR_STR)
				advise_egress(c, p, &p->dir[DIR_EGRESS]->rules.items[i], &r->ports.items[j]);
		for (size_t j = 0; j < r->to.len; j++)
			if (r->to.items[j].ip_block)
				advise_range(c, p, &r->to.items[j].ip_block->cidr);
	}
}

static void advise_subject(struct compiler *c, const struct cpolicy *p)
{
	HASH_EACH (&c->kins, s) {
		const struct kin *k = s->value;
		if (policy_takes_pod(p, k->pods.items[0]))
			return;
	}
	remark_add(c->remarks, REMARK_HINT, object_pos(p->o, &p->o->clusternetworkpolicy->spec->subject),
		   "it takes effect as soon as a pod matches", "this policy selects no pod now");
}

/* CN14: names come from the answers of the cluster's own DNS. */
static void advise_names(struct compiler *c, const struct cpolicy *p, const struct strlist *names)
{
	HASH_EACH (&c->kins, s) {
		const struct kin *k = s->value;
		if (k->pods.items[0]->dns)
			return;
	}
	remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, names),
		   "pods in kube-system with the label k8s-app=kube-dns are the cluster's DNS",
		   "no pod serves the cluster's DNS, whose answers would teach addresses of these names");
}

static void advise_cluster(struct compiler *c, const struct cpolicy *p)
{
	const struct clusternetworkpolicy_spec *s = p->o->clusternetworkpolicy->spec;
	advise_subject(c, p);
	for (size_t i = 0; i < s->egress.len; i++) {
		const struct cluster_egress_peer_list *to = &s->egress.items[i].to;
		for (size_t j = 0; j < to->len; j++) {
			for (size_t n = 0; n < to->items[j].networks.len; n++)
				advise_range(c, p, &to->items[j].networks.items[n]);
			if (to->items[j].domain_names.len)
				advise_names(c, p, &to->items[j].domain_names);
		}
	}
}

void advise(struct compiler *c)
{
	VEC_EACH (&c->dirty_told, it) {
		const struct told *t = *it;
		if (t->kind == KIND_clusternetworkpolicy && t->o && t->o->clusternetworkpolicy->spec) {
			const struct cpolicy *p = hash_get(&c->cluster_policies, t->key);
			if (p)
				advise_cluster(c, p);
		}
		if (t->kind != KIND_networkpolicy || !t->o || !t->o->networkpolicy->spec)
			continue;
		const struct cpolicy *p = hash_get(&c->policies, t->key);
		if (p && p->home)
			advise_policy(c, p);
	}
}
