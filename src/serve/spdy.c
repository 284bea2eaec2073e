/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes SPDY/3.1 frames (its draft 3.1, section 2). See spdy.h. */
#include "serve/spdy.h"

#include <errno.h>
#include <stdlib.h>

#include "serve/spdy_dictionary.h"

static uint32_t u32(const void *p)
{
	const unsigned char *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put32(struct buf *b, uint32_t v)
{
	const unsigned char raw[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
				      (unsigned char)(v >> 8), (unsigned char)v};
	buf_add(b, raw, 4);
}

int spdy_init(struct spdy *s)
{
	*s = (struct spdy){0};
	s->in_set = inflateInit(&s->in) == Z_OK;
	/* A small window: a connection costs 16 KiB, and headers are short. */
	s->out_set = deflateInit2(&s->out, Z_BEST_SPEED, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) == Z_OK;
	if (s->in_set && s->out_set &&
	    deflateSetDictionary(&s->out, (const Bytef *)spdy_dictionary, sizeof(spdy_dictionary) - 1) ==
		Z_OK)
		return 0;
	spdy_fini(s);
	return -ENOMEM;
}

void spdy_fini(struct spdy *s)
{
	if (s->in_set)
		inflateEnd(&s->in);
	if (s->out_set)
		deflateEnd(&s->out);
	s->in_set = s->out_set = false;
	buf_fini(&s->control);
	buf_fini(&s->block);
}

static enum spdy_event bad(struct spdy *s, const char *problem)
{
	s->problem = problem;
	return SPDY_BAD;
}

/* Each block ends by a flush; it may be at most SPDY_BLOCK_MAX bytes long when it is unpacked. */
static const char *unpack(struct spdy *s, struct str packed)
{
	char piece[2048];
	buf_clear(&s->block);
	s->in.next_in = (Bytef *)(uintptr_t)packed.p;
	s->in.avail_in = (uInt)packed.n;
	for (;;) {
		s->in.next_out = (Bytef *)piece;
		s->in.avail_out = sizeof(piece);
		int r = inflate(&s->in, Z_SYNC_FLUSH);
		if (r == Z_NEED_DICT) {
			if (inflateSetDictionary(&s->in, (const Bytef *)spdy_dictionary,
						 sizeof(spdy_dictionary) - 1) != Z_OK)
				return "headers packed with another dictionary";
			continue;
		}
		if (r != Z_OK && r != Z_BUF_ERROR)
			return "headers that cannot be unpacked";
		size_t got = sizeof(piece) - s->in.avail_out;
		buf_add(&s->block, piece, got);
		if (s->block.failed || s->block.n > SPDY_BLOCK_MAX)
			return "headers that are too long";
		if (s->in.avail_out)
			return s->in.avail_in ? "bytes after the headers" : NULL;
	}
}

static bool cut(struct str *rest, struct str *out)
{
	if (rest->n < 4)
		return false;
	size_t n = u32(rest->p);
	if (n > rest->n - 4)
		return false;
	*out = (struct str){rest->p + 4, n};
	rest->p += 4 + n;
	rest->n -= 4 + n;
	return true;
}

static const char *read_headers(struct spdy *s, struct str packed)
{
	const char *problem = unpack(s, packed);
	struct str rest = buf_str(&s->block);
	s->headers_len = 0;
	if (problem)
		return problem;
	if (rest.n < 4)
		return "headers that are cut off";
	uint32_t count = u32(rest.p);
	rest.p += 4;
	rest.n -= 4;
	if (count > SPDY_HEADERS_MAX)
		return "too many headers";
	for (uint32_t i = 0; i < count; i++) {
		struct spdy_header *h = &s->headers[s->headers_len];
		if (!cut(&rest, &h->name) || !cut(&rest, &h->value) || !h->name.n)
			return "headers that are cut off";
		s->headers_len++;
	}
	return rest.n ? "bytes after the headers" : NULL;
}

struct str spdy_header(const struct spdy *s, const char *name)
{
	for (size_t i = 0; i < s->headers_len; i++)
		if (str_eqz(s->headers[i].name, name))
			return s->headers[i].value;
	return (struct str){0};
}

static enum spdy_event control_event(struct spdy *s)
{
	static const uint8_t least[] = {
	    [SPDY_SYN_STREAM] = 10, [SPDY_SYN_REPLY] = 4, [SPDY_RST_STREAM] = 8, [SPDY_SETTINGS] = 4,
	    [SPDY_PING] = 4,	    [SPDY_GOAWAY] = 8,	  [SPDY_HEADERS] = 4,	 [SPDY_WINDOW_UPDATE] = 8};
	struct str body = buf_str(&s->control);
	unsigned type = (unsigned)s->head[2] << 8 | s->head[3];
	const char *problem = NULL;
	s->head_len = 0;
	s->headers_len = 0;
	if (type >= sizeof(least) || !least[type])
		return SPDY_MORE; /* an unknown control frame is passed over */
	if (body.n < least[type])
		return bad(s, "a control frame that is too short");
	s->type = type;
	s->stream = u32(body.p) & (type == SPDY_PING ? UINT32_MAX : INT32_MAX);
	s->fin = s->head[4] & SPDY_FIN &&
		 (type == SPDY_SYN_STREAM || type == SPDY_SYN_REPLY || type == SPDY_HEADERS);
	if (type == SPDY_SYN_STREAM || type == SPDY_SYN_REPLY || type == SPDY_HEADERS)
		problem = read_headers(s, (struct str){body.p + least[type], body.n - least[type]});
	return problem ? bad(s, problem) : SPDY_CONTROL;
}

static enum spdy_event head_read(struct spdy *s)
{
	s->left = u32(s->head + 4) & 0xffffff;
	s->data_frame = !(s->head[0] & 0x80);
	buf_clear(&s->control);
	if (s->data_frame)
		return SPDY_MORE;
	if (((s->head[0] & 0x7f) << 8 | s->head[1]) != 3)
		return bad(s, "another version of SPDY than 3");
	return s->left > SPDY_CONTROL_MAX ? bad(s, "a control frame that is too long") : SPDY_MORE;
}

static enum spdy_event data_event(struct spdy *s, char *p, size_t n)
{
	s->stream = u32(s->head) & INT32_MAX;
	s->data = p;
	s->len = n;
	s->fin = !s->left && s->head[4] & SPDY_FIN;
	if (!s->left)
		s->head_len = 0;
	return SPDY_DATA;
}

enum spdy_event spdy_feed(struct spdy *s, char **p, size_t *n)
{
	if (s->problem)
		return SPDY_BAD;
	for (;;) {
		while (s->head_len < 8 && *n) {
			s->head[s->head_len++] = (unsigned char)*(*p)++;
			--*n;
			if (s->head_len == 8 && head_read(s) == SPDY_BAD)
				return SPDY_BAD;
		}
		if (s->head_len < 8 || (s->left && !*n))
			return SPDY_MORE;
		size_t take = s->left < *n ? s->left : *n;
		char *at = *p;
		s->left -= (uint32_t)take;
		*p += take;
		*n -= take;
		if (s->data_frame)
			return data_event(s, at, take);
		buf_add(&s->control, at, take);
		if (s->control.failed)
			return bad(s, "out of memory");
		if (s->left)
			return SPDY_MORE;
		enum spdy_event e = control_event(s);
		if (e != SPDY_MORE)
			return e;
	}
}

static void control_head(struct buf *out, enum spdy_type type, unsigned flags, size_t len)
{
	put32(out, 0x80030000u | type);
	put32(out, (uint32_t)flags << 24 | (uint32_t)len);
}

static void pack(struct spdy *s, struct buf *out, struct str block)
{
	char piece[2048];
	s->out.next_in = (Bytef *)(uintptr_t)block.p;
	s->out.avail_in = (uInt)block.n;
	do {
		s->out.next_out = (Bytef *)piece;
		s->out.avail_out = sizeof(piece);
		if (deflate(&s->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			out->failed = true;
		buf_add(out, piece, sizeof(piece) - s->out.avail_out);
	} while (!s->out.avail_out && !out->failed);
}

void spdy_headers(struct spdy *s, struct buf *out, enum spdy_type type, uint32_t stream, unsigned flags,
		  const char *const *pairs)
{
	struct buf block = {0}, packed = {0};
	uint32_t count = 0;
	while (pairs[2 * count])
		count++;
	put32(&block, count);
	for (uint32_t i = 0; i < 2 * count; i++) {
		put32(&block, (uint32_t)strlen(pairs[i]));
		buf_addz(&block, pairs[i]);
	}
	pack(s, &packed, buf_str(&block));
	control_head(out, type, flags, packed.n + (type == SPDY_SYN_STREAM ? 10 : 4));
	put32(out, stream);
	if (type == SPDY_SYN_STREAM)
		buf_add(out, "\0\0\0\0\0\0", 6);
	buf_adds(out, buf_str(&packed));
	out->failed |= block.failed | packed.failed;
	buf_fini(&block);
	buf_fini(&packed);
}

void spdy_data(struct buf *out, uint32_t stream, unsigned flags, struct str data)
{
	put32(out, stream & INT32_MAX);
	put32(out, (uint32_t)flags << 24 | (uint32_t)data.n);
	buf_adds(out, data);
}

void spdy_reset(struct buf *out, uint32_t stream, uint32_t status)
{
	control_head(out, SPDY_RST_STREAM, 0, 8);
	put32(out, stream);
	put32(out, status);
}

void spdy_ping(struct buf *out, uint32_t id)
{
	control_head(out, SPDY_PING, 0, 4);
	put32(out, id);
}

void spdy_goaway(struct buf *out, uint32_t last_stream)
{
	control_head(out, SPDY_GOAWAY, 0, 8);
	put32(out, last_stream);
	put32(out, 0);
}
