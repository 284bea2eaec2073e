/* SPDX-License-Identifier: Apache-2.0 */
/* A filter over a capture file: see filter.h. Apart, since libpcap's names for BPF are not the kernel's. */
#include "cli/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>

#include "apply/filter.h"

/* The kernel sees the frame as it was captured. */
static int judge(struct filter_count *c, const struct filter *f, int program, struct filter_packet p)
{
	uint32_t matched = 0;
	int r = p.link == 1 ? filter_judge(program, p.p, p.caplen, &matched) : -ERANGE;

	if (r == -ERANGE) {
		c->left_out++;
		return 0;
	}
	if (r)
		return r;
	p.len = p.caplen;
	c->judged++;
	c->in_kernel += matched & 1;
	if (filter_packet(f, &p) != (matched & 1) && !c->differ++)
		c->first = c->packets;
	return 0;
}

int filter_count(struct filter_count *c, const struct filter *f, int program, const char *path)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int got = 0, r = 0;

	*c = (struct filter_count){0};
	if (!pcap) {
		snprintf(c->error, sizeof(c->error), "%s", error);
		return -EINVAL;
	}
	while (!r && (got = pcap_next_ex(pcap, &h, &bytes)) == 1) {
		struct filter_packet p = {
		    .p = bytes, .caplen = h->caplen, .len = h->len, .link = (uint32_t)pcap_datalink(pcap)};

		c->packets++;
		c->cut += h->caplen < h->len;
		c->matches += filter_packet(f, &p);
		if (program >= 0)
			r = judge(c, f, program, p);
	}
	c->broken = got == -1;
	if (c->broken)
		snprintf(c->error, sizeof(c->error), "%s", pcap_geterr(pcap));
	pcap_close(pcap);
	return r;
}
