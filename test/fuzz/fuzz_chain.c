/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as settings of a chain and packets for it: a line of settings (a byte each), then a packet. What
 * comes in stays as it was, what comes out can be read whole and is no longer than it says, and the sums
 * hold.
 */
#include <stdlib.h>

#include "base/own.h"
#include "chain/chain.h"

static void look(void *ctx, const struct chain_packet *k)
{
	uint32_t *sum = ctx;

	if (k->caplen > k->len)
		abort();
	for (uint32_t i = 0; i < k->caplen; i++)
		*sum += k->p[i];
}

static void sums(const struct chain *c)
{
	const uint64_t *n = chain_counts(c);
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < CHAIN_COUNTERS; i++) {
		enum chain_counter_kind kind = chain_counter_kind(i);

		in += kind == CHAIN_KIND_IN || kind == CHAIN_KIND_ADDED ? n[i] : 0;
		out += kind == CHAIN_KIND_OUT || kind == CHAIN_KIND_LOSS ? n[i] : 0;
	}
	if (in != out)
		abort();
}

enum { SETTINGS = 24 };

static void settings(struct chain_config *c, struct chain_range *ranges, const uint8_t *s)
{
	*c = (struct chain_config){
	    .keep_merged = s[0] & 1,
	    .guess_unfinished = s[0] & 2,
	    .wire_mtu = s[0] & 4 ? 576 + s[1] * 8u : 0,
	    .sample = {.one_in = s[0] & 8 ? 2 : 0, .by_flow = s[0] & 16},
	    .dedup = {.mode = s[2] % 3, .window = 1000, .ignore = s[3], .count_only = true, .entries = 16},
	    .strip = s[4] | (s[0] & 32 ? 0x100u : 0),
	    .mask = {ranges, s[5] % 4, s[6] & 0x3f, s[7], s[0] & 64},
	    .slice = {s[8] & 1, s[8] >> 1 & 3, s[9]},
	    .stamp = {s[10] & 1 ? 0x8100 : 0, s[11], s[10] & 2, 1, 1},
	    .encap = {.kind = s[12] % 5,
		      .id = s[13],
		      .has_key = s[12] & 128,
		      .df = s[14] & 4,
		      .too_big = s[14] % 3,
		      .mtu = s[14] & 8 ? 1280 : 0},
	};
	for (unsigned i = 0; i < 3; i++)
		ranges[i] =
		    (struct chain_range){s[15 + i] & 3, (uint32_t)(s[15 + i] >> 2) * s[18], s[19 + i]};
	addr_parse(s[14] & 16 ? STR("fd00::1") : STR("10.0.0.1"), &c->encap.src);
	c->encap.dst = c->encap.src;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t links[] = {1, 1, 1, 0, 12, 101, 113, 276};
	struct chain_range ranges[3];
	struct chain_config config;
	struct chain_packet k = {0};
	struct chain *c = NULL;
	uint32_t sum = 0;

	if (size < SETTINGS || size > 300000)
		return 0;
	settings(&config, ranges, data);
	k.caplen = (uint32_t)(size - SETTINGS);
	k.len = k.caplen + (data[22] & 1 ? data[23] : 0);
	k.link = links[data[22] >> 1 & 7];
	k.flags = data[22] >> 4 & 3;
	k.vlan_tci = data[23];
	k.csum_start = data[23];
	k.csum_offset = data[21];
	k.gso_size = data[22] & 64 ? data[23] * 8u : 0;
	AUTO_MEM uint8_t *copy = malloc(k.caplen + 1); /* just what is there */
	if (k.caplen)
		memcpy(copy, data + SETTINGS, k.caplen);
	k.p = copy;
	if (chain_new(&c, &config, NULL))
		return 0;
	for (unsigned i = 0; i < 2; i++) { /* the second one is a duplicate */
		struct chain_packet in = k;

		chain_run(c, &in, look, &sum);
		sums(c);
		if (k.caplen && memcmp(copy, data + SETTINGS, k.caplen))
			abort();
	}
	chain_flow(&k, data[0] & 3, 1);
	chain_free(&c);
	return 0;
}
