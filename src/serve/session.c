/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of sessions: asking the runtime, the upgrade, back-pressure, pings, time-outs, the end. What is said
 * on the wire is session_ws.c's and session_spdy.c's. See session.h.
 */
#include "serve/session.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum {
	ANSWER_MS = 30000,  /* the runtime's answer; missing streams */
	LINGER_MS = 5000,   /* the client's close after ours, once it has taken all that was sent */
	PING_MS = 15000,    /* quiet before a ping */
	DEAD_MS = 60000,    /* quiet before the end */
	STUCK_MS = 3600000, /* a client that reads nothing */
	LANE_HIGH = 1 << 20,
	LANES_HIGH = 4 << 20
};

static const struct flow_ops flow_ops;

/* Back-pressure */

static void hold_output(struct session *s)
{
	size_t waits = s->kind == SESSION_LOG ? s->log.n : duplex_pending(&s->client);
	bool hold = s->output_held ? waits > DUPLEX_LOW : waits > DUPLEX_HIGH;
	bool wait = s->spdy_set && s->kind == SESSION_EXEC && !s->spdy_started;
	s->output_held = hold;
	for (struct lane *l = s->lanes; l; l = l->next)
		if (l->flow && l->flow->state != FLOW_OVER)
			duplex_read(&l->flow->io, l->flow->state == FLOW_ASKED || !(hold || wait));
}

static void hold_input(struct session *s)
{
	size_t total = 0, high = s->kind == SESSION_EXEC ? DUPLEX_HIGH : LANE_HIGH;
	bool hold = duplex_pending(&s->client) > LANE_HIGH;
	if (!s->upgraded || s->closed)
		return;
	for (struct lane *l = s->lanes; l; l = l->next) {
		size_t n = l->flow ? flow_pending(l->flow) : 0;
		total += n;
		hold |= n > high;
	}
	s->input_held = hold | (total > LANES_HIGH);
	duplex_read(&s->client, !s->input_held);
}

void session_input(struct lane *l, enum stream_channel channel, struct str data)
{
	if (!l->flow)
		return;
	flow_send(l->flow, channel, data);
	if (flow_pending(l->flow) > DUPLEX_HIGH)
		hold_input(l->session);
}

void session_flush(struct session *s)
{
	duplex_flush(&s->client);
	if (duplex_pending(&s->client) > DUPLEX_HIGH) {
		hold_output(s);
		hold_input(s);
	}
}

void session_put(struct session *s, struct str bytes)
{
	if (s->ws)
		ws_frame(&s->client.out, WS_BINARY, false, (struct str){0}, bytes);
	else
		buf_adds(&s->client.out, bytes);
	session_flush(s);
}

/* Lanes and flows */

struct lane *session_lane(struct session *s)
{
	if (s->n_lanes >= LANES_MAX || s->all->lanes >= LANES_ALL_MAX)
		return NULL;
	struct lane *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->session = s;
	l->since_ms = clock_ms();
	l->next = s->lanes;
	s->lanes = l;
	s->n_lanes++;
	s->all->lanes++;
	return l;
}

void session_lane_remove(struct lane *l)
{
	struct session *s = l->session;
	struct lane **at = &s->lanes;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	s->n_lanes--;
	s->all->lanes--;
	flow_close(&l->flow);
	free(l);
	hold_input(s);
}

int session_ask(struct session *s, struct lane *l, struct str request)
{
	int r = flow_new(&l->flow, s->all->loop, s->all->path, request, &flow_ops, l);
	if (r)
		log_warn("runtime: %s: %s", s->all->path, strerror(-r));
	return r;
}

void session_forward_request(struct buf *b, const struct session *s, unsigned port)
{
	buf_addz(b, "{\"do\":\"forward\",\"namespace\":");
	buf_json(b, str_of(s->target.ns));
	buf_addz(b, ",\"pod\":");
	buf_json(b, str_of(s->target.name));
	buf_printf(b, ",\"port\":%u}", port);
}

static void on_answered(struct flow *f, int code, const char *reason, const char *message)
{
	struct lane *l = f->ctx;
	struct session *s = l->session;
	if (s->upgraded) {
		hold_output(s);
		s->protocol->answered(l, code, message);
		if (!s->closed)
			hold_input(s);
		return;
	}
	s->refused = code;
	if (message)
		buf_addz(&s->message, message);
	static const char *const known[] = {
	    "BadRequest",      "Forbidden",	"NotFound",	      "Conflict",  "Timeout",
	    "TooManyRequests", "InternalError", "ServiceUnavailable", "BadGateway"};
	s->reason = "InternalError";
	for (size_t i = 0; code && i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i], reason))
			s->reason = known[i];
	/* Until there is a client to hand it to, what the runtime says waits in the socket. */
	if (!code && s->kind != SESSION_LOG)
		duplex_read(&f->io, false);
	http_later_wake(&s->later);
}

static void on_output(struct flow *f, unsigned channel, char *p, size_t n)
{
	struct lane *l = f->ctx;
	struct session *s = l->session;
	if (s->kind == SESSION_LOG) {
		if (channel == STREAM_OUT)
			buf_add(&s->log, p, n);
		hold_output(s);
		http_stream_wake(&s->stream);
	} else if (s->upgraded && !s->ending) {
		s->protocol->output(l, channel, p, n);
	}
}

static void on_flow_ended(struct flow *f)
{
	struct lane *l = f->ctx;
	struct session *s = l->session;
	flow_close(&l->flow);
	s->over = true;
	if (s->kind == SESSION_LOG)
		http_stream_wake(&s->stream);
	else if (s->upgraded && !s->ending)
		s->protocol->ended(l);
	if (s->upgraded)
		hold_input(s);
}

static void on_flow_drained(struct flow *f)
{
	hold_input(((struct lane *)f->ctx)->session);
}

static const struct flow_ops flow_ops = {on_answered, on_output, on_flow_ended, on_flow_drained};

/* The client */

static void end_flows(struct session *s)
{
	for (struct lane *l = s->lanes; l; l = l->next)
		flow_close(&l->flow);
}

void session_end(struct session *s, enum ws_status status, const char *reason)
{
	if (s->ending || s->closed)
		return;
	s->ending = true;
	s->end_ms = clock_ms() + LINGER_MS;
	s->drains = true;
	end_flows(s);
	if (s->ws)
		ws_close_frame(&s->client.out, false, status, reason);
	duplex_flush(&s->client);
	hold_input(s);
}

static void ws_control(struct session *s)
{
	struct str none = {0}, body = {s->ws_in.data, s->ws_in.len};
	if (s->ws_in.opcode == WS_PING) {
		ws_frame(&s->client.out, WS_PONG, false, none, body);
		session_flush(s);
	} else if (s->ws_in.opcode == WS_CLOSE) {
		if (!s->ending) {
			ws_close_frame(&s->client.out, false, WS_NORMAL, "");
			duplex_flush(&s->client);
		}
		session_close(s);
	}
}

static void on_client_data(struct duplex *d, char *p, size_t n)
{
	struct session *s = CONTAINER_OF(d, struct session, client);
	enum ws_event e = WS_DATA;
	s->heard_ms = clock_ms();
	if (!s->ws) {
		if (!s->ending)
			s->protocol->input(s, p, n, true, true);
		return;
	}
	while (!s->closed && (e = ws_feed(&s->ws_in, &p, &n)) != WS_MORE && e != WS_BAD) {
		if (e == WS_CONTROL)
			ws_control(s);
		else if (!s->ending)
			s->protocol->input(s, s->ws_in.data, s->ws_in.len, s->ws_in.first, s->ws_in.last);
	}
	if (e == WS_BAD && !s->closed) {
		log_info("stream: a client's WebSocket: %s", s->ws_in.problem);
		session_end(s, WS_PROTOCOL, s->ws_in.problem);
		/* What follows cannot be understood. */
		s->end_ms = clock_ms() + (uint64_t)(duplex_pending(d) ? 1000 : 0);
		s->drains = false;
	}
}

static void on_client_ended(struct duplex *d)
{
	session_close(CONTAINER_OF(d, struct session, client));
}

static void on_client_drained(struct duplex *d)
{
	struct session *s = CONTAINER_OF(d, struct session, client);
	s->moved_ms = clock_ms();
	hold_output(s);
	hold_input(s);
}

static void session_unlink(struct session *s)
{
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->all->n--;
}

static void free_parts(struct session *s)
{
	while (s->lanes)
		session_lane_remove(s->lanes);
	if (s->spdy_set)
		spdy_fini(&s->spdy);
	buf_fini(&s->message);
	buf_fini(&s->partial);
	buf_fini(&s->log);
	who_unref(&s->who);
	free(s);
}

void session_free(struct session *s)
{
	session_unlink(s);
	s->closed = true;
	free_parts(s);
}

static void on_client_freed(struct duplex *d)
{
	struct session *s = CONTAINER_OF(d, struct session, client);
	s->all->closing--;
	free_parts(s);
}

void session_close(struct session *s)
{
	if (s->closed)
		return;
	s->closed = s->ending = true;
	session_unlink(s);
	end_flows(s);
	s->all->closing++;
	duplex_close(&s->client, on_client_freed);
	http_upgrade_close(&s->upgrade);
}

static void on_opened(struct http_upgrade *u, int fd, struct str early)
{
	static const struct duplex_ops ops = {on_client_data, on_client_ended, on_client_drained};
	struct session *s = CONTAINER_OF(u, struct session, upgrade);
	s->heard_ms = s->moved_ms = clock_ms();
	s->client.hangs_up = true;
	if (duplex_init(&s->client, s->all->loop, fd, &ops)) {
		http_upgrade_close(u);
		session_free(s);
		return;
	}
	s->upgraded = true;
	s->protocol->opened(s);
	hold_output(s);
	/* Bytes that came with the request; they are changed in place. */
	struct buf copy = {0};
	buf_adds(&copy, early);
	if (copy.n && !s->closed)
		on_client_data(&s->client, copy.p, copy.n);
	buf_fini(&copy);
}

static void on_upgrade_gone(struct http_upgrade *u)
{
	session_free(CONTAINER_OF(u, struct session, upgrade));
}

static void on_upgrade_stop(struct http_upgrade *u)
{
	session_close(CONTAINER_OF(u, struct session, upgrade));
}

static void on_later_gone(struct http_later *l)
{
	session_free(CONTAINER_OF(l, struct session, later));
}

/* The runtime has answered. */
static void on_later_answer(struct http_later *l, struct http_reply *rp)
{
	struct session *s = CONTAINER_OF(l, struct session, later);
	if (s->refused) {
		struct api_error e = {.code = s->refused, .reason = s->reason};
		buf_adds(&e.message, buf_str(&s->message));
		rp->status = s->refused;
		rp->retry = s->refused == 429 || s->refused == 503;
		status_print(&rp->body, &e, &s->target);
		api_error_fini(&e);
		session_free(s);
	} else if (s->kind == SESSION_LOG) {
		rp->content_type = "text/plain";
		rp->stream = &s->stream;
	} else {
		rp->upgrade = &s->upgrade;
	}
}

static void on_log_pull(struct http_stream *st)
{
	struct session *s = CONTAINER_OF(st, struct session, stream);
	buf_adds(&st->out, buf_str(&s->log));
	st->out.failed |= s->log.failed;
	buf_fini(&s->log);
	st->done = s->over;
	hold_output(s);
}

static void on_log_close(struct http_stream *st)
{
	session_free(CONTAINER_OF(st, struct session, stream));
}

void session_hooks(struct session *s)
{
	s->later.answer = on_later_answer;
	s->later.gone = on_later_gone;
	s->upgrade.opened = on_opened;
	s->upgrade.gone = on_upgrade_gone;
	s->upgrade.stop = on_upgrade_stop;
	s->stream.pull = on_log_pull;
	s->stream.close = on_log_close;
}

int session_new(struct session **out, struct sessions *all, const struct target *t,
		const struct http_request *rq, struct api_error *e)
{
	unsigned same = 0;
	for (struct session *s = all->list; s; s = s->next)
		same += s->client_key == rq->client;
	if (all->n >= SESSIONS_MAX || same >= SESSIONS_CLIENT_MAX) {
		all->refused++;
		e->retry = true;
		api_fail(
		    e, 429, "TooManyRequests",
		    "there are %u sessions (exec, attach, logs, port-forward) already, %u of this client; at "
		    "most %u and %u are served at a time: end some, or try again later",
		    all->n, same, SESSIONS_MAX, SESSIONS_CLIENT_MAX);
		return -EAGAIN;
	}
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->all = all;
	s->target = *t;
	s->client_key = rq->client;
	s->who = who_ref(who_of(rq));
	s->channel = -1;
	session_hooks(s);
	s->next = all->list;
	if (s->next)
		s->next->prev = &s->next;
	s->prev = &all->list;
	all->list = s;
	all->n++;
	*out = s;
	return 0;
}

/* Time */

static void ping(struct session *s, uint64_t now)
{
	AUTO_BUF frame = {0};
	s->pinged_ms = now;
	if (s->ws) {
		ws_frame(&s->client.out, WS_PING, false, (struct str){0}, STR("weft"));
		duplex_flush(&s->client);
	} else {
		s->ping += 2;
		spdy_ping(&frame, s->ping);
		session_put(s, buf_str(&frame));
	}
}

static void tick_client(struct session *s, uint64_t now)
{
	size_t waits = duplex_pending(&s->client);
	if (!waits)
		s->moved_ms = now;
	/* A slow reader gets everything: until then the time does not run. */
	if (s->ending && s->drains && waits)
		s->end_ms = now + LINGER_MS;
	bool late = s->ending && now >= s->end_ms;
	bool dead = !waits && !s->input_held && now - s->heard_ms > DEAD_MS;
	bool slow = s->spdy_set && s->kind == SESSION_EXEC && !s->spdy_started &&
		    now - s->lanes->since_ms > ANSWER_MS;
	if (late || dead || slow || now - s->moved_ms > STUCK_MS) {
		if (!late)
			log_info("stream: %s/%s: %s", s->target.ns, s->target.name,
				 dead	? "the client does not answer; closed"
				 : slow ? "the client opened no streams; closed"
					: "the client reads nothing; closed");
		session_close(s);
	} else if (!s->ending && !waits && now - s->heard_ms > PING_MS && now - s->pinged_ms > PING_MS) {
		ping(s, now);
	}
}

static void lose_right(struct session *s)
{
	if (s->upgraded && !s->ending) {
		session_end(s, WS_GOING, "the right to it was taken away");
	} else if (s->kind == SESSION_LOG && !s->over) {
		buf_fini(&s->log);
		s->over = true;
		http_stream_wake(&s->stream);
	}
}

static void on_tick(uv_timer_t *t)
{
	struct sessions *all = t->data;
	uint64_t now = clock_ms();
	for (struct session *s = all->list, *next; s; s = next) {
		next = s->next;
		for (struct lane *l = s->lanes, *after; l; l = after) {
			after = l->next;
			if (l->flow && l->flow->state == FLOW_ASKED && now - l->flow->since_ms > ANSWER_MS)
				flow_fail(l->flow, 504, "Timeout", "the runtime did not answer in time");
		}
		if (s->who->ended)
			lose_right(s);
		if (s->upgraded)
			tick_client(s, now);
	}
}

int sessions_new(struct sessions **out, uv_loop_t *loop, const char *path)
{
	struct sessions *all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->loop = loop;
	all->path = strdup(path);
	if (!all->path) {
		free(all);
		return -ENOMEM;
	}
	uv_timer_init(loop, &all->tick);
	all->tick.data = all;
	uv_timer_start(&all->tick, on_tick, 1000, 1000);
	*out = all;
	return 0;
}

void sessions_free(struct sessions **pa)
{
	struct sessions *all = *pa;
	*pa = NULL;
	if (!all)
		return;
	free(all->path);
	free(all);
}
