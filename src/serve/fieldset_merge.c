/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations merged into objects, and what nobody wants any more taken out of them. See fieldset.h. */
#include "base/own.h"
#include "serve/fieldset.h"
#include "object/rule.h"

static size_t find(const json_t *list, const struct merge_rule *r, const char *key)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		AUTO_MEM char *k = fieldset_key(item, r->keys);
		if (k && !strcmp(k, key))
			return i;
	}
	return SIZE_MAX;
}

static void merge_map(json_t *into, const json_t *config, const struct struct_desc *d,
		      const struct kind_desc *top);

static void merge_list(json_t *into, const json_t *config, const struct merge_rule *r)
{
	size_t i;
	json_t *item;
	json_array_foreach (config, i, item) {
		AUTO_MEM char *key = r->how == MERGE_KEYED ? fieldset_key(item, r->keys) : NULL;
		size_t at = SIZE_MAX;
		if (key)
			at = find(into, r, key);
		for (size_t k = 0; r->how == MERGE_SET && k < json_array_size(into); k++)
			if (json_equal(json_array_get(into, k), item))
				at = k;
		if (at == SIZE_MAX)
			json_array_append_new(into, json_deep_copy(item));
		else if (r->how == MERGE_KEYED)
			merge_map(json_array_get(into, at), item, r->type, NULL);
	}
}

static void merge_map(json_t *into, const json_t *config, const struct struct_desc *d,
		      const struct kind_desc *top)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)config, key, value) {
		struct merge_rule r = top ? merge_rule_top(top, key) : merge_rule(d, key);
		json_t *there = json_object_get(into, key);
		bool map = json_is_object(value) && json_is_object(there) && (r.how == MERGE_MAP || r.free);
		bool list = json_is_array(value) && json_is_array(there) &&
			    (r.how == MERGE_KEYED || r.how == MERGE_SET);
		if (map)
			merge_map(there, value, r.type, NULL);
		else if (list)
			merge_list(there, value, &r);
		else
			json_object_set_new(into, key, json_deep_copy(value));
	}
}

void fieldset_merge(json_t *object, const json_t *config, const struct kind_desc *k)
{
	merge_map(object, config, NULL, k);
}

static void prune_map(json_t *object, const json_t *last, const json_t *kept, const struct struct_desc *d,
		      const struct kind_desc *top);

/* Returns whether the value itself goes. */
static bool prune_value(json_t *value, const json_t *last, const json_t *kept, const struct merge_rule *r)
{
	const char *key;
	json_t *below;
	/* Nobody else wants anything of it, and it was set as a whole. */
	if (!kept && json_object_get(last, "."))
		return true;
	if (json_is_object(value)) {
		prune_map(value, last, kept, r->type, NULL);
		return !kept && !json_object_size(value);
	}
	if (!json_is_array(value))
		return false;
	json_object_foreach ((json_t *)(uintptr_t)last, key, below) {
		const json_t *k = json_object_get(kept, key);
		struct merge_rule item = {.how = MERGE_MAP, .type = r->type};
		for (size_t i = json_array_size(value); i-- > 0;) {
			json_t *it = json_array_get(value, i);
			AUTO_MEM char *own = *key == 'k' ? fieldset_key(it, r->keys) : NULL;
			AUTO_MEM char *text =
			    *key == 'v' ? json_dumps(it, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
			bool same = own ? !strcmp(own, key) : text && !strcmp(text, key + 2);
			if (same && prune_value(it, below, k, &item))
				json_array_remove(value, i);
		}
	}
	return !kept && !json_array_size(value);
}

static void prune_map(json_t *object, const json_t *last, const json_t *kept, const struct struct_desc *d,
		      const struct kind_desc *top)
{
	const char *key;
	json_t *below;
	json_object_foreach ((json_t *)(uintptr_t)last, key, below) {
		if (*key != 'f')
			continue;
		const char *name = key + 2;
		json_t *value = json_object_get(object, name);
		struct merge_rule r = top ? merge_rule_top(top, name) : merge_rule(d, name);
		if (value && prune_value(value, below, json_object_get(kept, key), &r))
			json_object_del(object, name);
	}
}

void fieldset_prune(json_t *object, const json_t *last, const json_t *kept, const struct kind_desc *k)
{
	prune_map(object, last, kept, NULL, k);
}
