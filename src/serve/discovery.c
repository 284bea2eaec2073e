/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery in both forms, version, and the least OpenAPI that lets clients leave validation to the server.
 * All from the table of kinds.
 */
#include <stdio.h>

#include "base/own.h"
#include "serve/api_state.h"
#include "serve/podstream.h"

#define VERBS "[\"create\",\"delete\",\"get\",\"list\",\"patch\",\"update\",\"watch\"]"
#define READS "[\"get\",\"list\",\"watch\"]"

static const char aggregated_type[] = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

struct group {
	const char *name, *version;
};

/* Groups in order of first appearance; Leases have one of their own. */
static size_t groups_list(struct group *out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < KIND_COUNT && n + 1 < max; i++) {
		bool seen = false;
		for (size_t j = 0; j < n; j++)
			seen |= !strcmp(out[j].name, kind_table[i].group);
		if (!seen)
			out[n++] = (struct group){kind_table[i].group, kind_table[i].version};
	}
	out[n++] = (struct group){"coordination.k8s.io", "v1"};
	return n;
}

static bool in_group(const struct kind_desc *k, const struct group *g)
{
	return !strcmp(k->group, g->name) && !strcmp(k->version, g->version);
}

static void print_words(struct buf *b, const char *comma_separated)
{
	struct str rest = str_of(comma_separated);
	bool first = true;
	buf_addc(b, '[');
	while (rest.n) {
		buf_addz(b, first ? "" : ",");
		buf_json(b, str_cut(&rest, ','));
		first = false;
	}
	buf_addc(b, ']');
}

static bool has_status(const struct kind_desc *k)
{
	for (uint32_t i = 0; k->body && i < k->body->n; i++)
		if (!strcmp(k->body->fields[i].json, "status"))
			return true;
	return false;
}

static void print_resource(struct buf *b, const struct kind_desc *k)
{
	buf_printf(
	    b,
	    "{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\",\"verbs\":" VERBS
	    ",\"shortNames\":",
	    k->plural, k->singular, k->namespaced ? "true" : "false", k->name);
	print_words(b, k->shorts);
	buf_addz(b, ",\"categories\":");
	print_words(b, k->categories);
	buf_addc(b, '}');
	if (has_status(k))
		buf_printf(b,
			   ",{\"name\":\"%s/"
			   "status\",\"singularName\":\"\",\"namespaced\":%s,\"kind\":\"%s\",\"verbs\":"
			   "[\"get\",\"patch\",\"update\"]}",
			   k->plural, k->namespaced ? "true" : "false", k->name);
	if (kind_scales(k->kind))
		buf_printf(
		    b,
		    ",{\"name\":\"%s/scale\",\"singularName\":\"\",\"namespaced\":true,\"group\":"
		    "\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":[\"get\",\"patch\","
		    "\"update\"]}",
		    k->plural);
	if (k->kind == KIND_pod)
		buf_addz(b,
			 ",{\"name\":\"pods/eviction\",\"singularName\":\"\",\"namespaced\":true,\"group\":"
			 "\"policy\",\"version\":\"v1\",\"kind\":\"Eviction\",\"verbs\":[\"create\"]}");
	if (k->kind == KIND_pod)
		podstream_discovery(b);
}

static void print_resources(struct buf *b, const struct group *g)
{
	bool first = true;
	buf_printf(
	    b,
	    "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%s%s\",\"resources\":[",
	    g->name, *g->name ? "/" : "", g->version);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (!in_group(&kind_table[i], g))
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_resource(b, &kind_table[i]);
	}
	if (!*g->name)
		buf_addz(
		    b,
		    ",{\"name\":\"events\",\"singularName\":\"event\",\"namespaced\":true,\"kind\":\"Event\","
		    "\"verbs\":" READS ",\"shortNames\":[\"ev\"]}");
	if (!strcmp(g->name, "coordination.k8s.io"))
		buf_addz(
		    b,
		    "{\"name\":\"leases\",\"singularName\":\"lease\",\"namespaced\":true,\"kind\":\"Lease\","
		    "\"verbs\":" READS "}");
	buf_addz(b, "]}\n");
}

static void print_aggregated_one(struct buf *b, const char *plural, const char *singular, const char *kind,
				 const struct group *g, bool namespaced, bool status, bool writes,
				 const char *shorts, const char *categories)
{
	buf_printf(b,
		   "{\"resource\":\"%s\",\"responseKind\":{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%"
		   "s\"},\"scope\":\"%s\","
		   "\"singularResource\":\"%s\",\"verbs\":%s,\"shortNames\":",
		   plural, g->name, g->version, kind, namespaced ? "Namespaced" : "Cluster", singular,
		   writes ? VERBS : READS);
	print_words(b, shorts);
	buf_addz(b, ",\"categories\":");
	print_words(b, categories);
	if (status)
		buf_printf(b,
			   ",\"subresources\":[{\"subresource\":\"status\",\"responseKind\":{\"group\":\"%"
			   "s\",\"version\":\"%s\","
			   "\"kind\":\"%s\"},\"verbs\":[\"get\",\"patch\",\"update\"]}]",
			   g->name, g->version, kind);
	buf_addc(b, '}');
}

static void print_aggregated_group(struct buf *b, const struct group *g)
{
	bool first = true;
	buf_printf(
	    b,
	    "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":null},\"versions\":[{\"version\":\"%s\","
	    "\"freshness\":\"Current\",\"resources\":[",
	    g->name, g->version);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		if (!in_group(k, g))
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_aggregated_one(b, k->plural, k->singular, k->name, g, k->namespaced, has_status(k),
				     true, k->shorts, k->categories);
	}
	if (!*g->name) {
		buf_addc(b, ',');
		print_aggregated_one(b, "events", "event", "Event", g, true, false, false, "ev", "");
	}
	if (first)
		print_aggregated_one(b, "leases", "lease", "Lease", g, true, false, false, "", "");
	buf_addz(b, "]}]}");
}

static void print_aggregated(struct buf *b, bool core)
{
	struct group groups[16];
	size_t n = groups_list(groups, ARRAY_LEN(groups));
	bool first = true;
	buf_addz(b, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/"
		    "v2\",\"metadata\":{},\"items\":[");
	for (size_t i = 0; i < n; i++) {
		if (!*groups[i].name != core)
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_aggregated_group(b, &groups[i]);
	}
	buf_addz(b, "]}\n");
}

static void print_group(struct buf *b, const struct group *g)
{
	buf_printf(b,
		   "{\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/"
		   "%s\",\"version\":\"%s\"}],\"preferredVersion\":"
		   "{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}}",
		   g->name, g->name, g->version, g->version, g->name, g->version, g->version);
}

static void print_group_list(struct buf *b)
{
	struct group groups[16];
	size_t n = groups_list(groups, ARRAY_LEN(groups));
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

/* Schemas stay empty: unknown fields are told by the server, where the hints are. */
static void print_openapi_kind(struct buf *b, const struct kind_desc *k)
{
	buf_printf(
	    b,
	    "\"%s%s/%s%s/"
	    "{name}\":{\"patch\":{\"x-kubernetes-group-version-kind\":{\"group\":\"%s\",\"version\":\"%s\","
	    "\"kind\":\"%s\"},\"parameters\":[{\"name\":\"fieldValidation\",\"in\":\"query\",\"schema\":"
	    "{\"type\":\"string\"}}],\"responses\":{}}}",
	    *k->group ? "/apis/" : "/api/", kind_api_version(k),
	    k->namespaced ? "namespaces/{namespace}/" : "", k->plural, k->group, k->version, k->name);
}

static void print_openapi(struct buf *b, const struct group *g)
{
	bool first = true;
	buf_addz(b, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Weft\",\"version\":\"" WEFT_VERSION
		    "\"},\"paths\":{");
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (!in_group(&kind_table[i], g))
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_openapi_kind(b, &kind_table[i]);
	}
	buf_addz(b, "},\"components\":{\"schemas\":{}}}\n");
}

static void print_openapi_index(struct buf *b, const char *instance)
{
	struct group groups[16];
	size_t n = groups_list(groups, ARRAY_LEN(groups));
	buf_addz(b, "{\"paths\":{");
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s\"%s%s%s%s\":{\"serverRelativeURL\":\"/openapi/v3/%s%s%s%s?hash=%s\"}",
			   i ? "," : "", *groups[i].name ? "apis/" : "api", groups[i].name, "/",
			   groups[i].version, *groups[i].name ? "apis/" : "api", groups[i].name, "/",
			   groups[i].version, instance);
	buf_addz(b, "}}\n");
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

/* "api/v1" or "apis/GROUP/VERSION" after the root was cut off, or "GROUP". */
static bool group_find(struct str name, struct str version, struct group *out)
{
	struct group groups[16];
	size_t n = groups_list(groups, ARRAY_LEN(groups));
	for (size_t i = 0; i < n; i++)
		if (str_eqz(name, groups[i].name) && (!version.n || str_eqz(version, groups[i].version))) {
			*out = groups[i];
			return true;
		}
	return false;
}

static bool handle_openapi(struct api *a, struct str rest, struct buf *b)
{
	struct group g;
	struct str v3 = str_cut(&rest, '/'), root = str_cut(&rest, '/'), name = {0};
	if (!str_eqz(v3, "v3"))
		return false;
	if (!root.n) {
		print_openapi_index(b, a->instance);
		return true;
	}
	if (str_eqz(root, "apis"))
		name = str_cut(&rest, '/');
	if (!rest.n || !group_find(name, rest, &g))
		return false;
	print_openapi(b, &g);
	return true;
}

void discovery_handle(struct api *a, const struct http_request *rq, struct http_reply *rp,
		      struct api_error *e)
{
	struct str rest = str_of(rq->path);
	struct buf *b = &rp->body;
	struct group g;
	bool aggregated = strstr(rq->accept, "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
	str_cut(&rest, '/');
	struct str root = str_cut(&rest, '/');
	bool core = str_eqz(root, "api");
	if (str_eqz(root, "version")) {
		print_version(b);
	} else if (str_eqz(root, "openapi")) {
		if (!handle_openapi(a, rest, b))
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
		if (!group_find(name, rest, &g))
			api_fail(e, 404, "NotFound", "the server could not find the requested resource");
		else if (rest.n)
			print_resources(b, &g);
		else
			print_group(b, &g);
	}
}
