/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers flows, see seen.h. Knows addresses, not pods. Called on a timer by the observer. */
#include "observe/seen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own.h"

struct flow_key { /* no padding */
	struct addr from, to;
	uint16_t port, proto;
};

struct flows {
	struct hash by_key; /* → struct flow, owned */
	uint64_t lost, since;
	bool answered; /* of the table at hand */
};

int flows_new(struct flows **out)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->since = clock_us() * 1000;
	*out = f;
	return 0;
}

void flows_free(struct flows **fp)
{
	struct flows *f = TAKE(*fp);

	if (!f)
		return;
	HASH_EACH (&f->by_key, s)
		free(s->value);
	hash_fini(&f->by_key);
	free(f);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static struct flow *flow_of(struct flows *f, const struct conn *c)
{
	const struct flow_key k = {
	    .from = c->from, .to = c->to, .port = has_ports(c->proto) ? c->to_port : 0, .proto = c->proto};
	struct str key = {(const char *)&k, sizeof(k)};
	struct flow *flow = hash_get(&f->by_key, key);

	if (flow)
		return flow;
	flow = f->by_key.len < SEEN_FLOWS_MAX ? calloc(1, sizeof(*flow)) : NULL;
	if (!flow || hash_set(&f->by_key, key, flow, NULL)) {
		free(flow);
		f->lost++;
		return NULL;
	}
	*flow = (struct flow){.from = k.from, .to = k.to, .port = k.port, .proto = c->proto};
	flow->first = c->value.born;
	return flow;
}

static int note(void *ctx, const struct conn *c)
{
	struct flows *f = ctx;
	struct flow *flow = c->value.flags & CONN_CUT ? NULL : flow_of(f, c);

	if (!flow)
		return 0;
	uint32_t both = CONN_FIN_A | CONN_FIN_B;
	bool closed = c->value.flags & CONN_RST || (c->value.flags & both) == both;
	flow->answered |= f->answered;
	flow->live += !closed;
	if (c->value.born < flow->first)
		flow->first = c->value.born;
	if (c->value.seen > flow->last)
		flow->last = c->value.seen;
	return 0;
}

int flows_sweep(struct flows *f, const struct observed *o)
{
	int r = 0;

	HASH_EACH (&f->by_key, s)
		((struct flow *)s->value)->live = 0;
	for (int answered = 1; answered >= 0 && !r; answered--) {
		f->answered = answered;
		r = observed_conns(o, answered, note, f);
	}
	return r;
}

int flows_each(const struct flows *f, int (*fn)(void *ctx, const struct flow *flow), void *ctx)
{
	int r = 0;

	HASH_EACH (&f->by_key, s)
		r = r ? r : fn(ctx, s->value);
	return r;
}

uint64_t flows_lost(const struct flows *f)
{
	return f->lost;
}

uint64_t flows_since(const struct flows *f)
{
	return f->since;
}
