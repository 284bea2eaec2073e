/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group of an alert holds of its window: twelve slots, each with a sum, a largest value and, where it
 * is asked for, how many times of each length or a sketch of distinct values. The window is the slot that
 * runs and the eleven before it: never more than the window, at most a twelfth less. Pure; called by alert.c.
 */
#ifndef WEFT_OBSERVE_WINDOW_H
#define WEFT_OBSERVE_WINDOW_H

#include "observe/alert.h"

struct window_sample {
	uint64_t v, n; /* an amount, a time in ns, or the hash of a distinct value; records that it is of */
};

/* Of a group, with what window_open() takes. */
size_t window_bytes(const struct alert_terms *t);
int window_open(const struct alert_terms *t, struct alert_group *g); /* 0 or -ENOMEM */
/* Whether a time is still in the window. */
bool window_holds(uint64_t slot_ms, uint64_t now_ms, uint64_t at_ms);
/* slot: a time by the length of a slot; window_holds() it. */
void window_add(const struct alert_terms *t, struct alert_group *g, uint64_t slot,
		const struct window_sample *s);
/* The value now; *n: records in the window. */
uint64_t window_value(const struct alert_terms *t, const struct alert_group *g, uint64_t slot, uint64_t *n);

#endif
