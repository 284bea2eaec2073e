/* SPDX-License-Identifier: Apache-2.0 */
/* Walks structs by their field tables and copies them. Knows no kind. See copy.h. */
#include "hub/copy.h"

#include <errno.h>

struct list { /* the shape of every MANY field */
	void *items;
	size_t len;
	bool set;
};

static int text_copy(struct arena *a, struct str *s)
{
	if (!s->p)
		return 0;
	*s = arena_str(a, *s);
	return s->p ? 0 : -ENOMEM;
}

int map_copy(struct arena *a, struct strmap *dst, const struct strmap *src)
{
	*dst = *src;
	if (!src->len)
		return 0;
	dst->items = arena_array(a, struct strpair, src->len);
	if (!dst->items)
		return -ENOMEM;
	for (size_t i = 0; i < src->len; i++) {
		dst->items[i] = src->items[i];
		if (text_copy(a, &dst->items[i].key) || text_copy(a, &dst->items[i].value))
			return -ENOMEM;
	}
	return 0;
}

int strlist_copy(struct arena *a, struct strlist *dst, const struct strlist *src)
{
	*dst = *src;
	if (!src->len)
		return 0;
	dst->items = arena_array(a, struct str, src->len);
	if (!dst->items)
		return -ENOMEM;
	for (size_t i = 0; i < src->len; i++) {
		dst->items[i] = src->items[i];
		if (text_copy(a, &dst->items[i]))
			return -ENOMEM;
	}
	return 0;
}

int strlist_add(struct arena *a, struct strlist *l, struct str s)
{
	struct str *items = arena_array(a, struct str, l->len + 1);
	struct str copy = arena_str(a, s);
	if (!items || !copy.p)
		return -ENOMEM;
	if (l->len)
		memcpy(items, l->items, l->len * sizeof(*items));
	items[l->len] = copy;
	*l = (struct strlist){.items = items, .len = l->len + 1, .set = true};
	return 0;
}

static int many_copy(struct arena *a, const struct struct_desc *d, struct list *l)
{
	const char *from = l->items;
	if (!l->len)
		return 0;
	l->items = arena_alloc_array(a, l->len, d->size);
	if (!l->items)
		return -ENOMEM;
	for (size_t i = 0; i < l->len; i++) {
		int r = struct_copy(a, d, (char *)l->items + i * d->size, from + i * d->size);
		if (r)
			return r;
	}
	return 0;
}

static int one_copy(struct arena *a, const struct struct_desc *d, void **p)
{
	if (!*p)
		return 0;
	void *copy = arena_alloc(a, d->size);
	if (!copy)
		return -ENOMEM;
	int r = struct_copy(a, d, copy, *p);
	*p = copy;
	return r;
}

int struct_copy(struct arena *a, const struct struct_desc *d, void *dst, const void *src)
{
	memcpy(dst, src, d->size);
	for (size_t i = 0; i < d->n; i++) {
		const struct field_desc *f = &d->fields[i];
		void *m = (char *)dst + f->offset;
		int r = 0;
		switch (f->shape) {
		case SHAPE_STR:
		case SHAPE_TIME:
		case SHAPE_OPAQUE:
			r = text_copy(a, m);
			break;
		case SHAPE_INTSTR:
			r = text_copy(a, &((struct intstr *)m)->s);
			break;
		case SHAPE_MAP:
			r = map_copy(a, m,
				     &(struct strmap){((struct strmap *)m)->items, ((struct strmap *)m)->len,
						      ((struct strmap *)m)->set});
			break;
		case SHAPE_STRS:
			r = strlist_copy(a, m,
					 &(struct strlist){((struct strlist *)m)->items,
							   ((struct strlist *)m)->len,
							   ((struct strlist *)m)->set});
			break;
		case SHAPE_ONE:
			r = one_copy(a, f->type, m);
			break;
		case SHAPE_MANY:
			r = many_copy(a, f->type, m);
			break;
		case SHAPE_INT:
		case SHAPE_BOOL:
			break;
		}
		if (r)
			return r;
	}
	return 0;
}

const struct field_desc *field_find(enum kind k, const char *name)
{
	const struct struct_desc *d = kind_table[k].body;
	for (size_t i = 0; d && i < d->n; i++)
		if (!strcmp(d->fields[i].json, name))
			return &d->fields[i];
	return NULL;
}

const struct struct_desc *desc_find(enum kind k, const char *name)
{
	const struct field_desc *f = field_find(k, name);
	return f ? f->type : NULL;
}

bool map_same(const struct strmap *a, const struct strmap *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (!str_eq(a->items[i].key, b->items[i].key) ||
		    !str_eq(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

static bool strs_same(const struct strlist *a, const struct strlist *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (!str_eq(a->items[i], b->items[i]))
			return false;
	return true;
}

static bool many_same(const struct struct_desc *d, const struct list *a, const struct list *b)
{
	if (a->len != b->len || a->set != b->set)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (!struct_same(d, (char *)a->items + i * d->size, (char *)b->items + i * d->size))
			return false;
	return true;
}

static bool member_same(const struct field_desc *f, const void *a, const void *b)
{
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
	case SHAPE_OPAQUE:
		return str_eq(*(const struct str *)a, *(const struct str *)b);
	case SHAPE_INT: {
		const struct opt_int *x = a, *y = b;
		return x->set == y->set && (!x->set || x->v == y->v);
	}
	case SHAPE_BOOL: {
		const struct opt_bool *x = a, *y = b;
		return x->set == y->set && (!x->set || x->v == y->v);
	}
	case SHAPE_INTSTR: {
		const struct intstr *x = a, *y = b;
		return x->type == y->type && (x->type != INTSTR_INT || x->i == y->i) &&
		       (x->type != INTSTR_STR || str_eq(x->s, y->s));
	}
	case SHAPE_MAP:
		return map_same(a, b);
	case SHAPE_STRS:
		return strs_same(a, b);
	case SHAPE_ONE: {
		const void *x = *(void *const *)a, *y = *(void *const *)b;
		return !x == !y && (!x || struct_same(f->type, x, y));
	}
	case SHAPE_MANY:
		return many_same(f->type, a, b);
	}
	return false;
}

bool struct_same(const struct struct_desc *d, const void *a, const void *b)
{
	for (size_t i = 0; i < d->n; i++)
		if (!member_same(&d->fields[i], (const char *)a + d->fields[i].offset,
				 (const char *)b + d->fields[i].offset))
			return false;
	return true;
}

bool object_same_spec(const struct object *a, const struct object *b)
{
	if (a->desc != b->desc || !str_eq(a->opaque, b->opaque))
		return false;
	const struct struct_desc *d = a->desc->body;
	for (size_t i = 0; d && i < d->n; i++)
		if (strcmp(d->fields[i].json, "status") &&
		    !member_same(&d->fields[i], field_at(a, &d->fields[i]), field_at(b, &d->fields[i])))
			return false;
	return true;
}

bool object_same(const struct object *a, const struct object *b)
{
	struct metadata ma = a->meta, mb = b->meta;
	ma.resource_version = mb.resource_version = (struct str){0};
	if (!struct_same(&metadata_desc, &ma, &mb) || !object_same_spec(a, b))
		return false;
	const struct field_desc *st = field_find(a->desc->kind, "status");
	return !st || member_same(st, field_at(a, st), field_at(b, st));
}
