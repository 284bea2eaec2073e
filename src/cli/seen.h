/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that the observers of all nodes of a running cluster have seen, each once. */
#ifndef WEFT_CLI_SEEN_H
#define WEFT_CLI_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/vec.h"

struct seen_row {
	struct addr from, to;
	uint8_t proto;
	uint16_t port;
	bool answered;
	uint32_t live;		    /* connections open now */
	uint64_t first_ms, last_ms; /* ago */
};
struct seen_all {
	VEC(struct seen_row) list; /* sorted; a flow that two nodes saw is one */
	uint64_t lost, since_ms;   /* since_ms: of the observer that began last */
	unsigned nodes;
};
/* 0, or -1 after telling what is wrong. */
int seen_collect(struct seen_all *out, const char *cluster);
void seen_fini(struct seen_all *s);

#endif
