/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded traffic held against maps: see forecast.h. */
#include "broker/forecast.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/vec.h"
#include "filter/dissect.h"

enum { INTERVALS = 120, INTERVAL_LEAST = 1000000000, LINE_MTU = 1500, OVERLAPS_SHOWN = 10 };

struct overlap { /* bytes that `map` takes for the port, and how many of them `other` takes for it too */
	uint32_t port, map, other;
	double bytes;
};

struct forecast {
	const struct broker *b;
	struct judge *judge;
	int64_t since, until;
	int intervals;		   /* of a second or more */
	double (*bits)[INTERVALS]; /* by port */
	double *packets;	   /* by port */
	double *taken;		   /* bytes, by port and map */
	bool *least;		   /* by port */
	char **blind;		   /* by map */
	VEC(struct overlap) overlaps;
	/* Of the part at hand. */
	uint32_t *leads; /* maps that take it and lead to the port at hand */
};

/* What its filters ask for that records have not. */
static int find_blind(struct forecast *f, uint32_t map)
{
	const struct broker_map *m = &f->b->maps[map];
	AUTO_BUF why = {0};

	for (uint32_t i = 0; i < m->filters.n && !why.n; i++)
		if (filter_uses(f->b->filters[m->filters.items[i]].filter, FILTER_RECORDS, &why) && !why.n)
			buf_addz(&why, "its filter cannot be judged over records");
	f->blind[map] = TAKE(why.p);
	return why.failed ? -ENOMEM : 0;
}

static int learn(struct forecast *f)
{
	const struct broker *b = f->b;
	int r = 0;

	for (uint32_t i = 0; !r && i < b->maps_n; i++)
		r = find_blind(f, i);
	for (uint32_t p = 0; p < b->ports_n; p++) {
		f->least[p] = b->ports[p].chain.dedup.mode && !b->ports[p].chain.dedup.count_only;
		for (uint32_t i = 0; i < b->maps_n; i++)
			f->least[p] |= f->blind[i] && broker_leads(b, &b->maps[i], p);
	}
	return r;
}

int forecast_new(struct forecast **out, const struct broker *b, int64_t since, int64_t until)
{
	struct forecast *f = calloc(1, sizeof(*f));
	int r = f ? judge_new(&f->judge, b) : -ENOMEM;

	if (!r) {
		f->b = b;
		f->since = since;
		f->until = until;
		f->intervals =
		    (int)((until - since) / INTERVAL_LEAST < INTERVALS ? (until - since) / INTERVAL_LEAST
								       : INTERVALS);
		f->intervals += !f->intervals;
		f->bits = calloc(b->ports_n + 1u, sizeof(*f->bits));
		f->packets = calloc(b->ports_n + 1u, sizeof(*f->packets));
		f->taken = calloc(((size_t)b->ports_n + 1) * (b->maps_n + 1u), sizeof(*f->taken));
		f->least = calloc(b->ports_n + 1u, sizeof(*f->least));
		f->blind = calloc(b->maps_n + 1u, sizeof(*f->blind));
		f->leads = calloc(b->maps_n + 1u, sizeof(*f->leads));
		r = f->bits && f->packets && f->taken && f->least && f->blind && f->leads ? learn(f)
											  : -ENOMEM;
	}
	if (r) {
		forecast_free(&f);
		return r;
	}
	*out = f;
	return 0;
}

void forecast_free(struct forecast **fp)
{
	struct forecast *f = *fp;

	if (!f)
		return;
	for (uint32_t i = 0; f->blind && i < f->b->maps_n; i++)
		free(f->blind[i]);
	judge_free(&f->judge);
	vec_free(&f->overlaps);
	free(f->bits);
	free(f->packets);
	free(f->taken);
	free(f->least);
	free(f->blind);
	free(f->leads);
	free(f);
	*fp = NULL;
}

const char *forecast_blind(const struct forecast *f, uint32_t map)
{
	return f->blind[map];
}

double forecast_interval(const struct forecast *f)
{
	return (double)(f->until - f->since) / 1e9 / f->intervals;
}

/* --- what a port does ------------------------------------------------------------------------------ */

/* Bytes before what a slice counts from: as most packets have them. */
static uint32_t before(const struct chain_slice *s)
{
	static const uint32_t bytes[] = {
	    [CHAIN_L2] = 0, [CHAIN_L3] = 14, [CHAIN_L4] = 34, [CHAIN_PAYLOAD] = 54};

	return bytes[s->from];
}

static uint32_t overhead(const struct broker_port *p)
{
	bool six = !addr_is4(&p->to.encap.dst);

	switch (p->to.way) {
	case BROKER_TO_VXLAN:
		return six ? 70 : 50;
	case BROKER_TO_GRE:
		return (six ? 58u : 38u) + (p->to.encap.has_key ? 4 : 0);
	case BROKER_TO_ERSPAN:
		return (six ? 70u : 50u) + (p->to.encap.kind == CHAIN_ENCAP_ERSPAN3 ? 4 : 0);
	default:
		return 0;
	}
}

/* Of one packet of that length. */
static double sent_bytes(const struct broker_port *p, double len)
{
	double most = p->chain.slice.on ? before(&p->chain.slice) + p->chain.slice.bytes : len;

	return (len < most ? len : most) + overhead(p);
}

/* --- adding ---------------------------------------------------------------------------------------- */

/* The share of it that lies in the interval; what took no time lies where it began. */
static double share(const struct forecast *f, const struct forecast_part *p, int i)
{
	double step = (double)(f->until - f->since) / f->intervals, from = (double)f->since + step * i,
	       to = from + step, first = (double)p->first, last = (double)p->last;
	double a = first > from ? first : from, z = last < to ? last : to;

	if (last <= first)
		return first >= from && first < to;
	return z > a ? (z - a) / (last - first) : 0;
}

static void add_traffic(struct forecast *f, const struct forecast_part *p, uint32_t port)
{
	const struct broker_port *bp = &f->b->ports[port];
	double one_in = bp->chain.sample.one_in > 1 ? bp->chain.sample.one_in : 1;
	double packets = (double)p->packets / one_in,
	       bytes = packets * sent_bytes(bp, (double)p->bytes / (double)p->packets);

	for (int i = 0; i < f->intervals; i++) {
		double s = share(f, p, i);

		f->bits[port][i] += bytes * 8 * s;
		f->packets[port] += packets * s;
	}
}

static int add_overlap(struct forecast *f, uint32_t port, uint32_t map, uint32_t other, double bytes)
{
	VEC_EACH (&f->overlaps, o)
		if (o->port == port && o->map == map && o->other == other) {
			o->bytes += bytes;
			return 0;
		}
	return vec_push(&f->overlaps, ((struct overlap){port, map, other, bytes}));
}

/* Maps that take it and lead to the port; of a group, whoever's turn it is. */
static int add_port(struct forecast *f, const struct forecast_part *p, const struct judged *said,
		    const uint32_t *chosen, uint32_t port)
{
	const struct broker *b = f->b;
	uint32_t n = 0;
	int r = 0;

	for (uint32_t i = 0; i < said->maps_n; i++) {
		const struct broker_map *m = &b->maps[said->maps[i]];
		bool leads = broker_has(&m->ports, port);

		for (uint32_t k = 0; k < m->groups.n; k++)
			leads |= chosen[m->groups.items[k]] == port;
		if (leads && !f->blind[said->maps[i]] && !m->aside)
			f->leads[n++] = said->maps[i];
	}
	if (n)
		add_traffic(f, p, port);
	for (uint32_t i = 0; i < n; i++)
		f->taken[(size_t)port * b->maps_n + f->leads[i]] += (double)p->bytes;
	for (uint32_t i = 0; !r && i < n; i++)
		for (uint32_t k = 0; !r && k < i; k++) {
			r = add_overlap(f, port, f->leads[i], f->leads[k], (double)p->bytes);
			if (!r)
				r = add_overlap(f, port, f->leads[k], f->leads[i], (double)p->bytes);
		}
	return r;
}

static void choose(struct forecast *f, const struct chain_packet *p, const struct judged *said,
		   uint32_t *chosen)
{
	const struct broker *b = f->b;
	const struct filter_packet packet = {.p = p->p, .caplen = p->caplen, .len = p->len, .link = p->link};
	struct dissected d;

	dissect(&d, &packet);
	for (uint32_t g = 0; g < b->groups_n; g++) {
		chosen[g] = BROKER_NONE;
		for (uint32_t i = 0; chosen[g] == BROKER_NONE && i < said->maps_n; i++)
			if (broker_has(&b->maps[said->maps[i]].groups, g))
				chosen[g] =
				    group_choose(judge_group(f->judge, g), p, d.has & HAS_IP, p->time);
	}
}

int forecast_add(struct forecast *f, const struct forecast_part *p)
{
	AUTO_MEM uint32_t *chosen = calloc(f->b->groups_n + 1u, sizeof(*chosen));
	struct judged said;
	int r = chosen ? 0 : -ENOMEM;

	if (r || !p->packets || p->last < f->since || p->first > f->until)
		return r;
	judge_packet(f->judge, p->at, p->packet, p->direction, p->fate, &said);
	choose(f, p->packet, &said, chosen);
	for (uint32_t i = 0; !r && i < said.ports_n; i++)
		r = add_port(f, p, &said, chosen, said.ports[i]);
	return r;
}

/* --- what came out --------------------------------------------------------------------------------- */

struct forecast_port forecast_port(const struct forecast *f, uint32_t port)
{
	double seconds = (double)(f->until - f->since) / 1e9;
	struct forecast_port out = {.packets = f->packets[port] / seconds, .least = f->least[port]};
	uint64_t capacity = f->b->ports[port].capacity;

	for (int i = 0; i < f->intervals; i++) {
		double rate = f->bits[port][i] / forecast_interval(f);

		out.bits += f->bits[port][i] / seconds;
		out.peak = rate > out.peak ? rate : out.peak;
	}
	out.full = capacity && out.peak * 100 > (double)capacity * FORECAST_FULL;
	return out;
}

static int by_bytes(const void *a, const void *b)
{
	const struct overlap *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->map < y->map ? -1 : x->map > y->map;
}

void forecast_print_overlaps(const struct forecast *f, struct buf *out)
{
	const struct broker *b = f->b;
	size_t n = 0;

	if (f->overlaps.len)
		qsort(f->overlaps.items, f->overlaps.len, sizeof(*f->overlaps.items), by_bytes);
	VEC_EACH (&f->overlaps, o) {
		double all = f->taken[(size_t)o->port * b->maps_n + o->map];

		if (n++ == OVERLAPS_SHOWN) {
			buf_printf(out, "and %zu more\n", f->overlaps.len - OVERLAPS_SHOWN);
			return;
		}
		buf_printf(out,
			   "%.0f %% of what map " STR_FMT " takes for " STR_FMT "/" STR_FMT
			   " already reaches it through map " STR_FMT "; it gets one copy\n",
			   all > 0 ? o->bytes / all * 100 : 0, STR_ARG(b->maps[o->map].name),
			   STR_ARG(b->ports[o->port].tool), STR_ARG(b->ports[o->port].port),
			   STR_ARG(b->maps[o->other].name));
	}
}

/* The largest packets that lead there, and from where. */
static uint32_t source_mtu(const struct broker *b, uint32_t port, uint32_t pods, struct str *text)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < b->maps_n; i++) {
		const struct broker_map *m = &b->maps[i];

		for (uint32_t s = 0; broker_leads(b, m, port) && s < m->sources.n; s++) {
			const struct broker_source *src = &b->sources[m->sources.items[s]];
			bool pod = src->kind == BROKER_PODS || src->kind == BROKER_SERVICE;
			uint32_t mtu = pod ? pods : LINE_MTU;

			if (mtu > most) {
				most = mtu;
				*text = src->text;
			}
		}
	}
	return most;
}

void forecast_mtu(const struct broker *b, uint32_t port, uint32_t pods, struct remarks *remarks)
{
	const struct broker_port *p = &b->ports[port];
	struct str text = {0};
	uint32_t more = overhead(p), mtu = p->mtu ? p->mtu : LINE_MTU,
		 seen = source_mtu(b, port, pods, &text);

	if (p->chain.slice.on && before(&p->chain.slice) + p->chain.slice.bytes < seen)
		seen = before(&p->chain.slice) + p->chain.slice.bytes;
	if (!seen || (!more && !p->mtu) || seen + more <= mtu)
		return;
	if (more)
		remark_add(remarks, REMARK_WARNING, p->pos,
			   "tooBig: Fragment or Slice, a larger mtu on the way, or a slice",
			   "packets of {" STR_FMT "} have up to %u bytes, and %u of tunnel headers: "
			   "more than the %u that go to " STR_FMT "/" STR_FMT,
			   STR_ARG(text), seen, more, mtu, STR_ARG(p->tool), STR_ARG(p->port));
	else
		remark_add(remarks, REMARK_WARNING, p->pos, "a larger mtu, or a slice",
			   "packets of {" STR_FMT "} have up to %u bytes, and " STR_FMT "/" STR_FMT
			   " takes %u: larger ones are dropped as \"mtu\"",
			   STR_ARG(text), seen, STR_ARG(p->tool), STR_ARG(p->port), mtu);
}
