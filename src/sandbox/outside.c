/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside host: one stand-in in its namespace that calls each node port on each node in both families,
 * and, where names outside the cluster were given, serves TCP 80 and 443 under all its addresses. It is
 * started anew when the list changes. What comes back is told in outside/outside.log. Called by kubelet.c
 * when Services move, and by run.c at the end.
 */
#include "sandbox/outside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/cluster.h"
#include "sandbox/fabric.h"
#include "sandbox/files.h"

enum { AGAIN_MS = 1000 };

struct outside {
	struct sandbox *sandbox;
	struct child child;
	uv_timer_t again;
	char *spec;   /* what the caller was started with, or is to be */
	bool wanted;  /* there is something to call */
	bool changed; /* the running caller was told to end for the sake of a new list */
};

static void add_calls(const struct sandbox *s, json_t *calls, const char *service, const json_t *port)
{
	bool udp = !strcmp(json_text(json_object_get(port, "protocol")), "UDP");
	json_int_t number = json_integer_value(json_object_get(port, "nodePort"));
	char host[ADDRESS_TEXT];

	if (number < 1 || !strcmp(json_text(json_object_get(port, "protocol")), "SCTP"))
		return;
	for (unsigned i = 0; i < s->nodes_len * 2; i++) {
		if (i % 2)
			fabric_node6(i / 2, host);
		else
			fabric_node4(i / 2, host);
		json_array_append_new(calls, json_pack("{sssssIss}", "env", service, "host", host, "port",
						       number, "proto", udp ? "udp" : "tcp"));
	}
}

static json_t *make_ports(const struct sandbox *s)
{
	static const int served[] = {80, 443};
	json_t *ports = json_array();

	for (size_t i = 0; s->opt->hosts_len && i < ARRAY_LEN(served); i++)
		json_array_append_new(
		    ports, json_pack("{sissss}", "port", served[i], "protocol", "TCP", "name", ""));
	return ports;
}

/* The caller's spec as text, the Services in the order of their names; *any tells whether there is a call in
 * it. */
static char *make_spec(struct sandbox *s, bool *any)
{
	json_t *calls = json_array(), *services = json_object(), *spec;
	const char *key;
	const json_t *o, *port;
	size_t i;
	char *text;

	HASH_EACH (&s->services.objects, slot)
		json_object_setn(services, slot->key.p, slot->key.n, slot->value);
	AUTO_MEM char *sorted = json_dumps(services, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(services);
	services = sorted ? json_loads(sorted, 0, NULL) : json_object();
	json_object_foreach (services, key, o)
		json_array_foreach (json_at(o, "spec", "ports", NULL), i, port)
			add_calls(s, calls, key, port);
	*any = json_array_size(calls) > 0 || s->opt->hosts_len;
	spec = json_pack("{sssssssssos[]so}", "pod", "outside", "namespace", "", "node", "", "container",
			 "outside", "ports", make_ports(s), "probes", "calls", calls);
	text = json_dumps(spec, JSON_COMPACT);
	json_decref(spec);
	json_decref(services);
	return text;
}

static int start(struct outside *o)
{
	struct sandbox *s = o->sandbox;
	char program[PATH_LEN], path[PATH_LEN], cgroup[PATH_LEN + 16];
	char *argv[] = {"weft-standin", "serve", "--spec", path, NULL};
	int r;

	if (!sandbox_program(s, "weft-standin", program))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/outside", s->dir);
	r = file_make_dir(path, 0755);
	snprintf(path, sizeof(path), "%s/outside/outside.log", s->dir);
	AUTO_FD int log = r ? r : file_append(path);
	snprintf(path, sizeof(path), "%s/outside/outside.json", s->dir);
	r = log < 0 ? log : file_write(path, str_of(o->spec));
	if (r)
		return r;
	snprintf(cgroup, sizeof(cgroup), "%s/outside", s->cgroup);
	return child_start(&o->child, &s->loop,
			   &(struct spawn){.program = program,
					   .argv = argv,
					   .cgroup = cgroup,
					   .netns = s->outside.fd,
					   .mntns = s->mounts.fd,
					   .unprivileged = true,
					   .in = -1,
					   .out = log,
					   .err = -1,
					   .daemon = true});
}

static void begin(struct outside *o)
{
	int r = o->wanted && !o->sandbox->stopping ? start(o) : 0;

	o->changed = false;
	if (r)
		log_error("the outside host's caller: %s", strerror(-r));
}

static void begin_again(uv_timer_t *t)
{
	begin(t->data);
}

static void ended(struct child *c, int status)
{
	struct outside *o = c->owner;

	(void)status;
	if (o->changed)
		begin(o);
	else if (!o->sandbox->stopping)
		uv_timer_start(&o->again, begin_again, AGAIN_MS, 0);
}

void outside_look(struct sandbox *s)
{
	struct outside *o = s->outside_caller;
	bool any;
	char *spec;

	if (s->stopping || !s->services.listed)
		return;
	spec = make_spec(s, &any);
	if (!spec || (o && !strcmp(spec, o->spec)) || (!o && !any)) {
		free(spec);
		return;
	}
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o) {
			free(spec);
			return;
		}
		o->sandbox = s;
		o->child.owner = o;
		o->child.ended = ended;
		uv_timer_init(&s->loop, &o->again);
		o->again.data = o;
		s->outside_caller = o;
	}
	free(o->spec);
	o->spec = spec;
	o->wanted = any;
	o->changed = o->child.pid;
	if (o->changed)
		child_signal(&o->child, SIGTERM);
	else
		begin(o);
}

static void closed(uv_handle_t *h)
{
	struct outside *o = h->data;

	free(o->spec);
	free(o);
}

void outside_stop(struct sandbox *s)
{
	struct outside *o = TAKE(s->outside_caller);

	if (!o)
		return;
	child_forget(&o->child);
	uv_close((uv_handle_t *)&o->again, closed);
}
