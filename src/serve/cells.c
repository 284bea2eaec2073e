/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of each kind, as kubectl's users know them. Pure. See cells.h. */
#include "serve/cells.h"

#include <stdio.h>

#include "base/own.h"

#define TEXT(name)                                                                                           \
	{                                                                                                    \
		name, "string", "", 0                                                                        \
	}
#define NUMBER(name)                                                                                         \
	{                                                                                                    \
		name, "integer", "", 0                                                                       \
	}
#define WIDE(name)                                                                                           \
	{                                                                                                    \
		name, "string", "", 1                                                                        \
	}
#define TABLE(id)                                                                                            \
	{                                                                                                    \
		id##_columns, ARRAY_LEN(id##_columns), id##_fill                                             \
	}
#define COLUMNS(id, ...) static const struct column id##_columns[] = {__VA_ARGS__}

static void add_comma(struct buf *b, struct str s)
{
	if (b->n)
		buf_addc(b, ',');
	buf_adds(b, s);
}

static void cell_buf(struct cells *c, const struct buf *b, const char *none)
{
	cell_str(c, buf_str(b), none);
}

static void print_map(struct buf *b, const struct strmap *m)
{
	for (size_t i = 0; i < m->len; i++) {
		add_comma(b, m->items[i].key);
		buf_addc(b, '=');
		buf_adds(b, m->items[i].value);
	}
}

static void cell_map(struct cells *c, const struct strmap *m)
{
	AUTO_BUF b = {0};
	print_map(&b, m);
	cell_buf(c, &b, "<none>");
}

static void cell_selector(struct cells *c, const struct label_selector *s)
{
	AUTO_BUF b = {0};
	if (s)
		selector_print(&b, s);
	cell_buf(c, &b, "<none>");
}

/* Names and images of the containers of a template. */
static void cell_containers(struct cells *c, const struct pod_template *t)
{
	AUTO_BUF names = {0};
	AUTO_BUF images = {0};
	for (size_t i = 0; t && t->spec && i < t->spec->containers.len; i++) {
		add_comma(&names, t->spec->containers.items[i].name);
		add_comma(&images, t->spec->containers.items[i].image);
	}
	cell_buf(c, &names, "");
	cell_buf(c, &images, "");
}

COLUMNS(plain, TEXT("Age"));
static void plain_fill(struct cells *c, const struct object *o)
{
	cell_age(c, o);
}

COLUMNS(namespace, TEXT("Status"), TEXT("Age"));
static void namespace_fill(struct cells *c, const struct object *o)
{
	cell_str(c, o->namespace->status ? o->namespace->status->phase : (struct str){0}, "Active");
	cell_age(c, o);
}

COLUMNS(node, TEXT("Status"), TEXT("Roles"), TEXT("Age"), TEXT("Version"), WIDE("Internal-IP"),
	WIDE("External-IP"), WIDE("OS-Image"), WIDE("Kernel-Version"), WIDE("Container-Runtime"));

static struct str node_address_of(const struct object *o, const char *type)
{
	const struct node_status *st = o->node->status;
	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, type))
			return st->addresses.items[i].address;
	return (struct str){0};
}

/* A text member of the opaque nodeInfo, which is compact JSON. */
static struct str node_info_of(const struct object *o, const char *key)
{
	struct str info = o->node->status ? o->node->status->node_info : (struct str){0};
	char quoted[64];
	int n = snprintf(quoted, sizeof(quoted), "\"%s\":\"", key);
	const char *at = info.n ? memmem(info.p, info.n, quoted, (size_t)n) : NULL;
	if (!at)
		return (struct str){0};
	at += n;
	const char *end = memchr(at, '"', info.n - (size_t)(at - info.p));
	return end ? (struct str){at, (size_t)(end - at)} : (struct str){0};
}

static void node_fill(struct cells *c, const struct object *o)
{
	const char *ready = "Unknown";
	const struct node_status *st = o->node->status;
	AUTO_BUF roles = {0};
	for (size_t i = 0; st && i < st->conditions.len; i++)
		if (str_eqz(st->conditions.items[i].type, "Ready"))
			ready = str_eqz(st->conditions.items[i].status, "True") ? "Ready" : "NotReady";
	for (size_t i = 0; i < o->meta.labels.len; i++) {
		struct str key = o->meta.labels.items[i].key, prefix = STR("node-role.kubernetes.io/");
		if (str_starts(key, prefix))
			add_comma(&roles, (struct str){key.p + prefix.n, key.n - prefix.n});
	}
	cell(c, "%s%s", ready, o->node->spec && o->node->spec->unschedulable.v ? ",SchedulingDisabled" : "");
	cell_buf(c, &roles, "<none>");
	cell_age(c, o);
	cell_str(c, node_info_of(o, "kubeletVersion"), "");
	cell_str(c, node_address_of(o, "InternalIP"), "<none>");
	cell_str(c, node_address_of(o, "ExternalIP"), "<none>");
	cell_str(c, node_info_of(o, "osImage"), "<unknown>");
	cell_str(c, node_info_of(o, "kernelVersion"), "<unknown>");
	cell_str(c, node_info_of(o, "containerRuntimeVersion"), "<unknown>");
}

COLUMNS(networkpolicy, TEXT("Pod-Selector"), TEXT("Age"));
static void networkpolicy_fill(struct cells *c, const struct object *o)
{
	cell_selector(c, o->networkpolicy->spec ? o->networkpolicy->spec->pod_selector : NULL);
	cell_age(c, o);
}

COLUMNS(clusternetworkpolicy, TEXT("Tier"), TEXT("Priority"), TEXT("Age"));
static void clusternetworkpolicy_fill(struct cells *c, const struct object *o)
{
	const struct clusternetworkpolicy_spec *spec = o->clusternetworkpolicy->spec;
	cell_str(c, spec ? spec->tier : (struct str){0}, "");
	if (spec && spec->priority.set)
		cell(c, "%lld", (long long)spec->priority.v);
	else
		cell(c, "%s", "");
	cell_age(c, o);
}

COLUMNS(service, TEXT("Type"), TEXT("Cluster-IP"), TEXT("External-IP"), TEXT("Port(s)"), TEXT("Age"),
	WIDE("Selector"));
static void service_fill(struct cells *c, const struct object *o)
{
	static const struct service_spec empty;
	const struct service_spec *spec = o->service->spec ? o->service->spec : &empty;
	AUTO_BUF outside = {0};
	AUTO_BUF ports = {0};
	for (size_t i = 0; i < spec->external_ips.len; i++)
		add_comma(&outside, spec->external_ips.items[i]);
	const struct balancer_status *b = o->service->status ? o->service->status->load_balancer : NULL;
	for (size_t i = 0; b && i < b->ingress.len; i++)
		add_comma(&outside,
			  b->ingress.items[i].ip.n ? b->ingress.items[i].ip : b->ingress.items[i].hostname);
	if (!outside.n && str_eqz(spec->type, "ExternalName"))
		buf_adds(&outside, spec->external_name);
	if (!outside.n && str_eqz(spec->type, "LoadBalancer"))
		buf_addz(&outside, "<pending>");
	for (size_t i = 0; i < spec->ports.len; i++) {
		const struct service_port *p = &spec->ports.items[i];
		if (ports.n)
			buf_addc(&ports, ',');
		buf_printf(&ports, "%lld", (long long)p->port.v);
		if (p->node_port.v)
			buf_printf(&ports, ":%lld", (long long)p->node_port.v);
		buf_printf(&ports, "/" STR_FMT, STR_ARG(p->protocol.n ? p->protocol : STR("TCP")));
	}
	cell_str(c, spec->type, "ClusterIP");
	cell_str(c, spec->cluster_ip, "<none>");
	cell_buf(c, &outside, "<none>");
	cell_buf(c, &ports, "<none>");
	cell_age(c, o);
	cell_map(c, &spec->selector);
}

COLUMNS(addresspool, TEXT("Addresses"), TEXT("Auto-Assign"), NUMBER("Assigned"), TEXT("Age"));
static void addresspool_fill(struct cells *c, const struct object *o)
{
	const struct addresspool_spec *spec = o->addresspool->spec;
	AUTO_BUF ranges = {0};
	for (size_t i = 0; spec && i < spec->addresses.len; i++)
		add_comma(&ranges, spec->addresses.items[i]);
	cell_buf(c, &ranges, "<none>");
	cell(c, "%s", spec && spec->auto_assign.set && !spec->auto_assign.v ? "false" : "true");
	cell_int(c, o->addresspool->status ? o->addresspool->status->assigned.v : 0);
	cell_age(c, o);
}

COLUMNS(alert, TEXT("State"), TEXT("Since"), TEXT("Value"), TEXT("Above"), NUMBER("Firing"),
	NUMBER("Pending"), TEXT("Age"), WIDE("Filter"));
static void alert_fill(struct cells *c, const struct object *o)
{
	static const struct alert_spec no_spec;
	static const struct alert_status no_status;
	const struct alert_spec *spec = o->alert->spec ? o->alert->spec : &no_spec;
	const struct alert_status *st = o->alert->status ? o->alert->status : &no_status;
	cell_str(c, st->state, "<unknown>");
	cell_since(c, st->since);
	cell_str(c, st->value, "<unknown>");
	cell_str(c, spec->above, "0");
	cell_int(c, st->firing.v);
	cell_int(c, st->pending.v);
	cell_age(c, o);
	cell_str(c, spec->filter.n ? spec->filter : spec->watch, "");
}

COLUMNS(user, TEXT("Password"), TEXT("Disabled"), TEXT("Age"));
static void user_fill(struct cells *c, const struct object *o)
{
	const struct user_spec *spec = o->user->spec;
	cell(c, "%s", spec && spec->password.n ? "set" : "none");
	cell(c, "%s", spec && spec->disabled.v ? "true" : "false");
	cell_age(c, o);
}

COLUMNS(role, TEXT("Level"), TEXT("Namespaces"), TEXT("Users"), TEXT("Age"));
static void role_fill(struct cells *c, const struct object *o)
{
	const struct role_spec *spec = o->role->spec;
	AUTO_BUF spaces = {0};
	AUTO_BUF users = {0};
	for (size_t i = 0; spec && i < spec->namespaces.len; i++)
		add_comma(&spaces, spec->namespaces.items[i]);
	for (size_t i = 0; spec && i < spec->users.len; i++)
		add_comma(&users, spec->users.items[i]);
	cell_str(c, spec ? spec->level : STR(""), "<unset>");
	cell_buf(c, &spaces, "<none>");
	cell_buf(c, &users, "<none>");
	cell_age(c, o);
}

COLUMNS(endpointslice, TEXT("AddressType"), TEXT("Ports"), TEXT("Endpoints"), TEXT("Age"));
static void endpointslice_fill(struct cells *c, const struct object *o)
{
	const struct endpointslice *es = o->endpointslice;
	AUTO_BUF ports = {0};
	AUTO_BUF addrs = {0};
	size_t shown = 0;
	for (size_t i = 0; i < es->ports.len; i++)
		buf_printf(&ports, "%s%lld", i ? "," : "", (long long)es->ports.items[i].port.v);
	for (size_t i = 0; i < es->endpoints.len; i++) {
		if (!es->endpoints.items[i].addresses.len)
			continue;
		if (shown++ < 3)
			add_comma(&addrs, es->endpoints.items[i].addresses.items[0]);
	}
	if (shown > 3)
		buf_printf(&addrs, " + %zu more...", shown - 3);
	cell_str(c, es->address_type, "");
	cell_buf(c, &ports, "<unset>");
	cell_buf(c, &addrs, "<unset>");
	cell_age(c, o);
}

COLUMNS(deployment, TEXT("Ready"), NUMBER("Up-to-date"), NUMBER("Available"), TEXT("Age"), WIDE("Containers"),
	WIDE("Images"), WIDE("Selector"));
static void deployment_fill(struct cells *c, const struct object *o)
{
	static const struct workload_status none;
	static const struct deployment_spec empty;
	const struct workload_status *st = o->deployment->status ? o->deployment->status : &none;
	const struct deployment_spec *spec = o->deployment->spec ? o->deployment->spec : &empty;
	cell(c, "%lld/%lld", (long long)st->ready_replicas.v,
	     (long long)(spec->replicas.set ? spec->replicas.v : 1));
	cell_int(c, st->updated_replicas.v);
	cell_int(c, st->available_replicas.v);
	cell_age(c, o);
	cell_containers(c, spec->pod_template);
	cell_selector(c, spec->selector);
}

COLUMNS(replicaset, NUMBER("Desired"), NUMBER("Current"), NUMBER("Ready"), TEXT("Age"), WIDE("Containers"),
	WIDE("Images"), WIDE("Selector"));
static void replicaset_fill(struct cells *c, const struct object *o)
{
	static const struct workload_status none;
	static const struct replicaset_spec empty;
	const struct workload_status *st = o->replicaset->status ? o->replicaset->status : &none;
	const struct replicaset_spec *spec = o->replicaset->spec ? o->replicaset->spec : &empty;
	cell_int(c, spec->replicas.set ? spec->replicas.v : 1);
	cell_int(c, st->replicas.v);
	cell_int(c, st->ready_replicas.v);
	cell_age(c, o);
	cell_containers(c, spec->pod_template);
	cell_selector(c, spec->selector);
}

COLUMNS(statefulset, TEXT("Ready"), TEXT("Age"), WIDE("Containers"), WIDE("Images"));
static void statefulset_fill(struct cells *c, const struct object *o)
{
	static const struct workload_status none;
	static const struct statefulset_spec empty;
	const struct workload_status *st = o->statefulset->status ? o->statefulset->status : &none;
	const struct statefulset_spec *spec = o->statefulset->spec ? o->statefulset->spec : &empty;
	cell(c, "%lld/%lld", (long long)st->ready_replicas.v,
	     (long long)(spec->replicas.set ? spec->replicas.v : 1));
	cell_age(c, o);
	cell_containers(c, spec->pod_template);
}

COLUMNS(daemonset, NUMBER("Desired"), NUMBER("Current"), NUMBER("Ready"), NUMBER("Up-to-date"),
	NUMBER("Available"), TEXT("Node Selector"), TEXT("Age"), WIDE("Containers"), WIDE("Images"),
	WIDE("Selector"));
static void daemonset_fill(struct cells *c, const struct object *o)
{
	static const struct daemonset_status none;
	static const struct daemonset_spec empty;
	static const struct strmap no_labels;
	const struct daemonset_status *st = o->daemonset->status ? o->daemonset->status : &none;
	const struct daemonset_spec *spec = o->daemonset->spec ? o->daemonset->spec : &empty;
	const struct pod_template *t = spec->pod_template;
	cell_int(c, st->desired_number_scheduled.v);
	cell_int(c, st->current_number_scheduled.v);
	cell_int(c, st->number_ready.v);
	cell_int(c, st->updated_number_scheduled.v);
	cell_int(c, st->number_available.v);
	cell_map(c, t && t->spec ? &t->spec->node_selector : &no_labels);
	cell_age(c, o);
	cell_containers(c, t);
	cell_selector(c, spec->selector);
}

COLUMNS(job, TEXT("Status"), TEXT("Completions"), TEXT("Duration"), TEXT("Age"), WIDE("Containers"),
	WIDE("Images"), WIDE("Selector"));
static void job_fill(struct cells *c, const struct object *o)
{
	static const struct job_status none;
	static const struct job_spec empty;
	const struct job_status *st = o->job->status ? o->job->status : &none;
	const struct job_spec *spec = o->job->spec ? o->job->spec : &empty;
	const char *status = "Running";
	for (size_t i = 0; i < st->conditions.len; i++)
		if (str_eqz(st->conditions.items[i].status, "True"))
			status = str_eqz(st->conditions.items[i].type, "Complete") ? "Complete" : "Failed";
	int64_t want = spec->completions.set   ? spec->completions.v
		       : spec->parallelism.set ? spec->parallelism.v
					       : 1;
	cell(c, "%s", status);
	cell(c, "%lld/%lld", (long long)st->succeeded.v, (long long)want);
	cell(c, "%s", "");
	cell_age(c, o);
	cell_containers(c, spec->pod_template);
	cell_selector(c, spec->selector);
}

COLUMNS(configmap, NUMBER("Data"), TEXT("Age"));
/* Members of "data" are not told apart from others here: opaque objects are kept as text. */
static void configmap_fill(struct cells *c, const struct object *o)
{
	int64_t n = 0;
	int depth = 0;
	bool in = false, quoted = false;
	for (size_t i = 0; i < o->opaque.n; i++) {
		char ch = o->opaque.p[i];
		if (quoted) {
			i += ch == '\\';
			quoted = ch != '"';
			continue;
		}
		quoted = ch == '"';
		if (ch == '"' && depth == 1)
			in = o->opaque.n - i > 7 && !memcmp(o->opaque.p + i, "\"data\":", 7);
		if (ch == '{' || ch == '[')
			depth++;
		if (ch == '}' || ch == ']')
			depth--;
		n += ch == ':' && depth == 2 && in;
	}
	cell_int(c, n);
	cell_age(c, o);
}

COLUMNS(pod, TEXT("Ready"), TEXT("Status"), TEXT("Restarts"), TEXT("Age"), WIDE("IP"), WIDE("Node"),
	WIDE("Nominated Node"), WIDE("Readiness Gates"));

/* What a waiting or ended container says of itself, if anything. */
static struct str reason_in(struct str state)
{
	const char *at = state.n ? memmem(state.p, state.n, "\"reason\":\"", 10) : NULL;
	if (!at)
		return (struct str){0};
	at += 10;
	const char *end = memchr(at, '"', state.n - (size_t)(at - state.p));
	return end ? (struct str){at, (size_t)(end - at)} : (struct str){0};
}

static void pod_state(struct cells *c, const struct object *o)
{
	const struct pod_status *st = o->pod->status;
	size_t done = 0, inits = o->pod->spec ? o->pod->spec->init_containers.len : 0;
	if (o->meta.deletion_timestamp.n) {
		cell(c, "Terminating");
		return;
	}
	if (!st || !str_eqz(st->phase, "Pending")) {
		struct str phase = st ? st->phase : (struct str){0};
		cell_str(c, str_eqz(phase, "Succeeded") ? STR("Completed") : phase, "Unknown");
		return;
	}
	for (size_t i = 0; i < st->init_container_statuses.len; i++)
		done += st->init_container_statuses.items[i].ready.v;
	for (size_t i = 0; i < st->container_statuses.len; i++) {
		struct str reason = reason_in(st->container_statuses.items[i].state);
		if (reason.n && done >= inits) {
			cell_str(c, reason, "");
			return;
		}
	}
	if (inits && st->init_container_statuses.len && done < inits)
		cell(c, "Init:%zu/%zu", done, inits);
	else
		cell(c, "Pending");
}

static void pod_fill(struct cells *c, const struct object *o)
{
	static const struct pod_status none;
	const struct pod_status *st = o->pod->status ? o->pod->status : &none;
	size_t ready = 0;
	int64_t restarts = 0;
	for (size_t i = 0; i < st->container_statuses.len; i++) {
		ready += st->container_statuses.items[i].ready.v;
		restarts += st->container_statuses.items[i].restart_count.v;
	}
	cell(c, "%zu/%zu", ready, o->pod->spec ? o->pod->spec->containers.len : 0);
	pod_state(c, o);
	cell(c, "%lld", (long long)restarts);
	cell_age(c, o);
	cell_str(c, st->pod_ip, "<none>");
	cell_str(c, o->pod->spec ? o->pod->spec->node_name : (struct str){0}, "<none>");
	cell(c, "<none>");
	cell(c, "<none>");
}

static void tool_destination(struct buf *b, const struct tool_spec *s)
{
	if (s->interface)
		buf_printf(b, "interface " STR_FMT, STR_ARG(s->interface->name));
	else if (s->pod)
		buf_printf(b, "pod in " STR_FMT, STR_ARG(s->pod->ns));
	else if (s->vxlan)
		buf_printf(b, "vxlan " STR_FMT " vni %lld", STR_ARG(s->vxlan->remote),
			   (long long)s->vxlan->vni.v);
	else if (s->gre)
		buf_printf(b, "gre " STR_FMT, STR_ARG(s->gre->remote));
	else if (s->erspan)
		buf_printf(b, "erspan " STR_FMT " session %lld", STR_ARG(s->erspan->remote),
			   (long long)s->erspan->session.v);
	else if (s->file)
		buf_printf(b, "file " STR_FMT, STR_ARG(s->file->path));
	else if (s->ring)
		buf_printf(b, "ring " STR_FMT, STR_ARG(s->ring->size.n ? s->ring->size : STR("64Mi")));
	else if (s->ipfix)
		buf_printf(b, "ipfix " STR_FMT, STR_ARG(s->ipfix->collector));
	else if (s->discard.v)
		buf_addz(b, "discard");
}

/* What a condition says; "Unknown" where nobody has said it yet. */
static void cell_condition(struct cells *c, const struct condition_list *l, const char *type)
{
	struct str says = {0};

	for (size_t i = 0; l && i < l->len; i++)
		if (str_eqz(l->items[i].type, type))
			says = l->items[i].status;
	cell_str(c, says, "Unknown");
}

COLUMNS(tool, TEXT("Destination"), TEXT("Ports"), TEXT("Capacity"), TEXT("Healthy"), TEXT("Age"));
static void tool_fill(struct cells *c, const struct object *o)
{
	const struct tool_spec *s = o->tool->spec;
	AUTO_BUF to = {0};
	AUTO_BUF ports = {0};
	if (s)
		tool_destination(&to, s);
	for (size_t i = 0; s && i < s->ports.len; i++)
		add_comma(&ports, s->ports.items[i].name);
	cell_buf(c, &to, "<none>");
	cell_buf(c, &ports, "default");
	cell_str(c, s ? s->capacity : (struct str){0}, "<none>");
	cell_condition(c, o->tool->status ? &o->tool->status->conditions : NULL, "Healthy");
	cell_age(c, o);
}

COLUMNS(capture, TEXT("User"), TEXT("Filter"), TEXT("State"), NUMBER("Packets"), NUMBER("Dropped"),
	TEXT("Age"));
static void capture_fill(struct cells *c, const struct object *o)
{
	static const struct capture_spec no_spec;
	static const struct capture_status no_status;
	const struct capture_spec *s = o->capture->spec ? o->capture->spec : &no_spec;
	const struct capture_status *st = o->capture->status ? o->capture->status : &no_status;

	cell_str(c, s->user, "<unknown>");
	cell_str(c, s->filter, "<all>");
	cell(c, "%s", st->ended.n ? "over" : st->started.n ? "running" : "new");
	cell_int(c, st->packets.v);
	cell_int(c, st->dropped.v);
	cell_age(c, o);
}

COLUMNS(toolgroup, TEXT("Members"), TEXT("Hash"), TEXT("Standby"), TEXT("Age"));
static void toolgroup_fill(struct cells *c, const struct object *o)
{
	const struct toolgroup_spec *s = o->toolgroup->spec;
	AUTO_BUF members = {0};
	for (size_t i = 0; s && i < s->members.len; i++)
		add_comma(&members, s->members.items[i].tool);
	cell_buf(c, &members, "<none>");
	cell_str(c, s ? s->hash : (struct str){0}, "Outer");
	cell_str(c, s && s->standby ? s->standby->tool : (struct str){0}, "<none>");
	cell_age(c, o);
}

COLUMNS(trafficfilter, TEXT("Filter"), TEXT("Age"));
static void trafficfilter_fill(struct cells *c, const struct object *o)
{
	const struct trafficfilter_spec *s = o->trafficfilter->spec;
	cell_str(c, s ? s->filter : (struct str){0}, "<none>");
	cell_age(c, o);
}

static void map_sources(struct buf *b, const struct trafficmap_spec *s)
{
	for (size_t i = 0; i < s->from.len; i++) {
		const struct traffic_source *f = &s->from.items[i];
		if (f->interface)
			add_comma(b, f->interface->name);
		else if (f->service)
			add_comma(b, f->service->name);
		else
			add_comma(b, f->pods ? STR("pods") : STR("uplink"));
	}
}

COLUMNS(trafficmap, TEXT("From"), TEXT("Takes"), TEXT("To"), TEXT("Accepted"), TEXT("Age"));
static void trafficmap_fill(struct cells *c, const struct object *o)
{
	const struct trafficmap_spec *s = o->trafficmap->spec;
	AUTO_BUF from = {0};
	AUTO_BUF takes = {0};
	AUTO_BUF to = {0};
	if (s) {
		map_sources(&from, s);
		buf_addz(&takes, s->rest.v ? "rest" : "");
		if (s->filter.n)
			add_comma(&takes, s->filter);
		for (size_t i = 0; i < s->filter_refs.len; i++)
			add_comma(&takes, s->filter_refs.items[i]);
	}
	for (size_t i = 0; s && i < s->to.len; i++)
		add_comma(&to, s->to.items[i].tool.n ? s->to.items[i].tool : s->to.items[i].group);
	cell_buf(c, &from, "<none>");
	cell_buf(c, &takes, "everything");
	cell_buf(c, &to, "<none>");
	cell_condition(c, o->trafficmap->status ? &o->trafficmap->status->conditions : NULL, "Accepted");
	cell_age(c, o);
}

static const struct cell_table tables[KIND_COUNT] = {
    [KIND_namespace] = TABLE(namespace),
    [KIND_node] = TABLE(node),
    [KIND_networkpolicy] = TABLE(networkpolicy),
    [KIND_clusternetworkpolicy] = TABLE(clusternetworkpolicy),
    [KIND_service] = TABLE(service),
    [KIND_addresspool] = TABLE(addresspool),
    [KIND_endpointslice] = TABLE(endpointslice),
    [KIND_deployment] = TABLE(deployment),
    [KIND_replicaset] = TABLE(replicaset),
    [KIND_statefulset] = TABLE(statefulset),
    [KIND_daemonset] = TABLE(daemonset),
    [KIND_job] = TABLE(job),
    [KIND_configmap] = TABLE(configmap),
    [KIND_pod] = TABLE(pod),
    [KIND_tool] = TABLE(tool),
    [KIND_toolgroup] = TABLE(toolgroup),
    [KIND_trafficfilter] = TABLE(trafficfilter),
    [KIND_trafficmap] = TABLE(trafficmap),
    [KIND_capture] = TABLE(capture),
    [KIND_alert] = TABLE(alert),
    [KIND_user] = TABLE(user),
    [KIND_role] = TABLE(role),
};
static const struct cell_table plain = TABLE(plain);

const struct cell_table *cells_of(enum kind k)
{
	return tables[k].fill ? &tables[k] : &plain;
}
