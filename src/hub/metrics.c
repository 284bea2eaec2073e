/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes' metrics in one text: see metrics.h. */
#include "hub/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "serve/metrics.h"

enum { SILENT_MS = 15000 };

struct told {
	char *node, *text;
	size_t n;
	int64_t at; /* monotonic ms */
};

struct metrics {
	struct store *store;
	struct flows *flows;
	const struct exporters *exporters;
	VEC(struct told) told;
	uint64_t refused; /* texts that were no metrics */
};

int metrics_new(struct metrics **out, struct store *s, struct flows *f, const struct exporters *x)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->store = s;
	m->flows = f;
	m->exporters = x;
	*out = m;
	return 0;
}

static void told_free(struct told *t)
{
	free(t->node);
	free(t->text);
}

void metrics_free(struct metrics **pm)
{
	struct metrics *m = *pm;

	if (!m)
		return;
	VEC_EACH (&m->told, t)
		told_free(t);
	vec_free(&m->told);
	free(TAKE(*pm));
}

/* NULL: none, or no memory. */
static struct told *told_of(struct metrics *m, struct str node, bool make)
{
	VEC_EACH (&m->told, t)
		if (str_eqz(node, t->node))
			return t;
	char *name = make ? strndup(node.p, node.n) : NULL;

	if (!name || vec_push(&m->told, (struct told){.node = name})) {
		free(name);
		return NULL;
	}
	return &m->told.items[m->told.len - 1];
}

int metrics_take(struct metrics *m, struct str node, struct str text, struct buf *answer, struct api_error *e)
{
	const char *why;
	struct told *t;
	char *copy;

	if (!store_get(m->store, KIND_node, STR(""), node))
		return api_fail(e, 404, "NotFound", "nodes \"" STR_FMT "\" not found", STR_ARG(node));
	if (metrics_check(text, node, &why)) {
		m->refused++;
		return api_fail(e, 400, "BadRequest", "%s", why);
	}
	t = told_of(m, node, true);
	copy = t ? malloc(text.n + 1) : NULL;
	if (!copy)
		return api_fail(e, 500, "InternalError", "out of memory");
	if (text.n)
		memcpy(copy, text.p, text.n);
	free(t->text);
	t->text = copy;
	t->n = text.n;
	t->at = (int64_t)clock_ms();
	buf_addz(answer, "{\"ok\":true}\n");
	return 0;
}

static bool is_heard(const struct told *t, int64_t now)
{
	return t && t->text && now - t->at < SILENT_MS;
}

void metrics_each_sum(const struct metrics *m, void (*fn)(void *ctx, struct str node, unsigned wrong),
		      void *ctx)
{
	int64_t now = (int64_t)clock_ms();

	VEC_EACH (&m->told, t) {
		unsigned wrong = 0;

		for (struct str rest = {t->text, t->n}; is_heard(t, now) && rest.n;) {
			struct str line = str_cut(&rest, '\n');

			wrong += str_starts(line, STR("weft_account_matches{")) && str_ends(line, STR(" 0"));
		}
		if (is_heard(t, now))
			fn(ctx, str_of(t->node), wrong);
	}
}

/* Nodes that are gone are forgotten. */
static void print_nodes(struct metrics *m, struct buf *out, int64_t now)
{
	struct object_refs nodes = {0};

	if (store_list(m->store, KIND_node, STR(""), &nodes))
		return;
	buf_addz(out, "# HELP weft_node_up 1: the node's observer tells its metrics; 0: they are unknown.\n"
		      "# TYPE weft_node_up gauge\n");
	VEC_EACH (&nodes.list, o)
		buf_printf(out, "weft_node_up{node=\"" STR_FMT "\"} %d\n", STR_ARG((*o)->meta.name),
			   is_heard(told_of(m, (*o)->meta.name, false), now));
	vec_free(&nodes.list);
	for (size_t i = m->told.len; i--;)
		if (!store_get(m->store, KIND_node, STR(""), str_of(m->told.items[i].node))) {
			told_free(&m->told.items[i]);
			m->told.items[i] = m->told.items[--m->told.len];
		}
}

static void one(struct buf *out, const char *name, const char *type, const char *help, const json_t *v)
{
	if (v)
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" JSON_INTEGER_FORMAT "\n", name, help, name,
			   type, name, json_integer_value(v));
}

static void each(struct buf *out, const json_t *nodes, const char *key, const char *name, const char *help)
{
	json_t *n;
	size_t i;

	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
	json_array_foreach ((json_t *)(uintptr_t)nodes, i, n)
		if (json_object_get(n, key))
			buf_printf(out, "%s{node=\"%s\"} %" JSON_INTEGER_FORMAT "\n", name,
				   json_string_value(json_object_get(n, "name")),
				   json_integer_value(json_object_get(n, key)));
}

/* What the joined flows say of themselves, as a question for none of them is answered. */
static void print_flows(struct metrics *m, struct buf *out)
{
	struct api_error e = {0};
	AUTO_BUF text = {0};
	json_t *j, *nodes;

	if (flows_ask(m->flows, STR("{\"filter\":\"ended && !ended\",\"limit\":1}"), NULL, &text, &e)) {
		api_error_fini(&e);
		return;
	}
	j = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
	nodes = json_object_get(j, "nodes");
	each(out, nodes, "received", "weft_flow_records_received_total",
	     "Records of flows and drops that came from a node.");
	each(out, nodes, "missing", "weft_flow_records_missing_total",
	     "Records that a node numbered, but that never came.");
	each(out, nodes, "lost", "weft_flow_records_lost_total", "Records that found no room at the node.");
	one(out, "weft_flow_records_kept", "gauge", "Records of ended connections that are kept.",
	    json_object_get(j, "kept"));
	one(out, "weft_flow_records_open", "gauge", "Records of open connections.",
	    json_object_get(j, "open"));
	one(out, "weft_flow_records_made_room_total", "counter", "Records that made room for newer ones.",
	    json_object_get(j, "madeRoom"));
	one(out, "weft_flow_records_no_room_total", "counter", "Records that found no room in the hub.",
	    json_object_get(j, "noRoom"));
	json_decref(j);
}

int metrics_answer(struct metrics *m, struct buf *out)
{
	struct metrics_join join = {0};
	int64_t now = (int64_t)clock_ms();

	print_nodes(m, out, now);
	buf_printf(out,
		   "# HELP weft_metrics_refused_total Texts of nodes that were no metrics.\n"
		   "# TYPE weft_metrics_refused_total counter\nweft_metrics_refused_total %" PRIu64 "\n",
		   m->refused);
	print_flows(m, out);
	flows_sums(m->flows, out);
	exporters_print(m->exporters, out);
	VEC_EACH (&m->told, t)
		if (is_heard(t, now))
			metrics_join_add(&join, (struct str){.p = t->text, .n = t->n});
	metrics_join_print(&join, out);
	metrics_join_fini(&join);
	return out->failed ? -ENOMEM : 0;
}
