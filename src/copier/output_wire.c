/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that leave as frames by an outlet of the node: interfaces and pods as they are, tunnels' packets as
 * their chain has made them. The kernel takes each at once or refuses it: nothing waits here.
 */
#include <errno.h>

#include "base/own.h"
#include "copier/output.h"

enum { RETRY_NS = 1000000000 };

struct wire {
	struct output o;
	uint32_t outlet;
	struct output_counts n;
	uint64_t failed; /* ns of the last refusal; 0: it works */
	uint64_t now;
};

static int wire_new(struct output **out, const struct output_config *c, const struct output_ops *ops)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->o = (struct output){ops, c->host};
	w->outlet = c->outlet;
	w->n.failing = !c->outlet;
	*out = &w->o;
	return 0;
}

static int wire_open(struct output **out, const struct output_config *c, struct buf *why)
{
	(void)why;
	return wire_new(out, c, &output_wire);
}

static int tunnel_open(struct output **out, const struct output_config *c, struct buf *why)
{
	(void)why;
	return wire_new(out, c, &output_tunnel);
}

static enum output_loss loss_of(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ENOBUFS:
		return LOST_QUEUE;
	case -EMSGSIZE:
		return LOST_MTU;
	case -ENOMEM:
		return LOST_MEMORY;
	default:
		return LOST_SEND;
	}
}

static void wire_give(struct output *o, const struct chain_packet *p, const struct seen *s)
{
	struct wire *w = CONTAINER_OF(o, struct wire, o);
	int r;

	(void)s;
	if (!w->outlet || p->link != CHAIN_LINK_ETHERNET) {
		w->n.losses[w->outlet ? LOST_NOT_ETHERNET : LOST_NO_OUTLET]++;
		return;
	}
	r = o->host->send(o->host->ctx, w->outlet, p->p, p->caplen);
	if (!r) {
		w->n.sent++;
		w->n.sent_bytes += p->caplen;
		return;
	}
	w->n.losses[loss_of(r)]++;
	if (loss_of(r) == LOST_SEND) {
		w->n.failing = true;
		w->failed = w->now;
	}
}

/* What failed is tried again. */
static void wire_tick(struct output *o, uint64_t now)
{
	struct wire *w = CONTAINER_OF(o, struct wire, o);

	w->now = now;
	if (w->outlet && w->n.failing && now > w->failed + RETRY_NS)
		w->n.failing = false;
}

static void wire_counts(const struct output *o, struct output_counts *out)
{
	*out = ((const struct wire *)(const void *)o)->n;
}

static bool wire_finish(struct output *o, bool last)
{
	(void)o;
	(void)last;
	return true;
}

static void wire_free(struct output **o)
{
	free(CONTAINER_OF(*o, struct wire, o));
	*o = NULL;
}

const struct output_ops output_wire = {.name = "interface",
				       .open = wire_open,
				       .give = wire_give,
				       .tick = wire_tick,
				       .counts = wire_counts,
				       .finish = wire_finish,
				       .free = wire_free,
				       .refused = LOST_MEMORY};
const struct output_ops output_tunnel = {.name = "tunnel",
					 .open = tunnel_open,
					 .give = wire_give,
					 .tick = wire_tick,
					 .counts = wire_counts,
					 .finish = wire_finish,
					 .free = wire_free,
					 .refused = LOST_MEMORY};
