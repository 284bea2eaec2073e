/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph: see graph.h. Here is what a record adds to its edge and what a frame is; graph_key.c says which
 * edge, graph_print.c what is told of it.
 */
#include "observe/graph.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "observe/graph_state.h"

enum { EDGES = 8192, OUTSIDERS = 256, SWEEP_MS = 5000, DROP_REASONS = 8 };

int graph_new(struct graph **out, const struct graph_options *o)
{
	struct graph *g = calloc(1, sizeof(*g));

	if (g)
		g->gone = calloc(GONE_KEPT, sizeof(*g->gone));
	if (!g || !g->gone) {
		free(g);
		return -ENOMEM;
	}
	g->o = *o;
	g->o.edges = o->edges ? o->edges : EDGES;
	g->o.outsiders = o->outsiders ? o->outsiders : OUTSIDERS;
	g->began_ms = g->ticked_ms = g->swept_ms = o->now_ms;
	g->frame = 1;
	*out = g;
	return 0;
}

void graph_free(struct graph **pg)
{
	struct graph *g = *pg;

	if (!g)
		return;
	while (g->edges.len)
		graph_edge_free(g, g->edges.items[g->edges.len - 1]);
	vec_free(&g->edges);
	vec_free(&g->warm);
	vec_free(&g->ends);
	hash_fini(&g->by_id);
	hash_fini(&g->by_key);
	hash_fini(&g->by_pair);
	hash_fini(&g->by_gone);
	buf_fini(&g->scratch);
	free(g->gone);
	free(TAKE(*pg));
}

/* --- what a record adds ---------------------------------------------------------------------------- */

/* The next frame looks at it. There is room in the list for each edge. */
static void warm(struct graph *g, struct graph_edge *e, uint64_t now_ms)
{
	if (!e->warm)
		g->warm.items[g->warm.len++] = e;
	e->warm = true;
	if (now_ms > e->touched_ms)
		e->touched_ms = now_ms;
}

/* It is news: no frame tells yet of what came. */
static void refresh(struct graph *g, struct graph_edge *e)
{
	g->fresh += !e->fresh;
	e->fresh = true;
}

static struct graph_slot *slot_at(struct graph *g, struct graph_edge *e, uint64_t now_ms)
{
	uint64_t number = now_ms / SLOT_MS;
	struct graph_slot *s;

	if (!e->window) {
		e->window = calloc(1, sizeof(*e->window));
		if (!e->window)
			return NULL;
		refresh(g, e);
	}
	s = &e->window->slots[number % SLOTS];
	if (s->number != number) {
		*s = (struct graph_slot){.number = number};
		VEC_EACH (&e->window->drops, d)
			d->n[number % SLOTS] = 0;
	}
	return s;
}

static void add_drop(struct graph_window *w, uint64_t number, uint16_t reason)
{
	struct graph_drops *found = NULL;

	VEC_EACH (&w->drops, d)
		if (d->reason == reason)
			found = d;
	if (!found && w->drops.len == DROP_REASONS)
		found = &w->drops.items[DROP_REASONS - 1];
	if (!found) {
		if (w->drops.len == DROP_REASONS - 1)
			reason = 0;
		if (vec_push(&w->drops, (struct graph_drops){.reason = reason}))
			return;
		found = &w->drops.items[w->drops.len - 1];
	}
	found->n[number % SLOTS]++;
}

static void add_time(struct graph *g, struct graph_slot *s, uint64_t us)
{
	uint32_t at = s->seen_times++;

	if (at >= TIMES) {
		g->random = g->random * 6364136223846793005u + 1442695040888963407u;
		at = (uint32_t)((g->random >> 33) % s->seen_times);
	}
	if (at < TIMES)
		s->times[at] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static uint64_t grown(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* How long the answer took that the record tells of newly, µs; 0: it tells of none. */
static uint64_t answer_time(const struct record *r, const struct record *before)
{
	if (r->kind == RECORD_DNS)
		return r->dns_code == DNS_NO_ANSWER ? 0 : r->handshake_us;
	if (r->handshake_us && !(before && before->handshake_us))
		return r->handshake_us;
	if (before && r->packets[0] + r->packets[1] == before->packets[0] + before->packets[1])
		return 0;
	return record_rtt(r);
}

static void add_flow(struct graph *g, struct graph_slot *s, const struct sight *sight)
{
	static const struct record nothing;
	const struct record *r = sight->now, *before = sight->before ? sight->before : &nothing;
	uint64_t us = sight->older ? 0 : answer_time(r, sight->before);

	if (us)
		add_time(g, s, us);
	if (r->kind == RECORD_DNS || sight->older) /* its packets are those of its flow; or not of now */
		return;
	s->begun += !sight->before;
	for (unsigned i = 0; i < 2; i++) {
		s->bytes[i] += grown(r->bytes[i], before->bytes[i]);
		s->packets[i] += grown(r->packets[i], before->packets[i]);
		s->lost += (uint32_t)grown(r->retransmits[i], before->retransmits[i]);
	}
}

static bool is_open(const struct record *r)
{
	return r && r->kind == RECORD_FLOW && !r->ended && r->state == STATE_OPEN;
}

/* History keeps a name that the node has forgotten since: so does the edge. */
static struct record named_as_before(const struct sight *s)
{
	struct record r = *s->now;
	struct record_end *now[2] = {&r.from, &r.to};

	for (unsigned i = 0; s->before && i < 2; i++) {
		const struct record_end *was = i ? &s->before->to : &s->before->from;

		if (was->who && was->who->domain.n && !(now[i]->who && now[i]->who->domain.n) &&
		    addr_eq(&was->addr, &now[i]->addr))
			now[i]->who = was->who;
	}
	return r;
}

static void close_before(struct graph *g, const struct record *before, uint64_t now_ms)
{
	struct graph_edge *e = graph_edge_of(g, before, false);

	if (!e || !e->open)
		return;
	e->open--;
	warm(g, e, now_ms);
}

void graph_take(struct graph *g, const struct sight *s)
{
	struct record r = named_as_before(s);
	struct graph_edge *e;

	if (r.again || r.kind == RECORD_STAGED)
		return;
	e = graph_edge_of(g, &r, true);
	if (is_open(s->before))
		close_before(g, s->before, s->now_ms);
	if (!e)
		return;
	e->open += is_open(&r);
	e->last = r.last > e->last ? r.last : e->last;
	warm(g, e, s->now_ms);
	if (s->age_ms >= (SLOTS - 1) * SLOT_MS) /* it waited at its node: no traffic of now */
		return;
	struct graph_slot *slot = slot_at(g, e, s->now_ms);

	if (slot && r.kind == RECORD_DROP)
		add_drop(e->window, slot->number, r.reason);
	else if (slot)
		add_flow(g, slot, s);
	if (slot && !e->window->packets && slot->packets[0] + slot->packets[1]) {
		e->window->packets = true;
		refresh(g, e);
	}
}

void graph_know(struct graph *g, const struct record *r, uint64_t now_ms, uint64_t age_ms)
{
	struct graph_edge *e = r->again || r->kind == RECORD_STAGED ? NULL : graph_edge_of(g, r, true);
	uint64_t at = now_ms > age_ms ? now_ms - age_ms : 0;

	if (!e)
		return;
	e->open += is_open(r);
	e->last = r->last > e->last ? r->last : e->last;
	warm(g, e, at);
}

void graph_end(struct graph *g, const struct record *r, uint64_t now_ms)
{
	if (is_open(r) && !r->again)
		close_before(g, r, now_ms);
}

void graph_recount(struct graph *g)
{
	VEC_EACH (&g->ends, at) {
		struct graph_end *e = *at;
		uint32_t n = e->kind == END_WORKLOAD && g->o.pods
				 ? g->o.pods(g->o.ctx, e->ns, e->what_kind, e->name)
				 : e->pods;

		if (n == e->pods)
			continue;
		e->pods = n;
		e->changed = 0;
	}
}

/* --- frames ---------------------------------------------------------------------------------------- */

bool graph_has_news(const struct graph *g)
{
	return g->fresh > 0;
}

static bool is_quiet(const struct graph_window *w, uint64_t number)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slots[i].number + SLOTS > number)
			return false;
	return true;
}

/* Whether it stays in the list: it has traffic in the window, which moves on. */
static bool stays_warm(struct graph_edge *e, uint64_t now_ms)
{
	if (e->window && !is_quiet(e->window, now_ms / SLOT_MS))
		return true;
	if (e->window)
		vec_free(&e->window->drops);
	free(TAKE(e->window));
	e->warm = false;
	return false;
}

static bool tell_edges(struct graph *g, uint64_t now_ms, bool news)
{
	bool any = false;
	size_t kept = 0;

	for (size_t i = 0; i < g->warm.len; i++) {
		struct graph_edge *e = g->warm.items[i];

		if (news && !e->fresh) {
			g->warm.items[kept++] = e;
			continue;
		}
		g->fresh -= e->fresh;
		e->fresh = false;
		bool stays = stays_warm(e, now_ms);

		if (graph_edge_text(g, e, now_ms)) {
			e->changed = g->frame + 1;
			any = true;
		}
		if (stays)
			g->warm.items[kept++] = e;
	}
	g->warm.len = kept;
	return any;
}

static bool tell_ends(struct graph *g)
{
	bool any = false;

	VEC_EACH (&g->ends, e)
		if (!(*e)->changed) {
			(*e)->changed = g->frame + 1;
			any = true;
		}
	return any;
}

static struct str id_str(const uint64_t *id)
{
	return (struct str){(const char *)id, sizeof(*id)};
}

void graph_edge_back(struct graph *g, uint64_t id)
{
	void *at = hash_del(&g->by_gone, id_str(&id));

	if (at)
		g->gone[(uintptr_t)at - 1].id = 0;
}

static void note_gone(struct graph *g, uint64_t id)
{
	size_t at = g->gone_n++ % GONE_KEPT;
	struct gone *x = &g->gone[at];

	if (x->id)
		hash_del(&g->by_gone, id_str(&x->id));
	*x = (struct gone){g->frame + 1, id};
	/* without memory it may be told as gone while it is there again, until it changes */
	hash_set(&g->by_gone, id_str(&id), (void *)(uintptr_t)(at + 1), NULL);
}

static bool forget(struct graph *g, uint64_t now_ms)
{
	bool any = false;

	if (now_ms - g->swept_ms < SWEEP_MS)
		return false;
	g->swept_ms = now_ms;
	for (size_t i = g->edges.len; i--;) {
		struct graph_edge *e = g->edges.items[i];

		if (e->open || e->warm || now_ms - e->touched_ms < GRAPH_KEEP_MS)
			continue;
		note_gone(g, e->id);
		graph_edge_free(g, e);
		any = true;
	}
	return any;
}

uint64_t graph_tick(struct graph *g, uint64_t now_ms, bool news)
{
	bool any = tell_edges(g, now_ms, news);

	any |= tell_ends(g);
	any |= !news && forget(g, now_ms);
	g->ticked_ms = now_ms;
	g->frame += any;
	return g->frame;
}

struct graph_size graph_size(const struct graph *g)
{
	return (struct graph_size){
	    .edges = g->edges.len, .ends = g->ends.len, .warm = g->warm.len, .unshown = g->unshown};
}
