/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of the stand-in, over plain TCP with prior knowledge: the gRPC health service
 * (grpc.health.v1.Health, methods Check and Watch, the latter answered once) and, for everything that is not
 * gRPC, the identity as JSON. Must never hold more than the first bytes of a request. Called by conn.c.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "standin/server.h"

enum { BODY_KEEP = 128 };

struct stream;
struct http2 {
	nghttp2_session *session;
	struct stream *streams; /* open ones */
	bool drained;		/* the client was told */
};

struct stream {
	struct stream *prev, *next;
	char path[256];
	bool grpc;
	uint8_t body[BODY_KEEP]; /* start of the request */
	size_t body_len;
	struct buf answer;
	size_t sent;
	const char *grpc_status; /* set: trailers follow the data */
};

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
			    NGHTTP2_NV_FLAG_NONE};
}

static ssize_t send_bytes(nghttp2_session *s, const uint8_t *data, size_t n, int flags, void *user)
{
	struct conn *c = user;

	(void)s;
	(void)flags;
	buf_add(&c->out, data, n);
	return c->out.failed ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
}

static int begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct http2 *h = ((struct conn *)user)->http2;
	struct stream *st;

	if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = calloc(1, sizeof(*st));
	if (!st)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	st->next = h->streams;
	if (st->next)
		st->next->prev = st;
	h->streams = st;
	return nghttp2_session_set_stream_user_data(s, f->hd.stream_id, st);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
	struct str n = {.p = (const char *)name, .n = name_len},
		   v = {.p = (const char *)value, .n = value_len};

	(void)flags;
	(void)user;
	if (!st)
		return 0;
	if (str_eqz(n, ":path"))
		snprintf(st->path, sizeof(st->path), STR_FMT, STR_ARG(v));
	if (str_eqz(n, "content-type"))
		st->grpc = str_starts(v, STR("application/grpc"));
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, id);
	size_t room = st ? sizeof(st->body) - st->body_len : 0;

	(void)flags;
	(void)user;
	n = n < room ? n : room;
	if (n)
		memcpy(st->body + st->body_len, data, n);
	if (st)
		st->body_len += n;
	return 0;
}

static void stream_free(struct http2 *h, struct stream *st)
{
	if (st->prev)
		st->prev->next = st->next;
	else
		h->streams = st->next;
	if (st->next)
		st->next->prev = st->prev;
	buf_fini(&st->answer);
	free(st);
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *user)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, id);

	(void)error;
	if (st)
		stream_free(((struct conn *)user)->http2, st);
	return 0;
}

static ssize_t give_data(nghttp2_session *s, int32_t id, uint8_t *out, size_t cap, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct stream *st = source->ptr;
	size_t n = st->answer.n - st->sent;

	(void)user;
	n = n < cap ? n : cap;
	if (n)
		memcpy(out, st->answer.p + st->sent, n);
	st->sent += n;
	if (st->sent == st->answer.n) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (st->grpc_status) {
			nghttp2_nv trailer[] = {nv("grpc-status", st->grpc_status)};

			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (nghttp2_submit_trailer(s, id, trailer, 1))
				return NGHTTP2_ERR_CALLBACK_FAILURE;
		}
	}
	return (ssize_t)n;
}

/* The service asked about: a gRPC frame (flag, 32-bit length) around a message whose field 1 is the name. */
static struct str health_service(const struct stream *st)
{
	const uint8_t *b = st->body;

	if (st->body_len < 7 || b[5] != 0x0a || b[6] > 127 || st->body_len < 7u + b[6])
		return (struct str){0};
	return (struct str){.p = (const char *)b + 7, .n = b[6]};
}

static bool health_known(const struct conn *c, struct str service)
{
	if (!service.n)
		return true;
	VEC_EACH (&c->server->spec->health, h)
		if (str_eqz(service, *h))
			return true;
	return false;
}

static int answer_grpc(nghttp2_session *s, struct conn *c, int32_t id, struct stream *st)
{
	static const uint8_t serving[] = {0, 0,	   0,	0,
					  2, 0x08, 0x01}; /* HealthCheckResponse{status: SERVING} */
	nghttp2_data_provider data = {.source.ptr = st, .read_callback = give_data};
	bool health = !strncmp(st->path, "/grpc.health.v1.Health/", 23);
	nghttp2_nv head[] = {nv(":status", "200"), nv("content-type", "application/grpc"),
			     nv("grpc-status", health ? "5" : "12")};

	/* Unknown service: NOT_FOUND; other methods: UNIMPLEMENTED; both as a response of trailers only. */
	if (!health || !health_known(c, health_service(st)))
		return nghttp2_submit_response(s, id, head, 3, NULL);
	st->grpc_status = "0";
	buf_add(&st->answer, serving, sizeof(serving));
	if (!st->answer.failed && server_not_ready(c->server, c->port, (struct str){0}, health_service(st)))
		st->answer.p[sizeof(serving) - 1] = 0x02; /* NOT_SERVING */
	return nghttp2_submit_response(s, id, head, 2, &data);
}

static int answer_plain(nghttp2_session *s, struct conn *c, int32_t id, struct stream *st)
{
	nghttp2_data_provider data = {.source.ptr = st, .read_callback = give_data};
	bool fails = server_not_ready(c->server, c->port, str_of(st->path), (struct str){0});
	nghttp2_nv head[] = {nv(":status", fails ? "503" : "200"), nv("content-type", "application/json")};
	struct question q = {.port = c->port,
			     .client = &c->client,
			     .client_port = c->client_port,
			     .protocol = "HTTP/2",
			     .path = str_of(st->path)};

	server_identity(c->server, &q, &st->answer);
	return nghttp2_submit_response(s, id, head, 2, &data);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct conn *c = user;
	struct stream *st;

	if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) ||
	    !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	st = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
	if (!st)
		return 0;
	return st->grpc ? answer_grpc(s, c, f->hd.stream_id, st) : answer_plain(s, c, f->hd.stream_id, st);
}

static int http2_open(struct conn *c)
{
	nghttp2_session_callbacks *cb;
	nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 128}};
	int r = nghttp2_session_callbacks_new(&cb);

	if (r)
		return r;
	nghttp2_session_callbacks_set_send_callback(cb, send_bytes);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	c->http2 = calloc(1, sizeof(*c->http2));
	r = c->http2 ? nghttp2_session_server_new(&c->http2->session, cb, c) : NGHTTP2_ERR_NOMEM;
	nghttp2_session_callbacks_del(cb);
	return r ? r : nghttp2_submit_settings(c->http2->session, NGHTTP2_FLAG_NONE, settings, 1);
}

bool http2_read(struct conn *c)
{
	ssize_t n;

	if (!c->http2 && http2_open(c))
		return false;
	n = nghttp2_session_mem_recv(c->http2->session, (const uint8_t *)c->in.p, c->in.n);
	buf_clear(&c->in);
	if (n < 0 || nghttp2_session_send(c->http2->session))
		return false;
	if (!nghttp2_session_want_read(c->http2->session) && !nghttp2_session_want_write(c->http2->session))
		c->closing = true;
	return !c->out.failed;
}

bool http2_drain(struct conn *c)
{
	struct http2 *h = c->http2;

	if (!h)
		return true;
	if (!h->drained)
		nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
				      nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
				      NULL, 0);
	h->drained = true;
	return nghttp2_session_send(h->session) ||
	       (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
}

void http2_free(struct conn *c)
{
	if (!c->http2)
		return;
	if (c->http2->session)
		nghttp2_session_del(c->http2->session);
	while (c->http2->streams)
		stream_free(c->http2, c->http2->streams);
	free(c->http2);
	c->http2 = NULL;
}
