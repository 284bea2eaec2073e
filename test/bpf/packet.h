/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet as a literal: names of fields → bytes with right checksums, and the difference of two packets by
 * layer. Used by the cases of test/bpf only; never touches the kernel.
 */
#ifndef WEFT_TEST_BPF_PACKET_H
#define WEFT_TEST_BPF_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 2048

#define SYN    0x02
#define SYNACK 0x12
#define ACK    0x10
#define FIN    0x11
#define RST    0x04

enum proto { NOTHING, TCP, UDP, SCTP, PING, PONG, ICMP_ERROR, ND, GRE, ARP };

/* What a packet carries, where the bytes matter. */
struct body {
	uint16_t len;
	uint8_t bytes[PACKET_MAX];
};

struct spec {
	enum proto proto;      /* NOTHING: the case does not look at it */
	const char *src, *dst; /* both families by text */
	uint16_t sport, dport; /* of PING and PONG: sport is the identifier */
	uint8_t flags;	       /* TCP */
	uint32_t ack;	       /* TCP; with a window of 0, as a reset has it, unless `window` is set */
	uint32_t seq;	       /* TCP */
	uint16_t window;       /* TCP */
	uint8_t options;       /* TCP: words of them, which are the first bytes of the payload */
	uint8_t ttl;	       /* 0: 64 */
	uint8_t icmp_type, icmp_code;
	uint16_t mtu;		  /* ICMP_ERROR: in its second word */
	uint16_t payload;	  /* bytes after the last header */
	const struct body *body;  /* the same, in place of `payload` */
	const struct spec *inner; /* what an ICMP_ERROR quotes */
	uint16_t fragment_id;	  /* nonzero: a fragment */
	uint16_t fragment_at;	  /* byte offset; multiple of 8 */
	int fragment_more;
	int dont_fragment;
	int hop_by_hop;		 /* IPv6: an options header comes first */
	int no_sum;		 /* SCTP: the device makes the checksum */
	int cut;		 /* bytes that are missing at the end */
	const char *dmac, *smac; /* NULL: all zero */
};

/* Returns the length of the frame. */
size_t packet_build(const struct spec *s, uint8_t *to);
/* Prints, for each layer that differs, both byte strings as TAP comments. Returns nonzero when something
 * differs. */
int packet_differs(const uint8_t *got, size_t got_len, const uint8_t *want, size_t want_len, int with_macs);

#endif
