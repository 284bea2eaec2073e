/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft why POD --ready`: why a pod is ready or not: its containers, their probes with the last results and
 * their causes, readiness gates, deletion, and what Services make of it. Asks the hub for the pod and its
 * node's observer for the probes.
 */
#include "cli/why_ready.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/names.h"
#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>

enum { RESULTS_SHOWN = 8 };

static const char *text(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key)) ?: "";
}

static const json_t *at(const json_t *v, const char *a, const char *b)
{
	return json_object_get(json_object_get(v, a), b);
}

/* NAME, or what is left of it without the part that its ReplicaSet gave. */
static bool owned_by(const json_t *pod, const char *name)
{
	const json_t *owner;
	size_t i, n = strlen(name);

	json_array_foreach (at(pod, "metadata", "ownerReferences"), i, owner) {
		const char *of = text(owner, "name"), *dash = strrchr(of, '-');
		if (!strcmp(of, name) || (dash && (size_t)(dash - of) == n && !strncmp(of, name, n)))
			return true;
	}
	return false;
}

static const json_t *named(const json_t *list, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v)
		if (!strcmp(text(v, "name"), name))
			return v;
	return NULL;
}

static const json_t *condition(const json_t *pod, const char *type)
{
	const json_t *v;
	size_t i;

	json_array_foreach (at(pod, "status", "conditions"), i, v)
		if (!strcmp(text(v, "type"), type))
			return v;
	return NULL;
}

static bool is_true(const json_t *pod, const char *type)
{
	return !strcmp(text(condition(pod, type), "status"), "True");
}

__attribute__((format(printf, 2, 3))) static void because(json_t *doc, const char *fmt, ...)
{
	AUTO_BUF b = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	json_array_append_new(json_object_get(doc, "reasons"), json_string(b.p ? b.p : ""));
}

static const char *run_of(const json_t *status)
{
	const char *word = "waiting";
	const json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)json_object_get(status, "state"), word, v)
		break;
	return word;
}

/* Why the container as such is not ready, when it is not. */
static void judge_container(json_t *doc, const json_t *c, const json_t *probes, bool init)
{
	const char *name = text(c, "name"), *run = text(c, "state");
	const json_t *p;
	size_t i, told = 0;

	if (json_is_true(json_object_get(c, "ready")))
		return;
	if (strcmp(run, "running") != 0) {
		because(doc, "%s %s is %s", init ? "init container" : "container", name, run);
		return;
	}
	json_array_foreach ((json_t *)(uintptr_t)probes, i, p) {
		const char *kind = text(p, "kind"), *state = text(p, "state");
		long long streak = json_integer_value(json_object_get(p, "streak"));
		if (!strcmp(kind, "liveness") || !strcmp(state, "passing") || !strcmp(state, "done"))
			continue;
		told++;
		if (!strcmp(state, "held"))
			because(doc, "container %s: readiness waits until its startup probe succeeds", name);
		else if (*text(p, "last"))
			because(doc, "container %s: %s probe is %s: %s (cause %s, %lld in a row)", name, kind,
				state, text(p, "last"), text(p, "cause"), streak);
		else
			because(doc, "container %s: %s probe has no result yet", name, kind);
	}
	if (!told)
		because(doc, init ? "init container %s has not finished" : "container %s is not ready yet",
			name);
}

static void add_containers(json_t *doc, const json_t *pod, const json_t *observed, bool init)
{
	const json_t *spec, *p;
	const char *list = init ? "initContainers" : "containers";
	const char *from = init ? "initContainerStatuses" : "containerStatuses";
	size_t i, j;

	json_array_foreach (at(pod, "spec", list), i, spec) {
		const char *name = text(spec, "name");
		const json_t *status = named(at(pod, "status", from), name);
		const json_t *running = at(status, "state", "running"),
			     *last = at(status, "lastState", "terminated");
		json_t *probes = json_array();
		json_array_foreach (json_object_get(observed, "probes"), j, p)
			if (!strcmp(text(p, "container"), name))
				json_array_append(probes, (json_t *)(uintptr_t)p);
		json_t *c = json_pack("{s:s,s:b,s:s,s:b,s:I,s:o}", "name", name, "init", init, "state",
				      run_of(status), "ready", json_is_true(json_object_get(status, "ready")),
				      "restarts", json_integer_value(json_object_get(status, "restartCount")),
				      "probes", probes);
		if (running && *text(running, "startedAt"))
			json_object_set(c, "since", json_object_get(running, "startedAt"));
		if (last)
			json_object_set(c, "lastEnd", (json_t *)(uintptr_t)last);
		judge_container(doc, c, probes, init);
		json_array_append_new(json_object_get(doc, "containers"), c);
	}
}

static void add_gates(json_t *doc, const json_t *pod)
{
	const json_t *gate;
	size_t i;

	json_array_foreach (at(pod, "spec", "readinessGates"), i, gate) {
		const char *type = text(gate, "conditionType");
		const json_t *c = condition(pod, type);
		const char *status = c ? text(c, "status") : "missing";
		json_array_append_new(json_object_get(doc, "gates"),
				      json_pack("{s:s,s:s}", "type", type, "status", status));
		if (strcmp(status, "True") != 0)
			because(doc, "readiness gate %s: its condition is %s", type,
				c ? status : "missing, which counts as false");
	}
}

static void add_endpoints(json_t *doc, const json_t *slices, const char *uid)
{
	const json_t *slice, *e;
	size_t i, j;

	json_array_foreach (json_object_get(slices, "items"), i, slice)
		json_array_foreach (json_object_get(slice, "endpoints"), j, e) {
			const json_t *c = json_object_get(e, "conditions");
			const char *of = text(at(slice, "metadata", "labels"), "kubernetes.io/service-name");
			if (strcmp(text(json_object_get(e, "targetRef"), "uid"), uid) != 0)
				continue;
			json_array_append_new(
			    json_object_get(doc, "endpoints"),
			    json_pack("{s:s,s:s,s:b,s:b,s:b}", "service", of, "address",
				      json_string_value(json_array_get(json_object_get(e, "addresses"), 0))
					  ?: "",
				      "ready", json_is_true(json_object_get(c, "ready")), "serving",
				      json_is_true(json_object_get(c, "serving")), "terminating",
				      json_is_true(json_object_get(c, "terminating"))));
		}
}

static json_t *examine(const char *cluster, const json_t *pod, const json_t *slices)
{
	const json_t *meta = json_object_get(pod, "metadata");
	const char *node = text(json_object_get(pod, "spec"), "nodeName");
	const char *phase = text(json_object_get(pod, "status"), "phase");
	AUTO_BUF key = {0};
	AUTO_BUF path = {0};

	buf_printf(&key, "%s/%s", text(meta, "namespace"), text(meta, "name"));
	buf_printf(&path, "/probes?pod=%s", key.p ? key.p : "");
	AUTO_JSON observed = *node ? observer_get(cluster, node, path.p ? path.p : "/probes") : NULL;
	json_t *doc = json_pack("{s:s,s:s,s:s,s:b,s:b,s:[],s:[],s:[],s:[]}", "pod", key.p ? key.p : "",
				"node", node, "phase", phase, "ready", is_true(pod, "Ready"), "deleted",
				*text(meta, "deletionTimestamp") != '\0', "reasons", "containers", "gates",
				"endpoints");
	if (!*node)
		because(doc, "it has no node: %s", text(condition(pod, "PodScheduled"), "message"));
	if (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"))
		because(doc, "it has ended: %s", phase);
	if (*node && !observed)
		because(doc, "the observer of %s does not answer, so its probes are unknown", node);
	add_containers(doc, pod, observed, true);
	add_containers(doc, pod, observed, false);
	add_gates(doc, pod);
	if (*text(meta, "deletionTimestamp"))
		because(doc, "it is being deleted: its endpoints are not ready, whatever its probes say");
	add_endpoints(doc, slices, text(meta, "uid"));
	if (json_is_true(json_object_get(doc, "ready")) && !*text(meta, "deletionTimestamp"))
		json_array_clear(json_object_get(doc, "reasons"));
	return doc;
}

json_t *why_ready_reasons(const char *cluster, struct str ns, struct str name)
{
	char sock[CLUSTER_PATH];
	AUTO_BUF url = {0};

	buf_printf(&url, "/api/v1/namespaces/" STR_FMT "/pods/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	cluster_path(sock, cluster, "hub.sock");
	AUTO_JSON pod = url.failed ? NULL : http_get_json(sock, url.p, NULL);
	AUTO_JSON doc = pod ? examine(cluster, pod, NULL) : NULL;
	return json_incref(json_object_get(doc, "reasons"));
}

/* --- text --- */

static void print_ago(const char *then)
{
	char age[16];
	int64_t s;

	if (!*then || clock_parse(then, &s))
		return;
	clock_age(clock_wall() > s ? clock_wall() - s : 0, age);
	printf("%s", age);
}

static void print_probe(const json_t *p)
{
	const json_t *r;
	size_t i;

	printf("    %s probe (%s, every %.1f s): %s", text(p, "kind"), text(p, "how"),
	       (double)json_integer_value(json_object_get(p, "periodMs")) / 1000, text(p, "state"));
	if (*text(p, "last"))
		printf(", %lld in a row: %s", (long long)json_integer_value(json_object_get(p, "streak")),
		       text(p, "last"));
	putchar('\n');
	json_array_foreach (json_object_get(p, "results"), i, r) {
		long long code = json_integer_value(json_object_get(r, "code"));
		bool numbered = !strcmp(text(r, "cause"), "status") || !strcmp(text(r, "cause"), "exit");
		if (i >= RESULTS_SHOWN)
			break;
		printf("      ");
		print_ago(text(r, "at"));
		printf(" ago  %s", text(r, "cause"));
		if (numbered)
			printf(" %lld", code);
		printf(", after %.1f ms\n", json_real_value(json_object_get(r, "tookMs")));
	}
}

static void print_container(const json_t *c)
{
	const json_t *p, *end = json_object_get(c, "lastEnd");
	long long restarts = json_integer_value(json_object_get(c, "restarts"));
	size_t i;

	printf("  %s %s: %s", json_is_true(json_object_get(c, "init")) ? "init container" : "container",
	       text(c, "name"), text(c, "state"));
	if (*text(c, "since")) {
		printf(" for ");
		print_ago(text(c, "since"));
	}
	printf(", %s", json_is_true(json_object_get(c, "ready")) ? "ready" : "not ready");
	if (restarts)
		printf(", restarted %lld time%s", restarts, restarts == 1 ? "" : "s");
	if (end && *text(end, "message"))
		printf(" (last: %s)", text(end, "message"));
	putchar('\n');
	json_array_foreach (json_object_get(c, "probes"), i, p)
		print_probe(p);
}

static void print_doc(const json_t *doc)
{
	bool ready = json_is_true(json_object_get(doc, "ready"));
	const json_t *v;
	size_t i;

	printf("%s%s is %s%s\n", output_style(ready ? STYLE_GREEN : STYLE_RED), text(doc, "pod"),
	       ready ? "ready" : "not ready", output_style(STYLE_PLAIN));
	json_array_foreach (json_object_get(doc, "reasons"), i, v)
		printf("  because %s\n", json_string_value(v));
	json_array_foreach (json_object_get(doc, "containers"), i, v)
		print_container(v);
	json_array_foreach (json_object_get(doc, "gates"), i, v)
		printf("  readiness gate %s: %s\n", text(v, "type"), text(v, "status"));
	json_array_foreach (json_object_get(doc, "endpoints"), i, v)
		printf("  Service %s, %s: %s%s%s\n", text(v, "service"), text(v, "address"),
		       json_is_true(json_object_get(v, "ready")) ? "ready" : "not ready",
		       json_is_true(json_object_get(v, "serving")) ? ", serving" : ", not serving",
		       json_is_true(json_object_get(v, "terminating")) ? ", terminating" : "");
}

/* --- the question --- */

static json_t *examine_all(const char *cluster, struct str ns, const char *name, const char *sock)
{
	json_t *docs = json_array(), *pod;
	AUTO_BUF url = {0};
	AUTO_BUF slices_url = {0};
	size_t i;

	buf_printf(&url, "/api/v1/namespaces/" STR_FMT "/pods", STR_ARG(ns));
	buf_printf(&slices_url, "/apis/discovery.k8s.io/v1/namespaces/" STR_FMT "/endpointslices",
		   STR_ARG(ns));
	AUTO_JSON pods = http_get_json(sock, url.p, NULL);
	AUTO_JSON slices = pods ? http_get_json(sock, slices_url.p, NULL) : NULL;
	bool exact = false;

	json_array_foreach (json_object_get(pods, "items"), i, pod)
		exact |= !strcmp(text(json_object_get(pod, "metadata"), "name"), name);
	json_array_foreach (json_object_get(pods, "items"), i, pod) {
		bool is = exact ? !strcmp(text(json_object_get(pod, "metadata"), "name"), name)
				: owned_by(pod, name);
		if (is)
			json_array_append_new(docs, examine(cluster, pod, slices));
	}
	return docs;
}

int why_ready(const struct options_why *o)
{
	const char *cluster = cluster_name(o->name), *name = o->args[0];
	struct str ns = str_of(o->ns ? o->ns : "default");
	const char *slash = strchr(name, '/');
	char sock[CLUSTER_PATH];
	bool all = true;
	json_t *doc;
	size_t i;

	if (o->files || o->n_args != 1) {
		cli_error("weft why [NS/]POD --ready",
			  "--ready asks a running cluster about one pod or workload");
		return EXIT_USAGE;
	}
	if (!cluster || !cluster_need(cluster))
		return EXIT_USAGE;
	if (slash && !str_starts(str_of(name), STR("pod/")))
		ns = (struct str){.p = name, .n = (size_t)(slash - name)};
	if (slash)
		name = slash + 1;
	cluster_path(sock, cluster, "hub.sock");
	AUTO_JSON docs = examine_all(cluster, ns, name, sock);
	if (!json_array_size(docs)) {
		AUTO_MEM char *in = strndup(ns.p, ns.n);
		AUTO_BUF hint = {0};
		names_hint_pod(&hint, cluster, in, name);
		cli_error(hint.n ? hint.p : "weft get pods -A", "no pod or workload %s in namespace %s", name,
			  in);
		return EXIT_USAGE;
	}
	if (o->output)
		output_value(docs, o->output);
	json_array_foreach (docs, i, doc) {
		all = all && json_is_true(json_object_get(doc, "ready"));
		if (!o->output)
			print_doc(doc);
	}
	return all ? EXIT_OK : EXIT_FAILED;
}
