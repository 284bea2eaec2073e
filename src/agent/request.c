/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.sock: who runs pods asks here for their network. An add waits until the pod is known with its
 * addresses, goes with the next commit, and is answered when its rows were read back; many may be on their
 * way. Answers are in the form of doc/internals.md. Parses small bodies of root only (the socket's mode sees
 * to that), still with limits.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/planner.h"
#include "agent/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

enum {
	CLIENTS_MAX = 256,
	ASKERS_MAX = 16, /* of them, who may only ask */
	REQUESTS_MAX = 4096,
	REQUEST_BYTES = 16384,
	WAIT_MS = 5000,
	PIECE = 60000,
	TICK_MS = 100
};
enum op { OP_ADD, OP_DEL, OP_READBACK, OP_CHECK };
enum { CODE_RETRY = 11, CODE_BAD = 7, CODE_REFUSED = 100 };

struct client {
	struct client *next;
	uv_poll_t poll;
	struct requests *rs;
	int fd;
	unsigned refs; /* of requests that wait */
	bool asks;     /* why, and nothing else */
	bool gone;
};

struct request {
	struct request *next;
	struct client *client;
	enum op op;
	json_int_t id;
	char *ns, *pod, *uid;
	int fds[3];
	unsigned nfds;
	uint64_t deadline;
	bool sent; /* goes with the run that is under way */
};

struct door { /* a socket to accept on */
	struct requests *rs;
	uv_poll_t listen;
	int fd; /* -1: none */
	bool asks;
};

struct requests {
	struct planner *p;
	struct door all, questions;
	uv_timer_t tick;
	struct client *clients;
	struct request *first;
	unsigned n_clients, n_asking, n;
};

/* --- answers --- */

static void client_send(struct client *c, const struct buf *b)
{
	if (c->gone || b->failed)
		return;
	if (send(c->fd, b->p, b->n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_warn("agent.sock: an answer is lost: %s", strerror(errno));
}

static void fail(struct client *c, json_int_t id, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void fail(struct client *c, json_int_t id, int code, const char *fmt, ...)
{
	AUTO_BUF b = {0}, text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_printf(&b, "{\"id\":%lld,\"ok\":false,\"code\":%d,\"error\":", (long long)id, code);
	buf_json(&b, buf_str(&text));
	buf_addc(&b, '}');
	client_send(c, &b);
}

void client_ok(struct client *c, json_int_t id)
{
	AUTO_BUF b = {0};

	buf_printf(&b, "{\"id\":%lld,\"ok\":true}", (long long)id);
	client_send(c, &b);
}

void client_fail(struct client *c, json_int_t id, const char *why)
{
	fail(c, id, CODE_BAD, "%s", why);
}

void client_text(struct client *c, json_int_t id, struct str text)
{
	do {
		struct str piece = {.p = text.p, .n = text.n < PIECE ? text.n : PIECE};
		AUTO_BUF b = {0};

		while (piece.n == PIECE && piece.n > PIECE / 2 && piece.p[piece.n - 1] != '\n')
			piece.n--;
		if (piece.n <= PIECE / 2 && text.n > PIECE)
			piece.n = PIECE;
		text.p += piece.n;
		text.n -= piece.n;
		buf_printf(&b, "{\"id\":%lld,\"ok\":true,%s\"text\":", (long long)id,
			   text.n ? "\"more\":true," : "");
		buf_json(&b, piece);
		buf_addc(&b, '}');
		client_send(c, &b);
	} while (text.n);
}

static void answer_add(struct planner *p, struct request *r)
{
	struct link_value v = {0};
	struct link_key k;
	AUTO_BUF b = {0};
	char text[ADDR_TEXT];
	int n = 0;

	if (compiler_pod_link(p->compiler, str_of(r->uid), &k, &v)) {
		fail(r->client, r->id, CODE_RETRY, "%s/%s: it lost its address while it was wired", r->ns,
		     r->pod);
		return;
	}
	buf_printf(&b, "{\"id\":%lld,\"ok\":true,\"ips\":[", (long long)r->id);
	for (unsigned i = 0; i < 2; i++) {
		const struct addr *a = i ? &v.v6 : &v.v4;

		if (addr_is_zero(a))
			continue;
		addr_print(a, text);
		buf_printf(&b, "%s\"%s/%d\"", n++ ? "," : "", text, i ? 128 : 32);
	}
	buf_printf(&b, "],\"mtu\":%u,\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\"}", v.mtu, v.mac[0], v.mac[1],
		   v.mac[2], v.mac[3], v.mac[4], v.mac[5]);
	client_send(r->client, &b);
}

/* --- clients and requests --- */

static void client_unref(struct client *c)
{
	if (!--c->refs)
		free(c);
}

void client_hold(struct client *c)
{
	c->refs++;
}

void client_release(struct client *c)
{
	client_unref(c);
}

static void on_client_closed(uv_handle_t *h)
{
	struct client *c = h->data;

	own_fd(&c->fd);
	client_unref(c);
}

static void client_close(struct client *c)
{
	struct client **at = &c->rs->clients;

	c->gone = true;
	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	c->rs->n_clients--;
	c->rs->n_asking -= c->asks;
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, on_client_closed);
}

static void request_free(struct request *r)
{
	while (r->nfds)
		close(r->fds[--r->nfds]);
	client_unref(r->client);
	free(r->ns);
	free(r->pod);
	free(r->uid);
	free(r);
}

/* Removes *at from the list and frees it; *at is then the next. */
static void finish(struct requests *rs, struct request **at)
{
	struct request *r = *at;

	*at = r->next;
	rs->n--;
	request_free(r);
	if (!rs->n)
		uv_timer_stop(&rs->tick);
}

static void why_not(struct planner *p, const struct request *r, struct buf *b)
{
	const struct object *o = store_get(p->store, KIND_pod, str_of(r->ns), str_of(r->pod));

	buf_printf(b, "%s/%s: ", r->ns, r->pod);
	if (!p->listed)
		buf_addz(b, "the hub has not answered yet");
	else if (!o)
		buf_addz(b, "no such pod");
	else if (r->uid[0] && !str_eqz(o->meta.uid, r->uid))
		buf_addz(b, "another pod has the name now");
	else if (!o->pod->spec || !str_eqz(o->pod->spec->node_name, p->o.node))
		buf_addz(b, "not bound to this node");
	else if (p->state == APPLIER_AWAY)
		buf_addz(b, "the applier is away");
	else if (p->alarm.n)
		buf_adds(b, buf_str(&p->alarm));
	else
		buf_addz(b, "it has no address");
	buf_printf(b, " after %d s", WAIT_MS / 1000);
}

static void on_tick(uv_timer_t *t)
{
	struct requests *rs = t->data;
	uint64_t now = clock_ms();

	for (struct request **at = &rs->first; *at;) {
		struct request *r = *at;
		AUTO_BUF b = {0};

		if (now < r->deadline || (r->sent && now < r->deadline + WAIT_MS)) {
			at = &r->next;
			continue;
		}
		why_not(rs->p, r, &b);
		fail(r->client, r->id, CODE_RETRY, "%s", b.p ? b.p : "time is over");
		if (r->op == OP_ADD && r->uid[0] && rs->p->compiler) {
			compiler_wire(rs->p->compiler, str_of(r->uid), false);
			rs->p->dirty = true;
		}
		finish(rs, at);
	}
}

static char *member(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return strdup(s ? s : "");
}

static void enqueue(struct client *c, json_t *o, enum op op, const int *fds, unsigned nfds)
{
	struct requests *rs = c->rs;
	struct request *r = calloc(1, sizeof(*r)), **at;

	if (!r || rs->n >= REQUESTS_MAX) {
		fail(c, json_integer_value(json_object_get(o, "id")), CODE_RETRY, "too many requests wait");
		for (unsigned i = 0; i < nfds; i++)
			close(fds[i]);
		free(r);
		return;
	}
	r->client = c;
	c->refs++;
	r->op = op;
	r->id = json_integer_value(json_object_get(o, "id"));
	r->ns = member(o, "namespace");
	r->pod = member(o, "pod");
	r->uid = member(o, "uid");
	r->deadline = clock_ms() + WAIT_MS;
	for (; r->nfds < nfds; r->nfds++)
		r->fds[r->nfds] = fds[r->nfds];
	for (at = &rs->first; *at; at = &(*at)->next)
		;
	*at = r;
	if (!rs->n++)
		uv_timer_start(&rs->tick, on_tick, TICK_MS, TICK_MS);
	rs->p->dirty = true;
	if (op == OP_READBACK || op == OP_CHECK)
		rs->p->readback_asked = true;
}

static void answer_status(struct client *c, json_int_t id)
{
	struct planner *p = c->rs->p;
	AUTO_BUF b = {0};

	buf_printf(
	    &b,
	    "{\"id\":%lld,\"ok\":true,\"enforcing\":%s,\"rows\":%zu,\"pods\":%zu,\"hub\":%s,\"applier\":%s,"
	    "\"alarm\":",
	    (long long)id, p->enforcing && p->state != APPLIER_AWAY ? "true" : "false", p->rows, p->links,
	    p->hub && hub_connected(p->hub) ? "true" : "false", p->state != APPLIER_AWAY ? "true" : "false");
	buf_json(&b, buf_str(&p->alarm));
	buf_printf(&b, ",\"events\":%llu,\"commits\":%llu,\"programming\":", (unsigned long long)p->events,
		   (unsigned long long)p->commits);
	latency_print(&p->programming, &b);
	if (sync_steady(p) && since_any(&p->since))
		buf_printf(&b, ",\"verdicts\":{\"since\":%llu,\"until\":%llu}",
			   (unsigned long long)since_any(&p->since), (unsigned long long)clock_wall_ns());
	taps_print_status(p, &b);
	buf_addc(&b, '}');
	client_send(c, &b);
}

static void answer_plan(struct client *c, json_int_t id)
{
	struct planner *p = c->rs->p;
	struct plan plan = {0};
	AUTO_BUF b = {0};

	if (p->compiler && !compiler_plan(p->compiler, &plan))
		plan_print(&b, &plan, compiler_names(p->compiler));
	vec_free(&plan.rows);
	client_text(c, id, buf_str(&b));
}

static void handle(struct client *c, json_t *o, const int *fds, unsigned nfds)
{
	const char *op = json_string_value(json_object_get(o, "op"));
	json_int_t id = json_integer_value(json_object_get(o, "id"));
	bool named = json_string_value(json_object_get(o, "namespace")) &&
		     json_string_value(json_object_get(o, "pod"));

	if (c->asks && (!op || (strcmp(op, "why") && strcmp(op, "causes") && strcmp(op, "status")))) {
		fail(c, id, CODE_BAD, "at this socket there are why, causes and status");
	} else if (op && !strcmp(op, "add")) {
		if (named && nfds == 3) {
			enqueue(c, o, OP_ADD, fds, nfds);
			return;
		}
		fail(c, id, CODE_BAD, "add needs namespace, pod and three descriptors");
	} else if (op && !strcmp(op, "del")) {
		if (named)
			enqueue(c, o, OP_DEL, NULL, 0);
		else
			fail(c, id, CODE_BAD, "del needs namespace and pod");
	} else if (op && !strcmp(op, "check")) {
		if (named)
			enqueue(c, o, OP_CHECK, NULL, 0);
		else
			fail(c, id, CODE_BAD, "check needs namespace and pod");
	} else if (op && !strcmp(op, "readback")) {
		enqueue(c, o, OP_READBACK, NULL, 0);
	} else if (op && !strcmp(op, "status")) {
		answer_status(c, id);
	} else if (op && !strcmp(op, "plan")) {
		answer_plan(c, id);
	} else if (op && !strcmp(op, "why")) {
		explain_why(c->rs->p, c, id, o);
	} else if (op && !strcmp(op, "causes")) {
		explain_causes(c->rs->p, c, id, o);
	} else if (op && !strcmp(op, "fault")) {
		fault_order(c->rs->p, c, id, o);
	} else {
		fail(c, id, CODE_BAD,
		     "unknown op; there are add, del, check, status, plan, readback, why, causes, fault");
	}
	for (unsigned i = 0; i < nfds; i++)
		close(fds[i]);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
	struct client *c = poll->data;
	char bytes[REQUEST_BYTES];
	int fds[3];
	unsigned nfds;
	ssize_t n = fdpass_recv(c->fd, bytes, sizeof(bytes), fds, &nfds, 3);
	json_error_t e;
	json_t *o;

	(void)status;
	(void)events;
	if (n == -EAGAIN)
		return;
	if (n == -EMSGSIZE) {
		fail(c, 0, CODE_BAD, "the request is longer than %d bytes or has more than 3 descriptors",
		     REQUEST_BYTES);
		return;
	}
	if (n <= 0) {
		client_close(c);
		return;
	}
	o = json_loadb(bytes, (size_t)n, JSON_REJECT_DUPLICATES, &e);
	if (!json_is_object(o)) {
		fail(c, 0, CODE_BAD, "the request is no JSON object: %s", e.text);
		for (unsigned i = 0; i < nfds; i++)
			close(fds[i]);
	} else {
		handle(c, o, fds, nfds);
	}
	json_decref(o);
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct door *d = poll->data;
	struct requests *rs = d->rs;
	int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)status;
	(void)events;
	if (fd < 0)
		return;
	bool room = rs->n_clients < CLIENTS_MAX && (!d->asks || rs->n_asking < ASKERS_MAX);
	c = room ? calloc(1, sizeof(*c)) : NULL;
	if (!c || uv_poll_init(&rs->p->loop, &c->poll, fd)) {
		log_warn("agent.sock: a client is refused");
		close(fd);
		free(c);
		return;
	}
	c->rs = rs;
	c->fd = fd;
	c->refs = 1;
	c->poll.data = c;
	c->next = rs->clients;
	rs->clients = c;
	rs->n_clients++;
	c->asks = d->asks;
	rs->n_asking += c->asks;
	uv_poll_start(&c->poll, UV_READABLE, on_client);
}

int requests_new(struct planner *p)
{
	struct requests *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	rs->p = p;
	rs->all = (struct door){.rs = rs, .fd = -1};
	rs->questions = (struct door){.rs = rs, .fd = -1, .asks = true};
	uv_timer_init(&p->loop, &rs->tick);
	rs->tick.data = rs;
	p->requests = rs;
	return 0;
}

void requests_listen(struct planner *p, int fd, bool questions)
{
	struct door *d = questions ? &p->requests->questions : &p->requests->all;

	if (d->fd >= 0 || uv_poll_init(&p->loop, &d->listen, fd)) {
		close(fd);
		return;
	}
	d->fd = fd;
	d->listen.data = d;
	uv_poll_start(&d->listen, UV_READABLE, on_listen);
}

/* --- together with runs --- */

static const struct object *ready_pod(struct planner *p, const struct request *r)
{
	const struct object *o = store_get(p->store, KIND_pod, str_of(r->ns), str_of(r->pod));

	if (!o || (r->uid[0] && !str_eqz(o->meta.uid, r->uid)) || !o->meta.uid.n)
		return NULL;
	if (!o->pod->spec || !str_eqz(o->pod->spec->node_name, p->o.node))
		return NULL;
	return o->pod->status && o->pod->status->pod_ips.len ? o : NULL;
}

static void hand_over(struct planner *p, struct request *r)
{
	struct buf b = {0};
	char uid[40] = {0};

	strncpy(uid, r->uid, sizeof(uid) - 1);
	wire_start(&b, WIRE_NAMESPACE, p->txn);
	buf_add(&b, uid, sizeof(uid));
	link_send(p, &b, r->fds, r->nfds);
	r->nfds = 0;
}

static void set_uid(struct request *r, struct str uid)
{
	free(r->uid);
	r->uid = strndup(uid.p, uid.n);
}

void requests_wire(struct planner *p)
{
	for (struct request *r = p->requests->first; r; r = r->next) {
		const struct object *o;

		if (r->sent)
			continue;
		if (r->op == OP_DEL) {
			o = store_get(p->store, KIND_pod, str_of(r->ns), str_of(r->pod));
			if (!r->uid[0] && o)
				set_uid(r, o->meta.uid);
			compiler_wire(p->compiler, str_of(r->uid), false);
			r->sent = true;
		} else if (r->op == OP_ADD) {
			o = ready_pod(p, r);
			if (!o)
				continue;
			set_uid(r, o->meta.uid);
			if (r->nfds == 3)
				hand_over(p, r);
			compiler_wire(p->compiler, o->meta.uid, true);
			r->sent = true;
		}
	}
}

void requests_settle(struct planner *p, bool refused, const struct hash *failed)
{
	for (struct request **at = &p->requests->first; *at;) {
		struct request *r = *at;
		void *bad = failed ? hash_get(failed, str_of(r->uid)) : NULL;

		if (!r->sent) {
			at = &r->next;
			continue;
		}
		if (r->op == OP_DEL)
			client_ok(r->client, r->id);
		else if (refused) {
			compiler_wire(p->compiler, str_of(r->uid), false);
			p->dirty = true;
			fail(r->client, r->id, CODE_REFUSED, "%s/%s: %.*s", r->ns, r->pod, (int)p->alarm.n,
			     p->alarm.p ? p->alarm.p : "");
		} else if (bad)
			fail(r->client, r->id, CODE_RETRY, "%s/%s: its link could not be made: %s", r->ns,
			     r->pod, strerror((int)-(intptr_t)bad));
		else
			answer_add(p, r);
		finish(p->requests, at);
	}
}

void requests_readback(struct planner *p)
{
	for (struct request **at = &p->requests->first; *at;) {
		struct request *r = *at;

		if (r->op == OP_READBACK)
			client_text(r->client, r->id, buf_str(&p->differences));
		else if (r->op == OP_CHECK && p->differences.n)
			fail(r->client, r->id, CODE_REFUSED, "not as planned: %.*s",
			     (int)(p->differences.n < 2000 ? p->differences.n : 2000), p->differences.p);
		else if (r->op == OP_CHECK && (!ready_pod(p, r)))
			fail(r->client, r->id, CODE_BAD,
			     "%s/%s: no such pod on this node, or it has no address", r->ns, r->pod);
		else if (r->op == OP_CHECK)
			client_ok(r->client, r->id);
		else {
			at = &r->next;
			continue;
		}
		finish(p->requests, at);
	}
}
