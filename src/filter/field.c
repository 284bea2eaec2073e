/* SPDX-License-Identifier: Apache-2.0 */
/* Fields and values as text: see field.h. */
#include "filter/field.h"
#include "filter/filter.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "filter/reason.h"
#include "filter/record.h"
#include "seam/event.h"

#define SIDED true
#define PLAIN false
#define R     USE_RECORDS
#define P     USE_PACKETS
#define K     USE_KERNEL
const struct field filter_fields[FIELD_MAX] = {
#define FILTER_FIELD(id, path, sides, type, uses, sentence) {path, sides, TYPE_##type, uses, sentence},
#define FILTER_ALIAS(path, of)
#include "tables/filter.def"
#undef FILTER_FIELD
#undef FILTER_ALIAS
};
#undef SIDED
#undef PLAIN
#undef R
#undef P
#undef K

static const struct alias {
	const char *path, *of;
} aliases[] = {
#define FILTER_FIELD(id, path, sides, type, uses, sentence)
#define FILTER_ALIAS(path, of) {path, of},
#include "tables/filter.def"
#undef FILTER_FIELD
#undef FILTER_ALIAS
};

struct name {
	const char *text;
	uint64_t value;
};
static const struct name protocols[] = {{"icmp", 1},   {"tcp", 6},    {"udp", 17},
					{"icmp6", 58}, {"sctp", 132}, {0}};
static const struct name verdicts[] = {
    {"forwarded", VERDICT_FORWARDED}, {"dropped", VERDICT_DROPPED}, {"staged", VERDICT_STAGED}, {0}};
static const struct name reasons[] = {
#define DROP(id, number, text, advice) {text, number},
#include "tables/drops.def"
#undef DROP
    {"kernel", REASON_KERNEL}, {0}};
static const struct name states[] = {
    {"unanswered", STATE_UNANSWERED}, {"open", STATE_OPEN}, {"closed", STATE_CLOSED},
    {"reset", STATE_RESET},	      {"cut", STATE_CUT},   {0}};
static const struct name records[] = {
    {"flow", RECORD_FLOW}, {"drop", RECORD_DROP}, {"staged", RECORD_STAGED}, {"dns", RECORD_DNS}, {0}};
static const struct name kinds[] = {{"pod", IDENTITY_POD},	   {"node", IDENTITY_NODE},
				    {"service", IDENTITY_SERVICE}, {"outside", IDENTITY_OUTSIDE},
				    {"unknown", IDENTITY_UNKNOWN}, {0}};
static const struct name ethertypes[] = {{"ip4", 0x0800},  {"arp", 0x0806},  {"ip6", 0x86dd},
					 {"mpls", 0x8847}, {"lldp", 0x88cc}, {0}};
static const struct name tcpflags[] = {{"fin", 1},  {"syn", 2},	 {"rst", 4},   {"psh", 8}, {"ack", 16},
				       {"urg", 32}, {"ece", 64}, {"cwr", 128}, {0}};
static const struct name dnstypes[] = {{"A", 1},     {"NS", 2},	    {"CNAME", 5}, {"SOA", 6},  {"PTR", 12},
				       {"MX", 15},   {"TXT", 16},   {"AAAA", 28}, {"SRV", 33}, {"NAPTR", 35},
				       {"SVCB", 64}, {"HTTPS", 65}, {"ANY", 255}, {0}};
static const struct name dnscodes[] = {{"NOERROR", 0}, {"FORMERR", 1}, {"SERVFAIL", 2},	  {"NXDOMAIN", 3},
				       {"NOTIMP", 4},  {"REFUSED", 5}, {"NOANSWER", 255}, {0}};

static const struct name *names_of(enum filter_type t)
{
	switch (t) {
	case TYPE_PROTOCOL:
		return protocols;
	case TYPE_VERDICT:
		return verdicts;
	case TYPE_REASON:
		return reasons;
	case TYPE_STATE:
		return states;
	case TYPE_RECORD:
		return records;
	case TYPE_KIND:
		return kinds;
	case TYPE_ETHERTYPE:
		return ethertypes;
	case TYPE_TCPFLAGS:
		return tcpflags;
	case TYPE_DNSTYPE:
		return dnstypes;
	case TYPE_DNSCODE:
		return dnscodes;
	default:
		return NULL;
	}
}

void type_names(enum filter_type t, void (*fn)(void *ctx, const char *name), void *ctx)
{
	for (const struct name *n = names_of(t); n && n->text; n++)
		fn(ctx, n->text);
}

int filter_field(struct str path)
{
	for (int i = 0; i < FIELD_MAX; i++)
		if (str_eqz(path, filter_fields[i].path))
			return i;
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (str_eqz(path, aliases[i].path))
			return filter_field(str_of(aliases[i].of));
	return -1;
}

static void nearer(struct str path, const char *candidate, unsigned *best, const char **out)
{
	unsigned d = str_distance(path, str_of(candidate));

	/* What a person mistypes is near; what is mostly another word is no proposal. */
	if (d < *best && d <= 1 + path.n / 3) {
		*best = d;
		*out = candidate;
	}
}

const char *filter_field_near(struct str path)
{
	unsigned best = 4;
	const char *out = NULL;

	for (int i = 0; i < FIELD_MAX; i++)
		nearer(path, filter_fields[i].path, &best, &out);
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		nearer(path, aliases[i].path, &best, &out);
	return out;
}

bool type_is_text(enum filter_type t)
{
	return t == TYPE_TEXT || t == TYPE_LABEL;
}

bool type_has_order(enum filter_type t)
{
	return t == TYPE_NUMBER || t == TYPE_SIZE || t == TYPE_MICROSECONDS || t == TYPE_NANOSECONDS;
}

uint64_t filter_field_top(enum field_id f)
{
	switch (f) {
	case FIELD_PORT:
	case FIELD_VIA_PORT:
	case FIELD_ETH_TYPE:
	case FIELD_DNS_TYPE:
		return UINT16_MAX;
	case FIELD_MAC:
		return (UINT64_C(1) << 48) - 1;
	case FIELD_VLAN_ID:
	case FIELD_VLAN_INNER_ID:
		return 4095;
	case FIELD_VLAN_PCP:
		return 7;
	case FIELD_MPLS_LABEL:
		return (1 << 20) - 1;
	case FIELD_DSCP:
		return 63;
	case FIELD_PROTO:
	case FIELD_TTL:
	case FIELD_TCP_FLAGS:
	case FIELD_ICMP_TYPE:
	case FIELD_ICMP_CODE:
	case FIELD_DNS_CODE:
		return UINT8_MAX;
	case FIELD_LEN:
	case FIELD_TUNNEL_VNI:
	case FIELD_RULE:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

/* --- values from text ------------------------------------------------------------------------------ */

static bool digits(struct str s, uint64_t *out)
{
	char *end, text[24];

	if (!s.n || s.n >= sizeof(text) || !isdigit((unsigned char)s.p[0]))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	errno = 0;
	*out = strtoull(text, &end, text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10);
	return !*end && !errno;
}

/* 10k 1.5M 2Gi (bytes, counts); 20ms 1.5s 2m 1h (times, in ns). No unit: as it is (times: seconds). */
static bool scaled(struct str s, bool time, uint64_t *out)
{
	static const struct unit {
		const char *text;
		uint64_t size;
	} sizes[] = {{"", 1},
		     {"k", 1000},
		     {"M", 1000000},
		     {"G", 1000000000},
		     {"T", 1000000000000},
		     {"Ki", 1024},
		     {"Mi", UINT64_C(1) << 20},
		     {"Gi", UINT64_C(1) << 30},
		     {"Ti", UINT64_C(1) << 40}},
	  times[] = {{"", 1000000000},	{"ns", 1},	    {"us", 1000},	  {"ms", 1000000},
		     {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
	const struct unit *units = time ? times : sizes;
	size_t len = time ? ARRAY_LEN(times) : ARRAY_LEN(sizes), n = 0;
	uint64_t whole, part = 0, tenth = 1;
	struct str number, unit;

	while (n < s.n && (isdigit((unsigned char)s.p[n]) || s.p[n] == '.'))
		n++;
	number = (struct str){s.p, n};
	unit = (struct str){s.p + n, s.n - n};
	if (!digits(str_cut(&number, '.'), &whole) || number.n > 9 ||
	    (number.n && !isdigit((unsigned char)number.p[0])))
		return false;
	for (size_t i = 0; i < number.n; i++, tenth *= 10) {
		if (number.p[i] == '.')
			return false;
		part = part * 10 + (uint64_t)(number.p[i] - '0');
	}
	for (size_t i = 0; i < len; i++)
		if (str_eqz(unit, units[i].text))
			return !__builtin_mul_overflow(whole, units[i].size, out) &&
			       !__builtin_mul_overflow(part, units[i].size, &part) &&
			       !__builtin_add_overflow(*out, part / tenth, out);
	return false;
}

bool filter_amount(struct str s, bool time, uint64_t *out)
{
	return scaled(s, time, out);
}

static bool mac_parse(struct str s, uint64_t *out)
{
	unsigned b[6];
	char text[18];
	int n = 0;

	if (s.n != 17)
		return false;
	memcpy(text, s.p, 17);
	text[17] = 0;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", b, b + 1, b + 2, b + 3, b + 4, b + 5, &n) != 6 ||
	    n != 17)
		return false;
	*out = 0;
	for (int i = 0; i < 6; i++)
		*out = *out << 8 | b[i];
	return true;
}

static bool named(enum filter_type t, struct str s, uint64_t *out)
{
	for (const struct name *n = names_of(t); n && n->text; n++)
		if (n->text[0] && str_eqz(s, n->text)) {
			*out = n->value;
			return true;
		}
	return false;
}

static bool flags_parse(struct str s, uint64_t *out)
{
	uint64_t one;

	*out = 0;
	if (str_eqz(s, "none"))
		return true;
	while (s.n) {
		if (!named(TYPE_TCPFLAGS, str_cut(&s, '+'), &one))
			return false;
		*out |= one;
	}
	return true;
}

static bool number_parse(enum filter_type t, struct str s, uint64_t *out)
{
	uint64_t ns;

	switch (t) {
	case TYPE_SIZE:
		return scaled(s, false, out);
	case TYPE_NANOSECONDS:
		return scaled(s, true, out);
	case TYPE_MICROSECONDS:
		if (!scaled(s, true, &ns))
			return false;
		*out = ns / 1000;
		return true;
	case TYPE_MAC:
		return mac_parse(s, out);
	case TYPE_TCPFLAGS:
		return digits(s, out) || flags_parse(s, out);
	default:
		return named(t, s, out) || digits(s, out);
	}
}

static int address_parse(struct value *v, struct str word, const char **why)
{
	struct str rest = word, first = str_cut(&rest, '-');
	struct prefix p;
	int r;

	*why = "is no address, prefix or range of addresses";
	if (first.n < word.n)
		return addr_parse(first, &v->from) || addr_parse(rest, &v->to) ||
			       addr_is4(&v->from) != addr_is4(&v->to) ||
			       memcmp(&v->from, &v->to, sizeof(v->from)) > 0
			   ? -EINVAL
			   : 0;
	if (!addr_parse(word, &v->from)) {
		v->to = v->from;
		return 0;
	}
	r = prefix_parse(word, &p);
	if (r) {
		if (r == -EDOM)
			*why = "has bits set behind the prefix length";
		return -EINVAL;
	}
	v->from = v->to = p.addr;
	for (unsigned i = p.len; i < 128; i++)
		v->to.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return 0;
}

/* "kernel" is any of the kernel's own reasons, "kernel:NAME" one of them: which there are is the running
 * kernel's matter. */
static int kernel_parse(struct value *v, struct str word, const char **why)
{
	struct str name = word;

	v->lo = REASON_KERNEL;
	v->hi = UINT16_MAX;
	str_cut(&name, ':');
	if (str_eqz(word, "kernel"))
		return 0;
	*why = "is no reason of a kernel; like kernel:SOCKET_RCVBUFF";
	v->lo = v->hi = name.n ? reason_of_kernel(name, true) : REASON_KERNEL;
	return v->lo == REASON_KERNEL ? -EINVAL : 0;
}

/* Names of DNS are kept in lower case. */
static void lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 32);
}

int value_parse(struct value *v, enum field_id f, struct str word, struct arena *a, const char **why)
{
	enum filter_type t = filter_fields[f].type;
	struct str rest = word, first;

	memset(v, 0, sizeof(*v));
	if (type_is_text(t)) {
		if ((f == FIELD_DNS_NAME || f == FIELD_DOMAIN) && word.n > 1 && word.p[word.n - 1] == '.')
			word.n--;
		v->text = arena_str(a, word);
		if (v->text.p && (f == FIELD_DNS_NAME || f == FIELD_DOMAIN))
			lower((char *)(uintptr_t)v->text.p, v->text.n);
		return v->text.p ? 0 : -ENOMEM;
	}
	if (t == TYPE_ADDRESS)
		return address_parse(v, word, why);
	if (t == TYPE_REASON && str_starts(word, STR("kernel")))
		return kernel_parse(v, word, why);
	*why = t == TYPE_SIZE					 ? "is no number; like 1500, 10k, 1.5M"
	       : t == TYPE_MICROSECONDS || t == TYPE_NANOSECONDS ? "is no time; like 20ms, 1.5s, 2m"
	       : t == TYPE_MAC ? "is no Ethernet address; like 02:00:00:00:00:01"
	       : names_of(t)   ? "is no such name"
			       : "is no number";
	if (number_parse(t, word, &v->lo)) {
		v->hi = v->lo;
	} else {
		if (t == TYPE_MAC || t == TYPE_REASON || t == TYPE_TCPFLAGS)
			return -EINVAL;
		first = str_cut(&rest, '-');
		if (first.n == word.n || !number_parse(t, first, &v->lo) || !number_parse(t, rest, &v->hi))
			return -EINVAL;
		*why = "ends before it begins";
		if (v->lo > v->hi)
			return -EINVAL;
	}
	*why = "is more than this field can be";
	return v->hi > filter_field_top(f) ? -EINVAL : 0;
}

/* --- values as text -------------------------------------------------------------------------------- */

static void time_print(struct buf *out, uint64_t ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
		     {"ms", 1000000},	   {"us", 1000},       {"ns", 1}};
	unsigned i = 0;

	while (i + 1 < ARRAY_LEN(units) && (ns < units[i].ns || ns % units[i].ns))
		i++;
	buf_printf(out, "%" PRIu64 "%s", ns / units[i].ns, units[i].unit);
}

static void number_print(struct buf *out, enum filter_type t, uint64_t n)
{
	bool first = true;

	if (t == TYPE_NANOSECONDS)
		return time_print(out, n);
	if (t == TYPE_MICROSECONDS && n <= UINT64_MAX / 1000)
		return time_print(out, n * 1000);
	if (t == TYPE_MAC) {
		for (int i = 40; i >= 0; i -= 8)
			buf_printf(out, "%02x%s", (unsigned)(n >> i & 255), i ? ":" : "");
		return;
	}
	if (t == TYPE_TCPFLAGS) {
		for (const struct name *f = tcpflags; f->text; f++)
			if (n & f->value) {
				buf_printf(out, "%s%s", first ? "" : "+", f->text);
				first = false;
			}
		if (first)
			buf_addz(out, "none");
		return;
	}
	if (t == TYPE_REASON && n > REASON_KERNEL && n < UINT16_MAX && reason_name((uint16_t)n)) {
		buf_addz(out, reason_name((uint16_t)n));
		return;
	}
	for (const struct name *f = names_of(t); f && f->text; f++)
		if (f->text[0] && f->value == n) {
			buf_addz(out, f->text);
			return;
		}
	buf_printf(out,
		   t == TYPE_ETHERTYPE ? "0x%04" PRIx64
		   : t == TYPE_RULE    ? "0x%08" PRIx64
				       : "%" PRIu64,
		   n);
}

void field_name(struct buf *out, enum field_id f, uint64_t n)
{
	number_print(out, filter_fields[f].type, n);
}

static void address_print(struct buf *out, const struct value *v)
{
	char from[ADDR_TEXT], to[PREFIX_TEXT];
	struct prefix p = {.addr = v->from, .len = 128};
	struct addr low = v->from;
	unsigned len = 128;

	if (addr_eq(&v->from, &v->to)) {
		addr_print(&v->from, from);
		buf_addz(out, from);
		return;
	}
	/* The longest prefix whose first address is from: is its last one to? */
	while (len && !(v->from.b[(len - 1) / 8] & 0x80 >> (len - 1) % 8) &&
	       v->to.b[(len - 1) / 8] & 0x80 >> (len - 1) % 8)
		len--;
	prefix_mask(&low, len);
	p.len = (uint8_t)len;
	for (unsigned i = len; i < 128; i++)
		low.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	if (addr_eq(&low, &v->to) && (!addr_is4(&v->from) || len >= 96)) {
		prefix_print(&p, to);
		buf_addz(out, to);
		return;
	}
	addr_print(&v->from, from);
	addr_print(&v->to, to);
	buf_printf(out, "%s-%s", from, to);
}

void value_print(struct buf *out, enum field_id f, const struct value *v)
{
	enum filter_type t = filter_fields[f].type;

	if (type_is_text(t)) {
		buf_addc(out, '"');
		for (size_t i = 0; i < v->text.n; i++) {
			if (v->text.p[i] == '"' || v->text.p[i] == '\\')
				buf_addc(out, '\\');
			buf_addc(out, v->text.p[i]);
		}
		buf_addc(out, '"');
	} else if (t == TYPE_ADDRESS) {
		address_print(out, v);
	} else {
		number_print(out, t, v->lo);
		if (v->hi != v->lo && !(t == TYPE_REASON && v->lo == REASON_KERNEL && v->hi == UINT16_MAX)) {
			buf_addc(out, '-');
			number_print(out, t, v->hi);
		}
	}
}
