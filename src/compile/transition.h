/* SPDX-License-Identifier: Apache-2.0 */
/* Making of steps, shared by transition.c and bridge.c. Private to compile/. */
#ifndef WEFT_COMPILE_TRANSITION_H
#define WEFT_COMPILE_TRANSITION_H

#include "compile/state.h"

/* Appends a change with copies of the bytes: 0 or -ENOMEM. v gives the origin. */
int step_add(struct plan_delta *d, struct plan_step *s, enum change_op op, const struct prow *r,
	     const struct rowval *v, const uint8_t *value);
void step_sort(struct plan_step *s);

#endif
