/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between store and database: which objects were written since the last commit, and reading them back at the
 * start. A commit that fails is tried again with the next one; API writes are committed on their own, before
 * they count.
 */
#include <errno.h>

#include "base/log.h"
#include "hub/hub.h"
#include "hub/podstatus.h"
#include "hub/record.h"

static void note(void *ctx, const struct event *e)
{
	struct hub *h = ctx;
	AUTO_BUF b = {0};
	buf_printf(&b, "%s/" STR_FMT "/" STR_FMT, e->object->desc->name, STR_ARG(e->object->meta.ns),
		   STR_ARG(e->object->meta.name));
	if (b.failed || keyset_add(&h->unsaved, buf_str(&b)))
		h->cluster->failed = true;
	if (e->object->desc->kind == KIND_namespace || h->ending_namespaces)
		h->ending_namespaces = true;
}

int save_start(struct hub *h)
{
	return store_subscribe(h->store, note, h, &h->sub);
}

static const struct kind_desc *kind_named(struct str name)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_eqz(name, kind_table[i].name))
			return &kind_table[i];
	return NULL;
}

static int save_one(struct hub *h, const char *key)
{
	struct str name = str_of(key), kind = str_cut(&name, '/'), ns = str_cut(&name, '/');
	const struct kind_desc *k = kind_named(kind);
	const struct object *o = store_get(h->store, k->kind, ns, name);
	return o ? persist_put(h->persist, o, o->version) : persist_delete(h->persist, k->kind, ns, name);
}

int save_all(struct hub *h)
{
	AUTO_KEYS keys = {0};
	if (!h->unsaved.set.len && !record_waits(h->recorder) && !h->journal)
		return 0;
	int r = keyset_list(&h->unsaved, &keys);
	if (!r)
		r = persist_begin(h->persist);
	VEC_EACH (&keys.list, key)
		if (!r)
			r = save_one(h, *key);
	if (!r)
		r = persist_set(h->persist, "version", store_version(h->store));
	if (!r)
		r = record_flush(h->recorder);
	if (!r && h->journal)
		r = steplog_journal_clear(h->steplog);
	if (!r)
		r = persist_commit(h->persist);
	if (r) {
		if (!h->save_failed)
			log_error("the state cannot be kept: %s; it is tried again, and writes through the "
				  "API are refused",
				  persist_error(h->persist));
		persist_rollback(h->persist);
	} else {
		keyset_fini(&h->unsaved);
		record_flushed(h->recorder);
		h->journal = false;
		if (h->save_failed)
			log_info("the state is kept again");
	}
	h->save_failed = r != 0;
	return r;
}

static int load_one(void *ctx, struct object *o, uint64_t version)
{
	struct hub *h = ctx;
	if (version > store_version(h->store) + 1)
		store_set_version(h->store, version - 1);
	const struct object *now = NULL;
	int r = store_put(h->store, o, &now);
	if (!r && now->desc->kind == KIND_pod)
		podstatus_recall(h->cluster, now);
	return r;
}

int save_load(struct hub *h)
{
	struct remarks rs = {0};
	int r = persist_load(h->persist, load_one, h, &rs);
	VEC_EACH (&rs.list, it)
		if (it->level == REMARK_ERROR)
			log_error("hub.db: %s", it->text);
	remarks_fini(&rs);
	uint64_t version = persist_get(h->persist, "version");
	if (version > store_version(h->store))
		store_set_version(h->store, version);
	return r;
}
