/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies for a tool that is on another node: to the weft-copier there, by this node's routes (relay.h). The
 * tool's node is asked, three times within the tool's time, whether the tool takes what comes: one that is
 * silent gets nothing until it answers, and what is due meanwhile counts as lost by that name.
 */
#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/own.h"
#include "copier/output.h"
#include "copier/relay.h"
#include "seam/tap.h"

enum { ASKS = 3, COOKIES = 4, WITHIN_S = 3, MTU_LEAST = 576, MTU_LEAST6 = 1280, MTU_MOST = 65535 };

struct relay {
	struct output o;
	uint32_t outlet, id;
	uint16_t ip_id;
	struct relay_way way;
	struct output_counts n;
	uint64_t within, next, heard; /* ms */
	bool silent, taking;
	uint64_t cookies[COOKIES];
	unsigned asked;
	uint64_t arrived;
	uint8_t frame[];
};

static bool can_be(const struct output_config *c)
{
	bool is4 = addr_is4(&c->source);

	return c->outlet && c->key && !addr_is_zero(&c->source) && !addr_is_zero(&c->far) &&
	       is4 == addr_is4(&c->far) && c->way_mtu >= (uint32_t)(is4 ? MTU_LEAST : MTU_LEAST6) &&
	       c->way_mtu <= MTU_MOST;
}

static int relay_open(struct output **out, const struct output_config *c, struct buf *why)
{
	struct relay *r;

	if (!can_be(c)) {
		buf_addz(why, "this node has no way to the tool's node");
		return -EINVAL;
	}
	r = calloc(1, sizeof(*r) + RELAY_ETHERNET + c->way_mtu);
	if (!r)
		return -ENOMEM;
	r->o = (struct output){&output_relay, c->host};
	r->outlet = c->outlet;
	r->way = (struct relay_way){.from = c->source, .to = c->far, .mtu = c->way_mtu, .key = c->key};
	r->within = (c->to->within ? c->to->within : WITHIN_S) * 1000ull;
	r->heard = clock_ms();
	r->taking = true;
	*out = &r->o;
	return 0;
}

/* 0 or -errno. */
static int send_message(struct relay *r, const struct relay_message *m, uint32_t flow)
{
	uint32_t n = relay_frame(&r->way, m, flow, r->ip_id++, r->frame);

	return r->o.host->send(r->o.host->ctx, r->outlet, r->frame, n);
}

static int send_copy(struct relay *r, const struct chain_packet *p, uint32_t parts)
{
	struct relay_message m = {.kind = RELAY_WHOLE, .key = r->way.key, .bytes = p->p, .n = p->caplen};
	uint32_t flow = (uint32_t)chain_flow(p, 0, 0), offset;
	int err = 0;

	if (parts == 1)
		return send_message(r, &m, flow);
	m.kind = RELAY_PART;
	m.id = r->id++;
	m.total = p->caplen;
	m.parts = (uint16_t)parts;
	for (; !err && m.part < parts; m.part++) {
		relay_part(m.total, parts, m.part, &offset, &m.n);
		m.bytes = p->p + offset;
		err = send_message(r, &m, flow);
	}
	return err;
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

static void relay_give(struct output *o, const struct chain_packet *p, const struct seen *s)
{
	struct relay *r = CONTAINER_OF(o, struct relay, o);
	uint32_t parts = relay_parts(&r->way, p->caplen);
	int err;

	(void)s;
	if (p->link != CHAIN_LINK_ETHERNET || p->caplen < RELAY_ETHERNET) {
		r->n.losses[LOST_NOT_ETHERNET]++;
		return;
	}
	if (!parts || r->silent) {
		r->n.losses[parts ? LOST_NODE : LOST_MTU]++;
		return;
	}
	err = send_copy(r, p, parts);
	if (err) {
		r->n.losses[loss_of(err)]++;
		return;
	}
	r->n.relayed++;
	r->n.relayed_bytes += p->caplen;
}

static void ask(struct relay *r)
{
	struct relay_message m = {.kind = RELAY_ASK, .key = r->way.key};
	uint8_t frame[RELAY_ROOM];
	uint32_t n;

	if (getrandom(&m.cookie, sizeof(m.cookie), GRND_NONBLOCK) != sizeof(m.cookie))
		return;
	r->cookies[r->asked++ % COOKIES] = m.cookie;
	n = relay_frame(&r->way, &m, r->asked, r->ip_id++, frame);
	r->o.host->send(r->o.host->ctx, r->outlet | OUTLET_CANARY, frame, n);
}

static void relay_tick(struct output *o, uint64_t now)
{
	struct relay *r = CONTAINER_OF(o, struct relay, o);
	uint64_t ms = clock_ms();

	(void)now;
	if (ms >= r->next) {
		ask(r);
		r->next = ms + r->within / ASKS;
	}
	r->silent = r->silent || ms - r->heard >= r->within;
	r->n.failing = r->silent || !r->taking;
}

void relay_heard(struct output *o, const struct addr *from, const struct relay_message *m)
{
	struct relay *r = CONTAINER_OF(o, struct relay, o);
	bool mine = false;

	for (unsigned i = 0; i < COOKIES && i < r->asked; i++)
		mine |= r->cookies[i] == m->cookie;
	if (!mine || m->key != r->way.key || !addr_eq(from, &r->way.to))
		return;
	r->heard = clock_ms();
	r->silent = false;
	r->taking = m->taking;
	r->arrived = m->arrived;
	r->n.failing = !r->taking;
}

bool relay_answers(const struct output *o, uint64_t *arrived)
{
	const struct relay *r = (const struct relay *)(const void *)o;

	*arrived = r->arrived;
	return !r->silent;
}

static void relay_counts(const struct output *o, struct output_counts *out)
{
	*out = ((const struct relay *)(const void *)o)->n;
}

static bool relay_finish(struct output *o, bool last)
{
	(void)o;
	(void)last;
	return true;
}

static void relay_free(struct output **o)
{
	free(CONTAINER_OF(*o, struct relay, o));
	*o = NULL;
}

const struct output_ops output_relay = {.name = "relay",
					.open = relay_open,
					.give = relay_give,
					.tick = relay_tick,
					.counts = relay_counts,
					.finish = relay_finish,
					.free = relay_free,
					.refused = LOST_NO_OUTLET};
