/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter as the kernel takes it (seam/filter.h): steps over a packet's headers, made from the tree, or the
 * classic BPF of a pcap expression. Steps are made from the last to the first, so that each knows where it
 * leads. Pure.
 */
#include <errno.h>

#include "base/own.h"
#include "filter/maker.h"

static uint16_t add(struct maker *m, struct filter_step s)
{
	if (m->n < FILTER_STEPS_MAX)
		m->steps[m->n] = s;
	return (uint16_t)m->n++;
}

uint16_t make_bits(struct maker *m, enum filter_slot slot, uint64_t bits, uint16_t yes, uint16_t no)
{
	return add(
	    m, (struct filter_step){.op = STEP_BITS, .slot = (__u8)slot, .lo = {bits}, .yes = yes, .no = no});
}

static uint16_t add_range(struct maker *m, enum filter_slot slot, uint64_t lo, uint64_t hi, uint16_t yes,
			  uint16_t no)
{
	return add(m,
		   (struct filter_step){
		       .op = STEP_RANGE, .slot = (__u8)slot, .lo = {lo}, .hi = {hi}, .yes = yes, .no = no});
}

static void halves(const struct addr *a, __u64 out[2])
{
	for (int i = 0; i < 2; i++) {
		out[i] = 0;
		for (int k = 0; k < 8; k++)
			out[i] = out[i] << 8 | a->b[8 * i + k];
	}
}

static uint16_t add_address(struct maker *m, enum side side, const struct value *v, uint16_t yes, uint16_t no)
{
	struct filter_step s = {.op = STEP_ADDRESS, .slot = side == SIDE_DST ? SLOT_DST : SLOT_SRC};

	halves(&v->from, s.lo);
	halves(&v->to, s.hi);
	s.yes = yes;
	s.no = no;
	return add(m, s);
}

enum filter_slot make_slot(enum field_id f, enum side side, unsigned *has)
{
	static const struct {
		enum field_id field;
		uint8_t src, dst;
		uint16_t has;
	} slots[] = {{FIELD_PORT, SLOT_SPORT, SLOT_DPORT, HAS_PORTS},
		     {FIELD_MAC, SLOT_SMAC, SLOT_DMAC, HAS_ETH},
		     {FIELD_IP, SLOT_SRC, SLOT_DST, HAS_IP},
		     {FIELD_PROTO, SLOT_PROTO, SLOT_PROTO, HAS_IP},
		     {FIELD_LEN, SLOT_LEN, SLOT_LEN, 0},
		     {FIELD_ETH_TYPE, SLOT_ETHERTYPE, SLOT_ETHERTYPE, HAS_ETHERTYPE},
		     {FIELD_VLAN_ID, SLOT_VLAN_ID, SLOT_VLAN_ID, HAS_VLAN},
		     {FIELD_VLAN_PCP, SLOT_VLAN_PCP, SLOT_VLAN_PCP, HAS_VLAN},
		     {FIELD_VLAN_INNER_ID, SLOT_VLAN2_ID, SLOT_VLAN2_ID, HAS_VLAN2},
		     {FIELD_TTL, SLOT_TTL, SLOT_TTL, HAS_IP},
		     {FIELD_DSCP, SLOT_DSCP, SLOT_DSCP, HAS_IP},
		     {FIELD_TCP_FLAGS, SLOT_TCP_FLAGS, SLOT_TCP_FLAGS, HAS_TCP},
		     {FIELD_ICMP_TYPE, SLOT_ICMP_TYPE, SLOT_ICMP_TYPE, HAS_ICMP},
		     {FIELD_ICMP_CODE, SLOT_ICMP_CODE, SLOT_ICMP_CODE, HAS_ICMP}};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (slots[i].field == f) {
			*has = slots[i].has;
			return side == SIDE_DST ? slots[i].dst : slots[i].src;
		}
	return SLOT_COUNT;
}

uint16_t make_between(struct maker *m, const struct dimension *d, struct number from, struct number to,
		      uint16_t yes, uint16_t no)
{
	unsigned has;
	enum filter_slot slot = make_slot(d->field, d->side, &has);

	if (d->field != FIELD_IP)
		return add_range(m, slot, from.low, to.low, yes, no);
	return add(m, (struct filter_step){.op = STEP_ADDRESS,
					   .slot = (__u8)slot,
					   .lo = {from.high, from.low},
					   .hi = {to.high, to.low},
					   .yes = yes,
					   .no = no});
}

static const struct value four = {.from = {{[10] = 0xff, [11] = 0xff}},
				  .to = {{[10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};

/* Of sorted values that do not overlap: halved until few are left. */
static uint16_t search_addresses(struct maker *m, enum side side, const struct value *const *v, unsigned n,
				 uint16_t yes, uint16_t no)
{
	struct value lower = {0};
	uint16_t left, right;

	if (n <= MAKER_FEW) {
		for (unsigned i = n; i--;)
			no = add_address(m, side, v[i], yes, no);
		return no;
	}
	lower.to = v[n / 2 - 1]->to;
	right = search_addresses(m, side, v + n / 2, n - n / 2, yes, no);
	left = search_addresses(m, side, v, n / 2, yes, no);
	return add_address(m, side, &lower, left, right);
}

static uint16_t search_numbers(struct maker *m, enum filter_slot slot, const struct value *v, unsigned n,
			       uint16_t yes, uint16_t no)
{
	uint16_t left, right;

	if (n <= MAKER_FEW) {
		for (unsigned i = n; i--;)
			no = add_range(m, slot, v[i].lo, v[i].hi, yes, no);
		return no;
	}
	right = search_numbers(m, slot, v + n / 2, n - n / 2, yes, no);
	left = search_numbers(m, slot, v, n / 2, yes, no);
	return add_range(m, slot, 0, v[n / 2 - 1].hi, left, right);
}

static uint16_t make_addresses(struct maker *m, const struct node *n, enum side side, bool is4, uint16_t yes,
			       uint16_t no)
{
	const struct value **list = calloc((size_t)n->values_len + 1, sizeof(struct value *));
	unsigned len = 0;

	if (!list) {
		m->no_memory = true;
		return no;
	}
	for (unsigned i = 0; i < n->values_len; i++)
		if (addr_is4(&n->values[i].from) == is4)
			list[len++] = &n->values[i];
	no = search_addresses(m, side, list, len, yes, no);
	free(list);
	return no;
}

/* IPv6 ranges never hold IPv4 addresses, though those stand among them: they are told apart first. */
static uint16_t make_address(struct maker *m, const struct node *n, enum side side, uint16_t yes, uint16_t no)
{
	uint16_t six = make_addresses(m, n, side, false, yes, no),
		 ip4 = make_addresses(m, n, side, true, yes, no);

	return six == no ? ip4 : add_address(m, side, &four, ip4, six);
}

static uint16_t make_side(struct maker *m, const struct node *n, enum side side, uint16_t yes, uint16_t no)
{
	unsigned has = 0;
	enum filter_slot slot = make_slot(n->field, side, &has);
	uint64_t top = filter_field_top(n->field);
	uint16_t to = no;

	if (n->op == NODE_HAS)
		to = yes;
	else if (filter_fields[n->field].type == TYPE_ADDRESS)
		to = make_address(m, n, side, yes, no);
	else if (n->values_len && !n->values[0].lo && n->values[0].hi >= top)
		to = yes;
	else
		to = search_numbers(m, slot, n->values, n->values_len, yes, no);
	return has ? make_bits(m, SLOT_HAS, has, to, no) : to;
}

/* A protocol of IP. */
static uint16_t make_proto(struct maker *m, uint64_t proto, uint16_t yes, uint16_t no)
{
	return make_bits(m, SLOT_HAS, HAS_IP, add_range(m, SLOT_PROTO, proto, proto, yes, no), no);
}

static uint16_t make_flag(struct maker *m, enum field_id f, uint16_t yes, uint16_t no)
{
	uint16_t to;

	switch (f) {
	case FIELD_TCP:
		return make_proto(m, 6, yes, no);
	case FIELD_UDP:
		return make_proto(m, 17, yes, no);
	case FIELD_SCTP:
		return make_proto(m, 132, yes, no);
	case FIELD_ICMP:
		to = add_range(m, SLOT_PROTO, 58, 58, yes, no);
		to = add_range(m, SLOT_PROTO, 1, 1, yes, to);
		return make_bits(m, SLOT_HAS, HAS_IP, to, no);
	case FIELD_ARP:
		return make_bits(m, SLOT_HAS, HAS_ARP, yes, no);
	case FIELD_IP4:
	case FIELD_IP6:
		to = f == FIELD_IP4 ? 0x0800 : 0x86dd;
		to = add_range(m, SLOT_ETHERTYPE, to, to, yes, no);
		return make_bits(m, SLOT_HAS, HAS_IP, to, no);
	case FIELD_VLAN:
		return make_bits(m, SLOT_HAS, HAS_VLAN, yes, no);
	case FIELD_FRAGMENT:
		return make_bits(m, SLOT_HAS, HAS_FRAGMENT, yes, no);
	default: /* FIELD_TCP_FIN… in the order of their bits */
		to = make_bits(m, SLOT_TCP_FLAGS, 1u << (f - FIELD_TCP_FIN), yes, no);
		return make_bits(m, SLOT_HAS, HAS_TCP, to, no);
	}
}

uint16_t make_node(struct maker *m, const struct node *n, uint16_t yes, uint16_t no)
{
	switch (n->op) {
	case NODE_ALL:
		return yes;
	case NODE_NONE:
		return no;
	case NODE_NOT:
		return make_node(m, n->kids[0], no, yes);
	case NODE_AND:
		for (unsigned i = n->kids_len; i-- && m->n <= FILTER_STEPS_MAX;)
			yes = make_node(m, n->kids[i], yes, no);
		return yes;
	case NODE_OR:
		if (n->kids_len > MAKER_FEW && !m->plain)
			return make_any(m, n, yes, no);
		for (unsigned i = n->kids_len; i-- && m->n <= FILTER_STEPS_MAX;)
			no = make_node(m, n->kids[i], yes, no);
		return no;
	case NODE_TEST:
	case NODE_HAS:
		if (filter_fields[n->field].type == TYPE_FLAG)
			return make_flag(m, n->field, yes, no);
		if (!filter_fields[n->field].sided || n->side != SIDE_EITHER)
			return make_side(m, n, n->side, yes, no);
		return make_side(m, n, SIDE_SRC, yes, make_side(m, n, SIDE_DST, yes, no));
	}
	return no;
}

/* The first comes first, and numbers count from it. */
static void turn(struct maker *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct filter_step *s = &m->steps[i];

		s->yes = s->yes >= STEP_NO ? s->yes : (uint16_t)(m->n - 1 - s->yes);
		s->no = s->no >= STEP_NO ? s->no : (uint16_t)(m->n - 1 - s->no);
	}
	for (uint32_t i = 0; i < m->n / 2; i++) {
		struct filter_step s = m->steps[i];

		m->steps[i] = m->steps[m->n - 1 - i];
		m->steps[m->n - 1 - i] = s;
	}
}

/* Made anew; plain: without searches. */
static int make_all(struct maker *m, const struct node *n, bool plain)
{
	uint16_t first;

	m->n = 0;
	m->plain = plain;
	first = make_node(m, n, STEP_YES, STEP_NO);
	if (first >= STEP_NO || first + 1u != m->n)
		add_range(m, SLOT_LEN, 0, UINT32_MAX, first, first);
	return m->no_memory ? -ENOMEM : m->n > FILTER_STEPS_MAX ? -ENOTSUP : 0;
}

int node_steps(const struct node *n, struct filter_step **out, uint32_t *len, struct buf *why)
{
	AUTO_ARENA arena = {0};
	const struct node *gathered = node_gather(&arena, n);
	struct maker m = {.steps = gathered ? calloc(FILTER_STEPS_MAX, sizeof(*m.steps)) : NULL};
	struct filter_step *fit;
	int r;

	if (!m.steps)
		return -ENOMEM;
	r = make_all(&m, gathered, false);
	if (r == -ENOTSUP)
		r = make_all(&m, gathered, true);
	if (r) {
		free(m.steps);
		if (r == -ENOTSUP && why)
			buf_printf(why, "it takes more than %u comparisons in the kernel", FILTER_STEPS_MAX);
		return r;
	}
	turn(&m);
	fit = realloc(m.steps, m.n * sizeof(*fit));
	*out = fit ? fit : m.steps;
	*len = m.n;
	return 0;
}

int filter_program(const struct filter *f, struct filter_program *out, struct buf *why)
{
	struct filter_program p = {};
	int r = filter_uses(f, FILTER_KERNEL, why);

	if (r)
		return r;
	r = f->pcap ? pcap_filter_classic(f->pcap, &p.classic, &p.n)
		    : node_steps(f->root, &p.steps, &p.n, why);
	if (r == -E2BIG) {
		if (why)
			buf_printf(why, "this pcap expression compiles to more than %u instructions",
				   FILTER_CLASSIC_MAX);
		r = -ENOTSUP;
	}
	if (!r)
		*out = p;
	return r;
}

void filter_program_fini(struct filter_program *p)
{
	free(p->steps);
	free(p->classic);
	*p = (struct filter_program){};
}
