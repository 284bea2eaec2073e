/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History on disk: what the nodes report goes into roll-ups, which a thread writes once a second and reads
 * when asked, so that the loop never waits for a disk. A disk that is full or broken is told, and memory goes
 * on. Called on the hub's loop.
 */
#ifndef WEFT_HUB_ROLLUP_H
#define WEFT_HUB_ROLLUP_H

#include "observe/report.h"
#include "serve/api.h"

struct rollups;
/* Keeps DIR/history/rollup.db within that many MiB; 0: keeps nothing, and the functions below do nothing.
 * 0 or -errno; a file that cannot be opened is told and tried again. */
int rollups_new(struct rollups **out, uv_loop_t *loop, struct store *s, const char *dir, unsigned mib);
/* Starts no more work; then the loop runs to its end, then: */
void rollups_stop(struct rollups *r);
void rollups_free(struct rollups **r);

/* A report of that node begins; then its records. */
void rollups_report(struct rollups *r, struct str node, const struct report *report);
void rollups_take(struct rollups *r, uint64_t number, const struct record *record);

/* {"filter":…,"since":s,"until":s,"step":s,"by":"from,to,port","limit":n} → {"rows":[…],"unknown":[…],…}.
 * who: NULL may see all; else see sight.h. NULL: refused, e says why. */
struct http_later *rollups_ask(struct rollups *r, struct str body, const struct who *who,
			       struct api_error *e);
/* Why nothing can be written, or NULL. */
const char *rollups_alarm(const struct rollups *r);

#endif
