/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the controllers over a store of files, without time or input. See offline.h. */
#include "hub/offline.h"

#include <errno.h>

#include "base/own.h"
#include "hub/admit.h"
#include "hub/dnspod.h"

void cluster_service_ranges(struct prefix *v4, struct prefix *v6)
{
	prefix_parse(STR("10.96.0.0/16"), v4);
	prefix_parse(STR("fd57:e7f7:0:96::/112"), v6);
}

static int add_nodes(struct cluster *c, unsigned n, struct remarks *rs)
{
	if (store_count(c->store, KIND_node))
		return 0;
	int r = 0;
	for (unsigned i = 0; i < n && !r; i++) {
		struct object *o = NULL;
		r = node_make(&o, i);
		if (!r)
			r = cluster_put(c, o, NULL, rs);
	}
	return r;
}

/* Puts an object of the files again with what the server fills in. */
static int admit_again(struct cluster *c, const struct object *was, struct remarks *rs)
{
	struct object *o = NULL;
	enum kind k = was->desc->kind;
	int r = object_clone(&o, was);
	if (r)
		return r;
	r = cluster_admit(c, o, NULL, true, rs);
	if (r == -EINVAL) {
		store_delete(c->store, k, o->meta.ns, o->meta.name);
		object_unref(&o);
		return 0;
	}
	if (r) {
		object_unref(&o);
		return r;
	}
	return store_put(c->store, o, NULL);
}

static bool asks_for_address(const struct object *o)
{
	const struct service_spec *spec = o->desc->kind == KIND_service ? o->service->spec : NULL;
	if (!spec)
		return false;
	for (size_t i = 0; i < spec->ports.len; i++)
		if (spec->ports.items[i].node_port.v)
			return true;
	return spec->cluster_ip.n || spec->cluster_ips.len;
}

/* Services that ask for an address come before those that take any. */
static int admit_kind(struct cluster *c, enum kind k, struct remarks *rs)
{
	struct object_refs all = {0};
	int r = store_list(c->store, k, STR(""), &all);
	VEC_EACH (&all.list, o)
		*o = object_ref(*o);
	for (int turn = 0; turn < 2; turn++)
		VEC_EACH (&all.list, o) {
			if (asks_for_address(*o) == (turn != 0) || r)
				continue;
			if (kind_table[k].namespaced)
				r = cluster_need_namespace(c, (*o)->meta.ns);
			if (!r)
				r = admit_again(c, *o, rs);
		}
	VEC_EACH (&all.list, o)
		object_unref((struct object **)(uintptr_t)o);
	vec_free(&all.list);
	return r;
}

int cluster_expand(struct store *s, const struct cluster_options *opt, struct remarks *rs)
{
	struct cluster_config cfg = {.first_load = true};
	struct cluster *c = NULL;
	size_t errors = rs->errors;
	cluster_service_ranges(&cfg.services4, &cfg.services6);
	int r = cluster_new(&c, s, &cfg);
	if (r)
		return r;
	c->hold_pods = true;
	r = cluster_need_namespace(c, STR("default"));
	if (!r)
		r = cluster_need_namespace(c, STR("kube-system"));
	if (!r)
		r = add_nodes(c, opt->nodes ? opt->nodes : 2, rs);
	for (enum kind k = 0; k < KIND_COUNT && !r; k++)
		r = admit_kind(c, k, rs);
	if (!r && !opt->no_dns)
		r = dnspod_add(c, rs);
	c->hold_pods = false;
	if (!r)
		r = cluster_pass(c, rs);
	cluster_free(&c);
	return r ? r : rs->errors > errors ? -EINVAL : 0;
}
