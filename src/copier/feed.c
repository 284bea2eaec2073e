/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One copy on its way: its mark says place and epoch; it is judged wholly by that epoch and given to each
 * tool port that it is due to. The hot path of this program.
 */
#include "copier/copier.h"

/* The epoch by which the kernel judged: the newest one with these bits. */
static struct epoch *epoch_of(const struct copier *c, uint32_t mark)
{
	uint32_t bits = (mark & TAP_MARK_EPOCH) >> TAP_EPOCH_SHIFT;

	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++)
		if (c->epochs[i]->number % TAP_EPOCHS == bits)
			return c->epochs[i];
	return NULL;
}

static bool is_direct(const struct epoch *e, uint32_t point, uint32_t port)
{
	size_t low = 0, high = e->direct_n;
	uint32_t want = point << 16 | port;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (e->direct[mid] == want)
			return true;
		if (e->direct[mid] < want)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static void count_maps(struct world *w, const struct judged *said, uint32_t len)
{
	for (uint32_t i = 0; i < said->maps_n; i++) {
		w->map_packets[said->maps[i]]++;
		w->map_bytes[said->maps[i]] += len;
	}
}

/* Times of one place never go back (BR81). */
static void set_time(struct place *at, struct chain_packet *k)
{
	at->turned += k->time < at->last;
	if (k->time < at->last)
		k->time = at->last;
	at->last = k->time;
}

/* What the kernel could not edit: it was judged whole there, and is due to the one tool port of that outlet.
 */
static void feed_handed(struct copier *c, const struct packet_seen *s)
{
	uint32_t outlet = s->mark >> TAP_REASON_SHIFT;
	const struct seen seen = {.at = NULL};

	for (unsigned i = 0; i < EPOCHS_KEPT && c->epochs[i]; i++)
		for (uint32_t k = 0; k < c->epochs[i]->world->broker->ports_n; k++) {
			struct port *p = c->epochs[i]->ports[k];

			if (!outlet || p->sink->outlet != outlet)
				continue;
			c->handed++;
			port_run(p, &s->packet, &seen);
			return;
		}
	c->unknown++;
}

void feed_packet(void *copier, const struct packet_seen *s)
{
	struct copier *c = copier;
	struct epoch *e = epoch_of(c, s->mark);
	uint32_t number = s->mark & TAP_MARK_POINT;
	const struct epoch_place *ep = e && number < e->points_n ? e->by_point[number] : NULL;
	struct chain_packet k = s->packet;
	struct judged said;
	struct seen seen;

	c->received++;
	c->host.drained = k.time;
	if (number == TAP_POINT_EDIT) {
		feed_handed(c, s);
		return;
	}
	if (!ep) {
		c->unknown++;
		return;
	}
	c->judged++;
	seen = (struct seen){.at = ep->place,
			     .out = s->mark & TAP_MARK_OUT,
			     .dropped = s->mark & TAP_MARK_DROPPED,
			     .reason = (uint16_t)(s->mark >> TAP_REASON_SHIFT)};
	set_time(seen.at, &k);
	k.source = seen.at->id;
	judge_packet(e->world->judge, ep->point, &k, seen.out ? BROKER_DIRECTION_OUT : BROKER_DIRECTION_IN,
		     seen.dropped ? BROKER_DROPPED : BROKER_FORWARDED, &said);
	seen.at->received++;
	seen.at->bytes += k.len;
	*(said.whole ? &seen.at->classified : &seen.at->unparsable) += 1;
	count_maps(e->world, &said, k.len);
	for (uint32_t i = 0; i < said.ports_n; i++)
		if (!e->direct_n || !is_direct(e, number, said.ports[i]))
			port_run(e->ports[said.ports[i]], &k, &seen);
}
