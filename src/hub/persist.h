/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's database: one row an object, in the JSON that the API shows, and a few facts. A commit that
 * returned 0 survives a kill; one that failed (a full disk) changed nothing.
 */
#ifndef WEFT_HUB_PERSIST_H
#define WEFT_HUB_PERSIST_H

#include "object/object.h"

struct persist;
/* Opens or makes it. 0 or -errno; a file that is no database of ours is -EINVAL. */
int persist_open(struct persist **out, const char *path);
void persist_close(struct persist **p);

/* A transaction; without one, each write is its own. */
int persist_begin(struct persist *p);
int persist_commit(struct persist *p);
void persist_rollback(struct persist *p);

/* Secrets are passed over: they are never on disk. */
int persist_put(struct persist *p, const struct object *o, uint64_t version);
int persist_delete(struct persist *p, enum kind k, struct str ns, struct str name);
int persist_set(struct persist *p, const char *fact, uint64_t value);
/* 0 when it is not there. */
uint64_t persist_get(struct persist *p, const char *fact);

/* Each object in order of version; fn takes the reference over. Rows that no longer decode are told in rs. */
int persist_load(struct persist *p, int (*fn)(void *ctx, struct object *o, uint64_t version), void *ctx,
		 struct remarks *rs);
/* For further tables in the same file: a statement, and one run of it (0 or -errno; what it was bound to is
 * forgotten). */
struct sqlite3_stmt;
int persist_run(struct persist *p, const char *sql);
int persist_prepare(struct persist *p, const char *sql, struct sqlite3_stmt **out);
int persist_step(struct sqlite3_stmt *s);
/* From here on a commit is on the disk before it returns, even if the power goes; or it is again as before.
 * Not inside a transaction. */
void persist_durable(struct persist *p, bool on);
/* What the database said last. */
const char *persist_error(const struct persist *p);

#endif
