/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of managedFields: read, changed by writes, sorted, bounded, written. See managed.h. */
#include "serve/managed.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "serve/fieldset.h"

enum { UPDATERS_MAX = 10 }; /* more than that are folded into one, the oldest first */
#define OLD_UPDATERS "ancient-changes"

static const char *text_of(const json_t *entry, const char *key)
{
	const char *v = json_string_value(json_object_get(entry, key));
	return v ? v : "";
}

int writer_of(struct writer *w, const struct http_request *rq, const char *sub, struct api_error *e)
{
	const char *given = http_query(rq, "fieldManager"), *from = given && *given ? given : rq->agent;
	size_t n = from == given && given ? strlen(from) : from ? strcspn(from, "/ ") : 0;
	*w = (struct writer){.sub = sub};
	if (n > MANAGER_MAX && from == given)
		return api_fail(e, 422, "Invalid", "fieldManager has %zu characters, more than %d", n,
				MANAGER_MAX);
	for (size_t i = 0; i < n; i++)
		if (!isprint((unsigned char)from[i]))
			return from == given ? api_fail(e, 422, "Invalid",
							"fieldManager has a character that cannot be printed")
					     : 0;
	snprintf(w->name, sizeof(w->name), "%.*s", (int)n, n ? from : "");
	return 0;
}

json_t *managed_json(const struct object *o)
{
	AUTO_BUF text = {0};
	struct object bare = *o;
	bare.meta.managed_fields = (struct str){0};
	object_print_json(&text, &bare, PRINT_PLAIN);
	return text.failed ? NULL : json_loadb(text.p, text.n, 0, NULL);
}

json_t *managed_read(const struct object *o)
{
	struct str text = o->meta.managed_fields;
	json_t *list = text.n ? json_loadb(text.p, text.n, 0, NULL) : NULL, *out = json_array(), *entry;
	size_t i;
	json_array_foreach (list, i, entry) {
		json_t *set = fieldset_read(json_object_get(entry, "fieldsV1")), *copy;
		if (!set || strcmp(text_of(entry, "apiVersion"), kind_api_version(o->desc)) != 0) {
			json_decref(set);
			continue;
		}
		copy = json_copy(entry);
		json_object_del(copy, "fieldsV1");
		json_object_set_new(copy, "set", set);
		json_array_append_new(out, copy);
	}
	json_decref(list);
	return out;
}

json_t *managed_entry(json_t *entries, const struct kind_desc *k, const char *manager, const char *operation,
		      const char *sub)
{
	size_t i;
	json_t *entry;
	json_array_foreach (entries, i, entry)
		if (!strcmp(text_of(entry, "manager"), manager) &&
		    !strcmp(text_of(entry, "operation"), operation) &&
		    !strcmp(text_of(entry, "subresource"), sub))
			return entry;
	entry = json_pack("{s:s,s:s,s:s,s:s,s:{}}", "manager", manager, "operation", operation, "apiVersion",
			  kind_api_version(k), "fieldsType", "FieldsV1", "set");
	if (*sub)
		json_object_set_new(entry, "subresource", json_string(sub));
	return entry && !json_array_append_new(entries, entry) ? entry : NULL;
}

void managed_touch(json_t *entry)
{
	char now[21];
	clock_rfc3339(clock_wall(), now);
	json_object_set_new(entry, "time", json_string(now));
}

static int by_order(const void *x, const void *y)
{
	static const char *const keys[] = {"operation", "time", "manager", "subresource"};
	const json_t *a = *(const json_t *const *)x, *b = *(const json_t *const *)y;
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(keys) && !r; i++)
		r = strcmp(text_of(a, keys[i]), text_of(b, keys[i]));
	return r;
}

/* The oldest updaters become one, so that an object does not grow with the number of its writers. */
static void fold_old(json_t **list, size_t *n)
{
	size_t updaters = 0, first = 0;
	for (size_t i = *n; i-- > 0;)
		if (!strcmp(text_of(list[i], "operation"), "Update")) {
			updaters++;
			first = i;
		}
	if (updaters <= UPDATERS_MAX)
		return;
	json_t *old = json_copy(list[first]);
	json_object_set_new(old, "manager", json_string(OLD_UPDATERS));
	json_object_set_new(old, "set", json_deep_copy(json_object_get(old, "set")));
	size_t folded = updaters - UPDATERS_MAX + 1;
	for (size_t i = 0; i < folded; i++) {
		fieldset_add(json_object_get(old, "set"), json_object_get(list[first + i], "set"));
		json_object_set(old, "time", json_object_get(list[first + i], "time"));
		json_decref(list[first + i]);
	}
	list[first] = old;
	memmove(list + first + 1, list + first + folded, (*n - first - folded) * sizeof(*list));
	*n -= folded - 1;
}

static json_t *entry_out(const json_t *entry)
{
	json_t *out = json_copy((json_t *)(uintptr_t)entry), *v1 = fieldset_v1(json_object_get(entry, "set"));
	json_object_del(out, "set");
	if (!out || !v1 || json_object_set_new(out, "fieldsV1", v1)) {
		json_decref(out);
		return NULL;
	}
	return out;
}

int managed_write(struct object *o, const json_t *entries)
{
	size_t n = 0, i, max = json_array_size(entries);
	json_t *entry, **list = calloc(max + 1, sizeof(json_t *));
	AUTO_BUF b = {0};
	if (!list)
		return -ENOMEM;
	json_array_foreach (entries, i, entry)
		if (!fieldset_empty(json_object_get(entry, "set")))
			list[n++] = json_incref(entry);
	qsort(list, n, sizeof(*list), by_order);
	fold_old(list, &n);
	for (i = 0; i < n; i++) {
		json_t *out = entry_out(list[i]);
		AUTO_MEM char *text = out ? json_dumps(out, JSON_COMPACT) : NULL;
		buf_addz(&b, i ? "," : "[");
		buf_addz(&b, text ? text : "");
		b.failed |= !text;
		json_decref(out);
		json_decref(list[i]);
	}
	free(list);
	if (n)
		buf_addc(&b, ']');
	o->meta.managed_fields = n ? arena_str(&o->arena, buf_str(&b)) : (struct str){0};
	return b.failed || (n && !o->meta.managed_fields.p) ? -ENOMEM : 0;
}

/* What the client sent counts, so that entries can be edited; "[{}]" empties them, nothing keeps the old. */
static json_t *start_of(const struct object *now, const struct object *old, const char *sub)
{
	json_t *given = *sub ? json_array() : managed_read(now);
	struct str text = now->meta.managed_fields;
	if (!*sub && str_eqz(text, "[{}]"))
		return given;
	if (json_array_size(given) || !old)
		return given;
	json_decref(given);
	return managed_read(old);
}

static json_t *judged_json(const struct object *o, const char *sub)
{
	struct object *c = NULL;
	if (object_clone(&c, o))
		return NULL;
	json_t *j = object_default(c) ? NULL : managed_json(c);
	if (!*sub)
		json_object_del(j, "status");
	object_unref(&c);
	return j;
}

int managed_update(struct object *now, const struct object *old, const struct writer *w)
{
	if (!*w->name) {
		if (!now->meta.managed_fields.n && old && old->meta.managed_fields.n)
			now->meta.managed_fields = arena_str(&now->arena, old->meta.managed_fields);
		return 0;
	}
	json_t *entries = start_of(now, old, w->sub), *a = old ? judged_json(old, w->sub) : json_object();
	json_t *b = judged_json(now, w->sub), *changed = json_object(), *removed = json_object(), *entry;
	json_t *mine = NULL;
	size_t i;
	int r = entries && a && b ? fieldset_compare(a, b, now->desc, changed, removed) : -ENOMEM;
	if (!r && !fieldset_empty(changed))
		mine = managed_entry(entries, now->desc, w->name, "Update", w->sub);
	json_array_foreach (entries, i, entry) {
		json_t *set = json_object_get(entry, "set");
		fieldset_drop(set, removed);
		if (entry != mine)
			fieldset_drop(set, changed);
	}
	if (mine) {
		fieldset_add(json_object_get(mine, "set"), changed);
		managed_touch(mine);
	}
	if (!r)
		r = managed_write(now, entries);
	json_decref(entries);
	json_decref(a);
	json_decref(b);
	json_decref(changed);
	json_decref(removed);
	return r;
}
