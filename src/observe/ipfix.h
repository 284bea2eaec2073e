/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFIX (RFC 7011) messages: records of one way of a connection, by two templates (IPv4, IPv6). Writes bytes;
 * sends nothing. Templates stand in front of each message's data, so that a collector that begins late, or
 * lost a datagram, reads the next one.
 */
#ifndef WEFT_OBSERVE_IPFIX_H
#define WEFT_OBSERVE_IPFIX_H

#include "base/addr.h"
#include "base/str.h"

enum { IPFIX_MESSAGE_MAX = 1400 }; /* bytes: a datagram that no way has to cut */

struct ipfix_record {
	struct addr from, to;
	uint16_t from_port, to_port; /* host order */
	uint8_t proto;
	bool dropped;
	uint64_t bytes, packets;
	uint64_t first, last; /* ms since 1970 */
};

struct ipfix {
	uint32_t domain;   /* who exports */
	uint32_t sequence; /* data records in messages before this one */
	uint32_t records;  /* in this one */
	bool is6;	   /* family of its records */
	uint8_t bytes[IPFIX_MESSAGE_MAX];
	size_t n;
};
/* Begins a message for records of one family; `now` in seconds since 1970. */
void ipfix_begin(struct ipfix *m, bool is6, uint32_t now);
/* false: no room, or another family: end this message first. */
bool ipfix_add(struct ipfix *m, const struct ipfix_record *r);
/* Sets the lengths: m->bytes, m->n may be sent. Then ipfix_begin() goes on with the numbers. */
void ipfix_end(struct ipfix *m);

#endif
