/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object (or one item of a list) as a tree of nodes, between feed and typed struct: needed since kind may
 * follow spec. Limits on depth, nodes and expanded aliases are kept here; aliases share nodes and are never
 * copied. Private to object/.
 */
#ifndef WEFT_OBJECT_TREE_H
#define WEFT_OBJECT_TREE_H

#include "base/arena.h"
#include "base/hash.h"
#include "object/decode.h"
#include "object/feed.h"

enum value_type { VALUE_SCALAR, VALUE_MAP, VALUE_SEQ };

struct value;
struct link {
	struct value *key; /* of a map */
	struct value *value;
	struct link *next;
};

struct value {
	enum value_type type;
	bool plain, flow;
	bool open; /* not complete: an alias to it would be a loop */
	uint32_t line, col, len;
	struct str text; /* SCALAR */
	struct link *first, *last;
	size_t count;	 /* links */
	size_t size;	 /* nodes below and with it, aliases expanded; saturates */
	unsigned height; /* levels below it */
};

struct tree {
	const struct decode_limits *limits;
	struct file *file; /* borrowed, may be NULL */
	struct remarks *rs;
	struct arena arena;
	struct hash anchors; /* name → node, of this document */
	size_t nodes;	     /* of the whole run */
	size_t aliases;	     /* nodes that aliases stood for, of the whole run */
};

/* The value that starts with `first`, read from f at that depth (1 is outermost). 0, or -EINVAL after a
 * remark: the document is lost. Wrong keys and duplicates are remarks only. */
int tree_value(struct tree *t, struct feed *f, const struct feed_event *first, unsigned depth,
	       struct value **out);
/* Reads the value of `key` and links both into map. */
int tree_pair(struct tree *t, struct feed *f, const struct feed_event *key, unsigned depth,
	      struct value *map);
int tree_map_new(struct tree *t, const struct feed_event *ev, struct value **out);
/* To be called when a map is complete: merges what << names and remarks on duplicate keys. */
int tree_map_close(struct tree *t, struct value *map);
/* Forgets all nodes of the document. */
void tree_clear(struct tree *t);
void tree_fini(struct tree *t);

struct value *value_get(const struct value *map, const char *key); /* NULL when missing */
struct pos value_pos(const struct tree *t, const struct value *n);
/* Appends the node as compact JSON, unquoted scalars resolved. */
void value_print_json(struct buf *b, const struct value *n);

#endif
