/* SPDX-License-Identifier: Apache-2.0 */
/* The chain: the order of its actions, its counters, and the packet under way. See chain.h. */
#include "chain/state.h"

#include "base/own.h"

#include <errno.h>

static const struct {
	const char *name, *sentence;
	enum chain_counter_kind kind;
} counters[CHAIN_COUNTERS] = {
#define CHAIN_COUNTER(id, name, kind, sentence) {name, sentence, CHAIN_KIND_##kind},
#include "tables/chain.def"
#undef CHAIN_COUNTER
};

const char *chain_counter_name(enum chain_counter c)
{
	return counters[c].name;
}

const char *chain_counter_sentence(enum chain_counter c)
{
	return counters[c].sentence;
}

enum chain_counter_kind chain_counter_kind(enum chain_counter c)
{
	return counters[c].kind;
}

const uint64_t *chain_counts(const struct chain *c)
{
	return c->counts;
}

int area_room(struct area *a, size_t n)
{
	uint8_t *p;

	if (n <= a->n)
		return 0;
	p = malloc(n);
	if (!p)
		return -ENOMEM;
	free(a->p);
	a->p = p;
	a->n = n;
	return 0;
}

uint8_t *work_own(struct work *w)
{
	if (!w->own) {
		size_t room = HEADROOM + (size_t)w->k.caplen + TAILROOM;

		if (area_room(w->area, room < 4096 ? 4096 : room))
			return NULL;
		memcpy(w->area->p + HEADROOM, w->k.p, w->k.caplen);
		w->k.p = w->area->p + HEADROOM;
		w->own = true;
	}
	return w->area->p + (w->k.p - w->area->p);
}

void work_grow(struct work *w, int n)
{
	w->k.p -= n;
	w->k.caplen += (uint32_t)n;
	w->k.len += (uint32_t)n;
	w->has_layout = false;
}

const struct layout *work_layout(struct work *w)
{
	if (!w->has_layout)
		layout_read(&w->l, w->k.p, w->k.caplen, w->k.len, w->k.link);
	w->has_layout = true;
	return &w->l;
}

bool sample(struct work *w)
{
	const struct chain_sample *s = &w->c->config.sample;
	uint64_t n, block, at;

	if (s->one_in <= 1)
		return true;
	if (s->by_flow) {
		if (chain_flow(&w->k, 0, s->seed) % s->one_in == 0)
			return true;
	} else {
		/* One of each N, at a place that the seed draws: exact, and not in step with the traffic. */
		n = w->c->sampled++;
		block = n / s->one_in + 1;
		at = (block * 0x9e3779b97f4a7c15ull ^ s->seed) * 0xd6e8feb86659fd93ull;
		if ((at >> 32) % s->one_in == n % s->one_in)
			return true;
	}
	count(w, CHAIN_SAMPLED_OUT);
	return false;
}

void slice(struct work *w)
{
	const struct chain_slice *s = &w->c->config.slice;
	uint64_t keep = s->bytes;

	if (!s->on)
		return;
	if (s->from != CHAIN_L2) {
		const struct layout *l = work_layout(w);
		bool l4 = l->version && !l->murky, payload = l->has_payload && !layout_later(l);

		if (s->from == CHAIN_L3 || !l4)
			keep += l->l3;
		else
			keep += s->from == CHAIN_PAYLOAD && payload ? l->payload : l->l4;
		if (s->from != CHAIN_L3 && (!l4 || (s->from == CHAIN_PAYLOAD && !payload)))
			count(w, CHAIN_SLICE_SHALLOW);
	}
	if (keep >= w->k.caplen)
		return;
	w->k.caplen = (uint32_t)keep;
	w->k.flags |= PACKET_SLICED;
	w->has_layout = false;
	count(w, CHAIN_SLICED);
}

void hand_on(struct work *w)
{
	count(w, CHAIN_OUT);
	w->out(w->ctx, &w->k);
}

/* One packet of the wire. */
static int each(struct work *w)
{
	int r;

	if (!sample(w) || !dedup(w))
		return 0;
	r = strip(w);
	if (!r)
		r = mask(w);
	if (r)
		return r;
	slice(w);
	r = stamp(w);
	return r ? r : encapsulate(w);
}

int chain_run(struct chain *c, const struct chain_packet *p, chain_out *out, void *ctx)
{
	static const uint8_t nothing[1];
	struct work w = {.c = c, .k = *p, .area = &c->whole, .out = out, .ctx = ctx};
	int r;

	count(&w, CHAIN_IN);
	if (!w.k.caplen)
		w.k.p = nothing;
	if (w.k.len < w.k.caplen)
		w.k.len = w.k.caplen;
	if (w.k.caplen > CAPLEN_MAX || w.k.len > INT32_MAX) {
		count(&w, CHAIN_OVERSIZED);
		return 0;
	}
	w.k.outers = 0;
	r = restore(&w);
	if (!w.k.seen_len)
		w.k.seen_len = w.k.len;
	return r ? r : split(&w, each);
}

static int refuse(struct buf *why, const char *text)
{
	if (why)
		buf_addz(why, text);
	return -EINVAL;
}

static int check(const struct chain_config *c, struct buf *why)
{
	if (c->dedup.mode != CHAIN_DEDUP_OFF && !c->dedup.window)
		return refuse(why, "dedup needs a window above 0");
	if (c->dedup.entries > 1u << 28)
		return refuse(why, "dedup remembers at most 268435456 packets");
	if (c->mask.n > CHAIN_RANGES_MAX)
		return refuse(why, "a mask has at most 64 ranges");
	if (c->stamp.vlan_tpid && !is_tag(c->stamp.vlan_tpid))
		return refuse(why, "the tag of a stamp is 0x8100, 0x88a8 or 0x9100");
	if (c->wire_mtu && c->wire_mtu < 576)
		return refuse(why, "the MTU of the wire is at least 576");
	return encap_check(&c->encap, why);
}

int chain_new(struct chain **out, const struct chain_config *config, struct buf *why)
{
	struct chain *c;
	int r = check(config, why);

	if (r)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->config = *config;
	if (config->mask.n)
		memcpy(c->ranges, config->mask.ranges, config->mask.n * sizeof(*c->ranges));
	c->config.mask.ranges = c->ranges;
	if (config->dedup.mode != CHAIN_DEDUP_OFF)
		r = dedup_new(&c->dedup, &config->dedup);
	if (r)
		chain_free(&c);
	else
		*out = c;
	return r;
}

void chain_free(struct chain **chain)
{
	struct chain *c = TAKE(*chain);

	if (!c)
		return;
	dedup_free(&c->dedup);
	free(c->whole.p);
	free(c->piece.p);
	free(c->fragment.p);
	free(c);
}
