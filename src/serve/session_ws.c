/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel protocols v4.channel.k8s.io and v5.channel.k8s.io: each message begins with the number of a
 * channel. In an exec these are those of enum stream_channel; in a port-forward 2i carries the i-th port's
 * data and 2i+1 its errors, each beginning with the port, two bytes, little endian. v5 can close one channel:
 * 255, then its number; in a port-forward that is Weft's own addition. Called by session.c.
 */
#include "serve/session.h"

#include <stdio.h>

enum { RESIZE_MAX = 1024 };

static void put(struct session *s, unsigned channel, struct str data)
{
	const char head = (char)channel;
	ws_frame(&s->client.out, WS_BINARY, false, (struct str){&head, 1}, data);
	session_flush(s);
}

static void put_close(struct session *s, unsigned channel)
{
	const char what = (char)channel;
	if (s->v5)
		put(s, STREAM_CLOSE, (struct str){&what, 1});
}

static void put_failure(struct session *s, const char *message)
{
	struct buf b = {0};
	buf_addz(
	    &b,
	    "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"InternalError\",\"code\":500,\"message\":");
	buf_json(&b, str_of(message));
	buf_addc(&b, '}');
	put(s, STREAM_STATUS, buf_str(&b));
	buf_fini(&b);
}

/* Cuts the channel's number off a message that begins. False: nothing is left of this piece. */
static bool begin(struct session *s, char **p, size_t *n, bool first)
{
	if (first)
		s->channel = -1;
	if (s->channel >= 0 || !*n)
		return *n;
	s->channel = (unsigned char)**p;
	++*p;
	--*n;
	buf_clear(&s->partial);
	return true;
}

/* exec and attach */

static void exec_opened(struct session *s)
{
	(void)s;
}

static void exec_input(struct session *s, char *p, size_t n, bool first, bool last)
{
	struct str data;
	if (!begin(s, &p, &n, first))
		return;
	data = (struct str){p, n};
	switch (s->channel) {
	case STREAM_IN:
		if (s->in && n)
			session_input(s->lanes, STREAM_IN, data);
		break;
	case STREAM_RESIZE:
	case STREAM_CLOSE:
		if (s->partial.n + n <= RESIZE_MAX)
			buf_adds(&s->partial, data);
		if (!last || !s->partial.n)
			break;
		if (s->channel == STREAM_RESIZE && s->tty)
			session_input(s->lanes, STREAM_RESIZE, buf_str(&s->partial));
		if (s->channel == STREAM_CLOSE && s->v5 && s->in && s->partial.p[0] == STREAM_IN)
			session_input(s->lanes, STREAM_CLOSE, (struct str){"", 1});
		break;
	default:
		session_end(s, WS_PROTOCOL, "a message on a channel that clients do not send on");
	}
}

static void exec_answered(struct lane *l, int code, const char *message)
{
	/* The runtime had answered before the upgrade. */
	(void)l;
	(void)code;
	(void)message;
}

static void exec_output(struct lane *l, unsigned channel, char *p, size_t n)
{
	struct session *s = l->session;
	if ((channel == STREAM_OUT && s->out) || (channel == STREAM_ERR && s->err)) {
		put(s, channel, (struct str){p, n});
	} else if (channel == STREAM_STATUS) {
		put(s, STREAM_STATUS, (struct str){p, n});
		session_end(s, WS_NORMAL, "");
	}
}

static void exec_ended(struct lane *l)
{
	put_failure(l->session, "the runtime ended the session without a status");
	session_end(l->session, WS_BROKEN, "the runtime ended the session");
}

/* port-forward */

static void forward_opened(struct session *s)
{
	for (unsigned i = 0; i < s->n_ports && !s->ending; i++) {
		const char port[2] = {(char)(s->ports[i] & 0xff), (char)(s->ports[i] >> 8)};
		struct buf request = {0};
		put(s, 2 * i, (struct str){port, 2});
		put(s, 2 * i + 1, (struct str){port, 2});
		struct lane *l = session_lane(s);
		session_forward_request(&request, s, s->ports[i]);
		if (l) {
			l->number = i;
			l->port = s->ports[i];
		}
		if (!l || session_ask(s, l, buf_str(&request)))
			session_end(s, WS_BROKEN, "the runtime does not answer, or has too many connections");
		buf_fini(&request);
	}
}

static struct lane *lane_of(struct session *s, unsigned number)
{
	struct lane *l = s->lanes;
	while (l && l->number != number)
		l = l->next;
	return l;
}

static void forward_input(struct session *s, char *p, size_t n, bool first, bool last)
{
	struct lane *l;
	if (!begin(s, &p, &n, first))
		return;
	if (s->channel == STREAM_CLOSE && s->v5) {
		l = n == 1 && last && !(*p & 1) ? lane_of(s, (unsigned char)*p / 2) : NULL;
		if (l)
			session_input(l, STREAM_CLOSE, (struct str){"", 1});
		return;
	}
	if ((unsigned)s->channel >= 2 * s->n_ports) {
		session_end(s, WS_PROTOCOL, "a message on a channel of no port");
		return;
	}
	/* What comes for a connection that is over, or on the channel of errors, has nowhere to go. */
	l = s->channel & 1 ? NULL : lane_of(s, (unsigned)s->channel / 2);
	if (l && n)
		session_input(l, STREAM_IN, (struct str){p, n});
}

static void lane_over(struct lane *l)
{
	struct session *s = l->session;
	if (!l->sent_fin)
		put_close(s, 2 * l->number);
	put_close(s, 2 * l->number + 1);
	session_lane_remove(l);
	if (!s->lanes)
		session_end(s, WS_NORMAL, "");
}

static void forward_answered(struct lane *l, int code, const char *message)
{
	if (!code)
		return;
	put(l->session, 2 * l->number + 1, str_of(message));
	lane_over(l);
}

static void forward_output(struct lane *l, unsigned channel, char *p, size_t n)
{
	if (channel == STREAM_OUT)
		put(l->session, 2 * l->number, (struct str){p, n});
	if (channel == STREAM_CLOSE && n && p[0] == STREAM_OUT && !l->sent_fin) {
		l->sent_fin = true;
		put_close(l->session, 2 * l->number);
	}
}

const struct session_protocol session_ws_exec = {exec_opened, exec_input, exec_answered, exec_output,
						 exec_ended};
const struct session_protocol session_ws_forward = {forward_opened, forward_input, forward_answered,
						    forward_output, lane_over};
