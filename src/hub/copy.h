/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies parts of objects into other objects by their descriptors, and small constructors for values in an
 * object's arena. For the controllers, which make pods out of templates.
 */
#ifndef WEFT_HUB_COPY_H
#define WEFT_HUB_COPY_H

#include "object/object.h"

/* Deep copy of one struct; everything it holds is in `a`. 0 or -ENOMEM. */
int struct_copy(struct arena *a, const struct struct_desc *d, void *dst, const void *src);
int map_copy(struct arena *a, struct strmap *dst, const struct strmap *src);
int strlist_copy(struct arena *a, struct strlist *dst, const struct strlist *src);
int strlist_add(struct arena *a, struct strlist *l, struct str s);
/* The field of a kind's body by its JSON name: field_find(KIND_pod, "spec"); NULL when it has none. */
const struct field_desc *field_find(enum kind k, const char *name);
/* The struct in that field. */
const struct struct_desc *desc_find(enum kind k, const char *name);
static inline void *field_at(const struct object *o, const struct field_desc *f)
{
	return (char *)o->body + f->offset;
}

bool map_same(const struct strmap *a, const struct strmap *b);
bool struct_same(const struct struct_desc *d, const void *a, const void *b);
/* Equal apart from resourceVersion and from where they came. */
bool object_same(const struct object *a, const struct object *b);
/* Of the same kind and with the same spec (everything in the body but status). */
bool object_same_spec(const struct object *a, const struct object *b);

/* Copies text that may be absent: an absent one stays absent. */
static inline struct str text_keep(struct arena *a, struct str s)
{
	return s.n ? arena_str(a, s) : (struct str){0};
}
static inline struct opt_int int_of(int64_t v)
{
	return (struct opt_int){.v = v, .set = true};
}
static inline struct opt_bool bool_of(bool v)
{
	return (struct opt_bool){.v = v, .set = true};
}

#endif
