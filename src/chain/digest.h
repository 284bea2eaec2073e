/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest: a keyed number of many bytes, made 64 at a time in four lanes that do not wait for each other. Not
 * cryptographic. Two byte strings that differ have equal digests with odds of about 2^-64, if who makes them
 * does not know the seed.
 */
#ifndef WEFT_CHAIN_DIGEST_H
#define WEFT_CHAIN_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct digest {
	uint64_t a, b; /* two numbers of one state */
};

static inline uint64_t digest_mix(uint64_t x, uint64_t y)
{
	__uint128_t m = (__uint128_t)x * y;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t digest_word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

#define DIGEST_K1 0xa3b195354a39b70dull
#define DIGEST_K2 0x1b03738712fad5c9ull
#define DIGEST_K3 0xd985d7e5cc3b7a6bull
#define DIGEST_K4 0x6c62272e07bb0143ull

/* Takes n bytes into d, which begins as {seed, seed}. */
static inline void digest_add(struct digest *d, const uint8_t *p, size_t n)
{
	uint64_t s = d->a ^ DIGEST_K1, t = d->b ^ DIGEST_K2, u = d->a ^ DIGEST_K3, v = d->b ^ DIGEST_K4;
	uint8_t tail[64] = {0};
	size_t left = n;

	for (;;) {
		if (left < 64) {
			memcpy(tail, p, left);
			p = tail;
		}
		/* The former state stays in it: a product that is 0 forgets nothing. */
		s = digest_mix(digest_word(p) ^ s, digest_word(p + 8) ^ DIGEST_K1) ^ (s << 23 | s >> 41);
		t = digest_mix(digest_word(p + 16) ^ t, digest_word(p + 24) ^ DIGEST_K2) ^
		    (t << 23 | t >> 41);
		u = digest_mix(digest_word(p + 32) ^ u, digest_word(p + 40) ^ DIGEST_K3) ^
		    (u << 23 | u >> 41);
		v = digest_mix(digest_word(p + 48) ^ v, digest_word(p + 56) ^ DIGEST_K4) ^
		    (v << 23 | v >> 41);
		if (left < 64)
			break;
		p += 64;
		left -= 64;
	}
	d->a = digest_mix(s ^ DIGEST_K4, t ^ n) ^ digest_mix(u ^ DIGEST_K2, v ^ DIGEST_K1);
	d->b = digest_mix(u ^ n, s ^ DIGEST_K3) ^ digest_mix(t ^ DIGEST_K1, v ^ DIGEST_K2);
}

#endif
