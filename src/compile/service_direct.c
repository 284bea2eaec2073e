/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct return: Services whose annotation asks that the nodes of their backends answer clients from outside
 * by themselves, with the client's address seen by the pod (bpf/lib/direct.h). Says where that cannot hold,
 * and why; such traffic goes back through the node that took it. Called by service.c and service_advice.c.
 */
#include "compile/service.h"
#include "seam/config.h"

bool direct_wanted(const struct object *service)
{
	const struct str *v = strmap_get(&service->meta.annotations, STR(DIRECT_ANNOTATION));
	return v && str_eqz(*v, "direct-return");
}

/* Local needs no help: its backends are where the packet is. */
static bool is_local(const struct cservice *s)
{
	return str_eqz(s->o->service->spec->external_traffic_policy, "Local");
}

bool direct_is_on(const struct compiler *c, const struct cservice *s)
{
	return direct_wanted(s->o) && c->cfg.mode == MODE_VXLAN && !is_local(s);
}

static bool is_node(const struct compiler *c, struct str text)
{
	struct addr a;
	if (addr_parse(text, &a))
		return false;
	HASH_EACH (&c->nodes, h) {
		const struct cnode *n = h->value;
		VEC_EACH (&n->addrs, have)
			if (addr_eq(&(*have)->a, &a))
				return true;
	}
	return false;
}

/* The first endpoint on a node's own network; NULL: none. */
static const struct str *host_endpoint(const struct compiler *c, const struct cservice *s)
{
	VEC_EACH (&s->slices, it) {
		const struct endpoint_list *l = &(*it)->endpointslice->endpoints;
		for (size_t i = 0; i < l->len; i++)
			if (l->items[i].addresses.len && is_node(c, l->items[i].addresses.items[0]))
				return &l->items[i].addresses.items[0];
	}
	return NULL;
}

static const struct cnode *wide_node(const struct compiler *c)
{
	HASH_EACH (&c->nodes, h)
		if (node_is_wide6(h->value))
			return h->value;
	return NULL;
}

/* Parts of the traffic that go back through the node that took them. */
static void advise_parts(struct compiler *c, const struct cservice *s, struct pos at)
{
	const struct str *host = host_endpoint(c, s);
	const struct cnode *wide = service_has_family(s, false) ? wide_node(c) : NULL;
	if (host)
		remark_add(c->remarks, REMARK_HINT, at, "run its pods without hostNetwork",
			   "endpoint " STR_FMT
			   " is on its node's own network: what it serves for other nodes "
			   "returns through them, and it sees their addresses",
			   STR_ARG(*host));
	if (wide)
		remark_add(c->remarks, REMARK_HINT, at, "give nodes IPv6 pod ranges of /64 or longer",
			   "the IPv6 pod range of node " STR_FMT
			   " is wider than /64: IPv6 answers of its pods "
			   "return through the node that took the packet",
			   STR_ARG(wide->name));
}

void advise_direct(struct compiler *c, const struct cservice *s)
{
	const struct str *v = strmap_get(&s->o->meta.annotations, STR(DIRECT_ANNOTATION));
	if (!v)
		return;
	struct pos at = object_pos(s->o, v);
	if (!direct_wanted(s->o))
		remark_add(c->remarks, REMARK_WARNING, at, "\"direct-return\" is known",
			   "\"" STR_FMT "\" is no way to forward that we know", STR_ARG(*v));
	else if (!service_is_outside(s))
		remark_add(c->remarks, REMARK_WARNING, at, "leave it out",
			   "nobody outside the cluster reaches this Service, so nothing returns directly");
	else if (is_local(s))
		remark_add(c->remarks, REMARK_HINT, at, "leave it out",
			   "with externalTrafficPolicy Local every answer is direct already");
	else if (c->cfg.mode != MODE_VXLAN)
		remark_add(c->remarks, REMARK_WARNING, at, "use --mode vxlan, or externalTrafficPolicy Local",
			   "direct return needs the tunnel: with routes, answers of other nodes' pods return "
			   "through the node that took the packet");
	else
		advise_parts(c, s, at);
}
