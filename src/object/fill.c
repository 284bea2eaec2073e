/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From node tree to typed struct: types are checked here, meaning in validate.c. A value of the wrong type is
 * an error that names what was expected; the rest is filled all the same, so that all errors are found.
 * Called by the decoder.
 */
#include "object/fill.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "object/layout.h"
#include "object/position.h"
#include "object/scalar.h"

static void describe(struct buf *b, const struct value *n)
{
	if (n->type != VALUE_SCALAR) {
		buf_addz(b, n->type == VALUE_MAP ? "a map" : "a list");
		return;
	}
	static const char *const names[] = {
	    [SCALAR_NULL] = "nothing",	    [SCALAR_BOOL] = "the truth value ", [SCALAR_INT] = "the number ",
	    [SCALAR_FLOAT] = "the number ", [SCALAR_WORD] = "the word ",	[SCALAR_TEXT] = "the text "};
	enum scalar_type type = n->plain ? scalar_resolve(n->text).type : SCALAR_TEXT;
	buf_addz(b, names[type]);
	struct str shown = {.p = n->text.p, .n = n->text.n < 60 ? n->text.n : 60};
	if (type == SCALAR_TEXT)
		buf_json(b, shown);
	else if (type != SCALAR_NULL)
		buf_adds(b, shown);
}

static void wrong(struct fill *f, const struct value *n, const char *expected, const char *hint)
{
	AUTO_BUF found = {0};
	describe(&found, n);
	remark_add(f->rs, REMARK_ERROR, value_pos(f->tree, n), hint, STR_FMT ": expected %s, found %s",
		   STR_ARG(buf_str(&f->path)), expected, found.p ? found.p : "something else");
}

static void quote_hint(struct buf *hint, const struct value *n)
{
	buf_addz(hint, "write it in quotes: ");
	buf_json(hint, n->text);
}

static bool is_null(const struct value *n)
{
	return n->type == VALUE_SCALAR && n->plain && scalar_resolve(n->text).type == SCALAR_NULL;
}

static int note(struct fill *f, const void *member, const struct value *n)
{
	return f->positions ? position_add(f->object, member, value_pos(f->tree, n)) : 0;
}

static int keep_text(struct fill *f, struct str text, struct str *out)
{
	*out = arena_str(&f->object->arena, text);
	return out->p ? 0 : -ENOMEM;
}

/* 0 also when the type was wrong. */
static int fill_str(struct fill *f, unsigned flags, const struct value *n, struct str *out)
{
	AUTO_BUF hint = {0};
	enum scalar_type type =
	    n->type == VALUE_SCALAR && n->plain ? scalar_resolve(n->text).type : SCALAR_TEXT;
	bool number = type == SCALAR_INT || type == SCALAR_FLOAT;
	if (n->type != VALUE_SCALAR) {
		wrong(f, n, "text", NULL);
		return 0;
	}
	if (type == SCALAR_BOOL || (number && !(flags & FIELD_QUANTITY))) {
		quote_hint(&hint, n);
		wrong(f, n, "text", hint.p);
		return 0;
	}
	if (type == SCALAR_WORD) {
		quote_hint(&hint, n);
		remark_add(f->rs, REMARK_WARNING, value_pos(f->tree, n), hint.p,
			   STR_FMT ": " STR_FMT
				   " without quotes is a truth value to Kubernetes; taken as text here",
			   STR_ARG(buf_str(&f->path)), STR_ARG(n->text));
	}
	return keep_text(f, type == SCALAR_NULL ? STR("") : n->text, out);
}

static int fill_int(struct fill *f, const struct value *n, struct opt_int *out)
{
	struct scalar s =
	    n->type == VALUE_SCALAR ? scalar_resolve(n->text) : (struct scalar){.type = SCALAR_NULL};
	if (n->type == VALUE_SCALAR && n->plain && s.type == SCALAR_INT)
		*out = (struct opt_int){.v = s.i, .set = true};
	else
		wrong(f, n, "a whole number", s.type == SCALAR_INT ? "leave the quotes out" : NULL);
	return 0;
}

static int fill_bool(struct fill *f, const struct value *n, struct opt_bool *out)
{
	struct scalar s =
	    n->type == VALUE_SCALAR ? scalar_resolve(n->text) : (struct scalar){.type = SCALAR_NULL};
	bool word = s.type == SCALAR_BOOL || s.type == SCALAR_WORD;
	if (n->type == VALUE_SCALAR && n->plain && word)
		*out = (struct opt_bool){.v = s.b, .set = true};
	else
		wrong(f, n, "true or false", word ? "leave the quotes out" : NULL);
	return 0;
}

static int fill_intstr(struct fill *f, const struct value *n, struct intstr *out)
{
	struct scalar s = n->type == VALUE_SCALAR && n->plain ? scalar_resolve(n->text)
							      : (struct scalar){.type = SCALAR_TEXT};
	if (n->type != VALUE_SCALAR || s.type == SCALAR_BOOL || s.type == SCALAR_FLOAT) {
		wrong(f, n, "a whole number or a name", NULL);
		return 0;
	}
	if (s.type == SCALAR_INT) {
		*out = (struct intstr){.type = INTSTR_INT, .i = s.i};
		return 0;
	}
	out->type = INTSTR_STR;
	return keep_text(f, n->text, &out->s);
}

static int fill_opaque(struct fill *f, const struct value *n, struct str *out)
{
	AUTO_BUF json = {0};
	value_print_json(&json, n);
	return json.failed ? -ENOMEM : keep_text(f, buf_str(&json), out);
}

static int by_key(const void *pa, const void *pb)
{
	const struct link *const *a = pa, *const *b = pb;
	return str_cmp((*a)->key->text, (*b)->key->text);
}

static void path_key(struct fill *f, struct str key)
{
	buf_addz(&f->path, "[\"");
	buf_adds(&f->path, key);
	buf_addz(&f->path, "\"]");
}

static void path_cut(struct fill *f, size_t n)
{
	f->path.n = n;
	if (f->path.p)
		f->path.p[n] = '\0';
}

static int fill_map(struct fill *f, unsigned flags, const struct value *n, struct strmap *out)
{
	if (n->type != VALUE_MAP) {
		wrong(f, n, "a map of text", NULL);
		return 0;
	}
	out->set = true;
	if (!n->count)
		return 0;
	struct arena *a = &f->object->arena;
	const struct link **sorted = calloc(n->count, sizeof(struct link *));
	out->items = arena_array(a, struct strpair, n->count);
	int r = sorted && out->items ? 0 : -ENOMEM;
	size_t count = 0, path = f->path.n;
	for (const struct link *l = n->first; !r && l; l = l->next)
		sorted[count++] = l;
	if (!r)
		qsort(sorted, count, sizeof(sorted[0]), by_key);
	for (size_t i = 0; !r && i < count; i++) {
		struct strpair *p = &out->items[out->len];
		if (i && str_eq(sorted[i]->key->text, sorted[i - 1]->key->text))
			continue; /* a duplicate, which has its remark */
		path_key(f, sorted[i]->key->text);
		r = keep_text(f, sorted[i]->key->text, &p->key);
		if (!r)
			r = fill_str(f, flags, sorted[i]->value, &p->value);
		path_cut(f, path);
		if (!r && p->value.p) {
			r = note(f, &p->key, sorted[i]->key);
			if (!r)
				r = note(f, &p->value, sorted[i]->value);
			out->len++;
		}
	}
	free(sorted);
	return r;
}

static int fill_strs(struct fill *f, const struct field_desc *d, const struct value *n, struct strlist *out)
{
	if (n->type != VALUE_SEQ) {
		wrong(f, n, "a list of text",
		      n->type == VALUE_SCALAR ? "write \"- \" before each item" : NULL);
		return 0;
	}
	out->set = true;
	out->items = n->count ? arena_array(&f->object->arena, struct str, n->count) : NULL;
	int r = n->count && !out->items ? -ENOMEM : 0;
	size_t path = f->path.n;
	for (const struct link *l = n->first; !r && l; l = l->next) {
		struct str *item = &out->items[out->len];
		buf_printf(&f->path, "[%zu]", out->len);
		r = fill_str(f, d->flags, l->value, item);
		path_cut(f, path);
		if (!r && item->p) {
			r = note(f, item, l->value);
			out->len++;
		}
	}
	return r;
}

static int fill_struct(struct fill *f, const struct struct_desc *d, const struct value *map, void *out);

static int fill_many(struct fill *f, const struct field_desc *d, const struct value *n, struct any_list *out)
{
	if (n->type != VALUE_SEQ) {
		wrong(f, n, "a list", n->type == VALUE_MAP ? "write \"- \" before each item" : NULL);
		return 0;
	}
	out->set = true;
	out->items = n->count ? arena_alloc_array(&f->object->arena, n->count, d->type->size) : NULL;
	int r = n->count && !out->items ? -ENOMEM : 0;
	size_t path = f->path.n;
	for (const struct link *l = n->first; !r && l; l = l->next) {
		void *item = item_at(out, d, out->len);
		buf_printf(&f->path, "[%zu]", out->len);
		out->len++;
		if (is_null(l->value)) {
			remark_add(f->rs, REMARK_WARNING, value_pos(f->tree, l->value),
				   "write {} where that is meant",
				   STR_FMT ": an item with nothing in it counts as {}",
				   STR_ARG(buf_str(&f->path)));
		} else if (l->value->type != VALUE_MAP) {
			wrong(f, l->value, "a map", NULL);
		} else {
			r = fill_struct(f, d->type, l->value, item);
		}
		if (!r && (!d->type->n || !member_is_set(item, &d->type->fields[0])))
			r = note(f, item,
				 l->value->type == VALUE_MAP && l->value->first ? l->value->first->key
										: l->value);
		path_cut(f, path);
	}
	return r;
}

static int fill_one(struct fill *f, const struct field_desc *d, const struct value *n, void **out)
{
	if (n->type != VALUE_MAP) {
		wrong(f, n, "a map", NULL);
		return 0;
	}
	*out = arena_alloc(&f->object->arena, d->type->size);
	return *out ? fill_struct(f, d->type, n, *out) : -ENOMEM;
}

static int fill_member(struct fill *f, const struct field_desc *d, const struct value *n, void *out)
{
	switch (d->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
		return fill_str(f, d->flags, n, out);
	case SHAPE_OPAQUE:
		return fill_opaque(f, n, out);
	case SHAPE_INT:
		return fill_int(f, n, out);
	case SHAPE_BOOL:
		return fill_bool(f, n, out);
	case SHAPE_INTSTR:
		return fill_intstr(f, n, out);
	case SHAPE_MAP:
		return fill_map(f, d->flags, n, out);
	case SHAPE_STRS:
		return fill_strs(f, d, n, out);
	case SHAPE_ONE:
		return fill_one(f, d, n, out);
	case SHAPE_MANY:
		return fill_many(f, d, n, out);
	}
	return 0;
}

/* The field whose name is nearest to `key`, or NULL when none is near. */
static const char *nearest(const struct struct_desc *d, struct str key)
{
	const char *best = NULL;
	unsigned best_distance = key.n > 8 ? 4 : key.n > 3 ? 3 : 2;
	for (uint32_t i = 0; d && i < d->n; i++) {
		struct str name = str_of(d->fields[i].json);
		if (name.n == key.n && !strncasecmp(name.p, key.p, key.n))
			return name.p;
		unsigned distance = str_distance(name, key);
		if (distance < best_distance) {
			best_distance = distance;
			best = name.p;
		}
	}
	return best;
}

/* The last field of a struct that fails closed on what it does not know: the names are kept. */
static const char unknown_field[] = "weftUnknown";
enum { UNKNOWN_MAX = 8 }; /* one is enough to fail closed */

static int keep_unknown(struct fill *f, const struct link *l)
{
	struct strlist *list = f->unknown;
	if (list->len >= UNKNOWN_MAX)
		return 0;
	struct str *items = arena_array(&f->object->arena, struct str, list->len + 1);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < list->len; i++)
		items[i] = list->items[i];
	*list = (struct strlist){.items = items, .len = list->len + 1, .set = true};
	int r = keep_text(f, l->key->text, &items[list->len - 1]);
	return r ? r : note(f, &items[list->len - 1], l->key);
}

static int unknown(struct fill *f, const struct struct_desc *d, const struct link *l)
{
	const char *near = nearest(d, l->key->text);
	AUTO_BUF hint = {0};
	if (f->unknown)
		buf_addz(&hint,
			 "in an Accept rule it matches nothing, a Deny or Pass rule denies every peer");
	if (near && strcmp(near, unknown_field) != 0)
		buf_printf(&hint, "%sdid you mean \"%s\"?", hint.n ? "; " : "", near);
	/* In an object of ours, what is not known could be what protects: a mask that is misspelt masks
	 * nothing. */
	bool refused =
	    !strcmp(f->object->desc->group, "weft.network") && str_starts(buf_str(&f->path), STR("spec"));
	remark_add(f->rs, refused ? REMARK_ERROR : REMARK_WARNING, value_pos(f->tree, l->key), hint.p,
		   STR_FMT "%sunknown field \"" STR_FMT "\"%s", STR_ARG(buf_str(&f->path)),
		   f->path.n ? ": " : "", STR_ARG(l->key->text),
		   refused	? ""
		   : f->unknown ? " makes this fail closed"
				: " is ignored");
	return f->unknown ? keep_unknown(f, l) : 0;
}

static const struct field_desc *field_named(const struct struct_desc *d, struct str key)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (str_eqz(key, d->fields[i].json))
			return &d->fields[i];
	return NULL;
}

static bool is_collection(enum shape shape)
{
	return shape == SHAPE_MAP || shape == SHAPE_STRS || shape == SHAPE_ONE || shape == SHAPE_MANY ||
	       shape == SHAPE_OPAQUE;
}

static int fill_field(struct fill *f, const struct field_desc *d, const struct link *l, void *out)
{
	size_t path = f->path.n;
	if (path)
		buf_addc(&f->path, '.');
	buf_addz(&f->path, d->json);
	void *m = member_at(out, d);
	int r = is_null(l->value) ? 0 : fill_member(f, d, l->value, m);
	if (!r && member_is_set(out, d))
		r = note(f, m, is_collection(d->shape) ? l->key : l->value);
	path_cut(f, path);
	return r;
}

static int fill_struct(struct fill *f, const struct struct_desc *d, const struct value *map, void *out)
{
	int r = 0;
	struct strlist *outer = f->unknown;
	const struct field_desc *last = d->n ? &d->fields[d->n - 1] : NULL;
	if (last && !strcmp(last->json, unknown_field))
		f->unknown = member_at(out, last);
	for (const struct link *l = map->first; l && !r; l = l->next) {
		const struct field_desc *field = field_named(d, l->key->text);
		if (!field)
			r = unknown(f, d, l);
		else if (!member_is_set(out, field)) /* else a duplicate, which has its remark */
			r = fill_field(f, field, l, out);
	}
	f->unknown = outer;
	return r;
}

static bool is_header(struct str key)
{
	return str_eqz(key, "apiVersion") || str_eqz(key, "kind") || str_eqz(key, "metadata") ||
	       str_eqz(key, "weftPositions");
}

static int fill_opaque_object(struct fill *f, const struct value *map)
{
	AUTO_BUF json = {0};
	buf_addc(&json, '{');
	for (const struct link *l = map->first; l; l = l->next) {
		if (is_header(l->key->text))
			continue;
		if (!field_named(f->object->desc->members, l->key->text) &&
		    unknown(f, f->object->desc->members, l))
			return -ENOMEM;
		if (json.n > 1)
			buf_addc(&json, ',');
		buf_json(&json, l->key->text);
		buf_addc(&json, ':');
		value_print_json(&json, l->value);
	}
	buf_addc(&json, '}');
	return json.failed ? -ENOMEM : keep_text(f, buf_str(&json), &f->object->opaque);
}

static int fill_metadata(struct fill *f, const struct value *map)
{
	const struct value *meta = value_get(map, "metadata");
	if (!meta || is_null(meta))
		return 0;
	path_cut(f, 0);
	buf_addz(&f->path, "metadata");
	int r = 0;
	if (meta->type == VALUE_MAP)
		r = fill_struct(f, &metadata_desc, meta, &f->object->meta);
	else
		wrong(f, meta, "a map", NULL);
	path_cut(f, 0);
	return r;
}

int fill_object(struct fill *f, const struct value *map)
{
	int r = fill_metadata(f, map);
	if (r)
		return r;
	if (f->object->desc->opaque)
		return fill_opaque_object(f, map);
	const struct struct_desc *d = f->object->desc->body;
	for (const struct link *l = map->first; l && !r; l = l->next) {
		if (is_header(l->key->text))
			continue;
		const struct field_desc *field = field_named(d, l->key->text);
		if (!field)
			r = unknown(f, d, l);
		else if (!member_is_set(f->object->body, field))
			r = fill_field(f, field, l, f->object->body);
	}
	return r;
}

/* Follows one path, "spec.ports[0].name" or "metadata.labels["app"]", to the member's address; NULL when it
 * leads nowhere. */
static const void *follow(const struct struct_desc *d, const void *base, struct str path)
{
	for (;;) {
		struct str name = path;
		name.n = 0;
		while (name.n < path.n && path.p[name.n] != '.' && path.p[name.n] != '[')
			name.n++;
		const struct field_desc *f = field_named(d, name);
		if (!f)
			return NULL;
		path.p += name.n;
		path.n -= name.n;
		const void *m = member_at(base, f);
		if (!path.n)
			return m;
		if (f->shape == SHAPE_MAP && path.n >= 4 && str_starts(path, STR("[\"")) &&
		    str_ends(path, STR("\"]"))) {
			const struct strmap *map = m;
			return strmap_get(map, (struct str){.p = path.p + 2, .n = path.n - 4});
		}
		if (f->shape == SHAPE_ONE) {
			base = *(const void *const *)m;
		} else {
			const struct any_list *l = m;
			int64_t i;
			struct str index = path;
			if ((f->shape != SHAPE_MANY && f->shape != SHAPE_STRS) || path.p[0] != '[')
				return NULL;
			index.p++;
			index.n--;
			struct str digits = str_cut(&index, ']');
			if (!l->len || str_to_i64(digits, 0, (int64_t)l->len - 1, &i))
				return NULL;
			if (f->shape == SHAPE_STRS)
				return (const struct str *)l->items + i;
			base = item_at(l, f, (size_t)i);
			path = index;
			if (!path.n)
				return base;
		}
		if (!base || !path.n || path.p[0] != '.')
			return NULL;
		path.p++;
		path.n--;
		d = f->type;
	}
}

static bool triple(const struct value *n, struct pos *out)
{
	uint32_t *const parts[] = {&out->line, &out->col, &out->len};
	size_t i = 0;
	if (n->type != VALUE_SEQ || n->count != 3)
		return false;
	for (const struct link *l = n->first; l; l = l->next) {
		struct scalar s = l->value->type == VALUE_SCALAR && l->value->plain
				      ? scalar_resolve(l->value->text)
				      : (struct scalar){0};
		if (s.type != SCALAR_INT || s.i < 0 || s.i > UINT32_MAX)
			return false;
		*parts[i++] = (uint32_t)s.i;
	}
	return true;
}

int fill_positions(struct object *o, const struct value *told)
{
	const struct value *name = told->type == VALUE_MAP ? value_get(told, "file") : NULL;
	const struct value *commit = told->type == VALUE_MAP ? value_get(told, "commit") : NULL;
	const struct value *at = told->type == VALUE_MAP ? value_get(told, "at") : NULL;
	if (!name || name->type != VALUE_SCALAR || !at || at->type != VALUE_MAP ||
	    (commit && commit->type != VALUE_SCALAR))
		return -EINVAL;
	struct file *file;
	int r = file_new(&file, name->text.p, NULL, 0);
	if (r)
		return r;
	if (commit)
		file->commit = strdup(commit->text.p);
	struct file *old = (struct file *)(uintptr_t)o->pos.file;
	o->pos.file = file;
	file_unref(&old);
	position_free(&o->positions);
	for (const struct link *l = at->first; l && !r; l = l->next) {
		struct pos p = {0};
		struct str path = l->key->text;
		if (!triple(l->value, &p))
			return -EINVAL;
		bool meta = str_starts(path, STR("metadata."));
		if (!path.n) {
			o->pos.line = p.line;
			o->pos.col = p.col;
			o->pos.len = p.len;
			continue;
		}
		if (meta)
			path = (struct str){.p = path.p + 9, .n = path.n - 9};
		const void *m = meta		? follow(&metadata_desc, &o->meta, path)
				: o->desc->body ? follow(o->desc->body, o->body, path)
						: NULL;
		if (m)
			r = position_add(o, m, p);
	}
	return r;
}
