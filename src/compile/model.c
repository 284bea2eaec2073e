/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference: verdicts by the objects, in the words of the specification and nothing else. No index, no
 * class, no row; it must stay so simple that one can check it by reading. Called by tests.
 */
#include <errno.h>
#include <netinet/in.h>

#include "compile/verdict.h"

struct end { /* one end of the flow: an address, and the pod that has it, if any */
	struct addr addr;
	const struct object *pod;
};

static bool text_is(struct str text, const struct addr *a)
{
	struct addr x;
	return text.n && !addr_parse(text, &x) && addr_eq(&x, a);
}

/* NP22, NP42: finished pods and pods in the node's network have no address of their own. */
static bool pod_has(const struct object *pod, const struct addr *a)
{
	const struct pod_status *st = pod->pod->status;
	if (!st || str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"))
		return false;
	if (pod->pod->spec && pod->pod->spec->host_network.v)
		return false;
	for (size_t i = 0; i < st->pod_ips.len; i++)
		if (text_is(st->pod_ips.items[i].ip, a))
			return true;
	return text_is(st->pod_ip, a);
}

static const struct object *pod_at(const struct store *s, const struct addr *a)
{
	struct object_refs pods = {0};
	const struct object *hit = NULL;
	store_list(s, KIND_pod, STR(""), &pods);
	VEC_EACH (&pods.list, p) {
		if (!hit && pod_has(*p, a))
			hit = *p;
	}
	vec_free(&pods.list);
	return hit;
}

static bool node_has(const struct object *node, const struct addr *a)
{
	const struct node_status *st = node->node->status;
	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (text_is(st->addresses.items[i].address, a))
			return true;
	return false;
}

/* NP61: sockets of the node on which the pod runs. */
static bool own_node(const struct store *s, const struct object *pod, const struct addr *a)
{
	const struct object *n = store_get(s, KIND_node, STR(""), pod->pod->spec->node_name);
	return n && node_has(n, a);
}

static bool namespace_matches(const struct store *s, const struct label_selector *sel, struct str ns)
{
	const struct object *o = store_get(s, KIND_namespace, STR(""), ns);
	struct strpair automatic = {.key = STR("kubernetes.io/metadata.name"), .value = ns}; /* NP18 */
	struct strmap only = {.items = &automatic, .len = 1, .set = true};
	return selector_matches(sel, o ? &o->meta.labels : &only);
}

/* NP33 to NP38: inside the range, and in none of the exceptions; a range covers its own family only. */
static bool block_matches(const struct ip_block *b, const struct addr *a)
{
	struct prefix p;
	if (prefix_parse(b->cidr, &p) == -EINVAL || !prefix_has(&p, a))
		return false;
	if ((p.len >= 96 && addr_is4(&p.addr)) != addr_is4(a))
		return false;
	for (size_t i = 0; i < b->except.len; i++) {
		struct prefix e;
		if (prefix_parse(b->except.items[i], &e) != -EINVAL && prefix_has(&e, a))
			return false;
	}
	return true;
}

/* NP26 to NP31. */
static bool peer_matches(const struct store *s, const struct object *policy, const struct policy_peer *p,
			 const struct end *e)
{
	if (p->ip_block)
		return block_matches(p->ip_block, &e->addr);
	if (!e->pod)
		return false;
	if (p->namespace_selector && !namespace_matches(s, p->namespace_selector, e->pod->meta.ns))
		return false;
	if (!p->namespace_selector && !str_eq(policy->meta.ns, e->pod->meta.ns))
		return false;
	return !p->pod_selector || selector_matches(p->pod_selector, &e->pod->meta.labels);
}

/* NP25: no peers means every peer. */
static bool peers_match(const struct store *s, const struct object *policy,
			const struct policy_peer_list *list, const struct end *e)
{
	for (size_t i = 0; i < list->len; i++)
		if (peer_matches(s, policy, &list->items[i], e))
			return true;
	return !list->len;
}

static const char *protocol(uint8_t proto)
{
	return proto == IPPROTO_TCP    ? "TCP"
	       : proto == IPPROTO_UDP  ? "UDP"
	       : proto == IPPROTO_SCTP ? "SCTP"
				       : "";
}

static bool protocol_is(struct str declared, uint8_t proto)
{
	return declared.n ? str_eqz(declared, protocol(proto)) : proto == IPPROTO_TCP;
}

/* The first declaration of that name and protocol; 0: none. */
static int64_t declared_in(const struct container_list *list, bool sidecars, struct str name, uint8_t proto)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct container *ct = &list->items[i];
		if (sidecars && !str_eqz(ct->restart_policy, "Always"))
			continue;
		for (size_t j = 0; j < ct->ports.len; j++) {
			const struct container_port *p = &ct->ports.items[j];
			if (str_eq(p->name, name) && protocol_is(p->protocol, proto))
				return p->container_port.v;
		}
	}
	return 0;
}

/* NP50 to NP55: names are looked up on the destination pod. */
static bool name_matches(struct str name, const struct question *q, const struct end *dst)
{
	if (!dst->pod || !dst->pod->pod->spec)
		return false;
	int64_t n = declared_in(&dst->pod->pod->spec->containers, false, name, q->proto);
	if (!n)
		n = declared_in(&dst->pod->pod->spec->init_containers, true, name, q->proto);
	return n && n == q->port;
}

/* NP43 to NP48, NP56, NP70, NP75. */
static bool ports_match(const struct policy_port_list *list, const struct question *q, const struct end *dst)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct policy_port *p = &list->items[i];
		if (!protocol_is(p->protocol, q->proto))
			continue;
		if (p->port.type == INTSTR_UNSET)
			return true;
		if (p->port.type == INTSTR_STR) {
			if (name_matches(p->port.s, q, dst))
				return true;
			continue;
		}
		int64_t last = p->end_port.set ? p->end_port.v : p->port.i;
		if (q->port >= p->port.i && q->port <= last)
			return true;
	}
	return !list->len;
}

/* NP04 to NP07. */
static bool has_type(const struct networkpolicy_spec *spec, const char *type)
{
	for (size_t i = 0; i < spec->policy_types.len; i++)
		if (str_eqz(spec->policy_types.items[i], type))
			return true;
	if (spec->policy_types.len)
		return false;
	return !strcmp(type, "Ingress") || spec->egress.len;
}

struct judged {
	bool isolated, allowed;
};

static void judge_one(const struct store *s, const struct object *policy, bool egress, const struct end *peer,
		      const struct end *dst, const struct question *q, struct judged *j)
{
	const struct networkpolicy_spec *spec = policy->networkpolicy->spec;
	j->isolated = true;
	for (size_t i = 0; egress && i < spec->egress.len; i++) {
		const struct egress_rule *r = &spec->egress.items[i];
		if (peers_match(s, policy, &r->to, peer) && ports_match(&r->ports, q, dst))
			j->allowed = true;
	}
	for (size_t i = 0; !egress && i < spec->ingress.len; i++) {
		const struct ingress_rule *r = &spec->ingress.items[i];
		if (peers_match(s, policy, &r->from, peer) && ports_match(&r->ports, q, dst))
			j->allowed = true;
	}
}

/* NP01, NP03, NP08, NP11: no policy, everything; else the union of what the policies of its namespace allow.
 */
static bool judge(const struct store *s, bool egress, const struct end *subject, const struct end *peer,
		  const struct end *dst, const struct question *q)
{
	struct judged j = {0};
	struct object_refs list = {0};
	store_list(s, KIND_networkpolicy, subject->pod->meta.ns, &list);
	VEC_EACH (&list.list, it) {
		const struct networkpolicy_spec *spec = (*it)->networkpolicy->spec;
		if (!spec || !has_type(spec, egress ? "Egress" : "Ingress"))
			continue;
		if (spec->pod_selector && selector_matches(spec->pod_selector, &subject->pod->meta.labels))
			judge_one(s, *it, egress, peer, dst, q, &j);
	}
	vec_free(&list.list);
	return !j.isolated || j.allowed;
}

static bool in_pod_range(const struct store *s, const struct addr *a)
{
	struct object_refs nodes = {0};
	bool hit = false;
	store_list(s, KIND_node, STR(""), &nodes);
	VEC_EACH (&nodes.list, it) {
		const struct node_spec *spec = (*it)->node->spec;
		struct prefix p;
		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			hit |= !prefix_parse(spec->pod_cidrs.items[i], &p) && prefix_has(&p, a);
		hit |= spec && spec->pod_cidr.n && !prefix_parse(spec->pod_cidr, &p) && prefix_has(&p, a);
	}
	vec_free(&nodes.list);
	return hit;
}

enum judgement model_ask(const struct store *s, const struct question *q)
{
	struct end src = {q->src, pod_at(s, &q->src)}, dst = {q->dst, pod_at(s, &q->dst)};
	if (src.pod && src.pod == dst.pod)
		return JUDGED_ALLOW; /* NP63 */
	if (src.pod && !judge(s, true, &src, &dst, &dst, q))
		return JUDGED_DENY_EGRESS;
	if (!dst.pod)
		return in_pod_range(s, &q->dst) ? JUDGED_NOBODY : JUDGED_ALLOW;
	if (own_node(s, dst.pod, &q->src))
		return JUDGED_ALLOW;
	return judge(s, false, &dst, &src, &dst, q) ? JUDGED_ALLOW : JUDGED_DENY_INGRESS;
}
