/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a Service has no endpoint that serves, for `weft why`: each pod that its selector means, with what
 * keeps it out; or that there is no such pod, or no selector. Of a running cluster the reasons are those of
 * `weft why POD --ready`.
 */
#include "base/own.h"
#include "cli/output.h"
#include "cli/why.h"
#include "cli/why_ready.h"

#include <stdio.h>

enum { SHOWN_MAX = 10 };

static const struct object *service_of(const json_t *answer, const struct store *s)
{
	const char *said =
	    json_string_value(json_object_get(json_object_get(answer, "translation"), "service")) ?: "";
	struct str name = str_of(said), ns;

	if (!str_starts(name, STR("Service ")))
		return NULL;
	name.p += 8;
	name.n -= 8;
	ns = str_cut(&name, '/');
	return store_get(s, KIND_service, ns, name);
}

static bool is_over(const struct object *pod)
{
	const struct pod_status *st = pod->pod->status;

	return st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"));
}

static void names_of_ports(struct buf *b, const struct service_spec *spec)
{
	for (size_t i = 0; i < spec->ports.len; i++)
		if (spec->ports.items[i].target_port.type == INTSTR_STR)
			buf_printf(b, "%s\"" STR_FMT "\"", b->n ? ", " : "",
				   STR_ARG(spec->ports.items[i].target_port.s));
}

/* A pod that is ready and is no endpoint all the same lacks the port, or is not yet one. */
static json_t *reasons(const char *cluster, const struct object *service, const struct object *pod)
{
	json_t *why = cluster ? why_ready_reasons(cluster, pod->meta.ns, pod->meta.name) : json_array();
	AUTO_BUF ports = {0};
	AUTO_BUF b = {0};

	if (json_array_size(why))
		return why;
	names_of_ports(&ports, service->service->spec);
	if (ports.n)
		buf_printf(&b, "no container of it declares a port with the name %s and its protocol",
			   ports.p);
	else
		buf_addz(&b, "it is ready, and its endpoint is on its way");
	if (!why)
		why = json_array();
	json_array_append_new(why, json_string(b.p ? b.p : ""));
	return why;
}

static size_t hand_made(const struct store *s, const struct object *service)
{
	struct object_refs slices = {0};
	size_t n = 0;

	(void)store_list(s, KIND_endpointslice, service->meta.ns, &slices);
	VEC_EACH (&slices.list, it) {
		const struct str *of = strmap_get(&(*it)->meta.labels, STR("kubernetes.io/service-name"));

		n += of && str_eq(*of, service->meta.name) ? (*it)->endpointslice->endpoints.len : 0;
	}
	vec_free(&slices.list);
	return n;
}

static void print_selector(struct buf *b, const struct strmap *m)
{
	for (size_t i = 0; i < m->len; i++)
		buf_printf(b, "%s" STR_FMT "=" STR_FMT, i ? "," : "", STR_ARG(m->items[i].key),
			   STR_ARG(m->items[i].value));
}

void why_out_add(json_t *answer, const char *cluster, const struct store *s, const struct object *asked)
{
	const struct object *service = asked ? asked : service_of(answer, s);
	const struct service_spec *spec = service ? service->service->spec : NULL;
	struct object_refs pods = {0};
	json_t *outs = json_array();
	size_t n = 0;
	AUTO_BUF b = {0};

	if (!spec || !outs) {
		json_decref(outs);
		return;
	}
	if (spec->selector.len)
		(void)store_list(s, KIND_pod, service->meta.ns, &pods);
	VEC_EACH (&pods.list, p) {
		if (!strmap_contains(&(*p)->meta.labels, &spec->selector) || is_over(*p))
			continue;
		if (n++ < SHOWN_MAX)
			json_array_append_new(outs, json_pack("{s:s%,s:o}", "pod", object_key(*p).p,
							      object_key(*p).n, "why",
							      reasons(cluster, service, *p)));
	}
	vec_free(&pods.list);
	if (!spec->selector.len)
		buf_printf(
		    &b, "it has no selector, and its EndpointSlices hold %zu endpoints, none of which serves",
		    hand_made(s, service));
	else
		print_selector(&b, &spec->selector);
	json_object_set_new(answer, spec->selector.len ? "selector" : "noSelector",
			    json_string(b.p ? b.p : ""));
	json_object_set_new(answer, "selected", json_integer((json_int_t)n));
	json_object_set_new(answer, "outs", outs);
}
