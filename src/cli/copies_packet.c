/* SPDX-License-Identifier: Apache-2.0 */
/* Packets for `weft why --copy`: made up for a flow, or read from a capture. See copies.h. */
#include "cli/copies.h"

#include <errno.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "cli/broker.h"

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static uint8_t *put_transport(uint8_t *p, const struct copies_flow *f)
{
	enum { ECHO = 8, ECHO6 = 128, ECHO6_REPLY = 129, SYN = 0x02, SYN_ACK = 0x12, WINDOW = 64240 };

	if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
		p[0] = f->proto == IPPROTO_ICMP ? (f->answer ? 0 : ECHO) : f->answer ? ECHO6_REPLY : ECHO6;
		return p + 8;
	}
	put16(p, f->from_port);
	put16(p + 2, f->to_port);
	if (f->proto == IPPROTO_UDP)
		put16(p + 4, 8);
	if (f->proto != IPPROTO_TCP)
		return p + (f->proto == IPPROTO_SCTP ? 12 : 8);
	p[12] = 5 << 4;
	p[13] = f->answer ? SYN_ACK : SYN;
	put16(p + 14, WINDOW);
	return p + 20;
}

struct chain_packet copies_packet(uint8_t frame[COPIES_FRAME], const struct copies_flow *f)
{
	enum { ETHERNET = 14, TTL = 64 };
	uint8_t *ip = frame + ETHERNET, *end;
	bool four = addr_is4(&f->from);
	uint32_t n;

	memset(frame, 0, COPIES_FRAME);
	frame[0] = frame[6] = 2; /* local addresses: those of the pods are not known */
	frame[5] = 2;
	frame[11] = 1;
	put16(frame + 12, four ? 0x0800 : 0x86dd);
	end = put_transport(ip + (four ? 20 : 40), f);
	n = (uint32_t)(end - frame);
	if (four) {
		ip[0] = 0x45;
		put16(ip + 2, n - ETHERNET);
		ip[8] = TTL;
		ip[9] = f->proto;
		memcpy(ip + 12, f->from.b + 12, 4);
		memcpy(ip + 16, f->to.b + 12, 4);
		put16(ip + 10, ~sum(0, ip, 20) & 0xffff);
	} else {
		ip[0] = 0x60;
		put16(ip + 4, n - ETHERNET - 40);
		ip[6] = f->proto;
		ip[7] = TTL;
		memcpy(ip + 8, f->from.b, 16);
		memcpy(ip + 24, f->to.b, 16);
	}
	return (struct chain_packet){
	    .p = frame, .caplen = n, .len = n, .link = CHAIN_LINK_ETHERNET, .time = 1};
}

/* As the nodes' tunnel device sends it. */
struct chain_packet copies_outer(uint8_t frame[COPIES_FRAME], const struct chain_packet *inner,
				 const struct addr *from, const struct addr *to)
{
	enum { VXLAN_PORT = 4789, VNI = 22341, HEADS = 16, FLAGS = 0x08, ANY_PORT = 49152 };
	const struct copies_flow f = {
	    .from = *from, .to = *to, .from_port = ANY_PORT, .to_port = VXLAN_PORT, .proto = IPPROTO_UDP};
	struct chain_packet p = copies_packet(frame, &f);
	uint8_t *udp = frame + p.caplen - 8, *ip = frame + 14;

	put16(udp + 4, HEADS + inner->caplen);
	udp[8] = FLAGS;
	put16(udp + 12, VNI >> 8);
	udp[14] = VNI & 0xff;
	memcpy(udp + HEADS, inner->p, inner->caplen);
	p.caplen += HEADS - 8 + inner->caplen;
	p.len = p.caplen;
	if (addr_is4(from)) {
		put16(ip + 2, p.len - 14);
		put16(ip + 10, 0);
		put16(ip + 10, ~sum(0, ip, 20) & 0xffff);
	} else {
		put16(ip + 4, p.len - 14 - 40);
	}
	return p;
}

static int copy_packet(const struct pcap_pkthdr *h, const uint8_t *bytes, uint32_t link,
		       struct chain_packet *out, uint8_t **copy)
{
	*copy = malloc(h->caplen + 1u);
	if (!*copy)
		return -1;
	memcpy(*copy, bytes, h->caplen);
	*out = (struct chain_packet){.p = *copy,
				     .caplen = h->caplen,
				     .len = h->len < h->caplen ? h->caplen : h->len,
				     .link = link,
				     .time = (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec};
	return 0;
}

static int read_packet(FILE *file, const char *path, long number, struct chain_packet *out, uint8_t **copy)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	pcap_t *in = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	long at = 0;
	int got = 1, r = -1;

	if (!in) {
		fclose(file);
		cli_error(NULL, "%s: %s", path, error);
		return -1;
	}
	while (at < number && (got = pcap_next_ex(in, &h, &bytes)) == 1)
		at++;
	if (got == PCAP_ERROR)
		cli_error(NULL, "%s: behind packet %ld: %s", path, at, pcap_geterr(in));
	else if (got != 1)
		cli_error(NULL, "%s has %ld packets, and no number %ld", path, at, number);
	else
		r = copy_packet(h, bytes, (uint32_t)pcap_datalink(in), out, copy);
	pcap_close(in);
	return r;
}

int copies_capture(const char *path, long number, struct chain_packet *out, uint8_t **bytes)
{
	FILE *file = !strcmp(path, "-") ? stdin : fopen(path, "rbe");
	int r;

	if (!file) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		return -1;
	}
	r = broker_seal();
	if (r) {
		fclose(file);
		cli_error(NULL, "this process cannot be sealed before it reads captures: %s", strerror(-r));
		return -1;
	}
	return read_packet(file, path, number, out, bytes);
}
