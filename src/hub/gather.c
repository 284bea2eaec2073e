/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of several weft-copiers as one: see gather.h. */
#include "hub/gather.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "pcapng/merge.h"

enum {
	HIGH = 256 << 10, /* bytes that wait for the client */
	HELD = 16 << 20,  /* bytes that wait for other nodes */
	DELAY_MS = 300,	  /* that a packet waits for other nodes */
	TURN_MS = 50,	  /* between looks at what is due */
	AGAIN_MS = 200,	  /* until a node is asked again */
	CLOCK_MS = 2000,  /* that a node has to say its time */
	TEXT_MAX_ = 4096,
	TELL_MS = 1000,
};

enum asks { ASKS_CLOCK, ASKS_PACKETS };

struct source { /* one node */
	struct transfer transfer;
	struct gather *of;
	unsigned number;
	enum asks asks;
	bool runs, paused, over;
	long status;
	char node[64];
	struct buf text; /* what is no stream */
	uint64_t again_ms;
	int64_t asked_ns; /* for its clock, of this machine's */
	bool clock_known;
	double ahead_ms, error_ms;
};

struct gather {
	struct http_later later;
	struct http_stream stream;
	struct relays *all;
	struct relay_told told;
	bool (*more)(void *ctx);
	bool (*sees)(void *ctx, struct str name);
	char *path;
	struct pcapng_merge *merge;
	struct source *sources;
	unsigned n;
	uv_timer_t timer;
	bool answered, streaming, failed, refused;
	uint64_t told_ms;
	struct relay_sums sums;
	VEC(uint64_t) dropped; /* by interface, as it was told last */
};

static uint64_t now_ns(void)
{
	return clock_us() * 1000;
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- from the nodes ------------------------------------------------------------------------------------ */

static void stop(struct source *s)
{
	if (s->runs)
		transfer_stop(&s->of->all->curl, &s->transfer);
	s->runs = s->paused = false;
	curl_easy_cleanup(s->transfer.easy);
	s->transfer.easy = NULL;
}

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	struct source *s = CONTAINER_OF(t, struct source, transfer);
	struct gather *g = s->of;
	const char *why = NULL;

	if (!s->status)
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &s->status);
	if (s->asks == ASKS_CLOCK || s->status != 200) {
		buf_add(&s->text, p, n);
		return s->text.failed || s->text.n > TEXT_MAX_ ? 0 : n;
	}
	if (g->stream.out.n > HIGH) {
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (pcapng_merge_feed(g->merge, s->number, (struct str){p, n}, now_ns(), &why) == -ENOMEM)
		g->failed = true;
	if (why) {
		log_error("packets of %s cannot be read: %s", s->node, why);
		s->over = true;
	}
	return g->failed || why ? 0 : n;
}

/* Half of what the question took is how wrong the answer may be. */
static void learn_clock(struct source *s)
{
	int64_t after = wall_ns();
	json_t *v = json_loadb(s->text.p ? s->text.p : "", s->text.n, 0, NULL);
	json_int_t there = json_integer_value(json_object_get(v, "time"));

	json_decref(v);
	if (s->status != 200 || there <= 0 || after < s->asked_ns)
		return;
	s->clock_known = true;
	s->error_ms = (double)(after - s->asked_ns) / 2e6;
	s->ahead_ms = (double)(there - s->asked_ns) / 1e6 - s->error_ms;
}

static void finish_source(struct source *s)
{
	s->over = true;
	pcapng_merge_end(s->of->merge, s->number);
}

/* The end of a question: the clock's answer, a refusal that may be over soon, a stream that broke off. */
static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct source *s = CONTAINER_OF(t, struct source, transfer);
	struct gather *g = s->of;

	(void)error;
	s->runs = s->paused = false;
	if (!s->status)
		s->status = status;
	if (s->asks == ASKS_CLOCK) {
		learn_clock(s);
		if (s->clock_known) {
			s->asks = ASKS_PACKETS;
			return;
		}
	} else if (!s->over) {
		pcapng_merge_again(g->merge, s->number);
	}
	if (s->over || !g->more || !g->more(g->told.ctx))
		finish_source(s);
	else
		s->again_ms = clock_ms() + AGAIN_MS;
}

static void ask(struct source *s)
{
	struct gather *g = s->of;
	CURL *c;

	stop(s);
	c = s->transfer.easy = relay_question(g->all, s->node, s->asks == ASKS_CLOCK ? "/time" : g->path);
	s->status = 0;
	buf_clear(&s->text);
	if (c && s->asks == ASKS_CLOCK) {
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)CLOCK_MS);
		s->asked_ns = wall_ns();
	}
	if (!c || transfer_begin(&g->all->curl, &s->transfer))
		g->failed = true;
	else
		s->runs = true;
}

/* --- to the client ------------------------------------------------------------------------------------- */

static void count(struct gather *g, const struct pcapng_block *b)
{
	if (b->kind == PCAPNG_PACKET) {
		g->sums.packets++;
		g->sums.bytes += b->packet.caplen;
	}
	if (b->kind != PCAPNG_STATISTICS || !b->statistics.has_os_dropped)
		return;
	while (g->dropped.len <= b->statistics.interface)
		if (vec_push(&g->dropped, 0))
			return;
	uint64_t was = g->dropped.items[b->statistics.interface], is = b->statistics.os_dropped;

	g->sums.dropped += is > was ? is - was : 0;
	g->dropped.items[b->statistics.interface] = is;
}

static int put_interface(struct buf *to, const struct source *from, struct pcapng_interface i)
{
	AUTO_BUF clock = {0};

	if (from->clock_known)
		buf_printf(&clock, "clock of %s: %+.3f ms beside the hub's clock, error at most %.3f ms",
			   from->node, from->ahead_ms, from->error_ms);
	else
		buf_printf(&clock, "clock of %s: not known", from->node);
	if (!i.comment.n)
		i.comment = buf_str(&clock);
	return pcapng_put_interface(to, &i);
}

static int put_names(struct gather *g, const struct pcapng_block *b)
{
	VEC(struct pcapng_name) seen = {0};
	int r = 0;

	if (!g->sees)
		return pcapng_put_names(&g->stream.out, b->names, b->names_n);
	for (size_t i = 0; i < b->names_n && !r; i++)
		if (g->sees(g->told.ctx, b->names[i].name))
			r = vec_push(&seen, b->names[i]);
	if (!r && seen.len)
		r = pcapng_put_names(&g->stream.out, seen.items, seen.len);
	vec_free(&seen);
	return r;
}

/* A comment with a name or a file in it is of a rule, which may be of another namespace. */
static int put_packet(struct gather *g, struct pcapng_packet p)
{
	struct str seen[PCAPNG_COMMENTS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; g->sees && i < p.comments_n && n < PCAPNG_COMMENTS_MAX; i++)
		if (!memchr(p.comments[i].p, '/', p.comments[i].n))
			seen[n++] = p.comments[i];
	if (g->sees) {
		p.comments = seen;
		p.comments_n = n;
	}
	return pcapng_put_packet(&g->stream.out, &p);
}

static int put(struct gather *g, const struct pcapng_block *b, unsigned from)
{
	struct buf *to = &g->stream.out;

	count(g, b);
	switch (b->kind) {
	case PCAPNG_SECTION:
		return 0;
	case PCAPNG_INTERFACE:
		return put_interface(to, &g->sources[from], b->interface);
	case PCAPNG_PACKET:
		return put_packet(g, b->packet);
	case PCAPNG_NAMES:
		return put_names(g, b);
	case PCAPNG_STATISTICS:
		return pcapng_put_statistics(to, &b->statistics);
	}
	return 0;
}

static void put_section(struct gather *g)
{
	AUTO_BUF comment = {0};

	buf_printf(&comment, "merged by time from %u node%s, by each node's own clock", g->n,
		   g->n == 1 ? "" : "s");
	struct pcapng_section s = {.application = STR("weft " WEFT_VERSION), .comment = buf_str(&comment)};

	if (pcapng_put_section(&g->stream.out, &s))
		g->failed = true;
}

/* What is due goes out, as much as the client takes. */
static void drain(struct gather *g)
{
	struct pcapng_block b;
	unsigned from = 0;
	int r = 0;

	while (!g->failed && g->stream.out.n < HIGH &&
	       (r = pcapng_merge_next(g->merge, now_ns(), &b, &from, NULL)) > 0)
		g->failed = put(g, &b, from) == -ENOMEM;
	g->failed |= r < 0;
}

static bool over(const struct gather *g)
{
	for (unsigned i = 0; i < g->n; i++)
		if (!g->sources[i].over)
			return false;
	return true;
}

static void pull(struct http_stream *st)
{
	struct gather *g = CONTAINER_OF(st, struct gather, stream);
	bool ended = over(g);

	drain(g);
	if (clock_ms() - g->told_ms >= TELL_MS && g->told.goes) {
		g->told_ms = clock_ms();
		g->told.goes(g->told.ctx, &g->sums);
	}
	g->refused |= g->told.may && !g->told.may(g->told.ctx);
	st->done = g->failed || g->refused || (ended && st->out.n < HIGH);
	for (unsigned i = 0; i < g->n && st->out.n <= HIGH; i++) {
		struct source *s = &g->sources[i];

		if (s->paused) { /* it may call on_body() before it returns */
			s->paused = false;
			curl_easy_pause(s->transfer.easy, CURLPAUSE_CONT);
		}
	}
}

static bool is_over(struct http_stream *st)
{
	const struct gather *g = CONTAINER_OF(st, struct gather, stream);

	return g->told.may && !g->told.may(g->told.ctx);
}

static void closed(uv_handle_t *h)
{
	struct gather *g = CONTAINER_OF((uv_timer_t *)h, struct gather, timer);

	free(g);
}

static void end(struct gather *g)
{
	/* It may have been cut off before it was pulled. */
	g->refused |= g->told.may && !g->told.may(g->told.ctx);
	const char *why = g->refused  ? "the right to these packets ended"
			  : g->failed ? "out of memory"
			  : over(g)   ? ""
				      : "the reader left";

	if (g->streaming && g->told.over)
		g->told.over(g->told.ctx, &g->sums, why);
	for (unsigned i = 0; i < g->n; i++) {
		stop(&g->sources[i]);
		buf_fini(&g->sources[i].text);
	}
	if (g->told.free)
		g->told.free(g->told.ctx);
	g->all->running -= g->n;
	pcapng_merge_free(&g->merge);
	vec_free(&g->dropped);
	free(g->sources);
	free(g->path);
	uv_close((uv_handle_t *)&g->timer, closed);
}

static void on_close(struct http_stream *st)
{
	end(CONTAINER_OF(st, struct gather, stream));
}

static void on_answer(struct http_later *l, struct http_reply *rp)
{
	struct gather *g = CONTAINER_OF(l, struct gather, later);

	g->answered = g->streaming = true;
	g->told_ms = clock_ms();
	rp->content_type = "application/x-pcapng";
	rp->stream = &g->stream;
	put_section(g);
	if (g->told.began)
		g->told.began(g->told.ctx);
}

static void on_gone(struct http_later *l)
{
	struct gather *g = CONTAINER_OF(l, struct gather, later);

	g->answered = true;
	end(g);
}

static void on_turn(uv_timer_t *t)
{
	struct gather *g = CONTAINER_OF(t, struct gather, timer);

	for (unsigned i = 0; i < g->n; i++) {
		struct source *s = &g->sources[i];

		if (s->runs || s->over || clock_ms() < s->again_ms)
			continue;
		if (s->again_ms && !g->more(g->told.ctx))
			finish_source(s);
		else
			ask(s);
	}
	if (g->streaming)
		http_stream_wake(&g->stream);
	else if (!g->answered)
		http_later_wake(&g->later);
}

static int begin(struct gather *g, const struct gather_ask *q)
{
	struct pcapng_merge_options o = {.streams = q->n, .delay = DELAY_MS * 1000000ull, .waiting = HELD};

	g->sources = calloc(q->n, sizeof(*g->sources));
	g->path = strdup(q->path);
	if (!g->sources || !g->path || pcapng_merge_new(&g->merge, &o))
		return -ENOMEM;
	for (unsigned i = 0; i < q->n; i++) {
		struct source *s = &g->sources[i];

		*s = (struct source){.transfer = {.body = on_body, .done = on_done}, .of = g, .number = i};
		snprintf(s->node, sizeof(s->node), "%s", q->nodes[i]);
	}
	g->n = q->n;
	g->all->running += g->n;
	return uv_timer_start(&g->timer, on_turn, 0, TURN_MS);
}

struct http_later *gather_ask(struct relays *all, const struct gather_ask *q, const struct relay_told *t,
			      struct api_error *e)
{
	bool room = all->running + q->n <= RELAYS_MAX;
	struct gather *g = room && q->n ? calloc(1, sizeof(*g)) : NULL;

	if (!g) {
		if (!room) {
			api_fail(e, 429, "TooManyRequests", "%d streams of packets run already", RELAYS_MAX);
			e->retry = true;
		} else {
			api_fail(e, 503, "ServiceUnavailable",
				 "there is no node that packets could come from");
		}
		if (t->free)
			t->free(t->ctx);
		return NULL;
	}
	*g = (struct gather){.later = {.answer = on_answer, .gone = on_gone},
			     .stream = {.pull = pull, .close = on_close, .over = is_over},
			     .all = all,
			     .told = *t,
			     .more = q->runs,
			     .sees = q->sees};
	uv_timer_init(all->curl.loop, &g->timer);
	if (begin(g, q)) {
		api_fail(e, 500, "InternalError", "out of memory");
		g->answered = true;
		end(g);
		return NULL;
	}
	return &g->later;
}
