/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes' weft-copiers → condition Healthy of Tools: see toolstatus.h. */
#include "hub/toolstatus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/toolhealth.h"
#include "serve/curl_loop.h"

OWN_DEFINE(object, struct object, object_unref)

enum { ASK_MS = 2000, ANSWER_MS = 1500, AT_ONCE = 16, ANSWER_MAX = 16 << 20 };

static const char HEALTHY[] = "Healthy";

struct ask {
	struct transfer transfer;
	struct toolstatus *all;
	char *node;	 /* NULL: free */
	json_t *account; /* of its weft-copier, while its kernel's part is asked for */
	struct buf in;
};

struct toolstatus {
	struct store *store;
	struct curl_loop curl;
	char *dir;
	struct toolhealth *health;
	struct ask asks[AT_ONCE];
	VEC(char *) nodes; /* that are still to be asked in this round */
	unsigned running;
	uint64_t began_ms;
	bool round, stopped;
	void (*on_account)(void *ctx, const char *node, json_t *account); /* or NULL */
	void *ctx;
};

int toolstatus_new(struct toolstatus **out, uv_loop_t *loop, struct store *s, const char *dir)
{
	struct toolstatus *t = calloc(1, sizeof(*t));
	int r = t && (t->dir = strdup(dir)) && (t->health = toolhealth_new())
		    ? curl_loop_init(&t->curl, loop, NULL, NULL)
		    : -ENOMEM;

	if (r) {
		if (t) {
			toolhealth_free(&t->health);
			free(t->dir);
		}
		free(t);
		return r;
	}
	t->store = s;
	*out = t;
	return 0;
}

void toolstatus_on_account(struct toolstatus *t, void (*fn)(void *ctx, const char *node, json_t *account),
			   void *ctx)
{
	t->on_account = fn;
	t->ctx = ctx;
}

static void ask_end(struct ask *a)
{
	curl_easy_cleanup(a->transfer.easy);
	a->transfer.easy = NULL;
	buf_fini(&a->in);
	json_decref(a->account);
	a->account = NULL;
	free(a->node);
	a->node = NULL;
	a->all->running--;
}

void toolstatus_stop(struct toolstatus *t)
{
	if (!t || t->stopped)
		return;
	t->stopped = true;
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (t->asks[i].node) {
			transfer_stop(&t->curl, &t->asks[i].transfer);
			ask_end(&t->asks[i]);
		}
	uv_close((uv_handle_t *)&t->curl.timer, NULL);
}

void toolstatus_free(struct toolstatus **pt)
{
	struct toolstatus *t = *pt;

	if (!t)
		return;
	curl_multi_cleanup(t->curl.multi);
	VEC_EACH (&t->nodes, n)
		free(*n);
	vec_free(&t->nodes);
	toolhealth_free(&t->health);
	free(t->dir);
	free(TAKE(*pt));
}

/* --- writing ------------------------------------------------------------------------------------------- */

static int write_healthy(struct toolstatus *t, const struct object *o)
{
	AUTO(own_object) struct object *n = NULL;
	AUTO_BUF text = {0};
	struct toolhealth_word says = toolhealth_of(t->health, o->meta.name, &text);
	const struct condition *c =
	    o->tool->status ? condition_find(&o->tool->status->conditions, HEALTHY) : NULL;
	char now[21];

	if (c && str_eqz(c->status, says.status) && str_eqz(c->reason, says.reason) &&
	    str_eq(c->message, buf_str(&text)))
		return 0;
	if (text.failed || object_clone(&n, o))
		return -ENOMEM;
	struct tool_status *st = n->tool->status;

	if (!st)
		st = n->tool->status = arena_new(&n->arena, struct tool_status);
	clock_rfc3339(clock_wall(), now);
	if (!st || condition_say(&n->arena, &st->conditions, HEALTHY, says.status, says.reason, text.p, now))
		return -ENOMEM;
	if (!str_eqz(c ? c->status : STR("Unknown"), says.status))
		log_info("tool " STR_FMT ": Healthy is %s: %s", STR_ARG(o->meta.name), says.status, text.p);
	return store_put(t->store, TAKE(n), NULL);
}

static void write_all(struct toolstatus *t)
{
	struct object_refs all = {0};
	int r = store_list(t->store, KIND_tool, STR(""), &all);

	VEC_EACH (&all.list, o)
		*o = object_ref(*o);
	VEC_EACH (&all.list, o) {
		struct object *held = (struct object *)(uintptr_t)*o;

		if (!r)
			r = write_healthy(t, held);
		object_unref(&held);
	}
	vec_free(&all.list);
	if (r)
		log_error("status of tools: %s", strerror(-r));
}

/* --- asking -------------------------------------------------------------------------------------------- */

static size_t on_body(struct transfer *x, const char *p, size_t n)
{
	struct ask *a = CONTAINER_OF(x, struct ask, transfer);

	buf_add(&a->in, p, n);
	return a->in.failed || a->in.n > ANSWER_MAX ? 0 : n;
}

/* What the kernel counted at a place, all directions and fates; it stays unknown where it is not told. */
static void add_seen(json_t *place, const json_t *taps)
{
	json_int_t number = json_integer_value(json_object_get(place, "ifindex")), seen = 0, left = 0;
	const json_t *t;
	bool known = false;
	size_t i;

	json_array_foreach (json_object_get(taps, "places"), i, t) {
		if (json_integer_value(json_object_get(t, "interface")) != number)
			continue;
		known = true;
		seen += json_integer_value(json_object_get(t, "seen"));
		left += json_integer_value(json_object_get(t, "unwanted")) +
			json_integer_value(json_object_get(t, "failed"));
	}
	if (!known)
		return;
	json_object_set_new(place, "seen", json_integer(seen));
	json_object_set_new(place, "taken", json_integer(seen - left));
}

static void deliver(struct ask *a, const json_t *taps)
{
	json_t *place;
	size_t i;

	json_array_foreach (json_object_get(a->account, "places"), i, place)
		add_seen(place, taps);
	if (a->account && a->all->on_account)
		a->all->on_account(a->all->ctx, a->node, a->account);
	if (toolhealth_node(a->all->health, a->node, a->account))
		log_error("health of tools on %s: %s", a->node, strerror(ENOMEM));
	a->account = NULL; /* taken over */
	ask_end(a);
}

static json_t *answer_of(struct ask *a, long status, CURLcode error)
{
	bool good = status == 200 && !error && !a->in.failed;

	return good ? json_loadb(a->in.p ? a->in.p : "", a->in.n, 0, NULL) : NULL;
}

static void on_taps(struct transfer *x, long status, CURLcode error)
{
	struct ask *a = CONTAINER_OF(x, struct ask, transfer);
	json_t *taps = answer_of(a, status, error);

	deliver(a, taps);
	json_decref(taps);
}

static int ask_at(struct ask *a, const char *name, const char *path)
{
	char socket[108], url[64]; /* sun_path */
	CURL *c = a->transfer.easy;

	if (snprintf(socket, sizeof(socket), "%s/%s/%s.sock", a->all->dir, a->node, name) >=
		(int)sizeof(socket) ||
	    access(socket, F_OK))
		return -ENOENT;
	c = c ? c : curl_easy_init();
	a->transfer.easy = c;
	if (!c)
		return -ENOMEM;
	snprintf(url, sizeof(url), "http://%s%s", name, path);
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
	a->transfer.body = on_body;
	return transfer_begin(&a->all->curl, &a->transfer);
}

static void on_done(struct transfer *x, long status, CURLcode error)
{
	struct ask *a = CONTAINER_OF(x, struct ask, transfer);

	a->account = answer_of(a, status, error);
	/* What places saw of direct copies, no weft-copier knows. */
	a->transfer.done = on_taps;
	buf_clear(&a->in);
	if (!a->account || !a->all->on_account || ask_at(a, "observer", "/taps"))
		deliver(a, NULL);
}

/* A node that never had a map has no weft-copier, and no copies. */
static int begin(struct ask *a)
{
	a->transfer.done = on_done;
	return ask_at(a, "copier", "/account");
}

/* As many of the nodes that are left as there is room for. */
static void ask_more(struct toolstatus *t)
{
	for (unsigned i = 0; i < AT_ONCE && t->nodes.len; i++) {
		struct ask *a = &t->asks[i];

		while (!a->node && t->nodes.len) {
			*a = (struct ask){.all = t, .node = t->nodes.items[--t->nodes.len]};
			t->running++;
			if (begin(a))
				ask_end(a);
		}
	}
}

static void begin_round(struct toolstatus *t)
{
	struct object_refs all = {0};

	t->began_ms = clock_ms();
	if (store_list(t->store, KIND_node, STR(""), &all))
		return;
	VEC_EACH (&all.list, o) {
		char *name = strndup((*o)->meta.name.p, (*o)->meta.name.n);

		if (!name || vec_push(&t->nodes, name))
			free(name);
	}
	vec_free(&all.list);
	toolhealth_begin(t->health);
	t->round = true;
	ask_more(t);
}

void toolstatus_tick(struct toolstatus *t)
{
	if (t->round) {
		ask_more(t);
		if (t->running || t->nodes.len)
			return;
		t->round = false;
		toolhealth_end(t->health);
		write_all(t);
	}
	if (store_count(t->store, KIND_tool) && clock_ms() - t->began_ms >= ASK_MS - 100)
		begin_round(t);
}
