/* SPDX-License-Identifier: Apache-2.0 */
/* Control socket: see control.h. One request a connection. Must never wait for a client. Called by run.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/control.h"
#include "sandbox/fault.h"
#include "sandbox/manifests.h"
#include "sandbox/output.h"
#include "sandbox/pod.h"
#include "sandbox/run_word.h"

enum { REQUEST_MAX = 64 << 20, CLIENTS_MAX = 64 };

struct control {
	uv_pipe_t pipe;
	struct sandbox *sandbox;
	struct client *clients, *down; /* down: who asked for the end */
	unsigned len;
};

static void client_freed(uv_handle_t *h)
{
	struct client *c = (struct client *)h;

	buf_fini(&c->in);
	free(c);
}

static void client_close(struct client *c)
{
	if (c->closed)
		return;
	c->closed = true;
	if (c->reach)
		reach_cancel(c->reach);
	if (c->fault)
		fault_cancel(c->fault);
	if (c->control->down == c)
		c->control->down = NULL;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->control->len--;
	if (!uv_is_closing((uv_handle_t *)&c->pipe))
		uv_close((uv_handle_t *)&c->pipe, client_freed);
}

struct line {
	uv_write_t write; /* first: freed with it */
	struct client *client;
	struct buf text;
};

static void line_written(uv_write_t *w, int status)
{
	struct line *l = (struct line *)w;
	struct client *c = l->client;

	c->writing--;
	buf_fini(&l->text);
	free(l);
	if (status < 0 || (c->closing && !c->writing))
		client_close(c);
}

void client_send(struct client *c, struct buf *text)
{
	struct line *l = c->closed ? NULL : calloc(1, sizeof(*l));
	uv_buf_t b;

	if (!l || text->failed) {
		free(l);
		buf_fini(text);
		return;
	}
	l->client = c;
	l->text = *text;
	*text = (struct buf){0};
	b = uv_buf_init(l->text.p, (unsigned)l->text.n);
	c->writing++;
	if (uv_write(&l->write, (uv_stream_t *)&c->pipe, &b, 1, line_written))
		line_written(&l->write, -EPIPE);
}

void client_end(struct client *c)
{
	c->closing = true;
	if (!c->writing)
		client_close(c);
}

void client_error(struct client *c, const char *text)
{
	struct buf b = {0};

	buf_addz(&b, "{\"ok\":false,\"error\":");
	buf_json(&b, str_of(text));
	buf_addz(&b, "}\n");
	client_send(c, &b);
	client_end(c);
}

static bool pod_ready(const json_t *object)
{
	const json_t *o;
	size_t i;

	json_array_foreach (json_at(object, "status", "conditions", NULL), i, o)
		if (!strcmp(json_text(json_object_get(o, "type")), "Ready"))
			return !strcmp(json_text(json_object_get(o, "status")), "True");
	return false;
}

/* Agents that do not run, and for how long. */
static void add_away(struct sandbox *s, struct buf *b)
{
	unsigned n = 0;

	buf_addz(b, "],\"away\":[");
	for (unsigned i = 0; i < s->nodes_len; i++) {
		int64_t ms = daemon_away_ms(&s->nodes[i].daemon);

		if (ms >= 0)
			buf_printf(b, "%s{\"node\":\"%s\",\"ms\":%lld}", n++ ? "," : "", s->nodes[i].name,
				   (long long)ms);
	}
}

static void answer_status(struct client *c)
{
	struct sandbox *s = c->sandbox;
	struct buf b = {0};
	unsigned running = 0, ready = 0;
	unsigned long long lost = 0; /* of logs */

	HASH_EACH (&s->pods, slot) {
		const struct pod *p = slot->value;

		running += p->step == POD_RUNNING;
		for (size_t i = 0; i < p->containers_len; i++)
			lost += output_lost(&p->containers[i]);
	}
	HASH_EACH (&s->pods_seen.objects, slot)
		ready += pod_ready(slot->value);
	buf_printf(&b, "{\"ok\":true,\"name\":\"%s\",\"pid\":%d,\"mode\":\"%s\",\"strict\":%s,\"nodes\":[",
		   s->opt->name, getpid(), s->opt->mode == SANDBOX_ROUTES ? "routes" : "vxlan",
		   s->opt->strict ? "true" : "false");
	for (unsigned i = 0; i < s->nodes_len; i++)
		buf_printf(&b, "%s\"%s\"", i ? "," : "", s->nodes[i].name);
	add_away(s, &b);
	buf_printf(
	    &b,
	    "],\"pods\":%zu,\"wired\":%zu,\"running\":%u,\"ready\":%u,\"logBytesLost\":%llu,\"upUs\":%llu,"
	    "\"remarks\":[",
	    s->pods_seen.objects.len, s->pods.len, running, ready, lost, (unsigned long long)s->wired_us);
	VEC_EACH (&s->remarks, r) {
		if (r != s->remarks.items)
			buf_addc(&b, ',');
		buf_json(&b, str_of(*r));
	}
	manifests_print(s, &b, s->remarks.len > 0);
	buf_addz(&b, "]}\n");
	client_send(c, &b);
	client_end(c);
}

/* What `weft run` says; for pods to come too. */
static void run_program(struct client *c, const json_t *o)
{
	struct sandbox *s = c->sandbox;
	struct buf b = {0};
	const char *error;
	unsigned n;

	if (run_word_add(s, json_text(json_object_get(o, "run")), &error)) {
		client_error(c, error);
		return;
	}
	n = run_word_apply(s);
	if (!n) {
		run_word_drop_last(s);
		client_error(c, "no such pod, workload or container runs here; see weft get pods -A");
		return;
	}
	buf_printf(&b, "{\"ok\":true,\"containers\":%u}\n", n);
	client_send(c, &b);
	client_end(c);
}

static void request(struct client *c, struct str line)
{
	json_error_t err;
	json_t *o = json_loadb(line.p, line.n, 0, &err);
	const char *op = json_text(json_object_get(o, "op"));

	if (!o) {
		client_error(c, err.text);
	} else if (!strcmp(op, "status")) {
		answer_status(c);
	} else if (!strcmp(op, "reach")) {
		reach_start(c, o);
	} else if (!strcmp(op, "fault")) {
		fault_request(c, o);
	} else if (!strcmp(op, "run")) {
		run_program(c, o);
	} else if (!strcmp(op, "down")) {
		c->control->down = c;
		sandbox_stop(c->sandbox, 0);
	} else {
		client_error(c, "unknown op: it is status, reach, fault, run or down");
	}
	json_decref(o);
}

static void client_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct client *c = (struct client *)stream;
	const char *end;

	if (n == 0 || c->closed)
		return;
	if (n < 0) {
		client_close(c);
		return;
	}
	if (c->asked)
		return;
	buf_add(&c->in, b->base, (size_t)n);
	end = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
	if (end) {
		c->asked = true;
		request(c, (struct str){.p = c->in.p, .n = (size_t)(end - c->in.p)});
	} else if (c->in.failed || c->in.n > REQUEST_MAX) {
		client_close(c);
	}
}

static void accepted(uv_stream_t *server, int status)
{
	struct control *k = server->data;
	struct client *c = status < 0 ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return;
	c->control = k;
	c->sandbox = k->sandbox;
	c->next = k->clients;
	c->link = &k->clients;
	if (c->next)
		c->next->link = &c->next;
	k->clients = c;
	k->len++;
	uv_pipe_init(&k->sandbox->loop, &c->pipe, 0);
	if (uv_accept(server, (uv_stream_t *)&c->pipe) || k->len > CLIENTS_MAX)
		client_close(c);
	else
		uv_read_start((uv_stream_t *)&c->pipe, client_alloc, client_read);
}

int control_start(struct sandbox *s)
{
	struct control *k = calloc(1, sizeof(*k));
	char path[108];
	mode_t old;
	int r;

	if (!k)
		return -ENOMEM;
	s->control = k;
	k->sandbox = s;
	uv_pipe_init(&s->loop, &k->pipe, 0);
	k->pipe.data = k;
	snprintf(path, sizeof(path), "%s/sandbox.sock", s->dir);
	old = umask(0077);
	r = uv_pipe_bind(&k->pipe, path);
	umask(old);
	r = r ? r : uv_listen((uv_stream_t *)&k->pipe, 16, accepted);
	if (r)
		log_error("%s: %s", path, strerror(-r));
	return r;
}

void control_stop(struct sandbox *s, int status)
{
	struct control *k = s->control;

	if (!k)
		return;
	if (k->down && !status) {
		struct buf b = {0};

		buf_addz(&b, "{\"ok\":true}\n");
		client_send(k->down, &b);
		client_end(k->down);
	} else if (k->down) {
		client_error(k->down,
			     "something could not be removed; see the messages of the process that ended");
	}
	for (struct client *c = k->clients, *next; c; c = next) {
		next = c->next;
		if (!c->closing)
			client_close(c);
	}
	uv_close((uv_handle_t *)&k->pipe, NULL);
}
