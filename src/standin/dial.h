/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dial: one call to one place, as a client would do it: resolve, connect, ask, read who answered. Used by the
 * steady calls of `serve`, by `init` and by `probe`. Owns its socket and timers until done() is called.
 */
#ifndef WEFT_STANDIN_DIAL_H
#define WEFT_STANDIN_DIAL_H

#include "standin/resolve.h"

enum dial_result {
	DIAL_OK,	  /* connected, and answered if it is one who speaks first or answers HTTP */
	DIAL_REFUSED,	  /* reset, ICMP port unreachable, or a Service without a pod */
	DIAL_TIMEOUT,	  /* nothing came back in time */
	DIAL_UNREACHABLE, /* no route, ICMP host or network unreachable, or policy refused it at connect() */
	DIAL_DNS,	  /* the name has no address, or no server answered */
	DIAL_RESULTS
};
const char *dial_result_name(enum dial_result r);

struct dial_place {
	const char *host; /* name or address; must live as long as the dial */
	uint16_t port;
	bool udp;
	uint8_t family;	     /* 4, 6 or 0: the first address found */
	bool prefer;	     /* family is a wish: another is taken where the name has none of it */
	uint32_t timeout_ms; /* for all of it, the look-up too */
};

enum { DIAL_ANSWER = 2048 };

struct dial {
	struct dial_place place;
	struct resolver *resolver;
	struct lookup lookup;
	struct watch watch;
	struct timer timer, again;
	bool connected, looking;
	uint64_t start_us;
	unsigned sent;
	struct addr addr; /* that was tried; zero when there was none */
	char answer[DIAL_ANSWER];
	size_t answer_len;
	enum resolve_result dns;
	uint64_t took_us;
	void (*done)(struct dial *d, enum dial_result r);
};

/* done() is called once, possibly before this returns; the dial may be freed or started anew in it. */
void dial_start(struct dial *d, struct resolver *r, const struct dial_place *place,
		void (*done)(struct dial *d, enum dial_result r));
void dial_cancel(struct dial *d);
/* The JSON object in the answer (HTTP body or bare), or an empty string. Borrowed. */
struct str dial_identity(const struct dial *d);

#endif
