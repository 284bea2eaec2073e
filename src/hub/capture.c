/* SPDX-License-Identifier: Apache-2.0 */
/* Captures in force: see capture.h. What is known of one beside its object is lost with the hub, and begins
 * anew. */
#include "hub/capture.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/gather.h"
#include "hub/relay.h"
#include "serve/access.h"

OWN_DEFINE(object, struct object, object_unref)

enum { STATUS_MS = 10000 };

struct live { /* a Capture in force */
	char *uid;
	unsigned readers;
	uint64_t read_ms;	/* when it had a reader last, or began */
	uint64_t written_ms;	/* its status */
	struct relay_sums sums; /* of all its readers */
	int64_t over;		/* when it ended by itself, s; 0: it runs */
	bool seen;
};

struct captures {
	struct store *store;
	struct relays *relays;
	struct audit *audit;
	struct subscription *sub;
	VEC(struct live) live;
};

static struct live *live_of(struct captures *c, struct str uid)
{
	VEC_EACH (&c->live, l)
		if (str_eqz(uid, l->uid))
			return l;
	struct live new = {.uid = strndup(uid.p ? uid.p : "", uid.n), .read_ms = clock_ms()};

	if (!new.uid || vec_push(&c->live, new)) {
		free(new.uid);
		return NULL;
	}
	return &c->live.items[c->live.len - 1];
}

static void on_event(void *ctx, const struct event *e)
{
	struct captures *c = ctx;
	const struct object *o = e->object;

	if (o->desc->kind != KIND_capture || e->type == EVENT_MODIFIED)
		return;
	const struct capture_spec *s = o->capture->spec;
	struct audit_line l = {.what = e->type == EVENT_ADDED ? "capture-start" : "capture-end",
			       .user = s->user,
			       .capture = o->meta.name,
			       .filter = s->filter};
	const struct live *k = live_of(c, o->meta.uid);

	if (e->type == EVENT_DELETED && k) {
		l.counted = true;
		l.packets = k->sums.packets;
		l.bytes = k->sums.bytes;
		l.dropped = k->sums.dropped;
	}
	/* One that ended by itself has been told. */
	if (e->type == EVENT_ADDED || !k || !k->over)
		audit_write(c->audit, &l);
}

int captures_new(struct captures **out, uv_loop_t *loop, struct store *s, const char *dir,
		 struct audit *audit)
{
	struct captures *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->store = s;
	c->audit = audit;
	r = relays_new(&c->relays, loop, dir);
	if (!r)
		r = store_subscribe(s, on_event, c, &c->sub);
	if (r)
		captures_free(&c);
	else
		*out = c;
	return r;
}

void captures_stop(struct captures *c)
{
	if (c)
		relays_stop(c->relays);
}

void captures_free(struct captures **pc)
{
	struct captures *c = *pc;

	if (!c)
		return;
	if (c->sub)
		store_unsubscribe(&c->sub);
	relays_free(&c->relays);
	VEC_EACH (&c->live, l)
		free(l->uid);
	vec_free(&c->live);
	free(TAKE(*pc));
}

/* --- who may ------------------------------------------------------------------------------------------- */

int captures_may(struct captures *c, const char *user, const struct who *who, const struct object *of,
		 struct api_error *e)
{
	bool capture = of->desc->kind == KIND_capture;
	struct audit_line l = {.what = "refused",
			       .user = str_of(user),
			       .capture = capture ? of->meta.name : (struct str){0},
			       .tool = capture ? (struct str){0} : of->meta.name,
			       .why = STR("nobody knows who asks")};

	if (*user && (!who || access_packets(who, of)))
		return 0;
	if (*user)
		l.why = STR("no right to these packets");
	audit_write(c->audit, &l);
	if (*user)
		return api_fail(
		    e, 403, "Forbidden",
		    "%s may not see these packets: it needs the level capture in each namespace that the "
		    "sources name (service, or pods with a namespaceSelector of " NAME_LABEL "), or in \"*\"",
		    user);
	return api_fail(e, 403, "Forbidden",
			"who wants to see packets must be known, and this connection does not say");
}

int captures_room(const struct captures *c, struct api_error *e)
{
	struct object_refs all = {0};
	unsigned running = 0;

	if (store_count(c->store, KIND_capture) < CAPTURES_MAX)
		return 0;
	if (store_list(c->store, KIND_capture, STR(""), &all))
		return api_fail(e, 500, "InternalError", "out of memory");
	VEC_EACH (&all.list, o) {
		const struct capture_status *st = (*o)->capture->status;

		running += !st || !st->ended.n;
	}
	vec_free(&all.list);
	if (running < CAPTURES_MAX)
		return 0;
	return api_fail(
	    e, 429, "TooManyRequests",
	    "%u Captures run, and %d may at once: delete one (weft get captures), or let one filter "
	    "take what several took",
	    running, CAPTURES_MAX);
}

int capture_admit(struct object *o, const struct object *old, const char *user)
{
	struct str who = old ? old->capture->spec->user : str_of(user);

	if (!o->capture->spec)
		return 0; /* refused by its field table */
	o->capture->spec->user = text_keep(&o->arena, who);
	return who.n && !o->capture->spec->user.p ? -ENOMEM : 0;
}

/* --- downloads ----------------------------------------------------------------------------------------- */

struct download {
	struct captures *all;
	char *uid; /* of its Capture; NULL: of a Tool's ring */
	char *name, *node, *user, *filter;
	const struct who *who;	   /* a reference; NULL: all rights */
	struct relay_sums counted; /* that the Capture's sums have */
	bool own;		   /* the Capture is for it alone */
};

static void add_sums(struct download *d, const struct relay_sums *s)
{
	struct live *l = d->uid ? live_of(d->all, str_of(d->uid)) : NULL;

	if (l) {
		l->sums.packets += s->packets - d->counted.packets;
		l->sums.bytes += s->bytes - d->counted.bytes;
		l->sums.dropped += s->dropped - d->counted.dropped;
		l->read_ms = clock_ms();
	}
	d->counted = *s;
}

static void tell(const struct download *d, const char *what, const struct relay_sums *s, const char *why)
{
	struct audit_line l = {.what = what,
			       .user = str_of(d->user),
			       .capture = str_of(d->uid ? d->name : NULL),
			       .tool = str_of(d->uid ? NULL : d->name),
			       .node = str_of(d->node),
			       .filter = str_of(d->filter),
			       .why = str_of(why)};

	if (s) {
		l.counted = true;
		l.packets = s->packets;
		l.bytes = s->bytes;
		l.dropped = s->dropped;
	}
	audit_write(d->all->audit, &l);
}

static void on_began(void *ctx)
{
	struct download *d = ctx;
	struct live *l = d->uid ? live_of(d->all, str_of(d->uid)) : NULL;

	if (l)
		l->readers++;
	tell(d, "download-start", NULL, NULL);
}

static void on_goes(void *ctx, const struct relay_sums *s)
{
	add_sums(ctx, s);
}

/* Nobody else waits for it. The status says so at the next turn. */
static void end_own(const struct download *d, struct live *l)
{
	struct audit_line line = {.what = "capture-end",
				  .user = str_of(d->user),
				  .capture = str_of(d->name),
				  .filter = str_of(d->filter),
				  .why = STR("its reader left"),
				  .counted = true,
				  .packets = l->sums.packets,
				  .bytes = l->sums.bytes,
				  .dropped = l->sums.dropped};

	l->over = clock_wall();
	l->written_ms = 0;
	audit_write(d->all->audit, &line);
}

static void on_over(void *ctx, const struct relay_sums *s, const char *why)
{
	struct download *d = ctx;
	struct live *l = d->uid ? live_of(d->all, str_of(d->uid)) : NULL;

	add_sums(d, s);
	if (l)
		l->readers--;
	tell(d, "download-end", s, why);
	if (l && d->own && !l->over)
		end_own(d, l);
}

static void on_free(void *ctx)
{
	struct download *d = ctx;

	free(d->uid);
	free(d->name);
	free(d->node);
	free(d->user);
	free(d->filter);
	who_unref(&d->who);
	free(d);
}

static bool on_may(void *ctx)
{
	const struct download *d = ctx;

	return !d->who || !d->who->ended;
}

static struct download *download_new(struct captures *c, const struct api_packets *q)
{
	const struct object *o = q->of;
	bool capture = o->desc->kind == KIND_capture;
	struct str filter = capture ? o->capture->spec->filter : (struct str){0};
	struct download *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->all = c;
	d->who = who_ref(q->who);
	d->own = q->own;
	d->uid = capture ? strndup(o->meta.uid.p, o->meta.uid.n) : NULL;
	d->name = strndup(o->meta.name.p, o->meta.name.n);
	d->node = strdup(q->node ? q->node : "");
	d->user = strdup(q->user);
	d->filter = strndup(filter.p ? filter.p : "", filter.n);
	if ((capture && !d->uid) || !d->name || !d->node || !d->user || !d->filter) {
		on_free(d);
		return NULL;
	}
	return d;
}

static void path_of(struct buf *b, const struct api_packets *q)
{
	if (q->clock)
		buf_addz(b, "/time");
	else if (q->of->desc->kind == KIND_capture)
		buf_printf(b, "/captures/" STR_FMT "/stream", STR_ARG(q->of->meta.name));
	else
		buf_printf(b, "/rings/" STR_FMT "/stream?port=%s&last=%lld", STR_ARG(q->of->meta.name),
			   q->port && *q->port ? q->port : "default", (long long)(q->last ? q->last : 60));
}

/* It goes into a URL. */
static bool is_port(const char *p)
{
	for (; p && *p; p++)
		if (!((*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') ||
		      strchr("-._", *p)))
			return false;
	return true;
}

/* Whether the Capture is in force still. */
static bool runs(void *ctx)
{
	const struct download *d = ctx;
	const struct object *o = store_get(d->all->store, KIND_capture, STR(""), str_of(d->name));

	if (d->who && d->who->ended)
		return false;
	return o && str_eqz(o->meta.uid, d->uid) && (!o->capture->status || !o->capture->status->ended.n);
}

/* "shop/cart-7f9c"; what has no namespace is a node. */
static bool sees(void *ctx, struct str name)
{
	const struct download *d = ctx;
	struct str rest = name, ns = str_cut(&rest, '/');

	return !rest.n || access_level(d->who, ns) >= ACCESS_VIEW;
}

/* Of one node, or (NULL) of all. */
static struct http_later *gather(struct captures *c, const struct api_packets *ask, const char *path,
				 const struct relay_told *told, struct api_error *e)
{
	bool capture = ask->of->desc->kind == KIND_capture;
	/* The names of all pods stand in what a node streams: taken apart for who may not know them. */
	bool some = ask->who && access_level(ask->who, STR("*")) < ACCESS_VIEW;
	struct object_refs nodes = {0};
	VEC(char *) names = {0};
	struct http_later *later = NULL;
	int r = store_list(c->store, KIND_node, STR(""), &nodes);

	VEC_EACH (&nodes.list, o) {
		if (ask->node && !str_eqz((*o)->meta.name, ask->node))
			continue;
		char *name = r ? NULL : strndup((*o)->meta.name.p, (*o)->meta.name.n);

		r = name && !vec_push(&names, name) ? 0 : -ENOMEM;
		if (r)
			free(name);
	}
	vec_free(&nodes.list);
	struct gather_ask q = {.nodes = (const char *const *)names.items,
			       .n = (unsigned)names.len,
			       .path = path,
			       .runs = capture ? runs : NULL,
			       .sees = some ? sees : NULL};

	if (r) {
		api_fail(e, 500, "InternalError", "out of memory");
		on_free(told->ctx);
	} else {
		later = gather_ask(c->relays, &q, told, e);
	}
	VEC_EACH (&names, n)
		free(*n);
	vec_free(&names);
	return later;
}

struct http_later *captures_packets(struct captures *c, const struct api_packets *q, struct api_error *e)
{
	const struct object *o = q->of;
	AUTO_BUF path = {0};
	struct relay_told told = {
	    .may = on_may, .began = on_began, .goes = on_goes, .over = on_over, .free = on_free};

	if (captures_may(c, q->user, q->who, o, e))
		return NULL;
	if (!is_port(q->port)) {
		api_fail(e, 400, "BadRequest", "port \"%s\" is no name of a port", q->port);
		return NULL;
	}
	if (o->desc->kind == KIND_capture && o->capture->status && o->capture->status->ended.n) {
		api_fail(e, 410, "Gone", "capture \"" STR_FMT "\" is over", STR_ARG(o->meta.name));
		return NULL;
	}
	path_of(&path, q);
	if (q->clock)
		told = (struct relay_told){0};
	else
		told.ctx = download_new(c, q);
	if (path.failed || (!q->clock && !told.ctx)) {
		api_fail(e, 500, "InternalError", "out of memory");
		return NULL;
	}
	bool whole = !q->who || access_level(q->who, STR("*")) >= ACCESS_VIEW;
	return q->node && (whole || q->clock) ? relay_ask(c->relays, q->node, path.p, !q->clock, &told, e)
					      : gather(c, q, path.p, &told, e);
}

/* --- what becomes of them ------------------------------------------------------------------------------ */

static int write_status(struct captures *c, struct live *l, const struct object *o)
{
	AUTO(own_object) struct object *n = NULL;
	char now[21];
	int r = object_clone(&n, o);

	if (r)
		return r;
	struct capture_status *st = n->capture->status;

	if (!st)
		st = n->capture->status = arena_new(&n->arena, struct capture_status);
	if (!st)
		return -ENOMEM;
	if (!st->started.n)
		st->started = text_keep(&n->arena, o->meta.creation_timestamp);
	if (l->over && !st->ended.n) {
		clock_rfc3339(l->over, now);
		st->ended = text_keep(&n->arena, str_of(now));
	}
	st->packets = int_of((int64_t)l->sums.packets);
	st->bytes = int_of((int64_t)l->sums.bytes);
	st->dropped = int_of((int64_t)l->sums.dropped);
	l->written_ms = clock_ms();
	return object_same(n, o) ? 0 : store_put(c->store, TAKE(n), NULL);
}

static int64_t seconds_at(struct str text)
{
	char z[64];
	int64_t at = 0;

	if (!text.n || text.n >= sizeof(z))
		return 0;
	memcpy(z, text.p, text.n);
	z[text.n] = 0;
	return clock_parse(z, &at) ? 0 : at;
}

/* Why it is over; NULL: it is not. */
static const char *why_over(const struct live *l, const struct object *o, int64_t now)
{
	const struct opt_int *seconds = &o->capture->spec->seconds;
	int64_t began = seconds_at(o->meta.creation_timestamp);

	if (seconds->set && began && now - began > seconds->v)
		return "its time is over";
	if (!l->readers && clock_ms() - l->read_ms > CAPTURE_UNREAD_S * 1000)
		return "nobody reads it";
	return NULL;
}

static void look_at(struct captures *c, struct live *l, const struct object *o, int64_t now)
{
	const struct capture_status *st = o->capture->status;
	const char *why = NULL;

	if (st && st->ended.n) { /* of an earlier hub */
		l->over = l->over ? l->over : seconds_at(st->ended);
		return;
	}
	why = l->over ? NULL : why_over(l, o, now);
	if (why) {
		struct audit_line line = {.what = "capture-end",
					  .user = o->capture->spec->user,
					  .capture = o->meta.name,
					  .filter = o->capture->spec->filter,
					  .why = str_of(why),
					  .counted = true,
					  .packets = l->sums.packets,
					  .bytes = l->sums.bytes,
					  .dropped = l->sums.dropped};

		l->over = now;
		audit_write(c->audit, &line);
	}
	if (why || !st || !st->started.n || clock_ms() - l->written_ms > STATUS_MS) {
		int r = write_status(c, l, o);

		if (r)
			log_error("capture " STR_FMT ": its status: %s", STR_ARG(o->meta.name), strerror(-r));
	}
}

void captures_tick(struct captures *c, void (*remove)(void *ctx, const struct object *o), void *ctx)
{
	struct object_refs all = {0};
	int64_t now = clock_wall();

	if ((!store_count(c->store, KIND_capture) && !c->live.len) ||
	    store_list(c->store, KIND_capture, STR(""), &all))
		return;
	VEC_EACH (&c->live, l)
		l->seen = l->readers;
	VEC_EACH (&all.list, o)
		*o = object_ref(*o);
	VEC_EACH (&all.list, o) {
		struct object *held = (struct object *)(uintptr_t)*o;
		struct live *l = live_of(c, held->meta.uid);

		if (l) {
			l->seen = true;
			look_at(c, l, held, now);
			if (l->over && now - l->over > CAPTURE_KEPT_S)
				remove(ctx, held);
		}
		object_unref(&held);
	}
	vec_free(&all.list);
	for (size_t i = c->live.len; i-- > 0;)
		if (!c->live.items[i].seen) {
			free(c->live.items[i].uid);
			vec_remove(&c->live, i);
		}
}
