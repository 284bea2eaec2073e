/* SPDX-License-Identifier: Apache-2.0 */
/* Printing a Secret's members without their values. Never lets a value through when the JSON is not
 * understood. */
#include "object/redact.h"

#include "object/feed.h"

struct walk {
	struct json_feed feed;
	struct buf *b;
};

/* Reads one whole value; returns the offset after it, or 0 when the text is broken. */
static size_t skip_value(struct walk *w, struct feed_event *first)
{
	unsigned depth = 0;
	struct feed_event ev;
	do {
		if (w->feed.feed.next(&w->feed.feed, &ev) || ev.type == FEED_EOF)
			return 0;
		if (first && !depth)
			*first = ev;
		first = NULL;
		if (ev.type == FEED_MAP || ev.type == FEED_SEQ)
			depth++;
		else if (ev.type == FEED_END)
			depth--;
	} while (depth);
	return w->feed.at;
}

/* The map that comes next, with each value hidden. */
static bool hide_map(struct walk *w)
{
	struct feed_event ev;
	if (w->feed.feed.next(&w->feed.feed, &ev))
		return false;
	if (ev.type != FEED_MAP) {
		buf_addz(w->b, "null");
		return ev.type == FEED_SCALAR;
	}
	buf_addc(w->b, '{');
	for (bool some = false;; some = true) {
		if (w->feed.feed.next(&w->feed.feed, &ev))
			return false;
		if (ev.type == FEED_END)
			break;
		if (some)
			buf_addc(w->b, ',');
		buf_json(w->b, ev.text);
		buf_addz(w->b, ":\"<redacted>\"");
		if (!skip_value(w, NULL))
			return false;
	}
	buf_addc(w->b, '}');
	return true;
}

static bool hide(struct walk *w, struct str opaque)
{
	struct feed_event ev;
	if (w->feed.feed.next(&w->feed.feed, &ev) || ev.type != FEED_MAP)
		return false;
	for (bool some = false;; some = true) {
		if (w->feed.feed.next(&w->feed.feed, &ev))
			return false;
		if (ev.type == FEED_END)
			return true;
		if (some)
			buf_addc(w->b, ',');
		buf_json(w->b, ev.text);
		buf_addc(w->b, ':');
		bool plain = str_eqz(ev.text, "type") || str_eqz(ev.text, "immutable");
		if (!plain) {
			if (!hide_map(w))
				return false;
			continue;
		}
		struct feed_event first;
		size_t end = skip_value(w, &first);
		if (!end)
			return false;
		buf_add(w->b, opaque.p + first.offset, end - first.offset);
	}
}

void redact_secret(struct buf *b, struct str opaque)
{
	size_t from = b->n;
	struct walk w = {.b = b};
	json_feed_init(&w.feed, opaque, NULL, NULL);
	if (!hide(&w, opaque) && b->p) {
		b->n = from;
		b->p[from] = '\0';
		buf_addz(b, "\"data\":{}");
	}
	json_feed_fini(&w.feed);
}
