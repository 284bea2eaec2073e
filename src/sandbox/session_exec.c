/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that run a command in a container: with pipes or with a terminal. In a stand-in's place this
 * machine's programs run, as the stand-in would; in an own program's, those of its root. A program outlives
 * its session by the time that SIGHUP gives it. Called by streams.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/own.h"
#include "sandbox/program.h"
#include "sandbox/runtime.h"
#include "sandbox/streams.h"

enum { IN, OUT, ERR, ENDS, FULL = 256 << 10, WORDS_MAX = 4096, HUP_MS = 5000, LAST_WORDS_MS = 1000 };

struct exec {
	uv_timer_t timer; /* for the last words of one that ended; for the end of one that was left */
	struct child child;
	struct session *session; /* NULL: left */
	struct end {
		uv_pipe_t pipe; /* of a terminal: OUT for both ways */
		struct exec *e;
		bool open, reading;
	} ends[ENDS];
	unsigned handles;	       /* not closed yet */
	size_t queued;		       /* to the program */
	bool terminal, ended, no_more; /* no_more: stdin ends when all is written */
	int code;
};

struct word {
	uv_write_t write; /* first: freed with it */
	struct exec *e;
	size_t n;
	char bytes[];
};

static void closed(uv_handle_t *h)
{
	struct exec *e = h->data;

	if (!--e->handles)
		free(e);
}

static void end_close(struct end *end)
{
	if (!end->open)
		return;
	end->open = false;
	uv_close((uv_handle_t *)&end->pipe, closed);
}

static void all_close(struct exec *e)
{
	for (int i = 0; i < ENDS; i++)
		end_close(&e->ends[i]);
	if (!uv_is_closing((uv_handle_t *)&e->timer))
		uv_close((uv_handle_t *)&e->timer, closed);
}

static void signal_all(struct exec *e, int sig)
{
	if (e->child.pid)
		kill(-e->child.pid, sig); /* it leads a session of its own, and is not reaped yet */
	child_signal(&e->child, sig);
}

static void tell_end(struct exec *e)
{
	struct session *s = e->session;

	if (s && !s->ending)
		session_status(s, e->code);
}

static void tell_if_over(struct exec *e)
{
	if (e->ended && !e->ends[OUT].open && !e->ends[ERR].open)
		tell_end(e);
}

static void on_timer(uv_timer_t *t)
{
	struct exec *e = t->data;

	if (e->ended)
		tell_end(e);
	else
		signal_all(e, SIGKILL);
}

static void ended(struct child *c, int status)
{
	struct exec *e = c->owner;

	e->ended = true;
	e->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (!e->session) {
		all_close(e);
		return;
	}
	/* What it left behind may hold its output open. */
	uv_timer_start(&e->timer, on_timer, LAST_WORDS_MS, 0);
	tell_if_over(e);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[STREAM_FRAME_MAX];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct end *end = CONTAINER_OF(stream, struct end, pipe);
	struct exec *e = end->e;

	if (!n || !e->session)
		return;
	if (n < 0) { /* of a terminal, EIO is its end */
		end_close(end);
		tell_if_over(e);
		return;
	}
	session_send(e->session, end == &e->ends[ERR] ? STREAM_ERR : STREAM_OUT, b->base, (size_t)n);
	if (e->ended)
		uv_timer_again(&e->timer);
	if (!session_has_room(e->session)) {
		end->reading = false;
		uv_read_stop(stream);
	}
}

static void on(struct session *s)
{
	struct exec *e = s->work;

	for (int i = OUT; i < ENDS; i++)
		if (e->ends[i].open && !e->ends[i].reading) {
			e->ends[i].reading = true;
			uv_read_start((uv_stream_t *)&e->ends[i].pipe, on_alloc, on_read);
		}
}

static void word_written(uv_write_t *w, int status)
{
	struct word *d = (struct word *)w;
	struct exec *e = d->e;

	e->queued -= d->n;
	free(d);
	/* It reads no more, or has all. */
	if (status < 0 || (e->no_more && !e->queued))
		end_close(&e->ends[IN]);
	if (e->session && e->queued < FULL)
		session_resume(e->session);
}

static void resize(struct exec *e, const char *p, size_t len)
{
	json_t *o = json_loadb(p, len, 0, NULL);
	struct winsize w = {.ws_col = (unsigned short)json_integer_value(json_object_get(o, "Width")),
			    .ws_row = (unsigned short)json_integer_value(json_object_get(o, "Height"))};
	int fd;

	if (o && e->terminal && e->ends[OUT].open && !uv_fileno((uv_handle_t *)&e->ends[OUT].pipe, &fd))
		ioctl(fd, TIOCSWINSZ, &w);
	json_decref(o);
}

static void take(struct session *s, unsigned channel, const char *p, size_t len)
{
	struct exec *e = s->work;
	struct end *to = &e->ends[e->terminal ? OUT : IN];
	struct word *d;
	uv_buf_t b;

	if (channel == STREAM_RESIZE)
		resize(e, p, len);
	if (channel != STREAM_IN || !to->open || e->no_more)
		return;
	if (!len) {
		e->no_more = !e->terminal;
		if (e->no_more && !e->queued)
			end_close(to);
		return;
	}
	d = malloc(sizeof(*d) + len);
	if (!d)
		return;
	d->e = e;
	d->n = len;
	memcpy(d->bytes, p, len);
	b = uv_buf_init(d->bytes, (unsigned)len);
	e->queued += len;
	if (uv_write(&d->write, (uv_stream_t *)&to->pipe, &b, 1, word_written)) {
		e->queued -= len;
		free(d);
	} else if (e->queued >= FULL) {
		session_hold(s);
	}
}

static void drop(struct session *s)
{
	struct exec *e = s->work;

	if (!e)
		return;
	e->session = NULL;
	for (int i = 0; i < ENDS; i++)
		end_close(&e->ends[i]);
	if (e->ended || !e->child.pid) {
		all_close(e);
		return;
	}
	signal_all(e, SIGHUP);
	uv_timer_start(&e->timer, on_timer, HUP_MS, 0);
}

static const struct session_do exec = {.take = take, .on = on, .drop = drop};

static int open_terminal(int ours[ENDS], int theirs[ENDS])
{
	char path[64];
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ours[OUT] = fd;
	if (grantpt(fd) || unlockpt(fd) || ptsname_r(fd, path, sizeof(path)))
		return -errno;
	theirs[IN] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return theirs[IN] < 0 ? -errno : 0;
}

static int open_pipes(const json_t *ask, int ours[ENDS], int theirs[ENDS])
{
	static const char *const names[ENDS] = {"stdin", "stdout", "stderr"};

	for (int i = 0; i < ENDS; i++) {
		int ends[2];

		if (!json_is_true(json_object_get(ask, names[i])))
			continue;
		if (pipe2(ends, O_CLOEXEC))
			return -errno;
		ours[i] = ends[i == IN];
		theirs[i] = ends[i != IN];
	}
	return 0;
}

static void take_ends(struct exec *e, uv_loop_t *loop, int ours[ENDS])
{
	for (int i = 0; i < ENDS; i++) {
		struct end *end = &e->ends[i];

		end->e = e;
		if (ours[i] < 0)
			continue;
		uv_pipe_init(loop, &end->pipe, 0);
		end->pipe.data = e;
		e->handles++;
		end->open = true;
		if (!uv_pipe_open(&end->pipe, ours[i]))
			ours[i] = -1;
		else
			end_close(end);
	}
}

static int begin(struct session *s, struct exec *e, const json_t *ask, char **argv)
{
	int ours[ENDS] = {-1, -1, -1}, theirs[ENDS] = {-1, -1, -1}, r;

	e->terminal = json_is_true(json_object_get(ask, "tty"));
	r = e->terminal ? open_terminal(ours, theirs) : open_pipes(ask, ours, theirs);
	if (!r) {
		int t = e->terminal ? theirs[IN] : -1;
		const struct program_words w = {.argv = argv,
						.in = theirs[IN],
						.out = e->terminal ? t : theirs[OUT],
						.err = e->terminal ? t : theirs[ERR],
						.terminal = e->terminal};

		e->child.owner = e;
		e->child.ended = ended;
		r = program_exec(s->container, &e->child, &w);
	}
	if (!r)
		take_ends(e, &s->pod->sandbox->loop, ours);
	for (int i = 0; i < ENDS; i++) {
		own_fd(&ours[i]);
		own_fd(&theirs[i]);
	}
	return r;
}

void session_exec(struct session *s, const json_t *ask)
{
	const json_t *command = json_object_get(ask, "command"), *word;
	AUTO_MEM char **argv = calloc(WORDS_MAX + 1, sizeof(*argv));
	struct exec *e;
	size_t i;
	int r;

	if (!json_array_size(command) || json_array_size(command) > WORDS_MAX || !argv) {
		session_refuse(s, 400, "BadRequest", "a command of 1 to %d words is needed", WORDS_MAX);
		return;
	}
	json_array_foreach (command, i, word)
		argv[i] = (char *)(uintptr_t)json_text(word);
	if (s->container->state != RUN_ALIVE) {
		session_refuse(s, 500, "InternalError", "container not found (\"%s\"): it does not run",
			       s->container->name);
		return;
	}
	e = calloc(1, sizeof(*e));
	if (!e) {
		session_refuse(s, 500, "InternalError", "out of memory");
		return;
	}
	e->child.pidfd = -1;
	e->session = s;
	uv_timer_init(&s->pod->sandbox->loop, &e->timer);
	e->timer.data = e;
	e->handles = 1;
	r = begin(s, e, ask, argv);
	if (r) {
		all_close(e);
		session_refuse(s, 500, "InternalError",
			       r == -ENOENT ? "exec: \"%s\": executable file not found in $PATH"
					    : "exec: \"%s\" could not be started",
			       argv[0]);
		return;
	}
	uv_timer_set_repeat(&e->timer, LAST_WORDS_MS);
	s->work = e;
	s->does = &exec;
	session_accept(s);
	on(s);
}
