/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: a client's exec, attach, port-forward or log on one side, flows of the runtime on the other. Each
 * is bounded: their number, in all and for one client, connections in a port-forward, bytes that wait, the
 * time that an unanswered or dead side is waited for. What is over a bound is refused before it costs
 * something.
 */
#ifndef WEFT_SERVE_SESSION_H
#define WEFT_SERVE_SESSION_H

#include "serve/api_state.h"
#include "serve/flow.h"
#include "serve/spdy.h"
#include "serve/ws.h"

enum {
	SESSIONS_MAX = 256,
	SESSIONS_CLIENT_MAX = 192,
	LANES_MAX = 128,      /* in one session */
	LANES_ALL_MAX = 1024, /* in all */
	SESSION_PORTS = 16
};
enum session_kind { SESSION_LOG, SESSION_EXEC, SESSION_FORWARD };

struct session;
/* One flow of a session: the only one of an exec, a connection of a port-forward. */
struct lane {
	struct session *session;
	struct lane *next;
	struct flow *flow; /* NULL: not asked yet, or over */
	unsigned number, port;
	char id[32];	    /* SPDY: of a port-forward's request */
	uint32_t stream[5]; /* SPDY: by enum stream_channel; 0: none */
	bool sent_fin;	    /* of STREAM_OUT */
	uint64_t since_ms;
};

/* How a client speaks; called on the loop. */
struct session_protocol {
	void (*opened)(struct session *s);
	/* Bytes of the client, after WebSocket's framing if there is one; first, last: of a message. */
	void (*input)(struct session *s, char *p, size_t n, bool first, bool last);
	/* The runtime took, or refused, what a lane asked. */
	void (*answered)(struct lane *l, int code, const char *message);
	void (*output)(struct lane *l, unsigned channel, char *p, size_t n);
	void (*ended)(struct lane *l); /* the runtime closed; the flow is gone already */
};
extern const struct session_protocol session_ws_exec, session_ws_forward, session_spdy_exec,
    session_spdy_forward;

struct sessions {
	uv_loop_t *loop;
	char *path;
	struct session *list;
	unsigned n, lanes, closing;
	uint64_t refused;
	bool stopping;
	uv_timer_t tick;
};

struct session {
	struct sessions *all;
	struct session *next, **prev;
	uint64_t client_key;
	const struct who *who; /* a reference: it ends with his rights */
	enum session_kind kind;
	const struct session_protocol *protocol;
	struct target target;
	char container[64];
	bool in, out, err, tty;			/* of exec and attach */
	unsigned ports[SESSION_PORTS], n_ports; /* of a port-forward over WebSocket channels */
	bool ws, spdy_set, v5;
	struct lane *lanes;
	unsigned n_lanes;
	/* Towards the client */
	struct http_later later;
	struct http_upgrade upgrade;
	struct http_stream stream; /* of a log */
	struct buf log;
	struct duplex client;
	struct ws_in ws_in;
	struct spdy spdy;
	struct buf partial; /* of a resize */
	int channel;	    /* WebSocket: of the message that is coming in, or -1 */
	uint32_t last_stream, ping;
	int refused;
	const char *reason;
	struct buf message; /* of the refusal */
	bool upgraded, ending, closed, output_held, input_held, over, spdy_started;
	bool drains; /* ending: what was sent before counts, and is waited for */
	uint64_t heard_ms, pinged_ms, moved_ms, end_ms;
};

int sessions_new(struct sessions **out, uv_loop_t *loop, const char *path);
/* All must have ended by http_free(); the loop must run once more. */
void sessions_free(struct sessions **all);

/* -EAGAIN: too many, told in e. */
int session_new(struct session **out, struct sessions *all, const struct target *t,
		const struct http_request *rq, struct api_error *e);
void session_free(struct session *s); /* of one that was never handed to the server */
/* Adds a lane and asks the runtime. 0, or -errno of the connection. */
int session_ask(struct session *s, struct lane *l, struct str request);
/* NULL: too many. */
struct lane *session_lane(struct session *s);
void session_lane_remove(struct lane *l);
void session_forward_request(struct buf *b, const struct session *s, unsigned port);
/* To a lane's flow, with back-pressure. */
void session_input(struct lane *l, enum stream_channel channel, struct str data);
/* SPDY bytes to the client, as they are or in a WebSocket message. */
void session_put(struct session *s, struct str bytes);
void session_flush(struct session *s);
/* The last was said: flows close, what waits is sent, then the client has some seconds to close. */
void session_end(struct session *s, enum ws_status status, const char *reason);
/* At once. */
void session_close(struct session *s);
/* Answers of session.later, session.upgrade and session.stream. */
void session_hooks(struct session *s);

#endif
