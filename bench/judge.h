/* SPDX-License-Identifier: Apache-2.0 */
/* Of bench-judge: what stands in a file of its own, since libpcap's and the kernel's headers do not mix. */
#ifndef WEFT_BENCH_JUDGE_H
#define WEFT_BENCH_JUDGE_H

#include "broker/broker.h"

/* Nanoseconds a packet (of ten in the pool, each as often) of the program of a place to which all maps lead.
 * Negative: it could not be made or run; told on stderr. */
double judge_in_kernel(const struct broker *b, const uint8_t *pool, uint32_t size, uint32_t packets);

#endif
