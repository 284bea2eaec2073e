/* SPDX-License-Identifier: Apache-2.0 */
/* Canaries' bytes, their beat, and what is heard of them: see canary.h. */
#include "copier/canary.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/own.h"
#include "chain/checksum.h"

enum { BEATS = 3, ECHO_TEXT = 32, ECHO_HEAD = 8, ICMP = 1, ICMP6 = 58, TTL = 64 };

static const char text[ECHO_TEXT - 8] = "weft: do you answer?";

static void put16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static void put32(uint8_t *p, uint32_t n)
{
	put16(p, n >> 16);
	put16(p + 2, n);
}

static void macs(uint8_t *p, const uint8_t to[6], uint32_t outlet, uint32_t type)
{
	memcpy(p, to, 6);
	put32(p + 6, CANARY_MAC_HEAD);
	put16(p + 10, outlet);
	put16(p + 12, type);
}

static void own_address(uint8_t *p, uint32_t outlet)
{
	memset(p, 0, 16);
	put32(p, CANARY_IP6_HIGH);
	put32(p + 8, CANARY_IP6_LOW);
	put16(p + 12, CANARY_MAC_HEAD & 0xffff);
	put16(p + 14, outlet);
}

static void finish(uint8_t *p, size_t n)
{
	struct layout l;

	layout_read(&l, p, (uint32_t)n, (uint32_t)n, CHAIN_LINK_ETHERNET);
	checksum_ip4(p, &l);
	checksum_transport(p, &l);
}

/* Who has the pod's address? A probe (RFC 5227 2.1.1): nobody learns a sender of it. */
static size_t arp(const struct canary *k, uint8_t *p)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};

	macs(p, all, k->outlet, 0x0806);
	memcpy(p + 14, head, sizeof(head));
	memcpy(p + 22, p + 6, 6);
	memcpy(p + 38, k->to.b + 12, 4);
	return 60; /* with padding: the least that Ethernet carries */
}

static uint8_t *ip6(uint8_t *p, uint32_t payload, uint32_t hops)
{
	put32(p, 0x60000000);
	put16(p + 4, payload);
	p[6] = ICMP6;
	p[7] = (uint8_t)hops;
	return p + 40;
}

/* Who has the pod's address? With our own, so that the answer comes to it (RFC 4861 4.3). */
static size_t solicit(const struct canary *k, uint8_t *p)
{
	uint8_t to[6] = {0x33, 0x33, 0xff, k->to.b[13], k->to.b[14], k->to.b[15]};
	uint8_t *i = p + 14, *m;

	macs(p, to, k->outlet, 0x86dd);
	m = ip6(i, 32, 255);
	own_address(i + 8, k->outlet);
	memcpy(i + 24, (const uint8_t[]){0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}, 13);
	memcpy(i + 37, k->to.b + 13, 3);
	m[0] = 135;
	memcpy(m + 8, k->to.b, 16);
	m[24] = 1; /* source link-layer address, 8 bytes */
	m[25] = 1;
	memcpy(m + 26, p + 6, 6);
	finish(p, 14 + 40 + 32);
	return 14 + 40 + 32;
}

static uint8_t *echo(const struct canary *k, uint8_t *m, uint8_t type)
{
	m[0] = type;
	put16(m + 4, CANARY_ECHO_ID);
	put16(m + 6, k->outlet);
	memcpy(m + ECHO_HEAD, &k->cookies[k->sent % CANARY_COOKIES], 8);
	memcpy(m + ECHO_HEAD + 8, text, sizeof(text));
	return m + ECHO_HEAD + ECHO_TEXT;
}

/* To all nodes of the link: whoever has an IPv6 stack there asks for us, or answers. */
static size_t call(const struct canary *k, uint8_t *p)
{
	static const uint8_t all[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t *i = p + 14, *end;

	macs(p, all, k->outlet, 0x86dd);
	end = echo(k, ip6(i, ECHO_HEAD + ECHO_TEXT, 255), 128);
	own_address(i + 8, k->outlet);
	memcpy(i + 24, (const uint8_t[]){0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16);
	finish(p, (size_t)(end - p));
	return (size_t)(end - p);
}

/* The kernel writes the MAC addresses of the way there. */
static size_t far(const struct canary *k, uint8_t *p)
{
	static const uint8_t next[6] = {2, 0, 0, 0, 0, 2};
	uint8_t *i = p + 14, *end;

	if (addr_is4(&k->to)) {
		macs(p, next, k->outlet, 0x0800);
		end = echo(k, i + 20, 8);
		i[0] = 0x45;
		put16(i + 2, 20 + ECHO_HEAD + ECHO_TEXT);
		i[8] = TTL;
		i[9] = ICMP;
		memcpy(i + 12, k->from.b + 12, 4);
		memcpy(i + 16, k->to.b + 12, 4);
	} else {
		macs(p, next, k->outlet, 0x86dd);
		end = echo(k, ip6(i, ECHO_HEAD + ECHO_TEXT, TTL), 128);
		memcpy(i + 8, k->from.b, 16);
		memcpy(i + 24, k->to.b, 16);
	}
	finish(p, (size_t)(end - p));
	return (size_t)(end - p);
}

size_t canary_frame(const struct canary *k, uint8_t out[CANARY_ROOM])
{
	memset(out, 0, CANARY_ROOM);
	if (k->kind == CANARY_FAR)
		return far(k, out);
	if (addr_is_zero(&k->to))
		return call(k, out);
	return addr_is4(&k->to) ? arp(k, out) : solicit(k, out);
}

void canary_set(struct canary *k, const struct canary *want, uint64_t ms)
{
	bool same = k->kind == want->kind && k->outlet == want->outlet && addr_eq(&k->to, &want->to) &&
		    addr_eq(&k->from, &want->from);

	if (same) {
		k->within = want->within;
		return;
	}
	*k = *want;
	k->heard = ms;
}

static void send_one(struct canary *k, int (*send)(void *ctx, uint32_t outlet, const uint8_t *, uint32_t),
		     void *ctx)
{
	uint8_t frame[CANARY_ROOM];

	k->sent++;
	if (getrandom(&k->cookies[k->sent % CANARY_COOKIES], 8, GRND_NONBLOCK) != 8)
		return;
	send(ctx, k->outlet | OUTLET_CANARY, frame, (uint32_t)canary_frame(k, frame));
}

void canary_tick(struct canary *k, struct outlets *counts,
		 int (*send)(void *ctx, uint32_t outlet, const uint8_t *frame, uint32_t n), void *ctx,
		 uint64_t ms)
{
	struct outlet_count n;

	if (k->kind == CANARY_NONE || outlets_read(counts, k->outlet, &n)) {
		k->heard = ms;
		k->silent = false;
		return;
	}
	if (n.answers != k->answers &&
	    (k->kind == CANARY_NEAR ||
	     outlets_cookie(counts, k->outlet, k->cookies, ARRAY_LEN(k->cookies)))) {
		k->heard = ms;
		k->silent = false;
	}
	k->answers = n.answers;
	if (ms >= k->next) {
		send_one(k, send, ctx);
		k->next = ms + k->within / BEATS;
	}
	k->silent = k->silent || ms - k->heard >= k->within;
}
