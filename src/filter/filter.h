/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter: the one filter language, for flows, drops, captures, maps, alerts and the page.
 *
 *   tcp && port in {80, 443, 8000-8100} && src.pod.label["app"] == "web" && !(dst.cidr == 10.0.0.0/8)
 *
 * Typed fields (tables/filter.def) with && || ! and brackets, == != < <= > >= in, sets and ranges. Short
 * forms without a side (port, ip, pod, ns…) mean either end. A field that a record or packet does not have
 * makes its comparison false, and != is the opposite of ==; `has(field)` asks. pcap:'…' is a pcap expression
 * (libpcap's meaning); bare text that the native syntax refuses is tried as one, and the printed form says
 * which is meant. The same filter runs over records, over packets, and in the kernel; where one cannot,
 * filter_uses() says so and why: nothing is approximated.
 */
#ifndef WEFT_FILTER_FILTER_H
#define WEFT_FILTER_FILTER_H

#include "base/remark.h"
#include "filter/record.h"
#include "seam/filter.h"

struct filter; /* parsed; immutable, counted */

/* Parses the whole text; "" matches everything. `at` is where the text stands (its file may be NULL: errors
 * then show the text itself). 0; -EINVAL with an error (column, proposal) in remarks; -ENOMEM. */
int filter_parse(struct filter **out, struct str text, struct pos at, struct remarks *remarks);
struct filter *filter_ref(struct filter *f);
void filter_unref(struct filter **f);

/* The canonical form: parsing it gives an equal filter. */
void filter_print(const struct filter *f, struct buf *out);
/* As a pcap expression (native → pcap) or as a native one (pcap → native). 0, or -ENOTSUP with the reason and
 * the term in why. */
int filter_print_other(const struct filter *f, struct buf *out, struct buf *why);
bool filter_is_pcap(const struct filter *f);
bool filter_eq(const struct filter *a, const struct filter *b);
/* Whether it asks for what later fragments of a datagram do not have (ports, flags, types): they are not
 * tracked, so such a term is false for them. */
bool filter_asks_first_fragment(const struct filter *f);
/* Calls fn for each whole name (no pattern) that a field without its side, "pod", is compared with. */
void filter_names(const struct filter *f, void (*fn)(void *ctx, const char *field, struct str name),
		  void *ctx);

/* FILTER_BYTES: packets of which nothing is known but their bytes (no names, no verdict). */
enum filter_use { FILTER_RECORDS, FILTER_PACKETS, FILTER_KERNEL, FILTER_BYTES };
/* Whether it can run there. 0, or -ENOTSUP with the reason and the term in why (may be NULL). */
int filter_uses(const struct filter *f, enum filter_use use, struct buf *why);

bool filter_record(const struct filter *f, const struct record *r);
/* Whether it asks about DNS questions, by `dns.…` or `record`. Records of them are part of a flow, so they
 * are shown to those only who ask for them. */
bool filter_asks_dns(const struct filter *f);

/* Whether it asks about what the kernel's own stack drops: by verdict, or by one of its reasons. Where nobody
 * watches that, no record is no answer. */
bool filter_asks_kernel_drops(const struct filter *f);

/* The same over many records that share their ends: who keeps ends by number (0: none) lets the filter
 * remember what it said of each. An end is an address and its identity; numbers and what they stand for may
 * not change meanwhile. Its memory is bounded; of larger ones less is remembered. NULL: out of memory; one is
 * enough for a thread and a question. */
struct filter_run;
struct filter_run *filter_run_new(const struct filter *f, uint32_t ends);
void filter_run_free(struct filter_run **run);
bool filter_run_record(struct filter_run *run, const struct record *r, uint32_t from, uint32_t to,
		       uint32_t via);

/* A packet as captured. Names of addresses (pods, labels) come from `who`, or are not known. */
struct filter_packet {
	const uint8_t *p;
	uint32_t caplen, len;	  /* there, and on the wire */
	uint32_t link;		  /* LINKTYPE_…, as in captures */
	const struct record *who; /* ends' identities, verdict, reason; or NULL */
	bool vlan_in_meta; /* the outer tag is not in the bytes (nor in caplen, len): vlan_tci, vlan_tpid */
	uint16_t vlan_tci, vlan_tpid; /* tpid 0: 0x8100 */
};
bool filter_packet(const struct filter *f, const struct filter_packet *p);

/* The same, and why: the terms that settled it, with what the packet has in their place, are appended:
 * "dst.port == 443 (it is 80)". Of a conjunction that fails, the first term that does; of a disjunction, all
 * of its terms; the other way round where it matches. */
bool filter_packet_why(const struct filter *f, const struct filter_packet *p, struct buf *why);

/* As the applier takes it for the kernel: one of the two, malloc'd. It says what filter_packet() says of an
 * Ethernet frame that is there whole. 0; -ENOTSUP with the reason and the term in why (may be NULL); -ENOMEM.
 */
struct filter_program {
	struct filter_step *steps;
	struct filter_classic *classic;
	uint32_t n;
};
int filter_program(const struct filter *f, struct filter_program *out, struct buf *why);
void filter_program_fini(struct filter_program *p);

/* A number as the language writes it: 10k 1.5M 2Gi, or, as a time in ns, 20ms 1.5s 5m 1h (no unit: s). */
bool filter_amount(struct str s, bool time, uint64_t *out);

/* Proposals for what may stand at the end of `text`; calls fn(ctx, word, sentence) for each. records: only of
 * fields that records have. */
void filter_complete(struct str text, bool records,
		     void (*fn)(void *ctx, const char *word, const char *sentence), void *ctx);
/* Where the word begins that is being typed at the end of `text`: what is before stays. */
size_t filter_complete_from(struct str text);
/* The field, without its side, whose value is being typed at the end of `text`, with the key of a label;
 * NULL: it is no value. */
const char *filter_complete_value(struct str text, struct str *key);

#endif
