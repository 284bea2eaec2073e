/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAPI v3, one document for each group and version, made of the kind and field tables. Version 2 is not
 * offered: clients go on without it.
 */
#include <stdio.h>

#include "base/hash.h"
#include "object/schema.h"
#include "serve/podstream.h"

static void print_gvk(struct buf *b, const struct kind_desc *k)
{
	buf_printf(
	    b, "\"x-kubernetes-group-version-kind\":{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\"}",
	    k->group, k->version, k->name);
}

static void print_operation(struct buf *b, const struct kind_desc *k, const char *method, const char *action,
			    const char *body, bool more)
{
	static const char query[] =
	    "{\"name\":\"%s\",\"in\":\"query\",\"description\":\"%s\",\"schema\":{\"type\":"
	    "\"%s\"}}";
	bool writes = strcmp(action, "get") && strcmp(action, "list");
	buf_printf(b, "%s\"%s\":{\"operationId\":\"%s%s\",\"x-kubernetes-action\":\"%s\",", more ? "," : "",
		   method, action, k->name, action);
	print_gvk(b, k);
	buf_addz(b, ",\"parameters\":[");
	if (writes) {
		buf_printf(b, query, "dryRun", "All: only say what would be.", "string");
		buf_addc(b, ',');
		buf_printf(b, query, "fieldManager", "Who writes.", "string");
		buf_addc(b, ',');
		buf_printf(b, query, "fieldValidation", "Ignore, Warn or Strict: what unknown fields mean.",
			   "string");
	} else {
		buf_printf(b, query, "resourceVersion", "Not older than this version.", "string");
	}
	buf_addc(b, ']');
	if (body) {
		buf_printf(b,
			   ",\"requestBody\":{\"required\":true,\"content\":{\"%s\":{\"schema\":{\"$ref\":\"",
			   body);
		schema_ref(b, k);
		buf_addz(b, "\"}}}}");
	}
	buf_addz(b, ",\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{\"application/"
		    "json\":{\"schema\":{");
	if (!strcmp(action, "delete")) {
		buf_addz(b, "\"type\":\"object\",\"description\":\"A Status, or the object while it ends.\","
			    "\"required\":[\"kind\",\"apiVersion\",\"metadata\"]}");
	} else if (strcmp(action, "list")) {
		buf_addz(b, "\"$ref\":\"");
		schema_ref(b, k);
		buf_addz(b, "\"}");
	} else {
		buf_addz(b, "\"type\":\"object\"}");
	}
	buf_addz(b, "}}}}}");
}

static void print_parameters(struct buf *b, bool namespaced, bool named)
{
	static const char path[] =
	    "{\"name\":\"%s\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}";
	buf_addz(b, "\"parameters\":[");
	if (namespaced)
		buf_printf(b, path, "namespace");
	buf_addz(b, namespaced && named ? "," : "");
	if (named)
		buf_printf(b, path, "name");
	buf_addz(b, "],");
}

/* The body of PATCH has no content types: clients take the kind's from their own tables. */
static void print_kind(struct buf *b, const struct kind_desc *k)
{
	AUTO_BUF base = {0};
	buf_printf(&base, "%s%s/%s%s", *k->group ? "/apis/" : "/api/", kind_api_version(k),
		   k->namespaced ? "namespaces/{namespace}/" : "", k->plural);
	buf_printf(b, "\"" STR_FMT "\":{", STR_ARG(buf_str(&base)));
	print_parameters(b, k->namespaced, false);
	print_operation(b, k, "get", "list", NULL, false);
	print_operation(b, k, "post", "post", "application/json", true);
	buf_printf(b, "},\"" STR_FMT "/{name}\":{", STR_ARG(buf_str(&base)));
	print_parameters(b, k->namespaced, true);
	print_operation(b, k, "get", "get", NULL, false);
	print_operation(b, k, "put", "put", "application/json", true);
	print_operation(b, k, "patch", "patch", NULL, true);
	print_operation(b, k, "delete", "delete", NULL, true);
	buf_addc(b, '}');
	if (k->kind == KIND_pod) {
		buf_addc(b, ',');
		podstream_openapi(b);
	}
}

static void print_document(struct buf *b, const struct api_group *g)
{
	bool first = true;
	buf_addz(b, "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Weft\",\"version\":\"" WEFT_VERSION
		    "\"},\"paths\":{");
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind_desc *k = &kind_table[i];
		if (strcmp(k->group, g->name) || strcmp(k->version, g->version))
			continue;
		buf_addz(b, first ? "" : ",");
		first = false;
		print_kind(b, k);
	}
	buf_addz(b, "},\"components\":{\"schemas\":{");
	schema_components(b, g->name, g->version);
	buf_addz(b, "}}}\n");
}

/* Clients keep a document for as long as its hash stays. */
static void print_index(struct buf *b)
{
	struct api_group groups[API_GROUPS_MAX];
	size_t n = api_groups(groups);
	buf_addz(b, "{\"paths\":{");
	for (size_t i = 0; i < n; i++) {
		AUTO_BUF doc = {0};
		AUTO_BUF path = {0};
		print_document(&doc, &groups[i]);
		buf_printf(&path, "%s%s/%s", *groups[i].name ? "apis/" : "api", groups[i].name,
			   groups[i].version);
		buf_printf(b, "%s\"%s\":{\"serverRelativeURL\":\"/openapi/v3/%s?hash=%016llX\"}",
			   i ? "," : "", path.p, path.p, (unsigned long long)hash_bytes(doc.p, doc.n, 0));
	}
	buf_addz(b, "}}\n");
}

bool openapi_print(struct str rest, struct buf *b)
{
	struct api_group g;
	struct str v3 = str_cut(&rest, '/'), root = str_cut(&rest, '/'), name = {0};
	if (!str_eqz(v3, "v3"))
		return false;
	if (!root.n) {
		print_index(b);
		return true;
	}
	if (str_eqz(root, "apis"))
		name = str_cut(&rest, '/');
	if (!rest.n || !api_group_find(name, rest, &g))
		return false;
	print_document(b, &g);
	return true;
}
