/* SPDX-License-Identifier: Apache-2.0 */
/* Spec: see spec.h. Turns the JSON of one container into a struct spec; must refuse what it does not
 * understand. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "standin/spec.h"

static char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return strdup(s ? s : "");
}

static int port_of(const json_t *o, uint16_t *port)
{
	json_int_t v = json_integer_value(json_object_get(o, "port"));

	if (v < 1 || v > 65535)
		return -ERANGE;
	*port = (uint16_t)v;
	return 0;
}

static int add_port(struct spec *s, uint16_t port, enum proto proto)
{
	VEC_EACH (&s->ports, p)
		if (p->port == port && p->proto == proto)
			return 0;
	return vec_push(&s->ports, (struct spec_port){.port = port, .proto = proto});
}

static int read_ports(struct spec *s, const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach ((json_t *)list, i, o) {
		const char *name = json_string_value(json_object_get(o, "protocol"));
		enum proto proto = PROTO_TCP;
		uint16_t port;

		if (port_of(o, &port))
			return -ERANGE;
		if (name && !strcmp(name, "UDP"))
			proto = PROTO_UDP;
		else if (name && !strcmp(name, "SCTP"))
			proto = PROTO_SCTP;
		else if (name && *name && strcmp(name, "TCP"))
			return -EPROTONOSUPPORT;
		if (add_port(s, port, proto))
			return -ENOMEM;
	}
	return 0;
}

static int add_ready(struct spec *s, const json_t *o, uint16_t port)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	struct spec_ready r = {.port = port,
			       .plain = kind && !strcmp(kind, "tcp"),
			       .path = text_of(o, "path"),
			       .service = text_of(o, "service")};

	if (r.path && !*r.path && kind && !strcmp(kind, "http")) {
		free(r.path);
		r.path = strdup("/");
	}
	return r.path && r.service ? vec_push(&s->ready, r) : -ENOMEM;
}

static int read_probes(struct spec *s, const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach ((json_t *)list, i, o) {
		const char *service = json_string_value(json_object_get(o, "service"));
		uint16_t port;

		if (port_of(o, &port))
			return -ERANGE;
		if (add_port(s, port, PROTO_TCP))
			return -ENOMEM;
		if (json_is_true(json_object_get(o, "tls")) && vec_push(&s->tls, port))
			return -ENOMEM;
		if (json_is_true(json_object_get(o, "readiness")) && add_ready(s, o, port))
			return -ENOMEM;
		if (service && *service && vec_push(&s->health, strdup(service)))
			return -ENOMEM;
	}
	return 0;
}

static int read_calls(struct spec *s, const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach ((json_t *)list, i, o) {
		const char *proto = json_string_value(json_object_get(o, "proto"));
		struct spec_call c = {.udp = proto && !strcmp(proto, "udp")};

		if (port_of(o, &c.port))
			return -ERANGE;
		c.env = text_of(o, "env");
		c.host = text_of(o, "host");
		if (!c.env || !c.host || vec_push(&s->calls, c))
			return -ENOMEM;
	}
	return 0;
}

static uint32_t number_of(const json_t *o, const char *key, uint32_t missing, uint32_t max)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 1 ? missing : v > max ? max : (uint32_t)v;
}

static void read_fault(struct spec_fault *f, const json_t *o)
{
	f->not_ready = json_is_true(json_object_get(o, "notReady"));
	f->refuse = json_is_true(json_object_get(o, "refuse"));
	f->slow_ms = number_of(o, "slowMs", 0, 600000);
}

int spec_read(struct spec *out, const char *path)
{
	json_error_t err;
	json_t *o = strcmp(path, "-") ? json_load_file(path, 0, &err) : json_loadfd(STDIN_FILENO, 0, &err);
	struct spec s = {0};
	int r;

	if (!json_is_object(o)) {
		fprintf(stderr, "weft-standin: %s:%d:%d: %s\n", path, o ? 1 : err.line, o ? 1 : err.column,
			o ? "the spec must be one JSON object" : err.text);
		json_decref(o);
		return -EINVAL;
	}
	s.pod = text_of(o, "pod");
	s.ns = text_of(o, "namespace");
	s.node = text_of(o, "node");
	s.container = text_of(o, "container");
	s.interval_ms = number_of(o, "interval_ms", 2000, 3600000);
	s.drain_ms = number_of(o, "drainMs", 0, 3600000);
	read_fault(&s.fault, json_object_get(o, "fault"));
	s.retries = number_of(o, "retries", 60, 100000);
	r = s.pod && s.ns && s.node && s.container ? 0 : -ENOMEM;
	r = r ? r : read_ports(&s, json_object_get(o, "ports"));
	r = r ? r : read_probes(&s, json_object_get(o, "probes"));
	r = r ? r : read_calls(&s, json_object_get(o, "calls"));
	json_decref(o);
	if (r) {
		fprintf(stderr, "weft-standin: %s: %s\n", path,
			r == -ERANGE		? "each port must be a number from 1 to 65535"
			: r == -EPROTONOSUPPORT ? "a port's protocol must be TCP, UDP or SCTP"
						: strerror(-r));
		return r;
	}
	*out = s;
	return 0;
}
