/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of ends in words, see label.h. Called by whoever prints answers. */
#include "reason/label.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"

static bool same_workload(const struct end *a, const struct end *b)
{
	return b->kind == END_POD && str_eq(a->ns, b->ns) && str_eq(a->workload, b->workload);
}

static bool alone(const struct ends *e, size_t i)
{
	const struct end *end = &e->list.items[i];

	return !(i && same_workload(end, &e->list.items[i - 1])) &&
	       !(i + 1 < e->list.len && same_workload(end, &e->list.items[i + 1]));
}

void end_print(struct buf *b, const struct ends *e, const struct end *end)
{
	char text[PREFIX_TEXT];

	if (end->kind == END_NODE) {
		buf_printf(b, "node:" STR_FMT, STR_ARG(end->name));
	} else if (end->kind == END_POD) {
		bool one = alone(e, (size_t)(end - e->list.items));
		buf_printf(b, STR_FMT "/" STR_FMT, STR_ARG(end->ns),
			   STR_ARG(one ? end->workload : end->name));
	} else {
		prefix_print(&e->regions.list.items[end->region].prefix, text);
		buf_addz(b, text);
	}
}

struct labeller {
	const struct ends *e;
	const bool *in, *neutral;
	struct labels *out;
	int error;
};

static void say(struct labeller *l, struct buf *b)
{
	char *copy = b->failed ? NULL : strndup(b->p ? b->p : "", b->n);

	if (!copy || vec_push(&l->out->list, copy)) {
		free(copy);
		l->error = -ENOMEM;
	}
	buf_clear(b);
}

static bool counts(const struct labeller *l, size_t i)
{
	return l->in[i] || (l->neutral && l->neutral[i]);
}

/* All of [from, to) may count as in, and some are. */
static bool whole(const struct labeller *l, size_t from, size_t to)
{
	bool any = false;

	for (size_t i = from; i < to; i++) {
		if (!counts(l, i))
			return false;
		any |= l->in[i];
	}
	return any;
}

static void say_pods(struct labeller *l, size_t from, size_t to)
{
	AUTO_BUF b = {0};

	for (size_t i = from, next; i < to; i = next) {
		const struct end *first = &l->e->list.items[i];
		for (next = i + 1; next < to && same_workload(first, &l->e->list.items[next]); next++)
			;
		if (whole(l, i, next)) {
			buf_printf(&b, STR_FMT "/" STR_FMT, STR_ARG(first->ns), STR_ARG(first->workload));
			say(l, &b);
			continue;
		}
		for (size_t k = i; k < next; k++)
			if (l->in[k]) {
				end_print(&b, l->e, &l->e->list.items[k]);
				say(l, &b);
			}
	}
}

static void say_namespaces(struct labeller *l, size_t pods)
{
	AUTO_BUF b = {0};

	for (size_t i = 0, next; i < pods; i = next) {
		const struct end *first = &l->e->list.items[i];
		size_t workloads = 1;
		for (next = i + 1; next < pods && str_eq(first->ns, l->e->list.items[next].ns); next++)
			workloads += !same_workload(&l->e->list.items[next - 1], &l->e->list.items[next]);
		if (workloads > 1 && whole(l, i, next)) {
			buf_printf(&b, "all of " STR_FMT, STR_ARG(first->ns));
			say(l, &b);
		} else {
			say_pods(l, i, next);
		}
	}
}

static void say_outside(struct labeller *l, size_t from)
{
	const struct ends *e = l->e;
	bool *in = calloc(e->regions.list.len + 1, sizeof(*in)), any = false;
	AUTO_BUF b = {0};

	for (size_t i = from; in && i < e->list.len; i++) {
		in[e->list.items[i].region] = l->in[i];
		any |= l->in[i];
	}
	if (!in)
		l->error = -ENOMEM;
	if (any) {
		regions_print(&b, &e->regions, in);
		say(l, &b);
	}
	free(in);
}

int ends_label(struct labels *out, const struct ends *e, const bool *in, const bool *neutral)
{
	struct labeller l = {.e = e, .in = in, .neutral = neutral, .out = out};
	size_t pods = 0, nodes;
	AUTO_BUF b = {0};

	while (pods < e->list.len && e->list.items[pods].kind == END_POD)
		pods++;
	for (nodes = pods; nodes < e->list.len && e->list.items[nodes].kind == END_NODE; nodes++)
		;
	if (pods && nodes > pods && whole(&l, 0, pods) && whole(&l, pods, nodes) &&
	    whole(&l, nodes, e->list.len)) {
		buf_addz(&b, "everybody");
		say(&l, &b);
		return l.error;
	}
	if (pods > 1 && whole(&l, 0, pods)) {
		buf_addz(&b, "every pod");
		say(&l, &b);
	} else {
		say_namespaces(&l, pods);
	}
	if (nodes - pods > 1 && whole(&l, pods, nodes)) {
		buf_addz(&b, "every node");
		say(&l, &b);
	} else {
		for (size_t i = pods; i < nodes; i++)
			if (in[i]) {
				end_print(&b, e, &e->list.items[i]);
				say(&l, &b);
			}
	}
	say_outside(&l, nodes);
	return l.error;
}

void labels_fini(struct labels *l)
{
	VEC_EACH (&l->list, t)
		free(*t);
	vec_free(&l->list);
}
