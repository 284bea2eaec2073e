/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steady calls of a container: each place at a gentle rate, the families in turn, and one JSON line on stdout
 * when what comes back changes (ok, refused, timeout, unreachable, dns), never one a call. Called by serve.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "standin/dial.h"
#include "standin/programs.h"

enum { CALL_TIMEOUT_MS = 1500 };

struct caller {
	struct caller *next;
	struct server *server;
	const struct spec_call *call;
	struct dial dial;
	struct timer timer;
	int state; /* the last dial_result; -1: none yet */
	bool six;
	uint64_t counts[DIAL_RESULTS];
};

static uint64_t jitter(uint64_t around)
{
	return around - around / 4 + (uint64_t)random() % (around / 2 + 1);
}

static void caller_report(const struct caller *c, int was)
{
	struct str who = dial_identity(&c->dial);
	AUTO_BUF b = {0};
	char now[21], addr[ADDR_TEXT];

	clock_rfc3339(clock_wall(), now);
	addr_print(&c->dial.addr, addr);
	buf_printf(&b, "{\"time\":\"%s\",\"call\":", now);
	buf_json(&b, str_of(c->call->host));
	buf_printf(&b, ",\"port\":%u,\"env\":", c->call->port);
	buf_json(&b, str_of(c->call->env));
	buf_printf(&b, ",\"state\":\"%s\",\"was\":\"%s\",\"addr\":\"%s\"",
		   dial_result_name((enum dial_result)c->state),
		   was < 0 ? "" : dial_result_name((enum dial_result)was),
		   addr_is_zero(&c->dial.addr) ? "" : addr);
	for (int i = 0; i < DIAL_RESULTS; i++)
		buf_printf(&b, ",\"%s\":%llu", dial_result_name((enum dial_result)i),
			   (unsigned long long)c->counts[i]);
	buf_printf(&b, ",\"peer\":" STR_FMT "}\n", STR_ARG(who.n ? who : STR("null")));
	if (!b.failed && fwrite(b.p, 1, b.n, stdout) == b.n)
		fflush(stdout);
}

static void caller_done(struct dial *d, enum dial_result r)
{
	struct caller *c = CONTAINER_OF(d, struct caller, dial);
	int was = c->state;

	c->counts[r]++;
	c->state = (int)r;
	if (was != c->state)
		caller_report(c, was);
	/* Until the first answer the caller is more eager, as a starting client is. */
	loop_arm(&c->server->loop, &c->timer,
		 jitter(c->counts[DIAL_OK] || c->counts[r] > 10 ? c->server->spec->interval_ms : 250));
}

static void caller_call(struct timer *t)
{
	struct caller *c = CONTAINER_OF(t, struct caller, timer);
	struct dial_place place = {.host = c->call->host,
				   .port = c->call->port,
				   .udp = c->call->udp,
				   .family = c->six ? 6 : 4,
				   .prefer = true,
				   .timeout_ms = CALL_TIMEOUT_MS};

	c->six = !c->six;
	dial_start(&c->dial, &c->server->resolver, &place, caller_done);
}

/* A place that is called already keeps its caller and its counts. */
static bool called(const struct server *s, const struct spec_call *call)
{
	for (const struct caller *c = s->callers; c; c = c->next)
		if (c->call->port == call->port && c->call->udp == call->udp &&
		    !strcmp(c->call->host, call->host))
			return true;
	return false;
}

int caller_start(struct server *s, const struct spec *spec)
{
	VEC_EACH (&spec->calls, call) {
		struct caller *c;

		if (called(s, call))
			continue;
		c = calloc(1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		*c = (struct caller){.server = s, .call = call, .state = -1, .next = s->callers};
		c->timer.fn = caller_call;
		s->callers = c;
		loop_arm(&s->loop, &c->timer, jitter(100));
	}
	return 0;
}
