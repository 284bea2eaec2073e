/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions being made: see filter_code.h. */
#include "apply/filter_code.h"

#include <errno.h>

enum { NOWHERE = UINT32_MAX, INSNS_MAX = 500000 };

void emit(struct emitter *e, uint8_t code, uint8_t dst, uint8_t src, short off, int32_t imm)
{
	struct bpf_insn i = {
	    .code = code, .dst_reg = dst & 15u, .src_reg = src & 15u, .off = off, .imm = imm};

	if (e->error)
		return;
	if (e->code->insns.len >= INSNS_MAX)
		e->error = -E2BIG;
	else
		e->error = vec_push(&e->code->insns, i);
}

void emit_jump(struct emitter *e, uint8_t code, uint8_t dst, uint8_t src, int32_t imm, uint32_t to)
{
	if (!e->error)
		e->error = vec_push(&e->jumps, (struct jump){(uint32_t)e->code->insns.len, to});
	emit(e, code, dst, src, 0, imm);
}

void emit_number(struct emitter *e, uint8_t dst, uint64_t n)
{
	if (n <= INT32_MAX) {
		emit(e, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)n);
		return;
	}
	emit(e, BPF_LD | BPF_IMM | BPF_DW, dst, 0, 0, (int32_t)(uint32_t)n);
	emit(e, 0, 0, 0, 0, (int32_t)(uint32_t)(n >> 32));
}

uint32_t emit_place(struct emitter *e)
{
	if (!e->error)
		e->error = vec_push(&e->places, NOWHERE);
	return e->error ? 0 : (uint32_t)e->places.len - 1;
}

void emit_here(struct emitter *e, uint32_t place)
{
	if (!e->error)
		e->places.items[place] = (uint32_t)e->code->insns.len;
}

/* Whether anything leads to the filter's yes: the verifier takes no instruction that nothing leads to. */
static bool can_match(const struct emitter *e)
{
	size_t n = e->code->insns.len;

	for (size_t i = 0; i < e->jumps.len; i++)
		if (e->jumps.items[i].to == PLACE_YES)
			return true;
	return n && e->code->insns.items[n - 1].code != (BPF_JMP | BPF_JA);
}

void emit_end(struct emitter *e, unsigned filter)
{
	uint32_t yes = (uint32_t)e->code->insns.len, no;

	if (can_match(e)) {
		emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(matched), 0);
		emit(e, BPF_ALU | BPF_OR | BPF_K, BPF_REG_1, 0, 0, (int32_t)(1u << filter));
		emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_1, FRAME(matched), 0);
	}
	no = (uint32_t)e->code->insns.len;
	for (size_t i = 0; !e->error && i < e->jumps.len; i++) {
		const struct jump *j = &e->jumps.items[i];
		uint32_t to = j->to == PLACE_YES      ? yes
			      : j->to == PLACE_NO     ? no
			      : j->to < e->places.len ? e->places.items[j->to]
						      : NOWHERE;

		if (to == NOWHERE || to <= j->at)
			e->error = -EINVAL;
		else if (to - j->at - 1 > INT16_MAX)
			e->error = -E2BIG;
		else
			e->code->insns.items[j->at].off = (short)(to - j->at - 1);
	}
	e->jumps.len = e->places.len = 0;
}
