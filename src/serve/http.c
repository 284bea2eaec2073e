/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server over libmicrohttpd's external epoll: one daemon a listener, all on the caller's loop.
 * Suspended streams are not watched by that library, so a timer looks for clients that hung up. See http.h.
 */
#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "serve/http_state.h"

enum {
	BODY_MAX = 3 << 20,
	CONNECTIONS = 4096, /* each a descriptor; many are idle watches */
	KEPT_FILES = 128,
	REQUEST_SECONDS = 10,
	IDLE_SECONDS = 120,
	STREAM_BLOCK = 32 << 10,
	STREAM_KEPT = 16 << 10, /* what a stream that waits keeps of its buffer */
	/* A body that is too large is read to its end, up to here, and then refused: a client that still
	 * writes when its connection is closed would see the break in place of the answer. */
	UNREAD_MAX = 64 << 20,
	/* Answers of at least LARGE that their clients have not taken yet: no more than this together. */
	LARGE = 256 << 10,
	QUEUED_MAX = 256 << 20,
};

static void listener_run(struct listener *l);

void listener_soon(struct listener *l)
{
	if (!l->server->closing)
		uv_timer_start(&l->timer, listener_on_timer, 0, 0);
}

void listener_on_timer(uv_timer_t *t)
{
	listener_run(t->data);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	(void)status;
	(void)events;
	listener_run(p->data);
}

static void listener_run(struct listener *l)
{
	MHD_UNSIGNED_LONG_LONG ms;
	MHD_run(l->daemon);
	if (l->server->closing)
		return;
	if (MHD_get_timeout(l->daemon, &ms) == MHD_YES)
		uv_timer_start(&l->timer, listener_on_timer, ms, 0);
	else
		uv_timer_stop(&l->timer);
}

/* Streams */

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct http_stream *s = cls;
	(void)pos;
	/* An end by an error would leave the connection until another one of the daemon closes or times out:
	 * the library closes it at once when it cannot write the last chunk. */
	if (s->gone)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (s->sent == s->out.n && !s->done) {
		buf_clear(&s->out);
		s->sent = 0;
		s->pull(s);
		if (!s->out.n && s->out.cap > STREAM_KEPT)
			buf_fini(&s->out);
	}
	if (s->out.failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t left = s->out.n - s->sent;
	if (!left && s->done)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!left) {
		s->asleep = true;
		MHD_suspend_connection(s->connection);
		return 0;
	}
	if (left > max)
		left = max;
	memcpy(buf, s->out.p + s->sent, left);
	s->sent += left;
	return (ssize_t)left;
}

static void stream_free(void *cls)
{
	struct http_stream *s = cls;
	if (s->prev) {
		*s->prev = s->next;
		if (s->next)
			s->next->prev = s->prev;
	}
	buf_fini(&s->out);
	s->close(s);
}

void http_stream_wake(struct http_stream *s)
{
	struct listener *l = s->listener;
	if (!s->asleep)
		return;
	s->asleep = false;
	MHD_resume_connection(s->connection);
	listener_soon(l);
}

static struct MHD_Response *stream_response(struct listener *l, struct MHD_Connection *mc,
					    struct http_stream *s)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_server *server = l->server;
	s->connection = mc;
	s->listener = l;
	s->fd = info ? info->connect_fd : -1;
	s->next = server->streams;
	if (s->next)
		s->next->prev = &s->next;
	s->prev = &server->streams;
	server->streams = s;
	struct MHD_Response *r =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, s, stream_free);
	if (!r)
		stream_free(s);
	return r;
}

/* Requests */

struct queued { /* a large answer */
	struct http_server *server;
	size_t n;
	char *p;
};

static void queued_free(void *cls)
{
	struct queued *q = cls;
	q->server->queued -= q->n;
	free(q->p);
	free(q);
}

/* Takes over the body. */
static struct MHD_Response *body_response(struct http_server *s, struct buf *b)
{
	size_t n = b->n;
	struct queued *q;
	struct MHD_Response *r;

	if (!n)
		return MHD_create_response_from_buffer(0, (char *)"", MHD_RESPMEM_PERSISTENT);
	if (n < LARGE)
		return MHD_create_response_from_buffer(n, b->p, MHD_RESPMEM_MUST_COPY);
	q = malloc(sizeof(*q));
	if (!q)
		return NULL;
	*q = (struct queued){s, n, b->p};
	r = MHD_create_response_from_buffer_with_free_callback_cls(n, b->p, queued_free, q);
	if (!r) {
		free(q);
		return NULL;
	}
	s->queued += n;
	*b = (struct buf){0};
	return r;
}

/* In place of an answer that does not fit. */
static void be_busy(struct http_reply *rp)
{
	buf_fini(&rp->body);
	rp->status = 429;
	rp->content_type = NULL;
	rp->retry = true;
	buf_addz(&rp->body,
		 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		 "\"message\":\"too many large answers wait for clients that do not read them; try again, or "
		 "list in pieces (limit=500)\",\"reason\":\"TooManyRequests\","
		 "\"details\":{\"retryAfterSeconds\":1},\"code\":429}\n");
}

static enum MHD_Result answer(struct listener *l, struct MHD_Connection *mc, struct http_reply *rp)
{
	struct MHD_Response *r = NULL;
	if (rp->upgrade)
		return upgrade_answer(l, mc, rp->upgrade);
	if (rp->fixed.n) {
		r = MHD_create_response_from_buffer(rp->fixed.n, (void *)(uintptr_t)rp->fixed.p,
						    MHD_RESPMEM_PERSISTENT);
	} else if (rp->stream) {
		r = stream_response(l, mc, rp->stream);
	} else {
		if (rp->body.failed) {
			buf_fini(&rp->body);
			rp->status = 500;
		}
		if (rp->body.n >= LARGE && l->server->queued && l->server->queued + rp->body.n > QUEUED_MAX)
			be_busy(rp);
		r = body_response(l->server, &rp->body);
	}
	if (r)
		reply_headers(l, r, rp);
	reply_free(rp);
	if (!r)
		return MHD_NO;
	enum MHD_Result ok = MHD_queue_response(mc, (unsigned)rp->status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct listener *l, struct MHD_Connection *mc, int status, const char *reason,
			      const char *message)
{
	struct http_reply rp = {.status = status};
	buf_printf(&rp.body,
		   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
		   "\"message\":\"%s\","
		   "\"reason\":\"%s\",\"code\":%d}\n",
		   message, reason, status);
	return answer(l, mc, &rp);
}

static enum MHD_Result refuse_size(struct listener *l, struct MHD_Connection *mc)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "the body is larger than this server takes: at most %zu bytes",
		   l->server->opt.body_max);
	return refuse(l, mc, 413, "RequestEntityTooLarge", text.p ? text.p : "");
}

static enum MHD_Result refuse_bad(struct listener *l, struct MHD_Connection *mc)
{
	return refuse(l, mc, 400, "BadRequest", "the request line or its headers are malformed");
}

static const char *header(struct MHD_Connection *mc, const char *name)
{
	const char *v = MHD_lookup_connection_value(mc, MHD_HEADER_KIND, name);
	return v ? v : "";
}

static enum MHD_Result count_length(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	unsigned *n = cls;
	(void)kind;
	(void)value;
	*n += !strcasecmp(key, "Content-Length") || !strcasecmp(key, "Transfer-Encoding");
	return MHD_YES;
}

static struct http_conn *conn_of(struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static enum MHD_Result begin(struct listener *l, struct MHD_Connection *mc, struct exchange *x)
{
	struct http_conn *hc = conn_of(mc);
	size_t max = l->server->opt.body_max;
	unsigned lengths = 0;
	int64_t n = 0;
	const char *length = header(mc, "Content-Length");
	x->begun = true;
	if (l->door == HTTP_CERTIFICATE && !(hc && hc->trusted))
		return refuse(l, mc, 401, "Unauthorized",
			      "a client certificate of this cluster is needed; use its kubeconfig");
	MHD_get_connection_values(mc, MHD_HEADER_KIND, count_length, &lengths);
	/* Where its body ends is not sure with two lengths; else it is read to its end first, as a large one.
	 */
	if (lengths > 1 || (x->bad && *header(mc, "Expect")))
		return refuse_bad(l, mc);
	if (*length && str_to_i64(str_of(length), 0, INT64_MAX, &n))
		return refuse_size(l, mc);
	x->too_large = (size_t)n > max;
	/* Nothing of it is under way where the client waits for our word. */
	if (x->too_large && (n > UNREAD_MAX || *header(mc, "Expect")))
		return refuse_size(l, mc);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mc, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **ctx)
{
	struct listener *l = cls;
	struct exchange *x = *ctx;
	struct http_reply rp = {.status = 200};
	(void)url;
	(void)version;
	if (!x)
		return MHD_NO;
	if (!x->begun)
		return begin(l, mc, x);
	if (*size) {
		x->too_large |= x->body.n + *size > l->server->opt.body_max;
		if (x->too_large || x->bad)
			buf_fini(&x->body);
		else
			buf_add(&x->body, data, *size);
		x->got += *size;
		*size = 0;
		return x->got > UNREAD_MAX ? MHD_NO : MHD_YES;
	}
	if (x->bad)
		return refuse_bad(l, mc);
	if (x->too_large)
		return refuse_size(l, mc);
	if (x->later)
		return later_answer(x, &rp) ? answer(l, mc, &rp) : MHD_NO;
	struct http_request rq = {.method = method,
				  .path = x->parts.path,
				  .query = x->parts.query,
				  .query_len = x->parts.query_len,
				  .accept = header(mc, "Accept"),
				  .content_type = header(mc, "Content-Type"),
				  .agent = header(mc, "User-Agent"),
				  .body = buf_str(&x->body),
				  .local = l->door == HTTP_SOCKET,
				  .tls = l->tls,
				  .door = l->door,
				  .client = client_of(l, mc),
				  .connection = mc};
	struct http_conn *hc = conn_of(mc);
	if (x->body.failed)
		return MHD_NO;
	if (hc)
		hc->busy = true;
	l->handler(l->ctx, &rq, &rp);
	if (rp.later) {
		buf_fini(&rp.body);
		later_begin(l, mc, x, rp.later);
		return MHD_YES;
	}
	x->upgrade = rp.upgrade;
	return answer(l, mc, &rp);
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mc)
{
	struct exchange *x = calloc(1, sizeof(*x));
	(void)cls;
	(void)mc;
	if (x)
		x->bad = request_parse(&x->parts, uri) != 0;
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *mc, void **ctx,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *ctx;
	struct http_conn *hc = conn_of(mc);
	(void)cls;
	(void)why;
	*ctx = NULL;
	if (hc) {
		hc->busy = false;
		hc->served = true;
		hc->since_ms = clock_ms();
	}
	if (!x)
		return;
	exchange_gone(x);
	request_fini(&x->parts);
	buf_fini(&x->body);
	free(x);
}

static uint64_t peer_address(const union MHD_ConnectionInfo *info)
{
	struct sockaddr_storage at = {0};
	socklen_t len = sizeof(at);
	if (!info || getpeername(info->connect_fd, (struct sockaddr *)&at, &len))
		return 0;
	return address_number(&at);
}

static void on_connection(void *cls, struct MHD_Connection *mc, void **ctx,
			  enum MHD_ConnectionNotificationCode code)
{
	struct listener *l = cls;
	struct http_conn *hc = *ctx;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
		    MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
		hc = calloc(1, sizeof(*hc));
		*ctx = hc;
		if (!hc)
			return;
		hc->listener = l;
		hc->trusted = l->trusted;
		hc->address = l->door == HTTP_PAGE && !l->tls ? peer_address(info) : l->address;
		hc->fd = info ? info->connect_fd : -1;
		hc->since_ms = clock_ms();
		hc->next = l->conns;
		if (hc->next)
			hc->next->prev = &hc->next;
		hc->prev = &l->conns;
		l->conns = hc;
	} else if (hc) {
		*hc->prev = hc->next;
		if (hc->next)
			hc->next->prev = hc->prev;
		free(hc);
		*ctx = NULL;
	}
}

/* What waits in the socket is not for its client any more, either. */
static void cut_off(int fd)
{
	const struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	shutdown(fd, SHUT_RDWR);
}

bool http_stream_left(const struct http_stream *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLRDHUP};

	return s->gone || (poll(&p, 1, 0) == 1 && p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Clients that drip their request, or hung up while a stream had nothing to say. */
static void on_tick(uv_timer_t *t)
{
	struct http_server *s = t->data;
	uint64_t now = clock_ms();
	for (struct listener *l = s->listeners; l; l = l->next)
		for (struct http_conn *hc = l->conns; hc; hc = hc->next) {
			uint64_t limit = (hc->served ? IDLE_SECONDS : s->opt.request_seconds) * 1000ULL;
			if (hc->fd >= 0 && now - hc->since_ms > limit && !hc->busy)
				shutdown(hc->fd, SHUT_RDWR);
		}
	for (struct http_stream *st = s->streams, *next; st; st = next) {
		next = st->next;
		if (st->asleep && http_stream_left(st)) {
			st->gone = true;
			http_stream_wake(st);
		} else if (st->over && st->over(st)) {
			if (st->asleep)
				http_stream_wake(st);
			else
				cut_off(st->fd);
		}
	}
	/* When the last of too many connections goes, the library opens its door at the next run, and no
	 * event of a socket is left to cause one. */
	for (struct listener *l = s->listeners; l; l = l->next)
		listener_run(l);
}

/* A connection that cannot be taken would wait without a word: no more than there are descriptors. */
static unsigned most_connections(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= CONNECTIONS + KEPT_FILES)
		return CONNECTIONS;
	return l.rlim_cur > 2 * KEPT_FILES ? (unsigned)l.rlim_cur - KEPT_FILES : KEPT_FILES;
}

int http_new(struct http_server **out, uv_loop_t *loop, const struct http_options *opt)
{
	struct http_server *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->opt = *opt;
	if (!s->opt.body_max)
		s->opt.body_max = BODY_MAX;
	if (!s->opt.connections)
		s->opt.connections = most_connections();
	if (!s->opt.request_seconds)
		s->opt.request_seconds = REQUEST_SECONDS;
	uv_timer_init(loop, &s->tick);
	s->tick.data = s;
	uv_timer_start(&s->tick, on_tick, 1000, 1000);
	*out = s;
	return 0;
}

static void on_error(void *cls, const char *fmt, va_list ap)
{
	AUTO_BUF b = {0};
	(void)cls;
	buf_vprintf(&b, fmt, ap);
	log_debug("http: " STR_FMT, STR_ARG(str_trim(buf_str(&b))));
}

/* One whose TLS is done. */
static int on_front(void *ctx, int fd, bool trusted, uint64_t address)
{
	struct listener *l = ctx;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	l->trusted = trusted;
	l->address = address;
	if (l->server->closing) {
		close(fd);
		return -ECANCELED;
	}
	/* It closes the socket when it fails. */
	if (MHD_add_connection(l->daemon, fd, (struct sockaddr *)&at, sizeof(at)) != MHD_YES)
		return -EIO;
	listener_soon(l);
	return 0;
}

/* Takes the listener over. */
static int listen_on(struct listener *l, int fd, unsigned connections, const char *tls_key,
		     const char *tls_cert, const char *tls_ca)
{
	struct http_server *s = l->server;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
			 (tls_key ? MHD_USE_NO_LISTEN_SOCKET : 0);
	l->tls = tls_key != NULL;
	l->daemon = MHD_start_daemon(
	    flags, 0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_error, NULL,
	    MHD_OPTION_URI_LOG_CALLBACK, on_uri, l, MHD_OPTION_NOTIFY_COMPLETED, on_completed, l,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_CONNECTION_LIMIT, connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)(64 << 10), MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    tls_key ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
	    l->daemon ? MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	int r = info ? 0 : -EIO;
	if (!r && tls_key)
		r = tls_front_new(&l->front, s->loop, fd, tls_key, tls_cert, tls_ca, connections, on_front,
				  l);
	if (r) {
		if (l->daemon)
			MHD_stop_daemon(l->daemon);
		free(l);
		return r;
	}
	uv_poll_init(s->loop, &l->poll, info->epoll_fd);
	uv_timer_init(s->loop, &l->timer);
	l->poll.data = l->timer.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_poll);
	l->next = s->listeners;
	s->listeners = l;
	return 0;
}

int http_listen(struct http_server *s, int fd, const char *tls_key, const char *tls_cert, const char *tls_ca)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->server = s;
	l->door = tls_key ? HTTP_CERTIFICATE : HTTP_SOCKET;
	l->handler = s->opt.handler;
	l->ctx = s->opt.ctx;
	return listen_on(l, fd, s->opt.connections, tls_key, tls_cert, tls_ca);
}

int http_listen_page(struct http_server *s, int fd, const struct http_page *p)
{
	struct listener *l = calloc(1, sizeof(*l));
	unsigned most =
	    p->connections && p->connections < s->opt.connections ? p->connections : s->opt.connections;
	if (!l)
		return -ENOMEM;
	l->server = s;
	l->door = HTTP_PAGE;
	l->handler = p->handler;
	l->ctx = p->ctx;
	l->headers = p->headers;
	l->headers_len = p->headers_len;
	return listen_on(l, fd, most, p->tls_key, p->tls_cert, NULL);
}

static void on_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	if (--l->open_handles == 0)
		free(l);
}

static void on_server_closed(uv_handle_t *h)
{
	free(h->data);
}

void http_free(struct http_server **ps)
{
	struct http_server *s = *ps;
	*ps = NULL;
	if (!s)
		return;
	s->closing = true;
	/* A daemon must not stop while connections are suspended. */
	for (struct http_stream *st = s->streams, *next; st; st = next) {
		next = st->next;
		st->gone = true;
		http_stream_wake(st);
	}
	http_state_end(s);
	for (struct listener *l = s->listeners, *next; l; l = next) {
		next = l->next;
		MHD_run(l->daemon);
		uv_poll_stop(&l->poll);
		uv_timer_stop(&l->timer);
		l->open_handles = 2;
		uv_close((uv_handle_t *)&l->poll, on_closed);
		uv_close((uv_handle_t *)&l->timer, on_closed);
		MHD_stop_daemon(l->daemon);
		tls_front_free(&l->front);
	}
	uv_timer_stop(&s->tick);
	uv_close((uv_handle_t *)&s->tick, on_server_closed);
}
