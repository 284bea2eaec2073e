/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reasons of drops by number and name: Weft's own of tables/drops.def, and those that a running kernel gives,
 * "kernel:NAME". Kernels number theirs differently, so within a process each name gets a number when it is
 * first met, and what leaves a process is the name. Names are kept for good, a bounded number of them.
 */
#ifndef WEFT_FILTER_REASON_H
#define WEFT_FILTER_REASON_H

#include "base/str.h"

enum {
	REASON_KERNEL = 1023, /* one of the kernel's that is not told apart; above it those that are */
	REASON_KERNEL_MAX = 512,
	REASON_NAME_MAX = 48 /* of a kernel's */
};

/* The number of the kernel's reason of that name, or REASON_KERNEL: no name, or no room. `asked`: by somebody
 * who may ask for anything; half of the room is kept from those. */
uint16_t reason_of_kernel(struct str name, bool asked);
/* "policy-ingress", "kernel:SOCKET_RCVBUFF", "kernel", or NULL: there is none. */
const char *reason_name(uint16_t reason);
/* The kernel's own name of it, or empty. */
struct str reason_kernel_name(uint16_t reason);

#endif
