/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: gives a pod a node (fewest pods of the same owner, then fewest pods, then by name) and its
 * addresses. What fits nowhere says why in its status. Called by cluster_pass() for pods that have no place
 * yet.
 */
#include <errno.h>

#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/podmake.h"
#include "hub/podstatus.h"
#include "hub/schedule.h"

struct unfit { /* how many nodes refuse, by reason */
	unsigned nodes, selector, taint, cordoned, lost, port, full;
};

static bool tolerates(const struct pod_spec *spec, const struct taint *t)
{
	for (size_t i = 0; i < spec->tolerations.len; i++) {
		const struct toleration *tol = &spec->tolerations.items[i];
		if (tol->effect.n && !str_eq(tol->effect, t->effect))
			continue;
		if (tol->key.n && !str_eq(tol->key, t->key))
			continue;
		if (str_eqz(tol->op, "Exists") || (tol->key.n && str_eq(tol->value, t->value)))
			return true;
	}
	return false;
}

static const struct taint *unbearable(const struct pod_spec *spec, const struct object *node)
{
	const struct node_spec *ns = node->node->spec;
	for (size_t i = 0; ns && i < ns->taints.len; i++)
		if (!str_eqz(ns->taints.items[i].effect, "PreferNoSchedule") &&
		    !tolerates(spec, &ns->taints.items[i]))
			return &ns->taints.items[i];
	return NULL;
}

bool schedule_node_suits(const struct pod_spec *spec, const struct object *node)
{
	return strmap_contains(&node->meta.labels, &spec->node_selector) && !unbearable(spec, node);
}

static bool is_any(struct str host_ip)
{
	return !host_ip.n || str_eqz(host_ip, "0.0.0.0") || str_eqz(host_ip, "::");
}

struct str schedule_port_key(struct buf *b, const struct container_port *p)
{
	buf_clear(b);
	buf_printf(b, STR_FMT ":%d@" STR_FMT, STR_ARG(p->protocol.n ? p->protocol : STR("TCP")),
		   (int)p->host_port.v, STR_ARG(is_any(p->host_ip) ? STR("0.0.0.0") : p->host_ip));
	return buf_str(b);
}

/* Same protocol and number clash when one of them is for all addresses, or both for the same. */
static bool port_taken(const struct node_load *load, const struct container_port *p)
{
	AUTO_BUF b = {0};
	if (hash_get(&load->host_ports, schedule_port_key(&b, p)))
		return true;
	if (!is_any(p->host_ip)) {
		struct container_port any = *p;
		any.host_ip = (struct str){0};
		return hash_get(&load->host_ports, schedule_port_key(&b, &any));
	}
	struct str prefix = schedule_port_key(&b, p);
	prefix.n -= strlen("0.0.0.0");
	HASH_EACH (&load->host_ports, slot)
		if (str_starts(slot->key, prefix))
			return true;
	return false;
}

static bool ports_clash(const struct node_load *load, const struct pod_spec *spec)
{
	const struct container_list *lists[] = {&spec->containers, &spec->init_containers};
	for (size_t k = 0; load && k < 2; k++)
		for (size_t i = 0; i < lists[k]->len; i++) {
			const struct container_port_list *ports = &lists[k]->items[i].ports;
			for (size_t j = 0; j < ports->len; j++)
				if (ports->items[j].host_port.v && port_taken(load, &ports->items[j]))
					return true;
		}
	return false;
}

static bool is_up(const struct object *node)
{
	const struct condition *ready =
	    node->node->status ? condition_find(&node->node->status->conditions, "Ready") : NULL;
	return !ready || str_eqz(ready->status, "True");
}

static bool fits(struct cluster *c, const struct object *pod, const struct object *node, struct unfit *why)
{
	const struct pod_spec *spec = pod->pod->spec;
	const struct node_load *load = hash_get(&c->loads, node->meta.name);
	why->nodes++;
	if (!strmap_contains(&node->meta.labels, &spec->node_selector))
		why->selector++;
	else if (unbearable(spec, node))
		why->taint++;
	else if (node->node->spec && node->node->spec->unschedulable.v)
		why->cordoned++;
	else if (!is_up(node))
		why->lost++;
	else if (ports_clash(load, spec))
		why->port++;
	else if (!spec->host_network.v && !ipam_node_free(c->ipam, node->meta.name))
		why->full++;
	else
		return true;
	return false;
}

static const struct object *choose(struct cluster *c, const struct object *pod, struct unfit *why)
{
	struct object_refs nodes = {0};
	const struct object *best = NULL;
	size_t best_same = 0, best_all = 0;
	const struct owner_reference *owner = object_controller(pod);
	if (store_list(c->store, KIND_node, STR(""), &nodes))
		return NULL;
	VEC_EACH (&nodes.list, np) {
		if (!fits(c, pod, *np, why))
			continue;
		const struct node_load *load = hash_get(&c->loads, (*np)->meta.name);
		size_t all = load ? load->pods : 0;
		size_t same = load && owner ? (size_t)(uintptr_t)hash_get(&load->owners, owner->uid) : 0;
		if (best && (same > best_same || (same == best_same && all >= best_all)))
			continue;
		best = *np;
		best_same = same;
		best_all = all;
	}
	vec_free(&nodes.list);
	return best;
}

static int add_ip(struct object *o, struct str text)
{
	struct pod_status *st = o->pod->status;
	struct pod_ip *items = arena_array(&o->arena, struct pod_ip, st->pod_ips.len + 1);
	struct str copy = arena_str(&o->arena, text);
	if (!items || !copy.p)
		return -ENOMEM;
	if (st->pod_ips.len)
		memcpy(items, st->pod_ips.items, st->pod_ips.len * sizeof(*items));
	items[st->pod_ips.len].ip = copy;
	st->pod_ips = (struct pod_ip_list){.items = items, .len = st->pod_ips.len + 1, .set = true};
	if (!st->pod_ip.n)
		st->pod_ip = copy;
	return 0;
}

/* Host addresses of the node; a pod on the host's network has them as its own. */
static int take_node_addrs(struct object *o, const struct object *node)
{
	struct pod_status *st = o->pod->status;
	const struct node_status *ns = node->node->status;
	AUTO_BUF ips = {0};
	for (size_t i = 0; ns && i < ns->addresses.len; i++) {
		if (!str_eqz(ns->addresses.items[i].type, "InternalIP"))
			continue;
		struct str text = ns->addresses.items[i].address;
		if (!st->host_ip.n)
			st->host_ip = arena_str(&o->arena, text);
		buf_printf(&ips, "%s{\"ip\":\"" STR_FMT "\"}", ips.n ? "," : "[", STR_ARG(text));
		if (o->pod->spec->host_network.v && add_ip(o, text))
			return -ENOMEM;
	}
	if (ips.n) {
		buf_addc(&ips, ']');
		st->host_ips = arena_str(&o->arena, buf_str(&ips));
	}
	return ips.failed ? -ENOMEM : 0;
}

static int bind(struct cluster *c, const struct object *pod, const struct object *node)
{
	struct addr addrs[2] = {0};
	bool own_addrs = !pod->pod->spec->host_network.v;
	if (own_addrs && ipam_pod_pick(c->ipam, node->meta.name, &addrs[0], &addrs[1]))
		return -ENOSPC;
	struct object *o = NULL;
	int r = object_clone(&o, pod);
	if (r)
		return r;
	struct arena *a = &o->arena;
	if (!o->pod->status)
		o->pod->status = arena_new(a, struct pod_status);
	o->pod->spec->node_name = arena_str(a, node->meta.name);
	if (!o->pod->status || !o->pod->spec->node_name.p) {
		object_unref(&o);
		return -ENOMEM;
	}
	o->pod->status->message = o->pod->status->reason = (struct str){0};
	o->pod->status->pod_ips = (struct pod_ip_list){0};
	o->pod->status->pod_ip = (struct str){0};
	r = take_node_addrs(o, node);
	for (int i = 0; i < 2 && own_addrs && !r; i++) {
		char text[ADDR_TEXT];
		addr_print(&addrs[i], text);
		if (!addr_is_zero(&addrs[i]))
			r = add_ip(o, str_of(text));
	}
	if (!r && *c->now)
		o->pod->status->start_time = arena_str(a, str_of(c->now));
	if (!r)
		r = condition_set(a, &o->pod->status->conditions, "PodScheduled", true, NULL, NULL, c->now);
	if (!r)
		r = podstatus_compose(c, o);
	if (r) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

static void say(struct buf *b, unsigned n, const char *text)
{
	if (n)
		buf_printf(b, "%s%u %s", b->n ? ", " : "", n, text);
}

static int refuse(struct cluster *c, const struct object *pod, const struct unfit *why)
{
	AUTO_BUF parts = {0};
	say(&parts, why->selector, "without the labels of nodeSelector");
	say(&parts, why->taint, "with a taint that the pod does not tolerate");
	say(&parts, why->cordoned, "unschedulable");
	say(&parts, why->lost, "not ready");
	say(&parts, why->port, "where its hostPort is taken");
	say(&parts, why->full, "without a free pod address");
	AUTO_BUF text = {0};
	if (why->nodes)
		buf_printf(&text, "none of %u nodes fits: %s", why->nodes, parts.p ? parts.p : "");
	else
		buf_addz(&text, "there is no node");
	const struct condition *was =
	    pod->pod->status ? condition_find(&pod->pod->status->conditions, "PodScheduled") : NULL;
	if (was && str_eq(was->message, buf_str(&text)))
		return 0;
	struct object *o = NULL;
	int r = object_clone(&o, pod);
	if (r)
		return r;
	if (!o->pod->status)
		o->pod->status = arena_new(&o->arena, struct pod_status);
	r = o->pod->status ? condition_set(&o->arena, &o->pod->status->conditions, "PodScheduled", false,
					   "Unschedulable", text.p, c->now)
			   : -ENOMEM;
	if (!r)
		r = podstatus_compose(c, o);
	if (r) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

int schedule_run(struct cluster *c, const struct object *pod)
{
	struct unfit why = {0};
	const struct object *node;
	if (!pod->pod->spec || pod->meta.deletion_timestamp.n || pod_is_finished(pod))
		return 0;
	if (pod->pod->spec->node_name.n) {
		/* Somebody chose the node: it needs only its addresses. */
		node = store_get(c->store, KIND_node, STR(""), pod->pod->spec->node_name);
		if (!node)
			return -EAGAIN;
		if (pod->pod->status && pod->pod->status->pod_ips.len)
			return 0;
	} else {
		node = choose(c, pod, &why);
	}
	int r = node ? bind(c, pod, node) : -ENOSPC;
	if (r != -ENOSPC)
		return r;
	if (node)
		why = (struct unfit){.nodes = 1, .full = 1};
	r = refuse(c, pod, &why);
	return r ? r : -EAGAIN;
}
