/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtime: the socket, see runtime.h. Many requests a connection, each answered once, by its id. Must never
 * act on a container other than the one that was meant: a restart names the instance by its count. Called by
 * node.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/runtime.h"

enum { LINE_MAX_BYTES = 1 << 20, PEERS_MAX = 8, WORDS_MAX = 256 };

struct runtime {
	uv_pipe_t pipe; /* first: freed with it */
	struct node *node;
	struct peer *peers;
	unsigned len;
};

struct peer {
	uv_pipe_t pipe; /* first */
	struct runtime *r;
	struct buf in;
	struct request *requests; /* programs that run for it */
	struct peer *next;
};

struct request {
	struct peer *peer;
	long long id;
	struct request *next;
};

static void freed(uv_handle_t *h)
{
	free(h);
}

static void peer_close(struct peer *p)
{
	struct peer **at = &p->r->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->r->len--;
	while (p->requests) {
		struct request *q = p->requests;

		p->requests = q->next;
		runtime_forget(q);
		free(q);
	}
	buf_fini(&p->in);
	uv_close((uv_handle_t *)&p->pipe, freed);
}

struct reply {
	uv_write_t write; /* first: freed with it */
	struct buf text;
};

static void written(uv_write_t *w, int status)
{
	struct reply *l = (struct reply *)w;

	(void)status; /* a broken connection is told by reading */
	buf_fini(&l->text);
	free(l);
}

/* Takes the text over. */
static void reply(struct peer *p, struct buf *text)
{
	struct reply *l = text->failed ? NULL : calloc(1, sizeof(*l));
	uv_buf_t b;

	if (!l) {
		buf_fini(text);
		return;
	}
	l->text = *text;
	b = uv_buf_init(l->text.p, (unsigned)l->text.n);
	if (uv_write(&l->write, (uv_stream_t *)&p->pipe, &b, 1, written))
		written(&l->write, -EPIPE);
}

static void refuse(struct peer *p, long long id, const char *why)
{
	struct buf b = {0};

	buf_printf(&b, "{\"id\":%lld,\"ok\":false,\"error\":", id);
	buf_json(&b, str_of(why));
	buf_addz(&b, "}\n");
	reply(p, &b);
}

static void run_done(void *ctx, int result)
{
	struct request *q = ctx, **at = &q->peer->requests;
	struct buf b = {0};

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (result == -ETIMEDOUT)
		buf_printf(&b, "{\"id\":%lld,\"ok\":true,\"timeout\":true}\n", q->id);
	else if (result == -ENOENT)
		buf_printf(&b, "{\"id\":%lld,\"ok\":true,\"missing\":true}\n", q->id);
	else if (result >= 0)
		buf_printf(&b, "{\"id\":%lld,\"ok\":true,\"exit\":%d}\n", q->id, result);
	if (b.n)
		reply(q->peer, &b);
	else
		refuse(q->peer, q->id, strerror(-result));
	free(q);
}

static void exec(struct peer *p, long long id, struct container *c, const json_t *o)
{
	const json_t *command = json_object_get(o, "command"), *word;
	json_int_t limit = json_integer_value(json_object_get(o, "timeoutMs"));
	struct request *q = calloc(1, sizeof(*q));
	char *argv[WORDS_MAX + 1] = {0};
	size_t i;
	int err = q ? 0 : -ENOMEM;

	if (json_array_size(command) > WORDS_MAX || !json_array_size(command))
		err = -EINVAL;
	json_array_foreach (command, i, word)
		if (i < WORDS_MAX)
			argv[i] = (char *)(uintptr_t)json_text(word);
	if (!err) {
		*q = (struct request){.peer = p, .id = id, .next = p->requests};
		err = runtime_exec(c, argv, limit > 0 ? (uint64_t)limit : 1000, run_done, q);
	}
	if (err) {
		free(q);
		refuse(p, id, strerror(-err));
		return;
	}
	p->requests = q;
}

static void restart(struct peer *p, long long id, struct container *c, const json_t *o)
{
	struct buf b = {0};
	int err;

	if (json_integer_value(json_object_get(o, "restartCount")) != c->restarts) {
		refuse(p, id, "that instance is gone");
		return;
	}
	err = container_kill(c, json_integer_value(json_object_get(o, "graceSeconds")),
			     json_text(json_object_get(o, "reason")));
	if (err) {
		refuse(p, id, strerror(-err));
		return;
	}
	log_info("%s: container %s ends: %s", c->pod->key, c->name, json_text(json_object_get(o, "reason")));
	buf_printf(&b, "{\"id\":%lld,\"ok\":true}\n", id);
	reply(p, &b);
}

static struct container *find(const struct runtime *r, const char *uid, const char *name)
{
	HASH_EACH (&r->node->sandbox->pods, slot) {
		struct pod *p = slot->value;

		if (p->node != r->node || strcmp(p->uid, uid) != 0)
			continue;
		for (size_t i = 0; i < p->containers_len; i++)
			if (!strcmp(p->containers[i].name, name))
				return &p->containers[i];
	}
	return NULL;
}

static void request(struct peer *p, struct str line)
{
	json_t *o = json_loadb(line.p, line.n, 0, NULL);
	long long id = json_integer_value(json_object_get(o, "id"));
	const char *op = json_text(json_object_get(o, "op"));
	struct container *c =
	    find(p->r, json_text(json_object_get(o, "uid")), json_text(json_object_get(o, "container")));

	if (!c)
		refuse(p, id, "no such container runs on this node");
	else if (!strcmp(op, "exec"))
		exec(p, id, c, o);
	else if (!strcmp(op, "restart"))
		restart(p, id, c, o);
	else
		refuse(p, id, "unknown op: it is exec or restart");
	json_decref(o);
}

static void peer_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct peer *p = (struct peer *)stream;
	const char *end;

	if (n > 0)
		buf_add(&p->in, b->base, (size_t)n);
	if (n < 0 || p->in.failed || p->in.n > LINE_MAX_BYTES) {
		peer_close(p);
		return;
	}
	while (p->in.n && (end = memchr(p->in.p, '\n', p->in.n))) {
		size_t len = (size_t)(end - p->in.p);

		request(p, (struct str){.p = p->in.p, .n = len});
		buf_drop(&p->in, len + 1);
	}
}

static void accepted(uv_stream_t *server, int status)
{
	struct runtime *r = (struct runtime *)server;
	struct peer *p = status < 0 ? NULL : calloc(1, sizeof(*p));

	if (!p)
		return;
	p->r = r;
	p->next = r->peers;
	r->peers = p;
	r->len++;
	uv_pipe_init(&r->node->sandbox->loop, &p->pipe, 0);
	if (uv_accept(server, (uv_stream_t *)&p->pipe) || r->len > PEERS_MAX)
		peer_close(p);
	else
		uv_read_start((uv_stream_t *)&p->pipe, peer_alloc, peer_read);
}

int runtime_start(struct node *n)
{
	struct runtime *r = calloc(1, sizeof(*r));
	char path[108];
	mode_t old;
	int err;

	if (!r)
		return -ENOMEM;
	r->node = n;
	n->runtime = r;
	uv_pipe_init(&n->sandbox->loop, &r->pipe, 0);
	snprintf(path, sizeof(path), "%s/%s/runtime.sock", n->sandbox->dir, n->name);
	unlink(path);
	old = umask(0077);
	err = uv_pipe_bind(&r->pipe, path);
	umask(old);
	err = err ? err : uv_listen((uv_stream_t *)&r->pipe, 16, accepted);
	if (err)
		log_error("%s: %s", path, strerror(-err));
	return err;
}

void runtime_stop(struct node *n)
{
	struct runtime *r = n->runtime;

	if (!r)
		return;
	n->runtime = NULL;
	while (r->peers)
		peer_close(r->peers);
	uv_close((uv_handle_t *)&r->pipe, freed);
}
