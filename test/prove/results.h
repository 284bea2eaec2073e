/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a run, for people: on the terminal, and as a section of bench/RESULTS.md. */
#ifndef WEFT_TEST_PROVE_RESULTS_H
#define WEFT_TEST_PROVE_RESULTS_H

#include "cover.h"

struct figures {
	uint64_t clusters, configs, packets, changes; /* changes: of rows */
	double seconds;
	uint64_t first_seed;
	unsigned jobs;
	bool kernel, agreed;
	struct cover cover;
};

void figures_print(struct buf *b, const struct figures *f);
/* Puts the section into the file, in place of the former one. 0 or -errno. */
int figures_write(const char *path, const struct figures *f);

#endif
