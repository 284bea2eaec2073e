/* SPDX-License-Identifier: Apache-2.0 */
/* From a word of the user's to a pod. See podname.h. */
#include "cli/podname.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/output.h"

#include <stdio.h>

static json_t *get(const char *socket_path, const struct kind_desc *k, const char *ns, const char *name,
		   const char *query)
{
	AUTO_BUF url = {0}, body = {0};

	buf_printf(&url, "/%s/%s/namespaces/", *k->group ? "apis" : "api", kind_api_version(k));
	http_escape(&url, str_of(ns));
	buf_printf(&url, "/%s", k->plural);
	if (name)
		buf_addc(&url, '/');
	http_escape(&url, str_of(name ? name : ""));
	if (query) {
		buf_addz(&url, "?labelSelector=");
		http_escape(&url, str_of(query));
	}
	if (url.failed || http_ask(socket_path, url.p, NULL, &body) != 200)
		return NULL;
	return json_loadb(body.p ? body.p : "", body.n, 0, NULL);
}

/* {"a":"b"} as "a=b,…". */
static void print_selector(struct buf *b, json_t *labels)
{
	const char *key;
	json_t *value;

	json_object_foreach (labels, key, value)
		buf_printf(b, "%s%s=%s", b->n ? "," : "", key, json_string_value(value));
}

/* The first pod that runs, else the first. */
static int pick(struct podname *out, const char *socket_path, json_t *labels)
{
	AUTO_BUF selector = {0};

	print_selector(&selector, labels);
	if (!selector.n)
		return -1;
	AUTO_JSON list = get(socket_path, &kind_table[KIND_pod], out->ns, NULL, selector.p);
	json_t *items = json_object_get(list, "items"), *item, *best = json_array_get(items, 0);
	size_t i;
	json_array_foreach (items, i, item) {
		const char *phase =
		    json_string_value(json_object_get(json_object_get(item, "status"), "phase"));
		if (phase && !strcmp(phase, "Running")) {
			best = item;
			break;
		}
	}
	const char *name = json_string_value(json_object_get(json_object_get(best, "metadata"), "name"));
	if (!name)
		return -1;
	snprintf(out->pod, sizeof(out->pod), "%s", name);
	out->object = json_incref(best);
	return 0;
}

static int by_kind(struct podname *out, const char *socket_path, const struct kind_desc *k, const char *name)
{
	AUTO_JSON o = get(socket_path, k, out->ns, name, NULL);
	json_t *selector = json_object_get(json_object_get(o, "spec"), "selector");

	if (!o)
		return -1;
	if (k->kind == KIND_pod) {
		snprintf(out->pod, sizeof(out->pod), "%s", name);
		out->object = json_incref(o);
		return 0;
	}
	if (k->kind == KIND_service)
		out->service = json_incref(o);
	else
		selector = json_object_get(selector, "matchLabels");
	return pick(out, socket_path, selector);
}

int podname_find(struct podname *out, const char *cluster, const char *socket_path, const char *word,
		 const char *ns)
{
	static const enum kind tried[] = {KIND_pod,	  KIND_deployment, KIND_statefulset,
					  KIND_daemonset, KIND_replicaset, KIND_job};
	struct str rest = str_of(word), last = str_cut(&rest, '/');
	const struct kind_desc *k = NULL;
	AUTO_BUF name = {0}, hint = {0};
	int r = -1;

	*out = (struct podname){0};
	snprintf(out->ns, sizeof(out->ns), "%s", ns ? ns : "default");
	while (rest.n) {
		const struct kind_desc *is = kind_by_name(last);
		if (is && !k)
			k = is;
		else
			snprintf(out->ns, sizeof(out->ns), STR_FMT, STR_ARG(last));
		last = str_cut(&rest, '/');
	}
	buf_adds(&name, last);
	for (size_t i = 0; name.n && !k && r && i < ARRAY_LEN(tried); i++)
		r = by_kind(out, socket_path, &kind_table[tried[i]], name.p);
	if (k && name.n)
		r = by_kind(out, socket_path, k, name.p);
	if (!r)
		return 0;
	podname_fini(out);
	names_hint_pod(&hint, cluster, out->ns, name.p ? name.p : "");
	cli_error(hint.n ? hint.p : "POD is [NS/]NAME of a pod or workload, deployment/NAME or svc/NAME",
		  "there is no %s \"%s\" with a pod in namespace %s", k ? k->singular : "pod or workload",
		  name.p ? name.p : "", out->ns);
	return -1;
}

void podname_fini(struct podname *p)
{
	json_decref(p->object);
	json_decref(p->service);
	p->object = p->service = NULL;
}

void podname_url(struct buf *b, const char *ns, const char *pod, const char *sub)
{
	buf_addz(b, "/api/v1/namespaces/");
	http_escape(b, str_of(ns));
	buf_addz(b, "/pods/");
	http_escape(b, str_of(pod));
	buf_printf(b, "/%s?", sub);
}
