/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a running cluster's objects, and the nearest of them, see names.h. Only asks. */
#include "cli/names.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/output.h"

#include <dirent.h>
#include <stdlib.h>

#define NAMES_ACCEPT "application/json;as=Table;v=v1;g=meta.k8s.io"

static void add(struct live_names *out, const char *ns, const char *name)
{
	struct live_name n = {strdup(ns ? ns : ""), strdup(name ? name : "")};

	if (n.ns && n.name && *n.name && !vec_push(&out->list, n))
		return;
	free(n.ns);
	free(n.name);
}

/* The table of a kind's objects (owned), or NULL. */
static json_t *table_of(const char *cluster, const struct kind_desc *k, const char *ns)
{
	char socket_path[CLUSTER_PATH];
	AUTO_BUF url = {0};
	AUTO_BUF body = {0};

	cluster_path(socket_path, cluster, "hub.sock");
	if (access(socket_path, R_OK | W_OK))
		return NULL;
	buf_printf(&url, "%s%s", *k->group ? "/apis/" : "/api/", kind_api_version(k));
	if (k->namespaced && ns) {
		buf_addz(&url, "/namespaces/");
		http_escape(&url, str_of(ns));
	}
	buf_printf(&url, "/%s?limit=1000", k->plural);
	if (url.failed || http_ask(socket_path, url.p, NAMES_ACCEPT, &body) != 200)
		return NULL;
	return json_loadb(body.p ? body.p : "", body.n, 0, NULL);
}

static const json_t *meta_of(const json_t *row)
{
	return json_object_get(json_object_get(row, "object"), "metadata");
}

void names_of_kind(struct live_names *out, const char *cluster, const struct kind_desc *k, const char *ns)
{
	AUTO_JSON v = table_of(cluster, k, ns);
	json_t *row;
	size_t i;

	json_array_foreach (json_object_get(v, "rows"), i, row)
		add(out, json_string_value(json_object_get(meta_of(row), "namespace")),
		    json_string_value(json_object_get(meta_of(row), "name")));
}

void names_of_label(struct live_names *out, const char *cluster, struct str key)
{
	AUTO_JSON v = table_of(cluster, &kind_table[KIND_pod], NULL);
	AUTO_MEM char *name = strndup(key.p ? key.p : "", key.n);
	json_t *row;
	size_t i;

	json_array_foreach (json_object_get(v, "rows"), i, row) {
		const json_t *labels = json_object_get(meta_of(row), "labels");
		const char *value = name ? json_string_value(json_object_get(labels, name)) : NULL;
		bool known = !value;

		VEC_EACH (&out->list, n)
			known |= value && !strcmp(n->name, value);
		if (!known)
			add(out, "", value);
	}
}

void names_of_clusters(struct live_names *out)
{
	DIR *d = opendir(CLUSTER_RUN);

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' && cluster_is_up(e->d_name))
			add(out, "", e->d_name);
	if (d)
		closedir(d);
}

void names_fini(struct live_names *n)
{
	VEC_EACH (&n->list, x) {
		free(x->ns);
		free(x->name);
	}
	vec_free(&n->list);
}

void near_try(struct near *n, struct str candidate)
{
	unsigned d = str_distance(n->typed, candidate);

	if (n->typed.n >= 3 && str_starts(candidate, n->typed) && d > 1)
		d = 1;
	if (!candidate.n || d > candidate.n / 3 + 1 || d >= n->typed.n || (n->word.n && d >= n->distance))
		return;
	n->distance = d;
	buf_clear(&n->word);
	buf_adds(&n->word, candidate);
}

void near_fini(struct near *n)
{
	buf_fini(&n->word);
}

void names_hint(struct buf *hint, const char *cluster, const struct kind_desc *k, const char *ns,
		const char *name)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(name)};
	const char *elsewhere = NULL;
	AUTO_NAMES all = {0};

	names_of_kind(&all, cluster, k, NULL);
	VEC_EACH (&all.list, n) {
		if (!k->namespaced || !ns || !strcmp(n->ns, ns))
			near_try(&near, str_of(n->name));
		else if (!strcmp(n->name, name))
			elsewhere = n->ns;
	}
	if (elsewhere)
		buf_printf(hint, "there is one in namespace %s: -n %s", elsewhere, elsewhere);
	else if (near.word.n)
		buf_printf(hint, "did you mean %s?", near.word.p);
	else if (k->namespaced && ns)
		names_hint_namespace(hint, cluster, ns);
}

void names_hint_namespace(struct buf *hint, const char *cluster, const char *ns)
{
	__attribute__((cleanup(near_fini))) struct near near = {.typed = str_of(ns)};
	AUTO_NAMES all = {0};

	names_of_kind(&all, cluster, &kind_table[KIND_namespace], NULL);
	VEC_EACH (&all.list, n) {
		if (!strcmp(n->name, ns))
			return;
		near_try(&near, str_of(n->name));
	}
	if (!all.list.len)
		return;
	buf_printf(hint, "there is no namespace %s", ns);
	if (near.word.n)
		buf_printf(hint, "; did you mean %s?", near.word.p);
}

void names_hint_pod(struct buf *hint, const char *cluster, const char *ns, const char *name)
{
	static const enum kind kinds[] = {KIND_deployment, KIND_statefulset, KIND_daemonset, KIND_pod};

	for (size_t i = 0; i < ARRAY_LEN(kinds) && !hint->n; i++)
		names_hint(hint, cluster, &kind_table[kinds[i]], ns, name);
}

void names_hint_node(struct buf *hint, const char *cluster, const char *node)
{
	names_hint(hint, cluster, &kind_table[KIND_node], NULL, node);
}
