/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tool ports and their outputs: made for an epoch, kept by the next one where nothing about them changed, and
 * what they counted for as long as the process lives. A packet that is due here is counted once: sent, one
 * named loss, or in flight.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "copier/copier.h"

enum { FINISH_TICKS = 50, REOPEN_MS = 5000, WITHIN_S = 3, BACK_OFF_MAX_MS = 60000, ENDED_KEPT = 100 };

/* Port of the tool "capture" that has the sums of Captures that ended; no object can be called so. */
static const struct str ENDED = {"(ended)", 7};

static struct tally *tally_get(struct copier *c, struct str tool, struct str port)
{
	struct tally *t;

	VEC_EACH (&c->tallies, i)
		if (str_eqz(tool, (*i)->tool) && str_eqz(port, (*i)->port))
			return *i;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->tool = strndup(tool.p, tool.n);
	t->port = strndup(port.p, port.n);
	if (t->tool && t->port && !vec_push(&c->tallies, t))
		return t;
	free(t->tool);
	free(t->port);
	free(t);
	return NULL;
}

/* All that an output is made of, as text: equal texts are one output. */
static void sink_key(struct buf *key, const struct port_wants *w)
{
	const struct broker_destination *d = &w->port->to;
	char source[ADDR_TEXT], collector[ADDR_TEXT];

	addr_print(&w->source, source);
	addr_print(&d->collector, collector);
	/* Each Capture is a port of one tool: another one that comes or goes is none of its business. */
	bool only_port = w->only_port && d->way != BROKER_TO_STREAM;

	buf_printf(key, STR_FMT "/" STR_FMT " %d %d outlet %u from %s", STR_ARG(w->port->tool),
		   STR_ARG(w->port->port), (int)d->way, only_port, w->outlet, source);
	buf_printf(key, " path " STR_FMT " %llu %u %u ring %llu", STR_ARG(d->path),
		   (unsigned long long)d->rotate_bytes, d->rotate_seconds, d->rotate_count,
		   (unsigned long long)d->ring_bytes);
	buf_printf(key, " to %s:%u %d %u %u for %u discard %d", collector, d->collector_port, d->tcp,
		   d->active, d->idle, d->seconds, w->port->discard);
	if (d->way == BROKER_TO_IPFIX && d->answers)
		buf_printf(key, " answers %u", d->within);
	if (w->key) {
		addr_print(&w->far, source);
		buf_printf(key, " at %s %016llx mtu %u " STR_FMT, source, (unsigned long long)w->key,
			   w->way_mtu, STR_ARG(w->at));
	}
}

static void sink_open(struct copier *c, struct sink *s, const struct port_wants *w)
{
	const struct output_config config = {.host = &c->host,
					     .tool = w->port->tool,
					     .port = w->port->port,
					     .to = &w->port->to,
					     .only_port = w->only_port,
					     .outlet = w->outlet,
					     .source = w->source,
					     .far = w->far,
					     .way_mtu = w->way_mtu,
					     .key = w->key};
	AUTO_BUF why = {0};
	int r = s->ops->open(&s->output, &config, &why);

	if (r)
		log_warn("tool %s, port %s: %s", s->tally->tool, s->tally->port,
			 why.n ? why.p : strerror(-r));
	s->refused_since = r ? clock_ms() : 0;
}

/* The kernel refuses all that goes to the outlet: the interface is down, nobody answers there. After a while
 * it is tried again; the longer it fails, the more seldom. */
static bool outlet_fails(struct copier *c, struct sink *s, uint64_t ms)
{
	struct outlet_count n;
	uint64_t left, refusals;

	if (!s->outlet || outlets_read(c->outlets, s->outlet, &n))
		return false;
	left = n.sent + n.direct;
	refusals = n.failed + n.unreachable + n.direct_failed;
	if (left != s->left) {
		s->back_off = s->within * 1000ull;
		s->refused_until = 0;
	} else if (refusals > s->refusals) {
		s->refused_until = ms + s->back_off;
		s->back_off = s->back_off * 2 > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : s->back_off * 2;
	}
	s->left = left;
	s->refusals = refusals;
	return ms < s->refused_until;
}

/* Whether the tool gets rid of what it is given: something waits, and nothing has left for so long. */
static void watch_health(struct copier *c, struct sink *s, uint64_t ms)
{
	struct output_counts n = {0};
	bool taking;

	if (s->output)
		s->ops->counts(s->output, &n);
	if (n.sent != s->sent || !n.in_flight)
		s->moved = ms;
	s->sent = n.sent;
	taking = s->output && !n.failing && ms - s->moved < s->within * 1000ull;
	taking &= !outlet_fails(c, s, ms);
	canary_tick(&s->canary, c->outlets, c->host.send, c->host.ctx, ms);
	taking &= !s->canary.silent;
	if (taking != s->taking)
		log_info("tool %s, port %s: %s", s->tally->tool, s->tally->port,
			 taking		    ? "takes packets again"
			 : s->canary.silent ? "does not answer"
					    : "takes nothing");
	s->taking = taking;
}

/* How soon it must take and answer; of a sink that there is already, too. */
static void set_health(struct sink *s, const struct port_wants *w, enum broker_way way)
{
	const struct broker_destination *to = &w->port->to;
	struct canary k = {.outlet = w->outlet};

	s->within = to->within ? to->within : WITHIN_S;
	k.within = s->within * 1000;
	if (way == BROKER_TO_INTERFACE || way == BROKER_TO_POD) {
		k.kind = CANARY_NEAR;
		k.to = w->address;
	} else if (way == BROKER_TO_VXLAN || way == BROKER_TO_GRE || way == BROKER_TO_ERSPAN) {
		k.kind = CANARY_FAR;
		k.from = w->source;
		k.to = to->encap.dst;
	}
	if (!to->answers || !w->outlet || w->key)
		k = (struct canary){0};
	canary_set(&s->canary, &k, clock_ms());
}

static int sink_get(struct copier *c, struct sink **out, const struct port_wants *w, struct tally *t)
{
	enum broker_way way = w->port->discard ? BROKER_TO_DISCARD : w->port->to.way;
	struct buf key = {0};
	struct sink *s;

	sink_key(&key, w);
	if (key.failed)
		return -ENOMEM;
	VEC_EACH (&c->sinks, i)
		if (!(*i)->finishing && !strcmp((*i)->key, key.p)) {
			(*i)->refs++;
			buf_fini(&key);
			set_health(*i, w, way);
			if (!(*i)->output && clock_ms() - (*i)->refused_since > REOPEN_MS)
				sink_open(c, *i, w);
			*out = *i;
			return 0;
		}
	s = calloc(1, sizeof(*s));
	if (!s || vec_push(&c->sinks, s)) {
		free(s);
		buf_fini(&key);
		return -ENOMEM;
	}
	*s = (struct sink){.refs = 1,
			   .key = key.p,
			   .tally = t,
			   .taking = true,
			   .outlet = w->outlet,
			   .ops = w->key ? &output_relay : output_kind(way),
			   .moved = clock_ms()};
	if (w->key)
		s->at = strndup(w->at.p ? w->at.p : "", w->at.n);
	set_health(s, w, way);
	s->back_off = s->within * 1000ull;
	t->kind = s->ops->name;
	sink_open(c, s, w);
	watch_health(c, s, s->moved);
	*out = s;
	return 0;
}

static void counts_add(struct output_counts *to, const struct output_counts *from)
{
	to->sent += from->sent;
	to->sent_bytes += from->sent_bytes;
	to->relayed += from->relayed;
	to->relayed_bytes += from->relayed_bytes;
	for (int i = 0; i < OUTPUT_LOSSES; i++)
		to->losses[i] += from->losses[i];
}

static void sink_free(struct copier *c, struct sink *s)
{
	if (s->output) {
		struct output_counts last = {0};

		s->output->ops->counts(s->output, &last);
		last.losses[LOST_QUEUE] += last.in_flight;
		counts_add(&s->tally->past, &last);
		s->output->ops->free(&s->output);
	}
	s->tally->past.losses[s->ops->refused] += s->refused;
	for (size_t i = 0; i < c->sinks.len; i++)
		if (c->sinks.items[i] == s)
			vec_remove(&c->sinks, i);
	free(s->at);
	free(s->key);
	free(s);
}

static void sink_unref(struct sink **s)
{
	if (*s && !--(*s)->refs)
		(*s)->finishing = 1;
	*s = NULL;
}

/* The chain as live traffic needs it: the kernel tells what is merged and unfinished; a tunnel's headers have
 * the node's side. */
static void live_chain(struct chain_config *out, const struct copier *c, const struct port_wants *w)
{
	*out = w->port->chain;
	out->wire_mtu = 0;
	out->guess_unfinished = false;
	out->dedup.seed = c->seed;
	switch (w->port->to.way) {
	case BROKER_TO_VXLAN:
	case BROKER_TO_GRE:
	case BROKER_TO_ERSPAN:
		if (!w->outlet)
			break; /* counted by the output */
		out->encap = w->port->to.encap;
		out->encap.src = w->source;
		out->encap.mtu = w->way_mtu;
		if (w->port->mtu && (!out->encap.mtu || w->port->mtu < out->encap.mtu))
			out->encap.mtu = w->port->mtu;
		memcpy(out->encap.src_mac, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
		memcpy(out->encap.dst_mac, (const uint8_t[]){2, 0, 0, 0, 0, 2}, 6);
		break;
	default:
		break;
	}
}

static bool chain_equal(const struct port *p, const struct chain_config *want)
{
	struct chain_config a = p->config, b = *want;

	a.mask.ranges = b.mask.ranges = NULL;
	return !memcmp(&a, &b, sizeof(a)) &&
	       (!want->mask.n ||
		!memcmp(p->ranges, want->mask.ranges, want->mask.n * sizeof(*want->mask.ranges)));
}

static struct port *port_same(const struct epoch *before, const struct sink *s,
			      const struct chain_config *config, uint32_t mtu, uint64_t capacity)
{
	for (uint32_t i = 0; before && i < before->world->broker->ports_n; i++) {
		struct port *p = before->ports[i];

		if (p->sink == s && p->mtu == mtu && p->capacity == capacity && chain_equal(p, config))
			return p;
	}
	return NULL;
}

/* A tunnel's own limit is its chain's business: the outer packet's. */
static uint32_t mtu_of(const struct port_wants *w)
{
	switch (w->port->to.way) {
	case BROKER_TO_VXLAN:
	case BROKER_TO_GRE:
	case BROKER_TO_ERSPAN:
		return 0;
	default:
		return w->port->mtu;
	}
}

int port_get(struct copier *c, struct port **out, const struct port_wants *w, const struct epoch *before)
{
	struct tally *t = tally_get(c, w->port->tool, w->port->port);
	struct chain_config config;
	struct port *p = NULL;
	struct sink *s = NULL;
	int r = t ? sink_get(c, &s, w, t) : -ENOMEM;

	if (r)
		return r;
	live_chain(&config, c, w);
	p = port_same(before, s, &config, mtu_of(w), w->port->capacity);
	if (p) {
		sink_unref(&s);
		p->refs++;
		*out = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	r = p ? chain_new(&p->chain, &config, NULL) : -ENOMEM;
	if (r) {
		free(p);
		sink_unref(&s);
		return r;
	}
	p->refs = 1;
	p->tally = t;
	p->sink = s;
	p->mtu = mtu_of(w);
	p->capacity = w->port->capacity;
	p->config = config;
	if (config.mask.n)
		memcpy(p->ranges, config.mask.ranges, config.mask.n * sizeof(*p->ranges));
	p->config.mask.ranges = p->ranges;
	*out = p;
	return 0;
}

void port_unref(struct copier *c, struct port **pp)
{
	struct port *p = TAKE(*pp);
	const uint64_t *counts;

	(void)c;
	if (!p || --p->refs)
		return;
	counts = chain_counts(p->chain);
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		p->tally->chain[i] += counts[i];
	chain_free(&p->chain);
	sink_unref(&p->sink);
	free(p);
}

/* Bytes that the tool's link carries behind its own header. */
static uint32_t carried(const struct chain_packet *p)
{
	uint32_t n = p->flags & PACKET_SLICED ? p->caplen : p->len, head = 14;

	if (p->link != CHAIN_LINK_ETHERNET)
		return n;
	while (p->caplen >= head && head < 22 && p->p[head - 2] == 0x81 && !p->p[head - 1])
		head += 4;
	return n > head ? n - head : 0;
}

/* Counts the second once in which there is more than the tool can take; nothing is held back for it. */
static void count_rate(struct port *p, const struct chain_packet *k)
{
	uint64_t second = k->time / 1000000000u, bits = 8ull * k->caplen;

	if (second != p->second)
		p->bits = 0;
	p->second = second;
	p->tally->over += p->bits <= p->capacity && p->bits + bits > p->capacity;
	p->bits += bits;
}

struct hand {
	struct port *port;
	const struct seen *seen;
};

static void hand_over(void *ctx, const struct chain_packet *k)
{
	struct hand *h = ctx;
	struct sink *s = h->port->sink;

	if (h->port->mtu && carried(k) > h->port->mtu) {
		h->port->tally->mtu++;
		return;
	}
	if (h->port->capacity)
		count_rate(h->port, k);
	if (!s->output) {
		s->refused++;
		return;
	}
	s->touched = true;
	s->output->ops->give(s->output, k, h->seen);
}

void port_arrive(struct port *p, const struct chain_packet *k)
{
	static const struct seen nowhere;

	p->tally->arrived++;
	p->tally->arrived_bytes += k->len;
	hand_over(&(struct hand){p, &nowhere}, k);
}

void port_run(struct port *p, const struct chain_packet *k, const struct seen *seen)
{
	struct hand h = {p, seen};

	p->tally->due++;
	p->tally->due_bytes += k->len;
	if (chain_run(p->chain, k, hand_over, &h))
		p->tally->memory++;
}

void sinks_flush(struct copier *c)
{
	VEC_EACH (&c->sinks, i) {
		struct sink *s = *i;

		if (s->touched && s->output && s->ops->flush)
			s->ops->flush(s->output);
		s->touched = false;
	}
}

static void tally_free(struct tally *t)
{
	free(t->tool);
	free(t->port);
	free(t);
}

static void tally_add(struct tally *to, const struct tally *from)
{
	to->kind = from->kind;
	to->due += from->due;
	to->due_bytes += from->due_bytes;
	to->arrived += from->arrived;
	to->arrived_bytes += from->arrived_bytes;
	to->mtu += from->mtu;
	to->memory += from->memory;
	to->over += from->over;
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		to->chain[i] += from->chain[i];
	counts_add(&to->past, &from->past);
}

/* Whether nothing counts for it any more, and it was a Capture's. */
static bool is_ended(const struct copier *c, const struct tally *t)
{
	if (t->kind != output_stream.name || str_eqz(ENDED, t->port))
		return false;
	VEC_EACH (&c->sinks, s)
		if ((*s)->tally == t)
			return false;
	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++)
		for (uint32_t k = 0; k < c->epochs[i]->world->broker->ports_n; k++)
			if (c->epochs[i]->ports[k]->tally == t)
				return false;
	return true;
}

/* Tools' names are few, but each Capture has one of its own: of those that ended the oldest become one sum.
 */
static void fold_ended(struct copier *c)
{
	size_t ports = c->epochs[0] ? c->epochs[0]->world->broker->ports_n : 0;

	for (size_t i = 0; i < c->tallies.len && c->tallies.len > ports + ENDED_KEPT;) {
		struct tally *t = c->tallies.items[i], *sum;

		if (!is_ended(c, t)) {
			i++;
			continue;
		}
		sum = tally_get(c, STR("capture"), ENDED);
		if (!sum)
			return;
		tally_add(sum, t);
		vec_remove(&c->tallies, i);
		tally_free(t);
	}
}

void sinks_tick(struct copier *c, uint64_t ms)
{
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	for (size_t i = c->sinks.len; i-- > 0;) {
		struct sink *s = c->sinks.items[i];

		if (s->output && s->ops->tick)
			s->ops->tick(s->output, now);
		if (!s->finishing)
			watch_health(c, s, ms);
		else if (!s->output || s->ops->finish(s->output, s->finishing >= FINISH_TICKS) ||
			 s->finishing++ > FINISH_TICKS)
			sink_free(c, s);
	}
	fold_ended(c);
}

void sinks_end(struct copier *c, uint64_t ms)
{
	uint64_t deadline = clock_ms() + ms;

	VEC_EACH (&c->sinks, s)
		while ((*s)->output && !(*s)->ops->finish((*s)->output, false) && clock_ms() < deadline)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	while (c->sinks.len)
		sink_free(c, c->sinks.items[c->sinks.len - 1]);
	vec_free(&c->sinks);
	VEC_EACH (&c->tallies, t)
		tally_free(*t);
	vec_free(&c->tallies);
}

/* What the kernel did to copies that never came here: the chain of the same tool port. */
static void add_edits(const struct copier *c, const struct sink *s, struct port_sums *out)
{
	struct outlet_count n;

	if (s->finishing || !s->outlet || outlets_read(c->outlets, s->outlet, &n))
		return;
	out->chain[CHAIN_MASKED] += n.masked;
	out->chain[CHAIN_SLICED] += n.sliced;
	out->chain[CHAIN_SLICE_SHALLOW] += n.shallow;
	out->chain[CHAIN_STAMPED] += n.stamped;
}

void tally_sums(const struct copier *c, const struct tally *t, struct port_sums *out)
{
	struct output_counts n = t->past;

	*out = (struct port_sums){.due = t->due,
				  .due_bytes = t->due_bytes,
				  .arrived = t->arrived,
				  .arrived_bytes = t->arrived_bytes};
	memcpy(out->chain, t->chain, sizeof(out->chain));
	VEC_EACH (&c->sinks, s) {
		struct output_counts live = {0};

		if ((*s)->tally != t)
			continue;
		n.losses[(*s)->ops->refused] += (*s)->refused;
		add_edits(c, *s, out);
		if (!(*s)->output)
			continue;
		(*s)->ops->counts((*s)->output, &live);
		counts_add(&n, &live);
		out->in_flight += live.in_flight;
	}
	/* Chains are shared by epochs: each is added once. */
	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++)
		for (uint32_t k = 0; k < c->epochs[i]->world->broker->ports_n; k++) {
			const struct port *p = c->epochs[i]->ports[k];
			bool known = p->tally != t;

			for (unsigned j = 0; j < i && !known; j++)
				for (uint32_t m = 0; m < c->epochs[j]->world->broker->ports_n; m++)
					known |= c->epochs[j]->ports[m] == p;
			for (int x = 0; !known && x < CHAIN_COUNTERS; x++)
				out->chain[x] += chain_counts(p->chain)[x];
		}
	out->sent = n.sent;
	out->sent_bytes = n.sent_bytes;
	out->relayed = n.relayed;
	out->relayed_bytes = n.relayed_bytes;
	memcpy(out->losses, n.losses, sizeof(out->losses));
	out->losses[LOST_MTU] += t->mtu;
	out->losses[LOST_MEMORY] += t->memory;
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_ADDED)
			out->added += out->chain[i];
}

struct sink *sink_find(const struct copier *c, enum broker_way way, struct str tool, struct str port)
{
	VEC_EACH (&c->sinks, s)
		if (!(*s)->finishing && (*s)->output && (*s)->ops == output_kind(way) &&
		    str_eqz(tool, (*s)->tally->tool) && str_eqz(port, (*s)->tally->port))
			return *s;
	return NULL;
}

struct sink *tally_sink(const struct copier *c, const struct tally *t)
{
	const struct epoch *e = c->epochs[0];

	for (uint32_t i = 0; e && i < e->world->broker->ports_n; i++)
		if (e->ports[i]->tally == t)
			return e->ports[i]->sink;
	return NULL;
}
