/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an object: making, sharing by reference count, copying by its descriptors, and its key. Never
 * changes an object that is shared, but for the key that object_key() remembers.
 */
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "object/layout.h"
#include "object/position.h"

int object_new(struct object **out, const struct kind_desc *k, struct str ns, struct str name)
{
	struct object *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->refs = 1;
	o->desc = k;
	if (k->body)
		o->body = arena_alloc(&o->arena, k->body->size);
	if (name.n)
		o->meta.name = arena_str(&o->arena, name);
	if (ns.n)
		o->meta.ns = arena_str(&o->arena, ns);
	if ((k->body && !o->body) || (name.n && !o->meta.name.p) || (ns.n && !o->meta.ns.p)) {
		object_unref(&o);
		return -ENOMEM;
	}
	*out = o;
	return 0;
}

struct object *object_ref(const struct object *o)
{
	struct object *shared = (struct object *)(uintptr_t)o;
	if (shared)
		shared->refs++;
	return shared;
}

void object_unref(struct object **op)
{
	struct object *o = TAKE(*op);
	if (!o || --o->refs)
		return;
	struct file *f = (struct file *)(uintptr_t)o->pos.file;
	file_unref(&f);
	position_free(&o->positions);
	arena_fini(&o->arena);
	free(o);
}

struct str object_key(const struct object *o)
{
	struct str ns = o->desc->namespaced ? o->meta.ns : (struct str){0}, name = o->meta.name;
	if (!ns.n)
		return name;
	struct str key = o->key;
	if (key.n == ns.n + 1 + name.n && !memcmp(key.p, ns.p, ns.n) && str_ends(key, name))
		return key;
	struct object *shared = (struct object *)(uintptr_t)o;
	shared->key = arena_printf(&shared->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	return shared->key;
}

/* Each copy_* returns 0 or -ENOMEM; src and dst are the same struct in two objects. */
struct copy {
	struct object *to;
	const struct object *from;
};

static int copy_str(struct copy *c, struct str *dst, const struct str *src)
{
	*dst = src->p ? arena_str(&c->to->arena, *src) : (struct str){0};
	return src->p && !dst->p ? -ENOMEM : 0;
}

static int copy_strs(struct copy *c, struct strlist *dst, const struct strlist *src)
{
	*dst = *src;
	if (!src->len)
		return 0;
	dst->items = arena_array(&c->to->arena, struct str, src->len);
	int r = dst->items ? 0 : -ENOMEM;
	for (size_t i = 0; !r && i < src->len; i++)
		r = copy_str(c, &dst->items[i], &src->items[i]);
	return r ? r : position_copy(c->to, c->from, dst->items, src->items, src->len * sizeof(struct str));
}

static int copy_map(struct copy *c, struct strmap *dst, const struct strmap *src)
{
	*dst = *src;
	if (!src->len)
		return 0;
	dst->items = arena_array(&c->to->arena, struct strpair, src->len);
	int r = dst->items ? 0 : -ENOMEM;
	for (size_t i = 0; !r && i < src->len; i++) {
		r = copy_str(c, &dst->items[i].key, &src->items[i].key);
		if (!r)
			r = copy_str(c, &dst->items[i].value, &src->items[i].value);
	}
	return r ? r
		 : position_copy(c->to, c->from, dst->items, src->items, src->len * sizeof(struct strpair));
}

static int copy_struct(struct copy *c, const struct struct_desc *d, void *dst, const void *src);

static int copy_many(struct copy *c, const struct field_desc *f, struct any_list *dst,
		     const struct any_list *src)
{
	*dst = *src;
	if (!src->len)
		return 0;
	dst->items = arena_alloc_array(&c->to->arena, src->len, f->type->size);
	int r = dst->items ? 0 : -ENOMEM;
	for (size_t i = 0; !r && i < src->len; i++)
		r = copy_struct(c, f->type, item_at(dst, f, i), item_at(src, f, i));
	return r;
}

static int copy_one(struct copy *c, const struct field_desc *f, void **dst, void *const *src)
{
	*dst = NULL;
	if (!*src)
		return 0;
	*dst = arena_alloc(&c->to->arena, f->type->size);
	return *dst ? copy_struct(c, f->type, *dst, *src) : -ENOMEM;
}

static int copy_member(struct copy *c, const struct field_desc *f, void *dst, const void *src)
{
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
	case SHAPE_OPAQUE:
		return copy_str(c, dst, src);
	case SHAPE_INTSTR:
		*(struct intstr *)dst = *(const struct intstr *)src;
		return copy_str(c, &((struct intstr *)dst)->s, &((const struct intstr *)src)->s);
	case SHAPE_MAP:
		return copy_map(c, dst, src);
	case SHAPE_STRS:
		return copy_strs(c, dst, src);
	case SHAPE_ONE:
		return copy_one(c, f, dst, src);
	case SHAPE_MANY:
		return copy_many(c, f, dst, src);
	case SHAPE_INT:
	case SHAPE_BOOL:
		memcpy(dst, src, shape_size(f->shape));
		return 0;
	}
	return 0;
}

/* Positions of members that are set; the first member's also stands for the struct as an item. */
static int copy_positions(struct copy *c, const struct struct_desc *d, void *dst, const void *src)
{
	size_t n;
	const struct position *p = position_range(c->from, src, d->size, &n);
	int r = 0;
	for (uint32_t i = 0, at = 0; !r && i < d->n && at < n; i++) {
		const struct field_desc *f = &d->fields[i];
		const char *m = member_at(src, f), *end = m + shape_size(f->shape);
		size_t first = at;
		while (at < n && (const char *)p[at].at < end)
			at++;
		if (at > first && (i == 0 || member_is_set(src, f)))
			r = position_copy(c->to, c->from, member_at(dst, f), m, shape_size(f->shape));
	}
	return r;
}

static int copy_struct(struct copy *c, const struct struct_desc *d, void *dst, const void *src)
{
	for (uint32_t i = 0; i < d->n; i++) {
		int r = copy_member(c, &d->fields[i], member_at(dst, &d->fields[i]),
				    member_at(src, &d->fields[i]));
		if (r)
			return r;
	}
	return copy_positions(c, d, dst, src);
}

static size_t str_bytes(const struct str *s)
{
	return s->p ? (s->n + 1 + 7) & ~(size_t)7 : 0;
}

/* What copy_struct() will take of the arena. */
static size_t struct_bytes(const struct struct_desc *d, const void *base);

static size_t member_bytes(const struct field_desc *f, const void *m)
{
	const struct any_list *l = m;
	size_t n = 0;
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
	case SHAPE_OPAQUE:
		return str_bytes(m);
	case SHAPE_INTSTR:
		return str_bytes(&((const struct intstr *)m)->s);
	case SHAPE_MAP:
		for (size_t i = 0; i < l->len; i++)
			n += str_bytes(&((const struct strpair *)l->items)[i].key) +
			     str_bytes(&((const struct strpair *)l->items)[i].value);
		return n + l->len * sizeof(struct strpair);
	case SHAPE_STRS:
		for (size_t i = 0; i < l->len; i++)
			n += str_bytes(&((const struct str *)l->items)[i]);
		return n + l->len * sizeof(struct str);
	case SHAPE_ONE:
		return *(const void *const *)m
			   ? f->type->size + struct_bytes(f->type, *(const void *const *)m)
			   : 0;
	case SHAPE_MANY:
		for (size_t i = 0; i < l->len; i++)
			n += struct_bytes(f->type, item_at(l, f, i));
		return n + l->len * f->type->size;
	case SHAPE_INT:
	case SHAPE_BOOL:
		return 0;
	}
	return 0;
}

static size_t struct_bytes(const struct struct_desc *d, const void *base)
{
	size_t n = 0;
	for (uint32_t i = 0; i < d->n; i++)
		n += member_bytes(&d->fields[i], member_at(base, &d->fields[i]));
	return n;
}

static size_t object_bytes(const struct object *o)
{
	size_t n = struct_bytes(&metadata_desc, &o->meta) + str_bytes(&o->opaque);
	return o->body ? n + o->desc->body->size + struct_bytes(o->desc->body, o->body) : n;
}

size_t object_memory(const struct object *o)
{
	return sizeof(*o) + o->arena.used;
}

enum { LATER = 96 }; /* room for a version and the key, which are added to most objects */

static int copy_object(struct object *to, const struct object *from)
{
	struct copy c = {.to = to, .from = from};
	to->version = from->version;
	to->pos = from->pos;
	file_ref((struct file *)(uintptr_t)to->pos.file);
	int r = arena_reserve(&to->arena, object_bytes(from) + LATER);
	if (!r)
		r = copy_struct(&c, &metadata_desc, &to->meta, &from->meta);
	if (!r)
		r = copy_str(&c, &to->opaque, &from->opaque);
	if (!r && from->body) {
		to->body = arena_alloc(&to->arena, from->desc->body->size);
		r = to->body ? copy_struct(&c, from->desc->body, to->body, from->body) : -ENOMEM;
	}
	if (!r)
		position_trim(to);
	return r;
}

int object_clone(struct object **out, const struct object *o)
{
	struct object *copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	copy->refs = 1;
	copy->desc = o->desc;
	int r = copy_object(copy, o);
	if (r) {
		object_unref(&copy);
		return r;
	}
	*out = copy;
	return 0;
}
