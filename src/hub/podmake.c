/* SPDX-License-Identifier: Apache-2.0 */
/* Makes pods for the workload controllers; publishes nothing itself. See podmake.h. */
#include "hub/podmake.h"

#include <errno.h>

#include "base/own.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/names.h"

int own_object(struct object *o, const struct object *owner)
{
	struct arena *a = &o->arena;
	struct owner_reference *ref = arena_new(a, struct owner_reference);
	if (!ref)
		return -ENOMEM;
	ref->api_version = arena_str(a, str_of(kind_api_version(owner->desc)));
	ref->kind = arena_str(a, str_of(owner->desc->name));
	ref->name = arena_str(a, owner->meta.name);
	ref->uid = arena_str(a, owner->meta.uid);
	ref->controller = ref->block_owner_deletion = bool_of(true);
	o->meta.owner_references = (struct owner_reference_list){.items = ref, .len = 1, .set = true};
	return ref->uid.p ? 0 : -ENOMEM;
}

static int fill_from(struct object *o, const struct object *owner, const struct pod_template *t)
{
	struct arena *a = &o->arena;
	if (t->metadata && (map_copy(a, &o->meta.labels, &t->metadata->labels) ||
			    map_copy(a, &o->meta.annotations, &t->metadata->annotations)))
		return -ENOMEM;
	if (own_object(o, owner))
		return -ENOMEM;
	o->pod->spec = arena_new(a, struct pod_spec);
	if (!o->pod->spec)
		return -ENOMEM;
	if (t->spec && struct_copy(a, desc_find(KIND_pod, "spec"), o->pod->spec, t->spec))
		return -ENOMEM;
	o->pos = object_pos(owner, t);
	file_ref((struct file *)(uintptr_t)o->pos.file);
	return object_default(o);
}

int pod_from_template(struct object **out, const struct object *owner, const struct pod_template *t,
		      struct str name)
{
	struct object *o = NULL;
	int r = object_new(&o, &kind_table[KIND_pod], owner->meta.ns, name);
	if (r)
		return r;
	r = fill_from(o, owner, t);
	if (r) {
		object_unref(&o);
		return r;
	}
	*out = o;
	return 0;
}

int pod_name(struct cluster *c, const struct object *owner, struct str prefix, uint64_t index,
	     struct buf *out)
{
	for (uint64_t probe = 0;; probe++) {
		uint64_t salt[3] = {index, probe, cluster_life(c)};
		char suffix[6];
		name_suffix(
		    suffix, 5,
		    hash_bytes(owner->meta.uid.p, owner->meta.uid.n, hash_bytes(salt, sizeof(salt), 0)));
		buf_clear(out);
		/* 63 bytes are a label: hostnames follow pod names. */
		buf_add(out, prefix.p, prefix.n > 57 ? 57 : prefix.n);
		buf_printf(out, "-%s", suffix);
		if (out->failed)
			return -ENOMEM;
		if (!store_get(c->store, KIND_pod, owner->meta.ns, buf_str(out)))
			return 0;
	}
}

uint64_t template_hash(const struct pod_template *t)
{
	struct object *o = NULL;
	uint64_t h = 0;
	if (object_new(&o, &kind_table[KIND_pod], STR("x"), STR("x")))
		return 0;
	/* The temporary object only borrows what it prints. */
	if (t->metadata) {
		o->meta.labels = t->metadata->labels;
		o->meta.annotations = t->metadata->annotations;
	}
	o->pod->spec = t->spec;
	AUTO_BUF text = {0};
	object_print_json(&text, o, PRINT_PLAIN);
	h = hash_bytes(text.p, text.n, 0);
	o->pod->spec = NULL;
	object_unref(&o);
	return h;
}

bool pod_is_finished(const struct object *o)
{
	const struct pod_status *st = o->pod->status;
	return st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"));
}

bool pod_is_active(const struct object *o)
{
	return !o->meta.deletion_timestamp.n && !pod_is_finished(o);
}

bool pod_is_ready(const struct object *o)
{
	return o->pod->status && condition_true(&o->pod->status->conditions, "Ready");
}

static int worth(const struct object *o)
{
	return (o->pod->spec && o->pod->spec->node_name.n ? 1 : 0) + (pod_is_ready(o) ? 2 : 0);
}

static int by_worth(const void *pa, const void *pb)
{
	const struct object *a = *(const struct object *const *)pa, *b = *(const struct object *const *)pb;
	int d = worth(a) - worth(b);
	return d ? d : -str_cmp(a->meta.name, b->meta.name);
}

void pods_by_worth(struct object_refs *pods)
{
	if (pods->list.len > 1)
		qsort(pods->list.items, pods->list.len, sizeof(*pods->list.items), by_worth);
}
