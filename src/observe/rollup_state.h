/* SPDX-License-Identifier: Apache-2.0 */
/* What roll-ups hold. Private to rollup.c, rollup_key.c and rollup_batch.c. */
#ifndef WEFT_OBSERVE_ROLLUP_STATE_H
#define WEFT_OBSERVE_ROLLUP_STATE_H

#include "base/hash.h"
#include "observe/rollup.h"

#define NS 1000000000ll
enum { KEYS_MAX = 32768 }; /* before any is forgotten */

struct rollup_known { /* a connection that is followed */
	struct rollup_open o;
	size_t dirty; /* index in the list of those, + 1 */
	bool saved;
};

struct rollup {
	struct rollup_limits limits;
	struct hash keys;    /* packed key → struct rollup_key */
	struct hash by_cell; /* → index in cells, + 1 */
	VEC(struct rollup_cell) cells;
	struct hash open; /* (id, node) → struct rollup_known */
	VEC(struct rollup_known *) dirty;
	VEC(struct rollup_open) over; /* ended, and in the file */
	VEC(struct rollup_node *) nodes;
	uint32_t fresh;
	size_t keys_max;
	int64_t network_hour; /* in which so many keys with outside networks were new */
	uint32_t networks;
	uint64_t begins; /* mono; 0: the file is older than all */
	struct rollup_counts n;
};

struct cell_key { /* of by_cell */
	int64_t t;
	const struct rollup_key *key;
	uint64_t level;
};

static inline struct str cell_str(const struct cell_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

/* (id, node) as a key; the node's name is hashed into it. */
struct rollup_open_key {
	uint64_t id, node;
};

static inline struct rollup_open_key rollup_open_key(uint64_t id, struct str node)
{
	return (struct rollup_open_key){id, hash_bytes(node.p, node.n, 0)};
}

static inline struct str rollup_open_str(const struct rollup_open_key *k)
{
	return (struct str){(const char *)k, sizeof(*k)};
}

/* rollup_key.c: a record's key, counted. NULL: out of memory. */
struct rollup_key *rollup_key_of(struct rollup *r, const struct rollup_node *node, const struct record *rec);
/* NULL is nobody's. */
void rollup_key_unref(struct rollup *r, struct rollup_key *k);

/* rollup.c: adds v to the bucket of the level that begins at second t; the bucket counts its key. 0 or
 * -ENOMEM. */
int rollup_add_at(struct rollup *r, int64_t t, enum rollup_level level, struct rollup_key *key,
		  const uint64_t v[ROLLUP_SUM_COUNT]);
/* The connection is to be written. */
void rollup_mark(struct rollup *r, struct rollup_known *k);
/* What is known of a node, made if it is new. NULL: out of memory. */
struct rollup_node *rollup_node_get(struct rollup *r, struct str name);

#endif
