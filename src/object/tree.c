/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the node tree of one object from a feed, within limits. Recursion is bounded by the depth limit,
 * which is checked before each descent. Called by the decoder only.
 */
#include "object/tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "object/scalar.h"

static struct pos event_pos(const struct tree *t, const struct feed_event *ev)
{
	return (struct pos){.file = t->file, .line = ev->line, .col = ev->col, .len = ev->len};
}

struct pos value_pos(const struct tree *t, const struct value *n)
{
	return (struct pos){.file = t->file, .line = n->line, .col = n->col, .len = n->len};
}

static int value_new(struct tree *t, const struct feed_event *ev, enum value_type type, struct value **out)
{
	if (++t->nodes > t->limits->nodes) {
		remark_add(t->rs, REMARK_ERROR, event_pos(t, ev), "split the file",
			   "more than %zu values in one file", t->limits->nodes);
		return -EINVAL;
	}
	struct value *n = arena_new(&t->arena, struct value);
	if (!n)
		return -ENOMEM;
	*n = (struct value){.type = type,
			    .plain = ev->plain,
			    .flow = ev->flow,
			    .line = ev->line,
			    .col = ev->col,
			    .len = ev->len};
	n->size = 1;
	*out = n;
	return 0;
}

static void account(struct value *parent, const struct value *child)
{
	if (__builtin_add_overflow(parent->size, child->size, &parent->size))
		parent->size = SIZE_MAX;
	if (child->height + 1 > parent->height)
		parent->height = child->height + 1;
}

static int add_link(struct tree *t, struct value *parent, struct value *key, struct value *value)
{
	struct link *l = arena_new(&t->arena, struct link);
	if (!l)
		return -ENOMEM;
	*l = (struct link){.key = key, .value = value};
	if (parent->last)
		parent->last->next = l;
	else
		parent->first = l;
	parent->last = l;
	parent->count++;
	account(parent, value);
	return 0;
}

static int too_deep(struct tree *t, const struct feed_event *ev)
{
	remark_add(t->rs, REMARK_ERROR, event_pos(t, ev), NULL, "nested more than %u levels deep",
		   t->limits->depth);
	return -EINVAL;
}

static int alias(struct tree *t, const struct feed_event *ev, unsigned depth, struct value **out)
{
	struct value *target = hash_get(&t->anchors, ev->text);
	if (!target || target->open) {
		remark_add(t->rs, REMARK_ERROR, event_pos(t, ev), NULL,
			   target ? "alias *" STR_FMT " stands inside the value that it names"
				  : "alias *" STR_FMT " names no anchor before it",
			   STR_ARG(ev->text));
		return -EINVAL;
	}
	if (depth + target->height > t->limits->depth + 1)
		return too_deep(t, ev);
	if (target->size > t->limits->aliases || t->aliases + target->size > t->limits->aliases) {
		remark_add(t->rs, REMARK_ERROR, event_pos(t, ev),
			   "write the values out, or use fewer aliases",
			   "aliases stand for more than %zu values", t->limits->aliases);
		return -EINVAL;
	}
	t->aliases += target->size;
	*out = target;
	return 0;
}

static int anchor(struct tree *t, const struct feed_event *ev, struct value *n)
{
	return ev->anchor.n ? hash_set(&t->anchors, ev->anchor, n, NULL) : 0;
}

static int scalar(struct tree *t, const struct feed_event *ev, struct value **out)
{
	struct value *n;
	int r = value_new(t, ev, VALUE_SCALAR, &n);
	if (r)
		return r;
	if (ev->text.n && memchr(ev->text.p, 0, ev->text.n)) {
		remark_add(t->rs, REMARK_ERROR, event_pos(t, ev), NULL, "text holds a NUL byte");
		return -EINVAL;
	}
	n->text = arena_str(&t->arena, ev->text);
	if (!n->text.p)
		return -ENOMEM;
	*out = n;
	return anchor(t, ev, n);
}

static int items(struct tree *t, struct feed *f, unsigned depth, struct value *seq)
{
	for (;;) {
		struct feed_event ev;
		struct value *item;
		int r = f->next(f, &ev);
		if (r || ev.type == FEED_END)
			return r;
		r = tree_value(t, f, &ev, depth + 1, &item);
		if (!r)
			r = add_link(t, seq, NULL, item);
		if (r)
			return r;
	}
}

static int pairs(struct tree *t, struct feed *f, unsigned depth, struct value *map)
{
	for (;;) {
		struct feed_event key;
		int r = f->next(f, &key);
		if (r)
			return r;
		if (key.type == FEED_END)
			return tree_map_close(t, map);
		r = tree_pair(t, f, &key, depth, map);
		if (r)
			return r;
	}
}

int tree_map_new(struct tree *t, const struct feed_event *ev, struct value **out)
{
	int r = value_new(t, ev, VALUE_MAP, out);
	return r ? r : anchor(t, ev, *out);
}

int tree_value(struct tree *t, struct feed *f, const struct feed_event *first, unsigned depth,
	       struct value **out)
{
	struct feed_event ev = *first;
	if (ev.type == FEED_ALIAS)
		return alias(t, &ev, depth, out);
	if (ev.type == FEED_SCALAR)
		return scalar(t, &ev, out);
	if (depth > t->limits->depth)
		return too_deep(t, &ev);
	struct value *n;
	int r = value_new(t, &ev, ev.type == FEED_MAP ? VALUE_MAP : VALUE_SEQ, &n);
	if (!r)
		r = anchor(t, &ev, n);
	if (r)
		return r;
	n->open = true;
	r = n->type == VALUE_MAP ? pairs(t, f, depth, n) : items(t, f, depth, n);
	n->open = false;
	*out = n;
	return r;
}

int tree_pair(struct tree *t, struct feed *f, const struct feed_event *key, unsigned depth, struct value *map)
{
	struct value *k, *v;
	int r = tree_value(t, f, key, depth + 1, &k);
	if (r)
		return r;
	struct feed_event ev;
	r = f->next(f, &ev);
	if (!r)
		r = tree_value(t, f, &ev, depth + 1, &v);
	if (r)
		return r;
	if (k->type != VALUE_SCALAR) {
		remark_add(t->rs, REMARK_ERROR, value_pos(t, k), NULL, "a key must be text, not a %s",
			   k->type == VALUE_MAP ? "map" : "list");
		return 0;
	}
	return add_link(t, map, k, v);
}

static bool is_merge(const struct link *l)
{
	return l->key->plain && str_eqz(l->key->text, "<<");
}

/* Finds keys fast: by walking while the map is small, by a hash when it is not. */
struct seen {
	struct hash table;
	const struct value *map;
	bool hashed;
};

static struct link *seen_get(const struct seen *s, struct str key, const struct link *before)
{
	if (s->hashed)
		return hash_get(&s->table, key);
	for (struct link *l = s->map->first; l && l != before; l = l->next)
		if (!is_merge(l) && str_eq(l->key->text, key))
			return l;
	return NULL;
}

static int seen_add(struct seen *s, struct link *l)
{
	return s->hashed ? hash_set(&s->table, l->key->text, l, NULL) : 0;
}

/* Adds those pairs of `from` whose keys are not there. */
static int merge_from(struct tree *t, struct seen *s, struct value *map, const struct value *from)
{
	for (struct link *l = from->first; l; l = l->next) {
		if (is_merge(l) || seen_get(s, l->key->text, NULL))
			continue;
		if (l->value->size >= t->limits->aliases || ++t->aliases > t->limits->aliases) {
			remark_add(t->rs, REMARK_ERROR, value_pos(t, map), NULL,
				   "merges stand for more than %zu values", t->limits->aliases);
			return -EINVAL;
		}
		int r = add_link(t, map, l->key, l->value);
		if (!r)
			r = seen_add(s, map->last);
		if (r)
			return r;
	}
	return 0;
}

static int merge(struct tree *t, struct seen *s, struct value *map, const struct value *what)
{
	if (what->type == VALUE_MAP)
		return merge_from(t, s, map, what);
	int r = 0;
	for (struct link *l = what->type == VALUE_SEQ ? what->first : NULL; l && !r; l = l->next) {
		if (l->value->type == VALUE_MAP)
			r = merge_from(t, s, map, l->value);
		else
			what = l->value;
	}
	if (what->type == VALUE_SCALAR)
		remark_add(t->rs, REMARK_ERROR, value_pos(t, what), NULL, "<< takes a map or a list of maps");
	return r;
}

static void unlink_merges(struct value *map)
{
	struct link **at = &map->first;
	map->last = NULL;
	map->count = 0;
	while (*at) {
		if (is_merge(*at)) {
			*at = (*at)->next;
			continue;
		}
		map->last = *at;
		map->count++;
		at = &(*at)->next;
	}
}

int tree_map_close(struct tree *t, struct value *map)
{
	struct seen s = {.map = map, .hashed = map->count > 16};
	bool merges = false;
	int r = 0;
	for (struct link *l = map->first; l && !r; l = l->next) {
		if (is_merge(l)) {
			merges = true;
			continue;
		}
		struct link *had = seen_get(&s, l->key->text, l);
		if (had)
			remark_add(t->rs, REMARK_ERROR, value_pos(t, l->key), "keep one of them",
				   "\"" STR_FMT "\" is given twice; first on line %u, column %u",
				   STR_ARG(l->key->text), had->key->line, had->key->col);
		else
			r = seen_add(&s, l);
	}
	struct link *end = map->last; /* merged pairs are added behind it */
	for (struct link *l = map->first; merges && l && !r; l = l == end ? NULL : l->next)
		if (is_merge(l))
			r = merge(t, &s, map, l->value);
	if (merges)
		unlink_merges(map);
	hash_fini(&s.table);
	return r;
}

void tree_clear(struct tree *t)
{
	hash_fini(&t->anchors);
	arena_fini(&t->arena);
}

void tree_fini(struct tree *t)
{
	tree_clear(t);
}

struct value *value_get(const struct value *map, const char *key)
{
	for (struct link *l = map->first; l; l = l->next)
		if (str_eqz(l->key->text, key))
			return l->value;
	return NULL;
}

static void print_float(struct buf *b, struct str text)
{
	if (scalar_is_json_number(text)) {
		buf_adds(b, text);
		return;
	}
	char copy[64] = {0};
	memcpy(copy, text.p, text.n < sizeof(copy) - 1 ? text.n : sizeof(copy) - 1);
	char *end;
	double v = strtod(copy, &end);
	if (!*end && isfinite(v))
		buf_printf(b, "%.17g", v);
	else
		buf_json(b, text);
}

static void print_scalar(struct buf *b, const struct value *n)
{
	struct scalar s = n->plain ? scalar_resolve(n->text) : (struct scalar){.type = SCALAR_TEXT};
	switch (s.type) {
	case SCALAR_NULL:
		buf_addz(b, "null");
		break;
	case SCALAR_BOOL:
	case SCALAR_WORD:
		buf_addz(b, s.b ? "true" : "false");
		break;
	case SCALAR_INT:
		buf_printf(b, "%lld", (long long)s.i);
		break;
	case SCALAR_FLOAT:
		print_float(b, n->text);
		break;
	case SCALAR_TEXT:
		buf_json(b, n->text);
		break;
	}
}

void value_print_json(struct buf *b, const struct value *n)
{
	if (n->type == VALUE_SCALAR) {
		print_scalar(b, n);
		return;
	}
	buf_addc(b, n->type == VALUE_MAP ? '{' : '[');
	for (struct link *l = n->first; l; l = l->next) {
		if (l != n->first)
			buf_addc(b, ',');
		if (n->type == VALUE_MAP) {
			buf_json(b, l->key->text);
			buf_addc(b, ':');
		}
		value_print_json(b, l->value);
	}
	buf_addc(b, n->type == VALUE_MAP ? '}' : ']');
}
