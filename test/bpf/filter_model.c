/* SPDX-License-Identifier: Apache-2.0 */
/* The second reading of the filter language: see filter_model.h. */
#include "filter_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t model_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ z >> 31) >> 16);
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	return model_random(seed) % n;
}

/* --- frames ---------------------------------------------------------------------------------------- */

static const uint16_t ports[] = {22, 53, 80, 443, 8080, 40000};
static const uint8_t protos[] = {6, 6, 6, 17, 17, 132, 1, 58, 47, 89};

static void put(struct model_frame *f, unsigned size, uint64_t v)
{
	while (size--)
		f->bytes[f->n++] = (uint8_t)(v >> 8 * size);
}

static void put_random(uint64_t *seed, struct model_frame *f, unsigned n)
{
	while (n--)
		put(f, 1, model_random(seed));
}

static void put_transport(uint64_t *seed, struct model_frame *f, uint8_t proto)
{
	static const uint8_t flags[] = {2, 18, 16, 24, 4, 17, 0, 255};

	if (proto == 6 || proto == 17 || proto == 132) {
		put(f, 2, ports[below(seed, 6)]);
		put(f, 2, ports[below(seed, 6)]);
		put_random(seed, f, 9);
		put(f, 1, proto == 6 ? flags[below(seed, 8)] : model_random(seed));
	} else if (proto == 1 || proto == 58) {
		put(f, 1, below(seed, 2) ? 8 : 128 + below(seed, 8));
		put(f, 1, below(seed, 3));
	}
	put_random(seed, f, below(seed, 30));
}

static void put_ip4(uint64_t *seed, struct model_frame *f)
{
	uint8_t proto = protos[below(seed, 10)],
		words = (uint8_t)(5 + (below(seed, 4) ? 0 : below(seed, 11)));

	put(f, 1, below(seed, 50) ? 0x40u | words : model_random(seed));
	put(f, 1, below(seed, 3) ? 0 : model_random(seed));
	put_random(seed, f, 4);
	put(f, 2, below(seed, 5) ? below(seed, 2) << 14 : model_random(seed));
	put(f, 1, below(seed, 3) ? 64 : below(seed, 5));
	put(f, 1, proto);
	put_random(seed, f, 2);
	put(f, 4, 0x0a000000 + below(seed, 4) * 0x10001 + below(seed, 3));
	put(f, 4, below(seed, 2) ? 0x0a000001 : 0xc0a80000 + below(seed, 600));
	put_random(seed, f, (words - 5u) * 4);
	put_transport(seed, f, proto);
}

static void put_ip6(uint64_t *seed, struct model_frame *f)
{
	static const uint8_t extensions[] = {0, 43, 60, 44, 51, 135};
	uint8_t proto = protos[below(seed, 10)], chain[12];
	unsigned n = below(seed, 3) ? 0 : below(seed, 12);

	for (unsigned i = 0; i < n; i++)
		chain[i] = extensions[below(seed, 6)];
	put(f, 1, below(seed, 50) ? 0x60u | below(seed, 16) : model_random(seed));
	put(f, 1, model_random(seed));
	put_random(seed, f, 4);
	put(f, 1, n ? chain[0] : proto);
	put(f, 1, below(seed, 3) ? 64 : below(seed, 5));
	for (int end = 0; end < 2; end++) {
		bool mapped = !below(seed, 20);

		put(f, 8, mapped ? 0 : below(seed, 2) ? 0xfd00000000000000 : 0xfe80000000000000);
		put(f, 8, mapped ? 0xffff0a000001 : below(seed, 6));
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned len = chain[i] == 44 ? 0 : below(seed, 3);

		put(f, 1, i + 1 < n ? chain[i + 1] : proto);
		put(f, 1, len);
		put(f, 2, chain[i] == 44 && below(seed, 3) ? below(seed, 2) : model_random(seed));
		put_random(seed, f, chain[i] == 51 ? len * 4 + 4 : len * 8 + 4);
	}
	put_transport(seed, f, proto);
}

void model_frame(uint64_t *seed, struct model_frame *f)
{
	static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};
	unsigned tags = below(seed, 2) ? 0 : below(seed, 6);

	f->n = 0;
	f->tagged = false;
	put(f, 6, below(seed, 2) ? 0x020000000001 : model_random(seed));
	put(f, 6, 0x020000000000 + below(seed, 4));
	while (tags--) {
		put(f, 2, tpids[below(seed, 3)]);
		put(f, 2, below(seed, 3) ? below(seed, 12) : model_random(seed));
	}
	switch (below(seed, 12)) {
	case 0:
		put(f, 2, 0x0806);
		put_random(seed, f, 28);
		break;
	case 1:
		put(f, 2, below(seed, 2) ? 0x88cc : below(seed, 0x700));
		put_random(seed, f, below(seed, 60));
		break;
	case 2:
		put_random(seed, f, 2 + below(seed, 80));
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		put(f, 2, 0x86dd);
		put_ip6(seed, f);
		break;
	default:
		put(f, 2, 0x0800);
		put_ip4(seed, f);
	}
	if (!below(seed, 8))
		f->n = 14 + below(seed, f->n);
	if (f->n < 14)
		f->n = 14;
	if (!below(seed, 8))
		f->bytes[below(seed, f->n)] = (uint8_t)model_random(seed);
}

/* --- headers --------------------------------------------------------------------------------------- */

enum { ABSENT = -1 };

struct headers {
	int64_t type, vlan, pcp, inner, version, proto, ttl, dscp, sport, dport, flags, icmp, code, len;
	bool fragment;
	const uint8_t *mac[2];
	uint8_t ip[2][16];
};

/* The frame as on the wire, byte by byte; -1 beyond its end. */
static int64_t wire(const struct model_frame *f, unsigned at, unsigned size)
{
	int64_t v = 0;

	for (unsigned i = at; i < at + size; i++) {
		uint8_t tag[4] = {(uint8_t)(f->tpid >> 8), (uint8_t)f->tpid, (uint8_t)(f->tci >> 8),
				  (uint8_t)f->tci};
		unsigned from = f->tagged && i >= 16 ? i - 4 : i;

		if (f->tagged && i >= 12 && i < 16) {
			v = v << 8 | tag[i - 12];
			continue;
		}
		if (from >= f->n)
			return ABSENT;
		v = v << 8 | f->bytes[from];
	}
	return v;
}

static void upper(const struct model_frame *f, unsigned at, struct headers *h)
{
	bool ports_too = h->proto == 6 || h->proto == 17 || h->proto == 132;

	if (ports_too && wire(f, at, 4) != ABSENT) {
		h->sport = wire(f, at, 2);
		h->dport = wire(f, at + 2, 2);
	}
	if (h->proto == 6 && h->sport != ABSENT)
		h->flags = wire(f, at + 13, 1);
	if ((h->proto == 1 || h->proto == 58) && wire(f, at, 2) != ABSENT) {
		h->icmp = wire(f, at, 1);
		h->code = wire(f, at + 1, 1);
	}
}

static void version4(const struct model_frame *f, unsigned at, struct headers *h)
{
	int64_t first = wire(f, at, 1), offset;

	if (wire(f, at + 19, 1) == ABSENT || first >> 4 != 4 || (first & 15) < 5)
		return;
	h->version = 4;
	h->dscp = wire(f, at + 1, 1) / 4;
	h->ttl = wire(f, at + 8, 1);
	h->proto = wire(f, at + 9, 1);
	for (unsigned end = 0; end < 2; end++) {
		memset(h->ip[end], 0, 10);
		memset(h->ip[end] + 10, 255, 2);
		for (unsigned i = 0; i < 4; i++)
			h->ip[end][12 + i] = (uint8_t)wire(f, at + 12 + 4 * end + i, 1);
	}
	offset = wire(f, at + 6, 2);
	h->fragment = offset % 0x4000 != 0;
	if (offset % 0x2000 == 0)
		upper(f, at + (unsigned)(first & 15) * 4, h);
}

static void version6(const struct model_frame *f, unsigned at, struct headers *h)
{
	unsigned seen = 0;

	if (wire(f, at + 39, 1) == ABSENT || wire(f, at, 1) >> 4 != 6)
		return;
	h->version = 6;
	h->dscp = (wire(f, at, 2) & 0xfff) >> 6;
	h->ttl = wire(f, at + 7, 1);
	h->proto = wire(f, at + 6, 1);
	for (unsigned i = 0; i < 32; i++)
		h->ip[i / 16][i % 16] = (uint8_t)wire(f, at + 8 + i, 1);
	at += 40;
	while (h->proto == 0 || h->proto == 43 || h->proto == 44 || h->proto == 51 || h->proto == 60 ||
	       h->proto == 135) {
		int64_t next = wire(f, at, 1), len = wire(f, at + 1, 1);

		if (wire(f, at + 7, 1) == ABSENT)
			return;
		if (h->proto == 44) {
			h->fragment = true;
			if (wire(f, at + 2, 2) >= 8) {
				h->proto = next;
				return;
			}
			len = 0;
		}
		len = h->proto == 51 ? len * 4 + 8 : len * 8 + 8;
		/* The last byte of the header must be there; eight headers are looked through. */
		if (wire(f, at + (unsigned)len - 1, 1) == ABSENT || ++seen == 8)
			return;
		h->proto = next;
		at += (unsigned)len;
	}
	upper(f, at, h);
}

static void look(const struct model_frame *f, struct headers *h)
{
	unsigned at = 12, tags = 0;
	int64_t type;

	memset(h, 0xff, sizeof(*h));
	h->fragment = false;
	h->len = f->n + (f->tagged ? 4 : 0);
	h->mac[0] = f->bytes + 6;
	h->mac[1] = f->bytes;
	for (type = wire(f, at, 2); type == 0x8100 || type == 0x88a8 || type == 0x9100;
	     type = wire(f, at, 2)) {
		if (tags == 4 || wire(f, at + 2, 4) == ABSENT)
			return;
		if (tags == 0) {
			h->vlan = wire(f, at + 2, 2) % 4096;
			h->pcp = wire(f, at + 2, 2) / 8192;
		}
		if (tags == 1)
			h->inner = wire(f, at + 2, 2) % 4096;
		tags++;
		at += 4;
	}
	if (type < 0x600)
		return;
	h->type = type;
	if (type == 0x0800)
		version4(f, at + 2, h);
	if (type == 0x86dd)
		version6(f, at + 2, h);
}

/* --- filters --------------------------------------------------------------------------------------- */

enum what { IP, PORT, MAC, FLAG, NUMBER, HAS_NUMBER, HAS_PORT };

struct model_tree {
	char op; /* '&' '|' '!' or 0: a test */
	struct model_tree *l, *r;
	enum what what;
	int side;      /* 0 source, 1 destination, 2 either */
	unsigned name; /* of FLAG, NUMBER */
	int64_t lo, hi;
	uint8_t from[16], to[16];
};

static const char *const flags[] = {"tcp",     "udp",	  "sctp",    "icmp",	    "arp",
				    "ip4",     "ip6",	  "vlan",    "ip.fragment", "tcp.fin",
				    "tcp.syn", "tcp.rst", "tcp.psh", "tcp.ack",	    "tcp.urg"};
static const struct number {
	const char *path;
	size_t at;
	uint32_t usual; /* a value that packets have; random ones lie around it */
	uint32_t top;
	bool order;
} numbers[] = {{"proto", offsetof(struct headers, proto), 6, 255, false},
	       {"len", offsetof(struct headers, len), 60, 2000, true},
	       {"eth.type", offsetof(struct headers, type), 0x0800, 0xffff, false},
	       {"vlan.id", offsetof(struct headers, vlan), 5, 4095, true},
	       {"vlan.pcp", offsetof(struct headers, pcp), 0, 7, true},
	       {"vlan.inner.id", offsetof(struct headers, inner), 5, 4095, true},
	       {"ip.ttl", offsetof(struct headers, ttl), 64, 255, true},
	       {"ip.dscp", offsetof(struct headers, dscp), 0, 63, true},
	       {"icmp.type", offsetof(struct headers, icmp), 8, 255, true},
	       {"icmp.code", offsetof(struct headers, code), 1, 255, true},
	       {"tcp.flags", offsetof(struct headers, flags), 18, 255, false}};

static int64_t number_of(const struct headers *h, unsigned name)
{
	int64_t v;

	memcpy(&v, (const char *)h + numbers[name].at, sizeof(v));
	return v;
}

static bool flag_of(const struct headers *h, unsigned name)
{
	switch (name) {
	case 0:
		return h->proto == 6;
	case 1:
		return h->proto == 17;
	case 2:
		return h->proto == 132;
	case 3:
		return h->proto == 1 || h->proto == 58;
	case 4:
		return h->type == 0x0806;
	case 5:
		return h->version == 4;
	case 6:
		return h->version == 6;
	case 7:
		return h->vlan != ABSENT;
	case 8:
		return h->fragment;
	default:
		return h->flags != ABSENT && h->flags >> (name - 9) & 1;
	}
}

static bool mapped(const uint8_t *ip)
{
	static const uint8_t prefix[12] = {[10] = 255, [11] = 255};

	return !memcmp(ip, prefix, 12);
}

static bool test(const struct model_tree *t, const struct headers *h, int side)
{
	int64_t port = side ? h->dport : h->sport, mac = 0;

	switch (t->what) {
	case IP:
		return h->version != ABSENT && mapped(t->from) == mapped(h->ip[side]) &&
		       memcmp(h->ip[side], t->from, 16) >= 0 && memcmp(h->ip[side], t->to, 16) <= 0;
	case PORT:
		return port != ABSENT && port >= t->lo && port <= t->hi;
	case HAS_PORT:
		return port != ABSENT;
	case MAC:
		for (int i = 0; i < 6; i++)
			mac = mac << 8 | h->mac[side][i];
		return mac == t->lo;
	case FLAG:
		return flag_of(h, t->name);
	case NUMBER:
		return number_of(h, t->name) != ABSENT && number_of(h, t->name) >= t->lo &&
		       number_of(h, t->name) <= t->hi;
	case HAS_NUMBER:
		return number_of(h, t->name) != ABSENT;
	}
	return false;
}

static bool judge(const struct model_tree *t, const struct headers *h)
{
	switch (t->op) {
	case '&':
		return judge(t->l, h) && judge(t->r, h);
	case '|':
		return judge(t->l, h) || judge(t->r, h);
	case '!':
		return !judge(t->l, h);
	default:
		return t->side == 2 ? test(t, h, 0) || test(t, h, 1) : test(t, h, t->side);
	}
}

bool model_judge(const struct model_tree *t, const struct model_frame *f)
{
	struct headers h;

	look(f, &h);
	return judge(t, &h);
}

void model_free(struct model_tree *t)
{
	if (!t)
		return;
	model_free(t->l);
	model_free(t->r);
	free(t);
}

struct text {
	char *p;
	size_t n, size;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (t->n < t->size)
		t->n += (size_t)vsnprintf(t->p + t->n, t->size - t->n, fmt, ap);
	va_end(ap);
}

static void an_address(uint64_t *seed, struct model_tree *t, struct text *text)
{
	static const struct {
		const char *text;
		uint8_t from[16], to[16];
	} some[] = {
	    {"10.0.0.1", {[10] = 255, 255, 10, 0, 0, 1}, {[10] = 255, 255, 10, 0, 0, 1}},
	    {"10.0.0.0/8", {[10] = 255, 255, 10}, {[10] = 255, 255, 10, 255, 255, 255}},
	    {"192.168.0.7-192.168.1.200",
	     {[10] = 255, 255, 192, 168, 0, 7},
	     {[10] = 255, 255, 192, 168, 1, 200}},
	    {"0.0.0.0/0", {[10] = 255, 255}, {[10] = 255, 255, 255, 255, 255, 255}},
	    {"fd00::1", {0xfd, [15] = 1}, {0xfd, [15] = 1}},
	    {"fd00::/64", {0xfd}, {0xfd, [8] = 255, 255, 255, 255, 255, 255, 255, 255}},
	    {"fd00::3-fe80::2", {0xfd, [15] = 3}, {0xfe, 0x80, [15] = 2}},
	    {"::/0", {0}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}};
	unsigned i = below(seed, 8);

	memcpy(t->from, some[i].from, 16);
	memcpy(t->to, some[i].to, 16);
	say(text, "ip == %s", some[i].text);
}

static void a_range(uint64_t *seed, struct model_tree *t, const char *path, uint32_t usual, uint32_t top,
		    bool order, struct text *text)
{
	t->lo = t->hi = below(seed, 3) ? usual : below(seed, top + 1);
	switch (order ? below(seed, 4) : 0) {
	case 1:
		t->lo = 0;
		say(text, "%s <= %ld", path, (long)t->hi);
		return;
	case 2:
		t->hi = INT64_MAX;
		say(text, "%s >= %ld", path, (long)t->lo);
		return;
	case 3:
		t->hi = t->lo + below(seed, top - (uint32_t)t->lo + 1);
		say(text, "%s in {%ld-%ld}", path, (long)t->lo, (long)t->hi);
		return;
	default:
		say(text, "%s == %ld", path, (long)t->lo);
	}
}

static void a_test(uint64_t *seed, struct model_tree *t, struct text *text)
{
	static const char *const sides[] = {"src.", "dst.", ""};
	static const enum what kinds[] = {IP,	IP,	PORT,	PORT,	MAC,	    FLAG,    FLAG,
					  FLAG, NUMBER, NUMBER, NUMBER, HAS_NUMBER, HAS_PORT};

	t->what = kinds[below(seed, 13)];
	t->side = 0;
	t->name = below(seed, t->what == FLAG ? 15 : 11);
	if (t->what == IP || t->what == PORT || t->what == MAC) {
		t->side = (int)below(seed, 3);
		say(text, "%s", sides[t->side]);
	}
	switch (t->what) {
	case IP:
		an_address(seed, t, text);
		return;
	case PORT:
		a_range(seed, t, "port", ports[below(seed, 6)], 65535, true, text);
		return;
	case MAC:
		t->lo = 0x020000000000 + below(seed, 4);
		say(text, "mac == 02:00:00:00:00:%02x", (unsigned)(t->lo & 255));
		return;
	case FLAG:
		say(text, "%s", flags[t->name]);
		return;
	case NUMBER:
		a_range(seed, t, numbers[t->name].path, numbers[t->name].usual, numbers[t->name].top,
			numbers[t->name].order, text);
		return;
	case HAS_NUMBER:
		say(text, "has(%s)", numbers[t->name].path);
		return;
	case HAS_PORT:
		t->side = 2;
		say(text, "has(port)");
	}
}

static struct model_tree *grow(uint64_t *seed, unsigned depth, struct text *text)
{
	struct model_tree *t = calloc(1, sizeof(*t));
	unsigned kind = depth ? below(seed, 7) : 6;

	if (!t)
		abort();
	if (kind > 4) {
		a_test(seed, t, text);
	} else if (kind == 4) {
		t->op = '!';
		say(text, "!(");
		t->l = grow(seed, depth - 1, text);
		say(text, ")");
	} else {
		t->op = kind & 1 ? '&' : '|';
		say(text, "(");
		t->l = grow(seed, depth - 1, text);
		say(text, t->op == '&' ? " && " : " || ");
		t->r = grow(seed, depth - 1, text);
		say(text, ")");
	}
	return t;
}

struct model_tree *model_tree(uint64_t *seed, char *text, size_t size)
{
	struct text t = {text, 0, size};

	return grow(seed, 1 + below(seed, 4), &t);
}

/* --- classic BPF ----------------------------------------------------------------------------------- */

uint32_t model_classic(uint64_t *seed, struct filter_classic *c)
{
	static const uint16_t codes[] = {0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x81,
					 0xb1, 0xb1, 0x01, 0x61, 0x02, 0x03, 0x07, 0x87, 0x84, 0x04,
					 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54,
					 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x94, 0x9c, 0xa4, 0xac, 0x05,
					 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x06, 0x16};
	uint32_t n = 2 + model_random(seed) % (MODEL_CLASSIC_MAX - 2);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t left = n - i - 1;
		uint16_t code = codes[model_random(seed) % (left ? (sizeof(codes) / sizeof(*codes)) : 1)];
		uint32_t k = model_random(seed) % 40;

		if (!left)
			code = model_random(seed) & 1 ? 0x06 : 0x16;
		if ((code & 7) == 5 && !left)
			code = 0x06;
		if ((code & 7) == 4 && !(code & 8) && model_random(seed) % 3 == 0)
			k = model_random(seed);
		if ((code & 0xe7) == 0x40 && model_random(seed) % 8 == 0)
			k = model_random(seed); /* indirect, far away */
		if (code == 0x60 || code == 0x61 || code == 0x02 || code == 0x03)
			k %= 16;
		if ((code == 0x34 || code == 0x94) && !k)
			k = 7;
		if (code == 0x64 || code == 0x74)
			k %= 32;
		c[i] = (struct filter_classic){.code = code, .k = code == 0x05 ? k % left : k};
		if ((code & 7) == 5 && code != 0x05) {
			c[i].jt = (uint8_t)(model_random(seed) % left);
			c[i].jf = (uint8_t)(model_random(seed) % left);
			c[i].k = model_random(seed) & 1 ? k : model_random(seed) % 65536;
		}
	}
	return n;
}
