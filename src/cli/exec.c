/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft exec` and `weft attach`: a program in a pod's container, or what runs there already, at this terminal
 * or in a pipe. Ends with the program's status.
 */
#include "base/own.h"
#include "cli/channel.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/podname.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>

enum { IN, OUT, ERR, STATUS, RESIZE };

struct running {
	struct channel c;
	bool tty, in;
	struct buf status;
	bool broken; /* stdout is closed */
};

static struct termios was;
static volatile sig_atomic_t raw, resized;

static void restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	raw = 0;
}

static void on_resize(int number)
{
	(void)number;
	resized = 1;
}

static void on_end(int number)
{
	restore();
	_exit(128 + number);
}

static void go_raw(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &was))
		return;
	t = was;
	cfmakeraw(&t);
	raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
	atexit(restore);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
	const struct sigaction act = {.sa_handler = on_resize};
	sigaction(SIGWINCH, &act, NULL);
	resized = 1;
}

static void send_size(struct running *r)
{
	struct winsize w;
	char text[64];

	resized = 0;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w))
		return;
	int n = snprintf(text, sizeof(text), "{\"Width\":%u,\"Height\":%u}", w.ws_col, w.ws_row);
	channel_put(&r->c, RESIZE, (struct str){text, (size_t)n});
}

static void take(void *ctx, unsigned number, struct str data)
{
	struct running *r = ctx;

	if (number == STATUS) {
		buf_adds(&r->status, data);
		return;
	}
	if (number != OUT && number != ERR)
		return;
	while (data.n) {
		ssize_t n = write(number == OUT ? STDOUT_FILENO : STDERR_FILENO, data.p, data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r->broken = true;
			return;
		}
		data.p += n;
		data.n -= (size_t)n;
	}
}

static void read_in(struct running *r)
{
	char bytes[32768];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		channel_put(&r->c, IN, (struct str){bytes, (size_t)n});
		return;
	}
	channel_put_close(&r->c, IN);
	r->in = false;
}

static void loop(struct running *r)
{
	while (!r->c.over && !r->broken) {
		if (r->tty && resized)
			send_size(r);
		bool in = r->in && channel_pending(&r->c) < CHANNEL_HIGH;
		struct pollfd p[2] = {
		    {.fd = r->c.fd, .events = (short)(POLLIN | (channel_pending(&r->c) ? POLLOUT : 0))},
		    {.fd = in ? STDIN_FILENO : -1, .events = POLLIN}};
		if (r->c.early.n)
			channel_read(&r->c, take, r);
		else if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents & POLLOUT)
			channel_flush(&r->c);
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			channel_read(&r->c, take, r);
		if (p[1].revents && !r->c.over)
			read_in(r);
	}
}

/* The status of a Status: 0, the program's, or 1 after telling. */
static int end_status(const struct running *r)
{
	AUTO_JSON s = json_loadb(r->status.p ? r->status.p : "", r->status.n, 0, NULL);
	const char *word = json_string_value(json_object_get(s, "status"));
	json_t *causes = json_object_get(json_object_get(s, "details"), "causes"), *cause;
	size_t i;

	if (r->broken)
		return EXIT_FAILED;
	if (word && !strcmp(word, "Success"))
		return EXIT_OK;
	json_array_foreach (causes, i, cause) {
		const char *reason = json_string_value(json_object_get(cause, "reason"));
		int64_t code = 0;
		if (reason && !strcmp(reason, "ExitCode") &&
		    !str_to_i64(str_of(json_string_value(json_object_get(cause, "message"))), 1, 255, &code))
			return (int)code;
	}
	cli_error(NULL, "%s",
		  json_string_value(json_object_get(s, "message")) ?: "the connection to the hub broke");
	return EXIT_FAILED;
}

static int run(const char *cluster, const char *word, const char *ns, struct buf *query, const char *sub,
	       bool in, bool tty)
{
	char socket_path[CLUSTER_PATH];
	struct podname pod;
	struct running r = {.tty = tty, .in = in};
	AUTO_BUF url = {0};

	if (!cluster_name(cluster))
		return EXIT_USAGE;
	if (!cluster_need(cluster_name(cluster)))
		return EXIT_FAILED;
	if (tty && (!in || !isatty(STDIN_FILENO))) {
		cli_error(in ? "leave -t out" : "add -i", "-t needs -i, and a terminal");
		return EXIT_USAGE;
	}
	cluster_path(socket_path, cluster_name(cluster), "hub.sock");
	if (podname_find(&pod, cluster_name(cluster), socket_path, word, ns))
		return EXIT_FAILED;
	podname_url(&url, pod.ns, pod.pod, sub);
	podname_fini(&pod);
	buf_printf(&url, "stdin=%s&stdout=true&stderr=%s&tty=%s", in ? "true" : "false",
		   tty ? "false" : "true", tty ? "true" : "false");
	buf_adds(&url, buf_str(query));
	if (channel_open(&r.c, socket_path, url.p))
		return EXIT_FAILED;
	fflush(stdout);
	if (tty)
		go_raw();
	loop(&r);
	restore();
	int status = end_status(&r);
	channel_fini(&r.c);
	buf_fini(&r.status);
	return status;
}

static void add(struct buf *query, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(query, "&%s=", key);
	http_escape(query, str_of(value));
}

int cmd_exec(const struct options_exec *o)
{
	AUTO_BUF query = {0};

	add(&query, "container", o->container);
	for (int i = 1; i < o->n_args; i++)
		add(&query, "command", o->args[i]);
	return run(o->name, o->args[0], o->ns, &query, "exec", o->in, o->tty);
}

int cmd_attach(const struct options_attach *o)
{
	AUTO_BUF query = {0};

	add(&query, "container", o->container);
	return run(o->name, o->args[0], o->ns, &query, "attach", o->in, o->tty);
}
