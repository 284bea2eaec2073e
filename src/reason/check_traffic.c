/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic that is meant to pass and does not: questions to the cluster's DNS, probes to other pods. Asked of
 * the compiled policies. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/own.h"
#include "reason/checks.h"
#include "reason/prove.h"
#include "reason/select.h"
#include "seam/policy.h"

static bool is_dns(const struct end *e)
{
	const struct str *app = e->kind == END_POD && str_eqz(e->ns, "kube-system")
				    ? strmap_get(&e->o[0]->meta.labels, STR("k8s-app"))
				    : NULL;
	return app && str_eqz(*app, "kube-dns");
}

/* What a packet from one end to the other gets, over the first family that both have. */
static bool ask(struct check_run *c, const struct end *src, const struct end *dst, uint8_t proto,
		uint16_t port, struct decision *out)
{
	struct packet p = {.src = (size_t)(src - c->ends.list.items),
			   .dst = (size_t)(dst - c->ends.list.items),
			   .proto = proto,
			   .port = port};

	while (p.family < FAMILIES && !(src->has[p.family] && dst->has[p.family]))
		p.family++;
	if (p.family == FAMILIES || !ends_judged(src, dst))
		return false;
	int e = decide(&c->ends, &p, out);
	c->error = e ? e : c->error;
	return !e;
}

/* The pod may send anything to anybody. */
static bool calls_somebody(struct check_run *c, const struct group *g)
{
	for (size_t h = 0; h < c->ends.groups.len; h++)
		for (int f = 0; f < FAMILIES; f++) {
			const struct group *dst = &c->ends.groups.items[h];
			uint32_t egress, ingress;
			if (!g->has[f] || !dst->has[f] ||
			    groups_fns(&c->ends, 0, g, dst, f, &egress, &ingress))
				continue;
			const struct port_fn *fn = port_fn(c->ends.fns, egress);
			for (size_t i = 0; i < fn->n; i++)
				if (fn->ranges[i].word != PORT_DENY)
					return true;
		}
	return false;
}

/* DNS is cut off from a group; told at the rule that denies it, or at the first policy that isolates its
 * egress. */
static void tell_dns(struct check_run *c, const struct end *pod, size_t n, uint32_t rule)
{
	struct object_refs list = {0};
	AUTO_BUF more = {0};

	c->error = policies_isolating(c->s, pod->o[0], true, c->opt->staged, &list);
	if (n > 1)
		buf_printf(&more, " and %zu more", n - 1);
	if (rule >= RULE_FIRST) {
		finding_add(c->out, CHECK_dns_cut, engine_rule(c->ends.engines[0], rule, NULL).pos, NULL,
			    STR_FMT "/" STR_FMT
				    "%s may call others but cannot ask the cluster's DNS (UDP 53), "
				    "by this rule",
			    STR_ARG(pod->ns), STR_ARG(pod->workload), more.p ? more.p : "");
	} else if (list.list.len) {
		const struct object *o = list.list.items[0];
		finding_add(c->out, CHECK_dns_cut, object_pos(o, &o->networkpolicy->spec->pod_selector), NULL,
			    STR_FMT "/" STR_FMT
				    "%s may call others but cannot ask the cluster's DNS (UDP 53)",
			    STR_ARG(pod->ns), STR_ARG(pod->workload), more.p ? more.p : "");
	}
	vec_free(&list.list);
}

static void check_dns(struct check_run *c)
{
	const struct end *dns = NULL;

	VEC_EACH (&c->ends.list, e)
		dns = dns ? dns : is_dns(e) ? e : NULL;
	if (!dns)
		return;
	VEC_EACH (&c->ends.groups, g) {
		const struct end *pod = &c->ends.list.items[g->ends.items[0]];
		struct decision d;
		if (g->kind != END_POD || g->by[0].egress == SET_NONE || is_dns(pod) ||
		    !ask(c, pod, dns, IPPROTO_UDP, 53, &d) || d.egress.word != PORT_DENY ||
		    !calls_somebody(c, g))
			continue;
		tell_dns(c, pod, g->ends.len, d.egress.rule);
	}
}

struct target {
	const struct end *end;
	uint16_t port;
};

static uint16_t port_number(const struct intstr *p, const struct end *owner)
{
	const struct pod_spec *spec = owner->o[0]->pod->spec;

	if (p->type == INTSTR_INT)
		return (uint16_t)p->i;
	for (size_t i = 0; spec && i < spec->containers.len; i++)
		for (size_t k = 0; k < spec->containers.items[i].ports.len; k++)
			if (str_eq(spec->containers.items[i].ports.items[k].name, p->s))
				return (uint16_t)spec->containers.items[i].ports.items[k].container_port.v;
	return 0;
}

/* The pod with that address, or one behind the Service of that name or address. */
static const struct end *host_pod(const struct check_run *c, const struct end *from, struct str host)
{
	struct addr a;
	struct object_refs services = {0};
	const struct end *hit = NULL;
	bool literal = !addr_parse(host, &a);
	struct str rest = host, name = str_cut(&rest, '.'), ns = str_cut(&rest, '.');

	VEC_EACH (&c->ends.list, e)
		if (literal && e->kind == END_POD &&
		    ((e->has[0] && addr_eq(&e->addr[0][0], &a)) ||
		     (e->has[1] && addr_eq(&e->addr[0][1], &a))))
			return e;
	if (store_list(c->s, KIND_service, STR(""), &services))
		return NULL;
	VEC_EACH (&services.list, o) {
		const struct service_spec *spec = (*o)->service->spec;
		bool meant = spec && (literal ? str_eq(spec->cluster_ip, host)
					      : str_eq((*o)->meta.name, name) &&
						    str_eq((*o)->meta.ns, ns.n ? ns : from->ns));
		for (size_t i = 0; meant && spec->selector.len && !hit && i < c->ends.list.len; i++) {
			const struct end *e = &c->ends.list.items[i];
			if (e->kind == END_POD && str_eq(e->ns, (*o)->meta.ns) &&
			    strmap_contains(&e->o[0]->meta.labels, &spec->selector))
				hit = e;
		}
	}
	vec_free(&services.list);
	return hit;
}

static void check_host(struct check_run *c, const struct end *pod, struct str *host,
		       const struct intstr *port)
{
	const struct end *to = host->n ? host_pod(c, pod, *host) : NULL;
	uint16_t number = to ? port_number(port, pod) : 0;
	struct decision d;

	if (!to || to == pod || !number)
		return;
	VEC_EACH (&c->ends.list, node) {
		if (node->kind != END_NODE || str_eq(node->name, to->node) ||
		    !ask(c, node, to, IPPROTO_TCP, number, &d) || d.word != PORT_DENY)
			continue;
		finding_add(c->out, CHECK_probe_blocked, object_pos(pod->o[0], host), NULL,
			    "this probe goes to " STR_FMT "/" STR_FMT
			    " on port %u, whose policies refuse nodes "
			    "other than its own",
			    STR_ARG(to->ns), STR_ARG(to->workload), number);
		return;
	}
}

static void check_probe(struct check_run *c, const struct end *pod, struct probe *p)
{
	if (p && p->http_get)
		check_host(c, pod, &p->http_get->host, &p->http_get->port);
	if (p && p->tcp_socket)
		check_host(c, pod, &p->tcp_socket->host, &p->tcp_socket->port);
}

static bool same_workload(const struct end *a, const struct end *b)
{
	return a->kind == b->kind && str_eq(a->ns, b->ns) && str_eq(a->workload, b->workload);
}

void check_traffic(struct check_run *c)
{
	check_dns(c);
	for (size_t i = 0; i < c->ends.list.len; i++) {
		const struct end *e = &c->ends.list.items[i];
		const struct pod_spec *spec = e->kind == END_POD ? e->o[0]->pod->spec : NULL;
		if (!spec || (i && same_workload(e, e - 1))) /* one pod speaks for its workload */
			continue;
		for (size_t k = 0; k < spec->containers.len; k++) {
			check_probe(c, e, spec->containers.items[k].liveness_probe);
			check_probe(c, e, spec->containers.items[k].readiness_probe);
			check_probe(c, e, spec->containers.items[k].startup_probe);
		}
	}
}
