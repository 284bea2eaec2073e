/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement of a probe: results in, state out. Thresholds and consecutive counts only; no clock, no
 * socket. The numbers are those of the API with its defaults (delay 0, period 10, time-out 1, thresholds 1
 * and 3).
 */
#ifndef WEFT_OBSERVE_PROBE_H
#define WEFT_OBSERVE_PROBE_H

#include "object/object.h"

struct probe_rule {
	int64_t delay_s, period_s, timeout_s;
	int64_t successes, failures;
};
struct probe_rule probe_rule(const struct probe *p);

struct probe_state {
	bool good;   /* what holds */
	bool judged; /* a threshold was reached since the start */
	bool last;   /* the last result */
	int64_t run; /* equal results in a row */
};
/* A new instance: readiness begins bad, startup unknown (bad). */
void probe_reset(struct probe_state *s);
/* Takes a result; true when `good` changed. */
bool probe_result(struct probe_state *s, const struct probe_rule *r, bool success);

/* Port of a probe: a number, or the name of one of the container's ports. 0 when there is none. */
uint16_t probe_port(const struct container *c, const struct intstr *port);

#endif
