/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patches, as kubectl's apply, edit, cordon and rollout send them: maps merge, lists of
 * structs merge by the key that the field table names, other lists are replaced. Works on one small JSON tree
 * at a time. See patch.h.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "serve/patch.h"

enum { DEPTH_MAX = 64 };
#define DELETE "$deleteFromPrimitiveList/"

static bool merge_map(json_t *into, const json_t *patch, const struct struct_desc *d, int depth);

static const struct field_desc *field_of(const struct struct_desc *d, const char *json)
{
	for (uint32_t i = 0; d && i < d->n; i++)
		if (!strcmp(d->fields[i].json, json))
			return &d->fields[i];
	return NULL;
}

/* The member by which items of a list are told apart; NULL: the list is replaced as a whole. */
static const char *merge_key(const struct field_desc *f, const char *name)
{
	static const char *const opaque[][2] = {
	    {"volumes", "name"},	  {"volumeMounts", "mountPath"}, {"volumeDevices", "devicePath"},
	    {"imagePullSecrets", "name"}, {"hostAliases", "ip"},	 {"ephemeralContainers", "name"},
	};
	if (!strcmp(name, "taints") || !strcmp(name, "tolerations"))
		return NULL;
	for (size_t i = 0; i < sizeof(opaque) / sizeof(opaque[0]); i++)
		if ((!f || f->shape == SHAPE_OPAQUE) && !strcmp(name, opaque[i][0]))
			return opaque[i][1];
	for (uint32_t i = 0; f && f->shape == SHAPE_MANY && i < f->type->n; i++)
		if (f->type->fields[i].flags & FIELD_KEY)
			return f->type->fields[i].json;
	return NULL;
}

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

static bool merge_member(json_t *into, const char *key, json_t *value, const struct struct_desc *d, int depth)
{
	const struct field_desc *f = field_of(d, key);
	const char *by = json_is_array(value) ? merge_key(f, key) : NULL;
	json_t *there = json_object_get(into, key);
	if (json_is_null(value)) {
		json_object_del(into, key);
		return true;
	}
	bool list = by != NULL, map = json_is_object(value);
	if (!list && !map)
		return !json_object_set(into, key, value);
	if (!there || (map && !json_is_object(there)) || (list && !json_is_array(there))) {
		there = map ? json_object() : json_array();
		if (json_object_set_new(into, key, there))
			return false;
	}
	const struct struct_desc *type =
	    f && (f->shape == SHAPE_ONE || f->shape == SHAPE_MANY) ? f->type : NULL;
	return map ? merge_map(there, value, type, depth + 1) : merge_list(there, value, by, type, depth + 1);
}

static bool merge_map(json_t *into, const json_t *patch, const struct struct_desc *d, int depth)
{
	const char *key;
	json_t *value;
	if (depth > DEPTH_MAX || !json_is_object(patch))
		return false;
	if (says(patch, "replace") || says(patch, "delete"))
		json_object_clear(into);
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value)
		if (!directive(into, key, value) && !merge_member(into, key, value, d, depth))
			return false;
	return true;
}

/* metadata and the kind's own members are described apart. */
static bool merge_object(json_t *into, const json_t *patch, const struct kind_desc *k)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		json_t *there = json_object_get(into, key);
		bool meta = !strcmp(key, "metadata");
		if (directive(into, key, value))
			continue;
		if (meta && json_is_object(there) && json_is_object(value)
			? !merge_map(there, value, &metadata_desc, 1)
			: !merge_member(into, key, value, k->body, 0))
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
