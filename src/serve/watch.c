/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: each holds the version that it has told, and reads on from the store's history when its client
 * took what was sent. So a slow client costs nothing; one slower than the history is told 410 and ended.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/own.h"
#include "serve/api_state.h"
#include "serve/snapshot.h"
#include "serve/table.h"

enum {
	CHUNK = 64 << 10,
	TIMEOUT_SECONDS = 3600,
	BOOKMARK_SECONDS = 60,
	/* Waking a watch and writing to it costs some 2 us, a change more in what is written a tenth of that.
	 * So with many watches there is a pause after each telling; with few each change is told at once. */
	RESTLESS = 100,
	REST_US = 5,
};

struct watch {
	struct http_stream stream;
	struct api *api;
	const struct kind_desc *kind; /* NULL: a resource that never has events */
	struct select select;
	struct show show;
	uint64_t since;
	struct page *state; /* while the state of `since` is told, before what came after: where it goes on */
	bool bookmarks, columns_sent, bookmark_due, initial_end;
	uint64_t end_ms, bookmark_ms;
	struct watch *next, **prev;
};

static void send_object(struct watch *w, const char *type, const struct object *o)
{
	struct buf *b = &w->stream.out;
	buf_printf(b, "{\"type\":\"%s\",\"object\":", type);
	if (w->show.table) {
		if (w->columns_sent)
			table_begin_bare(b, o->version);
		else
			table_begin(b, w->kind->kind, o->version);
		w->columns_sent = true;
		table_row(b, o, clock_wall(), w->show.whole, w->show.print);
		buf_addz(b, "]}");
	} else {
		printed_add(&w->api->printed, b, o, w->show.print);
	}
	buf_addz(b, "}\n");
}

/* Whether this watch selects the object now, and whether it did before. */
static void selected(const struct watch *w, const struct event *e, bool *now, bool *was)
{
	*now = e->type != EVENT_DELETED && select_matches(&w->select, e->object);
	*was = e->type == EVENT_DELETED ? select_matches(&w->select, e->object)
					: e->old && select_matches(&w->select, e->old);
}

static int send_event(void *ctx, const struct event *e)
{
	struct watch *w = ctx;
	bool now, was;
	selected(w, e, &now, &was);
	w->since = e->version;
	if (now)
		send_object(w, was ? "MODIFIED" : "ADDED", e->object);
	else if (was)
		send_object(w, "DELETED", e->object);
	return w->stream.out.n >= CHUNK;
}

static void send_bookmark(struct watch *w)
{
	struct buf *b = &w->stream.out;
	w->bookmark_due = false;
	w->bookmark_ms = clock_ms() + BOOKMARK_SECONDS * 1000;
	if (w->show.table) {
		buf_addz(b, "{\"type\":\"BOOKMARK\",\"object\":");
		table_begin_bare(b, w->since);
		buf_addz(b, "]}}\n");
		return;
	}
	buf_printf(b,
		   "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":"
		   "{\"resourceVersion\":\"%llu\"%s}}}\n",
		   w->kind->name, kind_api_version(w->kind), (unsigned long long)w->since,
		   w->initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	w->initial_end = false;
}

static void send_expired(struct watch *w)
{
	struct api_error e = {0};
	api_fail(&e, 410, "Expired", "resource version %llu is too old; list again",
		 (unsigned long long)w->since);
	buf_addz(&w->stream.out, "{\"type\":\"ERROR\",\"object\":");
	status_print(&w->stream.out, &e, NULL);
	/* The Status ends with a newline of its own. */
	if (w->stream.out.n)
		w->stream.out.n--;
	buf_addz(&w->stream.out, "}\n");
	api_error_fini(&e);
	w->stream.done = true;
}

/* Without a version the state comes first, as ADDED events; in pieces, as the client takes them. */
static void send_state(struct watch *w)
{
	struct object_refs all = {0};
	int r = snapshot_list(w->api, w->kind->kind, w->select.ns, w->state->version, &all);
	const struct object *last = NULL;

	if (r == -ESTALE)
		send_expired(w);
	w->stream.done |= r != 0;
	VEC_EACH (&all.list, o) {
		if (page_skips(w->state, *o) || !select_matches(&w->select, *o))
			continue;
		send_object(w, "ADDED", *o);
		last = *o;
		if (w->stream.out.n >= CHUNK)
			break;
	}
	if (last && w->stream.out.n >= CHUNK) {
		page_after(w->state, last);
	} else {
		free(w->state);
		w->state = NULL;
	}
	vec_free(&all.list);
}

static void watch_pull(struct http_stream *s)
{
	struct watch *w = CONTAINER_OF(s, struct watch, stream);
	if (w->select.who->ended) {
		s->done = true;
		return;
	}
	if (w->state)
		send_state(w);
	if (w->kind && !w->state && !s->done) {
		int r = store_replay(w->api->store, w->since, 1ULL << w->kind->kind, send_event, w);
		if (r == -ESTALE) {
			send_expired(w);
			return;
		}
		if (r == 0)
			w->since = store_version(w->api->store);
		if (w->bookmark_due && w->bookmarks && r == 0)
			send_bookmark(w);
	}
	if (clock_ms() >= w->end_ms && !s->out.n)
		s->done = true;
}

static void watch_close(struct http_stream *s)
{
	struct watch *w = CONTAINER_OF(s, struct watch, stream);
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	who_unref(&w->select.who);
	select_fini(&w->select);
	free(w->state);
	free(w);
}

static int start_version(struct api *a, const struct http_request *rq, uint64_t *since, bool *initial,
			 struct api_error *e)
{
	const char *text = http_query(rq, "resourceVersion");
	int64_t v = 0;
	*initial = !text || !*text || !strcmp(text, "0");
	*since = store_version(a->store);
	if (*initial)
		return 0;
	if (str_to_i64(str_of(text), 0, INT64_MAX, &v))
		return api_fail(e, 400, "BadRequest", "resourceVersion \"%s\" is not a number", text);
	*since = (uint64_t)v;
	if (query_true(rq, "sendInitialEvents") && *since <= store_version(a->store))
		return 0;
	if (*since < a->floor || *since < store_oldest(a->store) || *since > store_version(a->store))
		return api_fail(e, 410, "Expired",
				"resource version %s is too old or not of this cluster; list again", text);
	return 0;
}

void watch_start(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e)
{
	bool initial = false;
	int64_t seconds = TIMEOUT_SECONDS;
	const char *timeout = http_query(rq, "timeoutSeconds");
	struct watch *w = calloc(1, sizeof(*w));
	if (!w) {
		api_fail(e, 500, "InternalError", "out of memory");
		return;
	}
	w->api = a;
	w->kind = t->kind;
	w->show = show_of(rq);
	w->initial_end = query_true(rq, "sendInitialEvents");
	if (w->initial_end && (!http_query(rq, "resourceVersionMatch") ||
			       strcmp(http_query(rq, "resourceVersionMatch"), "NotOlderThan")))
		api_fail(e, 422, "Invalid",
			 "sendInitialEvents: resourceVersionMatch must be NotOlderThan where it is given");
	if (timeout && str_to_i64(str_of(timeout), 1, TIMEOUT_SECONDS * 24, &seconds))
		api_fail(e, 400, "BadRequest", "timeoutSeconds \"%s\" is not a number of seconds", timeout);
	if (e->code || select_parse(&w->select, t, rq, e) || start_version(a, rq, &w->since, &initial, e)) {
		select_fini(&w->select);
		free(w);
		return;
	}
	who_ref(w->select.who);
	w->bookmarks = query_true(rq, "allowWatchBookmarks");
	/* The state first, whatever the version, and a bookmark that says where it ends. */
	if (w->initial_end) {
		initial = true;
		w->since = store_version(a->store);
		w->bookmark_due = w->bookmarks;
	}
	w->end_ms = clock_ms() + (uint64_t)seconds * 1000;
	w->bookmark_ms = clock_ms() + BOOKMARK_SECONDS * 1000;
	w->stream.pull = watch_pull;
	w->stream.close = watch_close;
	if (w->kind && initial && !(w->state = calloc(1, sizeof(*w->state)))) {
		who_unref(&w->select.who);
		select_fini(&w->select);
		free(w);
		api_fail(e, 500, "InternalError", "out of memory");
		return;
	}
	if (w->state)
		w->state->version = w->since;
	w->next = a->watches;
	if (w->next)
		w->next->prev = &w->next;
	w->prev = &a->watches;
	a->watches = w;
	rp->stream = &w->stream;
}

static int wanted(void *ctx, const struct event *e)
{
	bool now, was;
	selected(ctx, e, &now, &was);
	return now || was;
}

/* Most changes are nothing to a watch of few objects: it sleeps on. */
static bool passes_by(struct watch *w)
{
	if (!w->stream.asleep || store_replay(w->api->store, w->since, 1ULL << w->kind->kind, wanted, w))
		return false;
	w->since = store_version(w->api->store);
	return true;
}

unsigned api_flush(struct api *a)
{
	uint64_t dirty = a->dirty, now = dirty ? clock_us() : 0;
	unsigned woken = 0;
	if (!dirty)
		return 0;
	if (now < a->rest_us)
		return (unsigned)((a->rest_us - now + 999) / 1000);
	a->dirty = 0;
	for (struct watch *w = a->watches; w; w = w->next)
		if (w->kind && dirty & (1ULL << w->kind->kind) && !passes_by(w)) {
			http_stream_wake(&w->stream);
			woken++;
		}
	a->rest_us = woken < RESTLESS ? 0 : now + (uint64_t)woken * REST_US;
	return 0;
}

void api_tick(struct api *a)
{
	uint64_t now = clock_ms();
	for (struct watch *w = a->watches; w; w = w->next) {
		if (w->bookmarks && now >= w->bookmark_ms)
			w->bookmark_due = true;
		/* The last word of a watch that asked for bookmarks is one. */
		if (w->bookmarks && now + 1000 >= w->end_ms && now < w->end_ms)
			w->bookmark_due = true;
		if (w->bookmark_due || now >= w->end_ms || w->select.who->ended)
			http_stream_wake(&w->stream);
	}
}
