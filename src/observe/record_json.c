/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON: see record_json.h. */
#include "observe/record_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/own.h"
#include "filter/field.h"
#include "filter/reason.h"

const char *record_reason(uint16_t reason)
{
	return !reason ? "" : reason_name(reason) ?: "unknown";
}

static const char *name_of(const char *const *names, size_t n, unsigned i)
{
	return i < n ? names[i] : "unknown";
}

const char *record_verdict(const struct record *r)
{
	static const char *const names[] = {"forwarded", "dropped", "staged"};

	return name_of(names, ARRAY_LEN(names), r->verdict);
}

const char *record_state(const struct record *r)
{
	static const char *const names[] = {"unanswered", "open", "closed", "reset", "cut"};

	return name_of(names, ARRAY_LEN(names), r->state);
}

const char *record_kind(const struct record *r)
{
	static const char *const names[] = {"flow", "drop", "staged", "dns"};

	return name_of(names, ARRAY_LEN(names), r->kind);
}

void record_protocol(uint8_t proto, char out[8])
{
	const char *name = proto == 1	  ? "ICMP"
			   : proto == 6	  ? "TCP"
			   : proto == 17  ? "UDP"
			   : proto == 58  ? "ICMPv6"
			   : proto == 132 ? "SCTP"
					  : NULL;

	if (name)
		snprintf(out, 8, "%s", name);
	else
		snprintf(out, 8, "%u", proto);
}

void record_time(int64_t ns, char out[31])
{
	char seconds[21];

	if (ns < 0)
		ns = 0;
	clock_rfc3339(ns / 1000000000, seconds);
	snprintf(out, 31, "%.19s.%09uZ", seconds, (unsigned)(ns % 1000000000));
}

static void text(struct buf *b, const char *key, struct str s)
{
	if (!s.n)
		return;
	buf_printf(b, ",\"%s\":", key);
	buf_json(b, s);
}

static void number(struct buf *b, const char *key, uint64_t n)
{
	if (n)
		buf_printf(b, ",\"%s\":%" PRIu64, key, n);
}

static void who_json(struct buf *b, const struct identity *w)
{
	static const char *const kinds[] = {"unknown", "pod", "node", "service", "outside"};

	text(b, "kind", str_of(kinds[w->kind]));
	text(b, "namespace", w->ns);
	text(b, "name", w->name);
	text(b, "workloadKind", w->workload_kind);
	text(b, "workload", w->workload);
	text(b, "node", w->node);
	text(b, "domain", w->domain);
	for (unsigned i = 0; i < w->labels_len; i++) {
		buf_addz(b, i ? "," : ",\"labels\":{");
		buf_json(b, w->labels[2 * i]);
		buf_addc(b, ':');
		buf_json(b, w->labels[2 * i + 1]);
	}
	buf_addz(b, w->labels_len ? "}" : "");
}

static void end_json(struct buf *b, const char *key, const struct addr *a, uint16_t port,
		     const struct identity *who)
{
	char address[ADDR_TEXT];

	AUTO_BUF inner = {};

	addr_print(a, address);
	text(&inner, "address", str_of(addr_is_zero(a) ? "" : address));
	number(&inner, "port", port);
	if (who)
		who_json(&inner, who);
	buf_printf(b, ",\"%s\":{", key);
	if (inner.n)
		buf_add(b, inner.p + 1, inner.n - 1);
	buf_addc(b, '}');
}

static void dns_json(struct buf *b, const struct record *r)
{
	AUTO_BUF type = {};
	AUTO_BUF code = {};

	field_name(&type, FIELD_DNS_TYPE, r->dns_type);
	field_name(&code, FIELD_DNS_CODE, r->dns_code);
	text(b, "dnsName", r->dns);
	text(b, "dnsType", buf_str(&type));
	text(b, "dnsCode", buf_str(&code));
	if (r->dns_code != DNS_NO_ANSWER)
		buf_printf(b, ",\"answeredMicroseconds\":%u", r->handshake_us);
}

/* Of the ends that are known; 0 is a number like others. */
static void pair(struct buf *b, const char *key, const uint32_t n[2], unsigned known)
{
	if (known)
		buf_printf(b, ",\"%s\":{", key);
	if (known & SEEN_INITIATOR)
		buf_printf(b, "\"there\":%u", n[0]);
	if (known & SEEN_RESPONDER)
		buf_printf(b, "%s\"back\":%u", known & SEEN_INITIATOR ? "," : "", n[1]);
	buf_addz(b, known ? "}" : "");
}

static void tcp_json(struct buf *b, const struct record *r)
{
	static const char *const ends[] = {"", "initiator", "responder", "both"};
	const uint32_t closed[2] = {r->zero_windows[0], r->zero_windows[1]};

	pair(b, "roundTripMicroseconds", r->rtt_us,
	     (r->rtt_us[0] ? SEEN_INITIATOR : 0u) | (r->rtt_us[1] ? SEEN_RESPONDER : 0u));
	pair(b, "retransmits", r->retransmits, r->tcp_seen);
	pair(b, "zeroWindows", closed, r->tcp_seen);
	if (r->resets || r->tcp_seen == SEEN_BOTH)
		buf_printf(b, ",\"resets\":%u", r->resets);
	text(b, "resetBy", str_of(ends[r->reset_by & SEEN_BOTH]));
}

void record_json(struct buf *b, const struct record *r)
{
	char first[31], last[31], proto[8];

	record_time(r->first, first);
	record_time(r->last, last);
	record_protocol(r->proto, proto);
	buf_printf(b, "{\"record\":\"%s\",\"verdict\":\"%s\"", record_kind(r), record_verdict(r));
	if (r->kind == RECORD_FLOW)
		buf_printf(b, ",\"state\":\"%s\",\"ended\":%s", record_state(r), r->ended ? "true" : "false");
	text(b, "reason", str_of(record_reason(r->reason)));
	buf_printf(b, ",\"first\":\"%s\",\"last\":\"%s\",\"protocol\":\"%s\"", first, last, proto);
	end_json(b, "from", &r->from.addr, r->from.port, r->from.who);
	end_json(b, "to", &r->to.addr, r->to.port, r->to.who);
	if (!addr_is_zero(&r->via) || r->service)
		end_json(b, "service", &r->via, r->via_port, r->service);
	buf_printf(b,
		   ",\"bytes\":{\"there\":%" PRIu64 ",\"back\":%" PRIu64 "},\"packets\":{\"there\":%" PRIu64
		   ",\"back\":%" PRIu64 "}",
		   r->bytes[0], r->bytes[1], r->packets[0], r->packets[1]);
	if (r->kind == RECORD_DNS)
		dns_json(b, r);
	else
		number(b, "handshakeMicroseconds", r->handshake_us);
	tcp_json(b, r);
	number(b, "cause", r->cause);
	number(b, "ruleEgress", r->rule_egress);
	number(b, "ruleIngress", r->rule_ingress);
	text(b, "seenBy", str_of(r->node));
	if (r->id)
		buf_printf(b, ",\"id\":\"%016" PRIx64 "\"", r->id);
	buf_addc(b, '}');
}
