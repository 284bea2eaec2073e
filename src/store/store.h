/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store: the objects in force, typed, versioned, indexed; one writer, many readers on one thread (the
 * loop's). Each write gets the next version. The last changes are kept as history, so that a reader that lags
 * goes on from its version, or learns that it is too old (-ESTALE, HTTP 410).
 */
#ifndef WEFT_STORE_STORE_H
#define WEFT_STORE_STORE_H

#include "base/hash.h"
#include "base/vec.h"
#include "object/object.h"

enum event_type { EVENT_ADDED, EVENT_MODIFIED, EVENT_DELETED };
struct event {
	enum event_type type;
	uint64_t version;
	const struct object *object; /* for DELETED: the last state, with the version of the deletion */
	const struct object *old;    /* before the change; NULL for ADDED */
};

struct store;
int store_new(struct store **out, size_t history); /* events kept over all kinds; 0: 10,000 */
/* Bytes that the history may keep of objects which are no longer in force; 0: any. The last few events are
 * kept whatever their size. */
void store_limit_history(struct store *s, size_t bytes);
size_t store_history_bytes(const struct store *s);
void store_free(struct store **s);

uint64_t store_version(const struct store *s);
/* Continue numbering after a restart; only on an empty store or forward. */
void store_set_version(struct store *s, uint64_t v);
uint64_t store_oldest(const struct store *s); /* versions below this cannot be resumed from */

/* Borrowed, or NULL. ns is empty for cluster-scoped kinds. */
const struct object *store_get(const struct store *s, enum kind k, struct str ns, struct str name);
/* Inserts or replaces; takes over the (unpublished) object: sets version and meta.resource_version, publishes
 * it and calls subscribers. Returns the published object (borrowed) through *now (may be NULL). 0 or -ENOMEM.
 */
int store_put(struct store *s, struct object *o, const struct object **now);
/* 0 or -ENOENT. */
int store_delete(struct store *s, enum kind k, struct str ns, struct str name);

/* All objects of a kind sorted by namespace, then name; ns empty: all namespaces. References are borrowed and
 * hold until the next write; `out` is freed by vec_free. */
struct object_refs {
	VEC(const struct object *) list;
};
int store_list(const struct store *s, enum kind k, struct str ns, struct object_refs *out);
size_t store_count(const struct store *s, enum kind k);

/* Indexes: pods by node; objects by owner uid. */
int store_pods_of_node(const struct store *s, struct str node, struct object_refs *out);
int store_owned_by(const struct store *s, enum kind k, struct str uid, struct object_refs *out);

/* Called synchronously after each write, in subscription order. A callback may not write; it notes and wakes.
 */
typedef void store_watcher(void *ctx, const struct event *e);
struct subscription;
int store_subscribe(struct store *s, store_watcher *fn, void *ctx, struct subscription **out);
void store_unsubscribe(struct subscription **sub);

/* Events with version > since, oldest first, for kinds in the bit mask; stops when fn returns non-zero
 * (returned). -ESTALE when `since` is older than the history. */
int store_replay(const struct store *s, uint64_t since, uint64_t kinds,
		 int (*fn)(void *ctx, const struct event *e), void *ctx);

#endif
