/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes over plain HTTP without libcurl, which takes 50 us more for each: one GET by libuv, the status, and
 * so much of the body as tells that it is whole. What is unusual is left to attempt_http.c: HTTPS, a path
 * that would have to be escaped or shortened, and what a redirect to the same host leads to. Called by
 * attempt.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "agent/attempt_state.h"
#include "base/own.h"

enum {
	LINE_MOST = 1024,
	HEAD_MOST = 256 << 10,
	BODY_MOST = 10 << 10, /* more of a body is not waited for */
};

enum part { STATUS, HEADER, BODY, BODY_TO_END, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, COMPLETE };

struct plain_get {
	struct addr addr;
	uint16_t port;
	struct buf request;
	bool own_host; /* the manifest names the Host */
	enum part part;
	char line[LINE_MOST];
	size_t line_n;
	bool cut; /* the line was longer */
	int status;
	bool chunked, sized, lost; /* lost: the Location was too long to keep */
	uint64_t head, left, body;
	char *location;
};

/* --- the request --- */

static bool plain_path(struct str path)
{
	static const char other[] = "-._~!$&'()*+,;=:@/?%";

	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (!c || !strchr(other, c)))
			return false;
		if (c == '.' && (!i || path.p[i - 1] == '/'))
			return false;
	}
	return true;
}

static bool plain_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

static bool is(struct str name, const char *word)
{
	return name.n == strlen(word) && !strncasecmp(name.p, word, name.n);
}

/* An empty value sends the header empty, but an empty User-Agent sends none. */
static int add_headers(struct plain_get *g, const struct http_get_action *h)
{
	bool agent = false, accept = false;

	VEC_EACH (&h->http_headers, x) {
		if (!x->name.n || !plain_text(x->name) || !plain_text(x->value))
			return -EOPNOTSUPP;
		g->own_host |= is(x->name, "Host");
		agent |= is(x->name, "User-Agent");
		accept |= is(x->name, "Accept");
		if (x->value.n || !is(x->name, "User-Agent"))
			buf_printf(&g->request, STR_FMT ":%s" STR_FMT "\r\n", STR_ARG(x->name),
				   x->value.n ? " " : "", STR_ARG(x->value));
	}
	if (!agent)
		buf_addz(&g->request, "User-Agent: weft-probe/" WEFT_VERSION "\r\n");
	if (!accept)
		buf_addz(&g->request, "Accept: */*\r\n");
	return 0;
}

static void print_host(const struct plain_get *g, struct buf *b)
{
	char host[ADDR_TEXT];

	addr_print(&g->addr, host);
	buf_printf(b, addr_is4(&g->addr) ? "%s" : "[%s]", host);
	if (g->port != 80)
		buf_printf(b, ":%u", g->port);
}

int attempt_plain_new(struct attempt *a, const struct attempt_spec *spec)
{
	const struct http_get_action *h = spec->http;
	struct plain_get *g;
	int err;

	if (str_eqz(h->scheme, "HTTPS") || !plain_path(h->path))
		return -EOPNOTSUPP;
	g = a->plain = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->addr = spec->addr;
	g->port = spec->port;
	buf_printf(&g->request, "GET %s" STR_FMT " HTTP/1.1\r\n", h->path.n && h->path.p[0] == '/' ? "" : "/",
		   STR_ARG(h->path));
	err = add_headers(g, h);
	if (!g->own_host) {
		buf_addz(&g->request, "Host: ");
		print_host(g, &g->request);
		buf_addz(&g->request, "\r\n");
	}
	buf_addz(&g->request, "Connection: close\r\n\r\n");
	if (!err && g->request.failed)
		err = -ENOMEM;
	if (err)
		attempt_plain_free(a);
	return err;
}

void attempt_plain_free(struct attempt *a)
{
	if (!a->plain)
		return;
	buf_fini(&a->plain->request);
	free(a->plain->location);
	free(a->plain);
	a->plain = NULL;
}

/* --- the end --- */

/* The headers that the manifest wants, as libcurl takes them. */
static int hand_headers(struct attempt *a)
{
	struct str rest = buf_str(&a->plain->request);

	str_cut(&rest, '\n');
	while (rest.n) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		AUTO_BUF b = {0};

		if (!line.n || (!a->plain->own_host && str_starts(line, STR("Host:"))))
			continue;
		buf_adds(&b, line);
		if (b.p && b.p[b.n - 1] == ':')
			b.p[b.n - 1] = ';';
		if (b.failed || attempt_http_header(a, b.p))
			return -ENOMEM;
	}
	return 0;
}

/* Where the answer came from. */
static void print_url(const struct plain_get *g, struct buf *b)
{
	struct str line = buf_str(&g->request);

	str_cut(&line, ' ');
	buf_addz(b, "http://");
	print_host(g, b);
	buf_adds(b, str_cut(&line, ' '));
}

/* The address that a Location names, seen from `base`; NULL when it is none. Freed with curl_free(). */
static char *resolve(const char *base, const char *location)
{
	CURLU *u = curl_url();
	char *out = NULL;

	if (u && !curl_url_set(u, CURLUPART_URL, base, 0) && !curl_url_set(u, CURLUPART_URL, location, 0))
		curl_url_get(u, CURLUPART_URL, &out, 0);
	curl_url_cleanup(u);
	return out;
}

static void redirected(struct attempt *a)
{
	AUTO_BUF base = {0};
	char *next;

	print_url(a->plain, &base);
	/* One that was too long to keep is asked for again, by who can keep it. */
	next = base.failed ? NULL : resolve(base.p, a->plain->lost ? base.p : a->plain->location);
	if (!next) {
		attempt_http_judge(a, a->plain->status, false, false);
	} else if (!attempt_same_host(next, base.p)) {
		attempt_http_judge(a, a->plain->status, false, true);
	} else {
		attempt_let_tcp_go(a);
		if (hand_headers(a) || attempt_http_follow(a, next))
			attempt_end(a, ATTEMPT_PROBER, 0, "out of memory");
	}
	curl_free(next);
}

static void complete(struct attempt *a)
{
	struct plain_get *g = a->plain;

	g->part = COMPLETE;
	if (g->status >= 300 && g->status < 400 && (g->location || g->lost))
		redirected(a);
	else
		attempt_http_judge(a, g->status, false, false);
}

static void no_http(struct attempt *a)
{
	a->plain->part = COMPLETE;
	attempt_end(a, ATTEMPT_PROTOCOL, 0, "it does not speak HTTP");
}

/* --- the answer --- */

static bool header_value(const char *line, const char *name, const char **value)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) || line[n] != ':')
		return false;
	*value = line + n + 1 + strspn(line + n + 1, " \t");
	return true;
}

static bool parse_number(const char *text, int base, uint64_t *out)
{
	char *end;

	if (!strchr(base == 16 ? "0123456789abcdefABCDEF" : "0123456789", *text) || !*text)
		return false;
	errno = 0;
	*out = strtoull(text, &end, base);
	return !errno && (!*end || strchr(" \t;", *end));
}

static bool status_line(struct plain_get *g)
{
	int64_t status;

	if (g->cut || strncmp(g->line, "HTTP/1.", 7) != 0 || g->line_n < 12 || g->line[8] != ' ' ||
	    strspn(g->line + 9, "0123456789") != 3 ||
	    str_to_i64((struct str){g->line + 9, 3}, 100, 999, &status))
		return false;
	g->status = (int)status;
	g->part = HEADER;
	return true;
}

static bool header(struct plain_get *g)
{
	const char *value;

	if (header_value(g->line, "Content-Length", &value)) {
		g->sized = true;
		return !g->cut && parse_number(value, 10, &g->left);
	}
	if (header_value(g->line, "Transfer-Encoding", &value)) {
		g->chunked |= strcasestr(value, "chunked") != NULL;
	} else if (header_value(g->line, "Location", &value)) {
		g->lost |= g->cut;
		if (!g->location && !g->cut)
			g->location = strdup(value);
	}
	return true;
}

/* What follows the head. */
static enum part body_part(const struct plain_get *g)
{
	if (g->status < 200 && g->status != 101)
		return STATUS; /* an answer before the answer */
	if (g->status == 204 || g->status == 304)
		return COMPLETE;
	if (g->chunked)
		return CHUNK_SIZE;
	return !g->sized ? BODY_TO_END : g->left ? BODY : COMPLETE;
}

/* One whole line; false when it is no HTTP. */
static bool take_line(struct plain_get *g)
{
	switch (g->part) {
	case STATUS:
		return status_line(g);
	case HEADER:
		if (g->line_n)
			return header(g);
		g->part = body_part(g);
		return true;
	case CHUNK_SIZE:
		if (g->cut || !parse_number(g->line, 16, &g->left))
			return false;
		g->part = g->left ? CHUNK : TRAILER;
		return true;
	case CHUNK_END:
		g->part = CHUNK_SIZE;
		return !g->line_n;
	default: /* TRAILER */
		g->part = g->line_n ? TRAILER : COMPLETE;
		return true;
	}
}

/* Takes up to the end of a line; how many bytes, or 0 when it is no HTTP. */
static size_t in_line(struct plain_get *g, const char *p, size_t n)
{
	const char *end = memchr(p, '\n', n);
	size_t used = end ? (size_t)(end - p) + 1 : n, text = end ? used - 1 : n;
	size_t room = sizeof(g->line) - 1 - g->line_n, keep = text < room ? text : room;

	memcpy(g->line + g->line_n, p, keep);
	g->line_n += keep;
	g->cut |= keep < text;
	g->head += used;
	if (g->head > HEAD_MOST)
		return 0;
	if (!end)
		return used;
	if (g->line_n && g->line[g->line_n - 1] == '\r')
		g->line_n--;
	g->line[g->line_n] = '\0';
	if (!take_line(g))
		return 0;
	g->line_n = 0;
	g->cut = false;
	return used;
}

static size_t in_body(struct plain_get *g, size_t n)
{
	if (g->part != BODY_TO_END) {
		n = n < g->left ? n : (size_t)g->left;
		g->left -= n;
		if (!g->left)
			g->part = g->part == CHUNK ? CHUNK_END : COMPLETE;
	}
	g->body += n;
	if (g->body >= BODY_MOST)
		g->part = COMPLETE;
	return n;
}

static void take(struct attempt *a, const char *p, size_t n)
{
	struct plain_get *g = a->plain;

	while (n && g->part != COMPLETE) {
		bool body = g->part == BODY || g->part == BODY_TO_END || g->part == CHUNK;
		size_t used = body ? in_body(g, n) : in_line(g, p, n);

		if (!used) {
			no_http(a);
			return;
		}
		p += used;
		n -= used;
	}
	if (g->part == COMPLETE)
		complete(a);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	static char in[16384]; /* taken before the next is read */

	(void)h;
	(void)n;
	*buf = uv_buf_init(in, sizeof(in));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct attempt *a = s->data;

	if (a->ended || !n || a->plain->part == COMPLETE)
		return;
	if (n > 0)
		take(a, buf->base, (size_t)n);
	else if (n == UV_EOF && a->plain->part == BODY_TO_END)
		complete(a);
	else if (n == UV_EOF && a->plain->part == STATUS && a->plain->line_n)
		no_http(a);
	else
		attempt_end(a, ATTEMPT_CLOSED, 0,
			    a->plain->part == STATUS ? "closed without an answer"
						     : "closed within its answer");
}

void attempt_plain_connected(struct attempt *a)
{
	uv_buf_t b = uv_buf_init(a->plain->request.p, (unsigned)a->plain->request.n);

	/* A socket's buffer holds any request whole. */
	if (uv_try_write((uv_stream_t *)&a->tcp, &b, 1) != (int)b.len)
		attempt_end(a, ATTEMPT_CLOSED, 0, "it takes no bytes");
	else if (uv_read_start((uv_stream_t *)&a->tcp, on_alloc, on_read))
		attempt_end(a, ATTEMPT_PROBER, 0, "out of memory");
}
