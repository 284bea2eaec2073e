/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter on the packets of a packet socket, in a network namespace of its own: frames whose data lies in
 * pages, with tags that the stack takes off. Two sockets hear the same link, one of them through the filter.
 */
#ifndef WEFT_TEST_BPF_FILTER_PAGED_H
#define WEFT_TEST_BPF_FILTER_PAGED_H

#include <stdbool.h>
#include <stdint.h>

/* Sends `frames` frames; holds what the filtered socket heard against fn. 0; 1: they differ (told); -EPERM:
 * not allowed here; -errno. The sums grow. */
int paged_run(int program, unsigned frames,
	      uint32_t (*fn)(void *ctx, const uint8_t *p, uint32_t n, bool tagged, uint16_t tci,
			     uint16_t tpid),
	      void *ctx, unsigned long *judged, unsigned long *matched, unsigned long *tags);

#endif
