/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages → records and names: see naming.h. */
#include "agent/naming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/own.h"
#include "observe/asked.h"
#include "observe/domains.h"

struct naming {
	struct asked_list *asked;
	struct domains *domains;
	void (*fn)(void *ctx, struct record *r);
	void *ctx;
};

static void on_told(void *ctx, const struct asked_told *t)
{
	struct naming *m = ctx;
	struct record r = {.kind = RECORD_DNS,
			   .from = {.addr = t->ends.asker, .port = t->ends.asker_port},
			   .to = {.addr = t->ends.server, .port = t->ends.server_port},
			   .proto = (uint8_t)t->ends.proto,
			   .verdict = VERDICT_FORWARDED,
			   .ended = true,
			   .bytes = {t->bytes[0], t->bytes[1]},
			   .packets = {t->packets, t->code != DNS_NO_ANSWER},
			   .first = (int64_t)t->at,
			   .last = (int64_t)t->again_at,
			   .handshake_us = (uint32_t)(t->answer_ns / 1000),
			   .dns = str_of(t->name),
			   .dns_type = t->type,
			   .dns_code = t->code};

	/* known from the moment on in which the pod gets it, which is that of the answer */
	for (unsigned i = 0; i < t->addresses_len; i++)
		domains_learn(m->domains, &t->ends.asker, &t->addresses[i], r.dns, t->again_at);
	m->fn(m->ctx, &r);
}

int naming_new(struct naming **out, void (*fn)(void *ctx, struct record *r), void *ctx)
{
	struct naming *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->ctx = ctx;
	if (domains_new(&m->domains, DOMAINS_MAX) || asked_new(&m->asked, on_told, m)) {
		domains_free(&m->domains);
		free(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void naming_take(struct naming *m, const struct asked *a, size_t n)
{
	struct asked_ends e = {.asker_port = __builtin_bswap16(a->asker_port),
			       .server_port = __builtin_bswap16(a->server_port),
			       .proto = a->proto};

	memcpy(&e.asker, &a->asker, sizeof(e.asker));
	memcpy(&e.server, &a->server, sizeof(e.server));
	asked_take(m->asked, &e, a->flags & ASKED_ANSWER, a->at, a->message, n, a->len);
}

void naming_tick(struct naming *m, uint64_t now)
{
	asked_tick(m->asked, now);
}

void naming_set(const struct naming *m, struct record *r, uint64_t at)
{
	r->dns_code = 1;
	r->dns = domains_at(m->domains, &r->from.addr, &r->to.addr, at);
	if (r->dns.n)
		return;
	r->dns_code = 0;
	r->dns = domains_at(m->domains, &r->to.addr, &r->from.addr, at);
}

uint64_t naming_lost(const struct naming *m)
{
	return asked_counts(m->asked).no_room;
}

void naming_stats(const struct naming *m, struct buf *b)
{
	struct asked_counts n = asked_counts(m->asked);
	struct domains_size d = domains_size(m->domains);

	buf_printf(b,
		   "{\"questions\":%" PRIu64 ",\"again\":%" PRIu64 ",\"answered\":%" PRIu64
		   ",\"unanswered\":%" PRIu64 ",\"waiting\":%zu,\"noRoom\":%" PRIu64 ",\"unasked\":%" PRIu64
		   ",\"odd\":%" PRIu64 ",\"names\":%zu,\"namesMadeRoom\":%" PRIu64 ",\"namesLost\":%" PRIu64
		   "}",
		   n.questions, n.again, n.answered, n.unanswered, n.waiting, n.no_room, n.unasked, n.odd,
		   d.addresses, d.made_room, d.lost);
}
