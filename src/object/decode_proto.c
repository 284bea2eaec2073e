/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' protobuf form of an object as JSON text, by tables/proto.def and the field tables: for clients
 * that send nothing else. What has no row is refused, never dropped. Bytes are a stranger's: each length is
 * held against what is left. See decode.h.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/own.h"
#include "object/decode.h"

enum { DEPTH_MAX = 32 };

#define STRUCT_BEGIN(id) extern const struct struct_desc id##_desc;
#define FIELD(...)
#define STRUCT_END(id)
#include "tables/fields.def"
#undef STRUCT_BEGIN
#undef FIELD
#undef STRUCT_END

enum zero { VAL, OPT, BYTES };

static const struct proto_row {
	const struct struct_desc *desc;
	const char *json;
	uint32_t number;
	enum zero zero;
} rows[] = {
#define PROTO(id, json, number, zero) {&id##_desc, json, number, zero},
#include "tables/proto.def"
#undef PROTO
};

struct item { /* one field of a message */
	uint32_t number, wire;
	uint64_t v;	  /* wire 0 */
	struct str bytes; /* wire 2 */
};

static bool take_varint(struct str *s, uint64_t *out)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && s->n; shift += 7) {
		uint8_t c = (uint8_t)*s->p++;
		s->n--;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* false at the end, and where the bytes are no message (then s is not empty). */
static bool take_item(struct str *s, struct item *it)
{
	struct str at = *s;
	uint64_t tag, n;
	*it = (struct item){0};
	if (!at.n || !take_varint(&at, &tag) || tag >> 3 == 0 || tag >> 3 > 536870911)
		return false;
	it->number = (uint32_t)(tag >> 3);
	it->wire = tag & 7;
	if (it->wire == 0) {
		if (!take_varint(&at, &it->v))
			return false;
	} else if (it->wire == 2) {
		if (!take_varint(&at, &n) || n > at.n)
			return false;
		it->bytes = (struct str){at.p, (size_t)n};
		at = (struct str){at.p + n, at.n - (size_t)n};
	} else {
		return false;
	}
	*s = at;
	return true;
}

struct str proto_field(struct str message, uint32_t number)
{
	struct item it;
	struct str found = {0};
	while (take_item(&message, &it))
		if (it.number == number && it.wire == 2)
			found = it.bytes;
	return found;
}

struct proto {
	struct buf *out, *why;
};

static bool refuse(struct proto *p, const char *where, const char *what)
{
	if (!p->why->n)
		buf_printf(p->why, "%s: %s", where, what);
	return false;
}

static const struct field_desc *field_of(const struct struct_desc *d, uint32_t number, enum zero *zero)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].desc != d || rows[i].number != number)
			continue;
		*zero = rows[i].zero;
		for (uint32_t k = 0; k < d->n; k++)
			if (!strcmp(d->fields[k].json, rows[i].json))
				return &d->fields[k];
	}
	return NULL;
}

static bool has_number(const struct struct_desc *d, uint32_t number)
{
	enum zero zero;
	return field_of(d, number, &zero) != NULL;
}

static void print_base64(struct buf *b, struct str s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;
		size_t n = s.n - i < 3 ? s.n - i : 3;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (uint8_t)s.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buf_addc(b, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
	}
	buf_addc(b, '"');
}

static bool print_struct(struct proto *p, const struct struct_desc *d, struct str message, unsigned depth);

static void print_pair(struct proto *p, const struct field_desc *f, struct str pair, enum zero zero)
{
	struct str value = proto_field(pair, 2);
	buf_json(p->out, proto_field(pair, 1));
	buf_addc(p->out, ':');
	if (zero == BYTES)
		print_base64(p->out, value);
	else
		buf_json(p->out, f->flags & FIELD_QUANTITY ? proto_field(value, 1) : value);
}

/* Number or text: {1: which, 2: number, 3: text}. */
static void print_intstr(struct proto *p, struct str message)
{
	struct item it;
	uint64_t which = 0, number = 0;
	struct str text = {0};
	while (take_item(&message, &it)) {
		if (it.number == 1)
			which = it.v;
		else if (it.number == 2)
			number = it.v;
		else if (it.number == 3)
			text = it.bytes;
	}
	if (which)
		buf_json(p->out, text);
	else
		buf_printf(p->out, "%lld", (long long)(int64_t)number);
}

static void print_time(struct proto *p, struct str message)
{
	struct item it;
	char text[21];
	int64_t seconds = 0;
	while (take_item(&message, &it))
		if (it.number == 1)
			seconds = (int64_t)it.v;
	clock_rfc3339(seconds < 0 || seconds > 253402300799 ? 0 : seconds, text);
	buf_printf(p->out, "\"%s\"", text);
}

static bool is_none(const struct field_desc *f, const struct item *it, enum zero zero)
{
	if (f->shape == SHAPE_TIME)
		return !it->bytes.n;
	if (f->shape == SHAPE_STR)
		return !it->bytes.n;
	return zero == VAL && (f->shape == SHAPE_INT || f->shape == SHAPE_BOOL) && !it->v;
}

static bool print_one(struct proto *p, const struct struct_desc *d, const struct field_desc *f,
		      const struct item *it, enum zero zero, unsigned depth)
{
	bool number = f->shape == SHAPE_INT || f->shape == SHAPE_BOOL;
	if (number != (it->wire == 0))
		return refuse(p, d->name, "a field has the wrong wire type");
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_STRS:
		buf_json(p->out, it->bytes);
		return true;
	case SHAPE_TIME:
		print_time(p, it->bytes);
		return true;
	case SHAPE_INT:
		buf_printf(p->out, "%lld", (long long)(int64_t)it->v);
		return true;
	case SHAPE_BOOL:
		buf_addz(p->out, it->v ? "true" : "false");
		return true;
	case SHAPE_INTSTR:
		print_intstr(p, it->bytes);
		return true;
	case SHAPE_MAP:
		print_pair(p, f, it->bytes, zero);
		return true;
	case SHAPE_ONE:
	case SHAPE_MANY:
		return print_struct(p, f->type, it->bytes, depth + 1);
	case SHAPE_OPAQUE:
		buf_addz(p->out, "{}");
		return it->bytes.n ? refuse(p, f->json, "is not read in this form") : true;
	}
	return false;
}

/* All items of the same number as the first of `message`, which begins there: one member. */
static bool print_member(struct proto *p, const struct struct_desc *d, struct str message, uint32_t number,
			 unsigned depth, bool *some)
{
	enum zero zero = VAL;
	const struct field_desc *f = field_of(d, number, &zero);
	struct item it;
	bool list = f->shape == SHAPE_MANY || f->shape == SHAPE_STRS ||
		    (f->shape == SHAPE_OPAQUE && f->flags & FIELD_LIST),
	     map = f->shape == SHAPE_MAP, first = true;
	while (take_item(&message, &it)) {
		if (it.number != number || (!list && !map && is_none(f, &it, zero)))
			continue;
		/* Of a value that comes twice the first is taken. */
		if (!first && !list && !map)
			break;
		if (first)
			buf_printf(p->out, "%s\"%s\":%s", *some ? "," : "", f->json,
				   list	 ? "["
				   : map ? "{"
					 : "");
		else
			buf_addc(p->out, ',');
		*some = true;
		first = false;
		if (!print_one(p, d, f, &it, zero, depth))
			return false;
	}
	if (!first && (list || map))
		buf_addc(p->out, list ? ']' : '}');
	return true;
}

static bool print_members(struct proto *p, const struct struct_desc *d, struct str message, unsigned depth,
			  bool *some)
{
	struct item it;
	uint64_t done = 0; /* numbers below 64 are all that there are */
	for (struct str rest = message; rest.n;) {
		char text[32];
		if (!take_item(&rest, &it))
			return refuse(p, d->name, "the bytes are no protobuf message");
		snprintf(text, sizeof(text), "field %u is not known", it.number);
		if (it.number >= 64 || !has_number(d, it.number)) {
			if (it.v || it.bytes.n)
				return refuse(p, d->name, text);
			continue; /* an empty value says nothing */
		}
		if (done & (1ULL << it.number))
			continue;
		done |= 1ULL << it.number;
		if (!print_member(p, d, message, it.number, depth, some))
			return false;
	}
	return true;
}

static bool print_struct(struct proto *p, const struct struct_desc *d, struct str message, unsigned depth)
{
	bool some = false;
	if (depth > DEPTH_MAX)
		return refuse(p, d->name, "nested too deep");
	buf_addc(p->out, '{');
	bool good = print_members(p, d, message, depth, &some);
	buf_addc(p->out, '}');
	return good;
}

/* metadata 1, spec 2 and status 3 of the kinds with a spec; the others have their members in the table. */
static bool print_object(struct proto *p, const struct kind_desc *k, struct str raw)
{
	const struct struct_desc *spec = NULL;
	for (uint32_t i = 0; i < k->members->n; i++)
		if (!strcmp(k->members->fields[i].json, "spec"))
			spec = k->members->fields[i].type;
	buf_printf(p->out, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":", kind_api_version(k),
		   k->name);
	if (!print_struct(p, &metadata_desc, proto_field(raw, 1), 1))
		return false;
	AUTO_BUF rest = {0};
	struct item it;
	bool some = true;
	for (struct str from = raw; from.n;) {
		const char *begin = from.p;
		if (!take_item(&from, &it))
			return refuse(p, k->name, "the bytes are no protobuf message");
		if (it.number != 1 && !spec)
			buf_add(&rest, begin, (size_t)(from.p - begin));
		else if (it.number > 3)
			return refuse(p, k->name, "a field is not known");
	}
	if (spec) {
		buf_addz(p->out, ",\"spec\":");
		if (!print_struct(p, spec, proto_field(raw, 2), 1))
			return false;
	} else if (rest.n && !print_members(p, k->members, buf_str(&rest), 1, &some)) {
		return false;
	}
	buf_addc(p->out, '}');
	return true;
}

int decode_proto_json(struct str body, struct buf *out, struct buf *why)
{
	struct str magic = {"k8s\0", 4};
	struct proto p = {.out = out, .why = why};
	if (!str_starts(body, magic))
		return refuse(&p, "the body", "it does not begin as Kubernetes' protobuf does"), -EINVAL;
	body = (struct str){body.p + 4, body.n - 4};
	struct str type = proto_field(body, 1), raw = proto_field(body, 2);
	const struct kind_desc *k = kind_by_api(proto_field(type, 1), proto_field(type, 2));
	if (!k)
		return refuse(&p, "the body", "its kind is not known here"), -EINVAL;
	return print_object(&p, k, raw) ? out->failed ? -ENOMEM : 0 : -EINVAL;
}
