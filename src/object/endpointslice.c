/* SPDX-License-Identifier: Apache-2.0 */
/* EndpointSlices: addresses of the slice's family, and ports by name. */
#include "base/addr.h"
#include "object/check.h"

enum { ENDPOINTS_MAX = 1000, PORTS_MAX = 100 };

static void check_endpoint(struct check *c, struct str type, const struct endpoint *e)
{
	if (!e->addresses.len)
		check_fail(c, &e->addresses, NULL, "required, but missing");
	for (size_t i = 0; i < e->addresses.len; i++) {
		struct addr a;
		const struct str *s = &e->addresses.items[i];
		if (!addr_parse(*s, &a) && !str_eqz(type, addr_is4(&a) ? "IPv4" : "IPv6"))
			check_fail(c, s, "make a slice for each family",
				   STR_FMT " does not go with addressType " STR_FMT, STR_ARG(*s),
				   STR_ARG(type));
	}
	if (e->hostname.n)
		check_rule(c, &e->hostname, e->hostname, syntax_dns_label(e->hostname), "host name");
}

static void check(struct check *c)
{
	const struct endpointslice *s = c->o->endpointslice;
	for (size_t i = 0; i < s->endpoints.len; i++)
		check_endpoint(c, s->address_type, &s->endpoints.items[i]);
	if (s->endpoints.len > ENDPOINTS_MAX)
		check_fail(c, &s->endpoints, "split the slice", "%zu endpoints are more than %d",
			   s->endpoints.len, (int)ENDPOINTS_MAX);
	if (s->ports.len > PORTS_MAX) {
		check_fail(c, &s->ports, "split the slice", "%zu ports are more than %d", s->ports.len,
			   (int)PORTS_MAX);
		return;
	}
	for (size_t i = 0; i < s->ports.len; i++) {
		const struct endpoint_port *p = &s->ports.items[i];
		if (p->name.n)
			check_rule(c, &p->name, p->name, syntax_dns_label(p->name), "port name");
		for (size_t k = 0; k < i; k++)
			if (str_eq(p->name, s->ports.items[k].name))
				check_fail(c, &p->name, NULL, "the name \"" STR_FMT "\" is given twice",
					   STR_ARG(p->name));
	}
}

static int defaults(struct object *o)
{
	for (size_t i = 0; i < o->endpointslice->ports.len; i++)
		default_str(&o->endpointslice->ports.items[i].protocol, "TCP");
	return 0;
}

const struct kind_rules endpointslice_rules = {.check = check, .defaults = defaults};
