/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of files into the cluster: each file's object has its spec from there and nowhere else. What cannot
 * be is remarked and leaves the last good state in force.
 */
#include <errno.h>

#include "base/log.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/hub.h"
#include "hub/record.h"

bool object_from_file(const struct object *o)
{
	return o->pos.file && !object_controller(o);
}

static bool same_positions(const struct object *a, const struct object *b)
{
	AUTO_BUF ta = {0};
	AUTO_BUF tb = {0};
	object_print_json(&ta, a, PRINT_POSITIONS);
	object_print_json(&tb, b, PRINT_POSITIONS);
	const char *pa = ta.p ? strstr(ta.p, "\"weftPositions\"") : NULL;
	const char *pb = tb.p ? strstr(tb.p, "\"weftPositions\"") : NULL;
	return pa && pb && !strcmp(pa, pb);
}

/* Namespaces that the hub made because objects used them may be taken over by a file. */
static bool is_implied(const struct object *o)
{
	return o->desc->kind == KIND_namespace && !o->pos.file;
}

/* A pod's spec is for its life: another one is another pod, which waits until the first is gone. */
static int replace_pod(struct hub *h, const struct object *from, const struct object *old)
{
	struct object *held = object_ref(from);
	VEC_EACH (&h->waiting_pods.list, w)
		if (str_eq(object_key(*w), object_key(from))) {
			object_unref((struct object **)(uintptr_t)w);
			*w = held;
			return 0;
		}
	if (vec_push(&h->waiting_pods.list, held)) {
		object_unref(&held);
		return -ENOMEM;
	}
	int r = cluster_delete(h->cluster, old, -1);
	return r == -ENOENT ? 0 : r;
}

static void forget_waiting(struct hub *h, const struct object *gone)
{
	for (size_t i = 0; i < h->waiting_pods.list.len; i++)
		if (str_eq(object_key(h->waiting_pods.list.items[i]), object_key(gone))) {
			object_unref((struct object **)(uintptr_t)&h->waiting_pods.list.items[i]);
			vec_remove(&h->waiting_pods.list, i);
			return;
		}
}

/* Changes a clone: the source goes on holding its own. */
static int put(struct hub *h, const struct object *from, struct remarks *rs)
{
	struct object *o = NULL;
	enum kind k = from->desc->kind;
	const struct object *old = store_get(h->store, k, from->meta.ns, from->meta.name);
	if (old && !object_from_file(old) && !is_implied(old)) {
		remark_add(rs, REMARK_ERROR, from->pos, "delete that one, or give this one another name",
			   "%s " STR_FMT " is already there: it was made through the API%s", from->desc->name,
			   STR_ARG(object_key(from)),
			   object_controller(old) ? ", or follows from another object" : "");
		return 0;
	}
	int r = kind_table[k].namespaced ? cluster_need_namespace(h->cluster, from->meta.ns) : 0;
	if (!r)
		r = object_clone(&o, from);
	if (r)
		return r;
	if (old && !is_implied(old))
		r = object_keep_hub_part(h, o, old);
	if (!r)
		r = cluster_admit(h->cluster, o, old, true, rs);
	if (!r && old && k == KIND_pod && (old->meta.deletion_timestamp.n || !object_same_spec(o, old))) {
		object_unref(&o);
		return replace_pod(h, from, old);
	}
	if (!r && old && object_same(o, old) && same_positions(o, old)) {
		object_unref(&o);
		return 0;
	}
	if (r) {
		object_unref(&o);
		return r == -EINVAL ? 0 : r;
	}
	return store_put(h->store, o, NULL);
}

void files_settle(struct hub *h)
{
	for (size_t i = 0; i < h->waiting_pods.list.len;) {
		struct object *o = (struct object *)(uintptr_t)h->waiting_pods.list.items[i];
		if (store_get(h->store, KIND_pod, o->meta.ns, o->meta.name)) {
			i++;
			continue;
		}
		vec_remove(&h->waiting_pods.list, i);
		int r = put(h, o, &h->running);
		if (r)
			log_error("pod " STR_FMT ": %s", STR_ARG(object_key(o)), strerror(-r));
		object_unref(&o);
	}
}

/* A Namespace that is still used stays, as one that the hub made. */
static int imply_namespace(struct hub *h, const struct object *old)
{
	struct object *o = NULL;
	int r = object_new(&o, &kind_table[KIND_namespace], STR(""), old->meta.name);
	if (!r)
		r = object_default(o);
	if (r) {
		object_unref(&o);
		return r;
	}
	return cluster_put(h->cluster, o, old, &h->running);
}

static int take_away(struct hub *h, const struct object *gone)
{
	const struct object *o = store_get(h->store, gone->desc->kind, gone->meta.ns, gone->meta.name);
	if (gone->desc->kind == KIND_pod)
		forget_waiting(h, gone);
	if (!o || !object_from_file(o))
		return 0;
	if (gone->desc->kind == KIND_namespace && namespace_has_objects(h, o->meta.name))
		return imply_namespace(h, o);
	int r = cluster_delete(h->cluster, o, -1);
	return r == -ENOENT ? 0 : r;
}

static bool asks(const struct object *o)
{
	const struct service_spec *spec = o->desc->kind == KIND_service ? o->service->spec : NULL;
	bool port = false;
	for (size_t i = 0; spec && i < spec->ports.len; i++)
		port |= spec->ports.items[i].node_port.v != 0;
	return spec && (port || spec->cluster_ip.n || spec->cluster_ips.len);
}

static bool file_failed(const struct remarks *rs, const struct file *f)
{
	VEC_EACH (&rs->list, r)
		if (r->level == REMARK_ERROR && r->file && !strcmp(r->file->name, f->name))
			return true;
	return false;
}

/* After a restart: objects of files that are gone meanwhile. What a broken file held stays. */
static int forget_gone(struct hub *h, const struct keyset *seen, const struct remarks *rs)
{
	int r = 0;
	for (enum kind k = 0; k < KIND_COUNT && !r; k++) {
		struct object_refs all = {0};
		r = store_list(h->store, k, STR(""), &all);
		VEC_EACH (&all.list, o)
			*o = object_ref(*o);
		VEC_EACH (&all.list, o) {
			struct object *held = (struct object *)(uintptr_t)*o;
			AUTO_BUF key = {0};
			buf_printf(&key, "%s/" STR_FMT, held->desc->name, STR_ARG(object_key(held)));
			if (!r && object_from_file(held) && !keyset_has(seen, buf_str(&key)) &&
			    !file_failed(rs, held->pos.file))
				r = take_away(h, held);
			object_unref(&held);
		}
		vec_free(&all.list);
	}
	return r;
}

static int apply(struct hub *h, const struct source_changes *changes, struct remarks *rs, bool first)
{
	struct keyset seen = {0};
	int r = 0;
	VEC_EACH (&changes->list, c)
		if (c->op == SOURCE_DELETE && !r)
			r = take_away(h, c->object);
	/* Services that ask for an address come before those that take any. */
	for (int turn = 0; turn < 2; turn++)
		VEC_EACH (&changes->list, c) {
			if (c->op != SOURCE_PUT || r || asks(c->object) == (turn != 0))
				continue;
			AUTO_BUF key = {0};
			buf_printf(&key, "%s/" STR_FMT, c->object->desc->name,
				   STR_ARG(object_key(c->object)));
			r = keyset_add(&seen, buf_str(&key));
			if (!r)
				r = put(h, c->object, rs);
		}
	if (first && !r)
		r = forget_gone(h, &seen, rs);
	keyset_fini(&seen);
	return r;
}

int files_load(struct hub *h, bool first)
{
	struct source_changes changes = {0};
	struct remarks rs = {0};
	int r = source_dir_scan(h->source, &changes, &rs);
	if (r == -EINVAL)
		r = 0;
	/* A new cluster's first objects are no change; what files held before this run is not known. */
	bool kept = !h->cluster->cfg.first_load;
	if (kept)
		record_begin(h->recorder, STEP_FILES, STR(""), STR(""), STR(""));
	if (kept && first)
		record_recalls(h->recorder);
	if (kept && !first)
		record_files(h->recorder, &changes);
	if (!r)
		r = apply(h, &changes, &rs, first);
	if (kept)
		record_end(h->recorder);
	remarks_sort(&rs);
	VEC_EACH (&rs.list, it) {
		AUTO_BUF text = {0};
		remark_print(&text, it, false);
		if (it->level == REMARK_ERROR)
			log_error(STR_FMT, STR_ARG(str_trim(buf_str(&text))));
		else
			log_warn(STR_FMT, STR_ARG(str_trim(buf_str(&text))));
	}
	if (changes.list.len || h->remarks.errors)
		log_info("files: %zu changes, %zu errors", changes.list.len, rs.errors);
	source_changes_fini(&changes);
	remarks_fini(&h->remarks);
	h->remarks = rs;
	return r;
}
