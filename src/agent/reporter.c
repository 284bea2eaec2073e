/* SPDX-License-Identifier: Apache-2.0 */
/* Flows and drops to the hub: see reporter.h. */
#include "agent/reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/naming.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
#include "observe/kernel_reason.h"
#include "observe/report.h"
#include "seam/event.h"

enum {
	TELL_MS = 250,	   /* a report at most so often */
	SWEEP_MS = 1000,   /* a look at the open ones */
	LOOKED_MS = 250,   /* the same, while somebody looks at them */
	LOOKED_SHARE = 20, /* a look then takes at most this part of the time */
	WAITING_MAX =
	    12 << 20, /* bytes of records that wait for the hub: what rings ended and events hold, and more */
	WAITING_LESSER =
	    WAITING_MAX / 2, /* of them drops and what nobody answered, so that no flood takes all */
	BATCH_MAX = 4096,    /* records in one report */
	BASE_TRIES = 20,
	GRACE_NS = 50000000, /* what changed just before the last look may not have been seen by it */
};

struct waiting {
	uint32_t bytes;
	bool open; /* more will be told of it */
	bool dns;
};

struct reporter {
	struct curl_loop *curl;
	struct observed *o; /* NULL: not yet */
	uv_timer_t tell, sweep;
	struct transfer transfer;
	char path[128];
	uint32_t epoch;
	uint64_t first; /* records told before the one under way */
	uint64_t ends;	/* of them */
	uint64_t lost, dns_lost;
	struct naming *naming;
	uint64_t asked_lost;	   /* by the kernel */
	uint64_t taken;		   /* ends and drops that the kernel told this observer */
	uint64_t taken_before;	   /* and others before it; valid when `based` */
	uint64_t untold, evicted;  /* as in struct report */
	struct buf waiting;	   /* records */
	VEC(struct waiting) sizes; /* of each of them */
	size_t open_waiting;	   /* of them, and of those under way: open ones */
	struct buf body;	   /* under way: the head and the records */
	uint32_t body_records, body_open, body_ends;
	uint64_t body_ms; /* when it was made */
	char answer[128];
	size_t answer_n;
	bool busy, based, looked;
	uint64_t swept;	     /* monotonic ns of the last look; 0: all is to be told */
	bool incomplete;     /* the look under way found no room for a record */
	uint64_t unanswered; /* found by the look under way */
	int64_t offset;	     /* from monotonic to wall time, ns */
	uint64_t now;
};

static void on_tell(uv_timer_t *t);

static int64_t wall_of(const struct reporter *r, uint64_t mono)
{
	return (int64_t)mono + r->offset;
}

static uint64_t set_clocks(struct reporter *r)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	r->now = clock_us() * 1000;
	r->offset = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - (int64_t)r->now;
	return r->now;
}

/* An open one that found no room is told by the next look. */
static void lose(struct reporter *r, const struct record *record)
{
	if (record->kind == RECORD_DNS)
		r->dns_lost++;
	else if (record->ended)
		r->lost++;
	else
		r->incomplete = true;
}

/* Out of memory: begin anew, the lost ones counted. */
static void lose_all(struct reporter *r)
{
	VEC_EACH (&r->sizes, w) {
		r->lost += !w->open && !w->dns;
		r->dns_lost += w->dns;
		r->open_waiting -= w->open;
	}
	r->sizes.len = 0;
	r->swept = 0;
	buf_fini(&r->waiting);
	r->waiting = (struct buf){};
}

static void add(struct reporter *r, const struct record *record)
{
	bool lesser = record->kind != RECORD_FLOW || record->state == STATE_UNANSWERED;
	size_t before = r->waiting.n;

	if (before >= (lesser ? WAITING_LESSER : WAITING_MAX) || vec_reserve(&r->sizes, r->sizes.len + 1)) {
		lose(r, record);
		return;
	}
	report_add(&r->waiting, record);
	if (r->waiting.failed) {
		lose(r, record);
		lose_all(r);
		return;
	}
	r->sizes.items[r->sizes.len++] = (struct waiting){.bytes = (uint32_t)(r->waiting.n - before),
							  .open = !record->ended,
							  .dns = record->kind == RECORD_DNS};
	r->open_waiting += !record->ended;
}

/* --- records --------------------------------------------------------------------------------------- */

static uint8_t state_of(const struct conn_value *v, bool ended)
{
	if (v->flags & CONN_CUT)
		return STATE_CUT;
	if (v->flags & CONN_RST)
		return STATE_RESET;
	if (!(v->flags & CONN_ANSWERED))
		return STATE_UNANSWERED;
	if (ended || (v->flags & (CONN_FIN_A | CONN_FIN_B)) == (CONN_FIN_A | CONN_FIN_B))
		return STATE_CLOSED;
	return STATE_OPEN;
}

static uint64_t id_of(const struct conn *c)
{
	struct {
		struct addr from, to;
		uint64_t born;
		uint16_t from_port, to_port;
		uint32_t proto;
	} key = {c->from, c->to, c->value.born, c->from_port, c->to_port, c->proto};
	uint64_t id = hash_bytes(&key, sizeof(key), 0);

	return id ? id : 1;
}

/* Of a connection whose answers pass elsewhere, one end's segments are seen. */
static void add_tcp(struct record *record, const struct conn_value *v)
{
	uint32_t by_b = v->flags & CONN_STARTED_BY_B;

	record->tcp_seen = v->flags & CONN_DIRECT ? SEEN_INITIATOR : SEEN_BOTH;
	record->resets = v->resets;
	if (v->flags & (by_b ? CONN_RST_B : CONN_RST_A))
		record->reset_by |= SEEN_INITIATOR;
	if (v->flags & (by_b ? CONN_RST_A : CONN_RST_B))
		record->reset_by |= SEEN_RESPONDER;
	for (unsigned i = 0; i < 2; i++) {
		if (v->rtt[i]) /* less than 1 us is not 0, which is unknown */
			record->rtt_us[i] = (v->rtt[i] >> CONN_RTT_SHIFT) ?: 1;
		record->retransmits[i] = v->retransmits[i];
		record->zero_windows[i] = v->zero_windows[i];
	}
}

static void add_conn(struct reporter *r, const struct conn *c, bool ended)
{
	const struct conn_value *v = &c->value;
	struct record record = {
	    .kind = RECORD_FLOW,
	    .from = {.addr = c->from, .port = c->from_port},
	    .to = {.addr = c->to, .port = c->to_port},
	    .proto = c->proto,
	    .verdict = VERDICT_FORWARDED,
	    .state = state_of(v, ended),
	    .ended = ended,
	    .rule_egress = v->rule_egress,
	    .rule_ingress = v->rule_ingress,
	    .bytes = {v->there.bytes, v->back.bytes},
	    .packets = {v->there.packets, v->back.packets},
	    .first = wall_of(r, v->born),
	    .last = wall_of(r, v->seen > v->born ? v->seen : v->born), /* seen is by a coarse clock */
	    .id = id_of(c),
	    .epoch = r->epoch,
	    .handshake_us = v->flags & CONN_ANSWERED ? v->handshake_us : 0,
	};

	if (c->proto == IPPROTO_TCP)
		add_tcp(&record, v);
	naming_set(r->naming, &record, v->born);
	add(r, &record);
}

static void on_end(void *ctx, const struct conn *c, uint64_t at, uint32_t why)
{
	struct reporter *r = ctx;

	(void)at;
	(void)why;
	r->taken++;
	add_conn(r, c, true);
}

static int on_open(void *ctx, const struct conn *c)
{
	struct reporter *r = ctx;

	if (c->value.seen + GRACE_NS >= r->swept || c->value.born + GRACE_NS >= r->swept)
		add_conn(r, c, false);
	return 0;
}

static int on_half(void *ctx, const struct conn *c)
{
	struct reporter *r = ctx;

	r->unanswered++;
	return on_open(ctx, c);
}

static int read_counters(const struct reporter *r, uint64_t out[OBSERVE_COUNTERS_MAX])
{
	return observed_counters(r->o, out) > 0 ? 0 : -EIO;
}

/* Never more than there were: what comes meanwhile counts for the next look. */
static void note_evicted(struct reporter *r, const uint64_t *before, const uint64_t *after)
{
	uint64_t known = after[COUNTER_HALF_REMOVED] + after[COUNTER_CONN_INSERTED] + r->unanswered;

	if (before[COUNTER_HALF_INSERTED] > known && before[COUNTER_HALF_INSERTED] - known > r->evicted)
		r->evicted = before[COUNTER_HALF_INSERTED] - known;
}

static void sweep(struct reporter *r)
{
	uint64_t before[OBSERVE_COUNTERS_MAX], after[OBSERVE_COUNTERS_MAX], began;

	began = set_clocks(r);
	r->incomplete = false;
	r->unanswered = 0;
	if (read_counters(r, before) || observed_conns(r->o, false, on_half, r) || read_counters(r, after) ||
	    observed_conns(r->o, true, on_open, r)) {
		log_warn("the connections cannot be read: flows are late");
		return;
	}
	note_evicted(r, before, after);
	r->untold = after[COUNTER_ENDED_LOST] + after[COUNTER_EVENTS_LOST];
	r->asked_lost = after[COUNTER_ASKED_LOST];
	if (!r->incomplete)
		r->swept = began;
}

/* Processor time that this process took. */
static uint64_t own_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* While the hub has not taken what the last look found, there is no other: records of the same connections
 * would only push out ends. */
static void on_sweep(uv_timer_t *t)
{
	struct reporter *r = t->data;
	uint64_t us = own_us(), next = SWEEP_MS;

	if (r->o && !r->open_waiting)
		sweep(r);
	us = own_us() - us;
	if (r->looked) {
		next = LOOKED_SHARE * us / 1000;
		next = next < LOOKED_MS ? LOOKED_MS : next > SWEEP_MS ? SWEEP_MS : next;
		on_tell(&r->tell);
	}
	uv_timer_start(&r->sweep, on_sweep, next, 0);
}

static void on_drop(void *ctx, const struct seen *s)
{
	struct reporter *r = ctx;
	struct record record = {
	    .kind = s->staged ? RECORD_STAGED : RECORD_DROP,
	    .from = {.addr = s->src, .port = s->sport},
	    .to = {.addr = s->dst, .port = s->dport},
	    .proto = s->proto,
	    .verdict = s->staged ? VERDICT_STAGED : VERDICT_DROPPED,
	    .ended = true,
	    .reason = s->by_kernel ? kernel_reason(s->reason) : s->reason,
	    .cause = s->cause,
	    .bytes = {s->len, 0},
	    .packets = {1, 0},
	    .first = wall_of(r, s->at),
	    .last = wall_of(r, s->at),
	    .epoch = r->epoch,
	};

	r->taken++;
	naming_set(r->naming, &record, s->at);
	add(r, &record);
}

static void on_asked(void *ctx, const struct asked *a, size_t n)
{
	struct reporter *r = ctx;

	naming_take(r->naming, a, n);
}

static void on_question(void *ctx, struct record *record)
{
	struct reporter *r = ctx;

	record->first = wall_of(r, (uint64_t)record->first);
	record->last = wall_of(r, (uint64_t)record->last);
	record->epoch = r->epoch;
	add(r, record);
}

/* --- to the hub ------------------------------------------------------------------------------------ */

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	struct reporter *r = CONTAINER_OF(t, struct reporter, transfer);
	size_t room = sizeof(r->answer) - 1 - r->answer_n, some = n < room ? n : room;

	memcpy(r->answer + r->answer_n, p, some);
	r->answer_n += some;
	r->answer[r->answer_n] = 0;
	return n;
}

static void take_batch(struct reporter *r)
{
	struct report head = {.epoch = r->epoch,
			      .first = r->first,
			      .ends = r->ends,
			      .lost = r->lost,
			      .taken_before = r->taken_before,
			      .untold = r->untold,
			      .evicted = r->evicted,
			      .questions_lost =
				  (uint32_t)(r->asked_lost + naming_lost(r->naming) + r->dns_lost),
			      .at = wall_of(r, set_clocks(r))};
	uint32_t n = r->sizes.len < BATCH_MAX ? (uint32_t)r->sizes.len : BATCH_MAX, open = 0, ends = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		bytes += r->sizes.items[i].bytes;
		open += r->sizes.items[i].open;
		ends += !r->sizes.items[i].open && !r->sizes.items[i].dns;
	}
	buf_clear(&r->body);
	report_begin(&r->body, &head);
	buf_add(&r->body, r->waiting.p, bytes);
	report_end(&r->body, n);
	if (r->body.failed) {
		buf_fini(&r->body);
		r->body = (struct buf){};
		return;
	}
	buf_drop(&r->waiting, bytes);
	memmove(r->sizes.items, r->sizes.items + n, (r->sizes.len - n) * sizeof(*r->sizes.items));
	r->sizes.len -= n;
	r->body_records = n;
	r->body_open = open;
	r->body_ends = ends;
	r->body_ms = clock_ms();
}

static void on_tell(uv_timer_t *t)
{
	struct reporter *r = t->data;

	naming_tick(r->naming, clock_us() * 1000);
	if (r->busy || !r->based)
		return;
	if (!r->body_records)
		take_batch(r);
	if (!r->body.n || (!r->transfer.easy && !(r->transfer.easy = curl_easy_init())))
		return;
	report_waited(&r->body, clock_ms() - r->body_ms);
	curl_easy_setopt(r->transfer.easy, CURLOPT_CUSTOMREQUEST, "POST");
	curl_easy_setopt(r->transfer.easy, CURLOPT_POSTFIELDSIZE, (long)r->body.n);
	curl_easy_setopt(r->transfer.easy, CURLOPT_POSTFIELDS, r->body.p);
	curl_easy_setopt(r->transfer.easy, CURLOPT_TIMEOUT_MS, 5000L);
	r->answer_n = 0;
	r->answer[0] = 0;
	r->busy = !transfer_start(r->curl, &r->transfer, r->path);
}

/* Somebody looks from now on: the next look at what is open comes soon. */
static void note_looked(struct reporter *r, bool looked)
{
	if (looked && !r->looked)
		uv_timer_start(&r->sweep, on_sweep, LOOKED_MS, 0);
	r->looked = looked;
}

/* What a hub did not take is told again, under the same numbers: a hub that took it after all knows them. */
static void on_told(struct transfer *t, long status, CURLcode error)
{
	struct reporter *r = CONTAINER_OF(t, struct reporter, transfer);

	(void)error;
	r->busy = false;
	/* Numbered, but never taken: the hub counts them as missing. A node that it does not know yet comes.
	 */
	if (status >= 400 && status < 500 && status != 404) {
		log_error("the hub refuses a report of flows: HTTP %ld", status);
		status = 200;
	}
	if (status != 200)
		return;
	if (strstr(r->answer, "\"again\":true"))
		r->swept = 0;
	note_looked(r, strstr(r->answer, "\"looked\":true") != NULL);
	r->first += r->body_records;
	r->ends += r->body_ends;
	r->open_waiting -= r->body_open;
	r->body_open = 0;
	r->body_records = 0;
	buf_clear(&r->body);
	if (r->sizes.len >= BATCH_MAX)
		on_tell(&r->tell);
}

int reporter_new(struct reporter **out, struct curl_loop *curl, const char *node)
{
	struct reporter *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	if (naming_new(&r->naming, on_question, r)) {
		free(r);
		return -ENOMEM;
	}
	r->curl = curl;
	snprintf(r->path, sizeof(r->path), "/apis/weft.network/internal/flows/%s", node);
	set_clocks(r);
	/* Another one after each start: seconds since 1970 do, as a start takes longer. */
	r->epoch = (uint32_t)clock_wall();
	r->transfer.body = on_body;
	r->transfer.done = on_told;
	uv_timer_init(curl->loop, &r->tell);
	uv_timer_init(curl->loop, &r->sweep);
	r->tell.data = r->sweep.data = r;
	uv_timer_start(&r->tell, on_tell, TELL_MS, TELL_MS);
	uv_timer_start(&r->sweep, on_sweep, SWEEP_MS, 0);
	*out = r;
	return 0;
}

/* How much the kernel told others before us: all that it told, without what lies in the rings now. */
static void find_base(struct reporter *r)
{
	uint64_t before[OBSERVE_COUNTERS_MAX], after[OBSERVE_COUNTERS_MAX], told = 0;

	for (unsigned i = 0; i < BASE_TRIES; i++) {
		if (read_counters(r, before))
			return;
		observed_poll(r->o);
		if (read_counters(r, after))
			return;
		told = after[COUNTER_ENDED_TOLD] + after[COUNTER_EVENTS_TOLD];
		if (told == before[COUNTER_ENDED_TOLD] + before[COUNTER_EVENTS_TOLD])
			break;
	}
	r->taken_before = told > r->taken ? told - r->taken : 0;
	r->based = true;
}

void reporter_observe(struct reporter *r, struct observed *o)
{
	r->o = o;
	if (!o)
		return;
	set_clocks(r);
	observed_on_end(o, on_end, r);
	observed_on_drop(o, on_drop, r);
	observed_on_asked(o, on_asked, r);
	if (!r->based)
		find_base(r);
}

void reporter_stats(const struct reporter *r, struct buf *b)
{
	buf_printf(b,
		   "{\"epoch\":%u,\"told\":%" PRIu64 ",\"waiting\":%zu,\"lost\":%" PRIu64
		   ",\"taken\":%" PRIu64 ",\"takenBefore\":%" PRIu64 ",\"evicted\":%" PRIu64
		   ",\"questionsLost\":%" PRIu64 ",\"dns\":",
		   r->epoch, r->first, r->sizes.len + r->body_records, r->lost, r->taken, r->taken_before,
		   r->evicted, r->dns_lost);
	naming_stats(r->naming, b);
	buf_addc(b, '}');
}
