/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the cluster stands, in the page's stream: how old each node's word is, how many remarks there are, and
 * why the map is empty where it is. Told when it changes, and every few seconds. Called by page_live.c.
 */
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/page_live_state.h"

enum { AGAIN_MS = 4000, SILENT_MS = 10000 };

struct node_age {
	struct str name;
	int64_t ms; /* negative: it never told anything */
};

struct standing {
	VEC(struct node_age) nodes;
	uint64_t now_ms;
	size_t talking;
	size_t pods, running;
	const char *empty; /* NULL: it is not */
};

static void on_node(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost)
{
	struct standing *s = ctx;

	(void)lost;
	VEC_EACH (&s->nodes, n)
		if (str_eqz(n->name, node))
			n->ms = s->now_ms > heard_ms ? (int64_t)(s->now_ms - heard_ms) : 0;
}

static void look_at_nodes(struct standing *s, const struct hub *h)
{
	struct object_refs nodes = {0};

	s->now_ms = clock_ms();
	if (store_list(h->store, KIND_node, STR(""), &nodes))
		return;
	VEC_EACH (&nodes.list, o)
		if (vec_push(&s->nodes, (struct node_age){(*o)->meta.name, -1}))
			break;
	vec_free(&nodes.list);
	flows_each_node(h->flows, on_node, s);
	VEC_EACH (&s->nodes, n)
		s->talking += n->ms >= 0 && n->ms < SILENT_MS;
}

static void look_at_pods(struct standing *s, const struct live *l, const struct hub *h)
{
	struct object_refs pods = {0};

	if (store_list(h->store, KIND_pod, STR(""), &pods))
		return;
	VEC_EACH (&pods.list, o) {
		const struct pod_status *status = (*o)->pod->status;

		if (!access_sees(l->who, *o))
			continue;
		s->pods++;
		s->running += status && str_eqz(status->phase, "Running");
	}
	vec_free(&pods.list);
}

/* The first that applies: each is the cause of those behind it. */
static const char *why_empty(const struct standing *s, const struct live *l, const struct hub *h)
{
	if (h->opt.host)
		return "host";
	if (l->graph && page_graph_size(l->graph).edges)
		return NULL;
	if (!s->nodes.len)
		return "no-nodes";
	if (!s->talking)
		return "no-agents";
	if (!s->pods)
		return "no-pods";
	if (!s->running)
		return "no-running-pods";
	return l->graph ? "no-traffic" : NULL;
}

/* Of what is news when it is another: no ages. */
static uint64_t sum_of(const struct standing *s, size_t remarks)
{
	uint64_t h = hash_bytes(s->empty ? s->empty : "", s->empty ? strlen(s->empty) : 0, remarks);

	VEC_EACH (&s->nodes, n) {
		bool talks = n->ms >= 0 && n->ms < SILENT_MS;

		h = hash_bytes(n->name.p, n->name.n, h + talks);
	}
	return h;
}

static void print(struct buf *b, const struct standing *s, size_t remarks)
{
	struct timespec t;
	const char *comma = "";

	clock_gettime(CLOCK_REALTIME, &t);
	live_event(b, "state");
	buf_printf(b, "{\"at\":%" PRId64 ",\"nodes\":[", (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
	VEC_EACH (&s->nodes, n) {
		buf_printf(b, "%s{\"name\":", comma);
		buf_json(b, n->name);
		if (n->ms < 0)
			buf_addz(b, ",\"age\":null}");
		else
			buf_printf(b, ",\"age\":%.1f}", (double)n->ms / 1000);
		comma = ",";
	}
	buf_printf(b, "],\"remarks\":%zu,\"empty\":", remarks);
	if (s->empty)
		buf_printf(b, "\"%s\"}", s->empty);
	else
		buf_addz(b, "null}");
	live_event_end(b);
}

void live_standing(struct live *l, struct hub *h)
{
	size_t remarks = h->remarks.list.len + h->running.list.len;
	struct standing s = {0};
	uint64_t sum;

	look_at_nodes(&s, h);
	look_at_pods(&s, l, h);
	s.empty = why_empty(&s, l, h);
	sum = sum_of(&s, remarks);
	if (!l->state_ms || sum != l->state || s.now_ms - l->state_ms >= AGAIN_MS) {
		l->state_ms = s.now_ms;
		l->state = sum;
		print(&l->stream.out, &s, remarks);
	}
	vec_free(&s.nodes);
}
