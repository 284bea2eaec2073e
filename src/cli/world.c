/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worlds from a hub's lists, and from files as the hub would make them. Only reads; judges nothing.
 */
#include "cli/world.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "hub/offline.h"
#include "source/dir.h"
#include "source/git.h"

#include <errno.h>
#include <stdio.h>

static int keep(void *ctx, struct object *o)
{
	return store_put(ctx, o, NULL);
}

/* With the positions that the hub keeps, so that answers name the files. */
static int fetch_positioned(struct store *s, const char *socket_path, const struct kind_desc *k)
{
	struct remarks rs = {0};
	AUTO_BUF url = {0};
	json_t *item;
	size_t i;
	int r = 0;

	buf_printf(&url, "/apis/%s/%s?positions=true", kind_api_version(k), k->plural);
	AUTO_JSON list = http_get_json(socket_path, url.p ? url.p : "", NULL);
	if (!list)
		return -1;
	json_array_foreach (json_object_get(list, "items"), i, item) {
		struct object *o = NULL;
		json_object_set_new(item, "apiVersion", json_string(kind_api_version(k)));
		json_object_set_new(item, "kind", json_string(k->name));
		AUTO_MEM char *text = json_dumps(item, JSON_COMPACT);
		if (!r)
			r = text ? decode_json_object(str_of(text), NULL, NULL, &o, &rs) : -ENOMEM;
		if (!r)
			r = store_put(s, o, NULL);
	}
	if (r) {
		remarks_print(stderr, &rs, false);
		cli_error(NULL, "cannot read the hub's list of %s", k->plural);
	}
	remarks_fini(&rs);
	return r ? -1 : 0;
}

static int fetch_kind(struct store *s, const char *socket_path, const struct kind_desc *k)
{
	AUTO_BUF url = {0};
	AUTO_BUF body = {0};
	struct file *file = NULL;
	struct remarks rs = {0};
	struct decoder_options opt = {.sink = keep, .ctx = s, .remarks = &rs};

	buf_printf(&url, "%s%s/%s", *k->group ? "/apis/" : "/api/", kind_api_version(k), k->plural);
	long code = http_request(socket_path, "GET", url.p, NULL, (struct str){0}, &body);
	if (code != 200) {
		if (code > 0)
			http_tell(code, buf_str(&body));
		return -1;
	}
	int r = file_new(&file, k->plural, body.p, body.n);
	if (!r)
		r = decode_json(file, &opt);
	if (r) {
		remarks_print(stderr, &rs, false);
		cli_error(NULL, "cannot read the hub's list of %s", k->plural);
	}
	remarks_fini(&rs);
	file_unref(&file);
	return r ? -1 : 0;
}

int world_from_cluster(struct store **out, const char *name)
{
	static const enum kind kinds[] = {
	    KIND_namespace, KIND_node,		KIND_networkpolicy, KIND_clusternetworkpolicy,
	    KIND_service,   KIND_endpointslice, KIND_replicaset,    KIND_pod};
	char socket_path[CLUSTER_PATH];
	struct store *s = NULL;

	cluster_path(socket_path, name, "hub.sock");
	if (store_new(&s, 1)) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bool policy = kinds[i] == KIND_networkpolicy || kinds[i] == KIND_clusternetworkpolicy;
		if ((policy ? fetch_positioned : fetch_kind)(s, socket_path, &kind_table[kinds[i]])) {
			store_free(&s);
			return -1;
		}
	}
	*out = s;
	return 0;
}

static int load_revision(struct store *s, const struct world_files *f, struct remarks *rs)
{
	const struct decode_limits limits = decode_limits_sized(f->max_file);
	int r = 0;

	for (size_t i = 0; i < f->n && !r; i++)
		r = git_load(f->paths[i], f->revision, &limits, keep, s, rs);
	return r;
}

int world_add_maps(struct store *s, const char *name)
{
	static const enum kind kinds[] = {KIND_tool, KIND_toolgroup, KIND_trafficfilter, KIND_trafficmap,
					  KIND_capture};
	char socket_path[CLUSTER_PATH];

	cluster_path(socket_path, name, "hub.sock");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (fetch_positioned(s, socket_path, &kind_table[kinds[i]]))
			return -1;
	return 0;
}

struct reading {
	struct store *store;
	struct remarks *rs;
};

static int keep_valid(void *ctx, struct object *o)
{
	struct reading *rd = ctx;
	int r = 0;

	if (object_validate(o, rd->rs) && !(r = object_default(o)))
		return store_put(rd->store, o, NULL);
	object_unref(&o);
	return r;
}

/* Manifests from the standard input, in place of files. */
static int load_input(struct store *s, const struct world_files *f, struct remarks *rs)
{
	const struct decode_limits limits = decode_limits_sized(f->max_file);
	struct reading rd = {s, rs};
	const struct decoder_options opt = {.limits = &limits, .sink = keep_valid, .ctx = &rd, .remarks = rs};
	struct file *file = NULL;
	AUTO_BUF text = {0};
	char piece[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0 && text.n <= limits.bytes)
		buf_add(&text, piece, (size_t)n);
	if (n < 0)
		return -errno;
	int r = file_new(&file, "input", text.p ? text.p : "", text.n);

	if (!r)
		r = decode_yaml(file, &opt);
	file_unref(&file);
	return !r && rs->errors ? -EINVAL : r;
}

/* The files' objects as they are, defaulted and validated. */
static int load(struct store *s, const struct world_files *f, struct remarks *rs)
{
	struct source_dir *dir = NULL;
	struct source_changes changes = {0};
	const struct decode_limits limits = decode_limits_sized(f->max_file);
	int r = source_dir_new(&dir, f->paths, f->n, &limits, rs);

	if (!r)
		r = source_dir_scan(dir, &changes, rs);
	bool errors = r == -EINVAL; /* the good objects are there all the same */
	if (errors)
		r = 0;
	VEC_EACH (&changes.list, c)
		if (!r && c->op == SOURCE_PUT)
			r = store_put(s, TAKE(c->object), NULL);
	if (!r && errors)
		r = -EINVAL;
	source_changes_fini(&changes);
	source_dir_free(&dir);
	return r;
}

static int build(struct store **out, const struct world_files *f, struct remarks *rs, bool despite_errors)
{
	struct store *s = NULL;
	int r = store_new(&s, 1);

	bool input = f->n == 1 && !strcmp(f->paths[0], "-");

	if (!r)
		r = f->revision ? load_revision(s, f, rs) : input ? load_input(s, f, rs) : load(s, f, rs);
	if ((!r || (r == -EINVAL && despite_errors)) && f->nodes)
		r = cluster_expand(s, &(struct cluster_options){.nodes = f->nodes}, rs);
	remarks_sort(rs);
	if (r && !(r == -EINVAL && rs->errors)) {
		store_free(&s);
		return r;
	}
	*out = s;
	return 0;
}

int world_load(struct store **out, const struct world_files *f, struct remarks *rs)
{
	return build(out, f, rs, true);
}

int world_from_files(struct store **out, const struct world_files *f)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	int r = build(&s, f, &rs, false);

	if (rs.errors || (!f->quiet && rs.list.len))
		remarks_print(stderr, &rs, *output_style(STYLE_BOLD) && isatty(STDERR_FILENO));
	if (!r && rs.errors)
		r = -EINVAL;
	if (r && rs.errors)
		cli_error("mend it and try again", "%zu error%s in the manifests", rs.errors,
			  rs.errors == 1 ? "" : "s");
	else if (r)
		cli_error(NULL, "cannot load the manifests: %s", strerror(-r));
	remarks_fini(&rs);
	if (r) {
		store_free(&s);
		return -1;
	}
	*out = s;
	return 0;
}
