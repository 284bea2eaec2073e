/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stand-in plays: a container of the manifest as the spec that weft-standin reads. Values that name a
 * Service become calls; values that name something else are remarks. Called by container.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "sandbox/files.h"
#include "sandbox/pod.h"
#include "sandbox/program.h"
#include "standin/calls.h"

/* How long a pod that ends may still be known to somebody: what is slow is a busy machine. */
enum { PLACES_MAX = 8, DRAIN_MS = 1000 };

struct finder {
	const struct container *c;
	json_t *calls;
	unsigned unknown; /* places that name no Service */
};

static bool service_exists(void *ctx, struct str ns, struct str svc)
{
	const struct sandbox *s = ctx;
	char key[400];

	snprintf(key, sizeof(key), STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(svc));
	return mirror_get(&s->services, key) != NULL;
}

static bool have_call(const json_t *calls, const char *host, unsigned port, bool udp)
{
	const json_t *o;
	size_t i;

	json_array_foreach ((json_t *)calls, i, o)
		if (!strcmp(json_text(json_object_get(o, "host")), host) &&
		    json_integer_value(json_object_get(o, "port")) == port &&
		    !strcmp(json_text(json_object_get(o, "proto")), udp ? "udp" : "tcp"))
			return true;
	return false;
}

static void find_calls(struct finder *f, const char *where, const char *value)
{
	const struct pod *p = f->c->pod;
	struct call_place places[PLACES_MAX];
	size_t n = calls_find(str_of(value), places, PLACES_MAX);

	for (size_t i = 0; i < n && i < PLACES_MAX; i++) {
		struct str ns, svc;
		char host[256];

		if (places[i].host.n >= sizeof(host) || str_eqz(places[i].host, "localhost"))
			continue;
		snprintf(host, sizeof(host), STR_FMT, STR_ARG(places[i].host));
		if (!calls_service(places[i].host, str_of(p->ns), service_exists, p->sandbox, &ns, &svc)) {
			sandbox_remark(p->sandbox,
				       "%s: container %s: %s names %s:%u, which is no Service: not called",
				       p->key, f->c->name, where, host, places[i].port);
			f->unknown++;
			continue;
		}
		if (!have_call(f->calls, host, places[i].port, places[i].udp))
			json_array_append_new(f->calls, json_pack("{sssssiss}", "env", where, "host", host,
								  "port", (int)places[i].port, "proto",
								  places[i].udp ? "udp" : "tcp"));
	}
}

static void find_in_list(struct finder *f, const json_t *env, const char *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(f->c->spec, list), i, o) {
		AUTO_BUF text = {0};
		char where[48];

		/* A script mentions much that it does not call. */
		if (!json_is_string(o) || strchr(json_string_value(o), '\n'))
			continue;
		snprintf(where, sizeof(where), "%s[%zu]", list, i);
		environ_expand(env, json_string_value(o), &text);
		if (text.p)
			find_calls(f, where, text.p);
	}
}

static json_t *all_calls(const struct container *c, unsigned *unknown)
{
	struct finder f = {.c = c, .calls = json_array()};
	const json_t *env = json_object_get(c->spec, "env"), *o;
	size_t i;

	json_array_foreach ((json_t *)env, i, o) {
		AUTO_BUF text = {0};

		environ_expand(env, json_text(json_object_get(o, "value")), &text);
		if (text.p)
			find_calls(&f, json_text(json_object_get(o, "name")), text.p);
	}
	find_in_list(&f, env, "command");
	find_in_list(&f, env, "args");
	*unknown = f.unknown;
	return f.calls;
}

json_int_t container_port(const struct container *c, const json_t *port)
{
	const json_t *o;
	size_t i;

	if (json_is_integer(port))
		return json_integer_value(port);
	json_array_foreach (json_object_get(c->spec, "ports"), i, o)
		if (!strcmp(json_text(json_object_get(o, "name")), json_text(port)))
			return json_integer_value(json_object_get(o, "containerPort"));
	return 0;
}

static bool declares(const struct container *c, json_int_t port)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_object_get(c->spec, "ports"), i, o)
		if (json_integer_value(json_object_get(o, "containerPort")) == port)
			return true;
	return false;
}

/* A probe may ask another container of the pod: only one of them can have the port. */
static bool is_anothers(const struct container *c, json_int_t port)
{
	const struct pod *p = c->pod;

	for (size_t i = 0; i < p->containers_len && !declares(c, port); i++)
		if (&p->containers[i] != c && declares(&p->containers[i], port))
			return true;
	return false;
}

static void add_probe(const struct container *c, json_t *probes, const char *which)
{
	const json_t *probe = json_object_get(c->spec, which);
	const json_t *http = json_object_get(probe, "httpGet"), *tcp = json_object_get(probe, "tcpSocket");
	const json_t *grpc = json_object_get(probe, "grpc");
	const json_t *any = http ? http : tcp ? tcp : grpc;
	json_int_t port = any ? container_port(c, json_object_get(any, "port")) : 0;

	if (port < 1 || port > 65535 || *json_text(json_object_get(any, "host")) || is_anothers(c, port))
		return;
	json_array_append_new(probes,
			      json_pack("{sssIsssssbsb}", "kind",
					http  ? "http"
					: tcp ? "tcp"
					      : "grpc",
					"port", port, "path", json_text(json_object_get(http, "path")),
					"service", json_text(json_object_get(grpc, "service")), "readiness",
					!strcmp(which, "readinessProbe"), "tls",
					!strcmp(json_text(json_object_get(http, "scheme")), "HTTPS")));
}

int container_write_spec(struct container *c, const char *path)
{
	json_t *spec = json_pack("{ssssssss}", "pod", c->pod->name, "namespace", c->pod->ns, "node",
				 c->pod->node->name, "container", c->name);
	json_t *ports = json_array(), *probes = json_array();
	const json_t *o;
	size_t i;
	int r;

	json_array_foreach (json_object_get(c->spec, "ports"), i, o) {
		const char *protocol = json_text(json_object_get(o, "protocol"));

		json_array_append_new(ports,
				      json_pack("{sIssss}", "port",
						json_integer_value(json_object_get(o, "containerPort")),
						"protocol", *protocol ? protocol : "TCP", "name",
						json_text(json_object_get(o, "name"))));
	}
	add_probe(c, probes, "readinessProbe");
	add_probe(c, probes, "livenessProbe");
	add_probe(c, probes, "startupProbe");
	json_object_set_new(spec, "ports", ports);
	json_object_set_new(spec, "probes", probes);
	json_object_set_new(spec, "calls", all_calls(c, &c->unknown));
	json_object_set_new(spec, "drainMs", json_integer(DRAIN_MS));
	json_object_set_new(spec, "fault",
			    json_pack("{sbsbsi}", "notReady", c->pod->fault.not_ready, "refuse",
				      c->pod->fault.refuse, "slowMs", (int)c->pod->fault.slow_ms));
	AUTO_MEM char *text = json_dumps(spec, JSON_COMPACT);
	json_decref(spec);
	r = text ? file_write(path, str_of(text)) : -ENOMEM;
	return r;
}
