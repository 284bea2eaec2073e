/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get -w`: what is there, then each change, until Ctrl-C or the end of the cluster. Outlives the hub:
 * when a stream ends, the list is read again, what differs from what was shown is shown, and a new stream is
 * begun. Tells each loss once.
 */
#include "cli/get.h"

#include "base/hash.h"
#include "base/own.h"
#include "cli/cluster.h"

#include <stdio.h>
#include <time.h>

enum { AGAIN_MS = 200 };

struct watching {
	const struct options_get *o;
	const struct get_ask *ask;
	char socket_path[CLUSTER_PATH];
	json_t *columns; /* of the last list */
	json_t *shown;	 /* "ns/name" → what was shown last: cells, or the object without its version */
	char version[32];
	size_t widths[32];
	bool headed; /* the headings are printed */
};

static void key_of(struct buf *key, const json_t *object)
{
	const json_t *meta = json_object_get(object, "metadata");

	buf_printf(key, "%s/%s", json_string_value(json_object_get(meta, "namespace")) ?: "",
		   json_string_value(json_object_get(meta, "name")) ?: "");
}

static void print_row(struct watching *w, const json_t *row, const char *event)
{
	AUTO_TABLE t;

	get_table_start(&t, w->o, w->ask->k, w->columns);
	t.no_headings |= w->headed;
	if (row)
		get_table_add(&t, w->o, w->ask->k, w->columns, row, w->o->watch_events ? event : NULL);
	w->headed = true;
	table_print_with(&t, w->widths, sizeof(w->widths) / sizeof(*w->widths));
}

/* An object in a form for programs: one line of JSON, or a document of YAML. */
static void print_object(const struct watching *w, const json_t *object, const char *event)
{
	const struct options_get *o = w->o;
	AUTO_JSON whole = o->watch_events ? json_pack("{s:s, s:O}", "type", event, "object", object)
					  : json_incref((json_t *)(uintptr_t)object);

	if (!strcmp(o->output, "json")) {
		json_dumpf(whole, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (!strcmp(o->output, "yaml"))
		printf("---\n");
	if (!strcmp(o->output, "name"))
		get_print_name(w->ask->k, object);
	else
		get_print_value(o, whole);
	if (!strncmp(o->output, "jsonpath=", 9))
		putchar('\n');
}

/* What makes a difference to the reader: not that time goes on, nor a version. Owned. */
static json_t *face(const struct watching *w, const json_t *item)
{
	json_t *v = NULL, *column;
	size_t i;

	if (get_table(w->o)) {
		v = json_copy(json_object_get(item, "cells"));
		json_array_foreach (w->columns, i, column)
			if (!strcmp(json_string_value(json_object_get(column, "name")) ?: "", "Age"))
				json_array_set_new(v, i, json_string(""));
		return v;
	}
	v = json_copy((json_t *)(uintptr_t)item);
	json_t *meta = json_copy(json_object_get(item, "metadata"));
	json_object_del(meta, "resourceVersion");
	json_object_set_new(v, "metadata", meta);
	return v;
}

/* item: a row of a Table, or an object. */
static void show(struct watching *w, const json_t *item, const char *event)
{
	bool table = get_table(w->o), gone = !strcmp(event, "DELETED");
	const json_t *object = table ? json_object_get(item, "object") : item;
	AUTO_BUF key = {0};

	key_of(&key, object);
	if (gone)
		json_object_del(w->shown, key.p);
	else
		json_object_set_new(w->shown, key.p, face(w, item));
	if (table)
		print_row(w, item, event);
	else
		print_object(w, object, event);
}

static void keep_version(struct watching *w, const json_t *meta)
{
	const char *v = json_string_value(json_object_get(meta, "resourceVersion"));

	if (v)
		snprintf(w->version, sizeof(w->version), "%s", v);
}

static int take_event(void *ctx, const json_t *line)
{
	struct watching *w = ctx;
	const char *type = json_string_value(json_object_get(line, "type")) ?: "";
	const json_t *object = json_object_get(line, "object");
	json_t *row;
	size_t i;

	if (!strcmp(type, "ERROR"))
		return EXIT_FAILED; /* the version is too old: list again */
	keep_version(w, json_object_get(object, "metadata"));
	if (!strcmp(type, "BOOKMARK"))
		return 0;
	if (!get_table(w->o))
		show(w, object, type);
	json_array_foreach (get_table(w->o) ? json_object_get(object, "rows") : NULL, i, row)
		show(w, row, type);
	fflush(stdout);
	return ferror(stdout) ? EXIT_TROUBLE : 0;
}

/* Shows what the list has and was not shown so, and what it has no more. 0, or -1: no answer. */
static int list(struct watching *w, bool tell)
{
	AUTO_BUF url = {0};
	AUTO_BUF body = {0};
	json_t *item, *before;
	const char *name;
	size_t i;
	void *next;

	get_url(&url, w->o, w->ask->k, w->ask->name, NULL);
	long code = http_ask(w->socket_path, url.p, get_table(w->o) ? GET_ACCEPT_TABLE : NULL, &body);
	AUTO_JSON v = code == 200 ? json_loadb(body.p ? body.p : "", body.n, 0, NULL) : NULL;
	if (!v) {
		if (tell && code > 0)
			http_tell(code, buf_str(&body));
		return code >= 400 && code < 500 ? EXIT_FAILED : -1;
	}
	json_t *columns = json_object_get(v, "columnDefinitions");
	if (json_array_size(columns)) {
		json_decref(w->columns);
		w->columns = json_incref(columns);
	}
	if (get_table(w->o) && !w->headed && json_array_size(json_object_get(v, "rows"))) {
		/* All at once, so that the columns fit. */
		AUTO_TABLE t;
		get_table_start(&t, w->o, w->ask->k, w->columns);
		json_array_foreach (json_object_get(v, "rows"), i, item) {
			AUTO_BUF key = {0};
			key_of(&key, json_object_get(item, "object"));
			json_object_set_new(w->shown, key.p, face(w, item));
			get_table_add(&t, w->o, w->ask->k, w->columns, item,
				      w->o->watch_events ? "ADDED" : NULL);
		}
		w->headed = true;
		table_print_with(&t, w->widths, sizeof(w->widths) / sizeof(*w->widths));
	}
	AUTO_JSON now = json_object();
	json_array_foreach (json_object_get(v, get_table(w->o) ? "rows" : "items"), i, item) {
		AUTO_BUF key = {0};
		if (!get_table(w->o)) {
			json_object_set_new(item, "apiVersion", json_string(kind_api_version(w->ask->k)));
			json_object_set_new(item, "kind", json_string(w->ask->k->name));
		}
		key_of(&key, get_table(w->o) ? json_object_get(item, "object") : item);
		json_object_set_new(now, key.p, json_true());
		AUTO_JSON looks = face(w, item);
		before = json_object_get(w->shown, key.p);
		if (!before || !json_equal(before, looks))
			show(w, item, before ? "MODIFIED" : "ADDED");
	}
	json_object_foreach_safe(w->shown, next, name, before) if (!json_object_get(now, name))
	{
		if (!get_table(w->o)) {
			AUTO_JSON gone = json_incref(before);
			show(w, gone, "DELETED");
		} else {
			const char *slash = strchr(name, '/');
			AUTO_JSON row =
			    json_pack("{s:O, s:{s:{s:s%, s:s}}}", "cells", before, "object", "metadata",
				      "namespace", name, (size_t)(slash - name), "name", slash + 1);
			show(w, row, "DELETED");
		}
	}
	keep_version(w, json_object_get(v, "metadata"));
	fflush(stdout);
	return 0;
}

static int follow(struct watching *w)
{
	AUTO_BUF query = {0};
	AUTO_BUF url = {0};

	buf_printf(&query, "watch=true&allowWatchBookmarks=true&resourceVersion=%s",
		   *w->version ? w->version : "0");
	get_url(&url, w->o, w->ask->k, w->ask->name, query.p);
	return http_follow(w->socket_path, url.p, get_table(w->o) ? GET_ACCEPT_TABLE : NULL, take_event, w);
}

int get_watch(const struct options_get *o, const struct get_ask *a)
{
	const char *cluster = cluster_name(o->name);
	struct watching w = {.o = o, .ask = a, .shown = json_object()};
	bool told = false;
	int r;

	cluster_path(w.socket_path, cluster, "hub.sock");
	while ((r = list(&w, true)) <= 0 && !ferror(stdout)) {
		if (!r && told)
			fprintf(stderr, "weft: the hub is back\n");
		told = told && r;
		if (!r && follow(&w) == EXIT_TROUBLE)
			break;
		if (!cluster_is_up(cluster)) {
			fprintf(stderr, "weft: the cluster \"%s\" is gone\n", cluster);
			r = EXIT_FAILED;
			break;
		}
		if (r && !told)
			fprintf(stderr, "weft: the hub does not answer; waiting for it\n");
		told = told || r;
		if (r)
			nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
	}
	json_decref(w.columns);
	json_decref(w.shown);
	return r < 0 || ferror(stdout) ? EXIT_FAILED : r;
}
