/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sight: a record as it came, beside what was known of its connection, for those who follow traffic as it
 * goes: alerts, the graph. Plain values, valid during the call.
 */
#ifndef WEFT_OBSERVE_SIGHT_H
#define WEFT_OBSERVE_SIGHT_H

#include "filter/record.h"

struct sight {
	const struct record *now;
	const struct record *before; /* the same connection as it was told last; NULL: it is new */
	bool older;	 /* it began before we heard of its node: what was counted then is not known */
	uint64_t age_ms; /* since its last packet */
	uint64_t now_ms;
};

#endif
