/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.sock: packets lost on command, of one pod or of the node's uplink. The order goes through the applier
 * to the kernel and stays there until it is taken back or the pod goes, whoever restarts. Called by
 * request.c, told by applier_link.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/request.h"

enum { MILLION = 1000000 };

int planner_lose(struct planner *p, uint32_t ifindex, uint32_t millionths, planner_lost *fn, void *ctx)
{
	struct wire_loss l = {.ifindex = ifindex, .millionths = millionths};
	struct buf b = {0};

	if (p->state == APPLIER_AWAY)
		return -EPIPE;
	wire_start(&b, WIRE_LOSE, p->txn);
	buf_add(&b, &l, sizeof(l));
	if (b.failed || vec_push(&p->losing, ((struct losing){.fn = fn, .ctx = ctx}))) {
		buf_fini(&b);
		return -ENOMEM;
	}
	link_send(p, &b, NULL, 0);
	return 0;
}

int losing_take(struct planner *p, const void *body, size_t n)
{
	struct losing first;
	int32_t result;

	if (!p->losing.len || n != sizeof(result))
		return -EPROTO;
	memcpy(&result, body, sizeof(result));
	if (result > 0)
		return -EPROTO;
	first = p->losing.items[0];
	vec_remove(&p->losing, 0);
	first.fn(first.ctx, result);
	return 0;
}

void losing_lost(struct planner *p)
{
	while (p->losing.len) {
		struct losing first = p->losing.items[0];

		vec_remove(&p->losing, 0);
		first.fn(first.ctx, -EPIPE);
	}
	vec_free(&p->losing);
}

struct ordered {
	struct client *client;
	json_int_t id;
};

static void on_lost(void *ctx, int err)
{
	struct ordered *x = ctx;

	if (!err)
		client_ok(x->client, x->id);
	else
		client_fail(x->client, x->id,
			    err == -EPIPE    ? "the applier is away"
			    : err == -ENODEV ? "it has no interface on this node"
			    : err == -E2BIG  ? "fault-full: BPF map fault has no room for one more"
					     : strerror(-err));
	client_release(x->client);
	free(x);
}

/* 0, or why not. */
static const char *find(const struct planner *p, const json_t *o, uint32_t *ifindex)
{
	const char *ns = json_string_value(json_object_get(o, "namespace"));
	const char *name = json_string_value(json_object_get(o, "pod"));
	const struct object *pod;
	struct link_value v;
	struct link_key k;

	*ifindex = 0;
	if (json_is_true(json_object_get(o, "node")))
		return NULL;
	if (!ns || !name)
		return "fault needs namespace and pod, or \"node\":true";
	pod = store_get(p->store, KIND_pod, str_of(ns), str_of(name));
	if (!pod || !p->compiler || compiler_pod_link(p->compiler, pod->meta.uid, &k, &v))
		return "no such pod on this node, or it has no address";
	*ifindex = k.ifindex;
	return NULL;
}

void fault_order(struct planner *p, struct client *c, json_int_t id, const json_t *o)
{
	const json_t *loss = json_object_get(o, "loss");
	double part = json_number_value(loss);
	struct ordered *x;
	uint32_t ifindex;
	const char *why = find(p, o, &ifindex);
	int err;

	if (!why && (!json_is_number(loss) || !(part >= 0 && part <= 1)))
		why = "loss is a number from 0 (none) to 1 (all)";
	if (why) {
		client_fail(c, id, why);
		return;
	}
	x = calloc(1, sizeof(*x));
	if (!x) {
		client_fail(c, id, "out of memory");
		return;
	}
	*x = (struct ordered){.client = c, .id = id};
	client_hold(c);
	err = planner_lose(p, ifindex, (uint32_t)(part * MILLION + 0.5), on_lost, x);
	if (err)
		on_lost(x, err);
}
