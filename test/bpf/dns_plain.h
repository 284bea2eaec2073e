/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DNS answer teaches, found the plain way: names are written out whole before they are compared.
 * Beside bpf/lib/dns.h in test/bpf and test/fuzz; shares no code with it.
 */
#ifndef WEFT_TEST_BPF_DNS_PLAIN_H
#define WEFT_TEST_BPF_DNS_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#define PLAIN_MAX 512

struct plain {
	char name[256]; /* asked for, in lower case; empty: the message teaches nothing */
	size_t count;
	struct {
		uint8_t addr[16]; /* IPv4 v4-mapped */
		uint32_t ttl;
	} found[PLAIN_MAX];
	int odd; /* a name takes so many pointers, or the names are so many, that a reader may give up */
};

void dns_plain(const uint8_t *msg, size_t len, struct plain *out);

#endif
