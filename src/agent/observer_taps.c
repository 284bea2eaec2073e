/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's answer to /taps: what each place of this node that is tapped for the broker saw and copied,
 * and what left by each outlet, as the kernel side counts it since its counters' epoch. What cannot be read
 * is 503, never 0.
 */
#include <inttypes.h>

#include "agent/observer.h"
#include "agent/observer_join.h"
#include "observe/account.h"

struct listing {
	struct buf *out;
	const struct join *join;
	struct tapped_value sum;
	size_t n;
};

static void add_numbers(struct buf *out, const struct tapped_value *v)
{
	buf_printf(out,
		   "\"seen\":%" PRIu64 ",\"seenBytes\":%" PRIu64 ",\"unparsable\":%" PRIu64
		   ",\"unwanted\":%" PRIu64 ",\"copied\":%" PRIu64 ",\"copiedBytes\":%" PRIu64
		   ",\"failed\":%" PRIu64 ",\"own\":%" PRIu64,
		   (uint64_t)v->seen, (uint64_t)v->seen_bytes, (uint64_t)v->unparsable, (uint64_t)v->unwanted,
		   (uint64_t)v->copied, (uint64_t)v->copied_bytes, (uint64_t)v->failed, (uint64_t)v->own);
}

static void add_place(void *ctx, const struct tapped_key *k, const struct tapped_value *v)
{
	static const char *const takes[TAP_TAKES] = {[TAP_IN] = "in",
						     [TAP_OUT] = "out",
						     [TAP_IN_DROPPED] = "in-dropped",
						     [TAP_OUT_DROPPED] = "out-dropped"};
	struct listing *l = ctx;
	struct str pod = join_pod(l->join, k->ifindex);

	buf_printf(l->out, "%s{\"interface\":%u,\"take\":\"%s\",", l->n++ ? "," : "", k->ifindex,
		   k->take < TAP_TAKES ? takes[k->take] : "unknown");
	if (pod.n) {
		buf_addz(l->out, "\"pod\":");
		buf_json(l->out, pod);
		buf_addc(l->out, ',');
	}
	add_numbers(l->out, v);
	buf_addc(l->out, '}');
	l->sum.seen += v->seen;
	l->sum.seen_bytes += v->seen_bytes;
	l->sum.unparsable += v->unparsable;
	l->sum.unwanted += v->unwanted;
	l->sum.copied += v->copied;
	l->sum.copied_bytes += v->copied_bytes;
	l->sum.failed += v->failed;
	l->sum.own += v->own;
}

static void add_outlet(void *ctx, uint32_t number, const struct outlet_count *c)
{
	struct listing *l = ctx;

	buf_printf(
	    l->out,
	    "%s{\"outlet\":%u,\"direct\":%" PRIu64 ",\"directBytes\":%" PRIu64 ",\"directFailed\":%" PRIu64
	    ",\"sent\":%" PRIu64 ",\"sentBytes\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"unreachable\":%" PRIu64
	    ",\"given\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"handed\":%" PRIu64 "}",
	    l->n++ ? "," : "", number, (uint64_t)c->direct, (uint64_t)c->direct_bytes,
	    (uint64_t)c->direct_failed, (uint64_t)c->sent, (uint64_t)c->sent_bytes, (uint64_t)c->failed,
	    (uint64_t)c->unreachable, (uint64_t)c->given, (uint64_t)c->segments, (uint64_t)c->handed);
}

int observer_taps(struct observer *ob, struct buf *out)
{
	uint64_t counters[OBSERVE_COUNTERS_MAX];
	int64_t epoch = observed_epoch(ob->observed);
	struct listing l = {.out = out};
	struct join j;
	int err = epoch < 0 ? (int)epoch : observed_counters(ob->observed, counters);

	if (err < 0)
		return 503;
	join_begin(&j, ob);
	l.join = &j;
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(ob->o.node));
	buf_printf(out, ",\"epoch\":%" PRId64 ",\"places\":[", epoch);
	err = observed_tapped(ob->observed, add_place, &l);
	join_end(&j);
	buf_addz(out, "],\"sum\":{");
	add_numbers(out, &l.sum);
	buf_printf(out, ",\"untold\":%" PRIu64 "},\"outlets\":[", counters[ACCOUNT_TAPPED_UNTOLD]);
	l.n = 0;
	if (!err)
		err = observed_outlets(ob->observed, add_outlet, &l);
	buf_addz(out, "]}\n");
	if (err)
		buf_clear(out);
	return err ? 503 : 200;
}
