/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explain: why each map takes or leaves a packet that a place sees, and which tool ports it is due to through
 * what. Says what judge_packet() does, and asks it for the ports. Pure; one thread.
 */
#ifndef WEFT_BROKER_EXPLAIN_H
#define WEFT_BROKER_EXPLAIN_H

#include "broker/judge.h"

enum explain_why {
	EXPLAIN_TAKEN,
	EXPLAIN_SOURCE,	   /* the map does not look there */
	EXPLAIN_DIRECTION, /* it asks for the other way */
	EXPLAIN_FATE,	   /* it asks for packets that were dropped, or for those that were not */
	EXPLAIN_FILTER,	   /* none of its filters matches */
	EXPLAIN_EXCEPT,	   /* `other`, which it leaves to others, took the packet */
	EXPLAIN_REST,	   /* it takes the rest; `other` took the packet */
};

struct explain_filter {
	uint32_t filter; /* of the broker's */
	bool matches;
	struct str terms; /* that settled it, with what the packet has: filter_packet_why() */
};
struct explain_map {
	uint32_t map;
	enum explain_why why;
	uint32_t other;			/* EXPLAIN_EXCEPT, EXPLAIN_REST */
	struct explain_filter *filters; /* asked up to the first that matches */
	uint32_t filters_n;
};
struct explain_group {
	uint32_t group;
	uint32_t port; /* whose turn it is; BROKER_NONE: nobody is up */
};
struct explain_port {
	uint32_t port;
	uint32_t *maps; /* that took it and lead there, through a group or not */
	uint32_t maps_n;
	uint32_t group; /* that chose it; BROKER_NONE: a map names it */
};

struct explained {
	struct arena arena;
	bool whole;		  /* the packet's headers make sense; else it was judged by what is there */
	struct explain_map *maps; /* all, in the order in which they are judged */
	struct explain_group *groups;
	struct explain_port *ports; /* due */
	uint32_t maps_n, groups_n, ports_n;
};

struct explain_question {
	const struct chain_packet *packet;
	const uint32_t *sources; /* numbers of the broker's: what the place is */
	uint32_t sources_n;
	unsigned direction, fate; /* as judge_packet() takes them */
	const bool *down;	  /* by tool port: takes nothing now; NULL: all take */
};
/* 0 or -ENOMEM. */
int broker_explain(struct explained *out, const struct broker *b, const struct explain_question *q);
void explained_fini(struct explained *e);

/* What a tool port does to its copies, in words: "sample 1 in 10 packets, mask …"; nothing for none. */
void broker_print_actions(struct buf *out, const struct broker_port *p);

#endif
