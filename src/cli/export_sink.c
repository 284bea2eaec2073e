/* SPDX-License-Identifier: Apache-2.0 */
/* What an exporter's sinks share: back-off, counting, templates that are due. See export.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/export.h"

enum { WAIT_MIN_MS = 100, WAIT_MAX_MS = 5000 };

enum sink_result sink_stand(struct sink *k, const char *fmt, ...)
{
	bool first = !k->trouble[0];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->trouble, sizeof(k->trouble), fmt, ap);
	va_end(ap);
	k->wait_ms = !k->wait_ms ? WAIT_MIN_MS : k->wait_ms * 2 < WAIT_MAX_MS ? k->wait_ms * 2 : WAIT_MAX_MS;
	k->retry_at = clock_ms() + k->wait_ms;
	if (first && k->o->follow)
		cli_error(NULL, "%s; waiting", k->trouble);
	return SINK_STANDS;
}

void sink_commit(struct sink *k, const struct export_chunk *c)
{
	struct export_state *s = k->s;

	s->written++;
	s->in_write = 0;
	if (c) {
		s->done += c->done;
		s->records += c->records;
		s->messages++;
		s->bytes += c->n;
	}
	if (k->trouble[0] && k->o->follow)
		cli_error(NULL, "going on");
	k->trouble[0] = 0;
	k->wait_ms = 0;
	k->disk = false;
	k->moved_at = clock_ms();
}

/* --- templates ------------------------------------------------------------------------------------- */

static void refresh(struct sink *k)
{
	uint64_t now = clock_ms();

	if (k->fresh_at && now - k->fresh_at < (uint64_t)k->o->template_seconds * 1000 &&
	    k->messages < (uint32_t)k->o->template_messages)
		return;
	/* over a stream they are never lost */
	if (k->to->kind == EXPORT_UDP)
		k->told.len = 0;
	k->statistics = true;
	k->fresh_at = now;
	k->messages = 0;
}

static struct ipfix *message_of(const struct sink *k, uint32_t domain, uint32_t sequence)
{
	struct ipfix *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->domain = domain;
	m->sequence = sequence;
	m->pen = k->form->pen;
	m->both_ways = k->form->both_ways;
	m->room = sink_room(k);
	ipfix_begin(m, (uint32_t)clock_wall());
	return m;
}

void sink_add_templates(struct sink *k, uint32_t domain, uint32_t sequence)
{
	AUTO_MEM struct ipfix *m = NULL;

	if (k->form->json)
		return;
	refresh(k);
	VEC_EACH (&k->told, d)
		if (*d == domain)
			return;
	m = message_of(k, domain, sequence);
	if (!m || vec_push(&k->told, domain))
		return; /* no memory: the next chunk tries again */
	ipfix_add_templates(m);
	ipfix_end(m);
	buf_add(&k->front, m->bytes, m->n);
}

/* The exporter's own numbers, and which domain is which node. */
void sink_add_statistics(struct sink *k)
{
	struct export_state *s = k->s;
	struct ipfix_statistics v = {s->bytes, s->messages, s->records, export_lost(s)};
	AUTO_MEM struct ipfix *m = NULL;

	if (k->form->json)
		return;
	refresh(k);
	if (!k->statistics || !(m = message_of(k, 0, s->sequence0)))
		return;
	k->statistics = false;
	ipfix_add_statistics(m, &v);
	for (uint32_t i = 0; i < s->nodes_len; i++) {
		const char *name = s->nodes[i].name;

		if (ipfix_add_domain(m, export_domain(name), str_of(name)))
			continue;
		s->sequence0 += m->records;
		ipfix_end(m);
		buf_add(&k->front, m->bytes, m->n);
		m->sequence = s->sequence0;
		ipfix_begin(m, (uint32_t)clock_wall());
		ipfix_add_domain(m, export_domain(name), str_of(name));
	}
	s->sequence0 += m->records;
	ipfix_end(m);
	buf_add(&k->front, m->bytes, m->n);
}

/* --- each kind ------------------------------------------------------------------------------------- */

int sink_open(struct sink *k)
{
	int r;

	k->fd = -1;
	k->moved_at = clock_ms();
	if (k->to->kind == EXPORT_STDOUT)
		k->fd = STDOUT_FILENO;
	if (k->to->kind == EXPORT_UDP)
		return datagram_open(k);
	if (k->to->kind != EXPORT_FILE)
		return stream_open(k);
	r = file_open(k);
	if (r)
		cli_error(NULL, "--to file:%s: %s", k->to->path, strerror(-r));
	return r;
}

void sink_close(struct sink *k)
{
	if (k->fd >= 0 && k->to->kind != EXPORT_STDOUT)
		close(TAKE_FD(k->fd));
	buf_fini(&k->front);
	vec_free(&k->told);
}

enum sink_result sink_put(struct sink *k, struct export_batch *b)
{
	const struct export_chunk *c = &b->chunks.items[k->s->written];

	if (clock_ms() < k->retry_at && k->trouble[0])
		return SINK_STANDS;
	if (k->to->kind == EXPORT_UDP)
		return datagram_put(k, b);
	if (k->to->kind == EXPORT_FILE)
		return file_put(k, b->bytes.p + c->at, c);
	return stream_put(k, b);
}

enum sink_result sink_settle(struct sink *k, struct export_batch *b)
{
	return k->to->kind == EXPORT_TCP || k->to->kind == EXPORT_UNIX ? stream_settle(k, b) : SINK_TAKEN;
}

void sink_tick(struct sink *k)
{
	if (k->to->kind == EXPORT_UDP)
		datagram_tick(k);
}

uint32_t sink_room(const struct sink *k)
{
	return k->to->kind == EXPORT_UDP ? datagram_room(k) : IPFIX_MESSAGE_MAX;
}
