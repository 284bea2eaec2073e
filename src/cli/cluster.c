/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running cluster as the command line sees it: names, paths, the lock, and the control socket of the
 * sandbox. Starts and stops nothing by itself.
 */
#include "cli/cluster.h"

#include "base/own.h"
#include "cli/command.h"
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

const char *cluster_name(const char *name)
{
	size_t n;

	if (!name)
		return "default";
	n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	if (!n || name[n] || n > CLUSTER_NAME_MAX || name[0] == '-' || name[n - 1] == '-') {
		cli_error("small letters, digits and '-' inside, at most 32",
			  "\"%s\" cannot be a cluster's name", name);
		return NULL;
	}
	return name;
}

void cluster_path(char out[CLUSTER_PATH], const char *name, const char *file)
{
	int n = snprintf(out, CLUSTER_PATH, CLUSTER_RUN "/%s/%s", name, file);

	if (n < 0 || n >= CLUSTER_PATH)
		out[0] = 0;
}

bool cluster_is_up(const char *name)
{
	char path[CLUSTER_PATH];

	cluster_path(path, name, "lock");
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES;
	if (!flock(fd, LOCK_EX | LOCK_NB)) {
		flock(fd, LOCK_UN);
		return false;
	}
	return errno == EWOULDBLOCK;
}

bool cluster_need(const char *name)
{
	AUTO_BUF hint = {0};

	if (cluster_is_up(name))
		return true;
	buf_printf(&hint, "start it: weft up%s%s DIR", strcmp(name, "default") ? " --name " : "",
		   strcmp(name, "default") ? name : "");
	cli_error(hint.p, "no cluster \"%s\" is running on this machine", name);
	return false;
}

static int control_connect(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cluster_path(a.sun_path, name, "sandbox.sock");
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (errno == EACCES)
			cli_error("run it as the user who ran `weft up`", "%s: permission denied",
				  a.sun_path);
		else if (cluster_need(name))
			cli_error("is it still starting, or stopping?", "%s: %s", a.sun_path,
				  strerror(errno));
		return -1;
	}
	return TAKE_FD(fd);
}

static int send_line(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	int r = text ? 0 : -ENOMEM;

	if (text)
		text[n++] = '\n';
	for (size_t done = 0; !r && done < n;) {
		ssize_t w = send(fd, text + done, n - done, MSG_NOSIGNAL);
		if (w < 0 && errno != EINTR)
			r = -errno;
		done += w > 0 ? (size_t)w : 0;
	}
	free(text);
	return r;
}

/* What one answer line means: 0 go on, 1 that was the end, -1 refused (told), else the callback's value. */
static int take_line(struct str line, http_line *fn, void *ctx, bool *ended)
{
	json_error_t e;
	AUTO_JSON v = json_loadb(line.p, line.n, 0, &e);

	if (!v) {
		cli_error(NULL, "the sandbox sent what is no JSON: %s", e.text);
		return -1;
	}
	if (json_is_false(json_object_get(v, "ok"))) {
		cli_error(NULL, "%s",
			  json_string_value(json_object_get(v, "error")) ?: "the sandbox refused");
		return -1;
	}
	*ended = json_object_get(v, "done") != NULL;
	return *ended || !fn ? 0 : fn(ctx, v);
}

int control_request(const char *name, const json_t *request, http_line *fn, void *ctx)
{
	AUTO_FD int fd = control_connect(name);
	AUTO_BUF in = {0};
	bool ended = false;
	char chunk[16384];

	if (fd < 0)
		return -1;
	if (send_line(fd, request)) {
		cli_error(NULL, "cannot send to the sandbox: %s", strerror(errno));
		return -1;
	}
	while (!ended) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_add(&in, chunk, (size_t)n);
		for (char *nl; !ended && (nl = in.n ? memchr(in.p, '\n', in.n) : NULL);) {
			size_t len = (size_t)(nl - in.p);
			int r = take_line((struct str){in.p, len}, fn, ctx, &ended);
			if (r)
				return r;
			buf_drop(&in, len + 1);
		}
	}
	return 0;
}

int cluster_strict(const char *name, bool *strict)
{
	char path[CLUSTER_PATH];
	json_error_t e;

	cluster_path(path, name, "state.json");
	AUTO_JSON state = json_load_file(path, 0, &e);

	if (!state) {
		cli_error("is it still starting, or stopping?", "%s: %s", path, e.text);
		return -1;
	}
	*strict = json_is_true(json_object_get(state, "strict"));
	return 0;
}
