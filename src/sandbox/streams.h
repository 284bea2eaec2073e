/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what the hub asks of containers for its clients over RUN/streams.sock (serve/stream.h): exec,
 * attach, logs and forward. One connection is one session; sessions are bounded in number, each in what it
 * keeps. streams.c speaks with the hub; session_exec.c, session_log.c and session_forward.c do the work.
 */
#ifndef WEFT_SANDBOX_STREAMS_H
#define WEFT_SANDBOX_STREAMS_H

#include "sandbox/pod.h"
#include "serve/stream.h"

struct session;

/* What a kind of session does; all are called from the loop. */
struct session_do {
	/* Bytes of the client for `channel`; len 0: no more will come of it. Not called while held. */
	void (*take)(struct session *s, unsigned channel, const char *p, size_t len);
	/* The hub reads again (or for the first time): send on. */
	void (*on)(struct session *s);
	/* The session ends: let go of all. Frees s->work; NULL afterwards. */
	void (*drop)(struct session *s);
};

struct session {
	uv_pipe_t pipe; /* first: freed with it */
	struct streams *streams;
	struct session *next;
	struct pod *pod; /* NULL: not yet known, or forgotten */
	struct container *container;
	const struct session_do *does;
	void *work; /* the kind's own */
	struct buf in;
	size_t queued; /* bytes on the way to the hub */
	bool asked, held, ending, closed;
	bool full; /* one too many: refused when it has asked; who still writes would see the break alone */
};

/* The socket. 0 or -errno (told). */
int streams_start(struct sandbox *s);
void streams_stop(struct sandbox *s);
/* The pod goes: its sessions end. */
void streams_forget_pod(const struct pod *p);

/* {}; frames may follow. */
void session_accept(struct session *s);
/* The answer line in its place, and the end. */
void session_refuse(struct session *s, int code, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void session_send(struct session *s, enum stream_channel channel, const void *p, size_t n);
/* The Status of an ended program as the last frame, and the end. */
void session_status(struct session *s, int code);
void session_finish(struct session *s);
/* Whether more should be sent; when not, on() is called later. */
bool session_has_room(struct session *s);
/* Reads nothing from the hub until session_resume(). */
void session_hold(struct session *s);
void session_resume(struct session *s);

/* Each takes the session over, or refuses it. */
void session_exec(struct session *s, const json_t *ask);
void session_attach(struct session *s, const json_t *ask);
void session_logs(struct session *s, const json_t *ask);
void session_forward(struct session *s, const json_t *ask);

#endif
