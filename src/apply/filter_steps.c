/* SPDX-License-Identifier: Apache-2.0 */
/* Steps over a packet's headers, checked and translated: see filter.h. */
#include <errno.h>

#include "apply/filter_code.h"
#include "base/own.h"

static const struct slot {
	short at;
	uint8_t size;
} slots[SLOT_COUNT] = {
#define SLOT(slot, member)                                                                                   \
	[slot] = {(short)offsetof(struct filter_frame, key.member), sizeof(((struct filter_key *)0)->member)}
    SLOT(SLOT_HAS, has),
    SLOT(SLOT_LEN, len),
    SLOT(SLOT_SRC, src),
    SLOT(SLOT_DST, dst),
    SLOT(SLOT_SMAC, smac),
    SLOT(SLOT_DMAC, dmac),
    SLOT(SLOT_ETHERTYPE, ethertype),
    SLOT(SLOT_SPORT, sport),
    SLOT(SLOT_DPORT, dport),
    SLOT(SLOT_VLAN_ID, vlan_id),
    SLOT(SLOT_VLAN_PCP, vlan_pcp),
    SLOT(SLOT_VLAN2_ID, vlan2_id),
    SLOT(SLOT_PROTO, proto),
    SLOT(SLOT_TTL, ttl),
    SLOT(SLOT_DSCP, dscp),
    SLOT(SLOT_TCP_FLAGS, tcp_flags),
    SLOT(SLOT_ICMP_TYPE, icmp_type),
    SLOT(SLOT_ICMP_CODE, icmp_code),
#undef SLOT
};

static bool leads(uint16_t to, uint32_t from, uint32_t n)
{
	return to == STEP_YES || to == STEP_NO || (to > from && to < n);
}

static const char *wrong(const struct filter_step *s, uint32_t at, uint32_t n)
{
	bool address = s->slot == SLOT_SRC || s->slot == SLOT_DST;

	if (s->op >= STEP_OPS)
		return "there is no such operation";
	if (s->slot >= SLOT_COUNT)
		return "there is no such field";
	if (address != (s->op == STEP_ADDRESS))
		return "the operation does not fit the field";
	if (s->pad)
		return "the padding is not 0";
	if (!leads(s->yes, at, n) || !leads(s->no, at, n))
		return "it leads to no later step";
	if (s->op == STEP_BITS)
		return s->lo[0] && s->lo[0] <= INT32_MAX ? NULL : "the mask is empty or too wide";
	if (s->lo[0] > s->hi[0] || (address && s->lo[0] == s->hi[0] && s->lo[1] > s->hi[1]))
		return "the range ends before it begins";
	return NULL;
}

int steps_check(const struct filter_step *s, uint32_t n, struct buf *why)
{
	if (!n || n > FILTER_STEPS_MAX) {
		buf_printf(why, "%u steps; 1 to %u are taken", n, FILTER_STEPS_MAX);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *what = wrong(&s[i], i, n);

		if (what) {
			buf_printf(why, "step %u: %s", i, what);
			return -EINVAL;
		}
	}
	return 0;
}

static uint32_t place_of(uint16_t to)
{
	return to == STEP_YES ? PLACE_YES : to == STEP_NO ? PLACE_NO : to;
}

/* if r1 OP n goto to; r3 is lost. */
static void compare(struct emitter *e, uint8_t op, uint8_t reg, uint64_t n, uint32_t to)
{
	if (n <= INT32_MAX) {
		emit_jump(e, BPF_JMP | op | BPF_K, reg, 0, (int32_t)n, to);
		return;
	}
	emit_number(e, BPF_REG_3, n);
	emit_jump(e, BPF_JMP | op | BPF_X, reg, BPF_REG_3, 0, to);
}

static void emit_load(struct emitter *e, uint8_t reg, const struct slot *slot, uint8_t half)
{
	static const uint8_t sizes[] = {[1] = BPF_B, [2] = BPF_H, [4] = BPF_W, [8] = BPF_DW};
	uint8_t size = slot->size == 16 ? 8 : slot->size;

	emit(e, BPF_LDX | BPF_MEM | sizes[size], reg, BPF_REG_8, (short)(slot->at + 8 * half), 0);
}

/* lo <= (r1, r2) <= hi, else goto no. */
static void emit_address(struct emitter *e, const struct filter_step *s, uint32_t no)
{
	uint32_t above, below;

	emit_load(e, BPF_REG_1, &slots[s->slot], 0);
	emit_load(e, BPF_REG_2, &slots[s->slot], 1);
	if (s->lo[0] == s->hi[0]) {
		compare(e, BPF_JNE, BPF_REG_1, s->lo[0], no);
		if (s->lo[1])
			compare(e, BPF_JLT, BPF_REG_2, s->lo[1], no);
		compare(e, BPF_JGT, BPF_REG_2, s->hi[1], no);
		return;
	}
	above = emit_place(e);
	below = emit_place(e);
	compare(e, BPF_JLT, BPF_REG_1, s->lo[0], no);
	compare(e, BPF_JGT, BPF_REG_1, s->lo[0], above);
	compare(e, BPF_JLT, BPF_REG_2, s->lo[1], no);
	emit_here(e, above);
	compare(e, BPF_JGT, BPF_REG_1, s->hi[0], no);
	compare(e, BPF_JLT, BPF_REG_1, s->hi[0], below);
	compare(e, BPF_JGT, BPF_REG_2, s->hi[1], no);
	emit_here(e, below);
}

static void emit_step(struct emitter *e, const struct filter_step *s, uint32_t next)
{
	uint32_t yes = place_of(s->yes), no = place_of(s->no);

	if (s->op == STEP_ADDRESS) {
		emit_address(e, s, no);
	} else {
		emit_load(e, BPF_REG_1, &slots[s->slot], 0);
		if (s->op == STEP_BITS) {
			compare(e, BPF_JSET, BPF_REG_1, s->lo[0], yes);
			yes = no;
		} else if (s->lo[0] == s->hi[0]) {
			compare(e, BPF_JNE, BPF_REG_1, s->lo[0], no);
		} else {
			if (s->lo[0])
				compare(e, BPF_JLT, BPF_REG_1, s->lo[0], no);
			compare(e, BPF_JGT, BPF_REG_1, s->hi[0], no);
		}
	}
	if (yes != next)
		emit_jump(e, BPF_JMP | BPF_JA, 0, 0, 0, yes);
}

/* Steps that no other leads to are left out: the verifier takes none. */
void steps_emit(struct emitter *e, const struct filter_step *s, uint32_t n)
{
	bool *reached = calloc(n, 1);

	if (!reached)
		e->error = e->error ? e->error : -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		emit_place(e);
	for (uint32_t i = 0; !e->error && i < n; i++) {
		uint32_t next = i + 1;

		if (i && !reached[i])
			continue;
		if (s[i].yes < n)
			reached[s[i].yes] = true;
		if (s[i].no < n)
			reached[s[i].no] = true;
		while (next < n && !reached[next])
			next++;
		emit_here(e, i);
		emit_step(e, &s[i], next == n ? PLACE_YES : next);
	}
	free(reached);
}
