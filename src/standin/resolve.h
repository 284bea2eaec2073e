/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolver of the stand-in: names to addresses over UDP as /etc/resolv.conf says (nameservers, search,
 * ndots), without blocking the loop. Each question goes out on its own connected socket, so that it is one
 * flow for the network under test. No cache: each look-up is a real one.
 */
#ifndef WEFT_STANDIN_RESOLVE_H
#define WEFT_STANDIN_RESOLVE_H

#include "base/addr.h"
#include "standin/loop.h"

enum { RESOLVE_SERVERS = 3, RESOLVE_SEARCH = 8, RESOLVE_ADDRS = 16, RESOLVE_NAME = 256 };

struct resolver {
	struct loop *loop;
	struct addr servers[RESOLVE_SERVERS];
	unsigned servers_len, search_len, ndots;
	char search[RESOLVE_SEARCH][RESOLVE_NAME];
};

/* Reads the file that WEFT_RESOLV_CONF names, else /etc/resolv.conf; without it there is no server, and each
 * look-up fails. */
void resolver_init(struct resolver *r, struct loop *l);

enum resolve_result {
	RESOLVE_OK,
	RESOLVE_NONE /* no such name */,
	RESOLVE_FAILED /* server error */,
	RESOLVE_SILENT
};

struct lookup {
	struct watch watch;
	struct timer timer;
	struct resolver *resolver;
	char name[RESOLVE_NAME], asked[RESOLVE_NAME + 2];
	unsigned candidate, candidates, attempt;
	uint16_t id;
	bool have4, have6, failed;
	uint32_t wait_ms;
	struct addr addrs[RESOLVE_ADDRS]; /* IPv4 ones are mapped */
	unsigned addrs_len;
	void (*done)(struct lookup *l, enum resolve_result r);
};

/* Starts; done() is called once, possibly before this returns. wait_ms: for each attempt, of which there are
 * two a candidate name. An address as name is its own answer. */
void lookup_start(struct lookup *l, struct resolver *r, const char *name, uint32_t wait_ms,
		  void (*done)(struct lookup *l, enum resolve_result r));
void lookup_cancel(struct lookup *l);

/* The wire form, for tests: builds a question into q (returns its length, 0 when the name is not one), and
 * reads an answer to id into addrs: RESOLVE_OK with any number of addresses (also 0), NONE, FAILED; -1: not
 * ours. */
size_t resolve_question(uint8_t *q, size_t cap, const char *name, uint16_t id, uint16_t type);
int resolve_answer(const uint8_t *m, size_t n, uint16_t id, uint16_t type, struct addr *addrs, unsigned *len);

#endif
