/* SPDX-License-Identifier: Apache-2.0 */
/* Services: ports, addresses and types that go together, and what is set where it was left out. */
#include "base/addr.h"
#include "object/check.h"

static bool has_type(const struct service_spec *s, const char *type)
{
	return s->type.n ? str_eqz(s->type, type) : !strcmp(type, "ClusterIP");
}

static bool reached_from_outside(const struct service_spec *s)
{
	return has_type(s, "NodePort") || has_type(s, "LoadBalancer");
}

static bool same_protocol(struct str a, struct str b)
{
	return str_eq(a.n ? a : STR("TCP"), b.n ? b : STR("TCP"));
}

static void check_against(struct check *c, const struct service_port *p, const struct service_port *before)
{
	if (p->name.n && str_eq(p->name, before->name))
		check_fail(c, &p->name, "give each port a name of its own",
			   "the name \"" STR_FMT "\" is given twice", STR_ARG(p->name));
	if (!same_protocol(p->protocol, before->protocol))
		return;
	if (p->port.set && before->port.set && p->port.v == before->port.v)
		check_fail(c, &p->port, "each port and protocol may stand once", "port %lld is given twice",
			   (long long)p->port.v);
	if (p->node_port.set && before->node_port.set && p->node_port.v &&
	    p->node_port.v == before->node_port.v)
		check_fail(c, &p->node_port, NULL, "node port %lld is given twice",
			   (long long)p->node_port.v);
}

static void check_node_port(struct check *c, const struct service_spec *s, const struct service_port *p)
{
	if (!p->node_port.set || !p->node_port.v)
		return;
	if (!reached_from_outside(s))
		check_fail(c, &p->node_port, "set type: NodePort, or remove nodePort",
			   "only for the types NodePort and LoadBalancer");
	else if (p->node_port.v < NODE_PORT_MIN || p->node_port.v > NODE_PORT_MAX)
		check_fail(c, &p->node_port, NULL, "%lld is not in the range of node ports, %d to %d",
			   (long long)p->node_port.v, NODE_PORT_MIN, NODE_PORT_MAX);
}

static void check_ports(struct check *c, const struct service_spec *s)
{
	bool headless = str_eqz(s->cluster_ip, "None");
	if (!s->ports.len && !headless && !has_type(s, "ExternalName"))
		check_fail(c, &s->ports, "only a headless Service may have no ports",
			   "required, but missing");
	for (size_t i = 0; i < s->ports.len; i++) {
		const struct service_port *p = &s->ports.items[i];
		if (s->ports.len > 1 && !p->name.n)
			check_fail(c, &p->name, "where a Service has several ports, each needs a name",
				   "required, but missing");
		check_port(c, &p->target_port);
		check_node_port(c, s, p);
		for (size_t k = 0; k < i && i < 200; k++)
			check_against(c, p, &s->ports.items[k]);
	}
}

static void check_one_cluster_ip(struct check *c, const struct str *ip)
{
	struct addr a;
	if (ip->n && !str_eqz(*ip, "None") && addr_parse(*ip, &a))
		check_fail(c, ip, "write an IP address, None for a headless Service, or leave it out",
			   "\"" STR_FMT "\" is not an IP address", STR_ARG(*ip));
}

static void check_cluster_ips(struct check *c, const struct service_spec *s)
{
	bool headless = str_eqz(s->cluster_ip, "None");
	check_one_cluster_ip(c, &s->cluster_ip);
	for (size_t i = 0; i < s->cluster_ips.len; i++)
		check_one_cluster_ip(c, &s->cluster_ips.items[i]);
	check_families(c, &s->cluster_ips);
	if (s->cluster_ips.len && !str_eq(s->cluster_ip, s->cluster_ips.items[0]))
		check_fail(c, &s->cluster_ips.items[0], "write the same address first",
			   "differs from clusterIP, \"" STR_FMT "\"", STR_ARG(s->cluster_ip));
	if (headless && reached_from_outside(s))
		check_fail(c, &s->cluster_ip, "a headless Service has the type ClusterIP",
			   "None does not go with type " STR_FMT, STR_ARG(s->type));
	check_distinct(c, &s->ip_families);
	if (str_eqz(s->ip_family_policy, "SingleStack") && (s->ip_families.len > 1 || s->cluster_ips.len > 1))
		check_fail(c, &s->ip_family_policy, "use PreferDualStack or RequireDualStack",
			   "SingleStack does not go with two families");
}

static void check_external_name(struct check *c, const struct service_spec *s)
{
	struct str name = s->external_name;
	if (!has_type(s, "ExternalName"))
		return;
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n)
		check_fail(c, &s->external_name, "name the host that this Service stands for",
			   "required, but missing");
	else
		check_rule(c, &s->external_name, name, syntax_dns_subdomain(name), "DNS name");
	if (s->cluster_ip.n)
		check_fail(c, &s->cluster_ip, "remove it", "does not go with type ExternalName");
}

static void check_balancer(struct check *c, const struct service_spec *s)
{
	struct addr a;
	bool balancer = has_type(s, "LoadBalancer");
	const struct opt_int *health = &s->health_check_node_port;
	if (health->set && health->v && !(balancer && str_eqz(s->external_traffic_policy, "Local")))
		check_fail(c, health, "remove it",
			   "only for type LoadBalancer with externalTrafficPolicy: Local");
	else if (health->set && health->v && (health->v < NODE_PORT_MIN || health->v > NODE_PORT_MAX))
		check_fail(c, health, NULL, "%lld is not in the range of node ports, %d to %d",
			   (long long)health->v, NODE_PORT_MIN, NODE_PORT_MAX);
	if (s->load_balancer_source_ranges.len && !balancer)
		check_fail(c, &s->load_balancer_source_ranges, "set type: LoadBalancer, or remove it",
			   "only for type LoadBalancer");
	if (s->load_balancer_class.n && !balancer)
		check_fail(c, &s->load_balancer_class, "set type: LoadBalancer, or remove it",
			   "only for type LoadBalancer");
	if (s->load_balancer_ip.n && addr_parse(s->load_balancer_ip, &a))
		check_fail(c, &s->load_balancer_ip, "write one IP address, or leave it out",
			   "\"" STR_FMT "\" is not an IP address", STR_ARG(s->load_balancer_ip));
}

static void check_affinity(struct check *c, const struct service_spec *s)
{
	const struct affinity_config *config = s->session_affinity_config;
	if (!config || !config->client_ip)
		return;
	if (!str_eqz(s->session_affinity, "ClientIP"))
		check_fail(c, &s->session_affinity_config, "set sessionAffinity: ClientIP, or remove it",
			   "only for sessionAffinity ClientIP");
	check_range(c, &config->client_ip->timeout_seconds, 1, 86400);
}

static void check_distribution(struct check *c, const struct service_spec *s)
{
	struct str d = s->traffic_distribution;
	if (d.n && !str_eqz(d, "PreferClose") && !str_eqz(d, "PreferSameZone") &&
	    !str_eqz(d, "PreferSameNode"))
		check_fail(c, &s->traffic_distribution, "write PreferClose, PreferSameZone or PreferSameNode",
			   "\"" STR_FMT "\" is not known", STR_ARG(d));
}

static void check(struct check *c)
{
	const struct service_spec *s = c->o->service->spec;
	if (!s) {
		check_fail(c, &c->o->service->spec, "add spec with ports", "required, but missing");
		return;
	}
	check_labels(c, &s->selector);
	check_ports(c, s);
	check_cluster_ips(c, s);
	check_external_name(c, s);
	if (s->external_traffic_policy.n && !reached_from_outside(s) && !s->external_ips.len)
		check_fail(c, &s->external_traffic_policy, "set type: NodePort or LoadBalancer, or remove it",
			   "only for Services that are reached from outside");
	check_balancer(c, s);
	check_affinity(c, s);
	check_distribution(c, s);
}

static int defaults(struct object *o)
{
	struct service_spec *s = o->service->spec;
	if (!s)
		return 0;
	default_str(&s->type, "ClusterIP");
	default_str(&s->session_affinity, "None");
	for (size_t i = 0; i < s->ports.len; i++) {
		struct service_port *p = &s->ports.items[i];
		default_str(&p->protocol, "TCP");
		if (!p->node_port.v)
			p->node_port.set = false;
		if (p->target_port.type == INTSTR_UNSET)
			p->target_port = (struct intstr){.type = INTSTR_INT, .i = p->port.v};
	}
	if (has_type(s, "ExternalName"))
		return 0;
	default_str(&s->internal_traffic_policy, "Cluster");
	default_str(&s->ip_family_policy, "PreferDualStack");
	if (reached_from_outside(s))
		default_str(&s->external_traffic_policy, "Cluster");
	if (!s->health_check_node_port.v)
		s->health_check_node_port.set = false;
	if (has_type(s, "LoadBalancer"))
		default_bool(&s->allocate_load_balancer_node_ports, true);
	return 0;
}

const struct kind_rules service_rules = {.check = check, .defaults = defaults};
