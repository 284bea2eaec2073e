/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remarks on policies, Services and hostPorts that were told in this run: what is right by the letter and
 * does nothing, or not what it seems to say. Changes nothing; called by compile.c when all is settled.
 */
#include "compile/service.h"

static bool any(struct kin *k, void *ctx)
{
	(void)k;
	(void)ctx;
	return true;
}

static void advise_selector(struct compiler *c, const struct cpolicy *p)
{
	if (p->selected || (p->selector && kins_selected(c, p->home, p->selector, any, NULL)))
		return;
	remark_add(c->remarks, REMARK_HINT, object_pos(p->o, &p->o->networkpolicy->spec->pod_selector),
		   "it takes effect as soon as a pod matches", "this policy selects no pod now");
}

/* Looking over several kin for one that declares a name; meanwhile the declared name that is nearest to it.
 */
struct nearest {
	const struct policy_port *wanted;
	bool some; /* any kin was looked at */
	struct str name;
	unsigned distance;
};

static bool declares(struct kin *k, void *ctx)
{
	struct nearest *n = ctx;
	struct str name = n->wanted->port.s;
	n->some = true;
	if (kin_port(k, proto_number(n->wanted->protocol), name))
		return true;
	VEC_EACH (&k->ports, p) {
		unsigned d = str_distance(p->name, name);
		if (d < n->distance || (d == n->distance && str_cmp(p->name, n->name) < 0)) {
			n->name = p->name;
			n->distance = d;
		}
	}
	return false;
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
	struct nearest near = {.wanted = pp, .distance = 64};
	if (!p->selector || kins_selected(c, p->home, p->selector, declares, &near))
		return;
	if (near.some)
		advise_name(c, p, &pp->port, pp->port.s, "this policy selects", &near);
}

/* Whether any of the pods that a rule in force names declares what is looked for. */
static bool named_declare(const struct compiler *c, const struct policy_rule *r, struct nearest *near)
{
	VEC_EACH (&r->peers, a)
		VEC_EACH (&(*a)->kins, k)
			if (declares(*k, near))
				return true;
	if (r->any_peer) {
		HASH_EACH (&c->kins, s)
			if (declares(s->value, near))
				return true;
	}
	return false;
}

static void advise_egress(struct compiler *c, const struct cpolicy *p, const struct policy_rule *r,
			  const struct policy_port *pp)
{
	struct nearest near = {.wanted = pp, .distance = 64};
	bool blocks = false;
	if (named_declare(c, r, &near))
		return;
	VEC_EACH (&r->peers, a)
		blocks |= (*a)->kind == ATOM_BLOCK;
	if (near.some)
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
	if (p->selected)
		return;
	HASH_EACH (&c->homes, s) {
		const struct home *h = s->value;
		if (!p->selects || (p->ns_selector && !selector_matches(p->ns_selector, &h->labels)))
			continue;
		if (kins_selected(c, h, p->selector, any, NULL))
			return;
	}
	remark_add(c->remarks, REMARK_HINT, object_pos(p->o, &p->o->clusternetworkpolicy->spec->subject),
		   "it takes effect as soon as a pod matches", "this policy selects no pod now");
}

static bool serves_dns(struct kin *k, void *ctx)
{
	(void)ctx;
	return k->pods.items[0]->dns;
}

/* CN14: names come from the answers of the cluster's own DNS. */
static void advise_names(struct compiler *c, const struct cpolicy *p, const struct strlist *names)
{
	const struct home *h = hash_get(&c->homes, STR("kube-system"));
	if (h && kins_selected(c, h, NULL, serves_dns, NULL))
		return;
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
		if (t->kind == KIND_service && t->o)
			advise_service(c, hash_get(&c->services, t->key));
		if (t->kind == KIND_pod && t->o)
			advise_host_ports(c, hash_get(&c->pods, t->key));
		if (t->kind != KIND_networkpolicy || !t->o || !t->o->networkpolicy->spec)
			continue;
		const struct cpolicy *p = hash_get(&c->policies, t->key);
		if (p && p->home)
			advise_policy(c, p);
	}
}
