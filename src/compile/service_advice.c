/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remarks on Services and hostPorts that were told in this run: what takes addresses of others, what somebody
 * else took first, and what does nothing. Changes nothing; called by advice.c when all is settled.
 */
#include <arpa/inet.h>

#include "compile/service.h"
#include "seam/class.h"

static bool is_announced(const struct compiler *c, const struct addr *a)
{
	return row_find(&c->rows, ROW_ADDRESS, 0, a) != NULL;
}

/* Whose address an external IP is; empty: nobody's that we know. */
static void whose(const struct compiler *c, const struct addr *a, struct buf *out)
{
	const struct prow *r = row_find(&c->rows, ROW_MAP, PLAN_MAP_address, a);
	if (r && r->want && r->want->src && r->want->src->text)
		buf_printf(out, ", which is an address of %s", r->want->src->text);
	else if (is_announced(c, a))
		buf_addz(out, ", which this node announces for a balancer");
}

/* SV45 */
static void advise_external_ip(struct compiler *c, const struct cservice *s, const struct str *text)
{
	struct pos at = object_pos(s->o, text);
	struct addr a;
	AUTO_BUF of = {0};
	if (!service_address(*text, &a))
		return;
	whose(c, &a, &of);
	if (c->cfg.no_external_ips)
		remark_add(c->remarks, REMARK_WARNING, at, "use type LoadBalancer with an AddressPool",
			   "externalIPs are switched off: nobody answers for " STR_FMT " here",
			   STR_ARG(*text));
	else if (!service_takes_external(c, &a))
		remark_add(c->remarks, REMARK_WARNING, at, "ask for it as clusterIP",
			   STR_FMT " lies in the range of cluster addresses and is not served",
			   STR_ARG(*text));
	else
		remark_add(c->remarks, REMARK_WARNING, at,
			   "`weft up --no-external-ips` switches externalIPs off",
			   "every node takes what goes to " STR_FMT "%s, for this Service", STR_ARG(*text),
			   of.n ? of.p : "");
}

static void advise_external(struct compiler *c, const struct cservice *s)
{
	const struct strlist *l = &s->o->service->spec->external_ips;
	for (size_t i = 0; i < l->len; i++)
		advise_external_ip(c, s, &l->items[i]);
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
	advise_direct(c, s);
}

/* A range of node ports is the object's own remark (SV47). */
static void advise_host_port(struct compiler *c, const struct cpod *p, const struct container_port *port,
			     void *ctx)
{
	bool taken = false;
	(void)ctx;
	VEC_EACH (&c->self->addrs, a)
		taken |=
		    !addr_is_zero(&p->addr[addr_is4(&(*a)->a) ? 0 : 1].a) && host_port_takes(port, &(*a)->a);
	if (!taken)
		remark_add(c->remarks, REMARK_WARNING, object_pos(p->o, &port->host_ip),
			   "leave hostIP out for all addresses of the node",
			   "nobody reaches hostPort %u: " STR_FMT " is no address of node " STR_FMT
			   " in a family that the pod has",
			   (unsigned)port->host_port.v, STR_ARG(port->host_ip), STR_ARG(c->cfg.node));
}

void advise_host_ports(struct compiler *c, const struct cpod *p)
{
	if (!p->local || !c->self)
		return;
	each_host_port(c, p, advise_host_port, NULL);
	if (p->hostports)
		advise_claims(c, &p->link, p->o);
}
