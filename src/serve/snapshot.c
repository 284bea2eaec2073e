/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists as of an earlier version, from the store and its history; and how much of a list a client asked for.
 * Reads only. See snapshot.h.
 */
#include "serve/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN "weft1:"

struct changes {
	VEC(const struct event *) list;
	struct str ns;
};

static int collect(void *ctx, const struct event *e)
{
	struct changes *c = ctx;
	if (c->ns.n && !str_eq(c->ns, e->object->meta.ns))
		return 0;
	return vec_push(&c->list, e) ? -ENOMEM : 0;
}

static int by_place(const struct object *a, const struct object *b)
{
	int r = str_cmp(a->meta.ns, b->meta.ns);
	return r ? r : str_cmp(a->meta.name, b->meta.name);
}

/* By object, the earliest change first. */
static int by_change(const void *x, const void *y)
{
	const struct event *a = *(const struct event *const *)x, *b = *(const struct event *const *)y;
	int r = by_place(a->object, b->object);
	return r ? r : a->version < b->version ? -1 : a->version > b->version;
}

/* What was not changed since is as it was; of what was, the first change tells how it had been. */
static int undo(const struct object_refs *now, struct changes *c, struct object_refs *out)
{
	size_t i = 0, k = 0;
	int r = 0;
	if (c->list.len)
		qsort(c->list.items, c->list.len, sizeof(*c->list.items), by_change);
	while ((i < now->list.len || k < c->list.len) && !r) {
		const struct object *o = i < now->list.len ? now->list.items[i] : NULL;
		const struct event *e = k < c->list.len ? c->list.items[k] : NULL;
		int order = !e ? -1 : !o ? 1 : by_place(o, e->object);
		if (order < 0) {
			r = vec_push(&out->list, o);
			i++;
			continue;
		}
		if (e->old)
			r = vec_push(&out->list, e->old);
		i += order == 0;
		while (k < c->list.len && !by_place(c->list.items[k]->object, e->object))
			k++;
	}
	return r ? -ENOMEM : 0;
}

int snapshot_list(struct api *a, enum kind kind, struct str ns, uint64_t at, struct object_refs *out)
{
	struct object_refs now = {0};
	struct changes c = {.ns = ns};
	if (at == store_version(a->store))
		return store_list(a->store, kind, ns, out);
	if (at < a->floor || at < store_oldest(a->store))
		return -ESTALE;
	int r = store_replay(a->store, at, 1ULL << kind, collect, &c);
	if (!r)
		r = store_list(a->store, kind, ns, &now);
	if (!r)
		r = undo(&now, &c, out);
	vec_free(&now.list);
	vec_free(&c.list);
	return r;
}

static int read_version(const char *text, uint64_t *out, struct api_error *e)
{
	int64_t v = 0;
	if (str_to_i64(str_of(text), 0, INT64_MAX, &v))
		return api_fail(e, 400, "BadRequest", "resourceVersion \"%s\" is not a number", text);
	*out = (uint64_t)v;
	return 0;
}

static int check_future(struct api *a, uint64_t v, struct api_error *e)
{
	if (v <= store_version(a->store))
		return 0;
	e->retry = true;
	buf_addz(&e->more,
		 "{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}");
	return api_fail(e, 504, "Timeout", "Too large resource version: %" PRIu64 ", current: %" PRIu64, v,
			store_version(a->store));
}

static int read_token(struct page *p, const char *token, struct api_error *e)
{
	struct str rest = str_of(token), prefix = STR(TOKEN);
	int64_t v = 0;
	bool good = str_starts(rest, prefix);
	if (good) {
		rest = (struct str){rest.p + prefix.n, rest.n - prefix.n};
		struct str version = str_cut(&rest, ':'), ns = str_cut(&rest, '/');
		good = !str_to_i64(version, 1, INT64_MAX, &v) && ns.n < sizeof(p->after_ns) && rest.n &&
		       rest.n < sizeof(p->after_name);
		snprintf(p->after_ns, sizeof(p->after_ns), STR_FMT, STR_ARG(ns));
		snprintf(p->after_name, sizeof(p->after_name), STR_FMT, STR_ARG(rest));
	}
	p->version = (uint64_t)v;
	return good ? 0
		    : api_fail(e, 400, "BadRequest", "continue key is not valid: list from the beginning");
}

int page_read(struct page *p, struct api *a, const struct http_request *rq, struct api_error *e)
{
	const char *limit = http_query(rq, "limit"), *token = http_query(rq, "continue"),
		   *version = http_query(rq, "resourceVersion"),
		   *match = http_query(rq, "resourceVersionMatch");
	int64_t n = 0;
	uint64_t v = 0;
	*p = (struct page){.version = store_version(a->store)};
	if (limit && *limit && str_to_i64(str_of(limit), 0, INT32_MAX, &n))
		return api_fail(e, 400, "BadRequest", "limit \"%s\" is not a number", limit);
	p->limit = (size_t)n;
	bool exact = match && !strcmp(match, "Exact"), newer = match && !strcmp(match, "NotOlderThan");
	bool given = version && *version;
	if (match && *match && !exact && !newer)
		return api_fail(e, 400, "BadRequest",
				"resourceVersionMatch \"%s\": there are Exact and NotOlderThan", match);
	if (match && *match && !given)
		return api_fail(e, 400, "BadRequest",
				"resourceVersionMatch is forbidden unless resourceVersion is "
				"provided");
	if (token && *token) {
		if (given && strcmp(version, "0"))
			return api_fail(e, 400, "BadRequest",
					"specifying resource version is not allowed when using continue");
		if (read_token(p, token, e))
			return -EINVAL;
		return check_future(a, p->version, e);
	}
	if (given && (read_version(version, &v, e) || check_future(a, v, e)))
		return -EINVAL;
	if (exact && !v)
		return api_fail(e, 400, "BadRequest",
				"resourceVersionMatch Exact needs a resourceVersion above 0");
	if (exact)
		p->version = v;
	return 0;
}

void page_after(struct page *p, const struct object *last)
{
	snprintf(p->after_ns, sizeof(p->after_ns), STR_FMT, STR_ARG(last->meta.ns));
	snprintf(p->after_name, sizeof(p->after_name), STR_FMT, STR_ARG(last->meta.name));
}

bool page_skips(const struct page *p, const struct object *o)
{
	if (!*p->after_name)
		return false;
	int r = str_cmp(o->meta.ns, str_of(p->after_ns));
	return r < 0 || (!r && str_cmp(o->meta.name, str_of(p->after_name)) <= 0);
}

void page_token(struct buf *b, const struct page *p, const struct object *last)
{
	AUTO_BUF text = {0};
	buf_printf(&text, TOKEN "%" PRIu64 ":" STR_FMT "/" STR_FMT, p->version, STR_ARG(last->meta.ns),
		   STR_ARG(last->meta.name));
	buf_json(b, buf_str(&text));
}
