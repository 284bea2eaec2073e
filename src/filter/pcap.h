/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap expressions: libpcap parses and compiles them, its interpreter judges. Names of hosts are never looked
 * up: an expression with one is refused before libpcap sees it.
 */
#ifndef WEFT_FILTER_PCAP_H
#define WEFT_FILTER_PCAP_H

#include "base/str.h"
#include "seam/filter.h"

struct bpf_program;
struct pcap_filter;

enum { LINK_ETHERNET_NUMBER = 1 };

/* Compiles for Ethernet, which must work. 0; -EINVAL with the reason in why; -ENOMEM. */
int pcap_filter_new(struct pcap_filter **out, struct str text, struct buf *why);
void pcap_filter_free(struct pcap_filter **f);
struct str pcap_filter_text(const struct pcap_filter *f);
/* Classic BPF for frames of that link type (LINKTYPE_ of captures), compiled once; NULL where the expression
 * has no meaning there. Lives as long as the filter. */
const struct bpf_program *pcap_filter_program(struct pcap_filter *f, uint32_t link);
/* The same for Ethernet, as the kernel's side takes it (malloc'd). 0, -E2BIG, -ENOMEM. */
int pcap_filter_classic(struct pcap_filter *f, struct filter_classic **out, uint32_t *n);
/* Whether its program for Ethernet jumps backwards. */
bool pcap_filter_loops(struct pcap_filter *f);
bool pcap_filter_match(struct pcap_filter *f, uint32_t link, const uint8_t *p, uint32_t caplen, uint32_t len);

#endif
