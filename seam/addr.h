/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The address form of every kernel record: 16 bytes in network order, IPv4 v4-mapped (::ffff:a.b.c.d), so
 * that one key shape serves both families. Same bytes as struct addr of base/addr.h.
 */
#ifndef WEFT_SEAM_ADDR_H
#define WEFT_SEAM_ADDR_H

#ifdef __bpf__
#include "bpf/types.h"
#else
#include <linux/types.h>
#endif

#define WEFT_SEAM_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " changed its size")

struct addr16 {
	union {
		__u8 b[16];
		__u32 w[4];
	};
};
WEFT_SEAM_SIZE(struct addr16, 16);

#endif
