/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft scale`: how many pods a workload shall have, by the API's sub-resource scale. What comes from a file
 * is changed there: the hub refuses it with the line.
 */
#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "object/object.h"

#include <stdio.h>

static const char *const kinds[] = {"Deployment", "StatefulSet", "ReplicaSet"};

static void scale_url(struct buf *b, const char *ns, const char *kind, struct str name)
{
	const struct kind_desc *k = kind_by_name(str_of(kind));

	buf_addz(b, "/apis/apps/v1/namespaces/");
	http_escape(b, str_of(ns));
	buf_printf(b, "/%s/", k ? k->plural : kind);
	http_escape(b, name);
	buf_addz(b, "/scale");
}

/* The scale of NAME of that kind: its HTTP status; the body goes to out. */
static long ask(const char *sock, const char *ns, const char *kind, struct str name, struct buf *out)
{
	AUTO_BUF url = {0};

	scale_url(&url, ns, kind, name);
	buf_clear(out);
	return url.failed ? -1 : http_request(sock, "GET", url.p, NULL, (struct str){0}, out);
}

/* Which of the kinds that are scaled is meant: "deploy/web", "web". NULL after telling. */
static const char *kind_of(const char *sock, const char *ns, struct str said, struct str *name,
			   struct buf *body)
{
	const struct kind_desc *k = NULL;
	struct str rest = said;
	bool given = memchr(said.p, '/', said.n);

	if (given)
		k = kind_by_name(str_cut(&rest, '/'));
	*name = rest;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (given && (!k || strcmp(k->name, kinds[i])))
			continue;
		long code = ask(sock, ns, kinds[i], rest, body);
		if (code == 200)
			return kinds[i];
		if (code != 404 || given) {
			if (code > 0)
				http_tell(code, buf_str(body));
			return NULL;
		}
	}
	if (given)
		cli_error("deployment/NAME, statefulset/NAME or replicaset/NAME", STR_FMT " is not scaled",
			  STR_ARG(said));
	else
		cli_error("weft get all",
			  "no Deployment, StatefulSet or ReplicaSet " STR_FMT " in namespace %s",
			  STR_ARG(said), ns);
	return NULL;
}

static int put(const struct options_scale *o, const char *sock, const char *ns, const char *kind,
	       struct str name)
{
	AUTO_JSON scale = json_pack("{s:s,s:s,s:{s:s%,s:s},s:{s:i}}", "kind", "Scale", "apiVersion",
				    "autoscaling/v1", "metadata", "name", name.p, name.n, "namespace", ns,
				    "spec", "replicas", (int)o->replicas);
	AUTO_MEM char *text = json_dumps(scale, JSON_COMPACT);
	AUTO_BUF answer = {0};
	AUTO_BUF url = {0};

	scale_url(&url, ns, kind, name);
	long code = text && !url.failed ? http_request(sock, "PUT", url.p, NULL, str_of(text), &answer) : -1;
	if (code != 200) {
		if (code > 0)
			http_tell(code, buf_str(&answer));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int cmd_scale(const struct options_scale *o)
{
	const char *cluster = cluster_name(o->name), *ns = o->ns ? o->ns : "default";
	char sock[CLUSTER_PATH];
	struct str name = {0};
	AUTO_BUF body = {0};

	if (!cluster)
		return EXIT_USAGE;
	if (o->replicas < 0) {
		cli_error("weft scale deployment/web --replicas 3", "how many? --replicas is missing");
		return EXIT_USAGE;
	}
	if (!cluster_need(cluster))
		return EXIT_FAILED;
	cluster_path(sock, cluster, "hub.sock");
	const char *kind = kind_of(sock, ns, str_of(o->args[0]), &name, &body);
	if (!kind)
		return EXIT_FAILED;
	AUTO_JSON was = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	long long had = json_integer_value(json_object_get(json_object_get(was, "spec"), "replicas"));
	if (o->current >= 0 && o->current != had) {
		cli_error(NULL, "%s %s/" STR_FMT " has %lld replicas, not %lld: nothing was changed", kind,
			  ns, STR_ARG(name), had, (long long)o->current);
		return EXIT_FAILED;
	}
	int r = put(o, sock, ns, kind, name);
	if (!r)
		printf("%s %s/" STR_FMT ": %lld replicas, before %lld\n", kind, ns, STR_ARG(name),
		       (long long)o->replicas, had);
	return r;
}
