/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounting: whether a node's numbers add up, by the sums of tables/account.def. Packets flow while the
 * tables are read, so each number is read twice, and between both readings there was a moment at which it lay
 * within them. A sum matches when it can have matched at that moment; when nothing moved, it must match to
 * the packet. Pure but for account_read().
 */
#ifndef WEFT_OBSERVE_ACCOUNT_H
#define WEFT_OBSERVE_ACCOUNT_H

#include "observe/kernel.h"

enum account_quantity { /* first the counters, by their numbers */
#define COUNTER(id, sentence) ACCOUNT_##id,
#include "tables/counters.def"
#undef COUNTER
#define QUANTITY(id) ACCOUNT_##id,
#include "tables/account.def"
			ACCOUNT_QUANTITIES
};
enum account_sum {
#define SUM(id, name, says) SUM_##id,
#include "tables/account.def"
	ACCOUNT_SUMS
};
enum account_side { SIDE_IN, SIDE_OUT, SIDE_LOSS, SIDE_REST };
struct account_term {
	enum account_sum sum;
	enum account_side side;
	uint32_t quantity;
	const char *name; /* "POD_IN" */
	const char *words;
};
extern const struct account_term account_terms[];
extern const size_t account_terms_count;
const char *account_name(enum account_sum s);
const char *account_says(enum account_sum s);

struct account {
	uint64_t low[ACCOUNT_QUANTITIES], high[ACCOUNT_QUANTITIES]; /* at one moment each number lay within */
	bool unwatched; /* nobody looks at what the kernel's own stack drops: SUM_KERNEL is unknown */
	unsigned cpus;	/* so many packets may be within a hook: counted as in, not yet as out */
};

/* Reads a node's tables. 0, or -errno: what they say is unknown. */
int account_read(const struct observed *o, struct account *out);

enum account_says { ACCOUNT_EXACT, ACCOUNT_WITHIN, ACCOUNT_WRONG, ACCOUNT_UNKNOWN };
struct account_result {
	enum account_says says;
	uint64_t in_low, in_high, out_low, out_high; /* without the rest */
	int64_t off; /* in − outs: exactly, or what is at least missing (above 0) or too much (below) */
};
struct account_result account_judge(const struct account *a, enum account_sum s);
/* Of that sum; 0 where none is known for sure. */
uint64_t account_rest(const struct account *a, enum account_sum s);

#endif
