/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is captured at the door: Captures that run, who reads them and rings, and the audit log's lines. A
 * Capture is one more object beside those of the files, and a reader a process of its own (broker_relay.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/own.h"
#include "cli/broker_door_state.h"
#include "cli/broker_live.h"
#include "cli/output.h"
#include "hub/audit.h"
#include "object/decode.h"

enum {
	RELAYS_MAX = 48,
	CAPTURES_MAX = 48,
	UNREAD_MS = 15000, /* a Capture without a reader ends */
	LATE_MS = 2000,	   /* one whose time is over is taken away */
	CLOSE_MS = 2000,
	SECONDS = 3600,
};

/* --- who did what ----------------------------------------------------------------------------------- */

/* Who sits behind the connection: the login that became root, where the kernel knows one. */
static char *user_of(int fd)
{
	struct ucred who = {.uid = UINT32_MAX};
	socklen_t n = sizeof(who);
	uint32_t uid;
	char path[64], text[16] = "";
	const struct passwd *p;
	AUTO_FD int login = -1;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
	uid = who.uid;
	snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)who.pid);
	login = open(path, O_RDONLY | O_CLOEXEC);
	if (login >= 0 && read(login, text, sizeof(text) - 1) > 0 && strtoul(text, NULL, 10) < UINT32_MAX)
		uid = (uint32_t)strtoul(text, NULL, 10);
	p = getpwuid(uid);
	if (p)
		return strdup(p->pw_name);
	snprintf(text, sizeof(text), "%u", uid);
	return strdup(text);
}

static void note(struct door *d, const char *what, struct audit_line l, const struct relay_sums *s)
{
	if (!d->audit && audit_open(&d->audit, d->dir, 0))
		return;
	l.what = what;
	l.node = str_of(d->l->node);
	if (s) {
		l.counted = true;
		l.packets = s->packets;
		l.bytes = s->bytes;
		l.dropped = s->dropped;
	}
	audit_write(d->audit, &l);
}

struct taken *taken_find(struct door *d, struct str name)
{
	VEC_EACH (&d->captures, c)
		if (!c->over && str_eqz(name, c->name))
			return c;
	return NULL;
}

/* --- streams ---------------------------------------------------------------------------------------- */

static int dial(const struct live *l)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 1};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, l->socket, sizeof(l->socket));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) ? -1 : TAKE_FD(fd);
}

void taken_stream(struct door *d, int fd, const char *path, struct taken *c, struct str tool)
{
	AUTO_FD int copier = d->l->copier.pid ? dial(d->l) : -1;
	struct reader r = {.sums_fd = -1};

	if (copier < 0) {
		door_refuse(fd, 503, "weft-copier does not answer");
		return;
	}
	r.user = user_of(fd);
	r.capture = c ? strdup(c->name) : NULL;
	r.tool = c ? NULL : strndup(tool.p, tool.n);
	if (d->readers.len >= RELAYS_MAX || !r.user || !(r.capture || r.tool) ||
	    relay_start(path, fd, copier, &r.sums_fd, &r.pid) || door_watch(d, r.sums_fd) ||
	    vec_push(&d->readers, r)) {
		door_refuse(fd, 429, "there are too many readers");
		own_fd(&r.sums_fd);
		free(r.user);
		free(r.capture);
		free(r.tool);
		return;
	}
	if (c) {
		c->readers++;
		c->read_ms = clock_ms();
	}
}

static struct audit_line line_of(const struct door *d, const struct reader *r)
{
	struct audit_line l = {
	    .user = str_of(r->user), .capture = str_of(r->capture), .tool = str_of(r->tool)};

	VEC_EACH (&d->captures, c)
		if (r->capture && !strcmp(c->name, r->capture))
			l.filter = str_of(c->filter);
	return l;
}

static struct taken *of_reader(struct door *d, const struct reader *r)
{
	VEC_EACH (&d->captures, c)
		if (r->capture && !strcmp(c->name, r->capture))
			return c;
	return NULL;
}

static void end_reader(struct door *d, struct reader *r)
{
	struct taken *c = of_reader(d, r);

	if (r->began)
		note(d, "download-end", line_of(d, r), &r->sums);
	if (c) {
		c->readers--;
		c->read_ms = clock_ms();
	}
	waitpid(r->pid, NULL, 0);
	own_fd(&r->sums_fd);
	free(r->user);
	free(r->capture);
	free(r->tool);
}

/* Whether it goes on. */
static bool hear_reader(struct door *d, struct reader *r)
{
	struct relay_sums s;
	ssize_t n;

	while ((n = read(r->sums_fd, &s, sizeof(s))) == sizeof(s)) {
		struct taken *c = of_reader(d, r);

		if (!r->began)
			note(d, "download-start", line_of(d, r), NULL);
		r->began = true;
		if (c) {
			c->sums.packets += s.packets - r->sums.packets;
			c->sums.bytes += s.bytes - r->sums.bytes;
			c->sums.dropped += s.dropped - r->sums.dropped;
		}
		r->sums = s;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- Captures --------------------------------------------------------------------------------------- */

int door_captures(const struct door *d, struct store *s)
{
	int r = 0;

	for (size_t i = 0; d && !r && i < d->captures.len; i++) {
		struct object *o = NULL;

		const struct taken *c = &d->captures.items[i];

		if (c->over)
			store_delete(s, KIND_capture, STR(""), str_of(c->name));
		if (c->over || store_get(s, KIND_capture, STR(""), str_of(c->name)))
			continue;
		r = object_clone(&o, c->object);
		if (!r)
			r = store_put(s, o, NULL);
	}
	return r;
}

static void end_line(struct door *d, size_t i)
{
	struct taken *c = &d->captures.items[i];

	note(d, "capture-end",
	     (struct audit_line){
		 .user = str_of(c->user), .capture = str_of(c->name), .filter = str_of(c->filter)},
	     &c->sums);
	object_unref(&c->object);
	free(c->name);
	free(c->user);
	free(c->filter);
	vec_remove(&d->captures, i);
}

void taken_end(struct door *d, struct taken *c)
{
	c->over = true;
	live_again(d->l, NULL);
}

/* What a Capture here may say beside what every one may. NULL: it may. */
static const char *odd(const struct live *l, json_t *spec)
{
	json_t *from = json_object_get(spec, "from"), *one;
	size_t i;

	json_array_foreach (from, i, one) {
		json_t *iface = json_object_get(one, "interface");
		const char *node = json_string_value(json_object_get(iface, "node"));

		if (!iface)
			return "a broker has interfaces alone: there are no pods, Services and uplinks here "
			       "(--interface eth1)";
		if (node && strcmp(node, l->node))
			return "that interface is on another node than this host";
	}
	if (!strcmp(json_string_value(json_object_get(spec, "packets")) ?: "", "Dropped"))
		return "a broker sees packets before anybody's verdict: none is a dropped one";
	return NULL;
}

/* Everything that the maps look at, where nothing is said. */
static void fill_from(const struct live *l, json_t *spec)
{
	json_t *list = json_array();

	for (uint32_t i = 0; l->b && i < l->b->sources_n; i++) {
		const struct broker_source *s = &l->b->sources[i];

		if (s->kind == BROKER_INTERFACE && (!s->node.n || str_eqz(s->node, l->node)))
			json_array_append_new(
			    list, json_pack("{s:{s:s%}}", "interface", "name", s->name.p, s->name.n));
	}
	if (!json_array_size(json_object_get(spec, "from")))
		json_object_set(spec, "from", list);
	json_decref(list);
}

static struct object *decode(json_t *v, struct buf *why)
{
	AUTO_MEM char *text = json_dumps(v, JSON_COMPACT);
	AUTO(remarks_fini) struct remarks rs = {0};
	struct object *o = NULL;
	int r = text ? decode_json_object(str_of(text), NULL, NULL, &o, &rs) : -ENOMEM;

	if (!r && (o->desc->kind != KIND_capture || !object_validate(o, &rs) || object_default(o)))
		r = -EINVAL;
	if (r && rs.list.len)
		buf_addz(why, rs.list.items[0].text);
	else if (r)
		buf_addz(why, "this is no Capture");
	if (r)
		object_unref(&o);
	return o;
}

/* Its own name, and who asks for it. */
static char *name_it(const struct live *l, json_t *v, const char *user)
{
	json_t *spec = json_object_get(v, "spec");
	uint32_t number = 0;
	char *name;

	if (!json_is_object(spec)) {
		spec = json_object();
		json_object_set_new(v, "spec", spec);
	}
	if (getrandom(&number, sizeof(number), 0) != sizeof(number) ||
	    asprintf(&name, "capture-%08x", number) < 0)
		return NULL;
	fill_from(l, spec);
	json_object_set_new(spec, "user", json_string(user));
	json_object_set_new(v, "metadata", json_pack("{s:s}", "name", name));
	return name;
}

void taken_create(struct door *d, int fd, struct str body)
{
	AUTO_JSON v = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
	AUTO_MEM char *user = user_of(fd);
	AUTO_MEM char *name = json_is_object(v) && user ? name_it(d->l, v, user) : NULL;
	json_t *spec = json_object_get(v, "spec");
	const char *why = name ? odd(d->l, spec) : "this is no Capture";
	json_int_t seconds = json_integer_value(json_object_get(spec, "seconds"));
	AUTO_BUF text = {0};
	struct taken c = {.read_ms = clock_ms()};

	if (d->captures.len >= CAPTURES_MAX) {
		door_refuse(fd, 429, "48 Captures run: end one");
		return;
	}
	if (!why && !(c.object = decode(v, &text)))
		why = text.p ?: "it cannot be read";
	if (why) {
		door_refuse(fd, 422, why);
		return;
	}
	c.name = strdup(name);
	c.user = strdup(user);
	c.filter = strdup(json_string_value(json_object_get(spec, "filter")) ?: "");
	c.ends_ms = c.read_ms + (uint64_t)(seconds > 0 ? seconds : SECONDS) * 1000 + LATE_MS;
	if (!c.name || !c.user || !c.filter || vec_push(&d->captures, c)) {
		object_unref(&c.object);
		free(c.name);
		free(c.user);
		free(c.filter);
		door_refuse(fd, 503, "out of memory");
		return;
	}
	if (live_again(d->l, &text) || !live_has_capture(d->l, name)) {
		struct taken *last = &d->captures.items[d->captures.len - 1];

		note(d, "refused",
		     (struct audit_line){
			 .user = str_of(user), .filter = str_of(last->filter), .why = buf_str(&text)},
		     NULL);
		last->over = true;
		door_captures(d, d->l->store);
		object_unref(&last->object);
		free(last->name);
		free(last->user);
		free(last->filter);
		d->captures.len--;
		door_refuse(fd, 422, text.n ? text.p : "it could not be put into force");
		return;
	}
	note(d, "capture-start",
	     (struct audit_line){.user = str_of(user), .capture = str_of(name), .filter = str_of(c.filter)},
	     NULL);
	door_answer(fd, 201, door_item(str_of(name)));
}

static void look_at_readers(struct door *d)
{
	for (size_t i = 0; i < d->readers.len;) {
		struct reader *r = &d->readers.items[i];

		if (hear_reader(d, r)) {
			i++;
			continue;
		}
		end_reader(d, r);
		vec_remove(&d->readers, i);
	}
}

static void look_at_captures(struct door *d)
{
	uint64_t now = clock_ms();

	for (size_t i = 0; i < d->captures.len;) {
		struct taken *c = &d->captures.items[i];

		if (!c->over && (now > c->ends_ms || (!c->readers && now - c->read_ms > UNREAD_MS)))
			taken_end(d, c);
		if (c->over && !c->readers)
			end_line(d, i);
		else
			i++;
	}
}

void taken_look(struct door *d)
{
	look_at_readers(d);
	look_at_captures(d);
}

void taken_close(struct door *d)
{
	uint64_t until = clock_ms() + CLOSE_MS;

	while (d->readers.len && clock_ms() < until) {
		look_at_readers(d);
		poll(NULL, 0, 5);
	}
	VEC_EACH (&d->readers, r) {
		kill(r->pid, SIGKILL);
		end_reader(d, r);
	}
	while (d->captures.len)
		end_line(d, 0);
	vec_free(&d->readers);
	vec_free(&d->captures);
	audit_close(&d->audit);
}
