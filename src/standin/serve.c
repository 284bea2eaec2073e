/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `serve`: a running container. Holds nothing but the order of the start, and the look at a changed spec.
 * Called by main.c.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "standin/programs.h"

struct reload {
	struct watch watch;
	struct server *server;
	const char *path;
};

static void look_again(struct watch *w, uint32_t events)
{
	struct reload *r = CONTAINER_OF(w, struct reload, watch);
	struct signalfd_siginfo info;
	struct spec *spec;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != sizeof(info))
		return;
	spec = calloc(1, sizeof(*spec)); /* lives as long as the callers */
	if (!spec || spec_read(spec, r->path) || caller_start(r->server, spec))
		log_error("%s: not taken", r->path);
}

static int watch_spec(struct reload *r)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, NULL);
	r->watch = (struct watch){.fd = signalfd(-1, &hup, SFD_CLOEXEC | SFD_NONBLOCK), .fn = look_again};
	return r->watch.fd < 0 ? -1 : loop_watch(&r->server->loop, &r->watch, EPOLLIN);
}

int standin_serve(const struct spec *spec, const char *path)
{
	struct server s = {.spec = spec};
	struct reload reload = {.server = &s, .path = path};
	int r = loop_init(&s.loop);

	if (r) {
		log_error("no event loop: %s", strerror(-r));
		return 1;
	}
	srandom((unsigned)getpid() ^ (unsigned)clock_us());
	resolver_init(&s.resolver, &s.loop);
	if ((path && watch_spec(&reload)) || server_listen(&s))
		return 1;
	if (caller_start(&s, spec)) {
		log_error("out of memory");
		return 1;
	}
	r = loop_run(&s.loop);
	log_error("event loop: %s", strerror(-r));
	loop_fini(&s.loop);
	return 1;
}
