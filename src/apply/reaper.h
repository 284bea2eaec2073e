/* SPDX-License-Identifier: Apache-2.0 */
/* Ends sockets whose backend is gone. Only apply/ calls it. */
#ifndef WEFT_APPLY_REAPER_H
#define WEFT_APPLY_REAPER_H

#include "apply/map.h"

struct reaper;

/* Its thread begins with the first kick. 0 or -errno. */
int reaper_new(struct reaper **out, const struct kernel *k);
void reaper_free(struct reaper **r);
/* Takes over a sock_diag socket of the namespace with that cookie (0: the node's own). 0 or -errno. */
int reaper_watch(struct reaper *r, uint64_t cookie, int diag);
void reaper_forget(struct reaper *r, uint64_t cookie);
/* A run of changes of equal type, table and op was applied; what concerns no socket is passed over. */
void reaper_note(struct reaper *r, const struct change *c, size_t n);
/* The transaction is in force: looks for the sockets of what was noted. */
void reaper_kick(struct reaper *r);

#endif
