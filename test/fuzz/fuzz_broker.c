/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any manifests, any packets, through compiler, judge, groups and chains: manifests up to the first NUL byte,
 * behind it the number of a link type and packets, each behind a byte that says how long it is. Manifests
 * that mean nothing leave the packets to the maps below. A packet is due to each tool port once, rest and
 * other maps never take the same packet, and each chain's sums match.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "broker/judge.h"
#include "object/decode.h"

static const char fixed[] =
    "{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: a}, spec: {discard: true, ports: ["
    "{name: default}, {name: x, merged: Split, chain: {dedup: {windowMicroseconds: 10, mode: L3, entries: "
    "64}, "
    "strip: [VLANs, MPLS, VXLAN, Geneve, GRE, ERSPAN, IPIP, Padding], mask: {fields: [SourceIP, "
    "DestinationPort], "
    "ranges: [{from: Payload}, {from: L2, offset: 3, length: 5}], checksums: Fix}, slice: {from: Payload, "
    "bytes: 4}, "
    "stamp: {vlan: 7, trailer: true}}}]}}\n---\n"
    "{apiVersion: weft.network/v1alpha1, kind: ToolGroup, metadata: {name: g}, spec: {hash: Inner, sticky: "
    "true, "
    "members: [{tool: a}, {tool: a, port: x, weight: 3}]}}\n---\n"
    "{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: m1}, spec: {from: [{interface: "
    "{name: "
    "e}}], filter: 'tcp || vlan.inner.id > 3 || tunnel.vni == 7', to: [{tool: a, port: x}]}}\n---\n"
    "{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: m2}, spec: {from: [{interface: "
    "{name: "
    "e}}], filter: \"pcap:'udp or ip6 protochain 6 or mpls'\", except: [m1], to: [{group: g}]}}\n---\n"
    "{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: m3}, spec: {from: [{interface: "
    "{name: "
    "e}}], rest: true, to: [{tool: a}, {group: g}]}}\n";

static int put(void *ctx, struct object *o)
{
	AUTO(remarks_fini) struct remarks rs = {0};

	if (!object_validate(o, &rs) || object_default(o)) {
		object_unref(&o);
		return 0;
	}
	return store_put(ctx, o, NULL);
}

static struct broker *compile(struct str text)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct store *s = NULL;
	struct broker *b = NULL;
	struct file *file = NULL;
	AUTO_BUF out = {0};

	if (store_new(&s, 1) || file_new(&file, "maps.yaml", text.p, text.n))
		abort();
	decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs});
	file_unref(&file);
	size_t errors = rs.errors;
	int r = broker_compile(&b, s, &rs);
	store_free(&s);
	if (r && (r != -EINVAL || rs.errors == errors))
		abort();
	if (b) {
		broker_print(&out, b);
		broker_print_overlaps(&out, b);
	}
	return b;
}

static void count(void *ctx, const struct chain_packet *p)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < p->caplen; i++)
		sum += p->p[i];
	*(uint32_t *)ctx += 1 + (sum & 0);
	if (p->len < p->caplen)
		abort();
}

static void run_chain(struct chain *c, const struct chain_packet *p)
{
	uint64_t in = 0, out = 0;
	uint32_t came = 0;

	if (chain_run(c, p, count, &came))
		return;
	for (int i = 0; i < CHAIN_COUNTERS; i++) {
		enum chain_counter_kind k = chain_counter_kind((enum chain_counter)i);

		in += k == CHAIN_KIND_IN || k == CHAIN_KIND_ADDED ? chain_counts(c)[i] : 0;
		out += k == CHAIN_KIND_OUT || k == CHAIN_KIND_LOSS ? chain_counts(c)[i] : 0;
	}
	if (in != out)
		abort();
}

static void check(const struct broker *b, const struct judged *said)
{
	for (uint32_t i = 1; i < said->ports_n; i++)
		if (said->ports[i] <= said->ports[i - 1] || said->ports[i] >= b->ports_n)
			abort();
	for (uint32_t i = 1; i < said->maps_n; i++)
		if (b->maps[said->maps[i]].rest != b->maps[said->maps[0]].rest)
			abort();
}

static void run_packets(const struct broker *b, struct judge *j, const uint8_t *p, size_t n)
{
	static const uint32_t links[] = {1, 0, 12, 101, 113, 276, 228, 147};
	AUTO_MEM struct chain **chains = calloc((size_t)b->ports_n + 1, sizeof(struct chain *));
	AUTO_MEM uint32_t *sources = calloc((size_t)b->sources_n + 1, sizeof(uint32_t));
	struct point *at = NULL;
	uint32_t link = n ? links[*p % ARRAY_LEN(links)] : 1;

	for (uint32_t i = 0; sources && i < b->sources_n; i++)
		sources[i] = i;
	if (!chains || !sources || point_new(&at, b, sources, b->sources_n))
		abort();
	for (uint32_t i = 0; i < b->ports_n; i++)
		if (chain_new(&chains[i], &b->ports[i].chain, NULL))
			abort();
	for (size_t i = 1, time = 0; i < n; time += p[i] * 1000u, i += 1u + p[i]) {
		uint32_t len = (uint32_t)(n - i - 1 < p[i] ? n - i - 1 : p[i]);
		/* a copy of just its size, so that a byte beyond it is found */
		AUTO_MEM uint8_t *bytes = malloc(len + !len);
		struct chain_packet packet = {
		    .p = bytes, .caplen = len, .len = len, .link = link, .time = time};
		struct judged said;

		memcpy(bytes, p + i + 1, len);
		judge_packet(j, at, &packet, BROKER_DIRECTION_IN, BROKER_FORWARDED, &said);
		check(b, &said);
		for (uint32_t k = 0; k < said.ports_n; k++)
			run_chain(chains[said.ports[k]], &packet);
	}
	for (uint32_t i = 0; i < b->ports_n; i++)
		chain_free(&chains[i]);
	point_free(&at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, text = str_cut(&rest, '\0');
	static struct broker *always;
	static struct judge *its; /* dealing slots to members takes long: once */
	struct broker *b = compile(text);
	struct judge *j = NULL;

	if (!always && (!(always = compile(STR(fixed))) || judge_new(&its, always)))
		abort();
	if (b && b->maps_n) {
		if (judge_new(&j, b))
			abort();
		run_packets(b, j, (const uint8_t *)rest.p, rest.n);
	} else {
		run_packets(always, its, (const uint8_t *)rest.p, rest.n);
	}
	judge_free(&j);
	broker_free(&b);
	return 0;
}
