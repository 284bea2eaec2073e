/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a planner sends for a filter: steps or classic BPF. What passes the checks becomes
 * instructions whose jumps all lead forward, into the program, and not into the middle of a 64-bit number;
 * the kernel's verifier is held against the same translation in test/bpf/filter.c.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "apply/filter.h"
#include "base/own.h"

enum { FORMS_MAX = 4 };

static void check(const struct filter_code *c)
{
	size_t n = c->insns.len;
	bool *begins = calloc(n + 1, 1);

	for (size_t i = 0; i < n; i++) {
		begins[i] = true;
		i += c->insns.items[i].code == (BPF_LD | BPF_IMM | BPF_DW);
	}
	for (size_t i = 0; i < n; i++) {
		const struct bpf_insn *x = &c->insns.items[i];
		int class = BPF_CLASS(x->code);

		if (!begins[i] || (class != BPF_JMP && class != BPF_JMP32) || BPF_OP(x->code) == BPF_CALL ||
		    BPF_OP(x->code) == BPF_EXIT)
			continue;
		if (x->off < 0 && i > 1000)
			abort();
		if (i + 1 + (size_t)x->off >= n || !begins[i + 1 + (size_t)x->off])
			abort();
	}
	if (!n || c->insns.items[n - 1].code != (BPF_JMP | BPF_EXIT))
		abort();
	free(begins);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter_form forms[FORMS_MAX];
	void *copies[FORMS_MAX];
	unsigned n = 0;
	struct filter_code code = {};
	AUTO_BUF why = {};
	int r;

	/* kind and number of elements in two bytes, then the elements */
	while (size >= 2 && n < FORMS_MAX) {
		bool steps = data[0] & 1;
		size_t one = steps ? sizeof(struct filter_step) : sizeof(struct filter_classic);
		uint32_t count = data[1];

		data += 2;
		size -= 2;
		if (count > size / one)
			count = (uint32_t)(size / one);
		/* just the bytes that are there, so that a read beyond them shows */
		copies[n] = malloc(count * one ? count * one : 1);
		memcpy(copies[n], data, count * one);
		data += count * one;
		size -= count * one;
		forms[n] = (struct filter_form){steps ? copies[n] : NULL, steps ? NULL : copies[n], count};
		n++;
	}
	r = filter_translate(&code, forms, n, &why);
	if (!r)
		check(&code);
	else if ((r != -EINVAL && r != -E2BIG && r != -ENOMEM) || !why.n)
		abort();
	filter_code_fini(&code);
	while (n)
		free(copies[--n]);
	return 0;
}
