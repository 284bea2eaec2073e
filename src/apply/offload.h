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
	uint32_t bits[OFFLOAD_BLOCKS]; /* features, by the kernel's numbers */
	uint32_t blocks;	       /* of them that this kernel has */
};

/* What a virtio header cannot say goes off, so that the kernel does it before the link: all but TCP's
 * segments and the plain checksum. 0 or -errno. */
int offload_virtio(const char *name);
/* What is on of all that must be off so that packets leave as on the wire. 0 or -errno. */
int offload_unfinished(const char *name, struct offload *out);
/* What is on that hands VLAN tags over beside the bytes (`in`), and that together with what is unfinished
 * (`out`, of who sends to it). 0 or -errno. */
int offload_tags(const char *name, struct offload *in);
int offload_beside(const char *name, struct offload *out);
/* Switches that off, or on again. 0 or -errno. */
int offload_set(const char *name, const struct offload *which, bool on);

#endif
