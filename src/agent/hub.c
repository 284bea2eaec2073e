/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List and watch of each kind as one small machine: list → watch → (end) → watch again from the last version,
 * or list again when that is too old (410). Failures wait with back-off and jitter. Bad objects are logged
 * and skipped; the last good one stays.
 */
#include "agent/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/stream.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
#include "object/decode.h"

enum {
	RETRY_FIRST_MS = 50,
	RETRY_MAX_MS = 5000,
	LINE_MAX_BYTES = STREAM_OBJECT_MAX + 256,
	STATUS_MAX = 4096
};
enum state { LISTING, WATCHING, WAITING };

struct watch {
	struct transfer transfer;
	struct hub *hub;
	const struct kind_desc *kind;
	enum state state;
	bool listed, stale, heard;
	char version[32];
	struct list_stream list;
	struct buf line;
	struct hash seen;  /* "ns/name" → resource version at the hub, as a number */
	struct hash now;   /* the same for the list that is running */
	struct file *file; /* that the last object came from: neighbours share it */
	uv_timer_t retry;
	unsigned fails;
};

struct hub {
	struct hub_options o;
	bool told;
	struct watch watches[];
};

static void start(struct watch *w);

static struct str key_of(const struct object *o)
{
	return object_key(o);
}

static uint64_t version_of(struct str text)
{
	int64_t v;

	return str_to_i64(text, 1, INT64_MAX, &v) ? hash_bytes(text.p, text.n, 1) | 1 : (uint64_t)v;
}

static void log_remarks(const struct watch *w, const struct remarks *rs)
{
	AUTO_BUF b = {0};

	VEC_EACH (&rs->list, r)
		if (r->level == REMARK_ERROR)
			remark_print(&b, r, false);
	log_warn("%s: an object cannot be read and is skipped: %.*s", w->kind->plural, (int)b.n,
		 b.p ? b.p : "");
}

/* Each object is told its file by name; those of one file need it once. */
static void share_file(struct watch *w, struct object *o)
{
	struct file *own = (struct file *)(uintptr_t)o->pos.file, *f = w->file;

	if (!own)
		return;
	if (f && str_eq(str_of(f->name), str_of(own->name)) &&
	    str_eq(str_of(f->commit), str_of(own->commit))) {
		o->pos.file = file_ref(f);
		file_unref(&own);
	} else {
		file_unref(&w->file);
		w->file = file_ref(own);
	}
}

/* Items of a List may lack the two members that say what they are. */
static int decode(struct watch *w, struct str json, struct object **out)
{
	struct remarks rs = {0};
	AUTO_BUF whole = {0};
	int err;

	if (!json_member(json, "kind").p && json.n > 2) {
		buf_printf(&whole, "{\"apiVersion\":\"%s\",\"kind\":\"%s\"%s", kind_api_version(w->kind),
			   w->kind->name, json_member(json, "metadata").p ? "," : "");
		buf_add(&whole, json.p + 1, json.n - 1);
		json = buf_str(&whole);
	}
	struct decode_limits limits = decode_limits_default;
	limits.narrow = w->hub->o.narrow;
	err = decode_json_object(json, NULL, &limits, out, &rs);
	if (err)
		log_remarks(w, &rs);
	else if ((*out)->desc != w->kind) {
		object_unref(out);
		err = -EPROTO;
	} else {
		share_file(w, *out);
	}
	remarks_fini(&rs);
	return err;
}

static void drop(struct watch *w, struct str key)
{
	struct str rest = key, ns = {0};

	if (w->kind->namespaced)
		ns = str_cut(&rest, '/');
	store_delete(w->hub->o.store, w->kind->kind, ns, rest);
}

static void put(struct watch *w, struct object *o, struct hash *into)
{
	struct str key = key_of(o);
	uint64_t version = version_of(o->meta.resource_version);
	bool known = hash_get(&w->seen, key) == (void *)(uintptr_t)version;

	if (hash_set(into, key, (void *)(uintptr_t)version, NULL))
		log_error("out of memory");
	/* After a gap most of a list is what we have. */
	if (known && into != &w->seen)
		object_unref(&o);
	else if (store_put(w->hub->o.store, o, NULL))
		log_error("out of memory");
}

static int on_item(void *ctx, struct str json)
{
	struct watch *w = ctx;
	struct object *o;

	if (!decode(w, json, &o))
		put(w, o, &w->now);
	return 0;
}

static void on_line(struct watch *w, struct str line)
{
	struct str type = json_plain_string(json_member(line, "type")), json = json_member(line, "object");
	struct object *o;
	struct str version;

	if (!type.p || !json.p)
		return;
	if (str_eqz(type, "ERROR")) {
		struct str code = json_member(json, "code");

		log_info("watch of %s: %.*s", w->kind->plural, (int)(json.n < 200 ? json.n : 200), json.p);
		w->stale = w->stale || str_eqz(code, "410");
		return;
	}
	version = json_plain_string(json_member(json_member(json, "metadata"), "resourceVersion"));
	if (version.p && version.n < sizeof(w->version)) {
		memcpy(w->version, version.p, version.n);
		w->version[version.n] = '\0';
	}
	if (str_eqz(type, "BOOKMARK") || decode(w, json, &o))
		return;
	if (str_eqz(type, "DELETED")) {
		hash_del(&w->seen, key_of(o));
		drop(w, key_of(o));
		object_unref(&o);
	} else {
		put(w, o, &w->seen);
	}
}

static size_t on_body(struct transfer *t, const char *p, size_t n)
{
	struct watch *w = CONTAINER_OF(t, struct watch, transfer);
	long status = 0;
	size_t at = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		if (w->line.n < STATUS_MAX)
			buf_add(&w->line, p, n);
		return n;
	}
	w->heard = true;
	if (w->state == LISTING)
		return list_stream_feed(&w->list, p, n) ? 0 : n;
	while (at < n) {
		const char *end = memchr(p + at, '\n', n - at);
		size_t part = end ? (size_t)(end - p) - at : n - at;

		if (!w->line.n && end) {
			on_line(w, (struct str){.p = p + at, .n = part});
		} else {
			buf_add(&w->line, p + at, part);
			if (end) {
				on_line(w, buf_str(&w->line));
				buf_clear(&w->line);
			}
		}
		at += part + (end ? 1 : 0);
		if (w->line.n > LINE_MAX_BYTES || w->line.failed)
			return 0;
	}
	return n;
}

bool hub_listed(const struct hub *h)
{
	for (unsigned i = 0; i < h->o.n_kinds; i++)
		if (!h->watches[i].listed)
			return false;
	return true;
}

bool hub_connected(const struct hub *h)
{
	for (unsigned i = 0; i < h->o.n_kinds; i++)
		if (h->watches[i].state != WATCHING)
			return false;
	return true;
}

/* The list is complete: what it lacks is gone. */
static int list_end(struct watch *w)
{
	struct str v = json_plain_string(
	    json_member(json_member(buf_str(&w->list.head), "metadata"), "resourceVersion"));

	if (!v.p || v.n >= sizeof(w->version))
		return -EPROTO;
	memcpy(w->version, v.p, v.n);
	w->version[v.n] = '\0';
	HASH_EACH (&w->seen, s)
		if (!hash_get(&w->now, s->key))
			drop(w, s->key);
	hash_fini(&w->seen);
	w->seen = w->now;
	w->now = (struct hash){0};
	w->listed = true;
	w->stale = false;
	if (!w->hub->told && hub_listed(w->hub)) {
		w->hub->told = true;
		if (w->hub->o.listed)
			w->hub->o.listed(w->hub->o.ctx);
	}
	return 0;
}

static void on_retry(uv_timer_t *t)
{
	start(t->data);
}

static void again(struct watch *w, bool failed)
{
	uint64_t wait = 0;

	if (failed) {
		wait = (uint64_t)RETRY_FIRST_MS << (w->fails < 7 ? w->fails : 7);
		wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
		wait += (uint64_t)(rand() % (int)(wait / 2 + 1));
		w->fails++;
	}
	w->state = WAITING;
	uv_timer_start(&w->retry, on_retry, wait, 0);
}

static void on_done(struct transfer *t, long status, CURLcode error)
{
	struct watch *w = CONTAINER_OF(t, struct watch, transfer);
	bool ok = status == 200 && (error == CURLE_OK || (w->state == WATCHING && w->heard));

	if (status && status != 200)
		log_warn("%s: the hub answers %ld: %.*s", w->kind->plural, status,
			 (int)(w->line.n < 300 ? w->line.n : 300), w->line.p ? w->line.p : "");
	else if (!ok && w->fails < 3)
		log_info("%s: the hub is away: %s", w->kind->plural, curl_easy_strerror(error));
	if (status == 410)
		w->stale = true;
	if (ok && w->state == LISTING && list_end(w)) {
		log_warn("%s: the list has no resource version", w->kind->plural);
		ok = false;
	}
	if (ok)
		w->fails = 0;
	if (ok && w->state == LISTING)
		start(w);
	else
		again(w, !ok);
}

static void start(struct watch *w)
{
	const char *selector =
	    w->kind->kind == KIND_pod && w->hub->o.pod_selector ? w->hub->o.pod_selector : NULL;
	bool list = !w->listed || w->stale;
	char path[512];
	int n;

	w->state = list ? LISTING : WATCHING;
	w->heard = false;
	buf_clear(&w->line);
	list_stream_fini(&w->list);
	hash_fini(&w->now);
	w->now = (struct hash){0};
	list_stream_init(&w->list, on_item, w);
	n = snprintf(path, sizeof(path), "%s%s%s/%s/%s?positions=true%s%s",
		     w->kind->group[0] ? "/apis/" : "/api", w->kind->group, "", w->kind->version,
		     w->kind->plural, selector ? "&fieldSelector=" : "", selector ? selector : "");
	if (!list && n > 0 && (size_t)n < sizeof(path))
		snprintf(path + n, sizeof(path) - (size_t)n,
			 "&watch=true&allowWatchBookmarks=true&resourceVersion=%s", w->version);
	if (transfer_start(w->hub->o.curl, &w->transfer, path))
		again(w, true);
}

int hub_new(struct hub **out, const struct hub_options *o)
{
	struct hub *h = calloc(1, sizeof(*h) + o->n_kinds * sizeof(h->watches[0]));

	if (!h)
		return -ENOMEM;
	h->o = *o;
	for (unsigned i = 0; i < o->n_kinds; i++) {
		struct watch *w = &h->watches[i];

		w->hub = h;
		w->kind = &kind_table[o->kinds[i]];
		w->transfer.body = on_body;
		w->transfer.done = on_done;
		uv_timer_init(o->curl->loop, &w->retry);
		w->retry.data = w;
		start(w);
	}
	*out = h;
	return 0;
}

void hub_free(struct hub **ph)
{
	struct hub *h = *ph;

	*ph = NULL;
	for (unsigned i = 0; h && i < h->o.n_kinds; i++) {
		struct watch *w = &h->watches[i];

		transfer_stop(h->o.curl, &w->transfer);
		curl_easy_cleanup(w->transfer.easy);
		uv_timer_stop(&w->retry);
		list_stream_fini(&w->list);
		buf_fini(&w->line);
		file_unref(&w->file);
		hash_fini(&w->seen);
		hash_fini(&w->now);
	}
	free(h);
}
