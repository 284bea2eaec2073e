/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in the kernel. What comes in is data of a planner that is not trusted: steps over a packet's
 * headers, or classic BPF over the frame as on the wire (seam/filter.h). Both are checked here and translated
 * here; the kernel verifies what comes out. Nothing is approximated: what cannot be is refused with the
 * reason.
 *
 * One program judges a set of up to FILTER_SET_MAX filters: bit i of what it returns is filter i. It is of
 * the kind that tc runs; its headers are found once for all filters. A tag that stands beside the bytes
 * counts as on the wire, in the offsets of classic BPF too. Called by the applier and `weft filter --kernel`.
 */
#ifndef WEFT_APPLY_FILTER_H
#define WEFT_APPLY_FILTER_H

#include "base/str.h"
#include "base/vec.h"
#include "seam/filter.h"

/* One filter: exactly one of the two, borrowed. */
struct filter_form {
	const struct filter_step *steps;
	const struct filter_classic *classic;
	uint32_t n;
};

/* 0, or -EINVAL with what is wrong with which step or instruction in why. */
int filter_check(const struct filter_form *f, struct buf *why);

struct bpf_insn;
struct filter_code {
	VEC(struct bpf_insn) insns;
};
/* Checks and translates a set. 0; -EINVAL; -E2BIG (too large for one program); -ENOMEM; or what the kernel
 * says when the head (bpf/filter.bpf.c) cannot be read. */
int filter_translate(struct filter_code *out, const struct filter_form *set, unsigned n, struct buf *why);
/* The same as a judge of taps (seam/tap.h): n up to TAP_FILTERS_MAX, or 0; the answer has TAP_ALWAYS, and
 * TAP_UNPARSABLE where headers are cut short or contradict themselves. */
int filter_translate_judge(struct filter_code *out, const struct filter_form *set, unsigned n,
			   struct buf *why);
/* The same for frames of XDP. */
int filter_translate_feed(struct filter_code *out, const struct filter_form *set, unsigned n,
			  struct buf *why);
/* The same as filter_translate(), for BPF_PROG_TYPE_SOCKET_FILTER. */
int filter_translate_socket(struct filter_code *out, const struct filter_form *set, unsigned n,
			    struct buf *why);
void filter_code_fini(struct filter_code *c);

/* Loads it: descriptor, or -errno with the kernel's reason. type: BPF_PROG_TYPE_SCHED_CLS,
 * BPF_PROG_TYPE_SOCKET_FILTER or BPF_PROG_TYPE_XDP. *walked (may be NULL): instructions that the verifier
 * walked, 0: unknown. */
int filter_load(const struct filter_code *c, uint32_t type, uint32_t *walked, struct buf *why);
/* Judges one Ethernet frame by BPF_PROG_TEST_RUN. 0; -ERANGE: the kernel takes no such frame (shorter than 14
 * bytes, longer than about 3,500); or -errno. */
int filter_judge(int fd, const void *frame, uint32_t n, uint32_t *matched);

#endif
