/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes WebSocket frames. See ws.h. */
#include "serve/ws.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

static enum ws_event bad(struct ws_in *w, const char *problem)
{
	w->problem = problem;
	return WS_BAD;
}

/* Bytes of the header, as far as they are known. */
static size_t head_size(const struct ws_in *w)
{
	unsigned len = w->head_len > 1 ? w->head[1] & 0x7f : 0;
	return 2 +
	       (len == 126   ? 2u
		: len == 127 ? 8u
			     : 0u) +
	       (w->head_len > 1 && w->head[1] & 0x80 ? 4u : 0u);
}

/* RFC 6455, 5.2, 5.4 and 5.5. */
static const char *head_check(struct ws_in *w, uint64_t len, unsigned small)
{
	bool control = w->opcode >= WS_CLOSE;
	if (w->head[0] & 0x70)
		return "a reserved bit is set";
	if (w->opcode != WS_CONTINUE && w->opcode != WS_BINARY && w->opcode != WS_TEXT &&
	    w->opcode != WS_CLOSE && w->opcode != WS_PING && w->opcode != WS_PONG)
		return "an unknown opcode";
	if (w->opcode == WS_TEXT)
		return "a text message; only binary ones are taken";
	if (!(w->head[1] & 0x80) != w->client)
		return w->client ? "a masked frame from a server" : "an unmasked frame from a client";
	if (control && (len > 125 || !w->fin))
		return "a control frame that is long or in pieces";
	if (len >> 63 || (small == 126 && len < 126) || (small == 127 && len < 65536))
		return "a length that is not in its shortest form";
	if (w->opcode == WS_CONTINUE && !w->begun)
		return "a continuation of nothing";
	if (w->opcode == WS_BINARY && w->begun)
		return "a message inside another";
	return NULL;
}

static enum ws_event head_read(struct ws_in *w)
{
	unsigned small = w->head[1] & 0x7f;
	size_t at = 2;
	uint64_t len = small;
	if (small >= 126) {
		size_t bytes = small == 126 ? 2 : 8;
		len = 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | w->head[at++];
	}
	w->opcode = w->head[0] & 0x0f;
	w->fin = w->head[0] & 0x80;
	const char *problem = head_check(w, len, small);
	if (problem)
		return bad(w, problem);
	if (!w->client)
		memmove(w->head, w->head + at, 4); /* the mask */
	w->left = len;
	w->masked = 0;
	w->payload = true;
	w->control_len = 0;
	w->fresh = w->opcode == WS_BINARY;
	if (w->opcode < WS_CLOSE)
		w->begun = !w->fin;
	return WS_MORE;
}

static void unmask(struct ws_in *w, char *p, size_t n)
{
	if (w->client)
		return;
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(p[i] ^ w->head[(w->masked + i) & 3]);
	w->masked = (uint32_t)(w->masked + n) & 3;
}

static enum ws_event control_event(struct ws_in *w)
{
	w->payload = false;
	w->head_len = 0;
	w->data = w->control;
	w->len = w->control_len;
	if (w->opcode == WS_CLOSE) {
		unsigned code = 1000;
		if (w->len >= 2)
			code = (unsigned)(unsigned char)w->data[0] << 8 | (unsigned char)w->data[1];
		if (w->len == 1 || code < 1000 || code >= 5000 || code == 1005 || code == 1006)
			return bad(w, "a close frame without a valid status");
		w->closed = true;
	}
	return WS_CONTROL;
}

enum ws_event ws_feed(struct ws_in *w, char **p, size_t *n)
{
	if (w->problem)
		return WS_BAD;
	for (;;) {
		while (!w->payload && *n) {
			if (w->closed)
				return bad(w, "a frame after the close");
			w->head[w->head_len++] = (unsigned char)*(*p)++;
			--*n;
			if (w->head_len >= 2 && w->head_len == head_size(w) && head_read(w) == WS_BAD)
				return WS_BAD;
		}
		if (!w->payload)
			return WS_MORE;
		size_t take = w->left < *n ? (size_t)w->left : *n;
		unmask(w, *p, take);
		w->left -= take;
		char *at = *p;
		*p += take;
		*n -= take;
		if (w->opcode >= WS_CLOSE) {
			memcpy(w->control + w->control_len, at, take);
			w->control_len += take;
			if (w->left)
				return WS_MORE;
			return control_event(w);
		}
		if (!take && w->left)
			return WS_MORE;
		w->data = at;
		w->len = take;
		w->first = w->fresh;
		w->fresh = false;
		w->last = !w->left && w->fin;
		if (!w->left) {
			w->payload = false;
			w->head_len = 0;
		}
		return WS_DATA;
	}
}

void ws_frame(struct buf *out, enum ws_opcode opcode, bool client, struct str head, struct str body)
{
	size_t len = head.n + body.n, n = 2;
	unsigned char h[14] = {(unsigned char)(0x80 | opcode)};
	if (len < 126) {
		h[1] = (unsigned char)len;
	} else {
		size_t bytes = len < 65536 ? 2 : 8;
		h[1] = bytes == 2 ? 126 : 127;
		for (size_t i = bytes; i-- > 0;)
			h[n++] = (unsigned char)((uint64_t)len >> (8 * i));
	}
	if (client) {
		h[1] |= 0x80;
		if (gnutls_rnd(GNUTLS_RND_NONCE, h + n, 4))
			out->failed = true;
		n += 4;
	}
	buf_add(out, h, n);
	size_t at = out->n;
	buf_adds(out, head);
	buf_adds(out, body);
	if (client && !out->failed)
		for (size_t i = 0; i < len; i++)
			out->p[at + i] = (char)(out->p[at + i] ^ h[n - 4 + (i & 3)]);
}

void ws_close_frame(struct buf *out, bool client, enum ws_status status, const char *reason)
{
	char code[2] = {(char)(status >> 8), (char)(status & 0xff)};
	struct str text = str_of(reason);
	if (text.n > 123)
		text.n = 123;
	ws_frame(out, WS_CLOSE, client, (struct str){code, 2}, text);
}

static int base64(const void *p, unsigned n, char *out, size_t size)
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)p, n}, text = {0};
	if (gnutls_base64_encode2(&in, &text) < 0)
		return -ENOMEM;
	bool fits = text.size < size;
	if (fits)
		memcpy(out, text.data, text.size);
	if (fits)
		out[text.size] = 0;
	gnutls_free(text.data);
	return fits ? 0 : -EINVAL;
}

int ws_accept(const char *key, char out[WS_ACCEPT_SIZE])
{
	char text[64];
	unsigned char digest[20];
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)}, raw = {0};
	if (in.size != WS_KEY_SIZE - 1 || gnutls_base64_decode2(&in, &raw) < 0)
		return -EINVAL;
	bool right = raw.size == 16;
	gnutls_free(raw.data);
	if (!right)
		return -EINVAL;
	int n = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, (size_t)n, digest))
		return -EINVAL;
	return base64(digest, sizeof(digest), out, WS_ACCEPT_SIZE);
}

int ws_key(char out[WS_KEY_SIZE])
{
	unsigned char raw[16];
	if (gnutls_rnd(GNUTLS_RND_NONCE, raw, sizeof(raw)))
		return -EIO;
	return base64(raw, sizeof(raw), out, WS_KEY_SIZE);
}
