/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions being made: appended, with jumps to places that come later, which are filled in at the end. Of
 * the translation of filters only. Registers: r6 the packet, r7 X, r8 the frame (seam/filter.h), r9 A.
 */
#ifndef WEFT_APPLY_FILTER_CODE_H
#define WEFT_APPLY_FILTER_CODE_H

#include <linux/bpf.h>
#include <stddef.h>

#include "apply/filter.h"

#define FRAME(member) ((short)offsetof(struct filter_frame, member))

/* Places by number: those of the filter at hand are 0…n-1 (its steps, its instructions). */
enum { PLACE_YES = 1 << 20, PLACE_NO };

struct jump {
	uint32_t at, to; /* instruction, place */
};

struct emitter {
	struct filter_code *code;
	VEC(struct jump) jumps;
	VEC(uint32_t) places; /* where each of the filter's begins */
	bool xdp;	      /* r6 is a frame of XDP */
	int head;	      /* enum of filter.c */

	int error; /* -ENOMEM, -E2BIG; the first */
};

void emit(struct emitter *e, uint8_t code, uint8_t dst, uint8_t src, short off, int32_t imm);
/* With the jump's target. */
void emit_jump(struct emitter *e, uint8_t code, uint8_t dst, uint8_t src, int32_t imm, uint32_t to);
void emit_number(struct emitter *e, uint8_t dst, uint64_t n);
/* A place within what is being emitted: its number, to be set down once. */
uint32_t emit_place(struct emitter *e);
void emit_here(struct emitter *e, uint32_t place);
/* Fills in the filter's jumps: yes notes the match; no leads behind it. */
void emit_end(struct emitter *e, unsigned filter);

/* 0 or -EINVAL (why). */
int steps_check(const struct filter_step *s, uint32_t n, struct buf *why);
void steps_emit(struct emitter *e, const struct filter_step *s, uint32_t n);
int classic_check(const struct filter_classic *c, uint32_t n, struct buf *why);
void classic_begin(struct emitter *e); /* once a program */
void classic_emit(struct emitter *e, const struct filter_classic *c, uint32_t n);

#endif
