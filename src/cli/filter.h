/* SPDX-License-Identifier: Apache-2.0 */
/* Counting a filter's matches in a capture file, here and in the kernel. For `weft filter`. */
#ifndef WEFT_CLI_FILTER_H
#define WEFT_CLI_FILTER_H

#include "filter/filter.h"

struct filter_count {
	uint64_t packets, matches; /* over the file as it is */
	uint64_t cut;		   /* captured in part */
	bool broken;		   /* the file ends within a packet, or is damaged: why, in `error` */
	char error[256];
	/* in the kernel */
	uint64_t judged, in_kernel, differ;
	uint64_t first;	   /* the first packet that differs, counted from 1 */
	uint64_t left_out; /* no Ethernet, or of no size that the kernel runs */
};

/* program: -1, or of filter_load(). 0; -EINVAL: the file cannot be read
 * (c->error); or what the kernel refused to run. */
int filter_count(struct filter_count *c, const struct filter *f, int program, const char *path);

#endif
