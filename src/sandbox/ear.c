/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ear: hears when a stand-in has its ports. The stand-in's stdin is the writing end of a pipe, which it
 * closes when it listens; until then its container counts as being created, so that nobody is sent to it too
 * early. Called by container.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/own.h"
#include "sandbox/pod.h"

struct ear {
	uv_poll_t poll; /* first, it is freed with the ear */
	int fd;
	struct container *c;
};

static void on_word(uv_poll_t *poll, int status, int events)
{
	struct container *c = ((struct ear *)poll)->c;

	(void)status;
	(void)events;
	ear_drop(c);
	pod_status_changed(c->pod);
}

static void closed(uv_handle_t *h)
{
	own_fd(&((struct ear *)h)->fd);
	free(h);
}

int ear_open(struct container *c)
{
	struct ear *e = calloc(1, sizeof(*e));
	int ends[2];

	ear_drop(c);
	if (!e || pipe2(ends, O_CLOEXEC)) {
		free(e);
		return -errno;
	}
	e->fd = ends[0];
	e->c = c;
	if (uv_poll_init(&c->pod->sandbox->loop, &e->poll, e->fd)) {
		close(ends[0]);
		close(ends[1]);
		free(e);
		return -ENOMEM;
	}
	uv_poll_start(&e->poll, UV_READABLE | UV_DISCONNECT, on_word);
	c->ear = e;
	return ends[1];
}

void ear_drop(struct container *c)
{
	if (!c->ear)
		return;
	uv_poll_stop(&c->ear->poll);
	uv_close((uv_handle_t *)&c->ear->poll, closed);
	c->ear = NULL;
}
