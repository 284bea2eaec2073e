/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirrors: a copy of one kind by list and watch. A watch that ends goes on from its version; one that is too
 * old lists again and tells the difference. Must never report a change twice. Called by kubelet.c and dns.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "base/vec.h"
#include "sandbox/api_call.h"

enum { AGAIN_MS = 20 };

static void mirror_list(struct mirror *m);
static void mirror_watch(struct mirror *m);

static void key_of(const json_t *o, char key[400])
{
	const char *ns = json_text(json_at(o, "metadata", "namespace", NULL));

	snprintf(key, 400, "%s%s%s", ns, *ns ? "/" : "", json_text(json_at(o, "metadata", "name", NULL)));
}

json_t *mirror_get(const struct mirror *m, const char *key)
{
	return hash_get(&m->objects, str_of(key));
}

static void mirror_put(struct mirror *m, json_t *o)
{
	char key[400];
	void *was = NULL;

	key_of(o, key);
	was = mirror_get(m, key);
	if (was && json_equal(was, o))
		return;
	if (hash_set(&m->objects, str_of(key), json_incref(o), &was)) {
		json_decref(o);
		return;
	}
	m->change(m, key, was, o);
	json_decref(was);
}

static void mirror_del(struct mirror *m, const char *key)
{
	json_t *was = hash_del(&m->objects, str_of(key));

	if (was)
		m->change(m, key, was, NULL);
	json_decref(was);
}

static void again(uv_timer_t *t)
{
	struct mirror *m = t->data;

	if (*m->version)
		mirror_watch(m);
	else
		mirror_list(m);
}

static void mirror_retry(struct mirror *m, uint64_t ms)
{
	m->call = NULL;
	if (!m->api->closing)
		uv_timer_start(&m->again, again, ms, 0);
}

static void watch_line(void *ctx, int status, struct str line)
{
	struct mirror *m = ctx;
	json_t *e, *o;
	const char *type;
	char key[400];

	if (!line.n) {
		if (status == 410)
			m->version[0] = 0;
		mirror_retry(m, status == 200 ? 2 : AGAIN_MS);
		return;
	}
	e = json_loadb(line.p, line.n, 0, NULL);
	o = json_object_get(e, "object");
	type = json_text(json_object_get(e, "type"));
	if (!strcmp(type, "ERROR")) {
		m->version[0] = 0;
		api_call_close(m->call);
		mirror_retry(m, AGAIN_MS);
	} else if (o) {
		snprintf(m->version, sizeof(m->version), "%s",
			 json_text(json_at(o, "metadata", "resourceVersion", NULL)));
		key_of(o, key);
		if (!strcmp(type, "DELETED"))
			mirror_del(m, key);
		else if (strcmp(type, "BOOKMARK"))
			mirror_put(m, o);
	}
	json_decref(e);
}

static void mirror_watch(struct mirror *m)
{
	char path[256];

	snprintf(path, sizeof(path), "%s?watch=true&allowWatchBookmarks=true&resourceVersion=%s", m->path,
		 m->version);
	m->call = api_call_new(m->api, "GET", path, NULL, NULL);
	if (!m->call) {
		mirror_retry(m, AGAIN_MS);
		return;
	}
	m->call->stream = watch_line;
	m->call->ctx = m;
}

static void mirror_sweep(struct mirror *m, const struct hash *kept)
{
	VEC(char *) gone = {0};

	HASH_EACH (&m->objects, slot)
		if (!hash_get(kept, slot->key))
			vec_push(&gone, strndup(slot->key.p, slot->key.n));
	VEC_EACH (&gone, key) {
		mirror_del(m, *key);
		free(*key);
	}
	vec_free(&gone);
}

static void list_done(void *ctx, int status, const json_t *reply)
{
	struct mirror *m = ctx;
	struct hash kept = {0};
	json_t *o;
	size_t i;

	m->call = NULL;
	if (status != 200 || !reply) {
		if (status > 0)
			log_warn("%s: the hub answered %d", m->path, status);
		mirror_retry(m, AGAIN_MS);
		return;
	}
	json_array_foreach (json_object_get(reply, "items"), i, o) {
		char key[400];

		key_of(o, key);
		hash_set(&kept, str_of(key), o, NULL);
		mirror_put(m, o);
	}
	mirror_sweep(m, &kept);
	hash_fini(&kept);
	snprintf(m->version, sizeof(m->version), "%s",
		 json_text(json_at(reply, "metadata", "resourceVersion", NULL)));
	m->listed = true;
	if (m->synced)
		m->synced(m);
	mirror_watch(m);
}

static void mirror_list(struct mirror *m)
{
	m->call = api_call_new(m->api, "GET", m->path, NULL, NULL);
	if (!m->call) {
		mirror_retry(m, AGAIN_MS);
		return;
	}
	m->call->done = list_done;
	m->call->ctx = m;
}

void mirror_start(struct mirror *m, struct api *a, const char *path, mirror_change *change,
		  void (*synced)(struct mirror *m), void *ctx)
{
	*m = (struct mirror){.api = a, .path = path, .change = change, .synced = synced, .ctx = ctx};
	uv_timer_init(a->loop, &m->again);
	m->again.data = m;
	mirror_list(m);
}

void mirror_stop(struct mirror *m)
{
	if (!m->api)
		return;
	uv_close((uv_handle_t *)&m->again, NULL);
	HASH_EACH (&m->objects, slot)
		json_decref(slot->value);
	hash_fini(&m->objects);
	m->api = NULL;
}
