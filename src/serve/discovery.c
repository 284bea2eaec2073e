/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery in both forms, and the version. All from the table of kinds and the short list of resources that
 * are no kinds.
 */
#include <stdio.h>

#include "base/own.h"
#include "serve/api_state.h"

#define VERBS "create,delete,deletecollection,get,list,patch,update,watch"
#define READS "get,list,watch"

static const char aggregated_type[] = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/* Resources that are not kept as objects. */
static const struct extra {
	const char *group, *version, *plural, *singular, *kind;
	bool namespaced;
	const char *verbs, *shorts;
} extras[] = {
    {"", "v1", "events", "event", "Event", true, READS, "ev"},
    {"coordination.k8s.io", "v1", "leases", "lease", "Lease", true, READS, ""},
    {"authentication.k8s.io", "v1", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", false,
     "create", ""},
    {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview",
     "SelfSubjectAccessReview", false, "create", ""},
    {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview",
     "SelfSubjectRulesReview", false, "create", ""},
};

/* A sub-resource of a kind; its own kind may be of another group. */
struct part {
	const char *name, *group, *version, *kind, *verbs;
};

static void add_group(struct api_group *out, size_t *n, const char *name, const char *version)
{
	for (size_t j = 0; j < *n; j++)
		if (!strcmp(out[j].name, name))
			return;
	if (*n < API_GROUPS_MAX)
		out[(*n)++] = (struct api_group){name, version};
}

size_t api_groups(struct api_group out[API_GROUPS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < KIND_COUNT; i++)
		add_group(out, &n, kind_table[i].group, kind_table[i].version);
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		add_group(out, &n, extras[i].group, extras[i].version);
	return n;
}

bool api_group_find(struct str name, struct str version, struct api_group *out)
{
	struct api_group groups[API_GROUPS_MAX];
	size_t n = api_groups(groups);
	for (size_t i = 0; i < n; i++)
		if (str_eqz(name, groups[i].name) && (!version.n || str_eqz(version, groups[i].version))) {
			*out = groups[i];
			return true;
		}
	return false;
}

static bool has_status(const struct kind_desc *k)
{
	for (uint32_t i = 0; k->body && i < k->body->n; i++)
		if (!strcmp(k->body->fields[i].json, "status"))
			return true;
	return false;
}

static size_t parts_of(const struct kind_desc *k, struct part out[8])
{
	size_t n = 0;
	if (has_status(k))
		out[n++] = (struct part){"status", k->group, k->version, k->name, "get,patch,update"};
	if (kind_scales(k->kind))
		out[n++] = (struct part){"scale", "autoscaling", "v1", "Scale", "get,patch,update"};
	if (k->kind != KIND_pod)
		return n;
	out[n++] = (struct part){"eviction", "policy", "v1", "Eviction", "create"};
	out[n++] = (struct part){"log", "", "v1", "Pod", "get"};
	out[n++] = (struct part){"exec", "", "v1", "PodExecOptions", "create,get"};
	out[n++] = (struct part){"attach", "", "v1", "PodAttachOptions", "create,get"};
	out[n++] = (struct part){"portforward", "", "v1", "PodPortForwardOptions", "create,get"};
	return n;
}

static void print_words(struct buf *b, const char *key, const char *comma_separated)
{
	struct str rest = str_of(comma_separated);
	buf_printf(b, ",\"%s\":[", key);
	while (rest.n) {
		buf_json(b, str_cut(&rest, ','));
		buf_addz(b, rest.n ? "," : "");
	}
	buf_addc(b, ']');
}

static struct extra extra_of(const struct kind_desc *k)
{
	return (struct extra){k->group, k->version,    k->plural, k->singular,
			      k->name,	k->namespaced, VERBS,	  k->shorts};
}

static void print_resource(struct buf *b, const struct extra *x, const char *categories)
{
	buf_printf(b, "{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\"", x->plural,
		   x->singular, x->namespaced ? "true" : "false", x->kind);
	print_words(b, "verbs", x->verbs);
	if (*x->shorts)
		print_words(b, "shortNames", x->shorts);
	if (*categories)
		print_words(b, "categories", categories);
	buf_addc(b, '}');
}

static void print_part(struct buf *b, const struct kind_desc *k, const struct part *p)
{
	buf_printf(b, ",{\"name\":\"%s/%s\",\"singularName\":\"\",\"namespaced\":%s,", k->plural, p->name,
		   k->namespaced ? "true" : "false");
	if (strcmp(p->group, k->group))
		buf_printf(b, "\"group\":\"%s\",\"version\":\"%s\",", p->group, p->version);
	buf_printf(b, "\"kind\":\"%s\"", p->kind);
	print_words(b, "verbs", p->verbs);
	buf_addc(b, '}');
}

static void print_aggregated_resource(struct buf *b, const struct extra *x, const char *categories,
				      const struct part *parts, size_t n)
{
	static const char kind[] = "\"responseKind\":{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\"}";
	buf_printf(b, "{\"resource\":\"%s\",", x->plural);
	buf_printf(b, kind, x->group, x->version, x->kind);
	buf_printf(b, ",\"scope\":\"%s\",\"singularResource\":\"%s\"",
		   x->namespaced ? "Namespaced" : "Cluster", x->singular);
	print_words(b, "verbs", x->verbs);
	if (*x->shorts)
		print_words(b, "shortNames", x->shorts);
	if (*categories)
		print_words(b, "categories", categories);
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "%s{\"subresource\":\"%s\",", i ? "," : ",\"subresources\":[", parts[i].name);
		buf_printf(b, kind, parts[i].group, parts[i].version, parts[i].kind);
		print_words(b, "verbs", parts[i].verbs);
		buf_addc(b, '}');
	}
	buf_addz(b, n ? "]}" : "}");
}

static void print_group_resources(struct buf *b, const struct api_group *g, bool aggregated)
{
	bool first = true;
	struct part parts[8];
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		struct extra x = extra_of(k);
		if (strcmp(k->group, g->name) || strcmp(k->version, g->version))
			continue;
		size_t n = parts_of(k, parts);
		buf_addz(b, first ? "" : ",");
		first = false;
		if (aggregated) {
			print_aggregated_resource(b, &x, k->categories, parts, n);
			continue;
		}
		print_resource(b, &x, k->categories);
		for (size_t p = 0; p < n; p++)
			print_part(b, k, &parts[p]);
	}
	for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
		if (strcmp(extras[i].group, g->name))
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		if (aggregated)
			print_aggregated_resource(b, &extras[i], "", NULL, 0);
		else
			print_resource(b, &extras[i], "");
	}
}

static void print_resources(struct buf *b, const struct api_group *g)
{
	buf_printf(
	    b,
	    "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%s%s\",\"resources\":[",
	    g->name, *g->name ? "/" : "", g->version);
	print_group_resources(b, g, false);
	buf_addz(b, "]}\n");
}

static void print_aggregated(struct buf *b, bool core)
{
	struct api_group groups[API_GROUPS_MAX];
	size_t n = api_groups(groups);
	bool first = true;
	buf_addz(b, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
		    "v2\",\"metadata\":{},\"items\":[");
	for (size_t i = 0; i < n; i++) {
		if (!*groups[i].name != core)
			continue;
		buf_printf(
		    b,
		    "%s{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":null},\"versions\":[{\"version\":"
		    "\"%s\",\"freshness\":\"Current\",\"resources\":[",
		    first ? "" : ",", groups[i].name, groups[i].version);
		first = false;
		print_group_resources(b, &groups[i], true);
		buf_addz(b, "]}]}");
	}
	buf_addz(b, "]}\n");
}

static void print_group(struct buf *b, const struct api_group *g)
{
	buf_printf(b,
		   "{\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/"
		   "%s\",\"version\":\"%s\"}],\"preferredVersion\":"
		   "{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}}",
		   g->name, g->name, g->version, g->version, g->name, g->version, g->version);
}

static void print_group_list(struct buf *b)
{
	struct api_group groups[API_GROUPS_MAX];
	size_t n = api_groups(groups);
	bool first = true;
	buf_addz(b, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < n; i++) {
		if (!*groups[i].name)
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_group(b, &groups[i]);
	}
	buf_addz(b, "]}\n");
}

static void print_version(struct buf *b)
{
	buf_addz(b, "{\"major\":\"1\",\"minor\":\"32\",\"gitVersion\":\"v1.32.0+weft-" WEFT_VERSION
		    "\",\"gitCommit\":\"\",\"gitTreeState\":\"clean\",\"buildDate\":\"1970-01-01T00:00:00Z\","
		    "\"goVersion\":\"none\",\"compiler\":\"cc\",\"platform\":\"linux/amd64\"}\n");
}

bool discovery_is(const char *path)
{
	struct str rest = str_of(path);
	str_cut(&rest, '/');
	struct str root = str_cut(&rest, '/'), a = str_cut(&rest, '/'), v = str_cut(&rest, '/');
	if (str_eqz(root, "version"))
		return !a.n;
	if (str_eqz(root, "openapi"))
		return true;
	if (rest.n)
		return false;
	return (str_eqz(root, "api") && !v.n) || str_eqz(root, "apis");
}

void discovery_handle(const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	struct str rest = str_of(rq->path);
	struct buf *b = &rp->body;
	struct api_group g;
	bool aggregated = strstr(rq->accept, "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
	str_cut(&rest, '/');
	struct str root = str_cut(&rest, '/');
	bool core = str_eqz(root, "api");
	if (str_eqz(root, "version")) {
		print_version(b);
	} else if (str_eqz(root, "openapi")) {
		if (!openapi_print(rest, b))
			api_fail(e, 404, "NotFound", "no such document");
	} else if (!rest.n && aggregated) {
		rp->content_type = aggregated_type;
		print_aggregated(b, core);
	} else if (!rest.n && core) {
		buf_addz(
		    b,
		    "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}\n");
	} else if (!rest.n) {
		print_group_list(b);
	} else {
		struct str name = core ? (struct str){0} : str_cut(&rest, '/');
		if (!api_group_find(name, rest, &g))
			api_fail(e, 404, "NotFound", "the server could not find the requested resource");
		else if (rest.n)
			print_resources(b, &g);
		else
			print_group(b, &g);
	}
}
