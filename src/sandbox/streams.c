/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: the socket, see streams.h. Lets in the hub and root only, and never waits for either. Called by
 * run.c.
 */
#include "sandbox/streams.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"

enum { SESSIONS_MAX = 256, FULL = 256 << 10, HUB_UID = 65534, LOOK_MS = 1000 };

struct streams {
	uv_pipe_t pipe; /* first: freed with it */
	uv_timer_t look;
	struct sandbox *sandbox;
	struct session *sessions;
	unsigned len;
};

static void session_freed(uv_handle_t *h)
{
	struct session *s = (struct session *)h;

	buf_fini(&s->in);
	free(s);
}

static void session_close(struct session *s)
{
	struct session **at = &s->streams->sessions;

	if (s->closed)
		return;
	s->closed = true;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->streams->len--;
	if (s->does)
		s->does->drop(s);
	s->work = NULL;
	uv_close((uv_handle_t *)&s->pipe, session_freed);
}

struct frame {
	uv_write_t write; /* first: freed with it */
	struct session *session;
	size_t n;
	char bytes[];
};

static void written(uv_write_t *w, int status)
{
	struct frame *f = (struct frame *)w;
	struct session *s = f->session;
	bool was_full = s->queued >= FULL;

	s->queued -= f->n;
	free(f);
	if (s->closed)
		return;
	if (status < 0 || (s->ending && !s->queued))
		session_close(s);
	else if (was_full && s->queued < FULL && s->does && !s->ending)
		s->does->on(s);
}

/* Takes over the frame. */
static void frame_send(struct session *s, struct frame *f)
{
	uv_buf_t b = uv_buf_init(f->bytes, (unsigned)f->n);

	f->session = s;
	s->queued += f->n;
	if (uv_write(&f->write, (uv_stream_t *)&s->pipe, &b, 1, written)) {
		s->queued -= f->n;
		free(f);
		s->ending = true;
	}
}

static void line_send(struct session *s, const char *text)
{
	size_t n = strlen(text);
	struct frame *f = s->closed ? NULL : malloc(sizeof(*f) + n);

	if (!f)
		return;
	f->n = n;
	memcpy(f->bytes, text, n);
	frame_send(s, f);
}

void session_accept(struct session *s)
{
	line_send(s, "{}\n");
}

void session_refuse(struct session *s, int code, const char *reason, const char *fmt, ...)
{
	AUTO_BUF text = {0}, line = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_printf(&line, "{\"code\":%d,\"reason\":\"%s\",\"message\":", code, reason);
	buf_json(&line, buf_str(&text));
	buf_addz(&line, "}\n");
	if (!line.failed)
		line_send(s, line.p);
	session_finish(s);
}

void session_send(struct session *s, enum stream_channel channel, const void *p, size_t n)
{
	const char *from = p;

	while (n && !s->closed) {
		size_t len = n < STREAM_FRAME_MAX ? n : STREAM_FRAME_MAX;
		struct frame *f = malloc(sizeof(*f) + sizeof(struct stream_frame) + len);
		struct stream_frame head = {.channel = (uint8_t)channel, .len = htons((uint16_t)len)};

		if (!f)
			return;
		f->n = sizeof(head) + len;
		memcpy(f->bytes, &head, sizeof(head));
		memcpy(f->bytes + sizeof(head), from, len);
		frame_send(s, f);
		from += len;
		n -= len;
	}
}

void session_status(struct session *s, int code)
{
	AUTO_BUF b = {0};

	if (code)
		buf_printf(&b,
			   "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
			   "exit code %d\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":"
			   "[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
			   code, code);
	else
		buf_addz(&b, "{\"metadata\":{},\"status\":\"Success\"}");
	session_send(s, STREAM_STATUS, b.p, b.n);
	session_finish(s);
}

void session_finish(struct session *s)
{
	s->ending = true;
	if (!s->queued)
		session_close(s);
}

bool session_has_room(struct session *s)
{
	return s->queued < FULL && !s->ending;
}

static struct container *find_container(struct pod *p, const char *name)
{
	if (!*name)
		name = json_text(json_at(p->spec, "metadata", "annotations",
					 "kubectl.kubernetes.io/default-container", NULL));
	if (!*name)
		return p->containers_len > p->inits ? &p->containers[p->inits] : NULL;
	for (size_t i = 0; i < p->containers_len; i++)
		if (!strcmp(p->containers[i].name, name))
			return &p->containers[i];
	return NULL;
}

static void request(struct session *s, struct str line)
{
	json_t *o = json_loadb(line.p, line.n, 0, NULL);
	const char *what = json_text(json_object_get(o, "do"));
	const char *name = json_text(json_object_get(o, "container"));
	char key[400];

	snprintf(key, sizeof(key), "%s/%s", json_text(json_object_get(o, "namespace")),
		 json_text(json_object_get(o, "pod")));
	s->pod = hash_get(&s->streams->sandbox->pods, str_of(key));
	s->container = s->pod ? find_container(s->pod, name) : NULL;
	if (!s->pod)
		session_refuse(s, 404, "NotFound", "pod %s runs on no node yet", key);
	else if (!s->container)
		session_refuse(s, 400, "BadRequest", "container %s is not valid for pod %s", name,
			       s->pod->name);
	else if (!strcmp(what, "exec"))
		session_exec(s, o);
	else if (!strcmp(what, "attach"))
		session_attach(s, o);
	else if (!strcmp(what, "logs"))
		session_logs(s, o);
	else if (!strcmp(what, "forward"))
		session_forward(s, o);
	else
		session_refuse(s, 400, "BadRequest", "unknown: it is exec, attach, logs or forward");
	json_decref(o);
}

/* Hands over the whole frames that have come. */
static void frames(struct session *s)
{
	size_t at = 0;

	while (!s->closed && !s->held && s->in.n - at >= sizeof(struct stream_frame)) {
		struct stream_frame head;
		size_t len;

		memcpy(&head, s->in.p + at, sizeof(head));
		len = ntohs(head.len);
		if (len > STREAM_FRAME_MAX) {
			session_close(s);
			return;
		}
		if (s->in.n - at < sizeof(head) + len)
			break;
		if (head.channel == STREAM_CLOSE && len == 1)
			s->does->take(s, (unsigned char)s->in.p[at + sizeof(head)], NULL, 0);
		else if (len)
			s->does->take(s, head.channel, s->in.p + at + sizeof(head), len);
		at += sizeof(head) + len;
	}
	if (!s->closed)
		buf_drop(&s->in, at);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct session *s = (struct session *)stream;
	const char *end;

	if (!n || s->closed)
		return;
	if (n > 0)
		buf_add(&s->in, b->base, (size_t)n);
	if (n < 0 || s->in.failed || s->in.n > STREAM_REQUEST_MAX + sizeof(struct stream_frame)) {
		session_close(s);
		return;
	}
	if (!s->asked) {
		end = memchr(s->in.p, '\n', s->in.n);
		if (!end)
			return;
		size_t len = (size_t)(end - s->in.p);

		s->asked = true;
		if (s->full)
			session_refuse(s, 429, "TooManyRequests", "%d sessions are open: end one first",
				       SESSIONS_MAX);
		else
			request(s, (struct str){.p = s->in.p, .n = len});
		if (s->closed)
			return;
		buf_drop(&s->in, len + 1);
	}
	if (s->does && !s->ending)
		frames(s);
	else
		buf_clear(&s->in);
}

void session_hold(struct session *s)
{
	if (!s->held)
		uv_read_stop((uv_stream_t *)&s->pipe);
	s->held = true;
}

void session_resume(struct session *s)
{
	if (!s->held || s->closed)
		return;
	s->held = false;
	frames(s);
	if (!s->closed && !s->held)
		uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
}

/* Who is held is not read from: that it went away is seen by asking. */
static void look(uv_timer_t *t)
{
	struct streams *st = t->data;

	for (struct session *s = st->sessions, *next; s; s = next) {
		struct pollfd p = {.fd = -1, .events = POLLRDHUP};

		next = s->next;
		if (s->held && !uv_fileno((uv_handle_t *)&s->pipe, &p.fd) && poll(&p, 1, 0) > 0 &&
		    (p.revents & (POLLHUP | POLLERR)))
			session_close(s);
	}
}

static bool may_connect(const uv_pipe_t *pipe)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof(who);
	int fd;

	return !uv_fileno((const uv_handle_t *)pipe, &fd) &&
	       !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && (!who.uid || who.uid == HUB_UID);
}

static void accepted(uv_stream_t *server, int status)
{
	struct streams *st = (struct streams *)server;
	struct session *s = status < 0 ? NULL : calloc(1, sizeof(*s));

	if (!s)
		return;
	s->streams = st;
	s->next = st->sessions;
	st->sessions = s;
	st->len++;
	uv_pipe_init(&st->sandbox->loop, &s->pipe, 0);
	s->full = st->len > SESSIONS_MAX;
	if (uv_accept(server, (uv_stream_t *)&s->pipe) || !may_connect(&s->pipe) ||
	    st->len > 2 * SESSIONS_MAX)
		session_close(s);
	else
		uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
}

static void freed(uv_handle_t *h)
{
	free(h);
}

int streams_start(struct sandbox *s)
{
	struct streams *st = calloc(1, sizeof(*st));
	char path[108];
	int r;

	if (!st)
		return -ENOMEM;
	st->sandbox = s;
	uv_pipe_init(&s->loop, &st->pipe, 0);
	uv_timer_init(&s->loop, &st->look);
	st->look.data = st;
	s->streams = st;
	snprintf(path, sizeof(path), "%s/streams.sock", s->dir);
	r = uv_pipe_bind(&st->pipe, path);
	r = r || !chmod(path, 0600) ? r : -errno;
	r = r || !chown(path, HUB_UID, HUB_UID) ? r : -errno;
	r = r ? r : uv_listen((uv_stream_t *)&st->pipe, 64, accepted);
	if (r)
		log_error("%s: %s", path, strerror(-r));
	else
		uv_timer_start(&st->look, look, LOOK_MS, LOOK_MS);
	return r;
}

void streams_forget_pod(const struct pod *p)
{
	struct streams *st = p->sandbox->streams;

	for (struct session *s = st ? st->sessions : NULL, *next; s; s = next) {
		next = s->next;
		if (s->pod == p)
			session_close(s);
	}
}

static void look_closed(uv_handle_t *h)
{
	struct streams *st = h->data;

	uv_close((uv_handle_t *)&st->pipe, freed);
}

void streams_stop(struct sandbox *s)
{
	struct streams *st = s->streams;

	if (!st)
		return;
	s->streams = NULL;
	while (st->sessions)
		session_close(st->sessions);
	uv_close((uv_handle_t *)&st->look, look_closed);
}
