/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as compact JSON, members in the order of the field tables; with positions for the agents' feed, and
 * without what a Secret holds where it is shown. Absent members are left out. Reads only.
 */
#include "object/layout.h"
#include "object/position.h"
#include "object/redact.h"

/* Numbers are most of what is printed with positions; printf would be most of its time. */
static void print_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(b, digits + at, sizeof(digits) - at);
}

static void print_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_addc(b, '-');
	print_u64(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void add_index(struct buf *path, size_t i)
{
	buf_addc(path, '[');
	print_u64(path, i);
	buf_addc(path, ']');
}

static void print_span(struct buf *b, uint32_t line, uint32_t col, uint32_t len)
{
	buf_addc(b, '[');
	print_u64(b, line);
	buf_addc(b, ',');
	print_u64(b, col);
	buf_addc(b, ',');
	print_u64(b, len);
	buf_addc(b, ']');
}

static void print_struct(struct buf *b, const struct struct_desc *d, const void *base);

static void print_strs(struct buf *b, const struct strlist *l)
{
	buf_addc(b, '[');
	for (size_t i = 0; i < l->len; i++) {
		if (i)
			buf_addc(b, ',');
		buf_json(b, l->items[i]);
	}
	buf_addc(b, ']');
}

static void print_map(struct buf *b, const struct strmap *m)
{
	buf_addc(b, '{');
	for (size_t i = 0; i < m->len; i++) {
		if (i)
			buf_addc(b, ',');
		buf_json(b, m->items[i].key);
		buf_addc(b, ':');
		buf_json(b, m->items[i].value);
	}
	buf_addc(b, '}');
}

static void print_many(struct buf *b, const struct field_desc *f, const struct any_list *l)
{
	buf_addc(b, '[');
	for (size_t i = 0; i < l->len; i++) {
		if (i)
			buf_addc(b, ',');
		print_struct(b, f->type, item_at(l, f, i));
	}
	buf_addc(b, ']');
}

static void print_member(struct buf *b, const struct field_desc *f, const void *m)
{
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
		buf_json(b, *(const struct str *)m);
		break;
	case SHAPE_OPAQUE:
		buf_adds(b, *(const struct str *)m);
		break;
	case SHAPE_INT:
		print_i64(b, ((const struct opt_int *)m)->v);
		break;
	case SHAPE_BOOL:
		buf_addz(b, ((const struct opt_bool *)m)->v ? "true" : "false");
		break;
	case SHAPE_INTSTR:
		if (((const struct intstr *)m)->type == INTSTR_INT)
			print_i64(b, ((const struct intstr *)m)->i);
		else
			buf_json(b, ((const struct intstr *)m)->s);
		break;
	case SHAPE_MAP:
		print_map(b, m);
		break;
	case SHAPE_STRS:
		print_strs(b, m);
		break;
	case SHAPE_ONE:
		print_struct(b, f->type, *(const void *const *)m);
		break;
	case SHAPE_MANY:
		print_many(b, f, m);
		break;
	}
}

/* The members without the braces; *some tells whether one was printed before. */
static void print_members(struct buf *b, const struct struct_desc *d, const void *base, bool *some)
{
	for (uint32_t i = 0; i < d->n; i++) {
		const struct field_desc *f = &d->fields[i];
		if (!member_is_set(base, f))
			continue;
		if (*some)
			buf_addc(b, ',');
		*some = true;
		buf_addc(b, '"');
		buf_addz(b, f->json);
		buf_add(b, "\":", 2);
		print_member(b, f, member_at(base, f));
	}
}

static void print_struct(struct buf *b, const struct struct_desc *d, const void *base)
{
	bool some = false;
	buf_addc(b, '{');
	print_members(b, d, base, &some);
	buf_addc(b, '}');
}

/* Walks all members and prints "path":[line,col,len] of each that has a position. */
struct at_printer {
	struct buf *b;
	const struct object *o;
	struct buf path;
	bool some;
};

static void print_at(struct at_printer *a, const void *member)
{
	struct pos p;
	if (!position_get(a->o, member, &p))
		return;
	if (a->some)
		buf_addc(a->b, ',');
	a->some = true;
	buf_json(a->b, buf_str(&a->path));
	buf_addc(a->b, ':');
	print_span(a->b, p.line, p.col, p.len);
}

static void cut_path(struct buf *path, size_t n)
{
	path->n = n;
	if (path->p)
		path->p[n] = '\0';
}

static void walk_struct(struct at_printer *a, const struct struct_desc *d, const void *base);

static void walk_items(struct at_printer *a, const struct field_desc *f, const struct any_list *l)
{
	size_t n = a->path.n;
	for (size_t i = 0; i < l->len; i++) {
		if (f->shape == SHAPE_MAP) {
			const struct strpair *pair = (const struct strpair *)l->items + i;
			buf_add(&a->path, "[\"", 2);
			buf_adds(&a->path, pair->key);
			buf_add(&a->path, "\"]", 2);
			print_at(a, &pair->value);
		} else if (f->shape == SHAPE_STRS) {
			add_index(&a->path, i);
			print_at(a, (const struct str *)l->items + i);
		} else {
			const void *item = item_at(l, f, i);
			add_index(&a->path, i);
			if (!f->type->n || !member_is_set(item, &f->type->fields[0]))
				print_at(a, item);
			walk_struct(a, f->type, item);
		}
		cut_path(&a->path, n);
	}
}

static void walk_struct(struct at_printer *a, const struct struct_desc *d, const void *base)
{
	size_t n = a->path.n;
	for (uint32_t i = 0; i < d->n; i++) {
		const struct field_desc *f = &d->fields[i];
		const void *m = member_at(base, f);
		if (!member_is_set(base, f))
			continue;
		if (n)
			buf_addc(&a->path, '.');
		buf_addz(&a->path, f->json);
		print_at(a, m);
		if (f->shape == SHAPE_ONE)
			walk_struct(a, f->type, *(const void *const *)m);
		else if (f->shape == SHAPE_MAP || f->shape == SHAPE_STRS || f->shape == SHAPE_MANY)
			walk_items(a, f, m);
		cut_path(&a->path, n);
	}
}

static void print_positions(struct buf *b, const struct object *o)
{
	if (!o->pos.file)
		return;
	buf_addz(b, ",\"weftPositions\":{\"file\":");
	buf_json(b, str_of(o->pos.file->name));
	if (o->pos.file->commit) {
		buf_addz(b, ",\"commit\":");
		buf_json(b, str_of(o->pos.file->commit));
	}
	buf_addz(b, ",\"at\":{\"\":");
	print_span(b, o->pos.line, o->pos.col, o->pos.len);
	struct at_printer a = {.b = b, .o = o, .some = true};
	buf_addz(&a.path, "metadata");
	walk_struct(&a, &metadata_desc, &o->meta);
	cut_path(&a.path, 0);
	if (o->desc->body && o->body)
		walk_struct(&a, o->desc->body, o->body);
	buf_fini(&a.path);
	buf_addz(b, "}}");
}

static void print_user(struct buf *b, const struct object *o, bool *some)
{
	struct user hidden = *o->user;
	struct user_spec spec = {0};
	if (hidden.spec) {
		spec = *hidden.spec;
		hidden.spec = &spec;
	}
	if (spec.password.n)
		spec.password = STR("<redacted>");
	print_members(b, o->desc->body, &hidden, some);
}

void object_print_json(struct buf *b, const struct object *o, unsigned flags)
{
	buf_printf(b, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":", kind_api_version(o->desc),
		   o->desc->name);
	struct metadata meta = o->meta;
	if (flags & PRINT_UNMANAGED)
		meta.managed_fields = (struct str){0};
	print_struct(b, &metadata_desc, &meta);
	bool some = true;
	if (flags & PRINT_REDACT && o->desc->kind == KIND_user)
		print_user(b, o, &some);
	else if (o->desc->body && o->body)
		print_members(b, o->desc->body, o->body, &some);
	if (o->opaque.n > 2) { /* more than {} */
		buf_addc(b, ',');
		if (flags & PRINT_REDACT && o->desc->kind == KIND_secret)
			redact_secret(b, o->opaque);
		else
			buf_add(b, o->opaque.p + 1, o->opaque.n - 2);
	}
	if (flags & PRINT_POSITIONS)
		print_positions(b, o);
	buf_addc(b, '}');
}
