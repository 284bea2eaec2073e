/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene's page: YAML into a small tree of JSON values in which every scalar is text, with the position of
 * each. For pages written by hand, a few kB; manifests are not read here. Anchors and tags are refused.
 */
#include "cli/scene.h"

#include "base/own.h"
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

enum { PAGE_DEPTH = 16, PAGE_MAX = 4 << 20 };

int scene_tell(const struct scene_page *p, const json_t *at, const char *hint, const char *fmt, ...)
{
	struct scene_place place = scene_place_of(p, at);
	AUTO_BUF text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (p->told)
		scene_why_add(p->told, place, "%s%s%s", text.p, hint ? "; " : "", hint ? hint : "");
	else if (place.line)
		cli_error(hint, "%s:%u:%u: %s", p->path, place.line, place.column, text.p);
	else
		cli_error(hint, "%s: %s", p->path, text.p);
	return -1;
}

struct reader {
	struct scene_page *page;
	yaml_parser_t parser;
};

static json_t *note(struct reader *r, json_t *v, const yaml_mark_t *m)
{
	size_t col = m->column + 1 > 0xfff ? 0xfff : m->column + 1;

	if (v && hash_set(&r->page->at, (struct str){(const char *)&v, sizeof(v)},
			  (void *)(uintptr_t)((m->line + 1) << 12 | col), NULL)) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *tell_yaml(const struct reader *r, const char *problem, const yaml_mark_t *m)
{
	struct scene_place at = {(unsigned)m->line + 1, (unsigned)m->column + 1};

	if (r->page->told)
		scene_why_add(r->page->told, at, "%s", problem);
	else
		cli_error(NULL, "%s:%u:%u: %s", r->page->path, at.line, at.column, problem);
	return NULL;
}

static bool next(struct reader *r, yaml_event_t *e)
{
	if (yaml_parser_parse(&r->parser, e))
		return true;
	tell_yaml(r, r->parser.problem ? r->parser.problem : "cannot be read as YAML",
		  &r->parser.problem_mark);
	return false;
}

static json_t *read_value(struct reader *r, yaml_event_t *e, int depth);

static json_t *read_list(struct reader *r, const yaml_mark_t *at, int depth)
{
	AUTO(json_decrefp) json_t *list = note(r, json_array(), at);

	while (list) {
		yaml_event_t e;
		if (!next(r, &e))
			return NULL;
		bool end = e.type == YAML_SEQUENCE_END_EVENT;
		json_t *v = end ? NULL : read_value(r, &e, depth);
		yaml_event_delete(&e);
		if (end)
			break;
		if (!v || json_array_append_new(list, v))
			return NULL;
	}
	return TAKE(list);
}

static json_t *read_map(struct reader *r, const yaml_mark_t *at, int depth)
{
	AUTO(json_decrefp) json_t *map = note(r, json_object(), at);

	while (map) {
		yaml_event_t key, e;
		if (!next(r, &key))
			return NULL;
		if (key.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&key);
			break;
		}
		AUTO_MEM char *name =
		    key.type == YAML_SCALAR_EVENT ? strdup((const char *)key.data.scalar.value) : NULL;
		yaml_mark_t mark = key.start_mark;
		yaml_event_delete(&key);
		if (!name)
			return tell_yaml(r, "a key must be text", &mark);
		if (json_object_get(map, name))
			return tell_yaml(r, "this key stands here twice", &mark);
		if (!next(r, &e))
			return NULL;
		json_t *v = read_value(r, &e, depth);
		yaml_event_delete(&e);
		if (!v || json_object_set_new(map, name, v))
			return NULL;
	}
	return TAKE(map);
}

/* A plain scalar that is empty or says null is null; all other scalars are text. */
static json_t *read_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (plain && (!*text || !strcmp(text, "null") || !strcmp(text, "~")))
		return json_null();
	return note(r, json_stringn(text, e->data.scalar.length), &e->start_mark);
}

static json_t *read_value(struct reader *r, yaml_event_t *e, int depth)
{
	if (depth > PAGE_DEPTH)
		return tell_yaml(r, "too deep for a scene", &e->start_mark);
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return read_list(r, &e->start_mark, depth + 1);
	case YAML_MAPPING_START_EVENT:
		return read_map(r, &e->start_mark, depth + 1);
	default:
		return tell_yaml(r, "a scene holds text, lists and maps only (no aliases)", &e->start_mark);
	}
}

static json_t *read_document(struct reader *r)
{
	json_t *root = NULL;

	for (bool more = true; more;) {
		yaml_event_t e;
		if (!next(r, &e)) {
			json_decref(root);
			return NULL;
		}
		if (e.type == YAML_STREAM_END_EVENT)
			more = false;
		else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
			 e.type != YAML_DOCUMENT_END_EVENT) {
			if (root) {
				tell_yaml(r, "a scene is one document", &e.start_mark);
				json_decref(root);
				root = NULL;
				more = false;
			} else {
				root = read_value(r, &e, 0);
				more = root != NULL;
			}
		}
		yaml_event_delete(&e);
	}
	return root;
}

/* 0 or an errno. */
static int read_text(const char *path, struct buf *out)
{
	char chunk[8192];
	FILE *f = fopen(path, "re");

	if (!f)
		return errno;
	for (size_t n; out->n <= PAGE_MAX && (n = fread(chunk, 1, sizeof(chunk), f));)
		buf_add(out, chunk, n);
	int e = ferror(f) ? EIO : out->failed ? ENOMEM : out->n > PAGE_MAX ? EFBIG : 0;
	if (e == EIO && errno)
		e = errno;
	fclose(f);
	return e;
}

int scene_page_read(struct scene_page *out, const char *path, struct buf *told)
{
	struct reader r = {.page = out};

	*out = (struct scene_page){.path = strdup(path), .told = told};
	int e = out->path ? read_text(path, &out->text) : ENOMEM;
	if (e) {
		if (told)
			scene_why_add(told, (struct scene_place){0}, "cannot be read: %s", strerror(e));
		else
			cli_error(NULL, "%s: %s", path, strerror(e));
		return -1;
	}
	if (!yaml_parser_initialize(&r.parser))
		return -1;
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(out->text.p ? out->text.p : ""),
				     out->text.n);
	out->root = read_document(&r);
	yaml_parser_delete(&r.parser);
	if (out->root && json_is_object(out->root))
		return 0;
	if (out->root || !out->text.n)
		scene_tell(out, NULL, "doc/scenes.md tells how to write one", "this is no scene");
	return -1;
}

void scene_page_fini(struct scene_page *p)
{
	json_decref(p->root);
	hash_fini(&p->at);
	buf_fini(&p->text);
	free(p->path);
	*p = (struct scene_page){0};
}
