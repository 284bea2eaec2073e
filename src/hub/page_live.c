/* SPDX-License-Identifier: Apache-2.0 */
/* The page's stream: see page_live.h. When who is told; what is told is in the files beside this one. */
#include "hub/page_live.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/page_broker.h"
#include "hub/page_live_state.h"

enum {
	BEAT_MS = 500,
	SETTLE_MS = 40,	  /* changes of objects that come together are told together */
	BROKER_MS = 1900, /* accounts of all nodes come within it */
	READERS_MAX = 64,
	READERS_OF_ONE = 16, /* of one user */
};

struct page_live {
	struct hub *hub;
	struct page_graphs *graphs;
	struct page_broker *broker;
	struct subscription *sub;
	uint64_t changed; /* kinds, a bit each */
	uv_timer_t beat, settle;
	struct live *readers;
	unsigned n;
};

static void wake_all(struct page_live *all)
{
	for (struct live *l = all->readers, *next; l; l = next) {
		next = l->next;
		http_stream_wake(&l->stream);
	}
}

static void on_beat(uv_timer_t *t)
{
	struct page_live *all = t->data;

	if (!page_graphs_tick(all->graphs) && !all->readers)
		uv_timer_stop(t);
	wake_all(all);
}

/* Traffic where there was none. */
static void on_news(void *ctx)
{
	wake_all(ctx);
}

static void on_settle(uv_timer_t *t)
{
	struct page_live *all = t->data;
	uint64_t changed = all->changed;

	all->changed = 0;
	for (struct live *l = all->readers, *next; l; l = next) {
		next = l->next;
		if (l->kinds & changed)
			http_stream_wake(&l->stream);
	}
}

static void on_event(void *ctx, const struct event *e)
{
	struct page_live *all = ctx;

	all->changed |= 1ULL << e->object->desc->kind;
}

void page_live_flush(struct page_live *all)
{
	if (!all || !all->changed)
		return;
	if (!all->readers)
		all->changed = 0;
	else if (!uv_is_active((uv_handle_t *)&all->settle))
		uv_timer_start(&all->settle, on_settle, SETTLE_MS, 0);
}

/* --- readers --------------------------------------------------------------------------------------- */

static void tell_graph(struct live *l)
{
	uint64_t newest = page_graph_frame(l->graph);
	struct buf *b = &l->stream.out;

	live_event(b, "graph");
	page_graph_print(l->graph, l->frame, b);
	live_event_end(b);
	l->frame = newest;
}

static void tell_broker(struct live *l)
{
	const struct page_live *all = l->all;
	uint64_t newest = page_broker_number(all->broker), now = clock_ms();
	struct buf *b = &l->stream.out;
	struct timespec t;

	if (l->broker_n == newest || now - l->broker_ms < BROKER_MS)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	live_event(b, "broker");
	page_broker_print(all->broker, all->hub->store, l->who,
			  (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, now, b);
	live_event_end(b);
	l->broker_n = newest;
	l->broker_ms = now;
}

static void live_pull(struct http_stream *s)
{
	struct live *l = CONTAINER_OF(s, struct live, stream);
	struct hub *h = l->all->hub;

	s->done = l->who->ended || live_objects(l, h->store);
	if (s->done || !l->synced)
		return;
	live_standing(l, h);
	if (l->graph && page_graph_frame(l->graph) != l->frame)
		tell_graph(l);
	if (l->broker)
		tell_broker(l);
}

static void live_close(struct http_stream *s)
{
	struct live *l = CONTAINER_OF(s, struct live, stream);

	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->all->n--;
	page_graph_put(&l->graph);
	who_unref(&l->who);
	free(l);
}

/* Who left and was not let go yet takes nobody's place: a page that is loaded again and again opens a stream
 * each time. */
static bool is_full(const struct page_live *all, const struct who *who)
{
	unsigned n = 0, own = 0;

	for (const struct live *l = all->readers; l; l = l->next)
		if (!http_stream_left(&l->stream)) {
			n++;
			own += !strcmp(l->who->user, who->user);
		}
	return n >= READERS_MAX || own >= READERS_OF_ONE;
}

static bool wants(const struct http_request *rq, const char *what)
{
	const char *v = http_query(rq, what);

	return v && (!strcmp(v, "1") || !strcmp(v, "true"));
}

static int live_new(struct live **out, struct page_live *all, const struct who *who,
		    const struct http_request *rq, struct api_error *e)
{
	const char *kinds = http_query(rq, "kinds");
	struct live *l;
	uint64_t mask = 0;

	if (live_kinds(kinds ? kinds : "", &mask, e))
		return -EINVAL;
	if (is_full(all, who)) {
		e->retry = true;
		return api_fail(e, 503, "ServiceUnavailable",
				"too many streams are open: at most %d, and %d of one user", READERS_MAX,
				READERS_OF_ONE);
	}
	l = calloc(1, sizeof(*l));
	if (l && wants(rq, "graph"))
		l->graph = page_graph_get(all->graphs, who);
	if (!l || (wants(rq, "graph") && !l->graph)) {
		free(l);
		e->retry = true;
		return api_fail(e, 503, "ServiceUnavailable", "there is no room for one more graph");
	}
	l->all = all;
	l->who = who_ref(who);
	l->broker = wants(rq, "broker");
	l->kinds = l->snapshot = mask;
	l->since = store_version(all->hub->store);
	l->stream.pull = live_pull;
	l->stream.close = live_close;
	*out = l;
	return 0;
}

void page_live_get(struct hub *h, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		   struct api_error *e)
{
	struct page_live *all = h->live;
	struct live *l = NULL;

	if (live_new(&l, all, who, rq, e))
		return;
	l->next = all->readers;
	if (l->next)
		l->next->prev = &l->next;
	l->prev = &all->readers;
	all->readers = l;
	all->n++;
	if (!uv_is_active((uv_handle_t *)&all->beat))
		uv_timer_start(&all->beat, on_beat, BEAT_MS, BEAT_MS);
	rp->content_type = "text/event-stream";
	rp->stream = &l->stream;
}

static void on_account(void *ctx, const char *node, json_t *account)
{
	page_live_account(ctx, node, account);
}

void page_live_account(struct page_live *all, const char *node, json_t *account)
{
	page_broker_take(all->broker, node, account, clock_ms());
}

/* --- life ------------------------------------------------------------------------------------------ */

int page_live_new(struct page_live **out, struct hub *h)
{
	struct page_live *all = calloc(1, sizeof(*all));
	int r = all ? page_graphs_new(&all->graphs, &h->loop, h->store, h->flows, on_news, all) : -ENOMEM;

	if (!r && !(all->broker = page_broker_new()))
		r = -ENOMEM;
	if (!r)
		r = store_subscribe(h->store, on_event, all, &all->sub);
	if (r) {
		if (all) {
			page_graphs_free(&all->graphs);
			page_broker_free(&all->broker);
		}
		free(all);
		return r;
	}
	all->hub = h;
	toolstatus_on_account(h->toolstatus, on_account, all);
	uv_timer_init(&h->loop, &all->beat);
	uv_timer_init(&h->loop, &all->settle);
	all->beat.data = all->settle.data = all;
	*out = all;
	return 0;
}

void page_live_free(struct page_live **pl)
{
	struct page_live *all = *pl;

	if (!all)
		return;
	store_unsubscribe(&all->sub);
	page_graphs_free(&all->graphs);
	page_broker_free(&all->broker);
	free(TAKE(*pl));
}
