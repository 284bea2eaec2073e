/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX messages: see ipfix.h. Numbers of information elements are those of IANA's registry. */
#include "observe/ipfix.h"

#include "base/own.h"

enum { VERSION = 10, HEADER = 16, SET_HEADER = 4, TEMPLATE_SET = 2, OPTIONS_SET = 3 };
enum { TEMPLATE_4 = 256, TEMPLATE_6, TEMPLATE_STATISTICS, TEMPLATE_DOMAIN };
enum { STATUS_FORWARDED = 64, STATUS_DROPPED = 128 }; /* RFC 7270, section 4.12 */
enum { REVERSE_PEN = 29305 };			      /* RFC 5103, section 6.1 */
enum { ENTERPRISE = 0x8000, VARIABLE = 0xffff, INITIATOR = 1, DOMAIN_NAME_MAX = 253 };

struct field {
	uint16_t element, length;
};
static const struct field addresses[2][2] = {{{8, 4}, {12, 4}}, {{27, 16}, {28, 16}}};
static const struct field fields[] = {
    {7, 2},   /* sourceTransportPort */
    {11, 2},  /* destinationTransportPort */
    {4, 1},   /* protocolIdentifier */
    {89, 1},  /* forwardingStatus */
    {136, 1}, /* flowEndReason */
    {1, 8},   /* octetDeltaCount */
    {2, 8},   /* packetDeltaCount */
    {152, 8}, /* flowStartMilliseconds */
    {153, 8}, /* flowEndMilliseconds */
    {148, 8}, /* flowId */
};
static const struct field reverse[] = {{1, 8}, {2, 8}}; /* of REVERSE_PEN; then biflowDirection */
static const struct field direction = {239, 1};
static const struct field place[] = {
    {61, 1},	    /* flowDirection */
    {58, 2},	    /* vlanId */
    {10, 4},	    /* ingressInterface */
    {14, 4},	    /* egressInterface */
    {82, VARIABLE}, /* interfaceName */
};
static const struct field statistics[] = {
    {144, 4}, /* exportingProcessId, the scope */
    {40, 8},  /* exportedOctetTotalCount */
    {41, 8},  /* exportedMessageTotalCount */
    {42, 8},  /* exportedFlowRecordTotalCount */
    {166, 8}, /* notSentFlowTotalCount */
};
static const struct field domain_name[] = {
    {149, 4},	     /* observationDomainId, the scope */
    {300, VARIABLE}, /* observationDomainName */
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

static void close_set(struct ipfix *m)
{
	if (m->set_at)
		put_at(m, m->set_at + 2, (uint16_t)(m->n - m->set_at));
	m->set_at = 0;
}

static void open_set(struct ipfix *m, uint16_t id)
{
	close_set(m);
	m->set_at = m->n;
	put(m, id, 2);
	put(m, 0, 2);
}

static uint16_t open_id(const struct ipfix *m)
{
	unsigned id = m->set_at ? (unsigned)m->bytes[m->set_at] << 8 | m->bytes[m->set_at + 1] : 0;

	return (uint16_t)id;
}

void ipfix_begin(struct ipfix *m, uint32_t now)
{
	m->records = 0;
	m->n = m->set_at = 0;
	put(m, VERSION, 2);
	put(m, 0, 2);
	put(m, now, 4);
	put(m, m->sequence, 4);
	put(m, m->domain, 4);
}

void ipfix_end(struct ipfix *m)
{
	close_set(m);
	put_at(m, 2, (uint16_t)m->n);
}

void ipfix_set_time(uint8_t *message, uint32_t now)
{
	for (unsigned i = 0; i < 4; i++)
		message[4 + i] = (uint8_t)(now >> (8 * (3 - i)));
}

/* --- templates ------------------------------------------------------------------------------------- */

static void put_field(struct ipfix *m, const struct field *f)
{
	put(m, f->element, 2);
	put(m, f->length, 2);
}

static void put_foreign(struct ipfix *m, unsigned element, unsigned length, uint32_t pen)
{
	put(m, ENTERPRISE | element, 2);
	put(m, length, 2);
	put(m, pen, 4);
}

static void put_template(struct ipfix *m, bool is6)
{
	size_t count = 2 + ARRAY_LEN(fields) + (m->both_ways ? ARRAY_LEN(reverse) + 1 : 0) +
		       (m->pen ? IPFIX_NAMES : 0) + (m->place ? ARRAY_LEN(place) : 0);

	put(m, is6 ? TEMPLATE_6 : TEMPLATE_4, 2);
	put(m, count, 2);
	put_field(m, &addresses[is6][0]);
	put_field(m, &addresses[is6][1]);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		put_field(m, &fields[i]);
	for (size_t i = 0; m->both_ways && i < ARRAY_LEN(reverse); i++)
		put_foreign(m, reverse[i].element, reverse[i].length, REVERSE_PEN);
	if (m->both_ways)
		put_field(m, &direction);
	for (unsigned i = 0; m->pen && i < IPFIX_NAMES; i++)
		put_foreign(m, i + 1, VARIABLE, m->pen);
	for (size_t i = 0; m->place && i < ARRAY_LEN(place); i++)
		put_field(m, &place[i]);
}

void ipfix_add_templates(struct ipfix *m)
{
	open_set(m, TEMPLATE_SET);
	put_template(m, false);
	put_template(m, true);
	close_set(m);
}

static void put_options(struct ipfix *m, uint16_t id, const struct field *list, size_t n)
{
	put(m, id, 2);
	put(m, n, 2);
	put(m, 1, 2); /* the first is the scope */
	for (size_t i = 0; i < n; i++)
		put_field(m, &list[i]);
}

/* --- records --------------------------------------------------------------------------------------- */

static size_t name_size(const struct ipfix *m, struct str s)
{
	size_t most = m->room < IPFIX_MESSAGE_MAX ? IPFIX_NAME_MAX : IPFIX_NAME_MAX * 2;

	return s.n < most ? s.n : most;
}

static size_t record_size(const struct ipfix *m, const struct ipfix_record *r, bool is6)
{
	size_t n = is6 ? 32 : 8;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		n += fields[i].length;
	for (size_t i = 0; m->both_ways && i < ARRAY_LEN(reverse); i++)
		n += reverse[i].length;
	n += m->both_ways ? direction.length : 0;
	for (unsigned i = 0; m->pen && i < IPFIX_NAMES; i++)
		n += 1 + name_size(m, r->names[i]);
	for (size_t i = 0; m->place && i < ARRAY_LEN(place); i++)
		n += place[i].length == VARIABLE ? 1 + name_size(m, r->place) : place[i].length;
	return n;
}

static void put_bytes(struct ipfix *m, const void *p, size_t n)
{
	if (n)
		memcpy(m->bytes + m->n, p, n);
	m->n += n;
}

static void put_address(struct ipfix *m, const struct addr *a, bool is6)
{
	size_t n = is6 ? 16 : 4;

	put_bytes(m, a->b + 16 - n, n);
}

static void put_place(struct ipfix *m, const struct ipfix_record *r)
{
	size_t n = name_size(m, r->place);

	put(m, r->out, 1);
	put(m, r->vlan, 2);
	put(m, r->out ? 0 : r->interface, 4);
	put(m, r->out ? r->interface : 0, 4);
	put(m, n, 1);
	put_bytes(m, r->place.p, n);
}

bool ipfix_add(struct ipfix *m, const struct ipfix_record *r)
{
	bool is6 = !addr_is4(&r->from);
	uint16_t id = is6 ? TEMPLATE_6 : TEMPLATE_4;

	if (m->n + (size_t)(open_id(m) != id ? SET_HEADER : 0) + record_size(m, r, is6) > m->room)
		return false;
	if (open_id(m) != id)
		open_set(m, id);
	put_address(m, &r->from, is6);
	put_address(m, &r->to, is6);
	put(m, r->from_port, 2);
	put(m, r->to_port, 2);
	put(m, r->proto, 1);
	put(m, r->status ? r->status : r->dropped ? STATUS_DROPPED : STATUS_FORWARDED, 1);
	put(m, r->end_reason, 1);
	put(m, r->bytes[0], 8);
	put(m, r->packets[0], 8);
	put(m, r->first, 8);
	put(m, r->last, 8);
	put(m, r->id, 8);
	if (m->both_ways) {
		put(m, r->bytes[1], 8);
		put(m, r->packets[1], 8);
		put(m, INITIATOR, 1);
	}
	for (unsigned i = 0; m->pen && i < IPFIX_NAMES; i++) {
		size_t n = name_size(m, r->names[i]);

		put(m, n, 1);
		put_bytes(m, r->names[i].p, n);
	}
	if (m->place)
		put_place(m, r);
	m->records++;
	return true;
}

void ipfix_add_statistics(struct ipfix *m, const struct ipfix_statistics *s)
{
	open_set(m, OPTIONS_SET);
	put_options(m, TEMPLATE_STATISTICS, statistics, ARRAY_LEN(statistics));
	put_options(m, TEMPLATE_DOMAIN, domain_name, ARRAY_LEN(domain_name));
	open_set(m, TEMPLATE_STATISTICS);
	put(m, 1, 4);
	put(m, s->bytes, 8);
	put(m, s->messages, 8);
	put(m, s->records, 8);
	put(m, s->not_sent, 8);
	m->records++;
}

bool ipfix_add_domain(struct ipfix *m, uint32_t domain, struct str name)
{
	size_t n = name.n < DOMAIN_NAME_MAX ? name.n : DOMAIN_NAME_MAX;

	if (m->n + SET_HEADER + 5 + n > m->room)
		return false;
	if (open_id(m) != TEMPLATE_DOMAIN)
		open_set(m, TEMPLATE_DOMAIN);
	put(m, domain, 4);
	put(m, n, 1);
	put_bytes(m, name.p, n);
	m->records++;
	return true;
}
