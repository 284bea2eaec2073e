/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remarks on Services and hostPorts that were told in this run: what takes addresses of others, what somebody
 * else took first, and what does nothing. Changes nothing; called by advice.c when all is settled.
 */
#include <arpa/inet.h>

#include "compile/service.h"
#include "seam/class.h"

enum { NODE_PORT_LOW = 30000, NODE_PORT_HIGH = 32767 };

static bool is_announced(const struct compiler *c, const struct addr *a)
{
	return row_find(&c->rows, ROW_ADDRESS, 0, a) != NULL;
}

/* Whose address an external IP is; empty: nobody's that we know. */
static void whose(const struct compiler *c, const struct addr *a, struct buf *out)
{
	const struct prefix *services[] = {&c->cfg.services4, &c->cfg.services6};
	const struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_address, a);
	if (r && r->want && r->want->src && r->want->src->text)
		buf_printf(out, ", which is an address of %s", r->want->src->text);
	for (int i = 0; i < 2 && !out->n; i++)
		if (services[i]->len && prefix_has(services[i], a))
			buf_addz(out, ", which lies in the range of cluster addresses");
	if (!out->n && is_announced(c, a))
		buf_addz(out, ", which a node announces for a balancer");
}

/* SV45 */
static void advise_external(struct compiler *c, const struct cservice *s)
{
	const struct strlist *l = &s->o->service->spec->external_ips;
	for (size_t i = 0; i < l->len; i++) {
		struct addr a;
		AUTO_BUF of = {0};
		if (!service_address(l->items[i], &a))
			continue;
		whose(c, &a, &of);
		if (c->cfg.no_external_ips)
			remark_add(c->remarks, REMARK_WARNING, object_pos(s->o, &l->items[i]),
				   "use type LoadBalancer with an AddressPool",
				   "externalIPs are switched off: nobody answers for " STR_FMT " here",
				   STR_ARG(l->items[i]));
		else
			remark_add(c->remarks, REMARK_WARNING, object_pos(s->o, &l->items[i]),
				   "`weft up --no-external-ips` switches externalIPs off",
				   "every node takes what goes to " STR_FMT "%s, for this Service",
				   STR_ARG(l->items[i]), of.n ? of.p : "");
	}
}

/* What the first by name has, others do not get. */
static void advise_claims(struct compiler *c, const struct owner *ow, const struct object *o)
{
	VEC_EACH (&ow->rows, it) {
		const struct prow *r = *it;
		struct service_key k;
		struct addr a;
		char text[ADDR_TEXT];
		if (r->type != ROW_MAP || r->table != PLAN_MAP_service || !r->want || r->want->owner == ow)
			continue;
		memcpy(&k, r->key, sizeof(k));
		if (!k.proto)
			continue;
		memcpy(&a, &k.addr, sizeof(a));
		addr_print(&a, text);
		const struct rowval *mine = r->want;
		while (mine && mine->owner != ow)
			mine = mine->next;
		remark_add(
		    c->remarks, REMARK_WARNING, mine && mine->member ? object_pos(o, mine->member) : o->pos,
		    "it is served as soon as the other lets go of it", "port %u of %s belongs to %s already",
		    ntohs(k.port), text, r->want->src->text ? r->want->src->text : "another");
	}
}

static void advise_annotation(struct compiler *c, const struct cservice *s)
{
	const struct str *v = strmap_get(&s->o->meta.annotations, STR(MAGLEV_ANNOTATION));
	if (v && !maglev_wanted(s->o))
		remark_add(c->remarks, REMARK_WARNING, object_pos(s->o, v), "\"maglev\" is known",
			   "\"" STR_FMT "\" is no way to balance load that we know", STR_ARG(*v));
}

void advise_service(struct compiler *c, const struct cservice *s)
{
	const struct service_spec *spec = s->o ? s->o->service->spec : NULL;
	if (!spec || !service_served(s))
		return;
	advise_external(c, s);
	advise_claims(c, &s->owner, s->o);
	advise_annotation(c, s);
	if (spec->load_balancer_source_ranges.len && !str_eqz(spec->type, "LoadBalancer"))
		remark_add(c->remarks, REMARK_WARNING, object_pos(s->o, &spec->load_balancer_source_ranges),
			   "they bind the addresses of a balancer; give it type LoadBalancer",
			   "loadBalancerSourceRanges do nothing for a Service that has no balancer");
}

static void advise_host_port(struct compiler *c, const struct cpod *p, const struct container_port *port,
			     void *ctx)
{
	int64_t n = port->host_port.v;
	bool taken = false;
	(void)ctx;
	/* SV47 */
	if (n >= NODE_PORT_LOW && n <= NODE_PORT_HIGH)
		remark_add(
		    c->remarks, REMARK_WARNING, object_pos(p->o, &port->host_port), "take one below 30000",
		    "hostPort %u lies in the range of node ports: a Service may get it too", (unsigned)n);
	VEC_EACH (&c->self->addrs, a)
		taken |= host_port_takes(port, &(*a)->a);
	if (!taken)
		remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, &port->host_ip),
			   "leave hostIP out for all addresses of the node",
			   "hostIP " STR_FMT " is no address of node " STR_FMT
			   ": hostPort %u is reached by nobody",
			   STR_ARG(port->host_ip), STR_ARG(c->cfg.node), (unsigned)n);
}

void advise_host_ports(struct compiler *c, const struct cpod *p)
{
	if (!p->local || !c->self)
		return;
	each_host_port(c, p, advise_host_port, NULL);
	if (p->hostports)
		advise_claims(c, &p->link, p->o);
}
