/* SPDX-License-Identifier: Apache-2.0 */
/* The door: see broker_door.h. Questions are short and whole before they are answered; whoever asks is root.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_door_state.h"
#include "cli/broker_live.h"
#include "cli/output.h"

#define RUN "/run/weft-broker"
#define API "/apis/weft.network/v1alpha1/"

enum {
	CLIENTS_MAX = 16,
	QUESTION_MAX = 64 << 10,
	QUESTION_MS = 3000,
};

static bool folder(char out[64])
{
	struct stat st;

	*out = 0;
	if (!stat("/proc/self/ns/net", &st))
		snprintf(out, 64, RUN "/%" PRIu64, (uint64_t)st.st_ino);
	return *out;
}

void door_path(char out[DOOR_PATH])
{
	char dir[64];

	*out = 0;
	if (folder(dir))
		snprintf(out, DOOR_PATH, "%s/control.sock", dir);
}

static int tell(const char *what)
{
	cli_error("weft capture cannot read rings and packets of this broker", "%s: %s", what,
		  strerror(errno));
	return -1;
}

int door_watch(struct door *d, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

int door_open(struct door **out, struct live *l)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct door *d = calloc(1, sizeof(*d));
	mode_t mask;
	bool good;

	if (!d)
		return -1;
	*d = (struct door){.l = l, .epoll = -1, .listen = -1};
	door_path(d->path);
	if (!folder(d->dir) || (mkdir(RUN, 0700) && errno != EEXIST) ||
	    (mkdir(d->dir, 0700) && errno != EEXIST)) {
		tell(RUN);
		free(d);
		return -1;
	}
	/* Only one broker has this network namespace: what is there is of one that was killed. */
	unlink(d->path);
	memcpy(at.sun_path, d->path, sizeof(d->path));
	d->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	mask = umask(0177);
	good = d->listen >= 0 && d->epoll >= 0 &&
	       !bind(d->listen, (const struct sockaddr *)&at, sizeof(at)) &&
	       !listen(d->listen, CLIENTS_MAX) && !door_watch(d, d->listen);
	umask(mask);
	*out = d;
	if (good)
		return 0;
	tell(d->path);
	door_close(out);
	return -1;
}

int door_fd(const struct door *d)
{
	return d ? d->epoll : -1;
}

/* --- answers ---------------------------------------------------------------------------------------- */

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 400:
		return "BadRequest";
	case 404:
		return "NotFound";
	case 422:
		return "Invalid";
	case 429:
		return "TooManyRequests";
	default:
		return "ServiceUnavailable";
	}
}

static void send_all(int fd, int status, const char *body, size_t n)
{
	AUTO_BUF out = {0};
	size_t at = 0;

	buf_printf(&out,
		   "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   status, reason(status), n);
	buf_add(&out, body, n);
	while (!out.failed && at < out.n) { /* a socket takes that much at once */
		ssize_t sent = send(fd, out.p + at, out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent <= 0)
			return;
		at += (size_t)sent;
	}
}

void door_answer(int fd, int status, json_t *v)
{
	AUTO_MEM char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;

	send_all(fd, text ? status : 503, text ?: "{}", text ? strlen(text) : 2);
	json_decref(v);
}

void door_refuse(int fd, int status, const char *message)
{
	door_answer(fd, status,
		    json_pack("{s:s,s:s,s:{},s:s,s:s,s:s,s:i}", "kind", "Status", "apiVersion", "v1",
			      "metadata", "status", "Failure", "message", message, "reason", reason(status),
			      "code", status));
}

json_t *door_item(struct str name)
{
	return json_pack("{s:{s:s%}}", "metadata", "name", name.p, name.n);
}

static void answer_nodes(const struct door *d, int fd)
{
	door_answer(fd, 200, json_pack("{s:[o]}", "items", door_item(str_of(d->l->node))));
}

/* Those that keep packets. */
static void answer_tools(const struct door *d, int fd)
{
	const struct broker *b = d->l->b;
	json_t *list = json_array();

	for (uint32_t i = 0; b && i < b->ports_n; i++) {
		const struct broker_port *p = &b->ports[i];

		if (p->to.way != BROKER_TO_RING || (i && str_eq(b->ports[i - 1].tool, p->tool)))
			continue;
		json_t *one = door_item(p->tool);

		json_object_set_new(one, "spec", json_pack("{s:{}}", "ring"));
		json_array_append_new(list, one);
	}
	door_answer(fd, 200, json_pack("{s:o}", "items", list));
}

static void answer_clock(int fd)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	door_answer(fd, 200, json_pack("{s:I}", "time", (json_int_t)t.tv_sec * 1000000000 + t.tv_nsec));
}

/* --- questions -------------------------------------------------------------------------------------- */

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' ||
		      s.p[i] == '.'))
			return false;
	return s.n > 0;
}

static struct str value_of(struct str query, const char *key)
{
	while (query.n) {
		struct str value = str_cut(&query, '&'), name = str_cut(&value, '=');

		if (str_eqz(name, key))
			return value;
	}
	return (struct str){0};
}

/* NAME/stream or NAME/clock of a Capture or a ring. */
static void answer_get(struct door *d, int fd, struct str rest, struct str query, bool capture)
{
	struct str name = str_cut(&rest, '/'), port = value_of(query, "port"), last = value_of(query, "last");
	struct taken *c = capture ? taken_find(d, name) : NULL;
	AUTO_BUF path = {0};

	if (str_eqz(rest, "clock")) {
		answer_clock(fd);
		return;
	}
	if (!is_plain(name) || (port.n && !is_plain(port)) || (last.n && !is_plain(last)) ||
	    !str_eqz(rest, "stream")) {
		door_refuse(fd, 400, "this is no question");
		return;
	}
	if (capture && !c) {
		door_refuse(fd, 404, "there is no such Capture (any more)");
		return;
	}
	if (capture)
		buf_printf(&path, "/captures/" STR_FMT "/stream", STR_ARG(name));
	else
		buf_printf(&path, "/rings/" STR_FMT "/stream?port=" STR_FMT "&last=" STR_FMT, STR_ARG(name),
			   STR_ARG(port.n ? port : STR("default")), STR_ARG(last.n ? last : STR("60")));
	taken_stream(d, fd, path.failed ? "/" : path.p, c, name);
}

static void answer_delete(struct door *d, int fd, struct str name)
{
	struct taken *c = taken_find(d, name);

	if (!c) {
		door_refuse(fd, 404, "there is no such Capture (any more)");
		return;
	}
	taken_end(d, c);
	door_answer(fd, 200, json_object());
}

static void answer_one(struct door *d, int fd, struct str head, struct str body)
{
	static const struct str captures = {API "captures/", sizeof(API "captures/") - 1};
	static const struct str tools = {API "tools/", sizeof(API "tools/") - 1};
	struct str line = str_cut(&head, '\n'), method = str_cut(&line, ' '), query = str_cut(&line, ' ');
	struct str path = str_cut(&query, '?');
	bool get = str_eqz(method, "GET");

	if (get && str_eqz(path, "/api/v1/nodes"))
		answer_nodes(d, fd);
	else if (get && str_eqz(path, API "tools"))
		answer_tools(d, fd);
	else if (str_eqz(method, "POST") && str_eqz(path, API "captures"))
		taken_create(d, fd, body);
	else if (get && str_starts(path, captures))
		answer_get(d, fd, (struct str){path.p + captures.n, path.n - captures.n}, query, true);
	else if (get && str_starts(path, tools))
		answer_get(d, fd, (struct str){path.p + tools.n, path.n - tools.n}, query, false);
	else if (str_eqz(method, "DELETE") && str_starts(path, captures))
		answer_delete(d, fd, (struct str){path.p + captures.n, path.n - captures.n});
	else
		door_refuse(fd, 404, "weft broker answers questions about captures and rings alone");
}

static size_t body_size(struct str head)
{
	static const struct str key = {"content-length:", 15};
	int64_t n = 0;

	while (head.n) {
		struct str line = str_cut(&head, '\n');

		if (line.n > key.n && !strncasecmp(line.p, key.p, key.n) &&
		    str_to_i64(str_trim((struct str){line.p + key.n, line.n - key.n}), 0, QUESTION_MAX, &n))
			return QUESTION_MAX;
	}
	return (size_t)n;
}

/* Whether it is still to be heard. */
static bool hear_client(struct door *d, struct client *c)
{
	char part[4096];
	ssize_t n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);
	const char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return clock_ms() < c->until;
	if (n <= 0)
		return false;
	buf_add(&c->in, part, (size_t)n);
	end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
	if (c->in.failed || c->in.n > QUESTION_MAX)
		return false;
	if (!end)
		return true;
	struct str head = {c->in.p, (size_t)(end - c->in.p)},
		   body = {end + 4, c->in.n - (size_t)(end + 4 - c->in.p)};

	if (body.n < body_size(head))
		return true;
	answer_one(d, c->fd, head, body);
	return false;
}

static void take_client(struct door *d)
{
	struct client c = {.fd = accept4(d->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
			   .until = clock_ms() + QUESTION_MS};

	if (c.fd < 0)
		return;
	if (d->clients.len >= CLIENTS_MAX || door_watch(d, c.fd) || vec_push(&d->clients, c))
		close(c.fd);
}

void door_turn(struct door *d)
{
	struct epoll_event events[CLIENTS_MAX];

	if (!d)
		return;
	if (epoll_wait(d->epoll, events, CLIENTS_MAX, 0) > 0)
		take_client(d);
	for (size_t i = 0; i < d->clients.len;) {
		struct client *c = &d->clients.items[i];

		if (hear_client(d, c)) {
			i++;
			continue;
		}
		buf_fini(&c->in);
		close(c->fd);
		vec_remove(&d->clients, i);
	}
	taken_look(d);
}

void door_close(struct door **pd)
{
	struct door *d = *pd;

	if (!d)
		return;
	taken_close(d);
	VEC_EACH (&d->clients, c) {
		buf_fini(&c->in);
		close(c->fd);
	}
	vec_free(&d->clients);
	own_fd(&d->listen);
	own_fd(&d->epoll);
	unlink(d->path);
	rmdir(d->dir); /* stays where there is an audit log */
	rmdir(RUN);
	free(TAKE(*pd));
}
