/* SPDX-License-Identifier: Apache-2.0 */
/* How steps and plans are told: JSON for clients, YAML for the export. Private to the program. */
#ifndef WEFT_HUB_STEPANSWER_H
#define WEFT_HUB_STEPANSWER_H

#include "hub/steplog.h"
#include "hub/stepplan.h"

/* What was made, or would be: id (0: null), files, objects, remarks. context: lines around what changes. */
enum { DIFF_CONTEXT = 3 };
void answer_made(struct buf *b, const struct step_plan *p, uint64_t id, unsigned context);
/* Why nothing was: conflicts and remarks, in a Status. */
void answer_refused(struct buf *b, const struct step_plan *p);
/* One step; undone: by which one, 0: none. whole: with contents. */
void answer_step(struct buf *b, const struct step *st, uint64_t undone, bool whole);
/* Behind the last step of a list. */
void answer_list_end(struct buf *b, struct steplog_sizes sizes, bool writable);
/* The object as a document, unless it is nobody's: derived, the cluster's own, or secret. 0 or -ENOMEM. */
int answer_export(struct buf *b, const struct object *o);

#endif
