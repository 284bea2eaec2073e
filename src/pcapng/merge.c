/* SPDX-License-Identifier: Apache-2.0 */
/* Several streams as one: see merge.h. What waits is a copy, one allocation a block, charged to `waiting`. */
#include "pcapng/merge.h"

#include <errno.h>

#include "base/own.h"

enum { WAITING = 64 << 20 };

struct entry { /* a block that waits; what it points to follows it */
	struct entry *next;
	uint64_t arrived;
	size_t bytes;
	struct pcapng_block block;
};

struct source {
	struct pcapng_reader reader;
	struct buf in;
	struct entry *first, **last;
	VEC(uint32_t) numbers; /* interfaces of the section that comes out now → the merged ones */
	bool ended;
};

struct merged { /* an interface of the merged stream */
	unsigned stream;
	uint32_t link;
	char *name; /* owned */
};

struct pcapng_merge {
	struct pcapng_merge_options o;
	struct source *sources;
	VEC(struct merged) merged;
	struct entry *given; /* what the last call handed on */
	size_t waiting;
	uint64_t time; /* of the last packet that went on */
	struct pcapng_merge_totals totals;
};

int pcapng_merge_new(struct pcapng_merge **out, const struct pcapng_merge_options *o)
{
	struct pcapng_merge *m = calloc(1, sizeof(*m));

	if (m)
		m->sources = calloc(o->streams ? o->streams : 1, sizeof(*m->sources));
	if (!m || !m->sources) {
		free(m);
		return -ENOMEM;
	}
	m->o = *o;
	if (!m->o.waiting)
		m->o.waiting = WAITING;
	for (unsigned i = 0; i < o->streams; i++)
		m->sources[i].last = &m->sources[i].first;
	*out = m;
	return 0;
}

void pcapng_merge_free(struct pcapng_merge **pm)
{
	struct pcapng_merge *m = *pm;

	*pm = NULL;
	if (!m)
		return;
	for (unsigned i = 0; i < m->o.streams; i++) {
		struct source *s = &m->sources[i];

		for (struct entry *e = s->first, *next; e; e = next) {
			next = e->next;
			free(e);
		}
		pcapng_reader_fini(&s->reader);
		buf_fini(&s->in);
		vec_free(&s->numbers);
	}
	VEC_EACH (&m->merged, i)
		free(i->name);
	vec_free(&m->merged);
	free(m->given);
	free(m->sources);
	free(m);
}

/* --- in ---------------------------------------------------------------------------------------------- */

static struct str keep(char **at, struct str s)
{
	char *p = *at;

	if (s.n)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return (struct str){p, s.n};
}

/* Bytes behind the entry that a copy needs. */
static size_t size_of(const struct pcapng_block *b)
{
	size_t n = 0;

	switch (b->kind) {
	case PCAPNG_SECTION:
		break;
	case PCAPNG_INTERFACE:
		n = b->interface.name.n + b->interface.description.n + b->interface.filter.n +
		    b->interface.comment.n;
		break;
	case PCAPNG_PACKET:
		n = b->packet.caplen + b->packet.comments_n * sizeof(struct str);
		for (unsigned i = 0; i < b->packet.comments_n; i++)
			n += b->packet.comments[i].n;
		break;
	case PCAPNG_NAMES:
		n = b->names_n * sizeof(struct pcapng_name);
		for (size_t i = 0; i < b->names_n; i++)
			n += b->names[i].name.n;
		break;
	case PCAPNG_STATISTICS:
		n = b->statistics.comment.n;
		break;
	}
	return n;
}

static void copy_packet(struct pcapng_packet *p, char *at)
{
	struct str *comments = (struct str *)(void *)at;

	at += p->comments_n * sizeof(struct str);
	for (unsigned i = 0; i < p->comments_n; i++)
		comments[i] = keep(&at, p->comments[i]);
	p->comments = comments;
	p->p = (const uint8_t *)keep(&at, (struct str){(const char *)p->p, p->caplen}).p;
}

static void copy_names(struct pcapng_block *b, char *at)
{
	struct pcapng_name *names = (struct pcapng_name *)(void *)at;

	at += b->names_n * sizeof(*names);
	for (size_t i = 0; i < b->names_n; i++)
		names[i] = (struct pcapng_name){b->names[i].addr, keep(&at, b->names[i].name)};
	b->names = names;
}

static int take(struct pcapng_merge *m, struct source *s, const struct pcapng_block *b, uint64_t now)
{
	size_t n = sizeof(struct entry) + size_of(b);
	struct entry *e = malloc(n);

	if (!e)
		return -ENOMEM;
	*e = (struct entry){.arrived = now, .bytes = n, .block = *b};
	char *at = (char *)(e + 1);

	if (b->kind == PCAPNG_INTERFACE) {
		e->block.interface.name = keep(&at, b->interface.name);
		e->block.interface.description = keep(&at, b->interface.description);
		e->block.interface.filter = keep(&at, b->interface.filter);
		e->block.interface.comment = keep(&at, b->interface.comment);
	} else if (b->kind == PCAPNG_PACKET) {
		copy_packet(&e->block.packet, at);
	} else if (b->kind == PCAPNG_NAMES) {
		copy_names(&e->block, at);
	} else if (b->kind == PCAPNG_STATISTICS) {
		e->block.statistics.comment = keep(&at, b->statistics.comment);
	}
	*s->last = e;
	s->last = &e->next;
	m->waiting += n;
	return 0;
}

int pcapng_merge_feed(struct pcapng_merge *m, unsigned stream, struct str bytes, uint64_t now,
		      const char **why)
{
	struct source *s = &m->sources[stream];
	struct pcapng_block b;
	int r;

	if (s->ended)
		return 0;
	buf_adds(&s->in, bytes);
	if (s->in.failed)
		return -ENOMEM;
	struct str rest = buf_str(&s->in);

	while ((r = pcapng_read(&s->reader, &rest, &b)) > 0) {
		int e = take(m, s, &b, now);
		if (e)
			return e;
	}
	buf_drop(&s->in, s->in.n - rest.n);
	if (r == -EPROTO) {
		*why = s->reader.why;
		s->ended = true;
	}
	return r;
}

void pcapng_merge_again(struct pcapng_merge *m, unsigned stream)
{
	struct source *s = &m->sources[stream];

	pcapng_reader_fini(&s->reader);
	s->reader = (struct pcapng_reader){0};
	buf_clear(&s->in);
	s->ended = false;
}

void pcapng_merge_end(struct pcapng_merge *m, unsigned stream)
{
	m->sources[stream].ended = true;
}

/* --- out --------------------------------------------------------------------------------------------- */

/* Whose turn it is: a block that is no packet goes at once, else the earliest packet, if nothing earlier can
 * come or it has waited enough. -1: nobody's. */
static int turn(const struct pcapng_merge *m, uint64_t now, uint64_t *wait)
{
	uint64_t since = UINT64_MAX;
	bool silent = false;
	int best = -1;

	*wait = UINT64_MAX;
	for (unsigned i = 0; i < m->o.streams; i++) {
		const struct entry *e = m->sources[i].first;

		if (!e) {
			silent |= !m->sources[i].ended;
			continue;
		}
		if (e->block.kind != PCAPNG_PACKET)
			return (int)i;
		if (e->arrived < since)
			since = e->arrived;
		if (best < 0 || e->block.packet.time < m->sources[best].first->block.packet.time)
			best = (int)i;
	}
	if (best < 0 || !silent || m->waiting > m->o.waiting || now - since >= m->o.delay)
		return best;
	*wait = m->o.delay - (now - since);
	return -1;
}

/* 1: a new one, 0: it was there, -ENOMEM. */
static int number_interface(struct pcapng_merge *m, unsigned stream, const struct pcapng_interface *i)
{
	struct source *s = &m->sources[stream];

	for (uint32_t n = 0; n < m->merged.len && i->name.n; n++) {
		const struct merged *k = &m->merged.items[n];

		if (k->stream == stream && k->link == i->link && str_eqz(i->name, k->name))
			return vec_push(&s->numbers, n) ? -ENOMEM : 0;
	}
	struct merged new = {stream, i->link, strndup(i->name.p ? i->name.p : "", i->name.n)};

	if (!new.name || vec_push(&s->numbers, (uint32_t)m->merged.len) || vec_push(&m->merged, new)) {
		free(new.name);
		return -ENOMEM;
	}
	return 1;
}

/* As it leaves: 1: it is handed on, 0: it is not, -ENOMEM. */
static int settle(struct pcapng_merge *m, unsigned stream, struct pcapng_block *b)
{
	struct source *s = &m->sources[stream];

	switch (b->kind) {
	case PCAPNG_SECTION:
		s->numbers.len = 0;
		return 0;
	case PCAPNG_INTERFACE:
		return number_interface(m, stream, &b->interface);
	case PCAPNG_PACKET: /* the reader held the numbers against the section's interfaces */
		b->packet.interface = s->numbers.items[b->packet.interface];
		m->totals.packets++;
		if (b->packet.time < m->time)
			m->totals.late++;
		else
			m->time = b->packet.time;
		return 1;
	case PCAPNG_STATISTICS:
		b->statistics.interface = s->numbers.items[b->statistics.interface];
		return 1;
	case PCAPNG_NAMES:
		return 1;
	}
	return 0;
}

int pcapng_merge_next(struct pcapng_merge *m, uint64_t now, struct pcapng_block *out, unsigned *stream,
		      uint64_t *wait)
{
	uint64_t after;
	int from;

	while ((from = turn(m, now, &after)) >= 0) {
		struct source *s = &m->sources[from];
		struct entry *e = s->first;

		s->first = e->next;
		if (!s->first)
			s->last = &s->first;
		m->waiting -= e->bytes;
		free(m->given);
		m->given = e;
		int r = settle(m, (unsigned)from, &e->block);
		if (r < 0)
			return r;
		if (r) {
			*out = e->block;
			if (stream)
				*stream = (unsigned)from;
			return 1;
		}
	}
	if (wait)
		*wait = after;
	return 0;
}

void pcapng_merge_totals(const struct pcapng_merge *m, struct pcapng_merge_totals *out)
{
	*out = m->totals;
}
