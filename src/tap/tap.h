/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps: what the kernel of one node copies: judges, places, outlets, as plain values. Made by the planner
 * (or `weft broker` on a plain host) from the broker's configuration, put into force by the applier, which
 * does not trust it. Each struct taps is the whole state of its epoch. Encoding and decoding are pure and
 * trust nothing.
 */
#ifndef WEFT_TAP_TAP_H
#define WEFT_TAP_TAP_H

#include "base/arena.h"
#include "base/str.h"
#include "base/vec.h"
#include "seam/filter.h"
#include "seam/tap.h"

struct tap_form { /* one filter, in one of the two forms of seam/filter.h */
	const struct filter_step *steps;
	const struct filter_classic *classic;
	uint32_t n;
};

struct tap_judge {
	const struct tap_form *forms; /* ≤ TAP_FILTERS_MAX; bit i of the answer is forms[i] */
	uint32_t n;		      /* 0: only TAP_ALWAYS and TAP_UNPARSABLE */
};

enum { TAP_NAME = 16 }; /* of an interface, NUL-padded */

enum tap_where {
	TAP_AT_POD,	  /* host-side interface of a pod: its programs look there already */
	TAP_AT_INTERFACE, /* any other: programs of its own are attached, before others' */
};

struct tap_place {
	enum tap_where where;
	uint32_t ifindex;    /* TAP_AT_POD; it need not be there yet, so that no first packet is missed */
	char name[TAP_NAME]; /* TAP_AT_INTERFACE; it need not be there yet */
	uint32_t judge;	     /* index in judges */
	uint32_t point;	     /* < TAP_POINTS_MAX; of this place alone */
	uint32_t own;	     /* bits that tell Weft's own copies on their way to a tool */
	uint32_t take[TAP_TAKES];
	struct tap_direct direct[TAP_DIRECT_MAX]; /* outlet: a number of outlets */
	uint32_t directs;
	bool feed; /* TAP_AT_INTERFACE: what comes in goes no further than to outlets */
};

struct tap_outlet {
	uint32_t number; /* 1 to OUTLETS_MAX; of this outlet alone */
	enum outlet_way way;
	char name[TAP_NAME]; /* OUTLET_INTERFACE, OUTLET_ROUTED */
	uint32_t ifindex;    /* OUTLET_POD: host-side interface */
	bool finish;	     /* OUTLET_INTERFACE: packets must leave split and with their checksums done */
	bool answers;	     /* what comes back for canaries is counted */
	bool edits;	     /* of finished packets: what goes straight there is edited so */
	struct edit_value edit;
};

struct taps {
	uint32_t epoch; /* rises with each */
	const struct tap_judge *judges;
	const struct tap_place *places;
	const struct tap_outlet *outlets;
	uint32_t judges_n, places_n, outlets_n;
	struct arena arena; /* owns all of it */
};
void taps_fini(struct taps *t);

enum { TAPS_BYTES_MAX = 16 << 20 };
/* As bytes. out->failed when out of memory. */
void taps_encode(struct buf *out, const struct taps *t);
/* 0; -EPROTO with what is wrong in why: cut short, numbers out of range, an unknown judge or outlet, a point
 * or outlet twice, bytes left over; -ENOMEM. */
int taps_decode(struct taps *out, const void *bytes, size_t n, struct buf *why);
/* One sorted line for each judge, place and outlet. */
void taps_print(struct buf *out, const struct taps *t);

#endif
