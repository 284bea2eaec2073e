/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostPorts of the pods of this node: each is taken on the addresses of the node, inside and from outside,
 * and leads to the one pod. Called by pod.c among the rows of a wired pod.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "compile/service.h"

struct hostports {
	VEC(struct backend_list *) lists; /* with a reference for each */
};

static bool any_address(struct str ip)
{
	return !ip.n || str_eqz(ip, "0.0.0.0") || str_eqz(ip, "::");
}

bool host_port_takes(const struct container_port *port, const struct addr *node)
{
	struct addr a;
	if (!port->host_ip.n)
		return true;
	if (any_address(port->host_ip))
		return addr_is4(node) == str_eqz(port->host_ip, "0.0.0.0");
	return !addr_parse(port->host_ip, &a) && addr_eq(&a, node);
}

static void each_in(struct compiler *c, const struct cpod *p, const struct container_list *l, bool sidecars,
		    host_port_fn *fn, void *ctx)
{
	for (size_t i = 0; i < l->len; i++) {
		const struct container *k = &l->items[i];
		if (sidecars && !str_eqz(k->restart_policy, "Always"))
			continue;
		for (size_t j = 0; j < k->ports.len; j++)
			if (k->ports.items[j].host_port.v)
				fn(c, p, &k->ports.items[j], ctx);
	}
}

void each_host_port(struct compiler *c, const struct cpod *p, host_port_fn *fn, void *ctx)
{
	const struct pod_spec *spec = p->o ? p->o->pod->spec : NULL;
	if (!spec || spec->host_network.v)
		return;
	each_in(c, p, &spec->containers, false, fn, ctx);
	each_in(c, p, &spec->init_containers, true, fn, ctx);
}

static struct backend_list *pod_list(struct compiler *c, const struct cpod *p, const struct addr *a,
				     const struct container_port *port)
{
	struct backend_value v = {.port = htons((uint16_t)port->container_port.v)};
	struct backends b = {.list = {.items = &v, .len = 1}};
	memcpy(&v.addr, a, sizeof(v.addr));
	struct backend_list *l = list_take(c, &b);
	if (l && vec_push(&p->hostports->lists, l)) {
		list_unref(c, l);
		c->failed = true;
		return NULL;
	}
	return l;
}

static void put_host_port(struct compiler *c, const struct cpod *pod, const struct container_port *port,
			  void *ctx)
{
	struct cpod *p = ctx; /* the same */
	(void)pod;
	if (!p->hostports && !(p->hostports = calloc(1, sizeof(*p->hostports)))) {
		c->failed = true;
		return;
	}
	VEC_EACH (&c->self->addrs, it) {
		const struct addr *node = &(*it)->a, *own = &p->addr[addr_is4(node) ? 0 : 1].a;
		if (addr_is_zero(own) || !host_port_takes(port, node))
			continue;
		struct backend_list *l = pod_list(c, p, own, port);
		if (!l)
			return;
		struct service_key k = {.port = htons((uint16_t)port->host_port.v),
					.proto = proto_number(port->protocol)};
		struct service_value v = {.list = l->id,
					  .count = l->count,
					  .out_list = l->id,
					  .out_count = l->count,
					  .flags = SERVICE_OUTSIDE_TOO,
					  .service = p->ifindex};
		memcpy(&k.addr, node, sizeof(k.addr));
		list_rows(c, &p->link, l, &p->src, port);
		put_map(c, &p->link, PLAN_MAP_service, &k, &v, &p->src, port);
	}
}

struct hostports *host_ports_begin(struct cpod *p)
{
	struct hostports *was = p->hostports;
	p->hostports = NULL;
	return was;
}

void host_ports_rows(struct compiler *c, struct cpod *p)
{
	if (c->self)
		each_host_port(c, p, put_host_port, p);
}

void host_ports_release(struct compiler *c, struct hostports *h)
{
	if (!h)
		return;
	VEC_EACH (&h->lists, l)
		list_unref(c, *l);
	vec_free(&h->lists);
	free(h);
}
