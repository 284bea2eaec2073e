/* SPDX-License-Identifier: Apache-2.0 */
/* See agent_socket.h. Waits at most a few seconds; holds no connection between questions. */
#include "cli/agent_socket.h"

#include "base/own.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { WAIT_SECONDS = 10, STATUS_SECONDS = 3, PIECE_MAX = 1 << 17 };

static int dial(const char *path, int seconds)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = seconds};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(to.sun_path))
		return -errno;
	memcpy(to.sun_path, path, strlen(path) + 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return -errno;
	return TAKE_FD(fd);
}

/* The node's agent; who may not order it about may ask it why. */
static int dial_node(const char *cluster, const char *node, int seconds)
{
	static const char *const sockets[] = {"agent.sock", "questions.sock"};
	int fd = -EACCES;

	for (size_t i = 0; i < 2 && (fd == -EACCES || fd == -EPERM); i++) {
		char path[CLUSTER_PATH];
		AUTO_BUF file = {0};

		buf_printf(&file, "%s/%s", node, sockets[i]);
		cluster_path(path, cluster, file.p ? file.p : "");
		fd = dial(path, seconds);
	}
	return fd;
}

/* One piece: 1 more follow, 0 the last, -1 told. */
static int take_piece(const char *node, int fd, char *in, const char *member, struct buf *text)
{
	ssize_t n = recv(fd, in, PIECE_MAX, 0);
	json_error_t e;

	AUTO_JSON v = n > 0 ? json_loadb(in, (size_t)n, 0, &e) : NULL;
	if (!v) {
		cli_error("weft doctor, and the node's log in /run/weft/NAME/log",
			  "the agent of %s does not answer", node);
		return -1;
	}
	if (!json_is_true(json_object_get(v, "ok"))) {
		cli_error(NULL, "node %s: %s", node,
			  json_string_value(json_object_get(v, "error")) ?: "the agent refuses");
		return -1;
	}
	buf_addz(text, json_string_value(json_object_get(v, member)) ?: "");
	return json_is_true(json_object_get(v, "more"));
}

static int ask(const char *cluster, const char *node, const json_t *question, const char *member,
	       struct buf *text)
{
	AUTO_MEM char *in = malloc(PIECE_MAX);
	AUTO_MEM char *out = json_dumps(question, JSON_COMPACT);
	int r = 1;

	AUTO_FD int fd = dial_node(cluster, node, WAIT_SECONDS);
	if (fd < 0 || !in || !out) {
		cli_error("is the cluster running, and are you who ran `weft up`?",
			  "cannot connect to the agent of %s: %s", node, strerror(fd < 0 ? -fd : ENOMEM));
		return -1;
	}
	if (send(fd, out, strlen(out), MSG_NOSIGNAL) < 0)
		cli_error(NULL, "cannot ask the agent of %s: %s", node, strerror(errno)), r = -1;
	while (r > 0)
		r = take_piece(node, fd, in, member, text);
	return r;
}

int agent_ask_text(const char *cluster, const char *node, const json_t *question, struct buf *text)
{
	return ask(cluster, node, question, "text", text);
}

int agent_try_text(const char *cluster, const char *node, const json_t *question, struct buf *text)
{
	AUTO_MEM char *in = malloc(PIECE_MAX);
	AUTO_MEM char *out = json_dumps(question, JSON_COMPACT);
	bool more = true;

	AUTO_FD int fd = in && out ? dial_node(cluster, node, STATUS_SECONDS) : -ENOMEM;
	if (fd < 0)
		return fd;
	if (send(fd, out, strlen(out), MSG_NOSIGNAL) < 0)
		return -errno;
	while (more) {
		ssize_t n = recv(fd, in, PIECE_MAX, 0);
		AUTO_JSON v = n > 0 ? json_loadb(in, (size_t)n, 0, NULL) : NULL;

		if (n < 0)
			return -errno;
		if (!json_is_true(json_object_get(v, "ok")))
			return -EPROTO;
		buf_addz(text, json_string_value(json_object_get(v, "text")) ?: "");
		more = json_is_true(json_object_get(v, "more"));
	}
	return text->failed ? -ENOMEM : 0;
}

int agent_alarm(const char *cluster, const char *node, struct buf *alarm)
{
	AUTO_JSON question = json_pack("{s:i,s:s}", "id", 1, "op", "status");

	return question ? ask(cluster, node, question, "alarm", alarm) : -1;
}

json_t *agent_status(const char *cluster, const char *node)
{
	static const char question[] = "{\"id\":1,\"op\":\"status\"}";
	AUTO_MEM char *in = malloc(PIECE_MAX);

	AUTO_FD int fd = in ? dial_node(cluster, node, STATUS_SECONDS) : -1;
	if (fd < 0 || send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0)
		return NULL;
	ssize_t n = recv(fd, in, PIECE_MAX, 0);
	return n > 0 ? json_loadb(in, (size_t)n, 0, NULL) : NULL;
}
