/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `serve`: a running container. Holds nothing but the order of the start and of the end, and the look at a
 * changed spec. Called by main.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "standin/programs.h"

const struct tls_part *server_tls;

enum { DRAIN_LOOK_MS = 20 };

struct words { /* signals */
	struct watch watch;
	struct server *server;
	const char *path;
};

static void look_again(const struct words *w)
{
	struct server *s = w->server;
	struct spec *spec = w->path ? calloc(1, sizeof(*spec)) : NULL; /* lives as long as the callers */

	if (!w->path)
		return;
	if (!spec || spec_read(spec, w->path) || caller_start(s, spec)) {
		log_error("%s: not taken", w->path);
		return;
	}
	s->fault = spec->fault;
	server_listen_again(s);
}

static void drain(struct timer *t)
{
	struct server *s = CONTAINER_OF(t, struct server, drain);

	if (!s->deaf)
		server_deafen(s);
	if (!conns_drain(s))
		s->loop.stop = true;
	loop_arm(&s->loop, &s->drain, DRAIN_LOOK_MS);
}

/* Whoever learned of this endpoint a moment ago may still come: connections are taken for a while, each
 * answer is then the last on its connection, and the process ends when no connection is left. */
static void end_orderly(struct server *s)
{
	if (!s->spec->drain_ms)
		s->loop.stop = true;
	else if (!s->draining)
		loop_arm(&s->loop, &s->drain, s->spec->drain_ms);
	s->draining = true;
}

static void on_word(struct watch *watch, uint32_t events)
{
	struct words *w = CONTAINER_OF(watch, struct words, watch);
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		look_again(w);
	else
		end_orderly(w->server);
}

static int watch_words(struct words *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->watch = (struct watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .fn = on_word};
	return w->watch.fd < 0 ? -1 : loop_watch(&w->server->loop, &w->watch, EPOLLIN);
}

/* Who started it holds the other end of its stdin and waits for that. */
static void say_listening(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		close(STDIN_FILENO);
	if (null >= 0)
		close(null);
}

int standin_serve(const struct spec *spec, const char *path)
{
	struct server s = {.spec = spec, .fault = spec->fault, .tls = server_tls, .drain.fn = drain};
	struct words words = {.server = &s, .path = path};
	int r = loop_init(&s.loop);

	if (r) {
		log_error("no event loop: %s", strerror(-r));
		return 1;
	}
	srandom((unsigned)getpid() ^ (unsigned)clock_us());
	resolver_init(&s.resolver, &s.loop);
	if (watch_words(&words) || server_listen(&s))
		return 1;
	say_listening();
	if (caller_start(&s, spec)) {
		log_error("out of memory");
		return 1;
	}
	r = loop_run(&s.loop);
	if (r)
		log_error("event loop: %s", strerror(-r));
	loop_fini(&s.loop);
	return r ? 1 : 0;
}
