/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scanner that counts brackets and knows strings. A List's items are delivered one by one; everything else
 * of the List is kept, since the resource version may stand before or after the items.
 */
#include "agent/stream.h"

#include <errno.h>

void list_stream_init(struct list_stream *s, int (*item)(void *ctx, struct str json), void *ctx)
{
	*s = (struct list_stream){.item = item, .ctx = ctx};
}

void list_stream_fini(struct list_stream *s)
{
	buf_fini(&s->head);
	buf_fini(&s->one);
}

static void in_string(struct list_stream *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == '"')
		s->in_string = false;
	if (!s->in_item && s->depth == 1) {
		if (s->in_string)
			buf_addc(&s->one, c);
		else
			s->key_done = true;
	}
}

/* One character outside strings. Returns 1 when an item ended. */
static int outside(struct list_stream *s, char c)
{
	switch (c) {
	case '"':
		s->in_string = true;
		if (!s->in_item && s->depth == 1) {
			buf_clear(&s->one);
			s->key_done = false;
		}
		return 0;
	case ':':
		if (s->depth == 1 && !s->in_item)
			s->items_key = s->key_done && str_eqz(buf_str(&s->one), "items");
		return 0;
	case '{':
	case '[':
		if (s->depth == 1 && c == '[' && s->items_key)
			s->in_items = true;
		else if (s->in_items && s->depth == 2 && c == '{') {
			s->in_item = true;
			buf_clear(&s->one);
		}
		if (s->depth >= STREAM_DEPTH_MAX)
			return -EPROTO;
		s->braces = (s->braces & ~(1ULL << s->depth)) | (uint64_t)(c == '{') << s->depth;
		s->depth++;
		return 0;
	case '}':
	case ']':
		if (!s->depth || (s->braces >> (s->depth - 1) & 1) != (c == '}'))
			return -EPROTO;
		s->depth--;
		if (s->in_items && s->depth == 1)
			s->in_items = s->items_key = false;
		return s->in_item && s->depth == 2;
	default:
		return 0;
	}
}

/* What is ordinary within a string: up to its end or an escape. */
static size_t in_text(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

static bool too_much(const struct list_stream *s)
{
	return s->one.n > STREAM_OBJECT_MAX || s->head.n > STREAM_OBJECT_MAX;
}

/* One character; most of a list are items, whose bytes are kept by the caller. 1 when an item ended. */
static int step(struct list_stream *s, char c)
{
	bool was_items = s->in_items;
	int ret = 0;

	if (s->in_string)
		in_string(s, c);
	else
		ret = outside(s, c);
	if (ret >= 0 && !s->in_item && (!s->in_items || !was_items))
		buf_addc(&s->head, c);
	return ret;
}

int list_stream_feed(struct list_stream *s, const char *p, size_t n)
{
	size_t from = 0; /* of the item's bytes that are not kept yet */

	for (size_t i = 0; i < n;) {
		bool was_item = s->in_item;
		int ret;

		if (was_item && s->in_string && !s->escaped)
			i += in_text(p + i, n - i);
		if (i == n)
			break;
		ret = step(s, p[i++]);
		if (ret < 0 || too_much(s))
			return -EPROTO;
		if (!was_item && s->in_item)
			from = i - 1;
		if (ret) {
			buf_add(&s->one, p + from, i - from);
			if (s->one.failed)
				return -ENOMEM;
			if (too_much(s))
				return -EPROTO;
			s->in_item = false;
			ret = s->item(s->ctx, buf_str(&s->one));
			buf_clear(&s->one);
			if (ret)
				return ret;
		}
	}
	if (s->in_item)
		buf_add(&s->one, p + from, n - from);
	if (too_much(s))
		return -EPROTO;
	return s->one.failed || s->head.failed ? -ENOMEM : 0;
}

static size_t space(struct str t, size_t i)
{
	while (i < t.n && (t.p[i] == ' ' || t.p[i] == '\t' || t.p[i] == '\r' || t.p[i] == '\n'))
		i++;
	return i;
}

/* End of the value that begins at i; t.n when it does not end. */
static size_t value_end(struct str t, size_t i)
{
	size_t depth = 0;
	bool quoted = false;

	for (; i < t.n; i++) {
		char c = t.p[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			if (!quoted && !depth)
				return i + 1;
			continue;
		}
		if (c == '"')
			quoted = true;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth) {
			if (!--depth)
				return i + 1;
		} else if (!depth && (c == ',' || c == '}' || c == ']'))
			return i;
	}
	return t.n;
}

struct str json_member(struct str t, const char *key)
{
	size_t i = space(t, 0);

	if (i >= t.n || t.p[i] != '{')
		return (struct str){0};
	i = space(t, i + 1);
	while (i < t.n && t.p[i] == '"') {
		size_t end = value_end(t, i), from;
		struct str name = {.p = t.p + i + 1, .n = end > i + 2 ? end - i - 2 : 0};

		i = space(t, end);
		if (i >= t.n || t.p[i] != ':')
			break;
		from = space(t, i + 1);
		end = value_end(t, from);
		if (str_eqz(name, key))
			return (struct str){.p = t.p + from, .n = end - from};
		i = space(t, end);
		if (i >= t.n || t.p[i] != ',')
			break;
		i = space(t, i + 1);
	}
	return (struct str){0};
}

struct str json_plain_string(struct str v)
{
	v = str_trim(v);
	if (v.n < 2 || v.p[0] != '"' || v.p[v.n - 1] != '"' || memchr(v.p, '\\', v.n))
		return (struct str){0};
	return (struct str){.p = v.p + 1, .n = v.n - 2};
}
