/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft fault`: asks the running sandbox to break a pod or a node, to mend it, or what is broken. Breaks
 * nothing itself.
 */
#include "cli/fault.h"

#include "base/own.h"
#include "base/vec.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/names.h"
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MILLIONTHS_OF_PERCENT = 10000 };

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

/* Whether the pod is meant by "name": its own, its owner's, or the Deployment's behind a ReplicaSet. */
static bool is_meant(const json_t *meta, const char *name)
{
	const json_t *owner;
	size_t i;

	if (!strcmp(text_of(meta, "name"), name))
		return true;
	json_array_foreach (json_object_get(meta, "ownerReferences"), i, owner) {
		const char *set = text_of(owner, "name"), *dash = strrchr(set, '-');
		size_t n = strlen(name);

		if (!strcmp(set, name))
			return true;
		if (!strcmp(text_of(owner, "kind"), "ReplicaSet") && dash && (size_t)(dash - set) == n &&
		    !strncmp(set, name, n))
			return true;
	}
	return false;
}

struct pod_names {
	VEC(char *) list;
};

static void pod_names_fini(struct pod_names *p)
{
	VEC_EACH (&p->list, n)
		free(*n);
	vec_free(&p->list);
}

static void tell_nobody(const char *cluster, const char *ns, const char *name)
{
	AUTO_BUF hint = {0};

	names_hint_pod(&hint, cluster, ns, name);
	cli_error(hint.n ? hint.p : "weft get pods -A lists them", "there is no pod or workload %s/%s", ns,
		  name);
}

static int find_pods(struct pod_names *out, const struct options_fault *o, const char *cluster)
{
	const char *said = o->args[0], *slash = strchr(said, '/'), *name = slash ? slash + 1 : said;
	AUTO_MEM char *ns = slash ? strndup(said, (size_t)(slash - said)) : strdup(o->ns ? o->ns : "default");
	char socket_path[CLUSTER_PATH];
	const json_t *pod;
	size_t i;

	cluster_path(socket_path, cluster, "hub.sock");
	AUTO_JSON v = ns ? http_get_json(socket_path, "/api/v1/pods", NULL) : NULL;
	if (!v)
		return -1;
	json_array_foreach (json_object_get(v, "items"), i, pod) {
		const json_t *meta = json_object_get(pod, "metadata");
		AUTO_BUF key = {0};

		if (strcmp(text_of(meta, "namespace"), ns) != 0 || !is_meant(meta, name) ||
		    (json_object_get(meta, "deletionTimestamp") && !o->clear))
			continue;
		buf_printf(&key, "%s/%s", ns, text_of(meta, "name"));
		if (key.failed || vec_push(&out->list, key.p))
			return -1;
		key.p = NULL;
	}
	if (!out->list.len)
		tell_nobody(cluster, ns, name);
	return out->list.len ? 0 : -1;
}

/* "5%", "0.5". */
static int add_loss(json_t *request, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%") != 0) || !(v >= 0 && v <= 100)) {
		cli_error(NULL, "--loss is a share from 0%% to 100%%, not \"%s\"", text);
		return -1;
	}
	return json_object_set_new(request, "loss",
				   json_integer((json_int_t)(v * MILLIONTHS_OF_PERCENT + 0.5)));
}

/* "200ms", "2s"; a bare number is of milliseconds. */
static int add_slow(json_t *request, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (!strcmp(end, "s"))
		v *= 1000;
	if (end == text || (*end && strcmp(end, "s") != 0 && strcmp(end, "ms") != 0) ||
	    !(v >= 0 && v <= 600000)) {
		cli_error(NULL, "--slow is a time of at most 600s, as 200ms or 2s, not \"%s\"", text);
		return -1;
	}
	return json_object_set_new(request, "slowMs", json_integer((json_int_t)(v + 0.5)));
}

static json_t *make_request(const struct options_fault *o)
{
	json_t *request = json_pack("{s:s}", "op", "fault");
	const struct {
		bool asked;
		const char *key;
	} flags[] = {{o->not_ready, "notReady"}, {o->refuse, "refuse"}, {o->crash, "crash"},
		     {o->down, "down"},		 {o->cut, "cut"},	{o->clear, "clear"}};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].asked)
			json_object_set_new(request, flags[i].key, json_true());
	if ((o->loss && add_loss(request, o->loss)) || (o->slow && add_slow(request, o->slow))) {
		json_decref(request);
		return NULL;
	}
	return request;
}

static int take_list(void *ctx, const json_t *line)
{
	json_t **out = ctx;

	*out = json_incref(json_object_get(line, "faults"));
	return 1;
}

static int show_list(const struct options_fault *o, const char *cluster)
{
	static const char *const heads[] = {"WHAT", "FAULT", NULL};
	AUTO_JSON request = json_pack("{s:s,s:b}", "op", "fault", "list", 1);
	AUTO_JSON list = NULL;
	const json_t *f;
	size_t i;

	if (control_request(cluster, request, take_list, &list) < 0)
		return EXIT_FAILED;
	if (o->output) {
		output_value(list, o->output);
		return EXIT_OK;
	}
	if (!json_array_size(list)) {
		printf("Nothing is broken on command.\n");
		return EXIT_OK;
	}
	AUTO_TABLE t;
	table_init(&t, heads);
	json_array_foreach (list, i, f) {
		AUTO_BUF what = {0};
		bool node = *text_of(f, "node");

		buf_printf(&what, "%s%s", node ? "node/" : "", node ? text_of(f, "node") : text_of(f, "pod"));
		table_cell(&t, what.p ? what.p : "");
		table_cell(&t, text_of(f, "fault"));
	}
	table_print(&t);
	return EXIT_OK;
}

static int take_ok(void *ctx, const json_t *line)
{
	(void)ctx;
	(void)line;
	return 1;
}

static int ask(const char *cluster, json_t *request, const char *key, const char *what)
{
	if (key)
		json_object_set_new(request, key, json_string(what));
	return control_request(cluster, request, take_ok, NULL) < 0 ? EXIT_FAILED : EXIT_OK;
}

static bool is_for_pods(const struct options_fault *o)
{
	return o->not_ready || o->refuse || o->crash || o->loss || o->slow;
}

int fault_run(const struct options_fault *o, const char *cluster)
{
	const char *what = o->n_args ? o->args[0] : NULL;
	bool node = what && !strncmp(what, "node/", 5);
	__attribute__((cleanup(pod_names_fini))) struct pod_names pods = {0};
	AUTO_JSON request = NULL;
	int r = EXIT_OK;

	if (o->list)
		return show_list(o, cluster);
	if (!is_for_pods(o) && !o->down && !o->cut && !o->clear) {
		cli_error("`weft help fault` lists them", "say which fault, or --clear, or --list");
		return EXIT_USAGE;
	}
	if (!what && !o->clear) {
		cli_error(NULL, "say which pod, or node/NAME");
		return EXIT_USAGE;
	}
	if (node ? is_for_pods(o) : o->down || o->cut) {
		cli_error(node ? "a node: --down, --cut"
			       : "a pod: --not-ready, --refuse, --crash, --loss, --slow",
			  "a %s cannot have that fault", node ? "node" : "pod");
		return EXIT_USAGE;
	}
	request = make_request(o);
	if (!request)
		return EXIT_USAGE;
	if (!what)
		return ask(cluster, request, NULL, NULL);
	if (node)
		return ask(cluster, request, "node", what + 5);
	if (find_pods(&pods, o, cluster))
		return EXIT_FAILED;
	VEC_EACH (&pods.list, pod)
		r = r ? r : ask(cluster, request, "pod", *pod);
	return r;
}

int cmd_fault(const struct options_fault *o)
{
	const char *cluster = cluster_name(o->name);

	if (!cluster)
		return EXIT_USAGE;
	return cluster_need(cluster) ? fault_run(o, cluster) : EXIT_FAILED;
}
