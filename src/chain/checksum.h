/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums: the Internet checksum (RFC 1071, changed by RFC 1624), SCTP's CRC-32C and Ethernet's CRC-32.
 * Sums are of 16-bit words as they lie in memory, so that one value serves both byte orders.
 */
#ifndef WEFT_CHAIN_CHECKSUM_H
#define WEFT_CHAIN_CHECKSUM_H

#include "chain/layout.h"

/* Adds n bytes that begin at an even place of what is summed. */
uint64_t sum_add(uint64_t sum, const uint8_t *p, size_t n);
/* The same for bytes that may begin at an odd place. */
uint64_t sum_add_at(uint64_t sum, const uint8_t *p, size_t n, bool odd);
uint16_t sum_fold(uint64_t sum);
/* Of the pseudo-header of an IP packet whose transport part has n bytes. */
uint64_t sum_pseudo(const uint8_t *p, const struct layout *l, uint32_t n);

/* Where the checksum of the transport header stands, as an offset into the packet; 0: none that is known. */
struct transport_sum {
	uint32_t at;
	bool pseudo; /* covers the pseudo-header */
	bool crc;    /* SCTP's */
	bool zero;   /* 0 in it means that there is none: UDP over IPv4 */
};
struct transport_sum transport_sum(const struct layout *l);
/* Writes the right ones: of the IPv4 header; of a transport part that is there whole, not a fragment. */
void checksum_ip4(uint8_t *p, const struct layout *l);
void checksum_transport(uint8_t *p, const struct layout *l);
/* Whether the transport part, whole, has a right one. */
bool checksum_right(const uint8_t *p, const struct layout *l);

uint32_t crc32c(const uint8_t *p, size_t n, size_t without); /* 4 bytes from `without` on count as 0 */
uint32_t crc32_ethernet(const uint8_t *p, size_t n);

#endif
