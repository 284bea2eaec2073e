/* SPDX-License-Identifier: Apache-2.0 */
/* A filter as its users see it: see filter.h. Joins the native form and the pcap form. */
#include "filter/filter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "filter/match.h"
#include "filter/reason.h"

enum { ARENA_LIMIT = 16 << 20, FRAME_MAX = 65536 };

void filter_unref(struct filter **f)
{
	if (!*f || --(*f)->refs) {
		*f = NULL;
		return;
	}
	pcap_filter_free(&(*f)->pcap);
	arena_fini(&(*f)->arena);
	free(TAKE(*f));
}

struct filter *filter_ref(struct filter *f)
{
	f->refs++;
	return f;
}

/* pcap:'…' or pcap:"…": the text between the quotes; or .p = NULL. */
static struct str marked(struct str text)
{
	struct str t = str_trim(text);

	if (!str_starts(t, STR("pcap:")))
		return (struct str){};
	t = str_trim((struct str){t.p + 5, t.n - 5});
	if (t.n >= 2 && (t.p[0] == '\'' || t.p[0] == '"') && t.p[t.n - 1] == t.p[0])
		return (struct str){t.p + 1, t.n - 2};
	return t;
}

static int as_pcap(struct filter *f, struct str text, struct buf *why)
{
	AUTO_BUF untold = {};
	int r = pcap_filter_new(&f->pcap, text, why);

	if (!r)
		f->root = node_from_pcap(&f->arena, text, &untold);
	return r;
}

/* Whether a person who wrote this meant the pcap syntax: only then is its error worth telling. */
static bool pcap_like(struct str text)
{
	static const char *const words[] = {" and ", " or ",   "not ",	     "host ",
					    "net ",  "proto ", "portrange ", "["};
	static const char *const signs[] = {"&&", "==", "{", "\"", "<", ">"};

	if (memmem(text.p, text.n, "[\"", 2)) /* pod.label["app"] */
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (memmem(text.p, text.n, words[i], strlen(words[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (memmem(text.p, text.n, signs[i], strlen(signs[i])))
			return false;
	return memmem(text.p, text.n, "port ", 5);
}

static int parse(struct filter *f, struct str text, struct pos at, struct remarks *remarks)
{
	AUTO(remarks_fini) struct remarks native = {};
	struct str pcap = marked(text);
	AUTO_BUF why = {};
	int r;

	if (!at.line)
		at = (struct pos){.file = at.file, .line = 1, .col = 1};
	at.len = (uint32_t)(text.n ? text.n : 1);
	if (text.n > FILTER_TEXT_MAX) {
		remark_add(remarks, REMARK_ERROR, at, NULL, "the filter is longer than %d bytes",
			   FILTER_TEXT_MAX);
		return -EINVAL;
	}
	if (!pcap.p) {
		f->root = node_parse(&f->arena, text, at, &native);
		if (f->root)
			return 0;
		if (!native.errors)
			return -ENOMEM;
		pcap = text;
	}
	r = as_pcap(f, pcap, &why);
	if (r != -EINVAL)
		return r;
	if (pcap.p != text.p || pcap_like(text)) {
		remark_add(remarks, REMARK_ERROR, at,
			   "see pcap-filter(7); the native syntax: weft help filter",
			   "as a pcap expression: %s", why.n ? why.p : "it cannot be read");
		return -EINVAL;
	}
	remarks_move(remarks, &native);
	return -EINVAL;
}

int filter_parse(struct filter **out, struct str text, struct pos at, struct remarks *remarks)
{
	struct filter *f = calloc(1, sizeof(*f));
	AUTO(file_unref) struct file *shown = NULL;
	int r;

	if (!f)
		return -ENOMEM;
	f->refs = 1;
	f->arena.limit = ARENA_LIMIT;
	if (!at.file && !at.line) {
		r = file_new(&shown, "filter", text.p ? text.p : "", text.n);
		if (r) {
			free(f);
			return r;
		}
		at.file = shown;
	}
	r = parse(f, text.p ? text : STR(""), at, remarks);
	if (!r && f->root)
		f->numbered = node_number(f->root, 0);
	if (r)
		filter_unref(&f);
	else
		*out = f;
	return r;
}

void filter_print(const struct filter *f, struct buf *out)
{
	char quote;

	if (!f->pcap) {
		node_print(out, f->root);
		return;
	}
	quote = memchr(pcap_filter_text(f->pcap).p, '\'', pcap_filter_text(f->pcap).n) ? '"' : '\'';
	buf_printf(out, "pcap:%c" STR_FMT "%c", quote, STR_ARG(pcap_filter_text(f->pcap)), quote);
}

int filter_print_other(const struct filter *f, struct buf *out, struct buf *why)
{
	if (!f->pcap)
		return node_to_pcap(out, f->root, why);
	if (!f->root) {
		AUTO_ARENA scratch = {.limit = ARENA_LIMIT};

		node_from_pcap(&scratch, pcap_filter_text(f->pcap), why);
		return -ENOTSUP;
	}
	node_print(out, f->root);
	return 0;
}

bool filter_is_pcap(const struct filter *f)
{
	return f->pcap;
}

bool filter_eq(const struct filter *a, const struct filter *b)
{
	if (!a->pcap != !b->pcap)
		return false;
	if (a->pcap)
		return str_eq(pcap_filter_text(a->pcap), pcap_filter_text(b->pcap));
	return node_eq(a->root, b->root);
}

/* What a packet has only through the record of its ends is a field of records that the kernel has not. */
static bool has_use(unsigned uses, enum filter_use use)
{
	if (use == FILTER_BYTES)
		return uses & USE_PACKETS && (uses & USE_KERNEL || !(uses & USE_RECORDS));
	return uses & 1u << use;
}

static const struct node *without(const struct node *n, enum filter_use use)
{
	const struct node *bad = NULL;

	if (n->op == NODE_TEST || n->op == NODE_HAS)
		return has_use(filter_fields[n->field].uses, use) ? NULL : n;
	for (unsigned i = 0; i < n->kids_len && !bad; i++)
		bad = without(n->kids[i], use);
	return bad;
}

static bool asks_first_fragment(const struct node *n)
{
	bool asks = false;

	switch (n->op == NODE_TEST || n->op == NODE_HAS ? n->field : FIELD_MAX) {
	case FIELD_PORT:
	case FIELD_TCP_FLAGS:
	case FIELD_TCP_FIN:
	case FIELD_TCP_SYN:
	case FIELD_TCP_RST:
	case FIELD_TCP_PSH:
	case FIELD_TCP_ACK:
	case FIELD_TCP_URG:
	case FIELD_ICMP_TYPE:
	case FIELD_ICMP_CODE:
		return true;
	default:
		for (unsigned i = 0; i < n->kids_len && !asks; i++)
			asks = asks_first_fragment(n->kids[i]);
		return asks;
	}
}

bool filter_asks_first_fragment(const struct filter *f)
{
	return f->root && asks_first_fragment(f->root);
}

int filter_uses(const struct filter *f, enum filter_use use, struct buf *why)
{
	static const char *const places[] = {"records", "packets", "the kernel", "a packet's bytes"};
	const struct node *bad;

	if (f->pcap && use == FILTER_KERNEL && pcap_filter_loops(f->pcap)) {
		if (why)
			buf_addz(why,
				 "this pcap expression loops over headers (protochain), which the kernel "
				 "does not take");
		return -ENOTSUP;
	}
	if (f->pcap && use != FILTER_RECORDS)
		return 0;
	if (f->pcap && !f->root) {
		AUTO_BUF out = {};

		if (why) {
			buf_addz(
			    why,
			    "this pcap expression reads bytes of packets, which a record does not have: ");
			filter_print_other(f, &out, why);
		}
		return -ENOTSUP;
	}
	bad = without(f->root, use);
	if (!bad)
		return 0;
	if (why) {
		buf_printf(why, "%s cannot be judged over %s: ", filter_fields[bad->field].path, places[use]);
		node_print(why, bad);
	}
	return -ENOTSUP;
}

bool filter_record(const struct filter *f, const struct record *r)
{
	struct subject s = {.record = r};

	return f->root && node_match(f->root, &s);
}

static bool asks_dns(const struct node *n)
{
	bool yes = (n->op == NODE_TEST || n->op == NODE_HAS) &&
		   ((n->field >= FIELD_DNS_NAME && n->field <= FIELD_DNS_TIME) || n->field == FIELD_RECORD);

	for (unsigned i = 0; i < n->kids_len && !yes; i++)
		yes = asks_dns(n->kids[i]);
	return yes;
}

bool filter_asks_dns(const struct filter *f)
{
	return f->root && asks_dns(f->root);
}

static bool asks_kernel_drops(const struct node *n)
{
	bool yes = n->op == NODE_HAS && n->field == FIELD_REASON;

	for (unsigned i = 0; n->op == NODE_TEST && i < n->values_len && !yes; i++)
		yes = (n->field == FIELD_REASON && n->values[i].hi >= REASON_KERNEL) ||
		      (n->field == FIELD_VERDICT && n->values[i].lo <= VERDICT_DROPPED &&
		       VERDICT_DROPPED <= n->values[i].hi);
	for (unsigned i = 0; i < n->kids_len && !yes; i++)
		yes = asks_kernel_drops(n->kids[i]);
	return yes;
}

bool filter_asks_kernel_drops(const struct filter *f)
{
	return f->root && asks_kernel_drops(f->root);
}

/* libpcap's interpreter reads bytes only: a tag held beside them goes back in. */
static bool match_pcap(struct pcap_filter *f, const struct filter_packet *p)
{
	uint8_t frame[FRAME_MAX];

	if (!p->vlan_in_meta || p->link != LINK_ETHERNET_NUMBER || p->caplen < 12)
		return pcap_filter_match(f, p->link, p->p, p->caplen, p->len);
	uint32_t n = p->caplen > FRAME_MAX - 4 ? FRAME_MAX - 4 : p->caplen;

	memcpy(frame, p->p, 12);
	uint16_t tpid = p->vlan_tpid ? p->vlan_tpid : 0x8100;

	memcpy(frame + 12,
	       (uint8_t[]){(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(p->vlan_tci >> 8),
			   (uint8_t)p->vlan_tci},
	       4);
	memcpy(frame + 16, p->p + 12, n - 12);
	return pcap_filter_match(f, p->link, frame, n + 4, p->len + 4);
}

bool filter_dissected(const struct filter *f, const struct filter_packet *p, const struct dissected *d)
{
	struct subject s = {.packet = d, .record = p->who};

	return f->pcap ? match_pcap(f->pcap, p) : node_match(f->root, &s);
}

bool filter_packet(const struct filter *f, const struct filter_packet *p)
{
	struct dissected d;

	if (f->pcap)
		return match_pcap(f->pcap, p);
	dissect(&d, p);
	return filter_dissected(f, p, &d);
}
