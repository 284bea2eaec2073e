/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judge: packets held against a broker's maps. Each filter is judged at most once a packet; each map then
 * says whether it takes the packet; the union of their targets is due. Pure; one thread.
 */
#ifndef WEFT_BROKER_JUDGE_H
#define WEFT_BROKER_JUDGE_H

#include "broker/broker.h"
#include "broker/group.h"

/* A place where packets are seen: a pod, an interface, a capture file. It may be several of the sources that
 * maps name (two selectors that meet in one pod): it is one source all the same, and gives one copy. */
struct point;
struct judge;

/* 0 or -ENOMEM. The broker must live as long as the judge, and both as long as its points. */
int judge_new(struct judge **out, const struct broker *b);
void judge_free(struct judge **j);
/* `sources` are numbers of the broker's. */
int point_new(struct point **out, const struct broker *b, const uint32_t *sources, uint32_t n);
void point_free(struct point **p);
/* Whether anything can lead from the point to the tool port. */
bool point_reaches(const struct point *p, uint32_t port);
bool point_has_map(const struct point *p, uint32_t map);

struct judged {
	bool whole;	      /* its headers are there and make sense; else judged by what is there */
	const uint32_t *maps; /* that took it, in the broker's order */
	uint32_t maps_n;
	const uint32_t *ports; /* that it is due to, by number, each once */
	uint32_t ports_n;
	uint32_t down; /* groups without a member that is up: due to them, and to nobody */
};

/* `direction` is BROKER_DIRECTION_…, both where it is not known; `fate` is BROKER_FORWARDED or
 * BROKER_DROPPED. The lists hold until the next call. */
void judge_packet(struct judge *j, const struct point *at, const struct chain_packet *p, unsigned direction,
		  unsigned fate, struct judged *out);

struct group *judge_group(struct judge *j, uint32_t group);

#endif
