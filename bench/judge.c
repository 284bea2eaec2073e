/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging a packet by maps, on one core, without a kernel: `bench-judge PACKETS` prints one JSON line of CPU
 * nanoseconds a packet: one map, 1,000 maps with ports of their own, 1,000 of four kinds (ports, addresses,
 * prefixes with ports, VLANs), and libpcap's filters of the same ports, asked one after the other.
 * `bench-judge kernel PACKETS`: the same by the program that the kernel gets for them (BPF_PROG_TEST_RUN).
 * Called by bench/run.
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "broker/judge.h"
#include "judge.h"
#include "object/decode.h"

enum { POOL = 4096, SIZE = 142, MAPS = 1000 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "judge: %s\n", what);
	exit(1);
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t roll(uint32_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

/* UDP; every tenth goes to one of ten of the ports that maps ask for. */
static void make(uint8_t *p, uint32_t i)
{
	static const uint8_t head[] = {2,   0, 0, 0, 0, 2,  2,	0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
				       128, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 0, 10, 1,    0, 0};
	uint32_t port = i % 10 ? 20000 + roll(40000) : 1000 + roll(10);

	memset(p, 0, SIZE);
	memcpy(p, head, sizeof(head));
	p[28] = (uint8_t)roll(256);
	p[29] = (uint8_t)roll(256);
	p[32] = (uint8_t)roll(256);
	p[33] = (uint8_t)roll(256);
	p[34] = 0x13;
	p[35] = 0x88;
	p[36] = (uint8_t)(port >> 8);
	p[37] = (uint8_t)port;
	p[39] = SIZE - 34;
}

static int put(void *ctx, struct object *o)
{
	return object_default(o) || store_put(ctx, o, NULL);
}

static struct broker *broker_of(const struct buf *yaml)
{
	struct remarks rs = {0};
	struct store *s = NULL;
	struct broker *b = NULL;
	struct file *file;

	if (store_new(&s, 1) || file_new(&file, "bench", yaml->p, yaml->n) ||
	    decode_yaml(file, &(struct decoder_options){.sink = put, .ctx = s, .remarks = &rs}) ||
	    broker_compile(&b, s, &rs)) {
		remarks_print(stderr, &rs, false);
		die("no broker");
	}
	file_unref(&file);
	remarks_fini(&rs);
	store_free(&s);
	return b;
}

static void print_filter(struct buf *out, uint32_t i, bool mixed)
{
	switch (mixed ? i % 4 : 0) {
	case 0:
		buf_printf(out, "udp && dst.port == %u", 1000 + i);
		return;
	case 1:
		buf_printf(out, "src.ip == 10.9.%u.%u", i / 256, i % 256);
		return;
	case 2:
		buf_printf(out, "tcp && dst.ip == 10.1.%u.0/24 && dst.port in {80, 443}", i % 256);
		return;
	default:
		buf_printf(out, "vlan.id == %u", 1 + i);
	}
}

static struct broker *broker_of_maps(uint32_t maps, bool mixed)
{
	AUTO_BUF yaml = {0};

	buf_addz(&yaml,
		 "{apiVersion: weft.network/v1alpha1, kind: Tool, metadata: {name: t}, spec: {discard: "
		 "true}}\n");
	for (uint32_t i = 0; i < maps; i++) {
		buf_printf(
		    &yaml,
		    "---\n{apiVersion: weft.network/v1alpha1, kind: TrafficMap, metadata: {name: m%u}, "
		    "spec: {from: [{interface: {name: e}}], to: [{tool: t}], filter: '",
		    i);
		print_filter(&yaml, i, mixed);
		buf_addz(&yaml, "'}}\n");
	}
	return broker_of(&yaml);
}

static double in_kernel(uint32_t maps, bool mixed, const uint8_t *pool, uint32_t packets)
{
	struct broker *b = broker_of_maps(maps, mixed);
	double ns = judge_in_kernel(b, pool, SIZE, packets);

	if (ns < 0)
		exit(1);
	broker_free(&b);
	return ns;
}

static double judging(uint32_t maps, bool mixed, const uint8_t *pool, uint32_t packets)
{
	struct judge *j = NULL;
	struct point *at = NULL;
	struct broker *b = broker_of_maps(maps, mixed);
	uint32_t source = 0, took = 0;
	double begun;

	if (judge_new(&j, b) || point_new(&at, b, &source, 1))
		die("out of memory");
	begun = cpu();
	for (uint32_t i = 0; i < packets; i++) {
		struct chain_packet p = {.p = pool + (size_t)(i % POOL) * SIZE,
					 .caplen = SIZE,
					 .len = SIZE,
					 .link = CHAIN_LINK_ETHERNET,
					 .time = i};
		struct judged said;

		judge_packet(j, at, &p, BROKER_DIRECTION_IN, BROKER_FORWARDED, &said);
		took += said.maps_n;
	}
	begun = (cpu() - begun) / packets;
	if (!took)
		die("no map took a packet");
	point_free(&at);
	judge_free(&j);
	broker_free(&b);
	return begun;
}

static double libpcap(uint32_t filters, const uint8_t *pool, uint32_t packets)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	static struct bpf_program programs[MAPS];
	uint32_t took = 0;
	double begun;

	for (uint32_t i = 0; i < filters; i++) {
		char text[64];

		snprintf(text, sizeof(text), "udp dst port %u", 1000 + i);
		if (pcap_compile(pcap, &programs[i], text, 1, PCAP_NETMASK_UNKNOWN))
			die(pcap_geterr(pcap));
	}
	begun = cpu();
	for (uint32_t i = 0; i < packets; i++) {
		struct pcap_pkthdr h = {.caplen = SIZE, .len = SIZE};

		for (uint32_t k = 0; k < filters; k++)
			took += pcap_offline_filter(&programs[k], &h, pool + (size_t)(i % POOL) * SIZE) != 0;
	}
	begun = (cpu() - begun) / packets;
	if (!took)
		die("no filter matched");
	for (uint32_t i = 0; i < filters; i++)
		pcap_freecode(&programs[i]);
	pcap_close(pcap);
	return begun;
}

int main(int argc, char **argv)
{
	bool kernel = argc == 3 && !strcmp(argv[1], "kernel");
	uint32_t packets = argc == 2 + kernel ? (uint32_t)strtoul(argv[argc - 1], NULL, 10) : 0;
	uint8_t *pool = malloc((size_t)POOL * SIZE);

	if (!packets || !pool) {
		fprintf(stderr, "usage: bench-judge [kernel] PACKETS\n");
		return 2;
	}
	for (uint32_t i = 0; i < POOL; i++)
		make(pool + (size_t)i * SIZE, i);
	if (kernel)
		printf("{\"one\":%.1f,\"thousand\":%.1f,\"mixed\":%.1f}\n",
		       in_kernel(1, false, pool, packets), in_kernel(MAPS, false, pool, packets),
		       in_kernel(MAPS, true, pool, packets));
	else
		printf("{\"one\":%.1f,\"thousand\":%.1f,\"mixed\":%.1f,\"libpcap_one\":%.1f,"
		       "\"libpcap_thousand\":%.1f}\n",
		       judging(1, false, pool, packets), judging(MAPS, false, pool, packets),
		       judging(MAPS, true, pool, packets), libpcap(1, pool, packets),
		       libpcap(MAPS, pool, packets / 100 + POOL));
	free(pool);
	return 0;
}
