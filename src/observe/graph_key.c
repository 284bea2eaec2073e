/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which edge of the graph a record belongs to, and between which ends: workloads of pods, Services, nodes,
 * networks and names outside. In a flood networks and ports are folded together. Names of namespaces that are
 * not shown go no further than here. Called by graph.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "observe/graph_state.h"
#include "observe/record_json.h"

enum { EPHEMERAL = 32768, ID_MAX = 600 };

/* --- ends ------------------------------------------------------------------------------------------ */

static bool is_shown(const struct graph *g, struct str ns)
{
	return !g->o.shows || g->o.shows(g->o.ctx, ns);
}

static enum end_kind kind_of(const struct graph *g, const struct rollup_end *who)
{
	if (who->ns.n && !is_shown(g, who->ns))
		return END_HIDDEN;
	switch (who->kind) {
	case IDENTITY_POD:
		return END_WORKLOAD;
	case IDENTITY_SERVICE:
		return END_SERVICE;
	case IDENTITY_NODE:
		return END_NODE;
	case IDENTITY_OUTSIDE:
		return END_OUTSIDE;
	case IDENTITY_UNKNOWN:
		break;
	}
	return END_UNKNOWN;
}

static struct str print_id(enum end_kind kind, const struct rollup_end *who, char out[ID_MAX])
{
	static const char *const words[] = {[END_NODE] = "node",
					    [END_OUTSIDE] = "outside",
					    [END_UNKNOWN] = "unknown",
					    [END_HIDDEN] = "hidden"};
	int n;

	if (kind == END_WORKLOAD || kind == END_SERVICE)
		n = snprintf(out, ID_MAX, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(who->ns),
			     STR_ARG(who->what_kind), STR_ARG(who->what));
	else if (kind == END_HIDDEN || !who->what.n)
		n = snprintf(out, ID_MAX, "%s", words[kind]);
	else
		n = snprintf(out, ID_MAX, "%s/" STR_FMT, words[kind], STR_ARG(who->what));
	return (struct str){out, n < ID_MAX ? (size_t)n : ID_MAX - 1};
}

static struct str put_text(char **at, struct str s)
{
	struct str out = {*at, s.n};

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

static struct graph_end *end_new(struct graph *g, enum end_kind kind, struct str id,
				 const struct rollup_end *who)
{
	struct rollup_end nobody = {0};
	const struct rollup_end *w = kind == END_HIDDEN ? &nobody : who;
	struct graph_end *e = calloc(1, sizeof(*e) + id.n + w->ns.n + w->what_kind.n + w->what.n);
	char *at;

	if (!e)
		return NULL;
	at = (char *)(e + 1);
	e->kind = kind;
	e->id = put_text(&at, id);
	e->ns = put_text(&at, w->ns);
	e->what_kind = put_text(&at, w->what_kind);
	e->name = put_text(&at, w->what);
	e->at = g->ends.len;
	if (kind == END_WORKLOAD && g->o.pods)
		e->pods = g->o.pods(g->o.ctx, e->ns, e->what_kind, e->name);
	if (vec_reserve(&g->ends, g->ends.len + 1) || hash_set(&g->by_id, e->id, e, NULL)) {
		free(e);
		return NULL;
	}
	g->ends.items[g->ends.len++] = e;
	g->outsiders += kind == END_OUTSIDE || kind == END_UNKNOWN;
	return e;
}

static void end_let_go(struct graph *g, struct graph_end *e)
{
	struct graph_end *last;

	if (!e || e->refs)
		return;
	last = g->ends.items[g->ends.len - 1];
	hash_del(&g->by_id, e->id);
	last->at = e->at;
	g->ends.items[e->at] = last;
	g->ends.len--;
	g->outsiders -= e->kind == END_OUTSIDE || e->kind == END_UNKNOWN;
	free(e);
}

static struct graph_end *end_of(struct graph *g, const struct record_end *of, bool make)
{
	char network[ROLLUP_NETWORK_TEXT], text[ID_MAX];
	struct rollup_end who;
	struct graph_end *e;
	enum end_kind kind;
	struct str id;

	rollup_end_of(of, network, &who);
	kind = kind_of(g, &who);
	id = print_id(kind, &who, text);
	e = hash_get(&g->by_id, id);
	if (e)
		return e;
	if ((kind == END_OUTSIDE || kind == END_UNKNOWN) && (!make || g->outsiders >= g->o.outsiders)) {
		who.what = (struct str){0};
		id = print_id(kind, &who, text);
		e = hash_get(&g->by_id, id);
	}
	return e || !make ? e : end_new(g, kind, id, &who);
}

/* --- edges ----------------------------------------------------------------------------------------- */

struct edge_key {
	const struct graph_end *from, *to;
	uint32_t port, proto;
	char service[ID_MAX]; /* not ended */
};

static struct str key_str(const struct edge_key *k, size_t service)
{
	return (struct str){(const char *)k, offsetof(struct edge_key, service) + service};
}

static size_t put_service(const struct graph *g, const struct record *r, char out[ID_MAX])
{
	const struct identity *s = r->service;
	int n;

	if (!s || s->kind != IDENTITY_SERVICE || !is_shown(g, s->ns))
		return 0;
	n = snprintf(out, ID_MAX, STR_FMT "/" STR_FMT, STR_ARG(s->ns), STR_ARG(s->name));
	return n < ID_MAX ? (size_t)n : ID_MAX - 1;
}

static bool in_shown_namespace(const struct graph_end *e)
{
	return e->kind == END_WORKLOAD || e->kind == END_SERVICE;
}

static uint64_t id_of(const struct graph_edge *e)
{
	const uint32_t numbers[2] = {e->port, e->proto};
	uint64_t h = hash_bytes(e->from->id.p, e->from->id.n, 1);

	h = hash_bytes(e->to->id.p, e->to->id.n, h);
	h = hash_bytes(e->service.p, e->service.n, h);
	return hash_bytes(numbers, sizeof(numbers), h);
}

static void put_head(struct graph_edge *e)
{
	struct buf *b = &e->text;
	char proto[8];

	record_protocol(e->proto, proto);
	for (char *p = proto; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	buf_printf(b, "{\"id\":\"%016llx\",\"from\":", (unsigned long long)e->id);
	buf_json(b, e->from->id);
	buf_addz(b, ",\"to\":");
	buf_json(b, e->to->id);
	buf_addz(b, ",\"service\":");
	if (e->service.n)
		buf_json(b, e->service);
	else
		buf_addz(b, "null");
	buf_printf(b, ",\"protocol\":\"%s\",\"port\":%u", proto, e->port);
	e->head = b->n;
}

struct pair {
	const struct graph_end *from, *to;
};

static uintptr_t pair_count(const struct graph *g, const struct pair *p)
{
	return (uintptr_t)hash_get(&g->by_pair, (struct str){(const char *)p, sizeof(*p)});
}

/* Without memory fewer are counted, and more have ports of their own. */
static void pair_add(struct graph *g, const struct graph_edge *e, int more)
{
	struct pair p = {e->from, e->to};
	struct str key = {(const char *)&p, sizeof(p)};
	uintptr_t n = pair_count(g, &p);

	if (more > 0)
		hash_set(&g->by_pair, key, (void *)(n + 1), NULL);
	else if (n > 1)
		hash_set(&g->by_pair, key, (void *)(n - 1), NULL);
	else
		hash_del(&g->by_pair, key);
}

static struct graph_edge *edge_new(struct graph *g, const struct edge_key *k, size_t service)
{
	struct graph_edge *e = g->edges.len < g->o.edges ? calloc(1, sizeof(*e)) : NULL;
	struct str key = key_str(k, service);
	char *copy = e ? malloc(key.n) : NULL;

	if (!copy || vec_reserve(&g->edges, g->edges.len + 1) || vec_reserve(&g->warm, g->edges.len + 1))
		goto fail;
	memcpy(copy, key.p, key.n);
	*e = (struct graph_edge){.key = {copy, key.n},
				 .from = (struct graph_end *)(uintptr_t)k->from,
				 .to = (struct graph_end *)(uintptr_t)k->to,
				 .service = {copy + key.n - service, service},
				 .port = (uint16_t)k->port,
				 .proto = (uint8_t)k->proto,
				 .at = g->edges.len};
	e->id = id_of(e);
	put_head(e);
	if (e->text.failed || hash_set(&g->by_key, e->key, e, NULL)) {
		buf_fini(&e->text);
		goto fail;
	}
	g->edges.items[g->edges.len++] = e;
	e->from->refs++;
	e->to->refs++;
	pair_add(g, e, 1);
	graph_edge_back(g, e->id);
	return e;
fail:
	free(copy);
	free(e);
	return NULL;
}

void graph_edge_free(struct graph *g, struct graph_edge *e)
{
	struct graph_edge *last = g->edges.items[g->edges.len - 1];

	hash_del(&g->by_key, e->key);
	last->at = e->at;
	g->edges.items[e->at] = last;
	g->edges.len--;
	pair_add(g, e, -1);
	e->from->refs--;
	e->to->refs--;
	end_let_go(g, e->from);
	if (e->to != e->from)
		end_let_go(g, e->to);
	if (e->window)
		vec_free(&e->window->drops);
	free(e->window);
	buf_fini(&e->text);
	free((char *)(uintptr_t)e->key.p);
	free(e);
}

/* The packet that was dropped was an answer: it belongs to the edge of the question. */
static bool goes_back(const struct record *r)
{
	return r->kind == RECORD_DROP && r->to.port >= EPHEMERAL && r->from.port && r->from.port < EPHEMERAL;
}

static struct graph_edge *edge_between(struct graph *g, struct edge_key *k, size_t service, bool make)
{
	struct graph_edge *e = hash_get(&g->by_key, key_str(k, service));

	if (e || (make && (service || pair_count(g, &(struct pair){k->from, k->to}) < PORTS_OF_TWO)))
		return e ? e : edge_new(g, k, service);
	k->port = 0;
	e = hash_get(&g->by_key, key_str(k, service));
	return e || !make ? e : edge_new(g, k, service);
}

struct graph_edge *graph_edge_of(struct graph *g, const struct record *r, bool make)
{
	const struct record_end *from = goes_back(r) ? &r->to : &r->from,
				*to = goes_back(r) ? &r->from : &r->to;
	struct graph_end *a = end_of(g, from, make), *b = a ? end_of(g, to, make) : NULL;
	struct graph_edge *e = NULL;
	struct edge_key k;

	if (a && b && (!g->o.shows || in_shown_namespace(a) || in_shown_namespace(b))) {
		k.from = a;
		k.to = b;
		k.port = to->port;
		k.proto = r->proto;
		e = edge_between(g, &k, put_service(g, r, k.service), make);
		g->unshown += make && !e;
	}
	/* what was made for nothing */
	if (b && b != a)
		end_let_go(g, b);
	end_let_go(g, a);
	return e;
}
