/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's numbers in Prometheus' text format: answered at /metrics, and told to the hub every few
 * seconds, whose /metrics joins all nodes. What cannot be read is left out and said by
 * weft_node_kernel_readable, never shown as 0. Labels are bounded: of drops that many by pod, the rest
 * without a pod's name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/observer.h"
#include "agent/observer_join.h"
#include "base/own.h"
#include "observe/account.h"

enum { TELL_MS = 2000, DROPS_MAX = 500, REASONS_MAX = 256 };

struct metrics {
	struct observer *ob;
	uv_timer_t timer;
	struct transfer transfer;
	struct buf body;
	char path[128];
	bool busy;
};

static void family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* "NAME{node="…"" without the end. */
static void sample(struct buf *b, const struct observer *ob, const char *name)
{
	buf_printf(b, "%s{node=\"%s\"", name, ob->o.node);
}

static void one(struct buf *b, const struct observer *ob, const char *name, uint64_t value)
{
	sample(b, ob, name);
	buf_printf(b, "} %" PRIu64 "\n", value);
}

/* --- hooks ----------------------------------------------------------------------------------------- */

/* Sums over a hook's counters; the others are over what hooks count. */
static const struct {
	enum account_sum sum;
	const char *name;
} hooks[] = {{SUM_POD, "pod"},	     {SUM_HOST, "host"},   {SUM_UPLINK, "uplink"},
	     {SUM_TUNNEL, "tunnel"}, {SUM_STACK, "stack"}, {SUM_LEAVE, "leave"}};

static void hook_terms(struct buf *b, const struct observer *ob, const struct account *a, unsigned hook,
		       enum account_side side, const char *name)
{
	for (size_t i = 0; i < account_terms_count; i++) {
		const struct account_term *t = &account_terms[i];

		if (t->sum != hooks[hook].sum || t->side != side)
			continue;
		sample(b, ob, name);
		buf_printf(b, ",hook=\"%s\"", hooks[hook].name);
		if (side == SIDE_OUT)
			buf_printf(b, ",to=\"%s\"", t->words);
		buf_printf(b, "} %" PRIu64 "\n", a->high[t->quantity]);
	}
}

static void add_hooks(struct buf *b, const struct observer *ob, const struct account *a)
{
	static const struct {
		enum account_side side;
		const char *name, *help;
	} all[] = {
	    {SIDE_IN, "weft_hook_received_packets_total", "Packets that a hook saw."},
	    {SIDE_OUT, "weft_hook_forwarded_packets_total", "Packets that went on, by where to."},
	    {SIDE_LOSS, "weft_hook_dropped_packets_total", "Packets that a hook dropped, with a reason."}};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		family(b, all[i].name, "counter", all[i].help);
		for (unsigned h = 0; h < ARRAY_LEN(hooks); h++)
			hook_terms(b, ob, a, h, all[i].side, all[i].name);
	}
}

/* --- plain counters -------------------------------------------------------------------------------- */

static void add_counters(struct buf *b, const struct observer *ob, const struct account *a)
{
	static const struct {
		enum account_quantity quantity;
		const char *name, *help;
	} all[] = {
	    {ACCOUNT_HALF_INSERTED, "weft_connections_begun_total", "Connections that began."},
	    {ACCOUNT_CONN_INSERTED, "weft_connections_answered_total", "Connections that were answered."},
	    {ACCOUNT_CONN_REMOVED, "weft_connections_removed_total", "Answered connections that ended."},
	    {ACCOUNT_HALF_REMOVED, "weft_connections_unanswered_removed_total",
	     "Unanswered connections that aged out or were closed."},
	    {ACCOUNT_ENDED_TOLD, "weft_ended_told_total", "Ended connections told by the kernel side."},
	    {ACCOUNT_ENDED_LOST, "weft_ended_lost_total",
	     "Ended connections that found no room in the ring."},
	    {ACCOUNT_EVENTS_TOLD, "weft_events_told_total", "Events told by the kernel side."},
	    {ACCOUNT_EVENTS_LOST, "weft_events_lost_total", "Events that found no room in the ring."},
	    {ACCOUNT_DROPS_UNTOLD, "weft_drops_untold_total",
	     "Drops that stand under no reason for want of room."},
	    {ACCOUNT_CALL_DROP, "weft_calls_refused_total", "Socket calls that policy refused."},
	    {ACCOUNT_KERNEL_DROP, "weft_kernel_drops_total",
	     "Packets of pods that the kernel's stack dropped."},
	    {ACCOUNT_KERNEL_HELD, "weft_kernel_drops_untold_total",
	     "Of those, without a record: there were too many in a second."},
	    {ACCOUNT_ASKED_SEEN, "weft_dns_messages_total", "DNS messages of pods."},
	    {ACCOUNT_ASKED_LOST, "weft_dns_messages_lost_total",
	     "DNS messages that found no room in the ring."},
	    {ACCOUNT_ASKED_UNREAD, "weft_dns_messages_unread_total", "DNS messages that were not read."},
	    {ACCOUNT_NAMES_LOST, "weft_names_lost_total",
	     "Names or addresses of DNS answers that found no room."},
	};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		bool unknown = a->unwatched && (all[i].quantity == ACCOUNT_KERNEL_DROP ||
						all[i].quantity == ACCOUNT_KERNEL_HELD);

		family(b, all[i].name, "counter", all[i].help);
		if (!unknown) /* and not 0 */
			one(b, ob, all[i].name, a->high[all[i].quantity]);
	}
	family(b, "weft_connections_made_room_total", "counter",
	       "Unanswered connections that made room for others.");
	one(b, ob, "weft_connections_made_room_total", account_rest(a, SUM_UNANSWERED));
	family(b, "weft_connections", "gauge", "Connections in the tables.");
	sample(b, ob, "weft_connections");
	buf_printf(b, ",state=\"answered\"} %" PRIu64 "\n", a->high[ACCOUNT_LIVE_ANSWERED]);
	sample(b, ob, "weft_connections");
	buf_printf(b, ",state=\"unanswered\"} %" PRIu64 "\n", a->high[ACCOUNT_LIVE_UNANSWERED]);
	family(b, "weft_account_matches", "gauge", "1: a sum of weft account matches; 0: it does not.");
	for (unsigned s = 0; s < ACCOUNT_SUMS; s++) {
		enum account_says says = account_judge(a, s).says;

		if (says == ACCOUNT_UNKNOWN)
			continue;
		sample(b, ob, "weft_account_matches");
		buf_printf(b, ",sum=\"%s\"} %d\n", account_name(s), says != ACCOUNT_WRONG);
	}
}

/* --- drops ----------------------------------------------------------------------------------------- */

static void drop_sample(struct buf *b, const struct observer *ob, const char *name,
			const struct drop_count *d, struct str pod, uint64_t value)
{
	struct str rest = pod, ns = str_cut(&rest, '/');

	sample(b, ob, name);
	buf_printf(
	    b, ",reason=\"%s\",direction=\"%s\",namespace=\"" STR_FMT "\",pod=\"" STR_FMT "\"} %" PRIu64 "\n",
	    drop_name(d->reason),
	    !d->ifindex ? ""
	    : d->to_pod ? "to-pod"
			: "from-pod",
	    STR_ARG(ns), STR_ARG(rest), value);
}

/* By (pod, reason, direction), where causes are added up; sorted so that equals stand together. Interfaces
 * whose pod is gone, and those above the bound, are added up without a pod, by reason and direction. */
static void add_drops(struct buf *b, const struct observer *ob, const struct drop_counts *drops, bool bytes)
{
	const char *name = bytes ? "weft_drop_bytes_total" : "weft_drop_packets_total";
	uint64_t nameless[REASONS_MAX][3] = {0};
	size_t shown = 0;
	struct join j;

	family(b, name, "counter",
	       bytes ? "Bytes dropped, by reason and pod." : "Packets dropped, by reason and pod.");
	join_begin(&j, ob);
	for (size_t i = 0, next; i < drops->list.len; i = next) {
		const struct drop_count *d = &drops->list.items[i];
		struct str pod = join_pod(&j, d->ifindex);
		uint64_t sum = 0;

		for (next = i; next < drops->list.len; next++) {
			const struct drop_count *o = &drops->list.items[next];

			if (o->ifindex != d->ifindex || o->reason != d->reason || o->to_pod != d->to_pod)
				break;
			sum += bytes ? o->bytes : o->packets;
		}
		if (pod.n && shown < DROPS_MAX) {
			drop_sample(b, ob, name, d, pod, sum);
			shown++;
		} else if (d->reason < REASONS_MAX) {
			nameless[d->reason][!d->ifindex ? 2 : d->to_pod] += sum;
		}
	}
	join_end(&j);
	for (uint32_t r = 0; r < REASONS_MAX; r++)
		for (uint32_t k = 0; k < 3; k++) {
			struct drop_count d = {.reason = (uint16_t)r, .ifindex = k < 2, .to_pod = k == 1};

			if (nameless[r][k])
				drop_sample(b, ob, name, &d, (struct str){0}, nameless[r][k]);
		}
}

/* --- all ------------------------------------------------------------------------------------------- */

int observer_metrics(struct observer *ob, struct buf *out)
{
	int64_t epoch = ob->observed ? observed_epoch(ob->observed) : -1;
	struct drop_counts drops = {0};
	unsigned probed, ready;
	struct account a;
	bool readable =
	    epoch >= 0 && !account_read(ob->observed, &a) && !observed_drops(ob->observed, &drops);

	family(out, "weft_node_kernel_readable", "gauge",
	       "1: the kernel side's tables can be read; 0: they are unknown.");
	one(out, ob, "weft_node_kernel_readable", readable);
	prober_counts(ob->prober, &probed, &ready);
	family(out, "weft_probed_pods", "gauge", "Pods with probes.");
	one(out, ob, "weft_probed_pods", probed);
	family(out, "weft_probed_pods_ready", "gauge", "Of those, ready ones.");
	one(out, ob, "weft_probed_pods_ready", ready);
	family(out, "weft_pods", "gauge", "Pods of the node.");
	one(out, ob, "weft_pods", store_count(ob->store, KIND_pod));
	if (readable) {
		family(out, "weft_counters_epoch", "gauge",
		       "Another number whenever the kernel side's counters began anew.");
		one(out, ob, "weft_counters_epoch", (uint64_t)epoch);
		add_hooks(out, ob, &a);
		add_counters(out, ob, &a);
		add_drops(out, ob, &drops, false);
		add_drops(out, ob, &drops, true);
	}
	vec_free(&drops.list);
	return out->failed ? 503 : 200;
}

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	(void)t;
	(void)p;
	return n;
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	(void)status;
	(void)error; /* the next one comes; the hub knows how old the last one is */
	CONTAINER_OF(t, struct metrics, transfer)->busy = false;
}

static void on_timer(uv_timer_t *t)
{
	struct metrics *m = t->data;

	if (m->busy || (!m->transfer.easy && !(m->transfer.easy = curl_easy_init())))
		return;
	buf_clear(&m->body);
	if (observer_metrics(m->ob, &m->body) != 200)
		return;
	curl_easy_setopt(m->transfer.easy, CURLOPT_CUSTOMREQUEST, "POST");
	curl_easy_setopt(m->transfer.easy, CURLOPT_POSTFIELDSIZE, (long)m->body.n);
	curl_easy_setopt(m->transfer.easy, CURLOPT_POSTFIELDS, m->body.p);
	curl_easy_setopt(m->transfer.easy, CURLOPT_TIMEOUT_MS, 5000L);
	m->busy = !transfer_start(&m->ob->curl, &m->transfer, m->path);
}

int observer_metrics_start(struct observer *ob)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->ob = ob;
	snprintf(m->path, sizeof(m->path), "/apis/weft.network/internal/metrics/%s", ob->o.node);
	m->transfer.body = on_body;
	m->transfer.done = on_done;
	uv_timer_init(&ob->loop, &m->timer);
	m->timer.data = m;
	return uv_timer_start(&m->timer, on_timer, TELL_MS, TELL_MS);
}
