/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the actions of a chain share, and nobody else sees: the chain's state, and the packet under way. An
 * action looks at w->k, and calls work_own() before it writes: the bytes that came in are never changed.
 */
#ifndef WEFT_CHAIN_STATE_H
#define WEFT_CHAIN_STATE_H

#include "chain/chain.h"
#include "chain/layout.h"

enum { HEADROOM = 128, TAILROOM = 64, CAPLEN_MAX = 1 << 20 };

struct area {
	uint8_t *p;
	size_t n;
};

struct dedup;

struct chain {
	struct chain_config config;
	struct chain_range ranges[CHAIN_RANGES_MAX];
	struct dedup *dedup;
	struct area whole, piece, fragment; /* restored; edited; cut outside: one each, reused */
	uint64_t counts[CHAIN_COUNTERS];
	uint64_t sampled;	  /* packets that the sample has judged */
	uint32_t sequence, ip_id; /* of the tunnel: the next ones */
};

struct work {
	struct chain *c;
	struct chain_packet k;
	bool own; /* k.p lies in `area`, with HEADROOM before the bytes at first and TAILROOM behind */
	struct area *area;
	struct layout l; /* of k while has_layout */
	bool has_layout;
	chain_out *out;
	void *ctx;
};

static inline void count(struct work *w, enum chain_counter c)
{
	w->c->counts[c]++;
}
/* Makes room for n bytes: 0 or -ENOMEM. What was in it is gone. */
int area_room(struct area *a, size_t n);
/* The bytes, to be written: copied to the area first where they are not there yet. NULL: no memory. */
uint8_t *work_own(struct work *w);
/* n bytes more before, or less (then n < 0), of an own packet; the layout is forgotten. */
void work_grow(struct work *w, int n);
const struct layout *work_layout(struct work *w);
static inline bool work_ethernet(const struct work *w)
{
	return w->k.link == CHAIN_LINK_ETHERNET && w->k.caplen >= MACS + 2;
}

/* The actions. False: the packet ends here, and is counted. r: -ENOMEM. */
int restore(struct work *w);	 /* tag, checksum */
int finish_told(struct work *w); /* the checksum of PACKET_UNFINISHED */
typedef int each_packet(struct work *w);
int split(struct work *w, each_packet *each); /* each: for every packet of the wire */
bool sample(struct work *w);
int dedup_new(struct dedup **out, const struct chain_dedup *config);
void dedup_free(struct dedup **d);
bool dedup(struct work *w);
int strip(struct work *w);
int mask(struct work *w);
void slice(struct work *w);
int stamp(struct work *w);
int encapsulate(struct work *w); /* hands on */
void hand_on(struct work *w);

int encap_check(const struct chain_encap *e, struct buf *why);

#endif
