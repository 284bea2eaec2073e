/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting the bytes of API answers into objects as they arrive, so that a list is never held whole: the items
 * of a List, the lines of a watch. Only finds where values begin and end; decoding is object/'s. Trusts
 * nothing, is fuzzed.
 */
#ifndef WEFT_AGENT_STREAM_H
#define WEFT_AGENT_STREAM_H

#include "base/str.h"

enum { STREAM_OBJECT_MAX = 8 << 20, STREAM_DEPTH_MAX = 63 };

/* A List: `item` is called with each element of the member "items"; what surrounds them collects in `head`.
 */
struct list_stream {
	int (*item)(void *ctx, struct str json); /* non-zero stops with that value */
	void *ctx;
	struct buf head; /* the List without its items, valid JSON at the end */
	struct buf one;	 /* the item being collected, or the last key */
	unsigned depth;
	uint64_t braces; /* by depth: 1 where a brace is open, 0 for a bracket */
	bool in_string, escaped, items_key, in_items, in_item, key_done;
};
void list_stream_init(struct list_stream *s, int (*item)(void *ctx, struct str json), void *ctx);
/* 0, what `item` returned, or -EPROTO (too deep, too long, brackets that do not match). */
int list_stream_feed(struct list_stream *s, const char *p, size_t n);
void list_stream_fini(struct list_stream *s);

/* The value of a member of a JSON object's first level, as bytes ({NULL, 0} when missing). No copy, no
 * unescaping. */
struct str json_member(struct str object, const char *key);
/* The text inside the quotes of a JSON string without escapes; {NULL, 0} else. */
struct str json_plain_string(struct str value);

#endif
