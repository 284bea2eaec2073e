/* SPDX-License-Identifier: Apache-2.0 */
/* NetworkPolicies: what the API refuses beyond the field tables, and policyTypes and protocols that were left
 * out. */
#include <errno.h>

#include "base/addr.h"
#include "object/check.h"

static void check_except(struct check *c, const struct ip_block *b)
{
	struct prefix whole, hole;
	if (prefix_parse(b->cidr, &whole) == -EINVAL)
		return;
	for (size_t i = 0; i < b->except.len; i++) {
		const struct str *s = &b->except.items[i];
		if (prefix_parse(*s, &hole) == -EINVAL)
			continue;
		if (!prefix_covers(&whole, &hole) || whole.len == hole.len)
			check_fail(c, s, "an exception is a smaller range inside cidr",
				   STR_FMT " does not lie strictly inside " STR_FMT, STR_ARG(*s),
				   STR_ARG(b->cidr));
	}
}

static void check_peer(struct check *c, const struct policy_peer *p)
{
	if (p->ip_block && (p->pod_selector || p->namespace_selector))
		check_fail(c, &p->ip_block, "make it an entry of its own: \"- ipBlock:\"",
			   "cannot stand beside podSelector or namespaceSelector");
	else if (!p->ip_block && !p->pod_selector && !p->namespace_selector)
		check_fail_whole(
		    c, p,
		    "leave the list out to allow everyone; podSelector: {} is every pod of this namespace",
		    "a peer needs podSelector, namespaceSelector or ipBlock");
	if (p->ip_block)
		check_except(c, p->ip_block);
}

static void check_policy_port(struct check *c, const struct policy_port *p)
{
	check_port(c, &p->port);
	if (!p->end_port.set)
		return;
	if (p->port.type == INTSTR_UNSET)
		check_fail(c, &p->end_port, "add port, the first of the range", "needs port");
	else if (p->port.type == INTSTR_STR)
		check_fail(c, &p->end_port, "give port by number, or leave endPort out",
			   "cannot follow the port name \"" STR_FMT "\"", STR_ARG(p->port.s));
	else if (p->end_port.v < p->port.i)
		check_fail(c, &p->end_port, NULL, "%lld is below port, %lld", (long long)p->end_port.v,
			   (long long)p->port.i);
}

static void check_rule_lists(struct check *c, const struct policy_peer_list *peers,
			     const struct policy_port_list *ports)
{
	for (size_t i = 0; i < peers->len; i++)
		check_peer(c, &peers->items[i]);
	for (size_t i = 0; i < ports->len; i++)
		check_policy_port(c, &ports->items[i]);
}

static bool has_type(const struct networkpolicy_spec *s, const char *type)
{
	for (size_t i = 0; i < s->policy_types.len; i++)
		if (str_eqz(s->policy_types.items[i], type))
			return true;
	return false;
}

/* A word in place of "true" must not put a policy in force that was meant to be tried first. */
void check_policy_annotations(struct check *c)
{
	static const char *const known[] = {"weft.network/staged", "weft.network/strict"};
	const struct strmap *m = &c->o->meta.annotations;
	for (size_t i = 0; i < m->len; i++) {
		const struct strpair *p = &m->items[i];
		bool mine = str_eqz(p->key, known[0]) || str_eqz(p->key, known[1]);
		if (mine && !str_eqz(p->value, "true") && !str_eqz(p->value, "false"))
			check_fail(c, &p->value, "write \"true\" or \"false\"", "\"" STR_FMT "\" is neither",
				   STR_ARG(p->value));
		if (mine || !str_starts(p->key, STR("weft.network/")))
			continue;
		check_remark(c, REMARK_WARNING, &p->key,
			     "policies know weft.network/staged and weft.network/strict",
			     "\"" STR_FMT "\" is not known and has no effect", STR_ARG(p->key));
	}
}

static void check(struct check *c)
{
	const struct networkpolicy_spec *s = c->o->networkpolicy->spec;
	check_policy_annotations(c);
	if (!s) {
		check_fail(c, &c->o->networkpolicy->spec, "add spec with podSelector",
			   "required, but missing");
		return;
	}
	for (size_t i = 0; i < s->ingress.len; i++)
		check_rule_lists(c, &s->ingress.items[i].from, &s->ingress.items[i].ports);
	for (size_t i = 0; i < s->egress.len; i++)
		check_rule_lists(c, &s->egress.items[i].to, &s->egress.items[i].ports);
	if (s->policy_types.len > 2)
		check_fail(c, &s->policy_types, NULL, "at most Ingress and Egress");
	if (s->policy_types.len && s->ingress.len && !has_type(s, "Ingress"))
		check_remark(c, REMARK_HINT, &s->ingress, "add Ingress to policyTypes if they are meant",
			     "these rules have no effect, since policyTypes does not name Ingress");
	if (s->policy_types.len && s->egress.len && !has_type(s, "Egress"))
		check_remark(c, REMARK_HINT, &s->egress, "add Egress to policyTypes if they are meant",
			     "these rules have no effect, since policyTypes does not name Egress");
}

static void default_ports(struct policy_port_list *ports)
{
	for (size_t i = 0; i < ports->len; i++)
		default_str(&ports->items[i].protocol, "TCP");
}

static int defaults(struct object *o)
{
	struct networkpolicy_spec *s = o->networkpolicy->spec;
	if (!s)
		return 0;
	for (size_t i = 0; i < s->ingress.len; i++)
		default_ports(&s->ingress.items[i].ports);
	for (size_t i = 0; i < s->egress.len; i++)
		default_ports(&s->egress.items[i].ports);
	if (s->policy_types.len)
		return 0;
	struct str *types = arena_array(&o->arena, struct str, 2);
	if (!types)
		return -ENOMEM;
	types[0] = STR("Ingress");
	types[1] = STR("Egress");
	s->policy_types = (struct strlist){.items = types, .len = s->egress.len ? 2 : 1, .set = true};
	return 0;
}

const struct kind_rules networkpolicy_rules = {.check = check, .defaults = defaults};
