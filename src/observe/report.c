/* SPDX-License-Identifier: Apache-2.0 */
/* Records as bytes: see report.h. What is read is checked: the hub takes it from other machines. */
#include "observe/report.h"

#include <endian.h>
#include <errno.h>

#include "filter/reason.h"

enum { HEAD = 76, COUNT_AT = 68, WAITED_AT = 72, RECORD = 156, MORE = 22, FORM = 2 };
static const char magic[4] = {'W', 'F', 'R', FORM};

static void add16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	buf_add(b, &v, sizeof(v));
}

static void add32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_add(b, &v, sizeof(v));
}

static void add64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_add(b, &v, sizeof(v));
}

static uint8_t take8(struct str *s)
{
	uint8_t v = (uint8_t)*s->p;

	s->p++;
	s->n--;
	return v;
}

#define TAKE_NUMBER(bits)                                                                                    \
	static uint##bits##_t take##bits(struct str *s)                                                      \
	{                                                                                                    \
		uint##bits##_t v;                                                                            \
                                                                                                             \
		memcpy(&v, s->p, sizeof(v));                                                                 \
		s->p += sizeof(v);                                                                           \
		s->n -= sizeof(v);                                                                           \
		return le##bits##toh(v);                                                                     \
	}
TAKE_NUMBER(16)
TAKE_NUMBER(32)
TAKE_NUMBER(64)

static struct addr take_addr(struct str *s)
{
	struct addr a;

	memcpy(a.b, s->p, sizeof(a.b));
	s->p += sizeof(a.b);
	s->n -= sizeof(a.b);
	return a;
}

void report_begin(struct buf *out, const struct report *r)
{
	buf_add(out, magic, sizeof(magic));
	add32(out, r->epoch);
	add64(out, r->first);
	add64(out, r->ends);
	add64(out, r->lost);
	add64(out, r->taken_before);
	add64(out, r->untold);
	add64(out, r->evicted);
	add64(out, (uint64_t)r->at);
	add32(out, r->questions_lost);
	add32(out, r->count);
	add32(out, r->waited_ms);
}

void report_end(struct buf *out, uint32_t count)
{
	count = htole32(count);
	if (!out->failed && out->n >= HEAD)
		memcpy(out->p + COUNT_AT, &count, sizeof(count));
}

void report_waited(struct buf *out, uint64_t ms)
{
	uint32_t waited = htole32(ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms);

	if (!out->failed && out->n >= HEAD)
		memcpy(out->p + WAITED_AT, &waited, sizeof(waited));
}

/* A reason of the kernel's has a name behind all else, as its number means nothing elsewhere. */
static void add_reason(struct buf *out, struct str name)
{
	add16(out, (uint16_t)name.n);
	buf_adds(out, name);
}

static void take_reason(struct str *s, struct record *out)
{
	struct str name = *s;

	if (out->reason != REASON_KERNEL || s->n < sizeof(uint16_t))
		return;
	name.n = take16(s);
	name.p = s->p;
	if (name.n <= s->n)
		out->reason = reason_of_kernel(name, false);
}

void report_add(struct buf *out, const struct record *r)
{
	struct str dns = r->dns, reason = reason_kernel_name(r->reason);

	if (dns.n > REPORT_DNS_MAX)
		dns.n = REPORT_DNS_MAX;
	add16(out, (uint16_t)(RECORD + dns.n + MORE + (reason.n ? 2 + reason.n : 0)));
	buf_add(out, r->from.addr.b, 16);
	buf_add(out, r->to.addr.b, 16);
	buf_add(out, r->via.b, 16);
	add16(out, r->from.port);
	add16(out, r->to.port);
	add16(out, r->via_port);
	buf_addc(out, (char)r->kind);
	buf_addc(out, (char)r->proto);
	buf_addc(out, (char)r->verdict);
	buf_addc(out, (char)r->state);
	buf_addc(out, (char)r->ended);
	buf_addc(out, (char)r->dns_code);
	add16(out, reason.n ? REASON_KERNEL : r->reason);
	add16(out, r->dns_type);
	add32(out, r->cause);
	add32(out, r->rule_egress);
	add32(out, r->rule_ingress);
	for (unsigned i = 0; i < 2; i++) {
		add64(out, r->bytes[i]);
		add64(out, r->packets[i]);
	}
	add64(out, (uint64_t)r->first);
	add64(out, (uint64_t)r->last);
	add64(out, r->id);
	add32(out, r->epoch);
	add32(out, r->handshake_us);
	add64(out, 0); /* older hubs look for what is told by end now */
	add16(out, r->resets);
	add16(out, 0);
	add16(out, (uint16_t)dns.n);
	buf_adds(out, dns);
	for (unsigned i = 0; i < 2; i++) {
		add32(out, r->rtt_us[i]);
		add32(out, r->retransmits[i]);
		add16(out, r->zero_windows[i]);
	}
	buf_addc(out, (char)r->reset_by);
	buf_addc(out, (char)r->tcp_seen);
	if (reason.n)
		add_reason(out, reason);
}

int report_read(struct str *s, struct report *out)
{
	if (s->n < HEAD || memcmp(s->p, magic, 3))
		return -EINVAL;
	if (s->p[3] != FORM)
		return -EPROTO;
	s->p += sizeof(magic);
	s->n -= sizeof(magic);
	out->epoch = take32(s);
	out->first = take64(s);
	out->ends = take64(s);
	out->lost = take64(s);
	out->taken_before = take64(s);
	out->untold = take64(s);
	out->evicted = take64(s);
	out->at = (int64_t)take64(s);
	out->questions_lost = take32(s);
	out->count = take32(s);
	out->waited_ms = take32(s);
	return out->count > REPORT_RECORDS_MAX ? -EINVAL : 0;
}

/* What records of older nodes do not have. */
static void take_more(struct str s, struct record *out)
{
	for (unsigned i = 0; i < 2; i++) {
		out->rtt_us[i] = take32(&s);
		out->retransmits[i] = take32(&s);
		out->zero_windows[i] = take16(&s);
	}
	out->reset_by = take8(&s) & SEEN_BOTH;
	out->tcp_seen = take8(&s) & SEEN_BOTH;
}

static int take_record(struct str s, struct record *out)
{
	out->from.addr = take_addr(&s);
	out->to.addr = take_addr(&s);
	out->via = take_addr(&s);
	out->from.port = take16(&s);
	out->to.port = take16(&s);
	out->via_port = take16(&s);
	out->kind = take8(&s);
	out->proto = take8(&s);
	out->verdict = take8(&s);
	out->state = take8(&s);
	out->ended = take8(&s);
	out->dns_code = take8(&s);
	out->reason = take16(&s);
	out->dns_type = take16(&s);
	out->cause = take32(&s);
	out->rule_egress = take32(&s);
	out->rule_ingress = take32(&s);
	for (unsigned i = 0; i < 2; i++) {
		out->bytes[i] = take64(&s);
		out->packets[i] = take64(&s);
	}
	out->first = (int64_t)take64(&s);
	out->last = (int64_t)take64(&s);
	out->id = take64(&s);
	out->epoch = take32(&s);
	out->handshake_us = take32(&s);
	take64(&s);
	out->resets = take16(&s);
	take16(&s);
	out->dns.n = take16(&s);
	out->dns.p = s.p;
	if (out->dns.n > s.n || out->dns.n > REPORT_DNS_MAX || out->kind > RECORD_DNS ||
	    out->verdict > VERDICT_STAGED || out->state > STATE_CUT || out->last < out->first)
		return -EINVAL;
	s.p += out->dns.n;
	s.n -= out->dns.n;
	if (s.n < MORE)
		return 0;
	take_more(s, out);
	s.p += MORE;
	s.n -= MORE;
	take_reason(&s, out);
	return 0;
}

int report_next(struct str *s, struct record *out)
{
	struct str one;
	uint16_t n;
	int r;

	*out = (struct record){};
	if (s->n < sizeof(n))
		return -EINVAL;
	one = *s;
	n = take16(&one);
	if (n < RECORD || n > s->n)
		return -EINVAL;
	one.n = n - sizeof(n);
	r = take_record(one, out);
	s->p += n;
	s->n -= n;
	return r;
}
