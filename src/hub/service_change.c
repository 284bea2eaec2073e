/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Service that changes its type: members that only the old type had, and that stand there unchanged since a
 * client sends back what it read, go away, so that ports and addresses are free (SV25, SV38). Called for
 * writes of the API.
 */
#include "hub/admit.h"

static bool reached_from_outside(const struct service_spec *s)
{
	return str_eqz(s->type, "NodePort") || str_eqz(s->type, "LoadBalancer");
}

static bool same(const struct opt_int *a, const struct opt_int *b)
{
	return a->set && b->set && a->v == b->v;
}

static void drop_ports(struct service_spec *s, const struct service_spec *was)
{
	for (size_t i = 0; i < s->ports.len; i++)
		for (size_t k = 0; k < was->ports.len; k++)
			if (same(&s->ports.items[i].node_port, &was->ports.items[k].node_port)) {
				s->ports.items[i].node_port = (struct opt_int){0};
				break;
			}
}

static bool health(const struct service_spec *s)
{
	return str_eqz(s->type, "LoadBalancer") && str_eqz(s->external_traffic_policy, "Local");
}

void service_settle(struct object *o, const struct object *old)
{
	struct service_spec *s = o->service->spec;
	const struct service_spec *was = old->service->spec;
	if (!s || !was)
		return;
	if (!health(s) && health(was) && same(&s->health_check_node_port, &was->health_check_node_port))
		s->health_check_node_port = (struct opt_int){0};
	if (str_eq(s->type, was->type))
		return;
	if (!reached_from_outside(s)) {
		drop_ports(s, was);
		if (!s->external_ips.len && str_eq(s->external_traffic_policy, was->external_traffic_policy))
			s->external_traffic_policy = (struct str){0};
	}
	if (str_eqz(was->type, "LoadBalancer")) {
		s->allocate_load_balancer_node_ports = (struct opt_bool){0};
		s->load_balancer_source_ranges = (struct strlist){0};
		s->load_balancer_class = s->load_balancer_ip = (struct str){0};
	}
	if (str_eqz(s->type, "ExternalName") && str_eq(s->cluster_ip, was->cluster_ip)) {
		s->cluster_ip = (struct str){0};
		s->cluster_ips = s->ip_families = (struct strlist){0};
		s->ip_family_policy = s->internal_traffic_policy = (struct str){0};
	}
	if (str_eqz(was->type, "ExternalName") && str_eq(s->external_name, was->external_name))
		s->external_name = (struct str){0};
}
