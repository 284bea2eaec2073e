/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters over real captures (WEFT_INPUTS/pcap), libpcap as the oracle: pcap expressions mean what libpcap
 * says on every packet of every link type; the other form of a filter says the same on every frame on which
 * it claims to (no VLAN tag, MPLS, IPv6 extension header; whole; no ARP for `host`).
 */
#include <dirent.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "filter/dissect.h"
#include "filter/filter.h"

static const char *const pcap_texts[] = {
    "tcp", "udp", "icmp", "icmp6", "arp", "ip", "ip6", "sctp", "tcp port 80", "udp port 53", "port 53",
    "src port 53", "dst port 443", "portrange 1-1024", "tcp src portrange 1024-65535", "host 10.0.0.1",
    "net 10.0.0.0/8", "net 192.168", "src net 172.16.0.0/12", "dst net 224.0.0.0/4", "ip6 net fe80::/10",
    "ip proto 89", "ip6 proto 58", "proto 17", "ether proto 0x0800", "ether proto 0x88cc",
    "ether src 00:00:00:00:00:01", "less 64", "greater 1000", "tcp and not port 80", "not tcp",
    "not (udp or icmp)", "tcp or udp and port 53", "udp port 53 or 67 or 123",
    "tcp and net 10.0.0.0/8 or udp and net 192.168.0.0/16", "src and dst net 10", "ip and not src net 10",
    "ip host 127.0.0.1", "sctp port 2905", "tcp dst port 179", "greater 100 and less 500",
    /* without a native twin */
    "vlan", "vlan 100", "vlan and tcp", "mpls", "pppoes and ip", "ip multicast", "ether broadcast",
    "ether multicast", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[13] = 2", "ip[8] < 5",
    "icmp[icmptype] = icmp-echo", "ip[6:2] & 0x1fff != 0", "udp[4:2] > 100", "len > 1000 and ip",
    "ether[0] & 1 = 0 and ip[16] >= 224", "stp", "isis", "ip protochain 6", "geneve", "iso",
    "tcp and (tcp[12:1] & 0xf0) >> 2 > 20"};

static const char *const native_texts[] = {"tcp",
					   "udp",
					   "icmp",
					   "arp",
					   "ip4",
					   "ip6",
					   "sctp",
					   "port == 53",
					   "src.port == 53",
					   "dst.port in {80, 443, 8000-8100}",
					   "port < 1024",
					   "port >= 49152",
					   "ip == 10.0.0.0/8",
					   "src.ip == 192.168.0.0-192.168.3.77",
					   "dst.ip == fe80::/10",
					   "ip in {127.0.0.1, ::1, 224.0.0.0/4}",
					   "proto == 89",
					   "proto in {1, 2, 58}",
					   "len > 1000",
					   "len in {60-64, 1514}",
					   "ip.ttl == 1",
					   "ip.ttl < 64",
					   "ip.dscp == 48",
					   "ip.dscp > 0",
					   "ip.fragment",
					   "tcp.syn && !tcp.ack",
					   "tcp.rst || tcp.fin",
					   "tcp.flags == syn+ack",
					   "tcp.flags == ack",
					   "icmp.type == 8",
					   "icmp.type in {128, 129, 133-137}",
					   "icmp.code == 0",
					   "eth.type == 0x88cc",
					   "eth.type == ip6",
					   "mac == 01:00:5e:00:00:05",
					   "dst.mac == 01:80:c2:00:00:00",
					   "tcp && port == 179 && ip == 10.0.0.0/8",
					   "udp && !(port == 53 || port == 123)",
					   "!tcp && !udp && ip4",
					   "tcp && (src.port != 80 && dst.port != 80)",
					   "!(ip == 10.0.0.0/8) && udp",
					   "true",
					   "false",
					   "!arp && len <= 100"};

enum {
	PCAPS = sizeof(pcap_texts) / sizeof(*pcap_texts),
	NATIVES = sizeof(native_texts) / sizeof(*native_texts)
};
static struct filter *pcaps[PCAPS], *twins[PCAPS], *natives[NATIVES], *mates[NATIVES];
static unsigned long packets, files, ethernet, plain_frames, both, compared, unparsable;

static struct filter *parse(const char *text)
{
	AUTO(remarks_fini) struct remarks remarks = {};
	struct filter *f = NULL;

	if (filter_parse(&f, str_of(text), (struct pos){}, &remarks)) {
		remarks_print(stderr, &remarks, false);
		fail_msg("not parsed: %s", text);
	}
	return f;
}

static struct filter *twin(const struct filter *f, bool pcap)
{
	AUTO_BUF text = {};
	AUTO_BUF why = {};
	AUTO_BUF marked = {};

	if (filter_print_other(f, &text, &why))
		return NULL;
	buf_printf(&marked, "%s%s%s", pcap ? "pcap:'" : "", text.p ? text.p : "", pcap ? "'" : "");
	return parse(marked.p);
}

static int prepare(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PCAPS; i++) {
		char marked[256];

		snprintf(marked, sizeof(marked), "pcap:'%s'", pcap_texts[i]);
		pcaps[i] = parse(marked);
		twins[i] = twin(pcaps[i], false);
	}
	for (unsigned i = 0; i < NATIVES; i++) {
		natives[i] = parse(native_texts[i]);
		mates[i] = twin(natives[i], true);
		if (!mates[i])
			fail_msg("no pcap form: %s", native_texts[i]);
	}
	return 0;
}

static int put_away(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PCAPS; i++) {
		filter_unref(&pcaps[i]);
		if (twins[i])
			filter_unref(&twins[i]);
	}
	for (unsigned i = 0; i < NATIVES; i++) {
		filter_unref(&natives[i]);
		filter_unref(&mates[i]);
	}
	return 0;
}

static void judge(const char *file, const struct filter_packet *p, struct bpf_program *oracle,
		  const bool *compiled, const struct pcap_pkthdr *h)
{
	struct dissected d;
	bool whole = dissect(&d, p);
	bool plain = whole && p->link == 1 && !(d.has & (HAS_VLAN | HAS_MPLS | HAS_EXTENSION));

	packets++;
	unparsable += !whole;
	plain_frames += plain;
	for (unsigned i = 0; i < PCAPS; i++) {
		bool want = compiled[i] && pcap_offline_filter(&oracle[i], h, p->p);

		if (filter_packet(pcaps[i], p) != want)
			fail_msg("%s packet %lu: %s", file, packets, pcap_texts[i]);
		compared++;
		if (twins[i] && plain && !(d.has & HAS_ARP) && d.ethertype != 0x8035) {
			if (filter_packet(twins[i], p) != want)
				fail_msg("%s packet %lu: the native form of %s", file, packets,
					 pcap_texts[i]);
			both++;
		}
	}
	for (unsigned i = 0; plain && i < NATIVES; i++) {
		if (filter_packet(natives[i], p) != filter_packet(mates[i], p))
			fail_msg("%s packet %lu: the pcap form of %s", file, packets, native_texts[i]);
		both++;
	}
}

static void read_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct bpf_program oracle[PCAPS];
	bool compiled[PCAPS];
	struct pcap_pkthdr *h;
	const uint8_t *bytes;

	if (!pcap)
		return; /* malformed on purpose */
	files++;
	ethernet += pcap_datalink(pcap) == DLT_EN10MB;
	for (unsigned i = 0; i < PCAPS; i++)
		compiled[i] = !pcap_compile(pcap, &oracle[i], pcap_texts[i], 1, PCAP_NETMASK_UNKNOWN);
	while (pcap_next_ex(pcap, &h, &bytes) == 1) {
		/* just the bytes that are there, so that a read beyond them shows */
		uint8_t *copy = malloc(h->caplen ? h->caplen : 1);
		struct filter_packet p = {
		    .p = copy, .caplen = h->caplen, .len = h->len, .link = (uint32_t)pcap_datalink(pcap)};

		memcpy(copy, bytes, h->caplen);
		judge(path, &p, oracle, compiled, h);
		free(copy);
	}
	for (unsigned i = 0; i < PCAPS; i++)
		if (compiled[i])
			pcap_freecode(&oracle[i]);
	pcap_close(pcap);
}

static void br71_the_captures(void **state)
{
	const char *inputs = getenv("WEFT_INPUTS");
	char path[4096];
	DIR *dir;

	(void)state;
	snprintf(path, sizeof(path), "%s/pcap", inputs ? inputs : "../shared/inputs");
	dir = opendir(path);
	if (!dir) {
		fprintf(stderr, "no captures in %s\n", path);
		skip();
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char file[4400];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		read_file(file);
	}
	closedir(dir);
	fprintf(stderr,
		"# %lu captures (%lu of Ethernet), %lu packets (%lu not parsable), %lu verdicts of pcap "
		"forms held "
		"against libpcap, %lu of other forms on %lu plain frames\n",
		files, ethernet, packets, unparsable, compared, both, plain_frames);
	assert_true(files > 100 && packets > 1000 && both > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(br71_the_captures)};

	return cmocka_run_group_tests(tests, prepare, put_away);
}
