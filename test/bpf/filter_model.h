/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second reading of the native filter language, to hold the first and the kernel against: random filters as
 * trees of their own, judged by headers that are looked up anew, straight from doc/filters.md and the RFCs.
 * Shares no code with src/filter. And the frames to judge.
 */
#ifndef WEFT_TEST_BPF_FILTER_MODEL_H
#define WEFT_TEST_BPF_FILTER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam/filter.h"

struct model_frame {
	uint8_t bytes[2048];
	unsigned n;
	bool tagged; /* a tag beside the bytes */
	uint16_t tci, tpid;
};

uint32_t model_random(uint64_t *seed); /* a good enough generator: splitmix64 */
/* A frame that filters of model_tree() are likely to hit: tags, options, fragments, extension headers; cut or
 * broken now and then. At least 14 bytes. */
void model_frame(uint64_t *seed, struct model_frame *f);

struct model_tree; /* a filter */
/* Writes its text in native syntax. */
struct model_tree *model_tree(uint64_t *seed, char *text, size_t size);
void model_free(struct model_tree *t);
bool model_judge(const struct model_tree *t, const struct model_frame *f);

enum { MODEL_CLASSIC_MAX = 24 };
/* A random program of classic BPF that passes the applier's checks: its instructions, at most
 * MODEL_CLASSIC_MAX. */
uint32_t model_classic(uint64_t *seed, struct filter_classic *c);

#endif
