/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forecast: what maps would make of traffic that was recorded: packets and bits for each tool port, how much
 * of it several maps share, which tools would be too small. Pure: records come as packets that stand for
 * many, with the time over which they were spread.
 */
#ifndef WEFT_BROKER_FORECAST_H
#define WEFT_BROKER_FORECAST_H

#include "broker/judge.h"

enum { FORECAST_FULL = 80 }; /* percent of its capacity from which a tool is flagged */

/* Part of a connection, one way, as one place saw it. */
struct forecast_part {
	const struct point *at;
	const struct chain_packet *packet; /* one of them, of a length that is their mean */
	unsigned direction, fate;	   /* BROKER_… */
	uint64_t packets, bytes;
	int64_t first, last; /* ns; the parts of a connection lie between */
};

struct forecast;
/* For traffic from `since` to `until` (ns, since < until). 0 or -ENOMEM. The broker must live as long. */
int forecast_new(struct forecast **out, const struct broker *b, int64_t since, int64_t until);
void forecast_free(struct forecast **f);
/* What lies outside of the time is left out, in proportion. 0 or -ENOMEM. */
int forecast_add(struct forecast *f, const struct forecast_part *p);

/* Why a map is not foretold: its filter asks for what records do not have. NULL: it is. */
const char *forecast_blind(const struct forecast *f, uint32_t map);

struct forecast_port {
	double packets, bits; /* a second, mean of the time */
	double peak;	      /* bits a second, of the busiest interval */
	bool least; /* maps that are not foretold lead there too, or it samples by what is not known */
	bool full;  /* the peak is above FORECAST_FULL percent of its capacity */
};
struct forecast_port forecast_port(const struct forecast *f, uint32_t port);
double forecast_interval(const struct forecast *f); /* seconds of which `peak` is */

/* What several maps take for one tool port, in words, largest first: one line each. */
void forecast_print_overlaps(const struct forecast *f, struct buf *out);

/* Whether a tool port's mtu is below what its sources' packets and the tunnel's headers need (BR59): then a
 * warning. `pods`: MTU of pods; links have 1500. */
void forecast_mtu(const struct broker *b, uint32_t port, uint32_t pods, struct remarks *remarks);

#endif
