/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and messages between weft-copiers: see relay.h. */
#include "copier/relay.h"

#include "chain/checksum.h"

enum { IP4 = 20, IP6 = 40, UDP = 8, TTL = 64, ASK_BYTES = 8, ANSWER_BYTES = 17 };

static uint32_t get(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get(p, 4) << 32 | get(p + 4, 4);
}

static uint8_t *put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	return p + bytes;
}

static bool read_part(struct relay_message *m, const uint8_t *p, size_t n)
{
	uint32_t offset, bytes;

	if (n <= RELAY_PART_HEAD)
		return false;
	m->id = get(p, 4);
	m->total = get(p + 4, 4);
	m->part = (uint16_t)get(p + 8, 2);
	m->parts = (uint16_t)get(p + 10, 2);
	if (m->parts < 2 || m->parts > RELAY_PARTS_MAX || m->part >= m->parts || m->total < m->parts ||
	    m->total > RELAY_COPY_MAX)
		return false;
	relay_part(m->total, m->parts, m->part, &offset, &bytes);
	m->bytes = p + RELAY_PART_HEAD;
	m->n = (uint32_t)(n - RELAY_PART_HEAD);
	return m->n == bytes;
}

bool relay_read(struct relay_message *out, const uint8_t *p, size_t n)
{
	struct relay_message m = {0};

	if (n < RELAY_HEAD || n > 65535)
		return false;
	m.kind = p[0];
	m.key = get64(p) & RELAY_KEY_BITS;
	p += RELAY_HEAD;
	n -= RELAY_HEAD;
	switch (p[-RELAY_HEAD]) {
	case RELAY_WHOLE:
		m.bytes = p;
		m.n = (uint32_t)n;
		if (n < RELAY_ETHERNET)
			return false;
		break;
	case RELAY_PART:
		if (!read_part(&m, p, n))
			return false;
		break;
	case RELAY_ASK:
	case RELAY_ANSWER:
		if (n != (m.kind == RELAY_ASK ? ASK_BYTES : ANSWER_BYTES))
			return false;
		m.cookie = get64(p);
		m.taking = m.kind == RELAY_ANSWER && p[8];
		m.arrived = m.kind == RELAY_ANSWER ? get64(p + 9) : 0;
		break;
	default:
		return false;
	}
	if (!m.key)
		return false;
	*out = m;
	return true;
}

static uint32_t heads(const struct relay_way *w)
{
	return (addr_is4(&w->from) ? IP4 : IP6) + UDP + RELAY_HEAD;
}

uint32_t relay_room(const struct relay_way *w, bool part)
{
	return w->mtu - heads(w) - (part ? RELAY_PART_HEAD : 0);
}

uint32_t relay_parts(const struct relay_way *w, uint32_t n)
{
	uint32_t room = relay_room(w, true), parts;

	if (n <= relay_room(w, false))
		return 1;
	parts = (n + room - 1) / room;
	return n > RELAY_COPY_MAX || parts > RELAY_PARTS_MAX ? 0 : parts < 2 ? 2 : parts;
}

void relay_part(uint32_t total, uint32_t parts, uint32_t part, uint32_t *offset, uint32_t *n)
{
	uint32_t each = (total + parts - 1) / parts, at = each * part;

	*offset = at < total ? at : total;
	*n = total - *offset < each ? total - *offset : each;
}

static uint8_t *put_message(const struct relay_message *m, uint8_t *p)
{
	p = put(p, (uint64_t)m->kind << 56 | (m->key & RELAY_KEY_BITS), 8);
	if (m->kind == RELAY_PART) {
		p = put(p, m->id, 4);
		p = put(p, m->total, 4);
		p = put(p, m->part, 2);
		p = put(p, m->parts, 2);
	}
	if (m->kind == RELAY_ASK || m->kind == RELAY_ANSWER)
		p = put(p, m->cookie, 8);
	if (m->kind == RELAY_ANSWER) {
		p = put(p, m->taking, 1);
		return put(p, m->arrived, 8);
	}
	if (m->n)
		memcpy(p, m->bytes, m->n);
	return p + m->n;
}

static void put_ip4(const struct relay_way *w, uint8_t *ip, uint32_t n, uint16_t ip_id)
{
	uint16_t sum;

	put(ip, 0x4500, 2);
	put(ip + 2, IP4 + n, 2);
	put(ip + 4, ip_id, 2);
	put(ip + 6, 0, 2);
	put(ip + 8, TTL << 8 | PROTO_UDP, 2);
	put(ip + 10, 0, 2);
	memcpy(ip + 12, w->from.b + 12, 4);
	memcpy(ip + 16, w->to.b + 12, 4);
	sum = (uint16_t)~sum_fold(sum_add(0, ip, IP4));
	memcpy(ip + 10, &sum, 2);
}

static void put_ip6(const struct relay_way *w, uint8_t *ip, uint32_t n)
{
	put(ip, 0x60000000, 4);
	put(ip + 4, n, 2);
	ip[6] = PROTO_UDP;
	ip[7] = TTL;
	memcpy(ip + 8, w->from.b, 16);
	memcpy(ip + 24, w->to.b, 16);
}

uint32_t relay_frame(const struct relay_way *w, const struct relay_message *m, uint32_t flow, uint16_t ip_id,
		     uint8_t *out)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	bool is4 = addr_is4(&w->from);
	uint8_t *ip = out + RELAY_ETHERNET, *udp = ip + (is4 ? IP4 : IP6);
	uint32_t n = (uint32_t)(put_message(m, udp + UDP) - udp);

	memcpy(out, macs, sizeof(macs));
	put(out + 12, is4 ? 0x0800 : 0x86dd, 2);
	put(udp, RELAY_FROM + flow % RELAY_FROM_N, 2);
	put(udp + 2, RELAY_PORT, 2);
	put(udp + 4, n, 2);
	put(udp + 6, 0, 2);
	if (is4) {
		put_ip4(w, ip, n, ip_id);
	} else {
		const struct layout l = {
		    .version = 6, .proto = PROTO_UDP, .l4 = IP6, .end = IP6 + n, .covered = IP6 + n};

		put_ip6(w, ip, n);
		checksum_transport(ip, &l);
	}
	return (uint32_t)(udp + n - out);
}
