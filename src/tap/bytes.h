/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How taps lie in memory on their way: a head, then judges, places and outlets, in the machine's own byte
 * order (both ends are of one build). Private to tap/.
 */
#ifndef WEFT_TAP_BYTES_H
#define WEFT_TAP_BYTES_H

#include "tap/tap.h"

#define TAPS_MAGIC 0x57540002u

struct taps_head {
	uint32_t magic, epoch, judges, places, outlets;
};

/* A judge is the number of its forms, then each: form_head and its steps or instructions. */
enum form_kind { FORM_STEPS = 1, FORM_CLASSIC };
struct form_head {
	uint32_t kind, n;
};

struct place_head { /* then `directs` times struct tap_direct */
	uint32_t where, ifindex;
	char name[TAP_NAME];
	uint32_t judge, point, own;
	uint32_t take[TAP_TAKES];
	uint32_t directs, feed;
};

struct outlet_bytes {
	uint32_t number, way, ifindex, finish, answers;
	char name[TAP_NAME];
	uint32_t edits;
	struct edit_value edit;
};

#endif
