/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX messages: see ipfix.h. Numbers of information elements are those of IANA's registry. */
#include "observe/ipfix.h"

#include "base/own.h"

enum { VERSION = 10, HEADER = 16, SET_HEADER = 4, TEMPLATE_SET = 2, TEMPLATE_4 = 256, TEMPLATE_6 = 257 };
enum { STATUS_FORWARDED = 64, STATUS_DROPPED = 128 }; /* RFC 7270, section 4.12 */

struct field {
	uint16_t element, length;
};
static const struct field addresses[2][2] = {{{8, 4}, {12, 4}}, {{27, 16}, {28, 16}}};
static const struct field others[] = {
    {7, 2},   /* sourceTransportPort */
    {11, 2},  /* destinationTransportPort */
    {4, 1},   /* protocolIdentifier */
    {89, 1},  /* forwardingStatus */
    {1, 8},   /* octetDeltaCount */
    {2, 8},   /* packetDeltaCount */
    {152, 8}, /* flowStartMilliseconds */
    {153, 8}, /* flowEndMilliseconds */
};

static void put(struct ipfix *m, uint64_t v, unsigned bytes)
{
	while (bytes--)
		m->bytes[m->n++] = (uint8_t)(v >> (8 * bytes));
}

static void put_at(struct ipfix *m, size_t at, uint16_t v)
{
	m->bytes[at] = (uint8_t)(v >> 8);
	m->bytes[at + 1] = (uint8_t)v;
}

static size_t record_size(bool is6)
{
	size_t n = 2 * (is6 ? 16 : 4);

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		n += others[i].length;
	return n;
}

static void put_field(struct ipfix *m, const struct field *f)
{
	put(m, f->element, 2);
	put(m, f->length, 2);
}

static size_t data_at(void)
{
	return HEADER + SET_HEADER + 4 + 4 * (2 + ARRAY_LEN(others));
}

void ipfix_begin(struct ipfix *m, bool is6, uint32_t now)
{
	m->sequence += m->records;
	m->records = 0;
	m->is6 = is6;
	m->n = 0;
	put(m, VERSION, 2);
	put(m, 0, 2);
	put(m, now, 4);
	put(m, m->sequence, 4);
	put(m, m->domain, 4);
	put(m, TEMPLATE_SET, 2);
	put(m, data_at() - HEADER, 2);
	put(m, is6 ? TEMPLATE_6 : TEMPLATE_4, 2);
	put(m, 2 + ARRAY_LEN(others), 2);
	put_field(m, &addresses[is6][0]);
	put_field(m, &addresses[is6][1]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		put_field(m, &others[i]);
	put(m, is6 ? TEMPLATE_6 : TEMPLATE_4, 2);
	put(m, 0, 2);
}

static void put_address(struct ipfix *m, const struct addr *a)
{
	size_t n = m->is6 ? 16 : 4;

	memcpy(m->bytes + m->n, a->b + 16 - n, n);
	m->n += n;
}

bool ipfix_add(struct ipfix *m, const struct ipfix_record *r)
{
	if (m->is6 == addr_is4(&r->from) || m->n + record_size(m->is6) > IPFIX_MESSAGE_MAX)
		return false;
	put_address(m, &r->from);
	put_address(m, &r->to);
	put(m, r->from_port, 2);
	put(m, r->to_port, 2);
	put(m, r->proto, 1);
	put(m, r->dropped ? STATUS_DROPPED : STATUS_FORWARDED, 1);
	put(m, r->bytes, 8);
	put(m, r->packets, 8);
	put(m, r->first, 8);
	put(m, r->last, 8);
	m->records++;
	return true;
}

void ipfix_end(struct ipfix *m)
{
	put_at(m, 2, (uint16_t)m->n);
	put_at(m, data_at() + 2, (uint16_t)(m->n - data_at()));
}
