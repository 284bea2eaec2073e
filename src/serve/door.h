/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a browser's request may come in at all: is it for a name of ours, does it come from a page of ours,
 * does a write carry the session's word. Pure; the session is looked up by its caller.
 */
#ifndef WEFT_SERVE_DOOR_H
#define WEFT_SERVE_DOOR_H

#include "base/str.h"
#include "base/vec.h"

struct door {
	VEC(char *) names; /* hosts, lower case; [::1] with its brackets */
	bool addresses;	   /* any literal address is ours: such a name cannot be led elsewhere */
	bool tls;
};

struct door_knock {
	const char *method, *host, *origin, *site, *mode; /* Host, Origin, Sec-Fetch-Site, -Mode; "" absent */
	const char *csrf;				  /* Weft-Csrf */
	const char *token;				  /* the session's; NULL: none is asked for */
	bool entrance;					  /* a page that a link from elsewhere may lead to */
};

enum door_verdict { DOOR_OPEN, DOOR_HOST, DOOR_ORIGIN, DOOR_CSRF };
enum door_verdict door_check(const struct door *d, const struct door_knock *k);
/* What to tell who was refused. */
const char *door_why(enum door_verdict v);

/* GET and HEAD change nothing. */
bool door_reads(const char *method);
/* The value of the only cookie with that name; empty: none, or several (then one was slipped in). */
struct str cookie_get(struct str header, const char *name);

#endif
