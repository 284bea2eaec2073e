/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes by gRPC health checking: one HTTP/2 request without TLS, grpc.health.v1.Health/Check, whose answer
 * must hold status SERVING. Framing is libnghttp2's; the two messages are a handful of bytes. Bounded in what
 * it reads.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/attempt_state.h"

enum { ANSWER_MAX = 64, SERVICE_MAX = 120, SERVING = 1, FRAME = 5 };

struct grpc_call {
	nghttp2_session *session;
	char authority[ADDR_TEXT + 16];
	uint8_t question[FRAME + 2 + SERVICE_MAX];
	size_t question_len, question_sent;
	uint8_t answer[ANSWER_MAX];
	size_t answer_len;
	bool bad_status;
	unsigned grpc_status;
	char in[4096];
};

static void pump(struct attempt *a);

static ssize_t read_question(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t n, uint32_t *flags,
			     nghttp2_data_source *source, void *ctx)
{
	struct grpc_call *g = ((struct attempt *)ctx)->grpc;
	size_t left = g->question_len - g->question_sent;

	(void)s;
	(void)stream;
	(void)source;
	left = left < n ? left : n;
	memcpy(buf, g->question + g->question_sent, left);
	g->question_sent += left;
	if (g->question_sent == g->question_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)left;
}

static unsigned status_number(struct str v)
{
	unsigned n = 0;

	for (size_t i = 0; i < v.n && i < 3 && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		n = n * 10 + (unsigned)(v.p[i] - '0');
	return n;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
	struct grpc_call *g = ((struct attempt *)ctx)->grpc;
	struct str n = {.p = (const char *)name, .n = name_len},
		   v = {.p = (const char *)value, .n = value_len};

	(void)s;
	(void)frame;
	(void)flags;
	if ((str_eqz(n, ":status") && !str_eqz(v, "200")) || (str_eqz(n, "grpc-status") && !str_eqz(v, "0")))
		g->bad_status = true;
	if (str_eqz(n, "grpc-status"))
		g->grpc_status = status_number(v);
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data, size_t n,
		   void *ctx)
{
	struct grpc_call *g = ((struct attempt *)ctx)->grpc;

	(void)s;
	(void)flags;
	(void)stream;
	if (g->answer_len + n > sizeof(g->answer))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	memcpy(g->answer + g->answer_len, data, n);
	g->answer_len += n;
	return 0;
}

/* The message {1: varint}; an empty one is status 0. */
static unsigned answer_status(const struct grpc_call *g)
{
	if (g->answer_len < FRAME + 2 || g->answer[0] || g->answer[FRAME] != 0x08)
		return 0;
	return g->answer[FRAME + 1];
}

static int on_stream_close(nghttp2_session *s, int32_t stream, uint32_t error, void *ctx)
{
	struct attempt *a = ctx;
	unsigned status = answer_status(a->grpc);
	char why[64];

	(void)s;
	(void)stream;
	if (error || a->grpc->bad_status) {
		snprintf(why, sizeof(why), "the call failed: gRPC status %u", a->grpc->grpc_status);
		attempt_end(a, ATTEMPT_PROTOCOL, (int)a->grpc->grpc_status, why);
		return 0;
	}
	snprintf(why, sizeof(why), "health status %u", status);
	attempt_end(a, status == SERVING ? ATTEMPT_SUCCESS : ATTEMPT_HEALTH, (int)status, why);
	return 0;
}

int attempt_grpc_new(struct attempt *a, const struct attempt_spec *spec)
{
	struct str service = spec->grpc->service;
	nghttp2_session_callbacks *cb;
	struct grpc_call *g;
	char host[ADDR_TEXT];
	size_t n = service.n ? service.n + 2 : 0;

	if (service.n > SERVICE_MAX)
		return -EINVAL;
	g = a->grpc = calloc(1, sizeof(*g));
	if (!g || nghttp2_session_callbacks_new(&cb))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	if (nghttp2_session_client_new(&g->session, cb, a))
		g->session = NULL;
	nghttp2_session_callbacks_del(cb);
	addr_print(&spec->addr, host);
	snprintf(g->authority, sizeof(g->authority), addr_is4(&spec->addr) ? "%s:%u" : "[%s]:%u", host,
		 spec->port);
	g->question[4] = (uint8_t)n;
	if (n) {
		g->question[FRAME] = 0x0a;
		g->question[FRAME + 1] = (uint8_t)service.n;
		memcpy(g->question + FRAME + 2, service.p, service.n);
	}
	g->question_len = FRAME + n;
	return g->session ? 0 : -ENOMEM;
}

void attempt_grpc_free(struct attempt *a)
{
	if (!a->grpc)
		return;
	nghttp2_session_del(a->grpc->session);
	free(a->grpc);
	a->grpc = NULL;
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	struct grpc_call *g = ((struct attempt *)h->data)->grpc;

	(void)n;
	*buf = uv_buf_init(g->in, sizeof(g->in));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct attempt *a = s->data;

	if (a->ended || !n)
		return;
	if (n < 0 || nghttp2_session_mem_recv(a->grpc->session, (const uint8_t *)buf->base, (size_t)n) < 0) {
		attempt_end(a, n < 0 ? ATTEMPT_CLOSED : ATTEMPT_PROTOCOL, 0,
			    n < 0 ? "closed without an answer" : "it does not speak HTTP/2");
		return;
	}
	if (!a->ended)
		pump(a);
}

/* What the session wants to send fits a socket's buffer many times over: no queue is needed. */
static void pump(struct attempt *a)
{
	const uint8_t *p;
	ssize_t n;

	while (!a->ended && (n = nghttp2_session_mem_send(a->grpc->session, &p)) > 0) {
		uv_buf_t b = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);

		if (uv_try_write((uv_stream_t *)&a->tcp, &b, 1) != n) {
			attempt_end(a, ATTEMPT_CLOSED, 0, "it takes no bytes");
			return;
		}
	}
}

#define HEADER(n, v)                                                                                         \
	{                                                                                                    \
		(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, strlen(v),              \
		    NGHTTP2_NV_FLAG_NONE                                                                     \
	}

void attempt_grpc_connected(struct attempt *a)
{
	struct grpc_call *g = a->grpc;
	nghttp2_nv headers[] = {HEADER(":method", "POST"),
				HEADER(":scheme", "http"),
				HEADER(":path", "/grpc.health.v1.Health/Check"),
				HEADER(":authority", g->authority),
				HEADER("content-type", "application/grpc"),
				HEADER("te", "trailers"),
				HEADER("user-agent", "weft-probe/" WEFT_VERSION)};
	nghttp2_data_provider data = {.read_callback = read_question};

	if (nghttp2_submit_settings(g->session, NGHTTP2_FLAG_NONE, NULL, 0) ||
	    nghttp2_submit_request(g->session, NULL, headers, sizeof(headers) / sizeof(headers[0]), &data,
				   NULL) < 0 ||
	    uv_read_start((uv_stream_t *)&a->tcp, on_alloc, on_read)) {
		attempt_end(a, ATTEMPT_PROBER, 0, "out of memory");
		return;
	}
	pump(a);
}
