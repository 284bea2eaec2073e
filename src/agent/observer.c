/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft-observer: looks and tells, cannot change anything. Holds read-only descriptors, follows this node's
 * pods by a watch of its own, probes them, and answers questions on observer.sock. Nobody, without
 * capabilities.
 */
#include "agent/observer.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/fdpass.h"
#include "agent/syscalls.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "observe/kernel.h"
#include "observe/kernel_reason.h"

static const enum kind kinds[] = {KIND_pod};
enum { HISTORY = 16, RINGS_MS = 10 };

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void descriptors_end(struct observer *ob)
{
	if (!ob->descriptors)
		return;
	uv_poll_stop(ob->descriptors);
	uv_close((uv_handle_t *)ob->descriptors, free_handle);
	ob->descriptors = NULL;
	own_fd(&ob->descriptors_fd);
}

static void on_descriptors(uv_poll_t *poll, int status, int events)
{
	struct observer *ob = poll->data;
	struct observed *fresh = NULL;
	int fds[FDPASS_MAX];
	uint32_t count;
	unsigned n = 0;
	ssize_t got = fdpass_recv(ob->descriptors_fd, &count, sizeof(count), fds, &n, FDPASS_MAX);

	(void)status;
	(void)events;
	if (got == -EAGAIN)
		return;
	descriptors_end(ob);
	if (got <= 0)
		return;
	if (got != sizeof(count) || count != n || observed_new(&fresh, fds, n)) {
		log_error("the applier's descriptors are of no use");
		while (n)
			close(fds[--n]);
		return;
	}
	reporter_observe(ob->reporter, fresh);
	observed_free(&ob->observed);
	ob->observed = fresh;
}

static void take_descriptors(struct observer *ob, int fd)
{
	descriptors_end(ob);
	ob->descriptors = calloc(1, sizeof(*ob->descriptors));
	if (!ob->descriptors || uv_poll_init(&ob->loop, ob->descriptors, fd)) {
		free(ob->descriptors);
		ob->descriptors = NULL;
		close(fd);
		return;
	}
	ob->descriptors_fd = fd;
	ob->descriptors->data = ob;
	uv_poll_start(ob->descriptors, UV_READABLE, on_descriptors);
}

static void handle_control(void *ctx, const struct control_message *m, int fd)
{
	struct observer *ob = ctx;

	if (m->type == CONTROL_OBSERVE && fd >= 0)
		take_descriptors(ob, fd);
	else if (m->type == CONTROL_LISTEN && fd >= 0 && !ob->answers) {
		if (answers_new(&ob->answers, &ob->loop, fd, observer_answer, ob))
			close(fd);
	} else if (fd >= 0)
		close(fd);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
	struct observer *ob = poll->data;
	struct control_message m;
	int fd;

	(void)events;
	if (status < 0 || control_recv(CONTROL_FD, &m, &fd) <= 0) {
		uv_stop(&ob->loop);
		return;
	}
	handle_control(ob, &m, fd);
}

static int dial(void *ctx)
{
	return control_dial(DIAL_HUB, handle_control, ctx);
}

static int dial_runtime(void *ctx)
{
	return control_dial(DIAL_RUNTIME, handle_control, ctx);
}

static void on_listed(void *ctx)
{
	struct observer *ob = ctx;

	prober_listed(ob->prober);
}

static void on_rings(uv_timer_t *t)
{
	struct observer *ob = t->data;

	if (ob->observed)
		observed_poll(ob->observed);
}

static int setup(struct observer *ob)
{
	struct hub_options ho = {.curl = &ob->curl,
				 .user = "observer",
				 .kinds = kinds,
				 .n_kinds = ARRAY_LEN(kinds),
				 .listed = on_listed,
				 .ctx = ob};
	struct prober_options po = {.curl = &ob->curl, .faster = ob->o.faster};
	int err = uv_loop_init(&ob->loop);

	if (err)
		return err;
	snprintf(ob->selector, sizeof(ob->selector), "spec.nodeName%%3D%s", ob->o.node);
	ho.pod_selector = ob->selector;
	ob->descriptors_fd = -1;
	uv_poll_init(&ob->loop, &ob->control, CONTROL_FD);
	uv_timer_init(&ob->loop, &ob->rings);
	ob->control.data = ob->rings.data = ob;
	err = store_new(&ob->store, HISTORY);
	if (!err)
		err = curl_loop_init(&ob->curl, &ob->loop, dial, ob);
	if (!err)
		err = observer_seen_start(ob);
	if (!err)
		err = reporter_new(&ob->reporter, &ob->curl, ob->o.node);
	if (!err)
		err = observer_metrics_start(ob);
	if (!err)
		err = runtime_new(&po.runtime, &ob->loop, dial_runtime, ob);
	po.store = ob->store;
	if (!err)
		err = prober_new(&ob->prober, &po);
	if (err)
		return err;
	ho.store = ob->store;
	uv_poll_start(&ob->control, UV_READABLE, on_control);
	uv_timer_start(&ob->rings, on_rings, RINGS_MS, RINGS_MS);
	return hub_new(&ob->hub, &ho);
}

int main(int argc, char **argv)
{
	static struct observer ob;
	char name[80];
	int err;

	options_parse(&ob.o, argc, argv,
		      "reads what a node's kernel side counts and probes its pods; started by weft-agent");
	snprintf(name, sizeof(name), "observer[%s]", ob.o.node ? ob.o.node : "");
	log_open(name);
	if (!ob.o.node) {
		log_error("--node is missing");
		return 2;
	}
	srand((unsigned)clock_us());
	kernel_reasons_read();
	err = seccomp_observer();
	if (!err)
		err = setup(&ob);
	if (err) {
		log_error("cannot start: %s", strerror(-err));
		return 1;
	}
	malloc_trim(0);
	uv_run(&ob.loop, UV_RUN_DEFAULT);
	return 0;
}
