/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patches, as kubectl's apply, edit, cordon and rollout send them: maps merge, lists of
 * structs merge by the key that the field table names, other lists are replaced. Works on one small JSON tree
 * at a time. See patch.h.
 */
#include <errno.h>
#include <jansson.h>

#include "serve/patch.h"
#include "object/rule.h"

enum { DEPTH_MAX = 64 };
#define DELETE "$deleteFromPrimitiveList/"

static bool merge_map(json_t *into, const json_t *patch, const struct struct_desc *d, int depth);

static size_t index_of(const json_t *list, const char *key, const json_t *value)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item)
		if (json_equal(json_object_get(item, key), value))
			return i;
	return SIZE_MAX;
}

static bool says(const json_t *item, const char *directive)
{
	const char *text = json_string_value(json_object_get(item, "$patch"));
	return text && !strcmp(text, directive);
}

static bool merge_list(json_t *into, const json_t *patch, const char *key, const struct struct_desc *d,
		       int depth)
{
	size_t i;
	json_t *item;
	json_array_foreach (patch, i, item)
		if (says(item, "replace"))
			json_array_clear(into);
	json_array_foreach (patch, i, item) {
		const json_t *value = json_object_get(item, key);
		size_t at = value ? index_of(into, key, value) : SIZE_MAX;
		if (says(item, "replace") && json_object_size(item) == 1)
			continue;
		if (!value)
			return false;
		if (says(item, "delete")) {
			if (at != SIZE_MAX)
				json_array_remove(into, at);
			continue;
		}
		if (at == SIZE_MAX) {
			if (json_array_append_new(into, json_object()))
				return false;
			at = json_array_size(into) - 1;
		}
		if (!merge_map(json_array_get(into, at), item, d, depth + 1))
			return false;
	}
	return true;
}

static void remove_values(json_t *list, const json_t *values)
{
	size_t i;
	json_t *value;
	json_array_foreach (values, i, value)
		for (size_t k = json_array_size(list); k-- > 0;)
			if (json_equal(json_array_get(list, k), value))
				json_array_remove(list, k);
}

/* Members that only say how to merge. */
static bool directive(json_t *into, const char *key, const json_t *value)
{
	if (!strncmp(key, DELETE, strlen(DELETE)))
		remove_values(json_object_get(into, key + strlen(DELETE)), value);
	if (!strcmp(key, "$retainKeys")) {
		const char *name;
		json_t *member;
		void *next;
		json_object_foreach_safe(into, next, name, member)
		{
			json_t *text = json_string(name);
			bool kept = false;
			for (size_t i = 0; i < json_array_size(value); i++)
				kept |= json_equal(json_array_get(value, i), text);
			json_decref(text);
			if (!kept)
				json_object_del(into, name);
		}
	}
	return *key == '$';
}

/* Values that are there or not: those of the patch are added. */
static bool merge_set(json_t *into, const json_t *patch)
{
	size_t i;
	json_t *value;
	json_array_foreach (patch, i, value) {
		bool there = false;
		for (size_t k = 0; k < json_array_size(into); k++)
			there |= json_equal(json_array_get(into, k), value);
		if (!there && json_array_append(into, value))
			return false;
	}
	return true;
}

static bool merge_member(json_t *into, const char *key, json_t *value, const struct merge_rule *r, int depth)
{
	json_t *there = json_object_get(into, key);
	if (json_is_null(value)) {
		json_object_del(into, key);
		return true;
	}
	/* What server-side apply takes as one value, such as a selector, still merges here. */
	bool list = json_is_array(value) && (r->how == MERGE_KEYED || r->how == MERGE_SET),
	     map = json_is_object(value);
	if (!list && !map)
		return !json_object_set(into, key, value);
	if (!there || (map && !json_is_object(there)) || (list && !json_is_array(there))) {
		there = map ? json_object() : json_array();
		if (json_object_set_new(into, key, there))
			return false;
	}
	if (map)
		return merge_map(there, value, r->type, depth + 1);
	return r->how == MERGE_SET ? merge_set(there, value)
				   : merge_list(there, value, r->keys[0], r->type, depth + 1);
}

static bool merge_map(json_t *into, const json_t *patch, const struct struct_desc *d, int depth)
{
	const char *key;
	json_t *value;
	if (depth > DEPTH_MAX || !json_is_object(patch))
		return false;
	if (says(patch, "replace") || says(patch, "delete"))
		json_object_clear(into);
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		struct merge_rule r = merge_rule(d, key);
		if (!directive(into, key, value) && !merge_member(into, key, value, &r, depth))
			return false;
	}
	return true;
}

static bool merge_object(json_t *into, const json_t *patch, const struct kind_desc *k)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		struct merge_rule r = merge_rule_top(k, key);
		if (!directive(into, key, value) && !merge_member(into, key, value, &r, 0))
			return false;
	}
	return true;
}

int patch_strategic(const struct object *old, struct str patch, struct buf *out, const char **why)
{
	AUTO_BUF text = {0};
	object_print_json(&text, old, PRINT_PLAIN);
	json_t *into = json_loadb(text.p, text.n, 0, NULL);
	json_t *p = json_loadb(patch.p ? patch.p : "", patch.n, JSON_REJECT_DUPLICATES, NULL);
	char *printed = NULL;
	*why = "the body is not one JSON object";
	if (into && json_is_object(p)) {
		*why = "it is nested too deep, or an item of a list lacks its key";
		if (merge_object(into, p, old->desc))
			printed = json_dumps(into, JSON_COMPACT);
	}
	if (printed)
		buf_addz(out, printed);
	free(printed);
	json_decref(into);
	json_decref(p);
	return printed && !out->failed ? 0 : -EINVAL;
}
