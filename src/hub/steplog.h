/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step log: the history of changes in hub.db. Rows are added and never changed; over its bounds the oldest
 * steps make room, and are counted. Beside it the journal of a step that is being written into files, which
 * is what a killed hub finds at its next start. Every call works in the transaction that is open.
 */
#ifndef WEFT_HUB_STEPLOG_H
#define WEFT_HUB_STEPLOG_H

#include "hub/persist.h"
#include "hub/step.h"

enum { STEPLOG_STEPS_MAX = 10000, STEPLOG_BYTES_MAX = 32 << 20 };

struct steplog;
/* Makes the tables. To be called before privileges go. 0 or -errno. */
int steplog_open(struct steplog **out, struct persist *p);
void steplog_close(struct steplog **l);

/* The number of the next step; taken with the call. */
uint64_t steplog_next(struct steplog *l);
/* Keeps a step, and lets the oldest go where it needs their room. */
int steplog_add(struct steplog *l, const struct step *s);

/* A step with all it has, or -ENOENT. */
int steplog_get(struct steplog *l, uint64_t id, struct step **out);
/* The newest steps below `before` (0: all), at most `limit`, the newest first; without contents. fn takes the
 * step over. */
int steplog_list(struct steplog *l, uint64_t before, size_t limit, int (*fn)(void *ctx, struct step *s),
		 void *ctx);
/* The step that undoes it and is not undone itself; 0: none. */
uint64_t steplog_undone(struct steplog *l, uint64_t id);

/* Who changed that object last, if it was after version `version`: the step and who made it (*user is owned).
 * 0, -ENOENT: nobody did; -ESTALE: not known, it is too long ago. */
struct steplog_last {
	uint64_t id;
	int64_t at;
	enum step_origin origin;
	char *user;
};
int steplog_last(struct steplog *l, enum kind k, struct str ns, struct str name, uint64_t version,
		 struct steplog_last *out);
/* The same for steps after a step. */
int steplog_later(struct steplog *l, enum kind k, struct str ns, struct str name, uint64_t step,
		  struct steplog_last *out);

struct steplog_sizes {
	uint64_t steps, bytes, dropped; /* dropped: since the log began */
	uint64_t lost;			/* steps that never found room, as the disk was full */
};
struct steplog_sizes steplog_sizes(struct steplog *l);
/* A step that cannot be kept at all. */
void steplog_lose(struct steplog *l);

/* The journal: the files of a step before the first is written. A diff leads back. */
int steplog_journal(struct steplog *l, const struct step *s);
/* Each of its files; fn borrows. */
int steplog_journal_each(struct steplog *l, int (*fn)(void *ctx, const struct step_file *f), void *ctx);
int steplog_journal_clear(struct steplog *l);

#endif
