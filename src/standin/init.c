/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `init`: an init container. Done when each place it names has answered once; gives up after the spec's
 * number of attempts. Called by main.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "standin/dial.h"
#include "standin/programs.h"

enum { INIT_TIMEOUT_MS = 1000, INIT_WAIT_MAX_MS = 2000 };

struct visit {
	struct server *server;
	const struct spec_call *call;
	struct dial dial;
	struct timer timer;
	unsigned tries;
	unsigned *left;
	int *status;
};

static void visit_done(struct dial *d, enum dial_result r)
{
	struct visit *v = CONTAINER_OF(d, struct visit, dial);
	uint64_t wait = 25ull << (v->tries < 7 ? v->tries : 7);

	v->tries++;
	if (r == DIAL_OK) {
		printf("%s:%u answered at attempt %u\n", v->call->host, v->call->port, v->tries);
		v->server->loop.stop = !--*v->left;
	} else if (v->tries >= v->server->spec->retries) {
		log_error("%s:%u (named by %s): %s after %u attempts", v->call->host, v->call->port,
			  v->call->env, dial_result_name(r), v->tries);
		*v->status = 1;
		v->server->loop.stop = true;
	} else {
		loop_arm(&v->server->loop, &v->timer, wait < INIT_WAIT_MAX_MS ? wait : INIT_WAIT_MAX_MS);
	}
}

static void visit_try(struct timer *t)
{
	struct visit *v = CONTAINER_OF(t, struct visit, timer);
	struct dial_place place = {.host = v->call->host,
				   .port = v->call->port,
				   .udp = v->call->udp,
				   .family = v->tries & 1 ? 6 : 4,
				   .prefer = true,
				   .timeout_ms = INIT_TIMEOUT_MS};

	dial_start(&v->dial, &v->server->resolver, &place, visit_done);
}

int standin_init(const struct spec *spec)
{
	struct server s = {.spec = spec};
	unsigned left = (unsigned)spec->calls.len;
	struct visit *all = calloc(left + 1, sizeof(*all));
	int status = 0;

	if (!all || loop_init(&s.loop)) {
		log_error("no event loop");
		free(all);
		return 1;
	}
	resolver_init(&s.resolver, &s.loop);
	for (unsigned i = 0; i < left; i++) {
		all[i] = (struct visit){
		    .server = &s, .call = &spec->calls.items[i], .left = &left, .status = &status};
		all[i].timer.fn = visit_try;
		loop_arm(&s.loop, &all[i].timer, 0);
	}
	if (left && loop_run(&s.loop))
		status = 1;
	loop_fini(&s.loop);
	free(all);
	return status;
}
