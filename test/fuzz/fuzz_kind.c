/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each kind's decoder: the bytes choose a kind, which of its fields to write, and their values, likely ones
 * and odd ones. The text is JSON, or the same as YAML (of which JSON is a part).
 */
#include "object/layout.h"
#include "roundtrip.h"

struct source {
	const uint8_t *p;
	size_t n;
};

static unsigned draw(struct source *s, unsigned below)
{
	if (!s->n)
		return 0;
	s->n--;
	return *s->p++ % below;
}

static void write_text(struct buf *b, struct source *s, const struct field_desc *f)
{
	static const char *const words[] = {"a",
					    "web",
					    "10.0.0.0/8",
					    "10.0.0.1",
					    "fd00::/64",
					    "fd00::1",
					    "None",
					    "TCP",
					    "Exists",
					    "In",
					    "Always",
					    "http",
					    "2026-01-02T03:04:05Z",
					    "",
					    "x.y",
					    "A_b",
					    "10.0.0.1/8",
					    "250m",
					    "default",
					    "kubernetes.io/name"};
	if (f->values && draw(s, 4)) {
		struct str rest = str_of(f->values), word = {0};
		for (unsigned i = draw(s, 5) + 1; i && rest.n; i--)
			word = str_cut(&rest, '|');
		buf_json(b, word);
	} else if (draw(s, 8)) {
		buf_json(b, str_of(words[draw(s, ARRAY_LEN(words))]));
	} else {
		size_t n = draw(s, 12);
		n = n < s->n ? n : s->n;
		buf_json(b, (struct str){.p = (const char *)s->p, .n = n});
		s->p += n;
		s->n -= n;
	}
}

static void write_number(struct buf *b, struct source *s)
{
	static const char *const numbers[] = {
	    "0",  "1",	 "80",	"443",	"30000", "65535", "65536",  "-1",
	    "90", "1.5", "1e3", "0x10", "true",	 "null",  "\"80\"", "9223372036854775807"};
	buf_addz(b, numbers[draw(s, ARRAY_LEN(numbers))]);
}

static void write_struct(struct buf *b, struct source *s, const struct struct_desc *d, unsigned depth);

static void write_value(struct buf *b, struct source *s, const struct field_desc *f, unsigned depth)
{
	unsigned n = draw(s, 4);
	if (!draw(s, 32)) { /* the wrong type */
		static const char *const odd[] = {"null",  "[]",     "{}",   "1",
						  "\"x\"", "[null]", "[{}]", "{\"a\":null}"};
		buf_addz(b, odd[draw(s, ARRAY_LEN(odd))]);
		return;
	}
	switch (f->shape) {
	case SHAPE_STR:
	case SHAPE_TIME:
		write_text(b, s, f);
		break;
	case SHAPE_INT:
		write_number(b, s);
		break;
	case SHAPE_INTSTR:
		n % 2 ? write_number(b, s) : write_text(b, s, f);
		break;
	case SHAPE_BOOL:
		buf_addz(b, n % 2 ? "true" : "false");
		break;
	case SHAPE_OPAQUE:
		buf_addz(b, n % 2 ? "{\"b\":[1.50,null],\"a\":\"\\u00fc\"}" : "[]");
		break;
	case SHAPE_ONE:
		write_struct(b, s, f->type, depth + 1);
		break;
	case SHAPE_MAP:
	case SHAPE_STRS:
	case SHAPE_MANY:
		buf_addc(b, f->shape == SHAPE_MAP ? '{' : '[');
		for (unsigned i = 0; i < n; i++) {
			if (i)
				buf_addc(b, ',');
			if (f->shape == SHAPE_MAP) {
				write_text(b, s, f);
				buf_addc(b, ':');
			}
			if (f->shape == SHAPE_MANY)
				write_struct(b, s, f->type, depth + 1);
			else
				write_text(b, s, f);
		}
		buf_addc(b, f->shape == SHAPE_MAP ? '}' : ']');
		break;
	}
}

static void write_members(struct buf *b, struct source *s, const struct struct_desc *d, unsigned depth,
			  bool some)
{
	for (uint32_t i = 0; i < d->n && s->n; i++) {
		const struct field_desc *f = &d->fields[i];
		if (!(f->flags & FIELD_REQ) && draw(s, 3) && f->shape != SHAPE_ONE)
			continue;
		if (depth > 12 && f->shape == SHAPE_ONE)
			continue;
		buf_printf(b, "%s\"%s\":", some ? "," : "", f->json);
		write_value(b, s, f, depth);
		some = true;
	}
}

static void write_struct(struct buf *b, struct source *s, const struct struct_desc *d, unsigned depth)
{
	buf_addc(b, '{');
	write_members(b, s, d, depth, false);
	buf_addc(b, '}');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source s = {.p = data, .n = size < 4096 ? size : 4096};
	struct remarks rs = {0};
	struct file *f;
	AUTO_BUF text = {0};
	const struct kind_desc *k = &kind_table[draw(&s, KIND_COUNT)];
	bool yaml = draw(&s, 2);
	buf_printf(&text, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"a\"",
		   kind_api_version(k), k->name);
	if (draw(&s, 2))
		write_members(&text, &s, &metadata_desc, 1, true);
	buf_addc(&text, '}');
	if (k->body)
		write_members(&text, &s, k->body, 1, true);
	buf_addc(&text, '}');
	if (text.failed || file_new(&f, "f", text.p, text.n))
		return 0;
	struct decoder_options opt = {.sink = roundtrip, .remarks = &rs};
	yaml ? decode_yaml(f, &opt) : decode_json(f, &opt);
	file_unref(&f);
	remarks_fini(&rs);
	return 0;
}
