/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.sock: why a connection is allowed or refused here, and what the numbers of drops' causes stand for.
 * The compiler's state answers; the kernel is asked the same through the applier, and where that is away the
 * answer says that it was not asked. Changes nothing. Called by request.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/request.h"
#include "base/clock.h"
#include "compile/why.h"

enum { CAUSES_MAX = 4096 };

struct explaining { /* an answer whose kernel's part is awaited */
	struct client *client;
	json_int_t id;
	bool to;
	uint64_t since, until;	    /* the time for which it holds, ns; 0: not known */
	struct why_answer answer;   /* or, with `to`, */
	struct explanation ingress; /* this */
};

static void explaining_free(struct explaining *x)
{
	why_answer_fini(&x->answer);
	explanation_fini(&x->ingress);
	client_release(x->client);
	free(x);
}

static void finish(struct explaining *x)
{
	AUTO_BUF b = {0};

	if (x->to)
		explanation_json(&b, &x->ingress);
	else
		why_answer_json(&b, &x->answer);
	if (x->since && b.n) {
		b.n--; /* the last brace */
		buf_printf(&b, ",\"since\":%llu,\"until\":%llu}", (unsigned long long)x->since,
			   (unsigned long long)x->until);
	}
	if (b.failed)
		client_fail(x->client, x->id, "out of memory");
	else
		client_text(x->client, x->id, buf_str(&b));
	explaining_free(x);
}

/* The explanations in the order in which the kernel is asked; their number. What a pod says to itself through
 * a Service is judged where it connects, and cannot be asked. */
static size_t parts(struct explaining *x, struct explanation **out, size_t max)
{
	size_t n = 0;

	if (x->to && !x->ingress.self)
		out[n++] = &x->ingress;
	VEC_EACH (&x->answer.flows, f)
		if (f->judged && !f->egress.self && n < max)
			out[n++] = &f->egress;
	return n;
}

static void on_answered(void *ctx, int err, const struct ask *asks, size_t n)
{
	struct explanation *e[WIRE_ASKS_MAX];
	struct explaining *x = ctx;
	size_t have = parts(x, e, WIRE_ASKS_MAX);

	for (size_t i = 0; !err && i < n && i < have; i++) {
		e[i]->ask = asks[i];
		e[i]->asked = true;
	}
	finish(x);
}

static void ask_kernel(struct planner *p, struct explaining *x)
{
	struct explanation *e[WIRE_ASKS_MAX];
	struct ask asks[WIRE_ASKS_MAX];
	size_t n = parts(x, e, WIRE_ASKS_MAX);

	for (size_t i = 0; i < n; i++)
		asks[i] = e[i]->ask;
	if (!n || planner_ask(p, asks, n, on_answered, x))
		finish(x);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A Service's flows are as old as the newest of them. */
static void note_since(const struct planner *p, struct explaining *x, const struct why_question *q)
{
	const struct since *s = &p->since;
	uint64_t at = 0;

	if (!sync_steady(p) || !s->floor)
		return;
	if (x->to)
		at = since_of(s, &q->src, &q->dst, x->ingress.rows.set);
	VEC_EACH (&x->answer.flows, f)
		at = later(at, since_of(s, &q->src, &f->dst, f->egress.rows.set));
	x->since = at;
	x->until = clock_wall_ns();
}

static bool take_question(const json_t *o, struct why_question *q, bool *to)
{
	const char *side = json_string_value(json_object_get(o, "side"));
	json_int_t proto = json_integer_value(json_object_get(o, "protocol"));
	json_int_t port = json_integer_value(json_object_get(o, "port"));

	*q = (struct why_question){.proto = (uint8_t)proto,
				   .port = (uint16_t)port,
				   .outside = json_is_true(json_object_get(o, "outside")),
				   .self = json_is_true(json_object_get(o, "self"))};
	*to = side && !strcmp(side, "to");
	return side && proto > 0 && proto < 256 && port >= 0 && port < 65536 &&
	       !addr_parse(str_of(json_string_value(json_object_get(o, "src"))), &q->src) &&
	       !addr_parse(str_of(json_string_value(json_object_get(o, "dst"))), &q->dst);
}

void explain_why(struct planner *p, struct client *c, json_int_t id, const json_t *o)
{
	struct why_question q;
	struct explaining *x;
	bool to;
	int err;

	if (!take_question(o, &q, &to)) {
		client_fail(c, id, "why needs side (from or to), src, dst, protocol, port");
		return;
	}
	if (!p->compiler || !p->enforcing) {
		client_fail(c, id, "the plan is not in force yet");
		return;
	}
	x = calloc(1, sizeof(*x));
	if (!x) {
		client_fail(c, id, "out of memory");
		return;
	}
	client_hold(c);
	x->client = c;
	x->id = id;
	x->to = to;
	err = to ? why_to(p->compiler, &q, &x->ingress) : why_from(p->compiler, &q, &x->answer);
	if (err) {
		client_fail(c, id, err == -ENOENT ? "no pod of this node has that address" : strerror(-err));
		explaining_free(x);
		return;
	}
	note_since(p, x, &q);
	ask_kernel(p, x);
}

void explain_causes(struct planner *p, struct client *c, json_int_t id, const json_t *o)
{
	const json_t *ids = json_object_get(o, "ids"), *v;
	AUTO_BUF b = {0};
	size_t i, n = 0;

	if (!p->compiler || json_array_size(ids) > CAUSES_MAX) {
		client_fail(c, id, p->compiler ? "too many ids" : "the plan is not in force yet");
		return;
	}
	buf_addz(&b, "[");
	json_array_foreach ((json_t *)(uintptr_t)ids, i, v) {
		json_int_t number = json_integer_value(v);
		AUTO_BUF one = {0};

		if (number <= 0 || number > UINT32_MAX ||
		    !why_cause_json(p->compiler, &one, (uint32_t)number))
			continue;
		buf_addz(&b, n++ ? ",\n" : "\n");
		buf_adds(&b, buf_str(&one));
		b.failed |= one.failed;
	}
	buf_addz(&b, "]");
	if (b.failed)
		client_fail(c, id, "out of memory");
	else
		client_text(c, id, buf_str(&b));
}
