/* SPDX-License-Identifier: Apache-2.0 */
/* Agent: see agent.h. Must never block on a busy agent. Called by pod.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/own.h"
#include "sandbox/agent.h"

enum { AGAIN_MS = 10, MESSAGE_MAX = 65536 };

static void agent_send(struct agent *a);
static void agent_connect(struct agent *a);

static void again(uv_timer_t *t)
{
	struct agent *a = t->data;

	if (a->fd < 0)
		agent_connect(a);
	else
		agent_send(a);
}

void agent_open(struct agent *a, uv_loop_t *loop, const char *socket)
{
	*a = (struct agent){.loop = loop, .fd = -1, .next_id = 1, .open = true};
	snprintf(a->socket, sizeof(a->socket), "%s", socket);
	uv_timer_init(loop, &a->again);
	a->again.data = a;
}

static void poll_closed(uv_handle_t *h)
{
	free(h);
}

static void agent_hang_up(struct agent *a)
{
	if (a->poll) {
		uv_poll_stop(a->poll);
		uv_close((uv_handle_t *)a->poll, poll_closed);
	}
	a->poll = NULL;
	own_fd(&a->fd);
	VEC_EACH (&a->asked, q)
		q->sent = false;
}

void agent_close(struct agent *a)
{
	if (!a->open)
		return;
	a->open = false;
	agent_hang_up(a);
	uv_close((uv_handle_t *)&a->again, NULL);
	VEC_EACH (&a->asked, q)
		json_decref(q->body);
	vec_free(&a->asked);
}

static void agent_answer(struct agent *a, const char *text, size_t n)
{
	json_t *answer = json_loadb(text, n, 0, NULL);
	unsigned id = (unsigned)json_integer_value(json_object_get(answer, "id"));

	for (size_t i = 0; i < a->asked.len; i++) {
		struct agent_question q = a->asked.items[i];

		if (q.id != id)
			continue;
		vec_remove(&a->asked, i);
		json_decref(q.body);
		q.done(q.ctx, answer);
		break;
	}
	json_decref(answer);
}

static void agent_readable(uv_poll_t *p, int status, int events)
{
	struct agent *a = p->data;
	static char in[MESSAGE_MAX];

	(void)status;
	(void)events;
	for (;;) {
		ssize_t n = recv(a->fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			agent_hang_up(a);
			uv_timer_start(&a->again, again, AGAIN_MS, 0);
			return;
		}
		agent_answer(a, in, (size_t)n);
		if (a->fd < 0)
			return;
	}
}

static int send_question(struct agent *a, const struct agent_question *q)
{
	AUTO_MEM char *text = json_dumps(q->body, JSON_COMPACT);
	char control[CMSG_SPACE(sizeof(q->fds))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = text, .iov_len = text ? strlen(text) : 0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (q->fds_len) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE((size_t)q->fds_len * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)q->fds_len * sizeof(int));
		memcpy(CMSG_DATA(c), q->fds, (size_t)q->fds_len * sizeof(int));
	}
	return sendmsg(a->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void agent_send(struct agent *a)
{
	VEC_EACH (&a->asked, q) {
		int r = q->sent ? 0 : send_question(a, q);

		if (r == -EAGAIN || r == -ENOBUFS) {
			uv_timer_start(&a->again, again, AGAIN_MS, 0);
			return;
		}
		if (r) {
			agent_hang_up(a);
			uv_timer_start(&a->again, again, AGAIN_MS, 0);
			return;
		}
		q->sent = true;
	}
}

static void agent_connect(struct agent *a)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", a->socket);
	a->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0 || connect(a->fd, (const struct sockaddr *)&to, sizeof(to))) {
		own_fd(&a->fd);
		uv_timer_start(&a->again, again, AGAIN_MS, 0);
		return;
	}
	setsockopt(a->fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
	a->poll = calloc(1, sizeof(*a->poll));
	if (!a->poll) {
		own_fd(&a->fd);
		uv_timer_start(&a->again, again, AGAIN_MS, 0);
		return;
	}
	a->poll->data = a;
	uv_poll_init(a->loop, a->poll, a->fd);
	uv_poll_start(a->poll, UV_READABLE, agent_readable);
	agent_send(a);
}

unsigned agent_ask(struct agent *a, json_t *body, const int *fds, int fds_len, agent_done *done, void *ctx)
{
	struct agent_question q = {
	    .id = a->next_id++, .body = body, .fds_len = fds_len, .done = done, .ctx = ctx};

	for (int i = 0; i < fds_len; i++)
		q.fds[i] = fds[i];
	if (!body || json_object_set_new(body, "id", json_integer((json_int_t)q.id)) ||
	    vec_push(&a->asked, q)) {
		json_decref(body);
		return 0;
	}
	if (a->fd < 0)
		agent_connect(a);
	else
		agent_send(a);
	return q.id;
}

void agent_forget(struct agent *a, unsigned id)
{
	for (size_t i = 0; a->open && i < a->asked.len; i++)
		if (a->asked.items[i].id == id) {
			json_decref(a->asked.items[i].body);
			vec_remove(&a->asked, i);
			return;
		}
}
