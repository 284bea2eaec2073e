/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dedup: what counts of a packet as a digest, and a bounded table of digests that were handed on within the
 * window. A digest may stand in either of two buckets of four, each a cache line: constant time, and the
 * table is nearly full before it has no room (then the packet is handed on, counted as blind). A digest has
 * 64 bits besides its bucket's number: a packet is wrongly taken for a duplicate with odds of about 8 / 2^64,
 * or, while the states of two digests are equal, live entries / 2^64.
 */
#include "chain/digest.h"
#include "chain/state.h"

#include <errno.h>
#include <stdlib.h>

enum { WAYS = 4, ENTRIES = 65536, HEAD_MAX = 256 };

struct bucket {
	uint64_t digest[WAYS]; /* 0: free */
	uint64_t time[WAYS];   /* when it was handed on */
};

struct dedup {
	struct bucket *buckets;
	uint64_t mask; /* buckets - 1 */
};

int dedup_new(struct dedup **out, const struct chain_dedup *config)
{
	struct dedup *d = malloc(sizeof(*d));
	uint64_t want = config->entries ? config->entries : ENTRIES, n = 1;

	while (n * WAYS < 2 * want) /* half full at most: room is then all but certain */
		n *= 2;
	if (!d)
		return -ENOMEM;
	d->mask = n - 1;
	d->buckets = aligned_alloc(sizeof(struct bucket), n * sizeof(struct bucket));
	if (!d->buckets) {
		free(d);
		return -ENOMEM;
	}
	memset(d->buckets, 0, n * sizeof(struct bucket));
	*out = d;
	return 0;
}

void dedup_free(struct dedup **dedup)
{
	if (*dedup)
		free((*dedup)->buckets);
	free(*dedup);
	*dedup = NULL;
}

/* Bytes that count, gathered: small parts one by one, the rest of the packet whole. */
struct part {
	uint8_t p[HEAD_MAX];
	size_t n;
};

static void add(struct part *h, const void *p, size_t n)
{
	if (n > HEAD_MAX - h->n)
		n = HEAD_MAX - h->n;
	memcpy(h->p + h->n, p, n);
	h->n += n;
}

static void add_number(struct part *h, uint32_t v)
{
	uint8_t b[4];

	set32(b, v);
	add(h, b, 4);
}

/* The IP header without what does not count; what is behind it follows elsewhere. */
static void add_ip(struct part *h, const uint8_t *p, const struct layout *l, unsigned ignore, bool routed)
{
	uint8_t head[40];
	bool ttl = routed || ignore & CHAIN_IGNORE_TTL;

	memcpy(head, p + l->l3, l->version == 4 ? 20 : 40);
	if (l->version == 4) {
		if (ttl)
			head[8] = 0;
		if (ignore & CHAIN_IGNORE_DSCP)
			head[1] = 0;
		if (ignore & CHAIN_IGNORE_IP_ID)
			set16(head + 4, 0);
		if (ttl || ignore & (CHAIN_IGNORE_DSCP | CHAIN_IGNORE_IP_ID))
			set16(head + 10, 0);
		add(h, head, 20);
	} else {
		if (ttl)
			head[7] = 0;
		if (ignore & CHAIN_IGNORE_DSCP) {
			head[0] = 0x60;
			head[1] &= 0x0f;
		}
		add(h, head, 40);
	}
}

/* What stands before the network header: addresses, tags, type, labels. `at` is where the frame begins. */
static void add_link(struct part *h, const uint8_t *p, uint32_t at, const struct layout *l,
		     const struct chain_dedup *c)
{
	bool l3 = c->mode == CHAIN_DEDUP_L3 && l->version;

	if (!l->ethernet) {
		add(h, p + at, l->l3 - at);
		return;
	}
	if (!l3 && !(c->ignore & CHAIN_IGNORE_MAC))
		add(h, p + at, MACS);
	if (!(c->ignore & CHAIN_IGNORE_VLAN))
		for (unsigned i = 0; i < l->tags; i++)
			add_number(h, get32(p + at + MACS + TAG * i) & (l3 ? 0xffff0fff : 0xffffffff));
	add(h, p + at + MACS + TAG * l->tags, l->l3 - (at + MACS + TAG * l->tags));
}

static struct digest digest_of(struct work *w)
{
	const struct chain_dedup *c = &w->c->config.dedup;
	bool inner = c->ignore & (CHAIN_IGNORE_OUTER | CHAIN_IGNORE_VNI);
	struct layout layers[CHAIN_OUTER_MAX + 1];
	struct tunnel tunnels[CHAIN_OUTER_MAX + 1];
	const uint8_t *p = w->k.p;
	struct digest d = {c->seed, ~c->seed};
	const struct layout *l;
	struct part h = {.n = 0};
	uint32_t at = 0, body, end = w->k.len, there;

	layers[0] = *work_layout(w);
	if (inner) {
		unsigned n =
		    layers_read(layers, tunnels, CHAIN_OUTER_MAX + 1, p, w->k.caplen, w->k.len, w->k.link);

		for (unsigned i = 0; i + 1 < n; i++) {
			if (!(c->ignore & CHAIN_IGNORE_VNI) && tunnels[i].has_id)
				add_number(&h, tunnels[i].id);
			at = tunnels[i].inner;
			end = layers[i].end;
		}
		layers[0] = layers[n - 1];
	}
	l = &layers[0];
	body = at;
	if (l->version) {
		add_link(&h, p, at, l, c);
		add_ip(&h, p, l, c->ignore, c->mode == CHAIN_DEDUP_L3);
		body = l->l3 + (l->version == 4 ? 20 : 40);
		if (c->mode == CHAIN_DEDUP_L3)
			end = l->end;
	} else if (l->ethernet && c->ignore & (CHAIN_IGNORE_MAC | CHAIN_IGNORE_VLAN)) {
		add_link(&h, p, at, l, c);
		body = l->l3;
	}
	there = end < w->k.caplen ? end : w->k.caplen;
	add_number(&h, end - body);
	digest_add(&d, h.p, h.n);
	digest_add(&d, p + body, there > body ? there - body : 0);
	return d;
}

static bool is_live(uint64_t time, uint64_t now, uint64_t window)
{
	/* A clock that was set back makes times of the future: they live as long, and no longer. */
	return (now >= time ? now - time : time - now) < window;
}

bool dedup(struct work *w)
{
	const struct chain_dedup *c = &w->c->config.dedup;
	struct dedup *t = w->c->dedup;
	struct bucket *two[2], *into = NULL;
	unsigned way = 0, most = 0;
	struct digest d;

	if (!t)
		return true;
	d = digest_of(w);
	d.a += !d.a;
	two[0] = &t->buckets[d.b & t->mask];
	two[1] = &t->buckets[d.b >> 32 & t->mask];
	__builtin_prefetch(two[1]);
	for (unsigned b = 0; b < 2; b++) {
		unsigned room = 0, last = 0;

		for (unsigned i = 0; i < WAYS; i++) {
			bool live = two[b]->digest[i] && is_live(two[b]->time[i], w->k.time, c->window);

			if (live && two[b]->digest[i] == d.a) {
				count(w, c->count_only ? CHAIN_DUPLICATE_MARKED : CHAIN_DUPLICATE);
				w->k.flags |= PACKET_DUPLICATE;
				return c->count_only;
			}
			if (!live) {
				room++;
				last = i;
			}
		}
		if (room > most) {
			most = room;
			into = two[b];
			way = last;
		}
	}
	if (into) {
		into->digest[way] = d.a;
		into->time[way] = w->k.time;
	} else {
		count(w, CHAIN_DEDUP_BLIND);
	}
	return true;
}
