/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native → pcap, for frames without VLAN tags, MPLS and IPv6 extension headers: libpcap looks for headers at
 * fixed places. What would need another frame of mind (names, VLANs, verdicts) has no pcap form.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"
#include "filter/node.h"

enum { PREFIXES_MAX = 1024 };

struct writer {
	struct buf *out, *why;
	unsigned prefixes;
};

static int cannot(struct writer *w, const struct node *n, const char *reason)
{
	if (!w->why->n) {
		node_print(w->why, n);
		buf_printf(w->why, ": %s", reason);
	}
	return -ENOTSUP;
}

static const char *side_word(enum side s)
{
	return s == SIDE_SRC ? "src " : s == SIDE_DST ? "dst " : "";
}

static void address_inc(struct addr *a)
{
	for (int i = 15; i >= 0 && !++a->b[i]; i--)
		;
}

/* A range of addresses as the fewest prefixes. */
static int write_range(struct writer *w, const struct node *n, const struct value *v)
{
	struct addr at = v->from;
	bool four = addr_is4(&at), first = true;

	for (;;) {
		struct prefix p = {.addr = at, .len = 128};
		struct addr last = at, next;
		char text[PREFIX_TEXT];

		/* As short a prefix as begins here and does not reach beyond the end. */
		while (p.len > (four ? 96 : 0) && !(at.b[(p.len - 1) / 8] & 0x80 >> (p.len - 1) % 8)) {
			next = last;
			next.b[(p.len - 1) / 8] |= (uint8_t)(0x80 >> (p.len - 1) % 8);
			if (memcmp(&next, &v->to, sizeof(next)) > 0)
				break;
			last = next;
			p.len--;
		}
		if (++w->prefixes > PREFIXES_MAX)
			return cannot(w, n, "it takes too many prefixes");
		prefix_print(&p, text);
		buf_printf(w->out, "%s%s %snet %s", first ? "" : " or ", four ? "ip" : "ip6",
			   side_word(n->side), text);
		first = false;
		if (memcmp(&last, &v->to, sizeof(last)) >= 0)
			return 0;
		at = last;
		address_inc(&at);
	}
}

static void either4or6(struct writer *w, const char *four, const char *six, const struct value *v)
{
	buf_printf(w->out, "(ip and %s >= %" PRIu64 " and %s <= %" PRIu64 ")", four, v->lo, four, v->hi);
	buf_printf(w->out, " or (ip6 and %s >= %" PRIu64 " and %s <= %" PRIu64 ")", six, v->lo, six, v->hi);
}

static int write_value(struct writer *w, const struct node *n, const struct value *v)
{
	switch (n->field) {
	case FIELD_IP:
		return write_range(w, n, v);
	case FIELD_PORT:
		if (v->lo == v->hi)
			buf_printf(w->out, "%sport %" PRIu64, side_word(n->side), v->lo);
		else
			buf_printf(w->out, "%sportrange %" PRIu64 "-%" PRIu64, side_word(n->side), v->lo,
				   v->hi);
		return 0;
	case FIELD_MAC:
		buf_printf(w->out, "ether %s ",
			   n->side == SIDE_SRC	 ? "src"
			   : n->side == SIDE_DST ? "dst"
						 : "host");
		value_print(w->out, FIELD_MAC, v);
		return 0;
	case FIELD_PROTO:
		if (v->hi - v->lo > 16)
			return cannot(w, n, "so wide a range of protocols has no pcap form");
		for (uint64_t i = v->lo; i <= v->hi; i++)
			buf_printf(w->out, "%sip proto %" PRIu64 " or ip6 proto %" PRIu64,
				   i > v->lo ? " or " : "", i, i);
		return 0;
	case FIELD_ETH_TYPE:
		if (v->hi - v->lo > 16)
			return cannot(w, n, "so wide a range of EtherTypes has no pcap form");
		for (uint64_t i = v->lo; i <= v->hi; i++)
			buf_printf(w->out, "%sether proto %" PRIu64, i > v->lo ? " or " : "", i);
		return 0;
	case FIELD_LEN:
		buf_printf(w->out, "len >= %" PRIu64 " and len <= %" PRIu64, v->lo, v->hi);
		return 0;
	case FIELD_TTL:
		either4or6(w, "ip[8]", "ip6[7]", v);
		return 0;
	case FIELD_DSCP:
		either4or6(w, "(ip[1] >> 2)", "((ip6[0:2] >> 6) & 63)", v);
		return 0;
	case FIELD_TCP_FLAGS:
		buf_printf(w->out,
			   "(ip and tcp[13] = %" PRIu64 ") or (ip6 proto 6 and ip6[53] = %" PRIu64 ")", v->lo,
			   v->lo);
		return 0;
	case FIELD_ICMP_TYPE:
	case FIELD_ICMP_CODE: {
		unsigned at = n->field == FIELD_ICMP_CODE;

		buf_printf(w->out,
			   "(icmp and icmp[%u] >= %" PRIu64 " and icmp[%u] <= %" PRIu64 ") or "
			   "(icmp6 and ip6[%u] >= %" PRIu64 " and ip6[%u] <= %" PRIu64 ")",
			   at, v->lo, at, v->hi, 40 + at, v->lo, 40 + at, v->hi);
		return 0;
	}
	default:
		return cannot(w, n, "has no pcap form");
	}
}

static int write_flag(struct writer *w, const struct node *n)
{
	switch (n->field) {
	case FIELD_TCP:
	case FIELD_UDP:
	case FIELD_SCTP:
	case FIELD_ARP:
	case FIELD_IP6:
		buf_addz(w->out, filter_fields[n->field].path);
		return 0;
	case FIELD_IP4:
		buf_addz(w->out, "ip");
		return 0;
	case FIELD_ICMP:
		buf_addz(w->out, "(ip proto 1 or ip6 proto 1 or ip proto 58 or ip6 proto 58)");
		return 0;
	case FIELD_FRAGMENT:
		buf_addz(w->out, "((ip and ip[6:2] & 0x3fff != 0) or ip6 proto 44)");
		return 0;
	case FIELD_TCP_FIN:
	case FIELD_TCP_SYN:
	case FIELD_TCP_RST:
	case FIELD_TCP_PSH:
	case FIELD_TCP_ACK:
	case FIELD_TCP_URG: {
		unsigned bit = 1u << (n->field - FIELD_TCP_FIN);

		buf_printf(w->out, "((ip and tcp[13] & %u != 0) or (ip6 proto 6 and ip6[53] & %u != 0))", bit,
			   bit);
		return 0;
	}
	default:
		return cannot(w, n, "has no pcap form");
	}
}

static int write_node(struct writer *w, const struct node *n);

static int write_all(struct writer *w, const struct node *n)
{
	int r = 0;

	buf_addc(w->out, '(');
	for (unsigned i = 0; i < n->kids_len && !r; i++) {
		buf_addz(w->out, !i ? "" : n->op == NODE_AND ? " and " : " or ");
		r = write_node(w, n->kids[i]);
	}
	buf_addc(w->out, ')');
	return r;
}

static int write_node(struct writer *w, const struct node *n)
{
	int r = 0;

	switch (n->op) {
	case NODE_ALL:
		buf_addz(w->out, "len >= 0");
		return 0;
	case NODE_NONE:
		buf_addz(w->out, "len < 0");
		return 0;
	case NODE_NOT:
		buf_addz(w->out, "not (");
		r = write_node(w, n->kids[0]);
		buf_addc(w->out, ')');
		return r;
	case NODE_AND:
	case NODE_OR:
		return write_all(w, n);
	case NODE_HAS:
		return cannot(w, n, "has no pcap form");
	case NODE_TEST:
		if (filter_fields[n->field].type == TYPE_FLAG)
			return write_flag(w, n);
		buf_addc(w->out, '(');
		for (unsigned i = 0; i < n->values_len && !r; i++) {
			buf_addz(w->out, i ? " or " : "");
			r = write_value(w, n, &n->values[i]);
		}
		buf_addc(w->out, ')');
		return r;
	}
	return -ENOTSUP;
}

int node_to_pcap(struct buf *out, const struct node *n, struct buf *why)
{
	struct writer w = {.out = out, .why = why};
	size_t from = out->n;
	int r;

	if (n->op == NODE_ALL) /* libpcap's own word for it is the empty text */
		return 0;
	r = write_node(&w, n);
	if (r)
		out->n = from;
	return r;
}
