/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reach: real packets from where the question says: one `weft-standin probe` for each source, in that pod's
 * namespaces and cgroup (or the outside host's, or a node's), all at once. Its lines go to the client as they
 * come. Called by control.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/own.h"
#include "sandbox/cgroup.h"
#include "sandbox/control.h"
#include "sandbox/pod.h"

struct source {
	uv_pipe_t out; /* stdout of the process */
	struct reach *reach;
	char from[330];
	struct buf lines; /* its targets */
	json_t *waiting;  /* id as text → true */
	struct child child;
	struct buf in;
	bool open;
};

struct reach {
	struct client *client; /* NULL when it went away */
	struct sandbox *sandbox;
	struct source **sources;
	size_t len, left;
	unsigned timeout_ms;
};

static void reach_free(struct reach *r)
{
	for (size_t i = 0; i < r->len; i++) {
		struct source *src = r->sources[i];

		buf_fini(&src->lines);
		buf_fini(&src->in);
		json_decref(src->waiting);
		child_forget(&src->child);
		free(src);
	}
	free(r->sources);
	free(r);
}

static void reach_end(struct reach *r)
{
	struct client *c = r->client;

	if (c) {
		struct buf b = {0};

		buf_addz(&b, "{\"done\":true,\"ok\":true}\n");
		client_send(c, &b);
		c->reach = NULL;
		client_end(c);
	}
	reach_free(r);
}

static void tell_error(struct source *src, const char *why)
{
	const char *id;
	json_t *v;

	json_object_foreach (src->waiting, id, v) {
		struct buf b = {0};

		if (!src->reach->client)
			break;
		buf_printf(&b, "{\"id\":%s,\"result\":\"error\",\"error\":", id);
		buf_json(&b, str_of(why));
		buf_addz(&b, "}\n");
		client_send(src->reach->client, &b);
	}
	json_object_clear(src->waiting);
}

static void source_closed(uv_handle_t *h)
{
	struct source *src = (struct source *)h;
	struct reach *r = src->reach;

	if (!--r->left)
		reach_end(r);
}

static void source_close(struct source *src)
{
	if (!src->open)
		return;
	src->open = false;
	tell_error(src, "the probing process ended early");
	uv_close((uv_handle_t *)&src->out, source_closed);
}

static void source_ended(struct child *c, int status)
{
	(void)c;
	(void)status; /* the end of its output counts */
}

static void pass_lines(struct source *src)
{
	size_t from = 0;

	while (from < src->in.n) {
		const char *at = src->in.p + from, *end = memchr(at, '\n', src->in.n - from);
		struct buf b = {0};
		json_t *o;
		char *id;

		if (!end)
			break;
		from += (size_t)(end + 1 - at);
		o = json_loadb(at, (size_t)(end - at), 0, NULL);
		id = o ? json_dumps(json_object_get(o, "id"), JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		if (id && !json_object_del(src->waiting, id) && src->reach->client) {
			buf_add(&b, at, (size_t)(end + 1 - at));
			client_send(src->reach->client, &b);
		}
		free(id);
		json_decref(o);
	}
	buf_drop(&src->in, from);
}

static void source_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	static char chunk[65536];

	(void)h;
	(void)want;
	*b = uv_buf_init(chunk, sizeof(chunk));
}

static void source_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct source *src = (struct source *)s;

	if (n < 0) {
		source_close(src);
		return;
	}
	buf_add(&src->in, b->base, (size_t)n);
	pass_lines(src);
}

struct place {
	int netns;
	char cgroup[2 * PATH_LEN], resolv[PATH_LEN + 32];
	bool resolve;
};

static const char *find_place(struct sandbox *s, const char *from, struct place *at)
{
	const struct pod *p = hash_get(&s->pods, str_of(from));
	const struct node *n = strncmp(from, "node:", 5) ? NULL : sandbox_node(s, from + 5);

	*at = (struct place){.netns = -1};
	if (!strcmp(from, "outside")) {
		at->netns = s->outside.fd;
		snprintf(at->cgroup, sizeof(at->cgroup), "%s/outside", s->cgroup);
	} else if (n) {
		at->netns = n->netns.fd;
		snprintf(at->cgroup, sizeof(at->cgroup), "%s/%s/host", s->cgroup, n->name);
	} else if (p && pod_wired(p) && p->step < POD_LEAVING) {
		at->netns = pod_netns(p);
		snprintf(at->cgroup, sizeof(at->cgroup), "%s", p->cgroup);
		snprintf(at->resolv, sizeof(at->resolv), "%s/etc-resolv.conf", p->dir);
		at->resolve = true;
	} else {
		return p ? "that pod has no network yet"
			 : "no such pod here; write NAMESPACE/POD, outside or node:NAME";
	}
	return NULL;
}

static int start_process(struct source *src, const struct place *at)
{
	char program[PATH_LEN];
	char *argv[] = {"weft-standin", "probe", "--targets", "-", NULL};
	int out[2];
	AUTO_FD int in = memfd_create("targets", MFD_CLOEXEC);
	struct spawn s = {.program = program,
			  .argv = argv,
			  .cgroup = at->cgroup,
			  .netns = at->netns,
			  .mntns = src->reach->sandbox->mounts.fd,
			  .resolv_conf = at->resolve ? at->resolv : NULL,
			  .unprivileged = true,
			  .in = in,
			  .err = -1};
	int r;

	if (!sandbox_program(src->reach->sandbox, "weft-standin", program))
		return -ENOENT;
	if (in < 0 || write(in, src->lines.p, src->lines.n) != (ssize_t)src->lines.n ||
	    lseek(in, 0, SEEK_SET) || uv_pipe(out, UV_NONBLOCK_PIPE, 0))
		return -EIO;
	s.out = out[1];
	src->child.owner = src;
	src->child.ended = source_ended;
	r = child_start(&src->child, &src->reach->sandbox->loop, &s);
	close(out[1]);
	if (r) {
		close(out[0]);
		return r;
	}
	uv_pipe_open(&src->out, out[0]);
	return uv_read_start((uv_stream_t *)&src->out, source_alloc, source_read);
}

static void source_start(struct source *src)
{
	struct place at;
	const char *why = find_place(src->reach->sandbox, src->from, &at);
	int r;

	uv_pipe_init(&src->reach->sandbox->loop, &src->out, 0);
	src->open = true;
	r = why ? 0 : start_process(src, &at);
	if (!why && !r)
		return;
	tell_error(src, why ? why : strerror(-r));
	source_close(src);
}

static struct source *source_of(struct reach *r, const char *from)
{
	struct source **list, *src;

	for (size_t i = 0; i < r->len; i++)
		if (!strcmp(r->sources[i]->from, from))
			return r->sources[i];
	src = calloc(1, sizeof(*src));
	list = realloc(r->sources, (r->len + 1) * sizeof(*list));
	if (list)
		r->sources = list;
	if (!src || !list) {
		free(src);
		return NULL;
	}
	src->reach = r;
	src->waiting = json_object();
	snprintf(src->from, sizeof(src->from), "%s", from);
	r->sources[r->len++] = src;
	return src;
}

static void add_probe(struct reach *r, const json_t *probe)
{
	struct source *src = source_of(r, json_text(json_object_get(probe, "from")));
	json_t *line = json_copy((json_t *)probe);
	char *id = json_dumps(json_object_get(probe, "id"), JSON_COMPACT | JSON_ENCODE_ANY), *text;

	json_object_del(line, "from");
	if (!json_object_get(line, "timeout_ms"))
		json_object_set_new(line, "timeout_ms", json_integer(r->timeout_ms));
	text = json_dumps(line, JSON_COMPACT);
	if (src && id && text) {
		json_object_set_new(src->waiting, id, json_true());
		buf_addz(&src->lines, text);
		buf_addc(&src->lines, '\n');
	}
	free(id);
	free(text);
	json_decref(line);
}

void reach_start(struct client *c, const json_t *request)
{
	struct reach *r = calloc(1, sizeof(*r));
	json_int_t timeout = json_integer_value(json_object_get(request, "timeout_ms"));
	const json_t *o;
	size_t i;

	if (!r) {
		client_error(c, "out of memory");
		return;
	}
	*r = (struct reach){.client = c,
			    .sandbox = c->sandbox,
			    .timeout_ms = timeout < 1 || timeout > 60000 ? 1000 : (unsigned)timeout};
	c->reach = r;
	json_array_foreach (json_object_get(request, "probes"), i, o)
		add_probe(r, o);
	r->left = r->len;
	if (!r->len) {
		reach_end(r);
		return;
	}
	for (i = 0; i < r->len; i++)
		source_start(r->sources[i]);
}

void reach_cancel(struct reach *r)
{
	r->client = NULL;
	for (size_t i = 0; i < r->len; i++)
		child_signal(&r->sources[i]->child, 9);
}
