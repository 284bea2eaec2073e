/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict streaming JSON scanner (RFC 8259) as a feed: one pass, no tree, byte positions, UTF-8 checked.
 * Never reads past its text and recurses nowhere. Called by the decoder, and by the printers that take opaque
 * JSON apart.
 */
#include <errno.h>

#include "object/feed.h"
#include "object/scalar.h"

enum expect { VALUE, VALUE_OR_END, KEY_OR_END, KEY, COLON, COMMA_OR_END, NOTHING };

static struct pos here(const struct json_feed *f, size_t at, size_t len)
{
	return (struct pos){.file = f->file,
			    .line = f->line,
			    .col = (uint32_t)(at - f->line_start + 1),
			    .len = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len};
}

static int refuse(struct json_feed *f, size_t at, const char *what)
{
	if (f->rs)
		remark_add(f->rs, REMARK_ERROR, here(f, at, 1), NULL, "not valid JSON: %s", what);
	f->expect = NOTHING;
	return -EINVAL;
}

static void skip_space(struct json_feed *f)
{
	for (; f->at < f->text.n; f->at++) {
		char c = f->text.p[f->at];
		if (c == '\n') {
			f->line++;
			f->line_start = f->at + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

static bool in_map(const struct json_feed *f)
{
	return f->depth && (f->maps[(f->depth - 1) / 64] >> ((f->depth - 1) % 64) & 1);
}

static void after_value(struct json_feed *f)
{
	f->expect = f->depth ? COMMA_OR_END : NOTHING;
}

static int open_bracket(struct json_feed *f, struct feed_event *ev, bool map)
{
	if (f->depth == JSON_FEED_DEPTH)
		return refuse(f, f->at, "nested too deeply");
	uint64_t bit = 1ULL << (f->depth % 64);
	if (map)
		f->maps[f->depth / 64] |= bit;
	else
		f->maps[f->depth / 64] &= ~bit;
	f->depth++;
	f->at++;
	ev->type = map ? FEED_MAP : FEED_SEQ;
	ev->flow = true;
	ev->len = 1;
	f->expect = map ? KEY_OR_END : VALUE_OR_END;
	return 0;
}

static int close_bracket(struct json_feed *f, struct feed_event *ev)
{
	f->depth--;
	f->at++;
	ev->type = FEED_END;
	ev->len = 1;
	after_value(f);
	return 0;
}

/* The 4 digits of \uXXXX at `at`, or -1. */
static int hex4(const struct json_feed *f, size_t at)
{
	int v = 0;
	if (f->text.n - at < 4)
		return -1;
	for (size_t i = 0; i < 4; i++) {
		char c = f->text.p[at + i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static void add_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
	} else if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(b, (char)(0xe0 | c >> 12));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(b, (char)(0xf0 | c >> 18));
		buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

static int unicode_escape(struct json_feed *f, size_t *at)
{
	int hi = hex4(f, *at);
	if (hi < 0)
		return refuse(f, *at, "expected four hexadecimal digits after \\u");
	*at += 4;
	if (hi >= 0xdc00 && hi <= 0xdfff)
		return refuse(f, *at - 4, "the second half of a surrogate pair stands alone");
	if (hi < 0xd800 || hi > 0xdbff) {
		add_utf8(&f->scratch, (uint32_t)hi);
		return 0;
	}
	int lo = f->text.n - *at >= 6 && f->text.p[*at] == '\\' && f->text.p[*at + 1] == 'u'
		     ? hex4(f, *at + 2)
		     : -1;
	if (lo < 0xdc00 || lo > 0xdfff)
		return refuse(f, *at - 4, "the first half of a surrogate pair stands alone");
	*at += 6;
	add_utf8(&f->scratch, 0x10000 + (((uint32_t)hi & 0x3ff) << 10 | ((uint32_t)lo & 0x3ff)));
	return 0;
}

static int escape(struct json_feed *f, size_t *at)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (*at >= f->text.n)
		return refuse(f, *at, "a string does not end");
	char c = f->text.p[(*at)++];
	if (c == 'u')
		return unicode_escape(f, at);
	const char *e = c ? strchr(from, c) : NULL;
	if (!e)
		return refuse(f, *at - 1, "unknown escape after \"\\\"");
	buf_addc(&f->scratch, to[e - from]);
	return 0;
}

/* Reads a string whose opening quote is at f->at. Without escapes the text is a slice of the input. */
static int string(struct json_feed *f, struct feed_event *ev)
{
	size_t start = f->at, at = start + 1, run = at;
	bool escaped = false;
	buf_clear(&f->scratch);
	for (;;) {
		if (at >= f->text.n)
			return refuse(f, start, "a string does not end");
		unsigned char c = (unsigned char)f->text.p[at];
		if (c == '"')
			break;
		if (c < 0x20)
			return refuse(f, at, "a control character inside a string; write it as an escape");
		if (c == '\\') {
			buf_add(&f->scratch, f->text.p + run, at - run);
			escaped = true;
			at++;
			int r = escape(f, &at);
			if (r)
				return r;
			run = at;
			continue;
		}
		size_t n = str_utf8(f->text.p + at, f->text.n - at);
		if (!n)
			return refuse(f, at, "bytes that are not UTF-8");
		at += n;
	}
	ev->text = (struct str){.p = f->text.p + run, .n = at - run};
	if (escaped) {
		buf_add(&f->scratch, f->text.p + run, at - run);
		if (f->scratch.failed)
			return refuse(f, start, "out of memory");
		ev->text = (struct str){.p = f->scratch.p ? f->scratch.p : "", .n = f->scratch.n};
	}
	f->at = at + 1;
	ev->type = FEED_SCALAR;
	ev->plain = false;
	ev->len = here(f, start, f->at - start).len;
	return 0;
}

/* A number, true, false or null. */
static int bare_word(struct json_feed *f, struct feed_event *ev)
{
	size_t start = f->at, at = start;
	while (at < f->text.n && !strchr(" \t\r\n,:[]{}\"", f->text.p[at]))
		at++;
	if (at < f->text.n && !f->text.p[at])
		at++;
	struct str w = {.p = f->text.p + start, .n = at - start};
	if (!str_eqz(w, "true") && !str_eqz(w, "false") && !str_eqz(w, "null") && !scalar_is_json_number(w))
		return refuse(f, start,
			      "expected a value: text in quotes, a number, true, false, null, { or [");
	f->at = at;
	ev->type = FEED_SCALAR;
	ev->plain = true;
	ev->text = w;
	ev->len = here(f, start, w.n).len;
	after_value(f);
	return 0;
}

static int value(struct json_feed *f, struct feed_event *ev)
{
	switch (f->text.p[f->at]) {
	case '{':
		return open_bracket(f, ev, true);
	case '[':
		return open_bracket(f, ev, false);
	case '"':
		after_value(f);
		return string(f, ev);
	default:
		return bare_word(f, ev);
	}
}

/* Steps over the punctuation before the next event. 0, or the error. */
static int punctuation(struct json_feed *f)
{
	if (f->expect == COMMA_OR_END && f->text.p[f->at] == ',') {
		f->at++;
		f->expect = in_map(f) ? KEY : VALUE;
		skip_space(f);
	} else if (f->expect == COLON) {
		if (f->text.p[f->at] != ':')
			return refuse(f, f->at, "expected \":\" after a member's name");
		f->at++;
		f->expect = VALUE;
		skip_space(f);
	}
	return f->at < f->text.n ? 0 : refuse(f, f->at, "the text ends too early");
}

static int next_event(struct feed *feed, struct feed_event *ev)
{
	struct json_feed *f = (struct json_feed *)feed;
	*ev = (struct feed_event){.type = FEED_EOF};
	skip_space(f);
	if (f->expect == NOTHING)
		return f->at < f->text.n ? refuse(f, f->at, "something follows the end of the value") : 0;
	if (f->at >= f->text.n)
		return refuse(f, f->at, f->at ? "the text ends too early" : "the text is empty");
	int r = punctuation(f);
	if (r)
		return r;
	struct pos p = here(f, f->at, 1);
	ev->line = p.line;
	ev->col = p.col;
	ev->offset = f->at;
	char c = f->text.p[f->at];
	bool map = in_map(f);
	if ((c == '}' && map && (f->expect == KEY_OR_END || f->expect == COMMA_OR_END)) ||
	    (c == ']' && f->depth && !map && (f->expect == VALUE_OR_END || f->expect == COMMA_OR_END)))
		return close_bracket(f, ev);
	if (f->expect == COMMA_OR_END)
		return refuse(f, f->at, map ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
	if (f->expect == KEY || f->expect == KEY_OR_END) {
		if (c != '"')
			return refuse(f, f->at, "expected a member's name in double quotes");
		f->expect = COLON;
		return string(f, ev);
	}
	return value(f, ev);
}

static int json_next(struct feed *feed, struct feed_event *ev)
{
	int r = next_event(feed, ev);
	ev->end = ((struct json_feed *)feed)->at;
	return r;
}

void json_feed_init(struct json_feed *f, struct str text, struct file *file, struct remarks *rs)
{
	*f = (struct json_feed){.feed = {.next = json_next}, .text = text, .file = file, .rs = rs, .line = 1};
	f->expect = VALUE;
}

void json_feed_fini(struct json_feed *f)
{
	buf_fini(&f->scratch);
}
