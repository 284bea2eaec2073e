/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF, checked and translated: see filter.h. It means what libpcap's interpreter says of the frame as
 * it was on the wire: a read beyond the end rejects, a division by zero rejects, a shift by 32 and more gives
 * 0. Linux's own additions (SKF_AD_…) are no part of it. A VLAN tag that stands beside the bytes is read
 * where it was: what lies behind it by 4 less, what touches it from a copy of the first bytes.
 */
#include <errno.h>
#include <linux/filter.h>

#include "apply/filter_code.h"
#include "base/own.h"

enum { TAG_AT = 12, TAG_END = 16, READ_MAX = 0x7fff0000, HEAD_BYTES = 4 };
enum { A = BPF_REG_9, X = BPF_REG_7 };

static const char *extension(uint32_t k)
{
	static const struct {
		uint32_t off;
		const char *name;
	} names[] = {{SKF_AD_PROTOCOL, "SKF_AD_PROTOCOL"},
		     {SKF_AD_PKTTYPE, "SKF_AD_PKTTYPE"},
		     {SKF_AD_IFINDEX, "SKF_AD_IFINDEX"},
		     {SKF_AD_NLATTR, "SKF_AD_NLATTR"},
		     {SKF_AD_NLATTR_NEST, "SKF_AD_NLATTR_NEST"},
		     {SKF_AD_MARK, "SKF_AD_MARK"},
		     {SKF_AD_QUEUE, "SKF_AD_QUEUE"},
		     {SKF_AD_HATYPE, "SKF_AD_HATYPE"},
		     {SKF_AD_RXHASH, "SKF_AD_RXHASH"},
		     {SKF_AD_CPU, "SKF_AD_CPU"},
		     {SKF_AD_ALU_XOR_X, "SKF_AD_ALU_XOR_X"},
		     {SKF_AD_VLAN_TAG, "SKF_AD_VLAN_TAG"},
		     {SKF_AD_VLAN_TAG_PRESENT, "SKF_AD_VLAN_TAG_PRESENT"},
		     {SKF_AD_PAY_OFFSET, "SKF_AD_PAY_OFFSET"},
		     {SKF_AD_RANDOM, "SKF_AD_RANDOM"},
		     {SKF_AD_VLAN_TPID, "SKF_AD_VLAN_TPID"}};

	if (k >= (uint32_t)SKF_AD_OFF)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (k - (uint32_t)SKF_AD_OFF == names[i].off)
				return names[i].name;
	return k >= (uint32_t)SKF_AD_OFF    ? "SKF_AD_OFF"
	       : k >= (uint32_t)SKF_NET_OFF ? "SKF_NET_OFF"
	       : k >= (uint32_t)SKF_LL_OFF  ? "SKF_LL_OFF"
					    : NULL;
}

/* --- checking -------------------------------------------------------------------------------------- */

static bool jumps_within(const struct filter_classic *i, uint32_t at, uint32_t n)
{
	if (BPF_OP(i->code) == BPF_JA)
		return i->k < n - at - 1;
	return at + 1 + i->jt < n && at + 1 + i->jf < n;
}

static bool known(uint16_t code)
{
	switch (code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_ALU | BPF_NEG:
		return true;
	}
	if (code & ~0xffu)
		return false;
	if (BPF_CLASS(code) == BPF_JMP)
		return code == (BPF_JMP | BPF_JA) || (BPF_OP(code) >= BPF_JEQ && BPF_OP(code) <= BPF_JSET);
	return BPF_CLASS(code) == BPF_ALU && BPF_OP(code) <= BPF_XOR && BPF_OP(code) != BPF_NEG;
}

static const char *wrong(const struct filter_classic *i, uint32_t at, uint32_t n)
{
	if (!known(i->code))
		return "there is no such instruction";
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		if (BPF_MODE(i->code) == BPF_ABS && i->k > READ_MAX)
			return extension(i->k) ? "is not offered here"
					       : "it reads beyond the end of every packet";
		return BPF_MODE(i->code) == BPF_MEM && i->k >= BPF_MEMWORDS ? "there are 16 words of memory"
									    : NULL;
	case BPF_LDX:
		if (BPF_MODE(i->code) == BPF_MSH && i->k > READ_MAX)
			return "it reads beyond the end of every packet";
		return BPF_MODE(i->code) == BPF_MEM && i->k >= BPF_MEMWORDS ? "there are 16 words of memory"
									    : NULL;
	case BPF_ST:
	case BPF_STX:
		return i->k >= BPF_MEMWORDS ? "there are 16 words of memory" : NULL;
	case BPF_ALU:
		if (BPF_SRC(i->code) == BPF_X)
			return NULL;
		if ((BPF_OP(i->code) == BPF_DIV || BPF_OP(i->code) == BPF_MOD) && !i->k)
			return "it divides by zero";
		return (BPF_OP(i->code) == BPF_LSH || BPF_OP(i->code) == BPF_RSH) && i->k >= 32
			   ? "it shifts by more than 31"
			   : NULL;
	case BPF_JMP:
		return jumps_within(i, at, n) ? NULL : "it jumps beyond the end";
	default:
		return NULL;
	}
}

int classic_check(const struct filter_classic *c, uint32_t n, struct buf *why)
{
	if (!n || n > FILTER_CLASSIC_MAX) {
		buf_printf(why, "%u instructions of classic BPF; 1 to %u are taken", n, FILTER_CLASSIC_MAX);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *what = wrong(&c[i], i, n);
		const char *name = what && BPF_CLASS(c[i].code) == BPF_LD ? extension(c[i].k) : NULL;

		if (what) {
			buf_printf(why, "instruction %u: %s%s%s", i, name ? name : "", name ? " " : "", what);
			return -EINVAL;
		}
	}
	if (BPF_CLASS(c[n - 1].code) != BPF_RET) {
		buf_addz(why, "the last instruction does not return");
		return -EINVAL;
	}
	return 0;
}

/* --- reading the packet ---------------------------------------------------------------------------- */

static uint8_t bytes_of(uint16_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* bpf_skb_load_bytes or bpf_xdp_load_bytes(r6, r2, r3 = r8 + to, n); r0 is not 0 where the packet ends
 * before. */
static void emit_bytes(struct emitter *e, short to, int n)
{
	emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_8, 0, 0);
	emit(e, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, to);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, n);
	emit(e, BPF_JMP | BPF_CALL, 0, 0, 0, e->xdp ? BPF_FUNC_xdp_load_bytes : BPF_FUNC_skb_load_bytes);
}

/* The frame has the tag in its bytes from here on: how far to shift, and the first bytes with the tag. */
void classic_begin(struct emitter *e)
{
	uint32_t plain;

	if (e->xdp)
		return; /* no tag stands beside its bytes */
	plain = emit_place(e);
	for (short i = 0; i < 24; i = (short)(i + 8))
		emit(e, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_8, 0, (short)(FRAME(head) + i), 0);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_0, BPF_REG_6, offsetof(struct __sk_buff, vlan_present), 0);
	emit_jump(e, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, plain);
	emit(e, BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, FRAME(shift), 4);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0);
	emit_bytes(e, FRAME(head), TAG_AT);
	emit_jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, plain);
	/* vlan_proto is in network order already */
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_6, offsetof(struct __sk_buff, vlan_proto), 0);
	emit(e, BPF_STX | BPF_MEM | BPF_H, BPF_REG_8, BPF_REG_1, FRAME(head) + TAG_AT, 0);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_6, offsetof(struct __sk_buff, vlan_tci), 0);
	emit(e, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_1, 0, 0, 16);
	emit(e, BPF_STX | BPF_MEM | BPF_H, BPF_REG_8, BPF_REG_1, FRAME(head) + TAG_AT + 2, 0);
	emit(e, BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, FRAME(head_len), TAG_END);
	for (short i = 0; i < HEAD_BYTES; i++) {
		emit(e, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, TAG_AT + i);
		emit_bytes(e, (short)(FRAME(head) + TAG_END + i), 1);
		emit_jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, plain);
		emit(e, BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, FRAME(head_len), TAG_END + i + 1);
	}
	emit_here(e, plain);
	/* These jumps are of no filter. */
	for (size_t i = 0; !e->error && i < e->jumps.len; i++) {
		const struct jump *j = &e->jumps.items[i];

		e->code->insns.items[j->at].off = (short)(e->places.items[j->to] - j->at - 1);
	}
	e->jumps.len = e->places.len = 0;
}

/* dst = n bytes at r2, which lies where no tag is in between; else the packet is rejected. */
static void emit_read(struct emitter *e, uint8_t dst, uint8_t n)
{
	emit_bytes(e, FRAME(word), n);
	emit_jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, PLACE_NO);
	emit(e,
	     BPF_LDX | BPF_MEM |
		 (n == 4   ? BPF_W
		  : n == 2 ? BPF_H
			   : BPF_B),
	     dst, BPF_REG_8, FRAME(word), 0);
	if (n > 1)
		emit(e, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, 8 * n);
}

/* dst = n bytes at r5 + off of the stack, byte by byte: they need not be aligned. */
static void emit_head(struct emitter *e, uint8_t dst, uint8_t base, short off, uint8_t n)
{
	emit(e, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_1, base, off, 0);
	for (short i = 1; i < n; i++) {
		emit(e, BPF_ALU | BPF_LSH | BPF_K, BPF_REG_1, 0, 0, 8);
		emit(e, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_0, base, (short)(off + i), 0);
		emit(e, BPF_ALU | BPF_OR | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0);
	}
	emit(e, BPF_ALU | BPF_MOV | BPF_X, dst, BPF_REG_1, 0, 0);
}

static void emit_absolute(struct emitter *e, uint8_t dst, uint32_t k, uint8_t n)
{
	uint32_t beside, done;

	emit(e, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (int32_t)k);
	if (k + n <= TAG_AT) {
		emit_read(e, dst, n);
		return;
	}
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(shift), 0);
	if (k >= TAG_END) {
		emit(e, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0);
		emit_read(e, dst, n);
		return;
	}
	beside = emit_place(e);
	done = emit_place(e);
	emit_jump(e, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 0, beside);
	emit_read(e, dst, n);
	emit_jump(e, BPF_JMP | BPF_JA, 0, 0, 0, done);
	emit_here(e, beside);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(head_len), 0);
	emit_jump(e, BPF_JMP | BPF_JLT | BPF_K, BPF_REG_1, 0, (int32_t)(k + n), PLACE_NO);
	emit_head(e, dst, BPF_REG_8, (short)(FRAME(head) + (short)k), n);
	emit_here(e, done);
}

/* At X + k. */
static void emit_indirect(struct emitter *e, uint8_t dst, uint32_t k, uint8_t n)
{
	uint32_t behind = emit_place(e), before = emit_place(e), done = emit_place(e);

	emit(e, BPF_ALU | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (int32_t)k);
	emit(e, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, X, 0, 0);
	emit_jump(e, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, READ_MAX, PLACE_NO);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(shift), 0);
	emit_jump(e, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, before);
	emit_jump(e, BPF_JMP | BPF_JGE | BPF_K, BPF_REG_2, 0, TAG_END, behind);
	emit_jump(e, BPF_JMP | BPF_JLE | BPF_K, BPF_REG_2, 0, TAG_AT - n, before);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	emit(e, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, n);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(head_len), 0);
	emit_jump(e, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_3, BPF_REG_1, 0, PLACE_NO);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_5, BPF_REG_8, 0, 0);
	emit(e, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_5, BPF_REG_2, 0, 0);
	emit_head(e, dst, BPF_REG_5, FRAME(head), n);
	emit_jump(e, BPF_JMP | BPF_JA, 0, 0, 0, done);
	emit_here(e, behind);
	emit(e, BPF_ALU64 | BPF_SUB | BPF_K, BPF_REG_2, 0, 0, 4);
	emit_here(e, before);
	emit_read(e, dst, n);
	emit_here(e, done);
}

static void emit_length(struct emitter *e, uint8_t dst)
{
	if (e->xdp) { /* the head has found it */
		emit(e, BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_8, FRAME(key.len), 0);
		return;
	}
	emit(e, BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_6, offsetof(struct __sk_buff, len), 0);
	emit(e, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_8, FRAME(shift), 0);
	emit(e, BPF_ALU | BPF_ADD | BPF_X, dst, BPF_REG_1, 0, 0);
}

/* --- instructions ---------------------------------------------------------------------------------- */

static short word(uint32_t k)
{
	return (short)(FRAME(memory) + 4 * (short)k);
}

static void emit_alu(struct emitter *e, const struct filter_classic *c)
{
	uint8_t op = (uint8_t)BPF_OP(c->code);
	bool x = BPF_SRC(c->code) == BPF_X;

	if (op == BPF_NEG) {
		emit(e, BPF_ALU | BPF_NEG, A, 0, 0, 0);
		return;
	}
	if (x && (op == BPF_DIV || op == BPF_MOD))
		emit_jump(e, BPF_JMP32 | BPF_JEQ | BPF_K, X, 0, 0, PLACE_NO);
	if (x && (op == BPF_LSH || op == BPF_RSH)) {
		emit(e, BPF_JMP32 | BPF_JLT | BPF_K, X, 0, 2, 32);
		emit(e, BPF_ALU | BPF_MOV | BPF_K, A, 0, 0, 0);
		emit(e, BPF_JMP | BPF_JA, 0, 0, 1, 0);
	}
	emit(e, (uint8_t)(BPF_ALU | op | (x ? BPF_X : BPF_K)), A, x ? X : 0, 0, x ? 0 : (int32_t)c->k);
}

/* `next` is the instruction that will stand behind this one. */
static void emit_branch(struct emitter *e, const struct filter_classic *c, uint32_t at, uint32_t next)
{
	uint8_t op = (uint8_t)BPF_OP(c->code);
	bool x = BPF_SRC(c->code) == BPF_X;
	uint32_t to = op == BPF_JA ? at + 1 + c->k : at + 1 + c->jf;

	if (op != BPF_JA)
		emit_jump(e, (uint8_t)(BPF_JMP32 | op | (x ? BPF_X : BPF_K)), A, x ? X : 0,
			  x ? 0 : (int32_t)c->k, at + 1 + c->jt);
	if (to != next)
		emit_jump(e, BPF_JMP | BPF_JA, 0, 0, 0, to);
}

static void emit_one(struct emitter *e, const struct filter_classic *c, uint32_t at, uint32_t next)
{
	uint8_t dst = BPF_CLASS(c->code) == BPF_LDX || BPF_CLASS(c->code) == BPF_STX ? X : A;

	switch (BPF_CLASS(c->code)) {
	case BPF_LD:
	case BPF_LDX:
		switch (BPF_MODE(c->code)) {
		case BPF_ABS:
			emit_absolute(e, dst, c->k, bytes_of(c->code));
			return;
		case BPF_IND:
			emit_indirect(e, dst, c->k, bytes_of(c->code));
			return;
		case BPF_LEN:
			emit_length(e, dst);
			return;
		case BPF_IMM:
			emit(e, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)c->k);
			return;
		case BPF_MEM:
			emit(e, BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_8, word(c->k), 0);
			return;
		default: /* MSH */
			emit_absolute(e, dst, c->k, 1);
			emit(e, BPF_ALU | BPF_AND | BPF_K, dst, 0, 0, 15);
			emit(e, BPF_ALU | BPF_LSH | BPF_K, dst, 0, 0, 2);
			return;
		}
	case BPF_ST:
	case BPF_STX:
		emit(e, BPF_STX | BPF_MEM | BPF_W, BPF_REG_8, dst, word(c->k), 0);
		return;
	case BPF_ALU:
		emit_alu(e, c);
		return;
	case BPF_JMP:
		emit_branch(e, c, at, next);
		return;
	case BPF_RET:
		if (BPF_RVAL(c->code) == BPF_A)
			emit_jump(e, BPF_JMP32 | BPF_JEQ | BPF_K, A, 0, 0, PLACE_NO);
		emit_jump(e, BPF_JMP | BPF_JA, 0, 0, 0,
			  BPF_RVAL(c->code) == BPF_A || c->k ? PLACE_YES : PLACE_NO);
		return;
	default:
		emit(e, BPF_ALU | BPF_MOV | BPF_X, BPF_MISCOP(c->code) == BPF_TAX ? X : A,
		     BPF_MISCOP(c->code) == BPF_TAX ? A : X, 0, 0);
	}
}

static void reach(bool *reached, const struct filter_classic *c, uint32_t at)
{
	if (BPF_CLASS(c->code) == BPF_RET)
		return;
	if (BPF_CLASS(c->code) != BPF_JMP) {
		reached[at + 1] = true;
	} else if (BPF_OP(c->code) == BPF_JA) {
		reached[at + 1 + c->k] = true;
	} else {
		reached[at + 1 + c->jt] = true;
		reached[at + 1 + c->jf] = true;
	}
}

void classic_emit(struct emitter *e, const struct filter_classic *c, uint32_t n)
{
	bool *reached = calloc(n, 1), memory = false;

	if (!reached)
		e->error = e->error ? e->error : -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		emit_place(e);
		memory = memory || BPF_CLASS(c[i].code) == BPF_ST || BPF_CLASS(c[i].code) == BPF_STX ||
			 (BPF_CLASS(c[i].code) <= BPF_LDX && BPF_MODE(c[i].code) == BPF_MEM);
	}
	emit(e, BPF_ALU64 | BPF_MOV | BPF_K, A, 0, 0, 0);
	emit(e, BPF_ALU64 | BPF_MOV | BPF_K, X, 0, 0, 0);
	for (uint32_t i = 0; memory && i < BPF_MEMWORDS; i++)
		emit(e, BPF_ST | BPF_MEM | BPF_W, BPF_REG_8, 0, word(i), 0);
	if (reached)
		reached[0] = true;
	for (uint32_t i = 0; !e->error && i < n; i++) {
		uint32_t next = i + 1;

		if (!reached[i])
			continue;
		reach(reached, &c[i], i);
		while (next < n && !reached[next])
			next++;
		emit_here(e, i);
		emit_one(e, &c[i], i, next);
	}
	free(reached);
}
