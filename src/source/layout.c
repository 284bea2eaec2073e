/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See layout.h: feeds' events into nodes with byte spans. A collection of lines ends with the last byte that
 * one of its values has; what follows (comments, blank lines) belongs to nobody. Called by edit.c.
 */
#include "source/layout.h"

#include <errno.h>

#include "object/feed.h"

enum { DEPTH_MAX = 64 };

struct builder {
	struct arena *arena;
	struct str text; /* all of it */
	size_t base;	 /* of the slice that the feed reads */
	struct feed *feed;
};

size_t layout_line(struct str text, size_t at)
{
	while (at && text.p[at - 1] != '\n')
		at--;
	return at;
}

size_t layout_line_end(struct str text, size_t at)
{
	const char *nl = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
	size_t end = nl ? (size_t)(nl - text.p) : text.n;
	return nl && end > at && text.p[end - 1] == '\r' ? end - 1 : end;
}

static size_t mark_of(struct str text)
{
	return str_starts(text, STR("\xef\xbb\xbf")) ? 3 : 0;
}

size_t layout_offset(struct str text, uint32_t line, uint32_t col)
{
	size_t at = line <= 1 ? mark_of(text) : 0;
	for (; line > 1; line--) {
		const char *nl = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
		if (!nl)
			return text.n;
		at = (size_t)(nl - text.p) + 1;
	}
	at += col ? col - 1 : 0;
	return at < text.n ? at : text.n;
}

void layout_place(struct str text, size_t at, uint32_t *line, uint32_t *col)
{
	size_t start = layout_line(text, at);
	*line = 1;
	for (size_t i = 0; i < start; i++)
		*line += text.p[i] == '\n';
	if (!start && at >= mark_of(text))
		start = mark_of(text);
	*col = (uint32_t)(at - start + 1);
}

/* The blank lines after a block scalar are not its own. */
static size_t trim_block(struct str text, size_t start, size_t end)
{
	while (end > start && strchr(" \t\r\n", text.p[end - 1]))
		end--;
	return end;
}

static int build(struct builder *b, const struct feed_event *ev, unsigned depth, struct layout *up,
		 struct layout **out);

static void append(struct layout *to, struct layout *child)
{
	if (to->last)
		to->last->next = child;
	else
		to->first = child;
	to->last = child;
	to->n++;
}

static int children(struct builder *b, struct layout *node, unsigned depth)
{
	for (;;) {
		struct layout *key = NULL, *child = NULL;
		struct feed_event ev;
		int r = b->feed->next(b->feed, &ev);
		if (!r && ev.type == FEED_END) {
			if (node->flow)
				node->end = b->base + ev.end;
			return 0;
		}
		if (!r && node->type == LAYOUT_MAP) {
			r = build(b, &ev, depth + 1, node, &key);
			if (!r)
				r = b->feed->next(b->feed, &ev);
		}
		if (!r)
			r = ev.type == FEED_EOF || ev.type == FEED_END
				? -EINVAL
				: build(b, &ev, depth + 1, node, &child);
		if (r)
			return r;
		child->key = key;
		if (child->end > node->end)
			node->end = child->end;
		append(node, child);
	}
}

static int build(struct builder *b, const struct feed_event *ev, unsigned depth, struct layout *up,
		 struct layout **out)
{
	struct layout *node = arena_new(b->arena, struct layout);
	if (!node)
		return -ENOMEM;
	if (depth > DEPTH_MAX)
		return -EINVAL;
	*node = (struct layout){.start = b->base + ev->offset,
				.end = b->base + ev->end,
				.style = ev->style,
				.anchor = ev->anchor.n > 0 && ev->type != FEED_ALIAS,
				.tagged = ev->tagged,
				.flow = ev->flow,
				.up = up};
	*out = node;
	switch (ev->type) {
	case FEED_SCALAR:
		node->text = arena_str(b->arena, ev->text);
		if (node->style == '|' || node->style == '>')
			node->end = trim_block(b->text, node->start, node->end);
		return node->text.p ? 0 : -ENOMEM;
	case FEED_ALIAS:
		node->type = LAYOUT_ALIAS;
		return 0;
	case FEED_MAP:
	case FEED_SEQ:
		node->type = ev->type == FEED_MAP ? LAYOUT_MAP : LAYOUT_SEQ;
		node->end = node->start;
		return children(b, node, depth);
	default:
		return -EINVAL;
	}
}

struct layout *layout_get(const struct layout *map, const char *key, bool *merged)
{
	struct layout *found = NULL;
	for (struct layout *c = map->first; c; c = c->next) {
		if (!c->key || c->key->type != LAYOUT_SCALAR)
			continue;
		if (merged && str_eqz(c->key->text, "<<") && !c->key->style)
			*merged = true;
		if (!found && str_eqz(c->key->text, key))
			found = c;
	}
	return found;
}

static bool begins(const struct layout *map, size_t at)
{
	return map->type == LAYOUT_MAP && (map->first ? map->first->key->start : map->start) == at;
}

/* Of a document: itself, or an item of it. */
static struct layout *pick(struct layout *root, size_t at)
{
	if (begins(root, at))
		return root;
	struct layout *items = root->type == LAYOUT_MAP ? layout_get(root, "items", NULL) : NULL;
	for (struct layout *c = items && items->type == LAYOUT_SEQ ? items->first : NULL; c; c = c->next)
		if (begins(c, at))
			return c;
	return NULL;
}

static int look(struct builder *b, struct feed *feed, size_t at, struct layout_found *out)
{
	struct feed_event ev;
	b->feed = feed;
	int r = feed->next(feed, &ev);
	if (!r && ev.type == FEED_EOF)
		return -ENOENT;
	if (!r)
		r = build(b, &ev, 1, NULL, &out->root);
	if (!r)
		out->map = pick(out->root, at);
	return r ? r : out->map ? 0 : -ENOENT;
}

static int find_json(struct builder *b, size_t at, struct layout_found *out, struct remarks *rs)
{
	struct json_feed f;
	json_feed_init(&f, b->text, NULL, rs);
	out->from = 0;
	out->to = b->text.n;
	int r = look(b, &f.feed, at, out);
	json_feed_fini(&f);
	return r;
}

static int find_yaml(struct builder *b, size_t at, struct layout_found *out, struct remarks *rs)
{
	size_t bom = mark_of(b->text);
	struct yaml_slices s = {.rest = {.p = b->text.p + bom, .n = b->text.n - bom}, .line = 1};
	struct str slice;
	uint32_t line;
	while (yaml_slice_next(&s, &slice, &line)) {
		b->base = (size_t)(slice.p - b->text.p);
		if (at < b->base || at >= b->base + slice.n)
			continue;
		struct yaml_feed *f = NULL;
		int r = yaml_feed_new(&f, slice, line, NULL, rs);
		if (r)
			return r;
		out->from = b->base;
		out->to = b->base + slice.n;
		r = look(b, yaml_feed(f), at, out);
		yaml_feed_free(&f);
		return r;
	}
	return -ENOENT;
}

int layout_find(struct arena *a, struct str text, bool json, size_t at, struct layout_found *out)
{
	struct builder b = {.arena = a, .text = text};
	struct remarks rs = {0};
	int r = json ? find_json(&b, at, out, &rs) : find_yaml(&b, at, out, &rs);
	remarks_fini(&rs);
	return r;
}
