/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of fields: reading, making, comparing, and the operations on them. See fieldset.h. */
#include "serve/fieldset.h"

#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "object/rule.h"

static json_t *child(json_t *node, const char *key)
{
	json_t *c = json_object_get(node, key);
	if (!c) {
		c = json_object();
		if (json_object_set_new(node, key, c))
			return NULL;
	}
	return c;
}

static void set_member(json_t *node)
{
	json_object_set_new(node, ".", json_object());
}

json_t *fieldset_read(const json_t *v1)
{
	const char *key;
	json_t *value, *set = json_is_object(v1) ? json_object() : NULL;
	if (set && !json_object_size(v1))
		set_member(set);
	json_object_foreach ((json_t *)(uintptr_t)v1, key, value) {
		bool dot = !strcmp(key, "."), known = dot || !key[0] || key[1] == ':';
		json_t *below = !known ? NULL : dot ? json_object() : fieldset_read(value);
		if (!below || json_object_set_new(set, key, below)) {
			json_decref(set);
			return NULL;
		}
	}
	return set;
}

json_t *fieldset_v1(const json_t *set)
{
	const char *key;
	json_t *value, *v1 = json_object();
	json_object_foreach ((json_t *)(uintptr_t)set, key, value)
		if (strcmp(key, ".") || json_object_size(set) > 1)
			json_object_set_new(v1, key, strcmp(key, ".") ? fieldset_v1(value) : json_object());
	return v1;
}

char *fieldset_key(const json_t *item, const char *const keys[2])
{
	json_t *k = json_object();
	for (size_t i = 0; i < 2 && keys[i] && k; i++) {
		json_t *value = json_object_get(item, keys[i]);
		/* The one key with a default. */
		if (!value && !strcmp(keys[i], "protocol"))
			json_object_set_new(k, keys[i], json_string("TCP"));
		else if (!value || json_object_set(k, keys[i], value)) {
			json_decref(k);
			return NULL;
		}
	}
	AUTO_MEM char *text = json_dumps(k, JSON_COMPACT | JSON_SORT_KEYS);
	char *out = NULL;
	json_decref(k);
	return text && asprintf(&out, "k:%s", text) >= 0 ? out : NULL;
}

static char *value_key(const json_t *value)
{
	AUTO_MEM char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *out = NULL;
	return text && asprintf(&out, "v:%s", text) >= 0 ? out : NULL;
}

/* Such a struct is there in each object of its kind: that it is there says nothing. */
static bool always_there(const char *name)
{
	static const char *const names[] = {"metadata", "spec",	      "status",	       "template",
					    "strategy", "containers", "updateStrategy"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* What differs in each object, or follows from its place. */
static bool is_identity(const char *name, bool in_metadata)
{
	static const char *const top[] = {"apiVersion", "kind"};
	static const char *const meta[] = {"name",
					   "namespace",
					   "creationTimestamp",
					   "selfLink",
					   "uid",
					   "generation",
					   "managedFields",
					   "resourceVersion",
					   "deletionTimestamp",
					   "deletionGracePeriodSeconds"};
	for (size_t i = 0; !in_metadata && i < ARRAY_LEN(top); i++)
		if (!strcmp(name, top[i]))
			return true;
	for (size_t i = 0; in_metadata && i < ARRAY_LEN(meta); i++)
		if (!strcmp(name, meta[i]))
			return true;
	return false;
}

struct walk {
	const struct kind_desc *kind;
	bool parents; /* maps and lists that hold something count as members too */
	char **why;
};

struct place {
	const struct struct_desc *type;
	bool top, metadata;
};

static struct merge_rule rule_at(const struct walk *w, const struct place *p, const char *name,
				 struct place *below)
{
	struct merge_rule r = p->top ? merge_rule_top(w->kind, name) : merge_rule(p->type, name);
	*below = (struct place){.type = r.type, .metadata = p->top && !strcmp(name, "metadata")};
	return r;
}

static bool as_map(const struct merge_rule *r, const json_t *v)
{
	return json_is_object(v) && (r->how == MERGE_MAP || r->free);
}

static bool fill_value(const struct walk *w, json_t *node, const json_t *v, const struct merge_rule *r,
		       const struct place *p, const char *name);

static bool fill_map(const struct walk *w, json_t *node, const json_t *v, const struct place *p)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)v, key, value) {
		struct place below;
		struct merge_rule r = rule_at(w, p, key, &below);
		AUTO_BUF name = {0};
		if ((p->top || p->metadata) && is_identity(key, p->metadata))
			continue;
		buf_printf(&name, "f:%s", key);
		json_t *c = name.failed ? NULL : child(node, name.p);
		if (!c || !fill_value(w, c, value, &r, &below, key))
			return false;
		if (fieldset_empty(c))
			json_object_del(node, name.p);
	}
	return true;
}

static bool complain(const struct walk *w, const char *name, const char *what)
{
	if (w->why && !*w->why && asprintf(w->why, "%s: %s", name, what) < 0)
		*w->why = NULL;
	return false;
}

static bool fill_list(const struct walk *w, json_t *node, const json_t *v, const struct merge_rule *r,
		      const char *name)
{
	size_t i;
	json_t *item;
	json_array_foreach (v, i, item) {
		bool keyed = r->how == MERGE_KEYED;
		AUTO_MEM char *key = keyed ? fieldset_key(item, r->keys) : value_key(item);
		if (!key)
			return complain(w, name, "an item lacks the member by which items are told apart");
		if (json_object_get(node, key) && w->why)
			return complain(w, name, "two items have the same key");
		json_t *c = child(node, key);
		if (!c || (keyed && !fill_map(w, c, item, &(struct place){.type = r->type})))
			return false;
		set_member(c);
	}
	return true;
}

static bool fill_value(const struct walk *w, json_t *node, const json_t *v, const struct merge_rule *r,
		       const struct place *p, const char *name)
{
	bool map = as_map(r, v), list = json_is_array(v) && (r->how == MERGE_KEYED || r->how == MERGE_SET);
	if (map && !fill_map(w, node, v, p))
		return false;
	if (list && !fill_list(w, node, v, r, name))
		return false;
	if ((!map && !list) || (w->parents && !always_there(name)) ||
	    (fieldset_empty(node) && !p->metadata && !always_there(name)))
		set_member(node);
	return true;
}

json_t *fieldset_of(const json_t *object, const struct kind_desc *k, char **why)
{
	json_t *set = json_object();
	struct walk w = {.kind = k, .why = why};
	if (set && fill_map(&w, set, object, &(struct place){.top = true}))
		return set;
	json_decref(set);
	return NULL;
}

struct diff {
	struct walk walk;
	json_t *changed, *removed; /* nodes at this place; made as they are needed by keep() */
};

static bool diff_value(const struct walk *w, json_t *changed, json_t *removed, const json_t *a,
		       const json_t *b, const struct merge_rule *r, const struct place *p, const char *name);

/* Compares what stands under `key` on both sides; nodes that stay empty go again. */
static bool diff_child(const struct walk *w, json_t *changed, json_t *removed, const char *key,
		       const json_t *a, const json_t *b, const struct merge_rule *r, const struct place *p,
		       const char *name)
{
	json_t *c = child(changed, key), *d = child(removed, key);
	bool good = c && d && diff_value(w, c, d, a, b, r, p, name);
	if (good && fieldset_empty(c))
		json_object_del(changed, key);
	if (good && fieldset_empty(d))
		json_object_del(removed, key);
	return good;
}

static bool diff_map(const struct walk *w, json_t *changed, json_t *removed, const json_t *a, const json_t *b,
		     const struct place *p)
{
	const char *key;
	json_t *value;
	for (int side = 0; side < 2; side++)
		json_object_foreach ((json_t *)(uintptr_t)(side ? b : a), key, value) {
			struct place below;
			struct merge_rule r = rule_at(w, p, key, &below);
			const json_t *other = json_object_get(side ? a : b, key);
			AUTO_BUF name = {0};
			if (((p->top || p->metadata) && is_identity(key, p->metadata)) || (side && other))
				continue;
			buf_printf(&name, "f:%s", key);
			if (name.failed || !diff_child(w, changed, removed, name.p, side ? NULL : value,
						       side ? value : other, &r, &below, key))
				return false;
		}
	return true;
}

static const json_t *find_item(const json_t *list, const struct merge_rule *r, const char *key)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		AUTO_MEM char *k = r->how == MERGE_KEYED ? fieldset_key(item, r->keys) : value_key(item);
		if (k && !strcmp(k, key))
			return item;
	}
	return NULL;
}

static bool diff_list(const struct walk *w, json_t *changed, json_t *removed, const json_t *a,
		      const json_t *b, const struct merge_rule *r)
{
	struct merge_rule item_rule = {.how = r->how == MERGE_KEYED ? MERGE_MAP : MERGE_VALUE};
	struct place p = {.type = r->type};
	size_t i;
	json_t *item;
	for (int side = 0; side < 2; side++)
		json_array_foreach (side ? b : a, i, item) {
			AUTO_MEM char *key =
			    r->how == MERGE_KEYED ? fieldset_key(item, r->keys) : value_key(item);
			const json_t *other = key ? find_item(side ? a : b, r, key) : NULL;
			if (!key || (side && other))
				continue;
			if (!diff_child(w, changed, removed, key, side ? NULL : item, side ? item : other,
					&item_rule, &p, ""))
				return false;
		}
	return true;
}

static bool diff_value(const struct walk *w, json_t *changed, json_t *removed, const json_t *a,
		       const json_t *b, const struct merge_rule *r, const struct place *p, const char *name)
{
	if (!a || !b)
		return fill_value(w, a ? removed : changed, a ? a : b, r, p, name);
	if (as_map(r, a) && as_map(r, b))
		return diff_map(w, changed, removed, a, b, p);
	if (json_is_array(a) && json_is_array(b) && (r->how == MERGE_KEYED || r->how == MERGE_SET))
		return diff_list(w, changed, removed, a, b, r);
	if (!json_equal(a, b))
		set_member(changed);
	return true;
}

int fieldset_compare(const json_t *old, const json_t *now, const struct kind_desc *k, json_t *changed,
		     json_t *removed)
{
	struct walk w = {.kind = k, .parents = true};
	return diff_map(&w, changed, removed, old, now, &(struct place){.top = true}) ? 0 : -ENOMEM;
}

void fieldset_add(json_t *into, const json_t *set)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)set, key, value) {
		json_t *c = child(into, key);
		if (c)
			fieldset_add(c, value);
	}
}

void fieldset_drop(json_t *from, const json_t *set)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)set, key, value) {
		json_t *c = json_object_get(from, key);
		if (!c)
			continue;
		fieldset_drop(c, value);
		if (!strcmp(key, ".") || fieldset_empty(c))
			json_object_del(from, key);
	}
}

json_t *fieldset_both(const json_t *a, const json_t *b)
{
	const char *key;
	json_t *value, *out = json_object();
	json_object_foreach ((json_t *)(uintptr_t)a, key, value) {
		const json_t *other = json_object_get(b, key);
		json_t *below = other ? fieldset_both(value, other) : NULL;
		if (below && (!strcmp(key, ".") || !fieldset_empty(below)))
			json_object_set_new(out, key, below);
		else
			json_decref(below);
	}
	return out;
}

static void print_step(struct buf *b, const char *key)
{
	if (*key == 'f') {
		buf_printf(b, ".%s", key + 2);
		return;
	}
	if (*key == 'v') {
		buf_printf(b, "[=%s]", key + 2);
		return;
	}
	json_t *keys = json_loads(key + 2, 0, NULL), *value;
	const char *name;
	bool first = true;
	buf_addc(b, '[');
	json_object_foreach (keys, name, value) {
		AUTO_MEM char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		buf_printf(b, "%s%s=%s", first ? "" : ",", name, text ? text : "");
		first = false;
	}
	buf_addc(b, ']');
	json_decref(keys);
}

static void print_below(struct buf *b, const json_t *set, struct buf *path)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)set, key, value) {
		size_t n = path->n;
		if (!strcmp(key, ".")) {
			buf_printf(b, STR_FMT "\n", STR_ARG(buf_str(path)));
			continue;
		}
		print_step(path, key);
		print_below(b, value, path);
		path->n = n;
	}
}

void fieldset_print(struct buf *b, const json_t *set)
{
	AUTO_BUF path = {0};
	print_below(b, set, &path);
}
