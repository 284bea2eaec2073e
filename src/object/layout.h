/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the members of an object's structs lie in memory, for the files of this room that walk objects by their
 * descriptors: typed views of a member by its field, and its size. Private to object/.
 */
#ifndef WEFT_OBJECT_LAYOUT_H
#define WEFT_OBJECT_LAYOUT_H

#include "object/object.h"

/* Any MANY field, whatever its item type. */
struct any_list {
	void *items;
	size_t len;
	bool set;
};

static inline void *member_at(const void *base, const struct field_desc *f)
{
	return (char *)(uintptr_t)base + f->offset;
}

static inline void *item_at(const struct any_list *l, const struct field_desc *f, size_t i)
{
	return (char *)l->items + i * f->type->size;
}

/* Bytes of the member itself. */
size_t shape_size(enum shape shape);
/* Whether the member holds something that is printed. */
bool member_is_set(const void *base, const struct field_desc *f);

#endif
