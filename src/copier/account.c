/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /account: what came, by place and map, and what became of it, by tool port, at one moment. Sums that hold:
 * received = judged + handed + unknown; of a place received = classified + unparsable; of a tool port due +
 * added + arrived = sent + relayed + each loss + in flight; of arrivals received = whole + parts + asks +
 * answers + stranger + unknown + malformed, and whole + joined = arrived of all tool ports.
 */
#include <inttypes.h>

#include "copier/copier.h"
#include "copier/reader.h"

static void number(struct buf *out, const char *key, uint64_t v)
{
	buf_printf(out, ",\"%s\":%" PRIu64, key, v);
}

static void print_place(struct buf *out, const struct place *p)
{
	buf_printf(out, "{\"point\":%u,\"ifindex\":%u,\"name\":", p->point, p->ifindex);
	buf_json(out, str_of(p->name));
	buf_printf(out, ",\"kind\":\"%s\"", p->kind);
	number(out, "received", p->received);
	number(out, "bytes", p->bytes);
	number(out, "classified", p->classified);
	number(out, "unparsable", p->unparsable);
	number(out, "turned", p->turned);
	buf_addc(out, '}');
}

/* Of worlds that are gone, and of those that live. */
static void live_map(const struct copier *c, struct str name, uint64_t *packets, uint64_t *bytes)
{
	const struct world *last = NULL;

	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++) {
		const struct world *w = c->epochs[i]->world;

		for (uint32_t k = 0; w != last && k < w->broker->maps_n; k++)
			if (str_eq(w->broker->maps[k].name, name)) {
				*packets += w->map_packets[k];
				*bytes += w->map_bytes[k];
			}
		last = w;
	}
}

static void live_group(const struct copier *c, struct str name, uint64_t *down, uint64_t *packets)
{
	const struct world *last = NULL;

	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++) {
		const struct world *w = c->epochs[i]->world;

		for (uint32_t k = 0; w != last && k < w->broker->groups_n; k++)
			if (str_eq(w->broker->groups[k].name, name)) {
				*down += group_counts(judge_group(w->judge, k))->down;
				*packets += group_counts(judge_group(w->judge, k))->packets;
			}
		last = w;
	}
}

static void print_named(struct copier *c, struct buf *out, bool group)
{
	const struct world *w = c->epochs[0] ? c->epochs[0]->world : NULL;
	uint32_t n = !w ? 0 : group ? w->broker->groups_n : w->broker->maps_n;

	for (uint32_t i = 0; i < n; i++) /* each has its entry */
		named_get(c, group, group ? w->broker->groups[i].name : w->broker->maps[i].name);
	buf_printf(out, ",\n\"%s\":[", group ? "groups" : "maps");
	VEC_EACH (group ? &c->groups : &c->maps, m) {
		uint64_t a = m->a, b = m->b;

		buf_addz(out, m == (group ? c->groups : c->maps).items ? "{\"name\":" : ",\n{\"name\":");
		buf_json(out, str_of(m->name));
		if (group)
			live_group(c, str_of(m->name), &a, &b);
		else
			live_map(c, str_of(m->name), &a, &b);
		number(out, group ? "down" : "packets", a);
		number(out, group ? "packets" : "bytes", b);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void member(struct buf *out, unsigned *n, const char *name, uint64_t v)
{
	if (v)
		buf_printf(out, "%s\"%s\":%" PRIu64, (*n)++ ? "," : "", name, v);
}

/* Where the tool is, and what its node said last. */
static void print_relay(struct buf *out, const struct sink *s)
{
	uint64_t arrived = 0;
	bool answers = s->output && relay_answers(s->output, &arrived);

	buf_addz(out, ",\"at\":");
	buf_json(out, str_of(s->at ? s->at : ""));
	buf_printf(out, ",\"answers\":%s", answers ? "true" : "false");
	number(out, "arrivedThere", arrived);
}

static void print_tool(struct copier *c, struct buf *out, const struct tally *t)
{
	const struct sink *capture = sink_find(c, BROKER_TO_STREAM, str_of(t->tool), str_of(t->port)),
			  *live = NULL;
	struct port_sums s;
	unsigned n = 0;

	tally_sums(c, t, &s);
	live = tally_sink(c, t);

	buf_addz(out, "{\"tool\":");
	buf_json(out, str_of(t->tool));
	buf_addz(out, ",\"port\":");
	buf_json(out, str_of(t->port));
	buf_printf(out, ",\"kind\":\"%s\",\"taking\":%s", t->kind, live && live->taking ? "true" : "false");
	if (!live) /* no map that is in force leads there */
		buf_addz(out, ",\"gone\":true");
	if (live && live->canary.kind != CANARY_NONE)
		buf_printf(out, ",\"answers\":%s", live->canary.silent ? "false" : "true");
	if (live && live->ops == &output_relay)
		print_relay(out, live);
	if (live && live->outlet)
		number(out, "outlet", live->outlet);
	number(out, "due", s.due);
	number(out, "dueBytes", s.due_bytes);
	number(out, "added", s.added);
	if (s.arrived) {
		number(out, "arrived", s.arrived);
		number(out, "arrivedBytes", s.arrived_bytes);
	}
	number(out, "sent", s.sent);
	number(out, "sentBytes", s.sent_bytes);
	if (s.relayed) {
		number(out, "relayed", s.relayed);
		number(out, "relayedBytes", s.relayed_bytes);
	}
	number(out, "inFlight", s.in_flight);
	if (t->over)
		number(out, "overCapacitySeconds", t->over);
	buf_addz(out, ",\"losses\":{");
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_LOSS)
			member(out, &n, chain_counter_name((enum chain_counter)i), s.chain[i]);
	for (int i = 0; i < OUTPUT_LOSSES; i++)
		member(out, &n, output_loss_name((enum output_loss)i), s.losses[i]);
	buf_addz(out, "},\"notes\":{");
	n = 0;
	for (int i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counter_kind((enum chain_counter)i) == CHAIN_KIND_NOTE)
			member(out, &n, chain_counter_name((enum chain_counter)i), s.chain[i]);
	buf_addc(out, '}');
	if (capture) {
		buf_addz(out, ",\"readers\":");
		stream_print(capture->output, out);
	}
	buf_addc(out, '}');
}

static void print_arrivals(struct buf *out, struct arrivals *a)
{
	const struct arrivals_counts *n = arrivals_counts(a);

	buf_printf(out, ",\n\"arrivals\":{\"received\":%" PRIu64, n->received);
	number(out, "whole", n->whole);
	number(out, "parts", n->parts);
	number(out, "asks", n->asks);
	number(out, "answers", n->answers);
	number(out, "stranger", n->stranger);
	number(out, "unknown", n->unknown);
	number(out, "malformed", n->malformed);
	number(out, "joined", n->joined);
	number(out, "incomplete", n->incomplete);
	number(out, "waiting", n->waiting);
	number(out, "overflow", n->overflow);
	buf_addc(out, '}');
}

void account_print(struct copier *c, struct buf *out)
{
	buf_addz(out, "{\"node\":");
	buf_json(out, str_of(c->host.node));
	buf_printf(out, ",\"epoch\":%u", c->epochs[0] ? c->epochs[0]->number : 0);
	number(out, "began", c->began);
	buf_printf(out, ",\"again\":%s", c->again ? "true" : "false");
	number(out, "frames", c->frames);
	buf_printf(out, ",\n\"ring\":{\"received\":%" PRIu64, c->received);
	number(out, "lost", copier_lost(c));
	number(out, "judged", c->judged);
	number(out, "handed", c->handed);
	number(out, "unknown", c->unknown);
	buf_addz(out, "},\n\"places\":[");
	VEC_EACH (&c->places, p) {
		buf_addz(out, p == c->places.items ? "" : ",\n");
		print_place(out, *p);
	}
	buf_printf(out, "],\n\"placesGone\":{\"received\":%" PRIu64, c->past.received);
	number(out, "bytes", c->past.bytes);
	number(out, "classified", c->past.classified);
	number(out, "unparsable", c->past.unparsable);
	buf_addc(out, '}');
	print_named(c, out, false);
	print_named(c, out, true);
	buf_addz(out, ",\n\"tools\":[");
	VEC_EACH (&c->tallies, t) {
		buf_addz(out, t == c->tallies.items ? "" : ",\n");
		print_tool(c, out, *t);
	}
	buf_addc(out, ']');
	if (c->arrivals)
		print_arrivals(out, c->arrivals);
	buf_addz(out, "}\n");
}
