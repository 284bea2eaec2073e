/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a link leaves to its card: segments that are still to be cut, checksums that are still to be summed.
 * By ethtool's names, in the caller's network namespace. Only apply/ calls it.
 */
#ifndef WEFT_APPLY_OFFLOAD_H
#define WEFT_APPLY_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum { OFFLOAD_BLOCKS = 4 };
struct offload {
	uint32_t off[OFFLOAD_BLOCKS]; /* what we switched off, by the kernel's numbers */
};

/* What a virtio header cannot say goes off, so that the kernel does it before the link: all but TCP's
 * segments and the plain checksum. 0 or -errno. */
int offload_virtio(const char *name);
/* Everything goes off: what leaves is as on the wire. *was gets what was on. 0 or -errno. */
int offload_finish(const char *name, struct offload *was);
/* Puts it back. 0 or -errno. */
int offload_restore(const char *name, const struct offload *was);

#endif
