/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcap → native: the primitives that have a native twin (pcap-filter(7)): protocols, host, net, port,
 * portrange with direction, ether host and proto, less, greater; and, or (of equal rank, from the left), not.
 * A bare id inherits the qualifiers before it. The text was already taken by libpcap.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/own.h"
#include "filter/node.h"

enum direction { DIR_EITHER, DIR_SRC, DIR_DST, DIR_BOTH };
struct quals {
	struct str proto, type; /* "" where not given */
	enum direction dir;
};

struct reader {
	struct arena *arena;
	struct str text;
	size_t next;
	struct str word; /* the token; .n = 0: the end */
	struct quals last;
	struct buf *why;
	unsigned depth;
};

static void *cannot(struct reader *r, struct str term, const char *reason)
{
	if (!r->why->n)
		buf_printf(r->why, "\"" STR_FMT "\" %s", STR_ARG(term), reason);
	return NULL;
}

static void advance(struct reader *r)
{
	const char *s = r->text.p;
	size_t i = r->next, from;

	while (i < r->text.n && isspace((unsigned char)s[i]))
		i++;
	from = i;
	if (i < r->text.n && (isalnum((unsigned char)s[i]) || s[i] == '\\' || s[i] == ':')) {
		while (i < r->text.n && (isalnum((unsigned char)s[i]) || strchr(".:-_/\\", s[i])))
			i++;
	} else if (i < r->text.n) {
		i += i + 1 < r->text.n && (s[i] == '&' || s[i] == '|') && s[i + 1] == s[i] ? 2 : 1;
	}
	r->word = (struct str){s + from, i - from};
	r->next = i;
}

static bool is(const struct reader *r, const char *word)
{
	return r->word.n && str_eqz(r->word, word);
}

static bool is_and(const struct reader *r)
{
	return is(r, "and") || is(r, "&&");
}

static bool is_or(const struct reader *r)
{
	return is(r, "or") || is(r, "||");
}

static bool one_of(struct str w, const char *const *list)
{
	for (; *list; list++)
		if (str_eqz(w, *list))
			return true;
	return false;
}

static const char *const protos[] = {"ether", "ip",   "ip6",  "arp",   "tcp",
				     "udp",   "sctp", "icmp", "icmp6", NULL};
static const char *const types[] = {"host", "net", "port", "portrange", "proto", NULL};

static struct node *flag(struct reader *r, enum field_id f)
{
	return node_test(r->arena, f, SIDE_EITHER, NULL);
}

static struct node *numbers(struct reader *r, enum field_id f, enum side side, uint64_t lo, uint64_t hi)
{
	struct value v = {.lo = lo, .hi = hi};

	return node_test(r->arena, f, side, &v);
}

static struct node *both(struct reader *r, struct node *a, struct node *b)
{
	return node_join(r->arena, NODE_AND, a, b);
}

/* A protocol that stands alone, or before a port. */
static struct node *protocol(struct reader *r, struct str p)
{
	if (str_eqz(p, "ip"))
		return flag(r, FIELD_IP4);
	if (str_eqz(p, "ip6"))
		return flag(r, FIELD_IP6);
	if (str_eqz(p, "arp"))
		return flag(r, FIELD_ARP);
	if (str_eqz(p, "tcp"))
		return flag(r, FIELD_TCP);
	if (str_eqz(p, "udp"))
		return flag(r, FIELD_UDP);
	if (str_eqz(p, "sctp"))
		return flag(r, FIELD_SCTP);
	if (str_eqz(p, "icmp"))
		return both(r, flag(r, FIELD_IP4), numbers(r, FIELD_PROTO, SIDE_EITHER, 1, 1));
	if (str_eqz(p, "icmp6"))
		return both(r, flag(r, FIELD_IP6), numbers(r, FIELD_PROTO, SIDE_EITHER, 58, 58));
	return cannot(r, p, "has no native form");
}

/* The test on the sides that the direction means. */
static struct node *directed(struct reader *r, enum direction d, enum field_id f, const struct value *v)
{
	if (d == DIR_BOTH)
		return both(r, node_test(r->arena, f, SIDE_SRC, v), node_test(r->arena, f, SIDE_DST, v));
	return node_test(r->arena, f, d == DIR_SRC ? SIDE_SRC : d == DIR_DST ? SIDE_DST : SIDE_EITHER, v);
}

/* "10", "10.1", "10.1.2": networks by their first octets. */
static int short_net(struct str id, struct prefix *p)
{
	char text[32];
	unsigned dots = 0;

	for (size_t i = 0; i < id.n; i++) {
		if (!isdigit((unsigned char)id.p[i]) && id.p[i] != '.')
			return -EINVAL;
		dots += id.p[i] == '.';
	}
	if (dots > 2 || id.n > 11)
		return -EINVAL;
	int n = snprintf(text, sizeof(text), STR_FMT "%s/%u", STR_ARG(id),
			 dots == 0   ? ".0.0.0"
			 : dots == 1 ? ".0.0"
				     : ".0",
			 8 * (dots + 1));

	return prefix_parse((struct str){text, (size_t)n}, p);
}

static struct node *addresses(struct reader *r, const struct quals *q, struct str id)
{
	struct prefix p;
	struct value v = {};
	struct node *n;

	if (!addr_parse(id, &p.addr))
		p.len = 128;
	else if (prefix_parse(id, &p) && (str_eqz(q->type, "host") || short_net(id, &p)))
		return cannot(r, id, "has no native form");
	v.from = v.to = p.addr;
	for (unsigned i = p.len; i < 128; i++)
		v.to.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	n = directed(r, q->dir, FIELD_IP, &v);
	return q->proto.n ? both(r, protocol(r, q->proto), n) : n;
}

static struct node *ports(struct reader *r, const struct quals *q, struct str id)
{
	struct str high = id, low = str_eqz(q->type, "portrange") ? str_cut(&high, '-') : id;
	struct value v = {};
	int64_t lo, hi;
	struct node *n;

	if (!high.n)
		high = low;
	if (str_to_i64(low, 0, 65535, &lo) || str_to_i64(high, 0, 65535, &hi))
		return cannot(r, id, "is a port by name; write its number");
	v.lo = (uint64_t)(lo < hi ? lo : hi);
	v.hi = (uint64_t)(lo < hi ? hi : lo);
	n = directed(r, q->dir, FIELD_PORT, &v);
	return q->proto.n ? both(r, protocol(r, q->proto), n) : n;
}

static struct node *by_number(struct reader *r, const struct quals *q, struct str id)
{
	bool ether = str_eqz(q->proto, "ether");
	enum field_id f = ether ? FIELD_ETH_TYPE : FIELD_PROTO;
	struct value v;
	const char *why;

	if (id.n && id.p[0] == '\\')
		id = (struct str){id.p + 1, id.n - 1};
	if (ether && str_eqz(id, "ip"))
		id = STR("ip4");
	if (value_parse(&v, f, id, r->arena, &why))
		return cannot(r, id, "has no native form");
	if (ether)
		return node_test(r->arena, f, SIDE_EITHER, &v);
	return q->proto.n ? both(r, protocol(r, q->proto), node_test(r->arena, f, SIDE_EITHER, &v))
			  : node_test(r->arena, f, SIDE_EITHER, &v);
}

static struct node *primitive(struct reader *r, const struct quals *q, struct str id)
{
	struct value v;
	const char *why;

	if (str_eqz(q->type, "port") || str_eqz(q->type, "portrange"))
		return ports(r, q, id);
	if (str_eqz(q->type, "proto"))
		return by_number(r, q, id);
	if (str_eqz(q->proto, "ether")) {
		if (value_parse(&v, FIELD_MAC, id, r->arena, &why))
			return cannot(r, id, "has no native form");
		return directed(r, q->dir, FIELD_MAC, &v);
	}
	if (q->proto.n && !str_eqz(q->proto, "ip") && !str_eqz(q->proto, "ip6"))
		return cannot(r, q->proto, "has no native form here");
	return addresses(r, q, id);
}

static struct node *bound(struct reader *r, bool less)
{
	int64_t n;

	advance(r);
	if (str_to_i64(r->word, 0, UINT32_MAX, &n))
		return cannot(r, r->word, "has no native form");
	advance(r);
	return less ? numbers(r, FIELD_LEN, SIDE_EITHER, 0, (uint64_t)n)
		    : numbers(r, FIELD_LEN, SIDE_EITHER, (uint64_t)n, filter_field_top(FIELD_LEN));
}

static bool direction(struct reader *r, struct quals *q)
{
	bool src = is(r, "src");
	size_t next = r->next;
	struct str word = r->word;
	bool and_;

	if (!src && !is(r, "dst"))
		return false;
	q->dir = src ? DIR_SRC : DIR_DST;
	advance(r);
	if (!is(r, "or") && !is(r, "and"))
		return true;
	and_ = is(r, "and");
	advance(r);
	if (is(r, src ? "dst" : "src")) {
		q->dir = and_ ? DIR_BOTH : DIR_EITHER;
		advance(r);
	} else { /* `src` was the whole: cannot be, but go back and let the id fail */
		r->next = next;
		r->word = word;
		advance(r);
	}
	return true;
}

static struct node *expression(struct reader *r);

static struct node *term(struct reader *r)
{
	struct quals q = {};
	struct str id;
	bool any = false;

	if (r->depth > FILTER_DEPTH_MAX)
		return cannot(r, r->word, "is nested too deeply");
	if (is(r, "not") || is(r, "!")) {
		struct node *n;

		advance(r);
		r->depth++;
		n = term(r);
		r->depth--;
		return node_not(r->arena, n);
	}
	if (is(r, "(")) {
		struct node *n;

		advance(r);
		r->depth++;
		n = expression(r);
		r->depth--;
		if (!n || !is(r, ")"))
			return n ? cannot(r, r->word, "has no native form") : NULL;
		advance(r);
		return n;
	}
	if (is(r, "less") || is(r, "greater"))
		return bound(r, is(r, "less"));
	if (one_of(r->word, protos)) {
		q.proto = r->word;
		any = true;
		advance(r);
	}
	any = direction(r, &q) || any;
	if (one_of(r->word, types)) {
		q.type = r->word;
		any = true;
		advance(r);
	}
	if (!r->word.n || is_and(r) || is_or(r) || is(r, ")")) {
		if (q.proto.n && !q.type.n && !q.dir)
			return protocol(r, q.proto);
		return cannot(r, r->word, "has no native form");
	}
	id = r->word;
	if (!isalnum((unsigned char)id.p[0]) && id.p[0] != ':' && id.p[0] != '\\')
		return cannot(r, id, "has no native form");
	advance(r);
	if (is(r, "mask"))
		return cannot(r, r->word, "has no native form; write a prefix length");
	if (any)
		r->last = q;
	else
		q = r->last;
	return primitive(r, &q, id);
}

static struct node *expression(struct reader *r)
{
	struct node *n = term(r);

	while (n && (is_and(r) || is_or(r))) {
		enum node_op op = is_and(r) ? NODE_AND : NODE_OR;

		advance(r);
		n = node_join(r->arena, op, n, term(r));
	}
	return n;
}

struct node *node_from_pcap(struct arena *a, struct str text, struct buf *why)
{
	struct reader r = {.arena = a, .text = text, .why = why};
	struct node *n;

	advance(&r);
	if (!r.word.n)
		return node_new(a, NODE_ALL);
	n = expression(&r);
	if (n && r.word.n)
		return cannot(&r, r.word, "has no native form");
	return n;
}
