/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets for tests of the chain, built from the inside out, and a second opinion on their checksums: one sum
 * of 16-bit words at a time, written for this alone.
 */
#ifndef WEFT_TEST_CHAIN_PACKETS_H
#define WEFT_TEST_CHAIN_PACKETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chain/chain.h"

enum { AREA = 300000, FRONT = 1000 };
struct frame {
	uint8_t area[AREA];
	uint8_t *p;
	uint32_t n;
};

static inline void be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v);
}
static inline uint32_t at16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t at32(const uint8_t *p)
{
	return at16(p) << 16 | at16(p + 2);
}

/* n bytes that `seed` makes. */
static inline struct frame *payload(struct frame *f, uint32_t n, uint32_t seed)
{
	f->p = f->area + FRONT;
	f->n = n;
	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		f->p[i] = (uint8_t)(seed >> 24);
	}
	return f;
}

static inline uint8_t *before(struct frame *f, uint32_t n)
{
	f->p -= n;
	f->n += n;
	memset(f->p, 0, n);
	return f->p;
}

static inline struct frame *tcp(struct frame *f, unsigned sport, unsigned dport, uint32_t seq, unsigned flags,
				unsigned options)
{
	uint8_t *p = before(f, 20 + options);

	be16(p, sport);
	be16(p + 2, dport);
	be32(p + 4, seq);
	be32(p + 8, 77);
	p[12] = (uint8_t)((5 + options / 4) << 4);
	p[13] = (uint8_t)flags;
	be16(p + 14, 1000);
	memset(p + 20, 1, options); /* no operation */
	return f;
}

static inline struct frame *udp(struct frame *f, unsigned sport, unsigned dport)
{
	uint32_t n = f->n + 8;
	uint8_t *p = before(f, 8);

	be16(p, sport);
	be16(p + 2, dport);
	be16(p + 4, n);
	return f;
}

static inline uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline int sum_at(unsigned proto)
{
	return proto == 6 ? 16 : proto == 17 ? 6 : proto == 1 || proto == 58 ? 2 : -1;
}

/* Over addresses, protocol and the n bytes of the transport part, the sum in it too: 0xffff where it is
 * right. */
static inline uint32_t transport_check(const uint8_t *addrs, uint32_t size, unsigned proto, const uint8_t *p,
				       uint32_t n)
{
	uint32_t sum = proto == 1 ? 0 : plain_sum(proto + (n >> 16) + (n & 0xffff), addrs, size);

	return plain_sum(sum, p, n);
}

static inline void put_transport(struct frame *f, const uint8_t *addrs, uint32_t size, unsigned proto,
				 uint8_t *p, uint32_t n)
{
	int at = sum_at(proto);
	uint32_t sum;

	(void)f;
	if (at < 0)
		return;
	be16(p + at, 0);
	sum = ~transport_check(addrs, size, proto, p, n) & 0xffff;
	be16(p + at, sum ? sum : 0xffff);
}

static inline struct frame *ip4(struct frame *f, uint32_t src, uint32_t dst, unsigned proto, unsigned id)
{
	uint32_t n = f->n;
	uint8_t *p = before(f, 20);

	p[0] = 0x45;
	be16(p + 2, n + 20);
	be16(p + 4, id);
	p[8] = 64;
	p[9] = (uint8_t)proto;
	be32(p + 12, src);
	be32(p + 16, dst);
	be16(p + 10, ~plain_sum(0, p, 20));
	put_transport(f, p + 12, 8, proto, p + 20, n);
	return f;
}

static inline struct frame *ip6(struct frame *f, unsigned src, unsigned dst, unsigned proto)
{
	uint32_t n = f->n;
	uint8_t *p = before(f, 40);

	p[0] = 0x60;
	be16(p + 4, n);
	p[6] = (uint8_t)proto;
	p[7] = 64;
	p[8] = p[24] = 0xfd;
	p[23] = (uint8_t)src;
	p[39] = (uint8_t)dst;
	put_transport(f, p + 8, 32, proto, p + 40, n);
	return f;
}

static inline struct frame *eth(struct frame *f, unsigned type)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};

	memcpy(before(f, 14), macs, 12);
	be16(f->p + 12, type);
	return f;
}

/* Puts a tag before those that are there. */
static inline struct frame *tag(struct frame *f, unsigned tpid, unsigned tci)
{
	uint8_t macs[12];

	memcpy(macs, f->p, 12);
	memcpy(before(f, 4), macs, 12);
	be16(f->p + 12, tpid);
	be16(f->p + 14, tci);
	return f;
}

static inline struct frame *vxlan(struct frame *f, uint32_t vni)
{
	uint8_t *p = before(f, 8);

	p[0] = 8;
	be32(p + 4, vni << 8);
	return eth(ip4(udp(f, 50000, 4789), 0x0a010101, 0x0a010102, 17, 9), 0x0800);
}

/* A TCP packet in Ethernet and IPv4, n bytes of payload. */
static inline struct frame *plain(struct frame *f, uint32_t n, uint32_t seed)
{
	return eth(ip4(tcp(payload(f, n, seed), 1234, 80, 1000, 0x18, 0), 0x0a000001, 0x0a000002, 6, 4711),
		   0x0800);
}

static inline struct chain_packet captured(const struct frame *f)
{
	return (struct chain_packet){
	    .p = f->p, .caplen = f->n, .len = f->n, .link = CHAIN_LINK_ETHERNET, .time = 1000000000};
}

/* What came out: copies, up to a number. */
enum { OUTS = 64 };
struct outs {
	unsigned n;
	struct chain_packet k[OUTS];
	uint8_t *bytes[OUTS];
};

static inline void keep(void *ctx, const struct chain_packet *k)
{
	struct outs *o = ctx;

	assert_true(o->n < OUTS && k->caplen <= k->len);
	o->k[o->n] = *k;
	o->bytes[o->n] = malloc(k->caplen + 1); /* its own: reads beyond are seen */
	memcpy(o->bytes[o->n], k->p, k->caplen);
	o->k[o->n].p = o->bytes[o->n];
	o->n++;
}

static inline void drop_outs(struct outs *o)
{
	while (o->n)
		free(o->bytes[--o->n]);
}

static inline void sums_hold(const struct chain *c)
{
	const uint64_t *n = chain_counts(c);
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < CHAIN_COUNTERS; i++) {
		enum chain_counter_kind kind = chain_counter_kind(i);

		in += kind == CHAIN_KIND_IN || kind == CHAIN_KIND_ADDED ? n[i] : 0;
		out += kind == CHAIN_KIND_OUT || kind == CHAIN_KIND_LOSS ? n[i] : 0;
	}
	assert_int_equal(in, out);
}

static inline struct chain *chain_of(const struct chain_config *config)
{
	struct chain *c = NULL;
	struct buf why = {};

	if (chain_new(&c, config, &why))
		fail_msg("refused: %s", why.p ? why.p : "?");
	return c;
}

/* One packet through; the frame must be as it was. */
static inline struct outs through(struct chain *c, const struct chain_packet *k)
{
	struct outs o = {.n = 0};
	uint8_t *copy = malloc(k->caplen + 1);
	struct chain_packet in = *k;

	memcpy(copy, k->p, k->caplen);
	assert_int_equal(chain_run(c, &in, keep, &o), 0);
	assert_memory_equal(copy, k->p, k->caplen);
	free(copy);
	sums_hold(c);
	return o;
}

/* All checksums of an Ethernet frame with IPv4 or IPv6 (without extension headers) and TCP, UDP or ICMP. */
static inline void all_right(const struct chain_packet *k)
{
	const uint8_t *p = k->p + 12, *ip;
	uint32_t n, head;
	unsigned proto;

	while (at16(p) == 0x8100 || at16(p) == 0x88a8)
		p += 4;
	ip = p + 2;
	if (at16(p) == 0x0800) {
		head = (ip[0] & 15u) * 4;
		n = at16(ip + 2);
		proto = ip[9];
		assert_int_equal(plain_sum(0, ip, head), 0xffff);
		assert_int_equal(transport_check(ip + 12, 8, proto, ip + head, n - head), 0xffff);
	} else {
		assert_int_equal(at16(p), 0x86dd);
		n = at16(ip + 4) + 40;
		assert_int_equal(transport_check(ip + 8, 32, ip[6], ip + 40, n - 40), 0xffff);
	}
	assert_int_equal((uint32_t)(ip - k->p) + n, k->len);
}

#endif
