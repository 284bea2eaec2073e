/* SPDX-License-Identifier: Apache-2.0 */
/* Steps being made, the last first, so that each knows where it leads. Of steps.c and steps_any.c only. */
#ifndef WEFT_FILTER_MAKER_H
#define WEFT_FILTER_MAKER_H

#include "filter/cover.h"

struct maker {
	struct filter_step *steps; /* the last first */
	uint32_t n;		   /* more than FILTER_STEPS_MAX: they were not kept */
	bool plain;		   /* alternatives one after the other */
	bool no_memory;
};

enum { MAKER_FEW = 4 }; /* that are asked one by one */

/* The step at which n begins, which leads to yes or no. */
uint16_t make_node(struct maker *m, const struct node *n, uint16_t yes, uint16_t no);
/* Of an OR of many: only those that the packet's values leave are asked. */
uint16_t make_any(struct maker *m, const struct node *n, uint16_t yes, uint16_t no);

uint16_t make_bits(struct maker *m, enum filter_slot slot, uint64_t bits, uint16_t yes, uint16_t no);
/* from <= what the packet has of the dimension <= to. */
uint16_t make_between(struct maker *m, const struct dimension *d, struct number from, struct number to,
		      uint16_t yes, uint16_t no);
/* SLOT_COUNT: the kernel has it not. has: what a packet must have besides; 0: nothing. */
enum filter_slot make_slot(enum field_id f, enum side side, unsigned *has);

#endif
