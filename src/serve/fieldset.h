/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of fields of an object, as managedFields tell who set what. A set is a tree of JSON objects: "f:NAME"
 * is a member, "k:{KEYS}" an item of a list by its keys, "v:VALUE" an item of a list of values; a path is in
 * the set when its node has ".". All functions return new references, or NULL without memory; sizes and
 * depths are those of objects that were decoded before.
 */
#ifndef WEFT_SERVE_FIELDSET_H
#define WEFT_SERVE_FIELDSET_H

#include <jansson.h>

#include "object/object.h"

/* From and to fieldsV1, where a leaf is {}. NULL: no fieldsV1. */
json_t *fieldset_read(const json_t *v1);
json_t *fieldset_v1(const json_t *set);

/* What a configuration says. Members in which an object always differs (apiVersion, uid, version…) are left
 * out. On a list with a missing or doubled key NULL, with the reason in *why (owned, freed by the caller). */
json_t *fieldset_of(const json_t *object, const struct kind_desc *k, char **why);
/* What differs between two objects: added or changed, and removed. 0 or -ENOMEM. */
int fieldset_compare(const json_t *old, const json_t *now, const struct kind_desc *k, json_t *changed,
		     json_t *removed);

void fieldset_add(json_t *into, const json_t *set);
void fieldset_drop(json_t *from, const json_t *set);
json_t *fieldset_both(const json_t *a, const json_t *b);
static inline bool fieldset_empty(const json_t *set)
{
	return !json_object_size(set);
}
/* Appends the path of each field, one a line: ".spec.template.spec.containers[name=\"c\"].image". */
void fieldset_print(struct buf *b, const json_t *set);

/* Merges a configuration into an object, as server-side apply does. */
void fieldset_merge(json_t *object, const json_t *config, const struct kind_desc *k);
/* Removes from the object what is in `last` and not in `kept`. */
void fieldset_prune(json_t *object, const json_t *last, const json_t *kept, const struct kind_desc *k);

/* "k:{…}" of an item, owned, or NULL: it lacks a key. */
char *fieldset_key(const json_t *item, const char *const keys[2]);

#endif
