/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may know of records and sums of traffic (BR86): those with an end in a namespace that he may
 * view; of the other end its address, and that it is hidden. Filters are asked about what is left, so that no
 * question finds out a name. Pure; may be called on any thread while the rights are held.
 */
#ifndef WEFT_HUB_SIGHT_H
#define WEFT_HUB_SIGHT_H

#include "observe/rollup.h"
#include "serve/access.h"

/* Takes away what he may not see; false: all of it. who: a struct who. Their form is that of
 * history_query.view and rollup_ask.view. */
bool sight_record(const void *who, struct record *r);
bool sight_key(const void *who, struct rollup_key *k);

#endif
