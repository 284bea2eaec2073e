/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec, attach and port-forward over SPDY/3.1 streams, as kubectl up to 1.30 speaks them, and port-forward of
 * later ones inside a WebSocket. The client opens the streams and says by a header what each is for. Called
 * by session.c.
 */
#include "serve/session.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

enum { RESIZE_MAX = 1024, RST_PROTOCOL_ERROR = 1, RST_REFUSED = 3 };

static void put_data(struct session *s, uint32_t stream, unsigned flags, struct str data)
{
	struct buf b = {0};
	spdy_data(&b, stream, flags, data);
	session_put(s, buf_str(&b));
	buf_fini(&b);
}

static void put_reset(struct session *s, uint32_t stream, uint32_t status)
{
	struct buf b = {0};
	spdy_reset(&b, stream, status);
	session_put(s, buf_str(&b));
	buf_fini(&b);
}

static void put_reply(struct session *s, uint32_t stream)
{
	static const char *const none[] = {NULL};
	struct buf b = {0};
	spdy_headers(&s->spdy, &b, SPDY_SYN_REPLY, stream, 0, none);
	session_put(s, buf_str(&b));
	buf_fini(&b);
}

static void fail(struct session *s, const char *problem)
{
	struct buf b = {0};
	log_info("stream: a client's SPDY: %s", problem);
	spdy_goaway(&b, s->last_stream);
	session_put(s, buf_str(&b));
	buf_fini(&b);
	session_end(s, WS_PROTOCOL, problem);
}

static struct lane *lane_of(struct session *s, uint32_t stream, unsigned *channel)
{
	for (struct lane *l = s->lanes; l; l = l->next)
		for (*channel = 0; *channel < 5; ++*channel)
			if (l->stream[*channel] == stream)
				return l;
	return NULL;
}

/* exec and attach */

static void start_when_complete(struct session *s)
{
	const uint32_t *st = s->lanes->stream;
	if (!st[STREAM_STATUS] || (s->in && !st[STREAM_IN]) || (s->out && !st[STREAM_OUT]) ||
	    (s->err && !st[STREAM_ERR]) || (s->tty && !st[STREAM_RESIZE]) || s->spdy_started)
		return;
	s->spdy_started = true;
	if (s->lanes->flow && !s->output_held)
		duplex_read(&s->lanes->flow->io, true);
}

static void exec_syn(struct session *s)
{
	static const char *const types[] = {"stdin", "stdout", "stderr", "error", "resize"};
	struct str type = spdy_header(&s->spdy, "streamtype");
	uint32_t *st = s->lanes->stream;
	unsigned c = 0;
	while (c < 5 && !str_eqz(type, types[c]))
		c++;
	if (c == 5 || st[c]) {
		put_reset(s, s->spdy.stream, RST_PROTOCOL_ERROR);
		return;
	}
	st[c] = s->spdy.stream;
	put_reply(s, s->spdy.stream);
	start_when_complete(s);
}

/* A stream of JSON objects, each with a newline at its end. */
static void resize(struct session *s, struct str data)
{
	for (size_t i = 0; i < data.n; i++) {
		if (data.p[i] != '\n' && s->partial.n < RESIZE_MAX)
			buf_addc(&s->partial, data.p[i]);
		if ((data.p[i] == '\n' || data.p[i] == '}') && s->partial.n) {
			session_input(s->lanes, STREAM_RESIZE, buf_str(&s->partial));
			buf_clear(&s->partial);
		}
	}
}

static void exec_data(struct session *s, uint32_t stream, struct str data, bool fin)
{
	unsigned c;
	struct lane *l = lane_of(s, stream, &c);
	if (!l)
		return;
	if (c == STREAM_IN && s->in && data.n)
		session_input(l, STREAM_IN, data);
	if (c == STREAM_IN && s->in && fin)
		session_input(l, STREAM_CLOSE, (struct str){"", 1});
	if (c == STREAM_RESIZE && s->tty)
		resize(s, data);
}

static void exec_answered(struct lane *l, int code, const char *message)
{
	(void)l;
	(void)code;
	(void)message;
}

static void exec_finish(struct session *s, struct str status)
{
	const uint32_t *st = s->lanes->stream;
	if (s->out)
		put_data(s, st[STREAM_OUT], SPDY_FIN, (struct str){0});
	if (s->err)
		put_data(s, st[STREAM_ERR], SPDY_FIN, (struct str){0});
	put_data(s, st[STREAM_STATUS], SPDY_FIN, status);
	session_end(s, WS_NORMAL, "");
}

static void exec_output(struct lane *l, unsigned channel, char *p, size_t n)
{
	struct session *s = l->session;
	if ((channel == STREAM_OUT && s->out) || (channel == STREAM_ERR && s->err))
		put_data(s, l->stream[channel], 0, (struct str){p, n});
	else if (channel == STREAM_STATUS)
		exec_finish(s, (struct str){p, n});
}

static void exec_ended(struct lane *l)
{
	exec_finish(l->session,
		    STR("{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"InternalError\",\"code\":500,"
			"\"message\":\"the runtime ended the session without a status\"}"));
}

/* port-forward */

static struct lane *pair_of(struct session *s, struct str id, unsigned port)
{
	for (struct lane *l = s->lanes; l; l = l->next)
		if (str_eqz(id, l->id) && l->port == port &&
		    !(l->stream[STREAM_OUT] && l->stream[STREAM_STATUS]))
			return l;
	return NULL;
}

static void lane_over(struct lane *l)
{
	struct session *s = l->session;
	if (l->stream[STREAM_OUT] && !l->sent_fin)
		put_data(s, l->stream[STREAM_OUT], SPDY_FIN, (struct str){0});
	if (l->stream[STREAM_STATUS])
		put_data(s, l->stream[STREAM_STATUS], SPDY_FIN, (struct str){0});
	session_lane_remove(l);
}

static void lane_fail(struct lane *l, const char *message)
{
	struct session *s = l->session;
	struct buf b = {0};
	buf_printf(&b, "error forwarding port %u to pod %s/%s: %s", l->port, s->target.ns, s->target.name,
		   message);
	put_data(s, l->stream[STREAM_STATUS], 0, buf_str(&b));
	buf_fini(&b);
	lane_over(l);
}

/* Pairs whose second stream never comes must not fill the table. */
static void drop_stale(struct session *s)
{
	uint64_t now = clock_ms();
	for (struct lane *l = s->lanes, *next; l; l = next) {
		next = l->next;
		if (!(l->stream[STREAM_OUT] && l->stream[STREAM_STATUS]) && now - l->since_ms > 30000)
			lane_over(l);
	}
}

static void forward_syn(struct session *s)
{
	struct str type = spdy_header(&s->spdy, "streamtype"), id = spdy_header(&s->spdy, "requestid");
	unsigned c = str_eqz(type, "data") ? STREAM_OUT : STREAM_STATUS;
	int64_t port = 0;
	if ((c == STREAM_STATUS && !str_eqz(type, "error")) || id.n >= sizeof(s->lanes->id) ||
	    str_to_i64(spdy_header(&s->spdy, "port"), 1, 65535, &port)) {
		put_reset(s, s->spdy.stream, RST_PROTOCOL_ERROR);
		return;
	}
	drop_stale(s);
	struct lane *l = pair_of(s, id, (unsigned)port);
	if (!l && (l = session_lane(s))) {
		memcpy(l->id, id.p ? id.p : "", id.n);
		l->port = (unsigned)port;
	}
	if (!l || l->stream[c]) {
		put_reset(s, s->spdy.stream, l ? RST_PROTOCOL_ERROR : RST_REFUSED);
		return;
	}
	l->stream[c] = s->spdy.stream;
	put_reply(s, s->spdy.stream);
	if (!l->stream[STREAM_OUT] || !l->stream[STREAM_STATUS])
		return;
	struct buf request = {0};
	session_forward_request(&request, s, l->port);
	if (session_ask(s, l, buf_str(&request)))
		lane_fail(l, "the runtime does not answer");
	buf_fini(&request);
}

static void forward_data(struct session *s, uint32_t stream, struct str data, bool fin)
{
	unsigned c;
	struct lane *l = lane_of(s, stream, &c);
	/* What comes for a connection that is over has nowhere to go. */
	if (!l || c != STREAM_OUT)
		return;
	if (data.n)
		session_input(l, STREAM_IN, data);
	if (fin)
		session_input(l, STREAM_CLOSE, (struct str){"", 1});
}

static void forward_answered(struct lane *l, int code, const char *message)
{
	if (code)
		lane_fail(l, message);
}

static void forward_output(struct lane *l, unsigned channel, char *p, size_t n)
{
	struct session *s = l->session;
	if (channel == STREAM_OUT && !l->sent_fin)
		put_data(s, l->stream[STREAM_OUT], 0, (struct str){p, n});
	if (channel == STREAM_CLOSE && n && p[0] == STREAM_OUT && !l->sent_fin) {
		l->sent_fin = true;
		put_data(s, l->stream[STREAM_OUT], SPDY_FIN, (struct str){0});
	}
}

/* Both */

static void opened(struct session *s)
{
	if (spdy_init(&s->spdy))
		session_end(s, WS_BROKEN, "out of memory");
	else
		s->spdy_set = true;
}

static void take_data(struct session *s, uint32_t stream, struct str data, bool fin)
{
	if (s->kind == SESSION_EXEC)
		exec_data(s, stream, data, fin);
	else
		forward_data(s, stream, data, fin);
}

static void take_syn(struct session *s)
{
	uint32_t stream = s->spdy.stream;
	if (!(stream & 1) || stream <= s->last_stream) {
		fail(s, "a stream whose number is not the client's next");
		return;
	}
	s->last_stream = stream;
	if (s->kind == SESSION_EXEC)
		exec_syn(s);
	else
		forward_syn(s);
	if (s->spdy.fin)
		take_data(s, stream, (struct str){0}, true);
}

static void take_control(struct session *s)
{
	unsigned c;
	struct lane *l;
	struct buf b = {0};
	switch (s->spdy.type) {
	case SPDY_SYN_STREAM:
		take_syn(s);
		break;
	case SPDY_RST_STREAM:
		l = lane_of(s, s->spdy.stream, &c);
		if (l && s->kind == SESSION_EXEC)
			session_close(s);
		else if (l && c == STREAM_OUT)
			session_lane_remove(l);
		break;
	case SPDY_PING:
		/* Odd numbers are the client's; even ones answer ours. */
		if (s->spdy.stream & 1) {
			spdy_ping(&b, s->spdy.stream);
			session_put(s, buf_str(&b));
		}
		break;
	case SPDY_GOAWAY:
		session_end(s, WS_NORMAL, "");
		break;
	default:
		break; /* settings, windows, replies: nothing follows from them here */
	}
	buf_fini(&b);
}

static void input(struct session *s, char *p, size_t n, bool first, bool last)
{
	enum spdy_event e = SPDY_BAD;
	(void)first;
	(void)last;
	while (s->spdy_set && !s->ending && !s->closed && (e = spdy_feed(&s->spdy, &p, &n)) != SPDY_MORE) {
		if (e == SPDY_BAD) {
			fail(s, s->spdy.problem);
			return;
		}
		if (e == SPDY_CONTROL)
			take_control(s);
		else
			take_data(s, s->spdy.stream, (struct str){s->spdy.data, s->spdy.len}, s->spdy.fin);
	}
}

const struct session_protocol session_spdy_exec = {opened, input, exec_answered, exec_output, exec_ended};
const struct session_protocol session_spdy_forward = {opened, input, forward_answered, forward_output,
						      lane_over};
