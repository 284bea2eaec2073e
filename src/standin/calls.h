/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: finds in one environment value or argument the places it names as HOST:PORT or as a URL, and judges
 * whether such a host names a Service. Pure: no state, no resolver, no allocation. The sandbox asks before it
 * writes a container's spec; the stand-in itself only calls what the spec lists.
 */
#ifndef WEFT_STANDIN_CALLS_H
#define WEFT_STANDIN_CALLS_H

#include "base/str.h"

struct call_place {
	struct str host; /* a DNS name, lower or upper case as written; borrowed from the text */
	uint16_t port;	 /* 1 to 65535; from the text, or the scheme's well-known one */
	bool udp;	 /* the scheme is udp, dns or syslog */
};

/* Writes up to max places found in text to out, in the order of the text, and returns how many there are
 * (which may be more than max). Several places may be separated by commas, blanks or "=". IP addresses are no
 * places: they name no Service. */
size_t calls_find(struct str text, struct call_place *out, size_t max);

/* Does host, seen from a pod in namespace ns, name a Service? Tries "svc", "svc.ns",
 * "svc.ns.svc[.cluster.local]" and the same with one pod's name in front ("web-0.web"). exists() answers for
 * one Service. On success *svc and *in (borrowed from host or ns) say which. */
typedef bool calls_exists(void *ctx, struct str ns, struct str svc);
bool calls_service(struct str host, struct str ns, calls_exists *exists, void *ctx, struct str *in,
		   struct str *svc);

#endif
