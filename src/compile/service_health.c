/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What balancers ask a node: how many endpoints of a Service with externalTrafficPolicy Local are ready here.
 * Endpoints that end do not count, though connections to them go on (SV39, SV40). Called by the agent.
 */
#include "compile/service.h"

struct counted {
	VEC(struct addr) list;
};

/* Each address once: it may have several ports, and stand in several slices. */
static void count(struct counted *seen, const struct endpoint *e)
{
	struct addr a;
	if (!e->addresses.len || addr_parse(e->addresses.items[0], &a))
		return;
	VEC_EACH (&seen->list, s)
		if (addr_eq(s, &a))
			return;
	(void)vec_push(&seen->list, a); /* one too few when out of memory */
}

static unsigned ready_here(const struct compiler *c, const struct cservice *s)
{
	struct counted seen = {0};
	bool four = service_has_family(s, true); /* pods of two families count once */
	VEC_EACH (&s->slices, it) {
		const struct endpointslice *es = (*it)->endpointslice;
		if (!str_eqz(es->address_type, four ? "IPv4" : "IPv6"))
			continue;
		for (size_t i = 0; i < es->endpoints.len; i++) {
			const struct endpoint *e = &es->endpoints.items[i];
			bool ends = e->conditions && e->conditions->terminating.v;
			if (endpoint_ready(e) && !ends && str_eq(e->node_name, c->cfg.node))
				count(&seen, e);
		}
	}
	unsigned n = (unsigned)seen.list.len;
	vec_free(&seen.list);
	return n;
}

void compiler_health(const struct compiler *c, compiler_health_fn *fn, void *ctx)
{
	VEC_EACH (&c->checked_services, it) {
		const struct cservice *s = *it;
		struct compiler_health h = {.port = (uint16_t)s->o->service->spec->health_check_node_port.v,
					    .ns = s->o->meta.ns,
					    .name = s->o->meta.name,
					    .ready = ready_here(c, s)};
		fn(ctx, &h);
	}
}
