/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's end of the conversation with weft-copier: CONFIG out, one answer each. It holds bytes of
 * strangers: what it says is read as little as can be, and never trusted to be more than yes or no.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/taps.h"
#include "base/log.h"
#include "base/own.h"

enum { ANSWER_MAX = 4096 };

int taps_memory(const void *bytes, size_t n)
{
	AUTO_FD int fd = memfd_create("weft", MFD_CLOEXEC);
	const char *at = bytes;

	if (fd < 0)
		return -errno;
	while (n) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		n -= (size_t)done;
	}
	return TAKE_FD(fd);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void copier_drop(struct tapping *t)
{
	if (!t->poll)
		return;
	uv_poll_stop(t->poll);
	uv_close((uv_handle_t *)t->poll, free_handle);
	t->poll = NULL;
	own_fd(&t->fd);
	t->asked = t->configured = t->packets = false;
}

static void take(struct tapping *t, const char *text, size_t n)
{
	json_t *answer = json_loadb(text, n, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	json_int_t epoch = json_integer_value(json_object_get(answer, "epoch"));

	if (epoch > 0 && epoch <= UINT32_MAX)
		taps_answered(t, (uint32_t)epoch, json_is_true(json_object_get(answer, "ok")),
			      str_of(error ? error : "it does not say why"));
	json_decref(answer);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct tapping *t = poll->data;
	char text[ANSWER_MAX];

	(void)events;
	for (unsigned i = 0; i < 16 && t->poll; i++) {
		unsigned nfds;
		ssize_t n = status < 0 ? 0 : fdpass_recv(t->fd, text, sizeof(text), NULL, &nfds, 0);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			log_warn("weft-copier is gone");
			copier_drop(t);
			taps_copier_gone(t);
			return;
		}
		take(t, text, (size_t)n);
	}
}

void copier_take(struct tapping *t, int fd, bool packets)
{
	int flags = fcntl(fd, F_GETFL);

	copier_drop(t);
	t->poll = calloc(1, sizeof(*t->poll));
	if (!t->poll || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    uv_poll_init(&t->p->loop, t->poll, fd)) {
		free(t->poll);
		t->poll = NULL;
		close(fd);
		return;
	}
	t->poll->data = t;
	t->fd = fd;
	t->packets = packets;
	if (!t->epoch) /* it has work of a planner before this one */
		t->left = t->objects_dirty = true;
	uv_poll_start(t->poll, UV_READABLE, on_poll);
	taps_step(t);
}

int copier_ask(struct tapping *t)
{
	AUTO_FD int fd = taps_memory(t->config.p, t->config.n);
	char text[32];
	int n = snprintf(text, sizeof(text), "{\"epoch\":%u}", t->epoch);

	return fd < 0 ? fd : fdpass_send(t->fd, text, (size_t)n, &fd, 1);
}
