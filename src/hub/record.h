/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record: while somebody writes, what becomes of objects and files, so that it can be kept as a step of the
 * history or taken back. One write at a time is open, all on the hub's loop; what the controllers make of it
 * later is nobody's write.
 */
#ifndef WEFT_HUB_RECORD_H
#define WEFT_HUB_RECORD_H

#include "hub/steplog.h"
#include "source/dir.h"
#include "store/store.h"

enum {
	RECORD_WAITING_MAX = 1000
}; /* steps that the disk does not take; over it the oldest is lost, counted */

struct audit;
struct recorder;
/* a: where each step that is kept is told of. */
int recorder_new(struct recorder **out, struct store *s, struct steplog *l, struct audit *a);
void recorder_free(struct recorder **r);

/* A write begins; one inside another is part of it. */
void record_begin(struct recorder *r, enum step_origin origin, struct str user, struct str name,
		  struct str reason);
/* Secrets that come are not new: no disk kept them. */
void record_recalls(struct recorder *r);
/* Files that were read again in it. */
void record_files(struct recorder *r, const struct source_changes *c);
/* What the write made of objects is a step now, which waits for record_flush(); borrowed until then. NULL: it
 * changed nothing that users say of objects. The write goes on; it can still be taken back. */
struct step *record_step(struct recorder *r);
/* Puts every object back as it was when the write began. 0 or -errno. */
int record_revert(struct recorder *r);
void record_close(struct recorder *r);
/* record_step(), unless it is part of another write, and record_close(). */
void record_end(struct recorder *r);

/* Steps that wait are kept, in the transaction that is open. When it was committed: record_flushed(). */
bool record_waits(const struct recorder *r);
int record_flush(struct recorder *r);
void record_flushed(struct recorder *r);
/* The step that record_step() gave last is not kept. */
void record_forget(struct recorder *r);

/* Kinds that no history is kept of: what is looked at, and what is only being thought about. */
bool record_passes_over(enum kind k);

#endif
