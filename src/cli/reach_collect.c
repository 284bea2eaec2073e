/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers and targets of a world, and what the model says about each pair. Sends nothing. The addresses of
 * the outside host are those of doc/internals.md.
 */
#include "cli/reach.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/judge.h"
#include "cli/names.h"
#include "cli/world.h"
#include "reason/match.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static char *joined(struct str ns, struct str name)
{
	AUTO_BUF b = {0};

	buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	return b.failed ? NULL : TAKE(b.p);
}

static void set_address(struct addr addr[REACH_FAMILIES], bool has[REACH_FAMILIES], struct str text)
{
	struct addr a;

	if (addr_parse(text, &a))
		return;
	enum reach_family f = addr_is4(&a) ? REACH_4 : REACH_6;
	addr[f] = a;
	has[f] = true;
}

/* "web", "shop/web", of the pod or of its workload; "outside"; "node:node-1". */
static bool is_meant(const char *said, const char *name, const char *group)
{
	const char *short_name = strchr(name, '/');
	const char *short_group = strchr(group, '/');

	if (!said || !strcmp(said, name) || !strcmp(said, group))
		return true;
	return !strchr(said, '/') && ((short_name && !strcmp(said, short_name + 1)) ||
				      (short_group && !strcmp(said, short_group + 1)));
}

static int add_caller(struct reach *r, const struct reach_caller *c)
{
	if (!c->name || !c->group || vec_push(&r->callers, *c)) {
		free(c->name);
		free(c->group);
		return -1;
	}
	return 0;
}

static int add_target(struct reach *r, const struct reach_caller *pod, struct str node,
		      const struct container_port *p)
{
	struct reach_target t = {.port = (uint16_t)p->container_port.v, .proto = IPPROTO_TCP};

	if (str_eqz(p->protocol, "UDP"))
		t.proto = IPPROTO_UDP;
	else if (str_eqz(p->protocol, "SCTP"))
		return 0; /* no stand-in serves it */
	memcpy(t.addr, pod->addr, sizeof(t.addr));
	memcpy(t.has, pod->has, sizeof(t.has));
	t.name = strdup(pod->name);
	t.group = strdup(pod->group);
	t.node = strndup(node.p ? node.p : "", node.n);
	if (!t.name || !t.group || !t.node || vec_push(&r->targets, t)) {
		free(t.name);
		free(t.group);
		free(t.node);
		return -1;
	}
	return 0;
}

static int add_targets(struct reach *r, const struct reach_caller *c, const struct pod_spec *spec)
{
	int e = 0;

	for (size_t i = 0; i < spec->containers.len; i++)
		for (size_t j = 0; !e && j < spec->containers.items[i].ports.len; j++)
			e = add_target(r, c, spec->node_name, &spec->containers.items[i].ports.items[j]);
	return e;
}

static void skip_pod(struct reach *r, const struct object *o)
{
	const struct pod_status *st = o->pod->status;

	buf_printf(&r->skipped_names, "%s" STR_FMT "/" STR_FMT, r->skipped ? ", " : "", STR_ARG(o->meta.ns),
		   STR_ARG(o->meta.name));
	r->skipped++;
	for (size_t i = 0; st && i < st->conditions.len; i++)
		if (st->conditions.items[i].message.n) {
			buf_printf(&r->skipped_names, " (" STR_FMT ")",
				   STR_ARG(st->conditions.items[i].message));
			return;
		}
}

static int add_pod(struct reach *r, const struct store *s, const struct object *o,
		   const struct reach_filter *f)
{
	const struct pod_status *st = o->pod->status;
	struct reach_caller c = {0};
	bool over = st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"));

	if (f->ns && !str_eqz(o->meta.ns, f->ns))
		return 0;
	if (over || !st || !st->pod_ips.len || (f->need_running && !str_eqz(st->phase, "Running"))) {
		if (!over)
			skip_pod(r, o);
		return 0;
	}
	c.name = joined(o->meta.ns, o->meta.name);
	c.group = joined(o->meta.ns, pod_workload(s, o));
	for (size_t i = 0; i < st->pod_ips.len; i++)
		set_address(c.addr, c.has, st->pod_ips.items[i].ip);
	if (!c.name || !c.group)
		goto fail;
	if (is_meant(f->to, c.name, c.group) && o->pod->spec && add_targets(r, &c, o->pod->spec))
		goto fail;
	if (is_meant(f->from, c.name, c.group))
		return add_caller(r, &c);
	free(c.name);
	free(c.group);
	return 0;
fail:
	free(c.name);
	free(c.group);
	return -1;
}

static int add_node(struct reach *r, const struct object *o, const struct reach_filter *f)
{
	const struct node_status *st = o->node->status;
	struct reach_caller c = {0};
	AUTO_BUF b = {0};

	buf_printf(&b, "node:" STR_FMT, STR_ARG(o->meta.name));
	if (b.failed || !is_meant(f->from, b.p, b.p))
		return b.failed ? -1 : 0;
	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (str_eqz(st->addresses.items[i].type, "InternalIP"))
			set_address(c.addr, c.has, st->addresses.items[i].address);
	c.name = strdup(b.p);
	c.group = strdup(b.p);
	return add_caller(r, &c);
}

static int add_outside(struct reach *r, const struct reach_filter *f)
{
	struct reach_caller c = {0};

	if (!is_meant(f->from, "outside", "outside"))
		return 0;
	set_address(c.addr, c.has, STR(OUTSIDE_V4));
	set_address(c.addr, c.has, STR(OUTSIDE_V6));
	c.name = strdup("outside");
	c.group = strdup("outside");
	return add_caller(r, &c);
}

/* Tells that nobody is called so, with the nearest pod or workload. */
static int tell_nobody(const struct object_refs *pods, const struct store *s, const char *said,
		       const char *hint, const char *what)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(said)};
	AUTO_BUF did = {0};

	VEC_EACH (&pods->list, o) {
		struct str names[] = {(*o)->meta.name, pod_workload(s, *o)};
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			AUTO_MEM char *path = strchr(said, '/') ? joined((*o)->meta.ns, names[i]) : NULL;
			near_try(&near, path ? str_of(path) : names[i]);
		}
	}
	if (near.word.n)
		buf_printf(&did, "did you mean %s?", near.word.p);
	cli_error(did.n ? did.p : hint, what, said);
	return -1;
}

int reach_collect(struct reach *r, const struct store *s, const struct reach_filter *f)
{
	struct object_refs pods = {0}, nodes = {0};
	int e = store_list(s, KIND_pod, (struct str){0}, &pods);

	if (!e)
		e = store_list(s, KIND_node, (struct str){0}, &nodes);
	VEC_EACH (&pods.list, o)
		e = e ? e : add_pod(r, s, *o, f);
	e = e ? e : add_outside(r, f);
	VEC_EACH (&nodes.list, o)
		e = e ? e : add_node(r, *o, f);
	if (e)
		cli_error(NULL, "out of memory");
	else if (f->from && !r->callers.len)
		e = tell_nobody(&pods, s, f->from,
				"a pod or workload as NS/NAME or NAME, \"outside\", or node:NAME",
				"nobody is called \"%s\"");
	else if (f->to && !r->targets.len)
		e = tell_nobody(&pods, s, f->to, "a pod or workload as NS/NAME or NAME",
				"\"%s\" is no pod or workload with declared ports");
	vec_free(&pods.list);
	vec_free(&nodes.list);
	return e ? -1 : 0;
}

int reach_add_host(struct reach *r, const char *label, const char *host, uint8_t proto, uint16_t port)
{
	struct reach_target t = {.proto = proto, .port = port};

	t.name = strdup(label);
	t.group = strdup(label);
	t.host = strdup(host);
	if (!t.name || !t.group || !t.host || vec_push(&r->targets, t)) {
		free(t.name);
		free(t.group);
		free(t.host);
		cli_error(NULL, "out of memory");
		return -1;
	}
	return 0;
}

int reach_judge(struct reach *r, const struct store *s)
{
	struct verdict_table *table = NULL;
	free(r->cells);
	r->cells = calloc(r->callers.len * r->targets.len + 1, sizeof(*r->cells));
	if (!r->cells) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	if (judge_nodes(&table, s))
		return -1;
	for (size_t i = 0; i < r->callers.len; i++)
		for (size_t j = 0; j < r->targets.len; j++) {
			const struct reach_caller *c = &r->callers.items[i];
			const struct reach_target *t = &r->targets.items[j];
			for (int f = 0; f < REACH_FAMILIES; f++) {
				const struct question q = {
				    .src = c->addr[f], .dst = t->addr[f], .proto = t->proto, .port = t->port};
				if (c->has[f] && t->has[f])
					reach_at(r, i, j)->model[f] =
					    verdict_ask(table, &q).verdict == JUDGED_ALLOW ? REACH_YES
											   : REACH_NO;
			}
		}
	verdict_table_free(&table);
	return 0;
}

void reach_fini(struct reach *r)
{
	VEC_EACH (&r->callers, c) {
		free(c->name);
		free(c->group);
	}
	VEC_EACH (&r->targets, t) {
		free(t->name);
		free(t->group);
		free(t->node);
		free(t->host);
	}
	vec_free(&r->callers);
	vec_free(&r->targets);
	free(r->cells);
	buf_fini(&r->skipped_names);
	*r = (struct reach){0};
}
