/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture through one chain, for tests in other languages: chain_through SETTING IN OUT. OUT is a pcapng
 * file; what the chain counted is printed. Packets above 1,500 bytes of IP are taken for merged where the
 * setting says "split".
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "chain/chain.h"
#include "pcapng/file.h"

static const struct chain_range payload = {CHAIN_PAYLOAD, 0, 0};
static const struct setting {
	const char *name;
	struct chain_config config;
} settings[] = {
    {"split", {.wire_mtu = 1500, .guess_unfinished = true}},
    {"strip",
     {.strip = CHAIN_STRIP_VLANS | CHAIN_STRIP_MPLS | CHAIN_STRIP_VXLAN | CHAIN_STRIP_GENEVE |
	       CHAIN_STRIP_GRE | CHAIN_STRIP_ERSPAN | CHAIN_STRIP_IPIP}},
    {"mask", {.mask = {&payload, 1, CHAIN_MASK_SRC_IP | CHAIN_MASK_DST_PORT, 'x', true}}},
    {"vxlan", {.encap = {.kind = CHAIN_ENCAP_VXLAN, .id = 77, .dscp = 10, .df = true}}},
    {"gre",
     {.encap = {.kind = CHAIN_ENCAP_GRE, .id = 77, .has_key = true, .mtu = 1500, .too_big = CHAIN_FRAGMENT}}},
    {"erspan2", {.slice = {true, CHAIN_L2, 64}, .encap = {.kind = CHAIN_ENCAP_ERSPAN2, .id = 77}}},
    {"erspan3", {.slice = {true, CHAIN_L2, 64}, .encap = {.kind = CHAIN_ENCAP_ERSPAN3, .id = 77}}},
};

static void write_out(void *ctx, const struct chain_packet *k)
{
	struct pcapng_packet p = {.time = k->time, .p = k->p, .caplen = k->caplen, .len = k->len};

	if (pcapng_file_packet(ctx, &p))
		abort();
}

static int through(const struct setting *s, const char *in, const char *out)
{
	struct pcapng_section section = {.application = STR("weft")};
	struct pcapng_interface one = {.link = 1};
	struct chain_config config = s->config;
	struct chain *c = NULL;
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(in, error);
	struct pcapng_file *f = NULL;
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	uint32_t number;

	addr_parse(STR("192.0.2.1"), &config.encap.src);
	addr_parse(STR("192.0.2.2"), &config.encap.dst);
	if (!pcap || chain_new(&c, &config, NULL) || pcapng_file_open(&f, out, &section, NULL) ||
	    pcapng_file_interface(f, &one, &number))
		return 1;
	while (pcap_next_ex(pcap, &h, &bytes) == 1) {
		struct chain_packet k = {.p = bytes,
					 .caplen = h->caplen,
					 .len = h->len,
					 .link = (uint32_t)pcap_datalink(pcap),
					 .time = (uint64_t)h->ts.tv_sec * 1000000000u +
						 (uint64_t)h->ts.tv_usec * 1000u};

		if (chain_run(c, &k, write_out, f))
			return 1;
	}
	for (unsigned i = 0; i < CHAIN_COUNTERS; i++)
		if (chain_counts(c)[i])
			printf("%s %llu\n", chain_counter_name(i), (unsigned long long)chain_counts(c)[i]);
	pcap_close(pcap);
	chain_free(&c);
	return pcapng_file_close(&f, NULL) != 0;
}

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc == 4 && i < sizeof(settings) / sizeof(*settings); i++)
		if (!strcmp(settings[i].name, argv[1]))
			return through(&settings[i], argv[2], argv[3]);
	fprintf(stderr, "usage: chain_through SETTING IN OUT\n");
	return 2;
}
