/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that read what a container prints: its log, or (attached) what it prints from now on, with its
 * stdin where it is an own program that asked for one. Called by streams.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "sandbox/output.h"
#include "sandbox/program.h"
#include "sandbox/streams.h"

enum { PIECE = 16384 };

struct reading {
	uv_timer_t again;	 /* first: freed with it */
	struct session *session; /* NULL: dropped */
	struct log_reader *reader;
	bool attached;
};

static void send_on(struct session *s)
{
	struct reading *g = s->work;

	while (session_has_room(s)) {
		AUTO_BUF text = {0};
		bool err = false;
		int r = log_read(g->reader, &text, PIECE, &err);

		session_send(s, g->attached && err ? STREAM_ERR : STREAM_OUT, text.p, text.n);
		if (r < 0 && g->attached)
			session_status(s, g->session->container->exit_code);
		else if (r < 0)
			session_finish(s);
		if (r <= 0)
			return;
	}
}

static void again(uv_timer_t *t)
{
	struct reading *g = (struct reading *)t;

	if (g->session && !g->session->ending)
		send_on(g->session);
}

/* Of many lines at once one word: what follows is done by the loop's next turn. */
static void more(void *ctx)
{
	struct reading *g = ctx;

	if (!uv_is_active((uv_handle_t *)&g->again))
		uv_timer_start(&g->again, again, 0, 0);
}

static void freed(uv_handle_t *h)
{
	free(h);
}

static void drop(struct session *s)
{
	struct reading *g = s->work;

	if (!g)
		return;
	g->session = NULL;
	if (g->attached)
		program_stdin_left(s->container, s);
	log_drop_reader(&g->reader);
	uv_close((uv_handle_t *)&g->again, freed);
}

static void take(struct session *s, unsigned channel, const char *p, size_t len)
{
	const struct reading *g = s->work;

	if (g->attached && channel == STREAM_IN)
		program_stdin(s->container, s, p, len);
}

static const struct session_do logs = {.take = take, .on = send_on, .drop = drop};

static void start(struct session *s, struct log_ask *ask, bool attached)
{
	struct reading *g = calloc(1, sizeof(*g));
	int r = g ? 0 : -ENOMEM;

	if (g) {
		*g = (struct reading){.session = s, .attached = attached};
		uv_timer_init(&s->pod->sandbox->loop, &g->again);
		ask->more = more;
		ask->ctx = g;
		r = log_open_reader(&g->reader, s->container, ask);
		if (r)
			uv_close((uv_handle_t *)&g->again, freed);
	}
	if (r == -ENOENT && ask->previous)
		session_refuse(s, 400, "BadRequest",
			       "previous terminated container \"%s\" in pod \"%s\" not found",
			       s->container->name, s->pod->name);
	else if (r == -ENOENT)
		session_refuse(s, 400, "BadRequest",
			       "container \"%s\" in pod \"%s\" is waiting to start: ContainerCreating",
			       s->container->name, s->pod->name);
	else if (r)
		session_refuse(s, 500, "InternalError", "the log of container \"%s\": %s", s->container->name,
			       strerror(-r));
	if (r)
		return;
	s->work = g;
	s->does = &logs;
	session_accept(s);
	send_on(s);
}

static int64_t number(const json_t *ask, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(ask, name);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

void session_logs(struct session *s, const json_t *ask)
{
	struct log_ask a = {.follow = json_is_true(json_object_get(ask, "follow")),
			    .previous = json_is_true(json_object_get(ask, "previous")),
			    .timestamps = json_is_true(json_object_get(ask, "timestamps")),
			    .tail = number(ask, "tail", -1),
			    .limit = number(ask, "limit", -1),
			    .since_ns = number(ask, "since", 0)};

	start(s, &a, false);
}

void session_attach(struct session *s, const json_t *ask)
{
	struct log_ask a = {.follow = true, .apart = true, .tail = 0, .limit = -1};

	if (s->container->state != RUN_ALIVE)
		session_refuse(s, 400, "BadRequest", "container %s of pod %s does not run",
			       s->container->name, s->pod->name);
	else if (json_is_true(json_object_get(ask, "stdin")) && !program_has_stdin(s->container))
		session_refuse(s, 400, "BadRequest",
			       "container %s has no stdin to attach to: it is no program of yours with "
			       "`stdin: true`",
			       s->container->name);
	else
		start(s, &a, true);
}
