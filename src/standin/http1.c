/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 of the stand-in (RFC 9112): each request of any path gets 200 and the container's identity as JSON;
 * request bodies are skipped, connections kept alive. Must never keep a body. Called by conn.c.
 */
#include <strings.h>

#include "standin/server.h"

struct head {
	struct str method, path, version, host;
	uint64_t length;
	bool close, keep, chunked, bad, expect;
};

static bool is(struct str a, const char *z)
{
	return a.n == strlen(z) && !strncasecmp(a.p, z, a.n);
}

static void head_field(struct head *h, struct str line)
{
	struct str value = line, name = str_cut(&value, ':');
	int64_t n;

	value = str_trim(value);
	if (is(name, "host")) {
		h->host = value;
	} else if (is(name, "connection")) {
		h->close |= is(value, "close");
		h->keep |= is(value, "keep-alive");
	} else if (is(name, "transfer-encoding")) {
		h->chunked = true;
	} else if (is(name, "expect")) {
		h->expect = is(value, "100-continue");
	} else if (is(name, "content-length")) {
		if (str_to_i64(value, 0, INT64_MAX, &n))
			h->bad = true;
		else
			h->length = (uint64_t)n;
	}
}

static void head_parse(struct head *h, struct str text)
{
	struct str line = str_cut(&text, '\n');

	line = str_trim(line);
	h->method = str_cut(&line, ' ');
	h->path = str_cut(&line, ' ');
	h->version = line;
	h->bad = !h->path.n || !str_starts(h->version, STR("HTTP/1."));
	while (text.n) {
		line = str_trim(str_cut(&text, '\n'));
		if (line.n)
			head_field(h, line);
	}
}

static void respond(struct conn *c, const struct head *h)
{
	AUTO_BUF body = {0};
	struct question q = {.port = c->port,
			     .client = &c->client,
			     .client_port = c->client_port,
			     .protocol = "HTTP/1.1",
			     .path = h->path,
			     .host = h->host};

	server_identity(c->server, &q, &body);
	if (server_not_ready(c->server, c->port, h->path, (struct str){0})) {
		buf_printf(&c->out, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n%s\r\n",
			   c->closing ? "Connection: close\r\n" : "");
		return;
	}
	if (h->expect && h->length)
		buf_addz(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	buf_printf(&c->out,
		   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		   "Cache-Control: no-store\r\nX-Pod: %s\r\n%s\r\n",
		   body.n, c->server->spec->pod, c->closing ? "Connection: close\r\n" : "");
	if (!is(h->method, "HEAD"))
		buf_adds(&c->out, buf_str(&body));
}

bool http1_read(struct conn *c)
{
	while (c->in.n && !c->closing) {
		struct head h = {0};
		size_t skip = c->body_left < c->in.n ? (size_t)c->body_left : c->in.n;
		const char *end;

		buf_drop(&c->in, skip);
		c->body_left -= skip;
		if (c->body_left || !c->in.n)
			break;
		end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
		if (!end && c->in.n > IN_MAX) {
			buf_addz(&c->out,
				 "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
				 "Connection: close\r\n\r\n");
			c->closing = true;
		}
		if (!end)
			break;
		head_parse(&h, (struct str){.p = c->in.p, .n = (size_t)(end - c->in.p)});
		if (h.bad) {
			buf_addz(
			    &c->out,
			    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
			c->closing = true;
			break;
		}
		/* A chunked body is not parsed: its end is where the connection ends. */
		c->closing =
		    c->server->draining || h.close || h.chunked || (is(h.version, "HTTP/1.0") && !h.keep);
		respond(c, &h);
		c->body_left = h.length;
		buf_drop(&c->in, (size_t)(end + 4 - c->in.p));
	}
	return !c->out.failed;
}
