/* SPDX-License-Identifier: Apache-2.0 */
/* Dice: numbers that look random and follow from a seed alone, so that a run can be had again. */
#ifndef WEFT_TEST_PROVE_DICE_H
#define WEFT_TEST_PROVE_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

/* splitmix64; 0 … below-1. */
static inline uint32_t dice_throw(struct dice *d, uint32_t below)
{
	d->state += 0x9e3779b97f4a7c15ULL;
	uint64_t z = d->state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ (z >> 31)) >> 32) % below;
}

static inline bool dice_in(struct dice *d, uint32_t percent)
{
	return dice_throw(d, 100) < percent;
}

#define DICE_PICK(d, array) (array)[dice_throw((d), (uint32_t)(sizeof(array) / sizeof((array)[0])))]

#endif
