/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-planner: parses what comes from outside, and so holds no privilege at all. This file sets its loop up
 * and joins the parts; what to do next is decided once a turn, before the loop sleeps, so that events that
 * come together go to the kernel together.
 */
#include "agent/planner.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>

#include "agent/narrow.h"
#include "agent/syscalls.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

static const enum kind kinds[] = {KIND_namespace,
				  KIND_node,
				  KIND_pod,
				  KIND_service,
				  KIND_endpointslice,
				  KIND_networkpolicy,
				  KIND_clusternetworkpolicy,
				  KIND_addresspool,
				  KIND_tool,
				  KIND_toolgroup,
				  KIND_trafficfilter,
				  KIND_trafficmap,
				  KIND_capture};
enum { HISTORY = 16 };

static void handle_control(void *ctx, const struct control_message *m, int fd)
{
	struct planner *p = ctx;

	if (m->type == CONTROL_PEER && fd >= 0)
		link_take(p, fd);
	else if (m->type == CONTROL_LISTEN && fd >= 0)
		requests_listen(p, fd, m->value == LISTEN_QUESTIONS);
	else if (m->type == CONTROL_CONFIG && fd >= 0)
		taps_copier(p, fd, m->value);
	else if (fd >= 0)
		close(fd);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
	struct planner *p = poll->data;
	struct control_message m;
	int fd;

	(void)events;
	if (status < 0 || control_recv(CONTROL_FD, &m, &fd) <= 0) {
		uv_stop(&p->loop);
		return;
	}
	handle_control(p, &m, fd);
}

static int dial(void *ctx)
{
	return control_dial(DIAL_HUB, handle_control, ctx);
}

static void on_change(void *ctx, const struct event *e)
{
	struct planner *p = ctx;

	if (!p->noted_us)
		p->noted_us = clock_us();
	p->dirty = true;
	p->events++;
	p->health_dirty |= e->object->desc->kind == KIND_service;
	programming_note(p, e);
	taps_note(p, e);
	if (p->compiler && compiler_tell(p->compiler, e->old, e->type == EVENT_DELETED ? NULL : e->object))
		log_error("out of memory");
}

static void on_listed(void *ctx)
{
	struct planner *p = ctx;

	p->listed = true;
	p->dirty = true;
	malloc_trim(0);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct planner *p = prepare->data;

	sync_kick(p);
	taps_kick(p);
	if (p->health_dirty && !p->dirty && p->compiler) {
		p->health_dirty = false;
		health_sync(p);
	}
}

static int setup(struct planner *p)
{
	struct hub_options ho = {.curl = &p->curl,
				 .user = "planner",
				 .kinds = kinds,
				 .n_kinds = ARRAY_LEN(kinds),
				 .narrow = narrow,
				 .listed = on_listed,
				 .ctx = p};
	struct subscription *sub;
	int err = uv_loop_init(&p->loop);

	if (err)
		return err;
	uv_poll_init(&p->loop, &p->control, CONTROL_FD);
	uv_prepare_init(&p->loop, &p->prepare);
	uv_timer_init(&p->loop, &p->again);
	p->control.data = p->prepare.data = p->again.data = p;
	p->applier = -1;
	p->whole = p->health_dirty = true;
	err = store_new(&p->store, HISTORY);
	if (!err)
		err = store_subscribe(p->store, on_change, p, &sub);
	if (!err)
		err = requests_new(p);
	if (!err)
		err = taps_new(p);
	if (!err)
		err = curl_loop_init(&p->curl, &p->loop, dial, p);
	if (err)
		return err;
	ho.store = p->store;
	uv_poll_start(&p->control, UV_READABLE, on_control);
	uv_prepare_start(&p->prepare, on_prepare);
	return hub_new(&p->hub, &ho);
}

int main(int argc, char **argv)
{
	static struct planner p;
	char name[80];
	int err;

	options_parse(&p.o, argc, argv, "computes what a node's kernel shall hold; started by weft-agent");
	snprintf(name, sizeof(name), "planner[%s]", p.o.node ? p.o.node : "");
	log_open(name);
	if (!p.o.node) {
		log_error("--node is missing");
		return 2;
	}
	err = setup(&p);
	if (!err)
		err = seccomp_planner();
	if (err) {
		log_error("cannot start: %s", strerror(-err));
		return 1;
	}
	malloc_trim(0);
	uv_run(&p.loop, UV_RUN_DEFAULT);
	return 0;
}
