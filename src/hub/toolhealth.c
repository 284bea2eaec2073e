/* SPDX-License-Identifier: Apache-2.0 */
/* Words of weft-copiers → one for each tool: see toolhealth.h. */
#include "hub/toolhealth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/vec.h"

enum { SILENT_ROUNDS = 2, NAMED_MAX = 4 };

struct port { /* borrows from its node's account */
	const char *tool, *port, *kind;
	const json_t *losses;
	bool failing, silent; /* silent: it takes, but does not answer */
};

struct word {
	char *node;
	json_t *account;	/* the last one; NULL: it never answered */
	VEC(struct port) ports; /* that are in force there, by tool */
	unsigned silent;	/* rounds, in a row */
	bool seen;
};

struct toolhealth {
	VEC(struct word) nodes;
};

struct toolhealth *toolhealth_new(void)
{
	return calloc(1, sizeof(struct toolhealth));
}

static void word_fini(struct word *w)
{
	free(w->node);
	json_decref(w->account);
	vec_free(&w->ports);
}

void toolhealth_free(struct toolhealth **ph)
{
	struct toolhealth *h = *ph;

	if (!h)
		return;
	VEC_EACH (&h->nodes, w)
		word_fini(w);
	vec_free(&h->nodes);
	free(TAKE(*ph));
}

void toolhealth_begin(struct toolhealth *h)
{
	VEC_EACH (&h->nodes, w)
		w->seen = false;
}

void toolhealth_end(struct toolhealth *h)
{
	for (size_t i = h->nodes.len; i-- > 0;)
		if (!h->nodes.items[i].seen) {
			word_fini(&h->nodes.items[i]);
			vec_remove(&h->nodes, i);
		}
}

static int by_tool(const void *a, const void *b)
{
	const struct port *x = a, *y = b;
	int d = strcmp(x->tool, y->tool);

	return d ? d : strcmp(x->port, y->port);
}

/* A port to which nothing is due on that node, and which has no way there, is none of the node's. */
static int read_ports(struct word *w)
{
	const json_t *t;
	size_t i;

	w->ports.len = 0;
	json_array_foreach (json_object_get(w->account, "tools"), i, t) {
		struct port p = {.tool = json_string_value(json_object_get(t, "tool")),
				 .port = json_string_value(json_object_get(t, "port")),
				 .kind = json_string_value(json_object_get(t, "kind")),
				 .losses = json_object_get(t, "losses"),
				 .failing = !json_is_true(json_object_get(t, "taking")),
				 .silent = json_is_false(json_object_get(t, "answers"))};
		bool used = json_integer_value(json_object_get(t, "due")) || json_object_get(t, "outlet");

		if (!p.tool || !p.port || json_is_true(json_object_get(t, "gone")) ||
		    json_object_get(t, "readers") || (p.failing && !used))
			continue;
		if (vec_push(&w->ports, p))
			return -ENOMEM;
	}
	if (w->ports.len)
		qsort(w->ports.items, w->ports.len, sizeof(*w->ports.items), by_tool);
	return 0;
}

int toolhealth_node(struct toolhealth *h, const char *node, json_t *account)
{
	struct word *w = NULL;

	VEC_EACH (&h->nodes, i)
		if (!strcmp(i->node, node))
			w = i;
	if (!w) {
		struct word new = {.node = strdup(node)};

		if (!new.node || vec_push(&h->nodes, new)) {
			free(new.node);
			json_decref(account);
			return -ENOMEM;
		}
		w = &h->nodes.items[h->nodes.len - 1];
	}
	w->seen = true;
	w->silent = account ? 0 : w->silent + 1;
	if (!account)
		return 0;
	json_decref(w->account);
	w->account = account;
	return read_ports(w);
}

/* The first port of the tool; the others follow. */
static size_t first_port(const struct word *w, struct str tool)
{
	size_t low = 0, high = w->ports.len;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(str_of(w->ports.items[mid].tool), tool) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void say_failing(struct buf *out, const struct word *w, const struct port *p)
{
	const char *cause, *comma = ", lost as ";
	const json_t *n;

	buf_printf(out, "%s%s: port %s %s (%s", out->n ? "; " : "", w->node, p->port,
		   p->silent ? "does not answer" : "takes nothing", p->kind ? p->kind : "tool");
	json_object_foreach ((json_t *)(uintptr_t)p->losses, cause, n) {
		buf_printf(out, "%s%s", comma, cause);
		comma = ", ";
	}
	buf_addc(out, ')');
}

struct toolhealth_word toolhealth_of(const struct toolhealth *h, struct str tool, struct buf *message)
{
	AUTO_BUF failing = {0};
	AUTO_BUF silent = {0};
	unsigned fail = 0, quiet = 0, good = 0, dead = 0;

	VEC_EACH (&h->nodes, w) {
		size_t first = first_port(w, tool), i = first;

		for (; i < w->ports.len && str_eqz(tool, w->ports.items[i].tool); i++) {
			const struct port *p = &w->ports.items[i];

			if (w->silent >= SILENT_ROUNDS)
				continue;
			good += !p->failing;
			dead += p->failing && !p->silent;
			if (p->failing && fail++ < NAMED_MAX)
				say_failing(&failing, w, p);
		}
		if (w->silent >= SILENT_ROUNDS && (i > first || !w->account) && quiet++ < NAMED_MAX)
			buf_printf(&silent, "%s%s", silent.n ? ", " : "", w->node);
	}
	message->failed |= failing.failed | silent.failed;
	if (fail) {
		buf_adds(message, buf_str(&failing));
		if (fail > NAMED_MAX)
			buf_printf(message, "; and %u more", fail - NAMED_MAX);
		return (struct toolhealth_word){"False", dead ? "TakesNothing" : "DoesNotAnswer"};
	}
	if (quiet) {
		buf_printf(message, "weft-copier does not answer on " STR_FMT, STR_ARG(buf_str(&silent)));
		if (quiet > NAMED_MAX)
			buf_printf(message, " and %u more nodes", quiet - NAMED_MAX);
		return (struct toolhealth_word){"Unknown", "NoAnswer"};
	}
	if (good) {
		buf_addz(message, "Every node that has copies for it gets rid of them");
		return (struct toolhealth_word){"True", "TakesPackets"};
	}
	buf_addz(message, "No map that is in force on a node leads there");
	return (struct toolhealth_word){"Unknown", "NotUsed"};
}
