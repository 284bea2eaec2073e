/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A DNS answer (RFC 1035, 4) in memory: its question as a key of BPF map name, then its answer section record
 * by record. Only bytes: it knows neither packets nor BPF maps, and compiles for user space too (test/fuzz).
 *
 * Of the answers only those are told that belong to the question: a record's owner must be the name asked
 * for, or the target of the CNAME records read so far, in the order of the message (as servers write them,
 * RFC 1034, 4.3.2, and stub resolvers read them). What is cut or contradicts itself ends the reading; records
 * told before stay told.
 */
#ifndef WEFT_BPF_DNS_H
#define WEFT_BPF_DNS_H

#include "bpf/types.h"
#include "seam/name.h"

#define DNS_HEAD      12
#define DNS_NAME_MAX  255 /* in the message, with its length bytes */
#define DNS_QUESTION  (DNS_HEAD + DNS_NAME_MAX + 4)
#define DNS_MAX	      4096    /* what lies behind is not read */
#define DNS_RECORDS   512     /* more than fit */
#define DNS_STEPS     512     /* to compare two names: bytes and jumps */
#define DNS_STEPS_ALL 8192    /* for all names of a message */
#define DNS_TTL_MAX   604800u /* RFC 8767, 4 */

#define DNS_TYPE_A     1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_AAAA  28
#define DNS_CLASS_IN   1

struct dns {
	__u32 len;     /* of msg */
	__u32 at;      /* where the next record begins */
	__u32 answers; /* records that the header promises */
	__u32 wanted;  /* where the name stands that the next record must have */
	__u32 ttl;     /* the least of the CNAME records so far */
	__u32 steps;   /* of comparing, so far */
	/* of the walk at hand */
	__u32 a, b, left;
	int same;
	/* of the record read last */
	struct addr16 addr;
	__u32 addr_ttl;
	struct name_key key; /* the name asked for */
	__u8 msg[DNS_MAX];
};

enum dns_record { DNS_END, DNS_OTHER, DNS_ADDRESS };

/* The byte at i; 0 behind the end, which callers exclude where that matters. */
ALWAYS_INLINE __u32 dns_byte(const struct dns *d, __u32 i)
{
	return i < d->len ? d->msg[i & (DNS_MAX - 1)] : 0;
}

ALWAYS_INLINE __u32 dns_word(const struct dns *d, __u32 i)
{
	return dns_byte(d, i) << 8 | dns_byte(d, i + 1);
}

ALWAYS_INLINE __u32 dns_lower(__u32 c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

ALWAYS_INLINE int dns_is_pointer(__u32 c)
{
	return (c & 0xc0) == 0xc0;
}

/* The end of the name at d->a, without following pointers. One label each time. */
static long dns_skip_label(__u32 i __attribute__((unused)), struct dns **ctx)
{
	struct dns *d = *ctx;
	__u32 c = dns_byte(d, d->a);

	if (d->a >= d->len || (c > 63 && !dns_is_pointer(c)))
		return 1;
	if (c && !dns_is_pointer(c)) {
		d->a += 1 + c;
		return 0;
	}
	d->a += c ? 2 : 1;
	d->same = 1;
	return 1;
}

/* The offset behind the name that begins at `off`; 0: it is none. */
ALWAYS_INLINE __u32 dns_skip(struct dns *d, __u32 off)
{
	d->a = off;
	d->same = 0;
	bpf_loop(DNS_NAME_MAX / 2 + 1, dns_skip_label, &d, 0);
	return d->same && d->a <= d->len ? d->a : 0;
}

/* A byte of the question's name goes to its place in the key, which is read from its end. A dot or 0 within a
 * label could not be told from the end of one. */
static long dns_letter(__u32 i, struct dns **ctx)
{
	struct dns *d = *ctx;
	__u32 c = dns_byte(d, DNS_HEAD + i);

	if (!d->left) {
		if (c > 63)
			return 1;
		d->left = c;
		c = '.';
	} else {
		d->left--;
		c = dns_lower(c);
		if (!c || c == '.')
			return 1;
	}
	d->key.text[(d->b - i) & (NAME_BYTES - 1)] = (__u8)c;
	d->same = i == d->b;
	return d->same != 0;
}

/* Reads header and question. 0: d->key is the name of a good answer; else it is none, or asks for the root.
 */
ALWAYS_INLINE int dns_question(struct dns *d)
{
	__u32 end;

	/* an answer to a standard query, without error, with one question */
	if (d->len < DNS_HEAD || (dns_byte(d, 2) & 0xf8) != 0x80 || (dns_byte(d, 3) & 0x0f) ||
	    dns_word(d, 4) != 1)
		return -1;
	end = dns_skip(d, DNS_HEAD);
	if (end < DNS_HEAD + 3 || end > DNS_HEAD + DNS_NAME_MAX || end + 4 > d->len ||
	    dns_word(d, end + 2) != DNS_CLASS_IN)
		return -1;
	d->b = end - DNS_HEAD - 2; /* where the text ends */
	d->left = 0;
	d->same = 0;
	bpf_loop(DNS_NAME_MAX, dns_letter, &d, 0);
	if (!d->same)
		return -1;
	d->key.text[d->b & (NAME_BYTES - 1)] = 0;
	d->key.prefixlen = NAME_BYTES * 8;
	d->at = end + 4;
	d->answers = dns_word(d, 6);
	d->wanted = DNS_HEAD;
	d->ttl = DNS_TTL_MAX;
	d->steps = 0;
	return 0;
}

/* Follows the pointer at `off`, which must lead back (RFC 1035, 4.1.4). Nonzero: it does not. */
ALWAYS_INLINE int dns_jump(struct dns *d, __u32 *off)
{
	__u32 to = dns_word(d, *off) & 0x3fff;

	if (to >= *off || *off + 2 > d->len)
		return 1;
	*off = to;
	return 0;
}

/* A label or jump further in the name at d->a; d->left counts its bytes. */
static long dns_walk(__u32 i __attribute__((unused)), struct dns **ctx)
{
	struct dns *d = *ctx;
	__u32 c = dns_byte(d, d->a);

	if (d->a >= d->len)
		return 1;
	if (dns_is_pointer(c))
		return dns_jump(d, &d->a);
	d->left += 1 + c;
	if (c > 63 || d->left > DNS_NAME_MAX)
		return 1;
	d->same = !c;
	d->a += 1 + c;
	return d->same != 0;
}

/* Is a whole name at `off`, pointers followed? */
ALWAYS_INLINE int dns_is_name(struct dns *d, __u32 off)
{
	d->a = off;
	d->left = 0;
	d->same = 0;
	bpf_loop(DNS_NAME_MAX, dns_walk, &d, 0);
	return d->same;
}

/* One byte or jump further in both names, d->a and d->b. */
static long dns_compare(__u32 i __attribute__((unused)), struct dns **ctx)
{
	struct dns *d = *ctx;
	__u32 a = dns_byte(d, d->a), b = dns_byte(d, d->b);

	if (d->a >= d->len || d->b >= d->len)
		return 1;
	if (!d->left) { /* where a label begins */
		if (d->a == d->b) {
			d->same = 1;
			return 1;
		}
		if (dns_is_pointer(a))
			return dns_jump(d, &d->a);
		if (dns_is_pointer(b))
			return dns_jump(d, &d->b);
		if (a != b || a > 63)
			return 1;
		d->same = !a;
		d->left = a;
	} else {
		if (dns_lower(a) != dns_lower(b))
			return 1;
		d->left--;
	}
	d->a++;
	d->b++;
	return d->same != 0;
}

/* Has the record at `owner` the name that is wanted? */
ALWAYS_INLINE int dns_is_wanted(struct dns *d, __u32 owner)
{
	d->a = owner;
	d->b = d->wanted;
	d->left = 0;
	d->same = 0;
	d->steps += (__u32)bpf_loop(DNS_STEPS, dns_compare, &d, 0);
	return d->same != 0;
}

/* RFC 2181, 8: with the highest bit it is 0. */
ALWAYS_INLINE __u32 dns_ttl(const struct dns *d, __u32 off)
{
	__u32 ttl = dns_word(d, off) << 16 | dns_word(d, off + 2);

	if (ttl >> 31)
		ttl = 0;
	return ttl < d->ttl ? ttl : d->ttl;
}

ALWAYS_INLINE void dns_address(struct dns *d, __u32 data, __u32 type)
{
	d->addr.w[0] = 0;
	d->addr.w[1] = 0;
	d->addr.w[2] = bpf_htonl(0xffff);
	for (__u32 i = 0; i < 16; i++) {
		if (type == DNS_TYPE_AAAA)
			d->addr.b[i] = (__u8)dns_byte(d, data + i);
		else if (i < 4)
			d->addr.b[12 + i] = (__u8)dns_byte(d, data + i);
	}
}

/* Reads the next record. DNS_ADDRESS: d->addr is an address of the name asked for, for d->addr_ttl seconds.
 */
ALWAYS_INLINE enum dns_record dns_next(struct dns *d)
{
	__u32 owner = d->at, head = dns_skip(d, owner), data = head + 10, type, len, ttl;

	if (!head || data > d->len || d->steps > DNS_STEPS_ALL)
		return DNS_END;
	type = dns_word(d, head);
	len = dns_word(d, head + 8);
	if (data + len > d->len)
		return DNS_END;
	d->at = data + len;
	if (dns_word(d, head + 2) != DNS_CLASS_IN ||
	    !(type == DNS_TYPE_CNAME || (type == DNS_TYPE_A && len == 4) ||
	      (type == DNS_TYPE_AAAA && len == 16)))
		return DNS_OTHER;
	if (!dns_is_wanted(d, owner))
		return DNS_OTHER;
	ttl = dns_ttl(d, head + 4);
	if (type != DNS_TYPE_CNAME) {
		d->addr_ttl = ttl;
		dns_address(d, data, type);
		return DNS_ADDRESS;
	}
	if (dns_skip(d, data) != data + len || !dns_is_name(d, data))
		return DNS_END;
	d->wanted = data;
	d->ttl = ttl;
	return DNS_OTHER;
}

#endif
