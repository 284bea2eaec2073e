/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods, and the pod specs in the templates of workloads: containers, ports, probes, and what is set where it
 * was left out. Reads what plays a part in networking; the rest is kept as it is.
 */
#include "base/hash.h"
#include "object/check.h"

static void check_handler(struct check *c, const struct probe *p)
{
	int n = !!p->exec + !!p->http_get + !!p->tcp_socket + !!p->grpc;
	if (n != 1)
		check_fail_whole(c, &p->exec, "give one of exec, httpGet, tcpSocket and grpc",
				 n ? "a probe has one handler, not %d" : "a probe needs a handler", n);
	if (p->http_get)
		check_port(c, &p->http_get->port);
	if (p->tcp_socket)
		check_port(c, &p->tcp_socket->port);
	if (p->exec && !p->exec->command.len)
		check_fail(c, &p->exec->command, NULL, "required, but missing");
}

static void check_probe(struct check *c, const struct probe *p, bool readiness)
{
	if (!p)
		return;
	check_handler(c, p);
	check_range(c, &p->initial_delay_seconds, 0, INT32_MAX);
	/* 0 is "left out" for these. */
	check_range(c, &p->timeout_seconds, 0, INT32_MAX);
	check_range(c, &p->period_seconds, 0, INT32_MAX);
	check_range(c, &p->success_threshold, 0, INT32_MAX);
	check_range(c, &p->failure_threshold, 0, INT32_MAX);
	if (!readiness && p->success_threshold.v > 1)
		check_fail(c, &p->success_threshold, "only a readinessProbe may ask for more",
			   "must be 1 for liveness and startup");
	if (readiness && p->termination_grace_period_seconds.set)
		check_fail(c, &p->termination_grace_period_seconds, "remove it",
			   "not for a readinessProbe, which ends nothing");
	check_range(c, &p->termination_grace_period_seconds, 1, INT32_MAX);
}

static void check_container_ports(struct check *c, const struct pod_spec *s, const struct container *k)
{
	struct hash names = {0};
	for (size_t i = 0; i < k->ports.len; i++) {
		const struct container_port *p = &k->ports.items[i];
		if (p->name.n && hash_get(&names, p->name))
			check_fail(c, &p->name, "give each port a name of its own",
				   "the name \"" STR_FMT "\" is given twice", STR_ARG(p->name));
		else if (p->name.n && hash_set(&names, p->name, (void *)(uintptr_t)p, NULL))
			break;
		if (s->host_network.v && p->host_port.v && p->host_port.v != p->container_port.v)
			check_fail(c, &p->host_port, "write the same number",
				   "must equal containerPort, since the pod has hostNetwork");
		if (p->host_port.v >= NODE_PORT_MIN && p->host_port.v <= NODE_PORT_MAX)
			check_remark(
			    c, REMARK_WARNING, &p->host_port, "choose a number outside that range",
			    "%lld is in the range of node ports, %d to %d: a Service may get the same "
			    "number",
			    (long long)p->host_port.v, NODE_PORT_MIN, NODE_PORT_MAX);
	}
	hash_fini(&names);
}

static void check_env(struct check *c, const struct container *k)
{
	for (size_t i = 0; i < k->env.len; i++) {
		const struct env_var *e = &k->env.items[i];
		if (e->name.n)
			check_rule(c, &e->name, e->name, syntax_env_name(e->name), "name of a variable");
		if (e->value.n && e->value_from.n)
			check_fail(c, &e->value_from, "keep one of them", "cannot stand beside value");
	}
}

static void check_container(struct check *c, const struct pod_spec *s, const struct container *k, bool init)
{
	bool sidecar = init && k->restart_policy.n;
	check_container_ports(c, s, k);
	check_env(c, k);
	check_probe(c, k->readiness_probe, true);
	check_probe(c, k->liveness_probe, false);
	check_probe(c, k->startup_probe, false);
	if (!init && k->restart_policy.n)
		check_fail(c, &k->restart_policy, "remove it",
			   "only init containers have a restartPolicy of their own");
	const struct probe *const *probes[] = {(const struct probe *const *)&k->readiness_probe,
					       (const struct probe *const *)&k->liveness_probe,
					       (const struct probe *const *)&k->startup_probe};
	for (size_t i = 0; init && !sidecar && i < 3; i++)
		if (*probes[i])
			check_fail(c, probes[i], "add restartPolicy: Always to make it a sidecar",
				   "an init container has no probes");
}

struct names {
	struct hash containers, host_ports;
};

static void check_host_ports(struct check *c, struct names *n, const struct container *k)
{
	AUTO_BUF key = {0};
	for (size_t i = 0; i < k->ports.len; i++) {
		const struct container_port *p = &k->ports.items[i];
		if (!p->host_port.v)
			continue;
		buf_clear(&key);
		buf_printf(&key, STR_FMT "/%lld/" STR_FMT, STR_ARG(p->protocol.n ? p->protocol : STR("TCP")),
			   (long long)p->host_port.v, STR_ARG(p->host_ip));
		if (hash_get(&n->host_ports, buf_str(&key)))
			check_fail(c, &p->host_port, NULL, "host port %lld is given twice",
				   (long long)p->host_port.v);
		else if (hash_set(&n->host_ports, buf_str(&key), (void *)(uintptr_t)p, NULL))
			return;
	}
}

static void check_containers(struct check *c, const struct pod_spec *s, const struct container_list *l,
			     bool init, struct names *n)
{
	for (size_t i = 0; i < l->len; i++) {
		const struct container *k = &l->items[i];
		if (k->name.n && hash_get(&n->containers, k->name))
			check_fail(c, &k->name, "give each container of a pod a name of its own",
				   "the name \"" STR_FMT "\" is given twice", STR_ARG(k->name));
		else if (k->name.n && hash_set(&n->containers, k->name, (void *)(uintptr_t)k, NULL))
			return;
		check_container(c, s, k, init);
		if (!init)
			check_host_ports(c, n, k);
	}
}

static void check_tolerations(struct check *c, const struct pod_spec *s)
{
	for (size_t i = 0; i < s->tolerations.len; i++) {
		const struct toleration *t = &s->tolerations.items[i];
		if (t->key.n)
			check_rule(c, &t->key, t->key, syntax_label_key(t->key), "taint key");
		if (!t->key.n && !str_eqz(t->op, "Exists"))
			check_fail(c, &t->op, "add a key, or operator: Exists",
				   "must be Exists where there is no key");
		if (str_eqz(t->op, "Exists") && t->value.n)
			check_fail(c, &t->value, "remove it", "operator Exists takes no value");
		if (t->toleration_seconds.set && !str_eqz(t->effect, "NoExecute"))
			check_fail(c, &t->effect, "add effect: NoExecute",
				   "must be NoExecute where tolerationSeconds is given");
	}
}

static void check_dns_policy(struct check *c, const struct pod_spec *s)
{
	static const char *const known[] = {"Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"};
	bool found = !s->dns_policy.n;
	for (size_t i = 0; i < 4; i++)
		found |= str_eqz(s->dns_policy, known[i]);
	if (!found)
		check_fail(c, &s->dns_policy,
			   "use one of Default, ClusterFirst, ClusterFirstWithHostNet, None",
			   "\"" STR_FMT "\" is not known", STR_ARG(s->dns_policy));
	if (str_eqz(s->dns_policy, "None") && !s->dns_config.n)
		check_fail(c, &s->dns_policy, "add dnsConfig with nameservers", "None needs dnsConfig");
}

void pod_spec_check(struct check *c, const struct pod_spec *s)
{
	struct names n = {0};
	if (!s)
		return;
	if (s->containers.set && !s->containers.len)
		check_fail(c, &s->containers, "a pod has at least one container", "must not be empty");
	check_containers(c, s, &s->init_containers, true, &n);
	check_containers(c, s, &s->containers, false, &n);
	hash_fini(&n.containers);
	hash_fini(&n.host_ports);
	check_labels(c, &s->node_selector);
	check_tolerations(c, s);
	check_dns_policy(c, s);
	check_range(c, &s->termination_grace_period_seconds, 0, INT64_MAX);
	if (s->hostname.n)
		check_rule(c, &s->hostname, s->hostname, syntax_dns_label(s->hostname), "host name");
	if (s->subdomain.n)
		check_rule(c, &s->subdomain, s->subdomain, syntax_dns_label(s->subdomain), "subdomain");
	if (s->node_name.n)
		check_rule(c, &s->node_name, s->node_name, syntax_dns_subdomain(s->node_name), "node name");
	if (s->service_account_name.n)
		check_rule(c, &s->service_account_name, s->service_account_name,
			   syntax_dns_subdomain(s->service_account_name), "name");
}

void check_interfaces(struct check *c, const struct metadata *m)
{
	const struct str *more = strmap_get(&m->annotations, STR("k8s.v1.cni.cncf.io/networks"));
	if (more && more->n)
		check_remark(c, REMARK_WARNING, more, "policies hold for the pod's first interface only",
			     "secondary interfaces are not protected by policy");
}

/* 0 stands for "left out" too. */
static void default_positive(struct opt_int *v, int64_t to)
{
	if (v->v <= 0)
		*v = (struct opt_int){.v = to, .set = true};
}

static void default_probe(struct probe *p)
{
	if (!p)
		return;
	default_positive(&p->timeout_seconds, 1);
	default_positive(&p->period_seconds, 10);
	default_positive(&p->success_threshold, 1);
	default_positive(&p->failure_threshold, 3);
	if (p->http_get) {
		default_str(&p->http_get->path, "/");
		default_str(&p->http_get->scheme, "HTTP");
	}
}

static void default_container(const struct pod_spec *s, struct container *k)
{
	for (size_t i = 0; i < k->ports.len; i++) {
		struct container_port *p = &k->ports.items[i];
		default_str(&p->protocol, "TCP");
		if (s->host_network.v && !p->host_port.set)
			p->host_port = p->container_port;
	}
	default_probe(k->readiness_probe);
	default_probe(k->liveness_probe);
	default_probe(k->startup_probe);
}

void pod_spec_default(struct pod_spec *s)
{
	if (!s)
		return;
	default_str(&s->restart_policy, "Always");
	default_str(&s->dns_policy, "ClusterFirst");
	default_int(&s->termination_grace_period_seconds, 30);
	for (size_t i = 0; i < s->init_containers.len; i++)
		default_container(s, &s->init_containers.items[i]);
	for (size_t i = 0; i < s->containers.len; i++)
		default_container(s, &s->containers.items[i]);
}

static void check(struct check *c)
{
	const struct pod *p = c->o->pod;
	if (!p->spec)
		check_fail(c, &p->spec, "add spec with containers", "required, but missing");
	pod_spec_check(c, p->spec);
	check_interfaces(c, &c->o->meta);
	for (size_t i = 0; p->status && i < p->status->pod_ips.len && i < 2; i++)
		if (i && str_eq(p->status->pod_ips.items[0].ip, p->status->pod_ips.items[1].ip))
			check_fail(c, &p->status->pod_ips.items[1].ip, NULL, "is given twice");
}

static int defaults(struct object *o)
{
	pod_spec_default(o->pod->spec);
	return 0;
}

const struct kind_rules pod_rules = {.check = check, .defaults = defaults};
