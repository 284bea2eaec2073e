/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving privileges up: the last steps of a child between fork and exec. What was given up does not come
 * back, also not by executing a set-uid program.
 */
#ifndef WEFT_AGENT_PRIVILEGE_H
#define WEFT_AGENT_PRIVILEGE_H

#include <stdint.h>

enum { NOBODY = 65534 };

/* Becomes nobody and keeps exactly the capabilities of the mask (bit = CAP_…), across exec too. 0 or -errno.
 */
int privilege_drop(uint64_t capabilities);

#endif
