/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom `weft why` asks about a node: its planner over agent.sock, or a compiler made here over a store of
 * files. Both answer with the text of compile/why_json.c, so that the answers are the same.
 */
#include "cli/why.h"

#include "base/own.h"
#include "cli/agent_socket.h"
#include "cli/cluster.h"
#include "cli/judge.h"
#include "cli/output.h"
#include "seam/config.h"

#include <errno.h>
#include <stdio.h>

struct compiled {
	char *node;
	struct compiler *compiler;
};
struct why_source {
	const char *cluster; /* NULL: offline */
	const struct store *store;
	uint32_t mode;
	json_t *looked;	  /* node → true: it was looked at */
	json_t *troubles; /* what was found */
	VEC(struct compiled) nodes;
};

int why_source_new(struct why_source **out, const struct store *s, const struct options_why *o)
{
	struct why_source *src = calloc(1, sizeof(*src));

	if (!src) {
		cli_error(NULL, "out of memory");
		return -1;
	}
	src->cluster = o->files || o->model ? NULL : cluster_name(o->name);
	src->store = s;
	src->looked = json_object();
	src->troubles = json_array();
	src->mode = o->mode && !strcmp(o->mode, "routes") ? MODE_ROUTES : MODE_VXLAN;
	*out = src;
	return 0;
}

bool why_source_routes(const struct why_source *s)
{
	return s->mode == MODE_ROUTES;
}

void why_source_free(struct why_source **sp)
{
	struct why_source *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	VEC_EACH (&s->nodes, n) {
		compiler_free(&n->compiler);
		free(n->node);
	}
	vec_free(&s->nodes);
	json_decref(s->looked);
	json_decref(s->troubles);
	free(s);
}

const char *why_source_cluster(const struct why_source *s)
{
	return s->cluster;
}

/* --- files --- */

static struct compiler *compiler_of(struct why_source *s, const char *node)
{
	struct compiled one = {0};

	VEC_EACH (&s->nodes, n)
		if (!strcmp(n->node, node))
			return n->compiler;
	if (judge_compile_quietly(&one.compiler, s->store, str_of(node), s->mode))
		return NULL;
	one.node = strdup(node);
	if (!one.node || vec_push(&s->nodes, one)) {
		compiler_free(&one.compiler);
		free(one.node);
	}
	return one.compiler;
}

static int offline(struct why_source *s, const char *node, const struct why_question *q, bool to,
		   struct buf *out)
{
	struct compiler *c = compiler_of(s, node);
	struct explanation e = {0};
	struct why_answer a = {0};
	int r;

	if (!c)
		return -1;
	if (to) {
		r = why_to(c, q, &e);
		if (!r)
			explanation_json(out, &e);
	} else {
		r = why_from(c, q, &a);
		if (!r)
			why_answer_json(out, &a);
	}
	explanation_fini(&e);
	why_answer_fini(&a);
	if (r)
		cli_error(NULL, "node %s: %s", node, r == -ENOENT ? "no such pod is here" : strerror(-r));
	return r;
}

/* --- a running cluster --- */

static int online(const struct why_source *s, const char *node, const struct why_question *q, bool to,
		  struct buf *out)
{
	char src[ADDR_TEXT], dst[ADDR_TEXT];

	addr_print(&q->src, src);
	addr_print(&q->dst, dst);
	AUTO_JSON ask = json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:b,s:b}", "op", "why", "side",
				  to ? "to" : "from", "src", src, "dst", dst, "protocol", q->proto, "port",
				  q->port, "outside", q->outside, "self", q->self);
	return agent_ask_text(s->cluster, node, ask, out);
}

json_t *why_source_troubles(struct why_source *s)
{
	return s->troubles;
}

static const json_t *trouble_of(struct why_source *s, const char *node)
{
	json_t *t;
	size_t i;

	if (!json_object_get(s->looked, node)) {
		json_object_set_new(s->looked, node, json_true());
		t = why_trouble(s->cluster, node);
		if (t)
			json_array_append_new(s->troubles, t);
	}
	json_array_foreach (s->troubles, i, t)
		if (!strcmp(json_string_value(json_object_get(t, "node")) ?: "", node))
			return t;
	return NULL;
}

/* Where the agent is away, the objects answer for it. */
static bool is_away(struct why_source *s, const char *node)
{
	const json_t *t = trouble_of(s, node);
	const char *mode = json_string_value(json_object_get(t, "mode"));

	if (mode)
		s->mode = strcmp(mode, "routes") ? MODE_VXLAN : MODE_ROUTES;
	return json_is_true(json_object_get(t, "away"));
}

json_t *why_source_ask(struct why_source *s, const char *node, const struct why_question *q, bool to)
{
	AUTO_BUF text = {0};
	json_error_t e;
	json_t *v;

	if (s->cluster && !is_away(s, node) ? online(s, node, q, to, &text) : offline(s, node, q, to, &text))
		return NULL;
	v = text.failed ? NULL : json_loadb(text.p ? text.p : "", text.n, 0, &e);
	if (v && !to && s->cluster && trouble_of(s, node) && why_kernel_add(v, s->cluster, q))
		json_object_set_new(v, "differs", json_true());
	if (!v)
		cli_error(NULL, "the answer of %s cannot be read", node);
	return v;
}
