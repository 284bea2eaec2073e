/* SPDX-License-Identifier: Apache-2.0 */
/* pcap expressions by libpcap: see pcap.h. */
#include "filter/pcap.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"

enum { SNAPLEN = 262144, LINKS_MAX = 16, TEXT_MAX = 65536 };

struct pcap_filter {
	char *text;
	size_t len;
	struct compiled {
		uint32_t link;
		bool good;
		struct bpf_program program;
	} links[LINKS_MAX]; /* compiled so far */
	unsigned links_len;
};

/* Words that libpcap does not look up as names of hosts or networks (pcap-filter(7)). */
static const char *const words[] = {"dst",
				    "src",
				    "host",
				    "net",
				    "mask",
				    "port",
				    "portrange",
				    "less",
				    "greater",
				    "byte",
				    "proto",
				    "protochain",
				    "and",
				    "or",
				    "not",
				    "len",
				    "inbound",
				    "outbound",
				    "broadcast",
				    "multicast",
				    "ether",
				    "link",
				    "ppp",
				    "slip",
				    "fddi",
				    "tr",
				    "wlan",
				    "arp",
				    "rarp",
				    "ip",
				    "ip6",
				    "sctp",
				    "tcp",
				    "udp",
				    "icmp",
				    "igmp",
				    "igrp",
				    "pim",
				    "vrrp",
				    "carp",
				    "radio",
				    "atalk",
				    "aarp",
				    "decnet",
				    "lat",
				    "sca",
				    "moprc",
				    "mopdl",
				    "iso",
				    "esis",
				    "es-is",
				    "isis",
				    "is-is",
				    "l1",
				    "l2",
				    "iih",
				    "lsp",
				    "snp",
				    "csnp",
				    "psnp",
				    "clnp",
				    "stp",
				    "ipx",
				    "netbeui",
				    "vlan",
				    "mpls",
				    "pppoed",
				    "pppoes",
				    "geneve",
				    "lane",
				    "llc",
				    "metac",
				    "bcc",
				    "oam",
				    "oamf4",
				    "oamf4ec",
				    "oamf4sc",
				    "sc",
				    "ilmic",
				    "vpi",
				    "vci",
				    "connectmsg",
				    "metaconnect",
				    "on",
				    "ifname",
				    "rnr",
				    "rulenum",
				    "reason",
				    "rset",
				    "ruleset",
				    "srnr",
				    "subrulenum",
				    "action",
				    "type",
				    "subtype",
				    "dir",
				    "direction",
				    "ra",
				    "ta",
				    "addr1",
				    "addr2",
				    "addr3",
				    "addr4",
				    "address1",
				    "address2",
				    "address3",
				    "address4",
				    "icmp6",
				    "ah",
				    "esp",
				    "icmptype",
				    "icmpcode",
				    "icmp6type",
				    "icmp6code",
				    "tcpflags",
				    "tcp-fin",
				    "tcp-syn",
				    "tcp-rst",
				    "tcp-push",
				    "tcp-ack",
				    "tcp-urg",
				    "tcp-ece",
				    "tcp-cwr",
				    "icmp-echoreply",
				    "icmp-unreach",
				    "icmp-sourcequench",
				    "icmp-redirect",
				    "icmp-echo",
				    "icmp-routeradvert",
				    "icmp-routersolicit",
				    "icmp-timxceed",
				    "icmp-paramprob",
				    "icmp-tstamp",
				    "icmp-tstampreply",
				    "icmp-ireq",
				    "icmp-ireqreply",
				    "icmp-maskreq",
				    "icmp-maskreply",
				    "icmp6-destinationrunreach",
				    "icmp6-packettoobig",
				    "icmp6-timeexceeded",
				    "icmp6-parameterproblem",
				    "icmp6-echo",
				    "icmp6-echoreply",
				    "icmp6-multicastlistenerquery",
				    "icmp6-multicastlistenerreportv1",
				    "icmp6-multicastlistenerdone",
				    "icmp6-routersolicit",
				    "icmp6-routeradvert",
				    "icmp6-neighborsolicit",
				    "icmp6-neighboradvert",
				    "icmp6-redirect",
				    "mgt",
				    "ctl",
				    "data",
				    "management",
				    "control",
				    "assoc-req",
				    "assoc-resp",
				    "reassoc-req",
				    "reassoc-resp",
				    "probe-req",
				    "probe-resp",
				    "beacon",
				    "atim",
				    "disassoc",
				    "auth",
				    "deauth",
				    "ps-poll",
				    "rts",
				    "cts",
				    "ack",
				    "cf-end",
				    "cf-end-ack",
				    "nods",
				    "tods",
				    "fromds",
				    "dstods",
				    "dll"};

static bool known(struct str w)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eqz(w, words[i]))
			return true;
	return false;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == ':' || c == '-' || c == '_' ||
	       (unsigned char)c >= 0x80;
}

/* Addresses and numbers: digits, hex digits and their separators, beginning as such. */
static bool numeric(struct str w)
{
	bool separator = str_starts(w, STR("0x")) || str_starts(w, STR("0X"));

	if (separator)
		w = (struct str){w.p + 2, w.n - 2};
	for (size_t i = 0; i < w.n; i++) {
		if (!isxdigit((unsigned char)w.p[i]) && w.p[i] != '.' && w.p[i] != ':' && w.p[i] != '-')
			return false;
		separator = separator || w.p[i] == ':';
	}
	return w.n && (isdigit((unsigned char)w.p[0]) || separator);
}

/* False with the first word that libpcap would look up. Names behind port and proto come from files of the
 * machine, not from the network. */
static bool no_names(struct str text, struct str *name)
{
	struct str last = {};

	for (size_t i = 0; i < text.n;) {
		struct str w = {text.p + i, 0};

		if (!word_char(text.p[i])) {
			i++;
			continue;
		}
		while (i < text.n && word_char(text.p[i])) {
			i++;
			w.n++;
		}
		if (!known(w) && !numeric(w) && !str_eqz(last, "port") && !str_eqz(last, "portrange") &&
		    !str_eqz(last, "proto") && !str_eqz(last, "protochain")) {
			*name = w;
			return false;
		}
		last = w;
	}
	return true;
}

/* A handle to compile with: that of an empty capture file, since libpcap reads the family of LINKTYPE_NULL
 * frames in files as any system writes it, but without a file as this system does. */
static pcap_t *handle_of(uint32_t link)
{
	struct pcap_file_header head = {.magic = 0xa1b2c3d4,
					.version_major = PCAP_VERSION_MAJOR,
					.version_minor = PCAP_VERSION_MINOR,
					.snaplen = SNAPLEN,
					.linktype = link};
	char error[PCAP_ERRBUF_SIZE];
	FILE *f = fmemopen(NULL, sizeof(head) + 1, "w+");
	pcap_t *handle = NULL;

	if (f && fwrite(&head, sizeof(head), 1, f) == 1 && !fflush(f) && !fseek(f, 0, SEEK_SET))
		handle = pcap_fopen_offline(f, error);
	if (f && !handle)
		fclose(f);
	return handle;
}

static struct compiled *compile(struct pcap_filter *f, uint32_t link, struct buf *why)
{
	struct compiled *c;
	pcap_t *handle;

	for (unsigned i = 0; i < f->links_len; i++)
		if (f->links[i].link == link)
			return &f->links[i];
	if (f->links_len == LINKS_MAX) { /* the oldest but Ethernet's goes */
		if (f->links[1].good)
			pcap_freecode(&f->links[1].program);
		memmove(&f->links[1], &f->links[2], (LINKS_MAX - 2) * sizeof(f->links[0]));
		f->links_len--;
	}
	handle = handle_of(link);
	if (!handle)
		return NULL;
	c = &f->links[f->links_len++];
	*c = (struct compiled){.link = link};
	c->good = !pcap_compile(handle, &c->program, f->text, 1, PCAP_NETMASK_UNKNOWN);
	if (!c->good && why)
		buf_addz(why, pcap_geterr(handle));
	pcap_close(handle);
	return c;
}

int pcap_filter_new(struct pcap_filter **out, struct str text, struct buf *why)
{
	struct pcap_filter *f;
	struct compiled *c;
	struct str name;

	if (text.n > TEXT_MAX) {
		buf_addz(why, "it is too long");
		return -EINVAL;
	}
	if (memchr(text.p, 0, text.n)) {
		buf_addz(why, "it has a byte 0");
		return -EINVAL;
	}
	if (!no_names(text, &name)) {
		buf_printf(why, "\"" STR_FMT "\" is no word of it, and names are not looked up",
			   STR_ARG(name));
		return -EINVAL;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->text = strndup(text.p, text.n);
	f->len = text.n;
	c = f->text ? compile(f, LINK_ETHERNET_NUMBER, why) : NULL;
	if (!c || !c->good) {
		pcap_filter_free(&f);
		return c ? -EINVAL : -ENOMEM;
	}
	*out = f;
	return 0;
}

void pcap_filter_free(struct pcap_filter **f)
{
	if (!*f)
		return;
	for (unsigned i = 0; i < (*f)->links_len; i++)
		if ((*f)->links[i].good)
			pcap_freecode(&(*f)->links[i].program);
	free((*f)->text);
	free(TAKE(*f));
}

struct str pcap_filter_text(const struct pcap_filter *f)
{
	return (struct str){f->text, f->len};
}

const struct bpf_program *pcap_filter_program(struct pcap_filter *f, uint32_t link)
{
	struct compiled *c = compile(f, link, NULL);

	return c && c->good ? &c->program : NULL;
}

bool pcap_filter_loops(struct pcap_filter *f)
{
	const struct bpf_program *p = pcap_filter_program(f, LINK_ETHERNET_NUMBER);

	for (unsigned i = 0; p && i < p->bf_len; i++)
		if (p->bf_insns[i].code == (BPF_JMP | BPF_JA) && (bpf_int32)p->bf_insns[i].k < 0)
			return true;
	return false;
}

int pcap_filter_classic(struct pcap_filter *f, struct filter_classic **out, uint32_t *n)
{
	const struct bpf_program *p = pcap_filter_program(f, LINK_ETHERNET_NUMBER);
	struct filter_classic *c;

	if (!p)
		return -ENOMEM;
	if (p->bf_len > FILTER_CLASSIC_MAX)
		return -E2BIG;
	c = malloc(p->bf_len * sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (unsigned i = 0; i < p->bf_len; i++)
		c[i] = (struct filter_classic){.code = p->bf_insns[i].code,
					       .jt = p->bf_insns[i].jt,
					       .jf = p->bf_insns[i].jf,
					       .k = p->bf_insns[i].k};
	*out = c;
	*n = p->bf_len;
	return 0;
}

bool pcap_filter_match(struct pcap_filter *f, uint32_t link, const uint8_t *p, uint32_t caplen, uint32_t len)
{
	const struct bpf_program *program = pcap_filter_program(f, link);

	return program && bpf_filter(program->bf_insns, p, len, caplen);
}
