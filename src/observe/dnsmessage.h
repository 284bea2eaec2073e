/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS message (RFC 1035, 4) as pods send and get it: bytes of strangers → what was asked, and in an answer
 * its code and the addresses that the name got. Pure; reads nothing outside the bytes (test/fuzz).
 */
#ifndef WEFT_OBSERVE_DNSMESSAGE_H
#define WEFT_OBSERVE_DNSMESSAGE_H

#include "base/addr.h"

enum { DNS_TEXT = 256, DNS_ADDRESSES = 64 };

struct dns_message {
	uint16_t id, type; /* of the question */
	uint8_t code;	   /* of an answer: RCODE */
	bool answer;
	char name[DNS_TEXT]; /* asked for: lower case, without the last dot; "." is the root */
	/* Of the name, by way of CNAMEs (RFC 1034, 4.3.2); up to the first record that cannot be read. */
	struct addr addresses[DNS_ADDRESSES];
	unsigned addresses_len;
};

/* 0, or -EINVAL: not a standard query or its answer with one question. Bytes of a name that are no plain
 * text are written \DDD (RFC 4343, 2.1); a name longer than fits ends with "…". */
int dns_message_read(const uint8_t *p, size_t n, struct dns_message *out);

#endif
