/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator: a filter's tree over a record or a dissected packet. A field that is not there makes its
 * test false. No allocation; bounded by the filter's size. Called by filter.c.
 */
#include "filter/match.h"

static const struct record_end *end_of(const struct subject *s, enum side side)
{
	return side == SIDE_DST ? &s->record->to : &s->record->from;
}

static bool put(uint64_t *out, uint64_t v, bool there)
{
	*out = v;
	return there;
}

bool match_number(const struct dissected *d, enum field_id f, enum side side, uint64_t *out)
{
	unsigned has = d->has;

	switch (f) {
	case FIELD_PORT:
		return put(out, side == SIDE_DST ? d->dport : d->sport, has & HAS_PORTS);
	case FIELD_MAC:
		return put(out, side == SIDE_DST ? d->dmac : d->smac, has & HAS_ETH);
	case FIELD_PROTO:
		return put(out, d->proto, has & HAS_IP);
	case FIELD_LEN:
		return put(out, d->len, true);
	case FIELD_ETH_TYPE:
		return put(out, d->ethertype, has & HAS_ETHERTYPE);
	case FIELD_VLAN_ID:
		return put(out, d->vlan & 0xfff, has & HAS_VLAN);
	case FIELD_VLAN_PCP:
		return put(out, d->vlan >> 13, has & HAS_VLAN);
	case FIELD_VLAN_INNER_ID:
		return put(out, d->vlan2 & 0xfff, has & HAS_VLAN2);
	case FIELD_MPLS_LABEL:
		return put(out, d->mpls, has & HAS_MPLS);
	case FIELD_TUNNEL_VNI:
		return put(out, d->vni, has & HAS_VNI);
	case FIELD_TTL:
		return put(out, d->ttl, has & HAS_IP);
	case FIELD_DSCP:
		return put(out, d->dscp, has & HAS_IP);
	case FIELD_TCP_FLAGS:
		return put(out, d->tcp_flags, has & HAS_TCP);
	case FIELD_ICMP_TYPE:
		return put(out, d->icmp_type, has & HAS_ICMP);
	case FIELD_ICMP_CODE:
		return put(out, d->icmp_code, has & HAS_ICMP);
	default:
		return false;
	}
}

/* What an end's own segments say; the end was not seen: unknown. */
static bool record_tcp_end(const struct record *r, enum field_id f, uint64_t *out)
{
	bool there = r->tcp_seen & SEEN_INITIATOR, back = r->tcp_seen & SEEN_RESPONDER;

	switch (f) {
	case FIELD_RETRANSMITS:
		return put(out, (uint64_t)r->retransmits[0] + r->retransmits[1], there && back);
	case FIELD_RETRANSMITS_THERE:
		return put(out, r->retransmits[0], there);
	case FIELD_RETRANSMITS_BACK:
		return put(out, r->retransmits[1], back);
	case FIELD_RESETS:
		return put(out, r->resets, there && back);
	case FIELD_ZERO_WINDOWS_THERE:
		return put(out, r->zero_windows[0], there);
	case FIELD_ZERO_WINDOWS_BACK:
		return put(out, r->zero_windows[1], back);
	default:
		return put(out, (uint64_t)r->zero_windows[0] + r->zero_windows[1], there && back);
	}
}

static bool record_tcp(const struct record *r, enum field_id f, uint64_t *out)
{
	if (r->proto != 6 || r->kind == RECORD_DNS)
		return false;
	switch (f) {
	case FIELD_HANDSHAKE:
		return put(out, r->handshake_us, r->handshake_us);
	case FIELD_RTT:
		return put(out, record_rtt(r), record_rtt(r));
	case FIELD_RTT_THERE:
		return put(out, r->rtt_us[0], r->rtt_us[0]);
	case FIELD_RTT_BACK:
		return put(out, r->rtt_us[1], r->rtt_us[1]);
	default:
		return record_tcp_end(r, f, out);
	}
}

static bool record_number(const struct record *r, enum field_id f, enum side side, uint64_t *out)
{
	switch (f) {
	case FIELD_PORT:
		return put(out, side == SIDE_DST ? r->to.port : r->from.port,
			   r->proto == 6 || r->proto == 17 || r->proto == 132);
	case FIELD_VIA_PORT:
		return put(out, r->via_port, !addr_is_zero(&r->via));
	case FIELD_PROTO:
		return put(out, r->proto, true);
	case FIELD_RECORD:
		return put(out, r->kind, true);
	case FIELD_VERDICT:
		return put(out, r->verdict, true);
	case FIELD_REASON:
		return put(out, r->reason, r->reason);
	case FIELD_STATE:
		return put(out, r->state, r->kind == RECORD_FLOW);
	case FIELD_BYTES:
		return put(out, r->bytes[0] + r->bytes[1], true);
	case FIELD_BYTES_THERE:
		return put(out, r->bytes[0], true);
	case FIELD_BYTES_BACK:
		return put(out, r->bytes[1], true);
	case FIELD_PACKETS:
		return put(out, r->packets[0] + r->packets[1], true);
	case FIELD_PACKETS_THERE:
		return put(out, r->packets[0], true);
	case FIELD_PACKETS_BACK:
		return put(out, r->packets[1], true);
	case FIELD_DURATION:
		return put(out, (uint64_t)(r->last - r->first), r->last >= r->first);
	case FIELD_HANDSHAKE:
	case FIELD_RTT:
	case FIELD_RTT_THERE:
	case FIELD_RTT_BACK:
	case FIELD_RETRANSMITS:
	case FIELD_RETRANSMITS_THERE:
	case FIELD_RETRANSMITS_BACK:
	case FIELD_RESETS:
	case FIELD_ZERO_WINDOWS:
	case FIELD_ZERO_WINDOWS_THERE:
	case FIELD_ZERO_WINDOWS_BACK:
		return record_tcp(r, f, out);
	case FIELD_DNS_TYPE:
		return put(out, r->dns_type, r->dns_type);
	case FIELD_DNS_CODE:
		return put(out, r->dns_code, r->kind == RECORD_DNS);
	case FIELD_DNS_TIME:
		return put(out, r->handshake_us, r->kind == RECORD_DNS && r->dns_code != DNS_NO_ANSWER);
	default:
		return false;
	}
}

static bool number(const struct subject *s, enum field_id f, enum side side, uint64_t *out)
{
	const struct identity *who;

	if (f == FIELD_KIND) {
		who = s->record ? end_of(s, side)->who : NULL;
		return put(out, who ? who->kind : 0, who);
	}
	if (s->packet && (f == FIELD_VERDICT || f == FIELD_REASON))
		return s->record && record_number(s->record, f, side, out);
	return s->packet ? match_number(s->packet, f, side, out) : record_number(s->record, f, side, out);
}

static bool address(const struct subject *s, enum field_id f, enum side side, struct addr *out)
{
	if (s->packet) {
		*out = side == SIDE_DST ? s->packet->dst : s->packet->src;
		return s->packet->has & HAS_IP;
	}
	*out = f == FIELD_VIA_IP ? s->record->via : end_of(s, side)->addr;
	return f != FIELD_VIA_IP || !addr_is_zero(out);
}

bool node_text(const struct node *n, const struct subject *s, enum side side, struct str *name,
	       struct str *ns)
{
	const struct identity *who;

	*name = *ns = (struct str){};
	if (!s->record)
		return false;
	if (n->field == FIELD_DNS_NAME || n->field == FIELD_SEEN) {
		*name = n->field == FIELD_SEEN ? str_of(s->record->node) : s->record->dns;
		return name->n;
	}
	who = n->field == FIELD_SERVICE ? s->record->service : end_of(s, side)->who;
	if (!who)
		return false;
	switch (n->field) {
	case FIELD_POD:
	case FIELD_SERVICE:
		*name = who->kind == (n->field == FIELD_POD ? IDENTITY_POD : IDENTITY_SERVICE)
			    ? who->name
			    : (struct str){};
		*ns = who->ns;
		break;
	case FIELD_WORKLOAD:
		*name = who->workload;
		*ns = who->ns;
		break;
	case FIELD_NS:
		*name = who->ns;
		break;
	case FIELD_NODE:
		*name = who->kind == IDENTITY_NODE ? who->name : who->node;
		break;
	case FIELD_DOMAIN:
		*name = who->domain;
		break;
	case FIELD_LABEL:
		for (unsigned i = 0; i < who->labels_len; i++)
			if (str_eq(who->labels[2 * i], n->key)) {
				*name = who->labels[2 * i + 1];
				return true; /* an empty value is one */
			}
		return false;
	default:
		return false;
	}
	return name->n;
}

static bool glob(struct str pattern, struct str s)
{
	size_t star = SIZE_MAX, mark = 0, p = 0, i = 0;

	while (i < s.n) {
		if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == s.p[i]) && pattern.p[p] != '*') {
			p++;
			i++;
		} else if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = i;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool text_is(const struct value *v, struct str name, struct str ns)
{
	struct str rest = v->text, first = str_cut(&rest, '/');

	if (ns.n && first.n < v->text.n)
		return v->glob ? glob(first, ns) && glob(rest, name)
			       : str_eq(first, ns) && str_eq(rest, name);
	return v->glob ? glob(v->text, name) : str_eq(v->text, name);
}

static bool addr_in(const struct value *v, const struct addr *a)
{
	return memcmp(&v->from, a, sizeof(*a)) <= 0 && memcmp(a, &v->to, sizeof(*a)) <= 0 &&
	       addr_is4(&v->from) == addr_is4(a);
}

static bool flag_packet(const struct dissected *d, enum field_id f)
{
	bool ip = d->has & HAS_IP;

	switch (f) {
	case FIELD_TCP:
		return ip && d->proto == 6;
	case FIELD_UDP:
		return ip && d->proto == 17;
	case FIELD_SCTP:
		return ip && d->proto == 132;
	case FIELD_ICMP:
		return ip && (d->proto == 1 || d->proto == 58);
	case FIELD_ARP:
		return d->has & HAS_ARP;
	case FIELD_IP4:
		return ip && addr_is4(&d->src) && d->ethertype == 0x0800;
	case FIELD_IP6:
		return ip && d->ethertype == 0x86dd;
	case FIELD_VLAN:
		return d->has & HAS_VLAN;
	case FIELD_TUNNEL:
		return d->has & HAS_TUNNEL;
	case FIELD_FRAGMENT:
		return d->has & HAS_FRAGMENT;
	case FIELD_TCP_FIN:
	case FIELD_TCP_SYN:
	case FIELD_TCP_RST:
	case FIELD_TCP_PSH:
	case FIELD_TCP_ACK:
	case FIELD_TCP_URG:
		return d->has & HAS_TCP && d->tcp_flags & 1u << (f - FIELD_TCP_FIN);
	default:
		return false;
	}
}

static bool flag_record(const struct record *r, enum field_id f)
{
	switch (f) {
	case FIELD_TCP:
		return r->proto == 6;
	case FIELD_UDP:
		return r->proto == 17;
	case FIELD_SCTP:
		return r->proto == 132;
	case FIELD_ICMP:
		return r->proto == 1 || r->proto == 58;
	case FIELD_IP4:
		return addr_is4(&r->from.addr);
	case FIELD_IP6:
		return !addr_is4(&r->from.addr);
	case FIELD_ENDED:
		return r->ended;
	default:
		return false;
	}
}

static bool any_number(const struct node *n, uint64_t x)
{
	for (unsigned i = 0; i < n->values_len; i++)
		if (n->values[i].lo <= x && x <= n->values[i].hi)
			return true;
	return n->op == NODE_HAS;
}

static bool test_side(const struct subject *s, const struct node *n, enum side side)
{
	enum filter_type t = filter_fields[n->field].type;
	struct addr a;
	struct str name, ns;
	uint64_t x;

	if (n->field == FIELD_RULE)
		return s->record && !s->packet &&
		       ((s->record->rule_egress && any_number(n, s->record->rule_egress)) ||
			(s->record->rule_ingress && any_number(n, s->record->rule_ingress)) ||
			(s->record->cause && any_number(n, s->record->cause)));
	if (t == TYPE_ADDRESS) {
		if (!address(s, n->field, side, &a))
			return false;
		for (unsigned i = 0; i < n->values_len; i++)
			if (addr_in(&n->values[i], &a))
				return true;
		return n->op == NODE_HAS;
	}
	if (type_is_text(t)) {
		if (!node_text(n, s, side, &name, &ns))
			return false;
		for (unsigned i = 0; i < n->values_len; i++)
			if (text_is(&n->values[i], name, ns))
				return true;
		return n->op == NODE_HAS;
	}
	return number(s, n->field, side, &x) && any_number(n, x);
}

bool node_value(const struct node *n, const struct subject *s, enum side side, struct value *out)
{
	enum filter_type t = filter_fields[n->field].type;

	*out = (struct value){};
	if (t == TYPE_FLAG || type_is_text(t) || n->field == FIELD_RULE)
		return false;
	if (t != TYPE_ADDRESS) {
		bool there = number(s, n->field, side, &out->lo);

		out->hi = out->lo;
		return there;
	}
	bool there = address(s, n->field, side, &out->from);

	out->to = out->from;
	return there;
}

/* The same, remembered by end. */
static bool test_end(const struct subject *s, const struct node *n, enum side side)
{
	const struct memo *m = s->memo;
	uint32_t end = 0;
	uint8_t *known;
	bool yes;

	if (m && n->number)
		end = !filter_fields[n->field].sided ? m->via : side == SIDE_DST ? m->to : m->from;
	if (!end || end >= m->ends)
		return test_side(s, n, side);
	known = &m->known[(size_t)(n->number - 1) * m->ends + end];
	if (*known)
		return *known - 1;
	yes = test_side(s, n, side);
	*known = (uint8_t)(1 + yes);
	return yes;
}

uint32_t node_number(struct node *n, uint32_t numbered)
{
	for (unsigned i = 0; i < n->kids_len; i++)
		numbered = node_number(n->kids[i], numbered);
	if (n->op != NODE_TEST && n->op != NODE_HAS)
		return numbered;
	switch (n->field) {
	case FIELD_IP:
	case FIELD_POD:
	case FIELD_NS:
	case FIELD_LABEL:
	case FIELD_WORKLOAD:
	case FIELD_NODE:
	case FIELD_KIND:
	case FIELD_DOMAIN:
	case FIELD_SERVICE:
	case FIELD_VIA_IP:
		return n->number = numbered + 1;
	default:
		return numbered;
	}
}

bool node_match(const struct node *n, const struct subject *s)
{
	switch (n->op) {
	case NODE_ALL:
		return true;
	case NODE_NONE:
		return false;
	case NODE_NOT:
		return !node_match(n->kids[0], s);
	case NODE_AND:
		for (unsigned i = 0; i < n->kids_len; i++)
			if (!node_match(n->kids[i], s))
				return false;
		return true;
	case NODE_OR:
		for (unsigned i = 0; i < n->kids_len; i++)
			if (node_match(n->kids[i], s))
				return true;
		return false;
	case NODE_TEST:
	case NODE_HAS:
		if (filter_fields[n->field].type == TYPE_FLAG)
			return s->packet ? flag_packet(s->packet, n->field)
					 : flag_record(s->record, n->field);
		if (!filter_fields[n->field].sided || n->side != SIDE_EITHER)
			return test_end(s, n, n->side);
		return test_end(s, n, SIDE_SRC) || test_end(s, n, SIDE_DST);
	}
	return false;
}
