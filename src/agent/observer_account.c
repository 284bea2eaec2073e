/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's answer to /account: the sums of tables/account.def with every term. What cannot be read is
 * 503, never 0: a sum that nobody can form is unknown.
 */
#include <inttypes.h>

#include "agent/observer.h"
#include "observe/account.h"

static void add_terms(const struct account *a, enum account_sum s, struct buf *out)
{
	static const char *const sides[] = {"in", "out", "loss", "rest"};
	size_t n = 0;

	buf_addz(out, ",\"terms\":[");
	for (size_t i = 0; i < account_terms_count; i++) {
		const struct account_term *t = &account_terms[i];
		uint64_t rest = t->side == SIDE_REST ? account_rest(a, s) : 0;

		if (t->sum != s)
			continue;
		buf_printf(out,
			   "%s{\"side\":\"%s\",\"name\":\"%s\",\"words\":\"%s\",\"low\":%" PRIu64
			   ",\"high\":%" PRIu64 "}",
			   n++ ? "," : "", sides[t->side], t->name, t->words,
			   t->side == SIDE_REST ? rest : a->low[t->quantity],
			   t->side == SIDE_REST ? rest : a->high[t->quantity]);
	}
	buf_addc(out, ']');
}

int observer_account(struct observer *ob, struct buf *out)
{
	static const char *const says[] = {"exact", "within", "wrong", "unknown"};
	int64_t epoch = observed_epoch(ob->observed);
	struct account a;

	if (epoch < 0 || account_read(ob->observed, &a))
		return 503;
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_printf(out, ",\"epoch\":%" PRId64 ",\"inHooks\":%u,\"sums\":[", epoch, a.cpus);
	for (int s = 0; s < ACCOUNT_SUMS; s++) {
		struct account_result r = account_judge(&a, (enum account_sum)s);

		buf_printf(out,
			   "%s{\"sum\":\"%s\",\"says\":\"%s\",\"off\":%" PRId64 ",\"in\":[%" PRIu64
			   ",%" PRIu64 "],\"out\":[%" PRIu64 ",%" PRIu64 "]",
			   s ? "," : "", account_name((enum account_sum)s), says[r.says], r.off, r.in_low,
			   r.in_high, r.out_low, r.out_high);
		add_terms(&a, (enum account_sum)s, out);
		buf_addz(out, r.says == ACCOUNT_UNKNOWN
				  ? ",\"because\":\"tracepoint kfree_skb cannot be watched\"}"
				  : "}");
	}
	buf_addz(out, "],\"reporter\":");
	reporter_stats(ob->reporter, out);
	buf_addz(out, "}\n");
	return 200;
}
