/* SPDX-License-Identifier: Apache-2.0 */
/* Merges patches. Works on one small JSON tree at a time. See patch.h. */
#include "serve/patch.h"

#include <errno.h>
#include <jansson.h>

enum { DEPTH_MAX = 64 };

/* Returns false when it is nested too deep or memory ran out. */
static bool merge(json_t *into, const json_t *patch, int depth)
{
	const char *key;
	json_t *value;
	if (depth > DEPTH_MAX)
		return false;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		if (json_is_null(value)) {
			json_object_del(into, key);
			continue;
		}
		if (!json_is_object(value)) {
			if (json_object_set(into, key, value))
				return false;
			continue;
		}
		json_t *there = json_object_get(into, key);
		if (!json_is_object(there)) {
			there = json_object();
			if (json_object_set_new(into, key, there))
				return false;
		}
		if (!merge(there, value, depth + 1))
			return false;
	}
	return true;
}

int patch_merge(const struct object *old, struct str patch, struct buf *out, const char **why)
{
	AUTO_BUF text = {0};
	object_print_json(&text, old, PRINT_PLAIN);
	json_t *into = json_loadb(text.p, text.n, 0, NULL);
	json_t *p = json_loadb(patch.p ? patch.p : "", patch.n, JSON_REJECT_DUPLICATES, NULL);
	char *printed = NULL;
	*why = "the body is not one JSON object";
	if (into && json_is_object(p) && merge(into, p, 0))
		printed = json_dumps(into, JSON_COMPACT);
	else if (into && json_is_object(p))
		*why = "it is nested too deep";
	if (printed)
		buf_addz(out, printed);
	free(printed);
	json_decref(into);
	json_decref(p);
	return printed && !out->failed ? 0 : -EINVAL;
}

int object_take_status(struct object **out, const struct object *old, struct object *from)
{
	const struct struct_desc *d = old->desc->body;
	const struct field_desc *f = NULL;
	struct object *o = NULL;
	for (size_t i = 0; d && i < d->n; i++)
		if (!strcmp(d->fields[i].json, "status") && d->fields[i].shape == SHAPE_ONE)
			f = &d->fields[i];
	if (!f)
		return -ENOENT;
	int r = object_clone(&o, old);
	if (r)
		return r;
	/* The status moves over together with the memory that holds it. */
	void **mine = (void **)(void *)((char *)o->body + f->offset);
	void **theirs = (void **)(void *)((char *)from->body + f->offset);
	*mine = *theirs;
	*theirs = NULL;
	arena_join(&o->arena, &from->arena);
	*out = o;
	return 0;
}
