/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of tool ports on one core, without a kernel. `bench-chain memory PACKETS`: each action on packets of
 * three sizes, one JSON line of CPU nanoseconds a packet. `bench-chain make FILE PACKETS`: a capture of
 * tagged packets, a tenth of them twice. `bench-chain file ACTION IN OUT`: that capture through one action
 * into a pcapng file, as editcap and tcprewrite do it. Called by bench/run.
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "chain/chain.h"
#include "pcapng/file.h"

enum { POOL = 1024, SIZE_MAX_BYTES = 1600, SLICE = 96, WINDOW = 50000000, STEP = 1000 };

static const struct chain_range payload = {CHAIN_PAYLOAD, 0, 0};
static const struct action {
	const char *name;
	struct chain_config config;
	bool vxlan;
} actions[] = {
    {"none", {.sample = {.one_in = 0}}, false},
    {"dedup", {.dedup = {.mode = CHAIN_DEDUP_L3, .window = WINDOW, .seed = 1}}, false},
    {"mask", {.mask = {&payload, 1, CHAIN_MASK_SRC_IP, 0, true}}, false},
    {"slice", {.slice = {true, CHAIN_L2, SLICE}}, false},
    {"strip", {.strip = CHAIN_STRIP_VLANS}, false},
    {"strip-vxlan", {.strip = CHAIN_STRIP_VXLAN}, true},
    {"stamp", {.stamp = {0x8100, 5, false, 0, 0}}, false},
    {"vxlan", {.encap = {.kind = CHAIN_ENCAP_VXLAN, .id = 7, .mtu = 9000}}, false},
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "chain: %s\n", what);
	exit(1);
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A tagged TCP packet of `size` bytes, number n of its kind; with VXLAN around it if asked. */
static void make(uint8_t *p, uint32_t size, uint32_t n, bool vxlan)
{
	uint32_t head = vxlan ? 50 : 0;
	uint8_t *inner = p + head;

	memset(p, (int)(n & 0xff), size);
	memset(p, 2, 12);
	if (vxlan) {
		memset(p + 14, 0, 36);
		put16(p + 12, 0x0800);
		put16(p + 14, 0x4500);
		put16(p + 16, size - 14);
		p[22] = 64;
		p[23] = 17;
		put16(p + 36, 4789);
		put16(p + 38, size - 34);
		p[42] = 8;
		memset(inner, 4, 12);
	}
	put16(inner + 12, 0x8100);
	put16(inner + 14, 5);
	put16(inner + 16, 0x0800);
	memset(inner + 18, 0, 40);
	put16(inner + 18, 0x4500);
	put16(inner + 20, size - head - 18);
	put16(inner + 22, n);
	inner[26] = 64;
	inner[27] = 6;
	put16(inner + 30, 0x0a00);
	put16(inner + 32, n % 500);
	put16(inner + 34, 0x0a01);
	put16(inner + 36, n % 300);
	put16(inner + 38, n);
	put16(inner + 40, 80);
	put16(inner + 42, n >> 16);
	put16(inner + 44, n);
	inner[50] = 0x50;
}

static struct chain *open_chain(const struct action *a)
{
	struct chain_config config = a->config;
	struct chain *c = NULL;

	addr_parse(STR("192.0.2.1"), &config.encap.src);
	addr_parse(STR("192.0.2.2"), &config.encap.dst);
	if (chain_new(&c, &config, NULL))
		die("the chain was refused");
	return c;
}

static void take(void *ctx, const struct chain_packet *k)
{
	uint64_t *bytes = ctx;

	*bytes += k->caplen + k->p[0];
}

static double memory(const struct action *a, uint32_t size, uint32_t packets, uint8_t *pool)
{
	struct chain *c = open_chain(a);
	uint64_t bytes = 0;
	double begun, took;

	for (uint32_t i = 0; i < POOL; i++)
		make(pool + (size_t)i * SIZE_MAX_BYTES, size, i, a->vxlan);
	begun = cpu();
	for (uint32_t i = 0; i < packets; i++) {
		uint8_t *p = pool + (size_t)(i % POOL) * SIZE_MAX_BYTES;
		struct chain_packet k = {.p = p,
					 .caplen = size,
					 .len = size,
					 .link = CHAIN_LINK_ETHERNET,
					 .time = (uint64_t)i * STEP};

		put16(p + 22, i); /* another packet each time round */
		put16(p + 42, i >> 16);
		if (chain_run(c, &k, take, &bytes))
			die("out of memory");
	}
	took = (cpu() - begun) / packets;
	if (!bytes || chain_counts(c)[CHAIN_DUPLICATE])
		die("a packet was taken for another one");
	chain_free(&c);
	return took;
}

static void in_memory(uint32_t packets)
{
	static const uint32_t sizes[] = {128, 512, 1514};
	uint8_t *pool = malloc((size_t)POOL * SIZE_MAX_BYTES);

	if (!pool)
		die("out of memory");
	printf("{");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		printf("%s\"%s\":{", i ? "," : "", actions[i].name);
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
			printf("%s\"%u\":%.1f", k ? "," : "", sizes[k],
			       memory(&actions[i], sizes[k], packets, pool));
		printf("}");
	}
	printf("}\n");
	free(pool);
}

static void make_file(const char *path, uint32_t packets)
{
	static const uint32_t sizes[] = {68, 68, 68, 590, 590, 1514};
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	pcap_dumper_t *out = pcap_dump_open(pcap, path);
	uint8_t p[SIZE_MAX_BYTES];

	if (!out)
		die(pcap_geterr(pcap));
	for (uint32_t i = 0; i < packets; i++) {
		uint32_t n = i % 10 == 9 ? i - 1 : i, size = sizes[n % ARRAY_LEN(sizes)];
		struct pcap_pkthdr h = {{1700000000 + i / 1000000, i % 1000000}, size, size};

		make(p, size, n, false);
		pcap_dump((u_char *)out, &h, p);
	}
	pcap_dump_close(out);
	pcap_close(pcap);
}

static void write_out(void *ctx, const struct chain_packet *k)
{
	struct pcapng_packet p = {.time = k->time, .p = k->p, .caplen = k->caplen, .len = k->len};

	if (pcapng_file_packet(ctx, &p))
		die("cannot write");
}

static void through_file(const struct action *a, const char *in, const char *out)
{
	struct pcapng_section section = {.application = STR("weft")};
	struct pcapng_interface one = {.link = 1};
	struct chain *c = open_chain(a);
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(in, error);
	struct pcapng_file *f = NULL;
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	uint32_t number;

	if (!pcap || pcapng_file_open(&f, out, &section, NULL) || pcapng_file_interface(f, &one, &number))
		die("cannot open");
	while (pcap_next_ex(pcap, &h, &bytes) == 1) {
		struct chain_packet k = {.p = bytes,
					 .caplen = h->caplen,
					 .len = h->len,
					 .link = CHAIN_LINK_ETHERNET,
					 .time = (uint64_t)h->ts.tv_sec * 1000000000u +
						 (uint64_t)h->ts.tv_usec * 1000u};

		if (chain_run(c, &k, write_out, f))
			die("out of memory");
	}
	if (pcapng_file_close(&f, NULL))
		die("cannot write");
	printf("{\"in\":%llu,\"out\":%llu}\n", (unsigned long long)chain_counts(c)[CHAIN_IN],
	       (unsigned long long)chain_counts(c)[CHAIN_OUT]);
	pcap_close(pcap);
	chain_free(&c);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "memory")) {
		in_memory((uint32_t)strtoul(argv[2], NULL, 10));
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "make")) {
		make_file(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
		return 0;
	}
	for (size_t i = 0; argc == 5 && !strcmp(argv[1], "file") && i < ARRAY_LEN(actions); i++)
		if (!strcmp(actions[i].name, argv[2])) {
			through_file(&actions[i], argv[3], argv[4]);
			return 0;
		}
	fprintf(stderr, "usage: bench-chain memory PACKETS | make FILE PACKETS | file ACTION IN OUT\n");
	return 2;
}
