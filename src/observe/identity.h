/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities: who has which address, and who had it when. Whoever knows the objects tells each change with
 * its time; whoever has a flow asks with the flow's time, so that an address that another pod took over is
 * never shown under the wrong name (BR15). Equal identities are one, counted. Used by one thread.
 */
#ifndef WEFT_OBSERVE_IDENTITY_H
#define WEFT_OBSERVE_IDENTITY_H

#include "filter/record.h"

struct identities;
int identities_new(struct identities **out); /* 0 or -ENOMEM */
/* Identities still held by others must be let go before. */
void identities_free(struct identities **ids);

/* A counted reference to the identity that says the same as `like` (its refs are not looked at); copies.
 * NULL: out of memory. */
const struct identity *identity_get(struct identities *ids, const struct identity *like);
const struct identity *identity_ref(const struct identity *who);
void identity_unref(struct identities *ids, const struct identity **who);

/* From `at` (ns since 1970) on the address is of `who` (borrowed), or of nobody (NULL). Times of one address
 * only grow; an earlier one counts as the last one's. 0 or -ENOMEM. */
int identities_set(struct identities *ids, const struct addr *a, const struct identity *who, int64_t at);
/* Who had it then; NULL: nobody that is remembered. Borrowed until the next call that changes something. */
const struct identity *identities_at(const struct identities *ids, const struct addr *a, int64_t at);
/* Forgets what ended before that time. */
void identities_forget(struct identities *ids, int64_t before);

struct identities_size {
	size_t identities, addresses, spans, bytes;
};
struct identities_size identities_size(const struct identities *ids);

#endif
