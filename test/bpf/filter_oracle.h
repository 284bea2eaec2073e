/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap, apart: its struct bpf_insn is another one than the kernel's. */
#ifndef WEFT_TEST_BPF_FILTER_ORACLE_H
#define WEFT_TEST_BPF_FILTER_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "seam/filter.h"

/* What libpcap's interpreter says of a frame. */
bool oracle_classic(const struct filter_classic *c, uint32_t n, const uint8_t *p, uint32_t len);
/* Calls fn for each packet of each Ethernet capture in the folder. False: there is no such folder. */
bool oracle_captures(const char *folder,
		     void (*fn)(void *ctx, const char *file, const uint8_t *p, uint32_t caplen), void *ctx,
		     unsigned *files);

#endif
