/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs for the page: see page_graph.h. What a graph is, is in observe/graph.c. */
#include "hub/page_graph.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/flownames.h"

enum {
	GRAPHS_MAX = 16,   /* different ones */
	LINGER_MS = 15000, /* without a reader: a page that is loaded again finds it */
	NEWS_MS = 100,	   /* between two frames at least */
	LARGE = 500,	   /* edges with traffic */
	KNOWN_MAX = 50000, /* records of the time before that are looked at */
};

struct page_graph {
	struct page_graphs *all;
	struct graph *graph;
	const struct who *who; /* one of those who see it */
	char *key;
	unsigned readers;
	uint64_t left_ms, frame;
};

struct page_graphs {
	struct store *store;
	struct flows *flows;
	struct flow_looker looker;
	struct subscription *sub; /* NULL: nobody looks */
	struct hash pods;	  /* "ns/Kind/name" of a workload → how many it has */
	bool pods_changed, odd;
	uv_timer_t soon;
	uint64_t framed_ms;
	VEC(struct page_graph *) list;
	void (*news)(void *ctx);
	void *ctx;
};

static int64_t wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- pods of workloads ----------------------------------------------------------------------------- */

static void put_workload(struct buf *b, struct str ns, struct str kind, struct str name)
{
	buf_clear(b);
	buf_adds(b, ns);
	buf_addc(b, '/');
	buf_adds(b, kind);
	buf_addc(b, '/');
	buf_adds(b, name);
}

static void count_pods(struct page_graphs *g)
{
	struct object_refs pods = {0};
	AUTO_BUF key = {0};

	g->pods_changed = false;
	hash_fini(&g->pods);
	g->pods = (struct hash){0};
	if (store_list(g->store, KIND_pod, STR(""), &pods))
		return;
	VEC_EACH (&pods.list, p) {
		struct identity w = {.workload_kind = STR("Pod"), .workload = (*p)->meta.name};

		if (flow_names_pod_is_over(*p))
			continue;
		flow_names_workload(g->store, *p, &w);
		put_workload(&key, (*p)->meta.ns, w.workload_kind, w.workload);
		uintptr_t n = (uintptr_t)hash_get(&g->pods, buf_str(&key));

		if (key.failed || hash_set(&g->pods, buf_str(&key), (void *)(n + 1), NULL))
			break;
	}
	vec_free(&pods.list);
}

static uint32_t pods_of(void *ctx, struct str ns, struct str kind, struct str name)
{
	struct page_graph *v = ctx;
	AUTO_BUF key = {0};

	put_workload(&key, ns, kind, name);
	return key.failed ? 0 : (uint32_t)(uintptr_t)hash_get(&v->all->pods, buf_str(&key));
}

static void on_event(void *ctx, const struct event *e)
{
	struct page_graphs *g = ctx;

	g->pods_changed |= e->object->desc->kind == KIND_pod;
}

/* --- what comes ------------------------------------------------------------------------------------ */

static void on_seen(void *ctx, const struct sight *s)
{
	struct page_graphs *g = ctx;

	VEC_EACH (&g->list, v)
		graph_take((*v)->graph, s);
}

static void on_ended(void *ctx, const struct record *r)
{
	struct page_graphs *g = ctx;
	uint64_t now = clock_ms();

	VEC_EACH (&g->list, v)
		graph_end((*v)->graph, r, now);
}

static void on_soon(uv_timer_t *t)
{
	struct page_graphs *g = t->data;

	g->framed_ms = clock_ms();
	VEC_EACH (&g->list, v)
		if (graph_has_news((*v)->graph))
			(*v)->frame = graph_tick((*v)->graph, g->framed_ms, true);
	g->news(g->ctx);
}

/* What is new on the map does not wait for the next second. */
static void on_told(void *ctx)
{
	struct page_graphs *g = ctx;
	uint64_t now = clock_ms(), due = g->framed_ms + NEWS_MS;
	bool news = false;

	VEC_EACH (&g->list, v)
		news |= graph_has_news((*v)->graph);
	if (news && !uv_is_active((uv_handle_t *)&g->soon))
		uv_timer_start(&g->soon, on_soon, due > now ? due - now : 0, 0);
}

/* --- who sees what --------------------------------------------------------------------------------- */

static bool shows(void *ctx, struct str ns)
{
	const struct page_graph *v = ctx;

	return access_level(v->who, ns) >= ACCESS_VIEW;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The namespaces that he may see, in order; "*" alone where that is all. NULL: no memory. */
static char *key_of(const struct who *who)
{
	VEC(const char *) names = {0};
	AUTO_BUF b = {0};
	bool failed = false;

	if (access_level(who, STR("")) >= ACCESS_VIEW)
		return strdup("*");
	VEC_EACH (&who->grants, g)
		if (g->level >= ACCESS_VIEW)
			failed |= vec_push(&names, g->ns) != 0;
	if (names.len)
		qsort(names.items, names.len, sizeof(*names.items), by_text);
	VEC_EACH (&names, n) {
		buf_addz(&b, *n);
		buf_addc(&b, ' ');
	}
	vec_free(&names);
	return failed || b.failed ? NULL : strdup(b.p ? b.p : "");
}

struct knowing {
	struct graph *graph;
	uint64_t now_ms;
	int64_t wall_ns;
	bool open;
};

static int know(void *ctx, const struct record *r)
{
	struct knowing *k = ctx;
	int64_t age = k->wall_ns - r->last;

	/* those that are open come by themselves */
	if (k->open || r->ended)
		graph_know(k->graph, r, k->now_ms, age > 0 ? (uint64_t)age / 1000000 : 0);
	return 0;
}

static int know_all(struct page_graphs *g, struct graph *graph)
{
	struct knowing k = {
	    .graph = graph, .now_ms = clock_ms(), .wall_ns = wall_ms() * 1000000, .open = true};
	int64_t since = k.wall_ns - (int64_t)GRAPH_KEEP_MS * 1000000;
	int r = flows_each_open(g->flows, know, &k);

	k.open = false;
	return r ? r : flows_each_since(g->flows, since > 0 ? since : 0, KNOWN_MAX, know, &k);
}

static int begin_looking(struct page_graphs *g)
{
	int r = g->sub ? 0 : store_subscribe(g->store, on_event, g, &g->sub);

	if (!r) {
		flows_set_looker(g->flows, &g->looker);
		count_pods(g);
	}
	return r;
}

static void end_looking(struct page_graphs *g)
{
	flows_set_looker(g->flows, NULL);
	if (g->sub)
		store_unsubscribe(&g->sub);
	hash_fini(&g->pods);
	g->pods = (struct hash){0};
	uv_timer_stop(&g->soon);
}

static void graph_gone(struct page_graph *v)
{
	graph_free(&v->graph);
	who_unref(&v->who);
	free(v->key);
	free(v);
}

static struct page_graph *graph_made(struct page_graphs *g, const struct who *who, char *key)
{
	struct page_graph *v = calloc(1, sizeof(*v));
	struct graph_options o = {.pods = pods_of, .ctx = v, .now_ms = clock_ms()};

	if (!v)
		return NULL;
	v->all = g;
	v->who = who_ref(who);
	if (strcmp(key, "*") != 0)
		o.shows = shows;
	if ((!g->list.len && begin_looking(g)) || vec_reserve(&g->list, g->list.len + 1) ||
	    graph_new(&v->graph, &o) || know_all(g, v->graph)) {
		if (!g->list.len)
			end_looking(g);
		graph_gone(v);
		return NULL;
	}
	v->key = key;
	v->frame = graph_tick(v->graph, o.now_ms, false);
	g->list.items[g->list.len++] = v;
	return v;
}

struct page_graph *page_graph_get(struct page_graphs *g, const struct who *who)
{
	AUTO_MEM char *key = key_of(who);
	struct page_graph *v = NULL;

	if (!key)
		return NULL;
	VEC_EACH (&g->list, x)
		if (!strcmp((*x)->key, key))
			v = *x;
	if (!v && g->list.len < GRAPHS_MAX) {
		v = graph_made(g, who, key);
		if (v)
			key = NULL;
	}
	if (v)
		v->readers++;
	return v;
}

void page_graph_put(struct page_graph **pv)
{
	struct page_graph *v = TAKE(*pv);

	if (v && !--v->readers)
		v->left_ms = clock_ms();
}

uint64_t page_graph_frame(const struct page_graph *v)
{
	return v->frame;
}

void page_graph_print(const struct page_graph *v, uint64_t since, struct buf *out)
{
	graph_print(v->graph, since, wall_ms(), out);
}

struct graph_size page_graph_size(const struct page_graph *v)
{
	return graph_size(v->graph);
}

/* --- life ------------------------------------------------------------------------------------------ */

bool page_graphs_tick(struct page_graphs *g)
{
	uint64_t now = clock_ms();
	bool recount = g->list.len && g->pods_changed;

	g->odd = !g->odd;
	if (recount)
		count_pods(g);
	for (size_t i = g->list.len; i--;) {
		struct page_graph *v = g->list.items[i];

		if (!v->readers && now - v->left_ms >= LINGER_MS) {
			vec_remove(&g->list, i);
			graph_gone(v);
			if (!g->list.len)
				end_looking(g);
			continue;
		}
		if (recount)
			graph_recount(v->graph);
		if (g->odd || graph_size(v->graph).warm < LARGE)
			v->frame = graph_tick(v->graph, now, false);
	}
	g->framed_ms = now;
	return g->list.len > 0;
}

int page_graphs_new(struct page_graphs **out, uv_loop_t *loop, struct store *s, struct flows *f,
		    void (*news)(void *ctx), void *ctx)
{
	struct page_graphs *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->store = s;
	g->flows = f;
	g->news = news;
	g->ctx = ctx;
	g->looker = (struct flow_looker){.seen = on_seen, .ended = on_ended, .told = on_told, .ctx = g};
	uv_timer_init(loop, &g->soon);
	g->soon.data = g;
	*out = g;
	return 0;
}

void page_graphs_free(struct page_graphs **pg)
{
	struct page_graphs *g = *pg;

	if (!g)
		return;
	if (g->sub)
		store_unsubscribe(&g->sub);
	flows_set_looker(g->flows, NULL);
	hash_fini(&g->pods);
	VEC_EACH (&g->list, v)
		graph_gone(*v);
	vec_free(&g->list);
	free(TAKE(*pg));
}
