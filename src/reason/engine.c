/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One compile for all pods, asked through compile/verdict.h, see engine.h. Writes nothing outside of itself.
 * Called by whoever compares or proves.
 */
#include "reason/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "compile/names.h"
#include "compile/verdict.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/policy.h"

#define EVERY_NODE "*" /* no node can have this name */

struct engine {
	const struct store *store;
	struct port_fns *fns;
	struct compiler *compiler;
	struct verdict_table *table;
	size_t node;	   /* the only one of the table */
	struct hash known; /* (set, class) → fn + 1 */
};

bool policy_is_staged(const struct object *o)
{
	const struct str *v = strmap_get(&o->meta.annotations, STR(ANNOTATION_STAGED));
	return v && str_eqz(*v, "true");
}

/* The pod as it would be on the one node. */
static int tell_pod(struct compiler *c, const struct object *o)
{
	struct object *copy = NULL;
	int r = object_clone(&copy, o);

	if (!r && copy->pod->spec)
		copy->pod->spec->node_name = STR(EVERY_NODE);
	if (!r)
		r = compiler_tell(c, NULL, copy);
	object_unref(&copy);
	return r;
}

static int tell_enforced(struct compiler *c, const struct object *o)
{
	struct object *copy = NULL;
	int r = object_clone(&copy, o);

	for (size_t i = 0; !r && i < copy->meta.annotations.len; i++)
		if (str_eqz(copy->meta.annotations.items[i].key, ANNOTATION_STAGED))
			copy->meta.annotations.items[i].value = STR("false");
	if (!r)
		r = compiler_tell(c, NULL, copy);
	object_unref(&copy);
	return r;
}

static int tell_kind(struct compiler *c, const struct store *s, enum kind k, bool staged)
{
	struct object_refs refs = {0};
	int r = store_list(s, k, STR(""), &refs);

	VEC_EACH (&refs.list, o) {
		if (r)
			break;
		if (k == KIND_pod)
			r = tell_pod(c, *o);
		else if (staged && policy_is_staged(*o))
			r = tell_enforced(c, *o);
		else
			r = compiler_tell(c, NULL, *o);
	}
	vec_free(&refs.list);
	return r;
}

static int compile(struct engine *e, const struct engine_options *opt, struct remarks *rs)
{
	static const enum kind kinds[] = {KIND_namespace, KIND_node, KIND_pod, KIND_networkpolicy,
					  KIND_clusternetworkpolicy};
	const struct compile_config cfg = {.node = STR(EVERY_NODE),
					   .mode = MODE_VXLAN,
					   .mtu = 1500,
					   .services4 = opt->services4,
					   .services6 = opt->services6};
	struct plan_delta delta = {0};
	int r = compiler_new(&e->compiler, &cfg);

	for (size_t i = 0; !r && i < ARRAY_LEN(kinds); i++)
		r = tell_kind(e->compiler, e->store, kinds[i], opt->staged);
	if (!r) {
		compiler_wire_all(e->compiler);
		r = compiler_run(e->compiler, &delta, rs);
	}
	plan_delta_fini(&delta);
	return r;
}

int engine_new(struct engine **out, const struct store *s, struct port_fns *fns,
	       const struct engine_options *opt, struct remarks *rs)
{
	struct engine *e = calloc(1, sizeof(*e));
	struct plan plan = {0};

	if (!e)
		return -ENOMEM;
	e->store = s;
	e->fns = fns;
	int r = compile(e, opt, rs);
	if (!r)
		r = compiler_plan(e->compiler, &plan);
	if (!r)
		r = verdict_table_new(&e->table);
	if (!r)
		r = verdict_table_add(e->table, &plan);
	vec_free(&plan.rows);
	if (r) {
		engine_free(&e);
		return r;
	}
	*out = e;
	return 0;
}

void engine_free(struct engine **ep)
{
	struct engine *e = *ep;

	*ep = NULL;
	if (!e)
		return;
	verdict_table_free(&e->table);
	hash_fini(&e->known);
	compiler_free(&e->compiler);
	free(e);
}

const struct store *engine_store(const struct engine *e)
{
	return e->store;
}

struct engine_sets engine_sets(const struct engine *e, const struct addr *a)
{
	struct verdict_end end;

	if (!verdict_end(e->table, a, &end))
		return (struct engine_sets){0};
	return (struct engine_sets){.known = true, .ingress = end.ingress_set, .egress = end.egress_set};
}

bool engine_strict(const struct engine *e, const struct addr *a)
{
	struct verdict_end end;

	return verdict_end(e->table, a, &end) && (end.flags & ENDPOINT_STRICT);
}

uint32_t engine_class(const struct engine *e, const struct addr *a)
{
	return verdict_class(e->table, e->node, a);
}

struct range_list {
	VEC(struct fn_range) list;
};

/* In the order of port_protos. */
static int in_order(const struct said_ranges *said, struct range_list *out)
{
	int r = 0;

	for (int i = 0; i < PORT_PROTOS; i++)
		VEC_EACH (&said->list, x) {
			const struct fn_range range = {.proto = x->proto,
						       .low = x->low,
						       .high = x->high,
						       .word = x->said.allow   ? PORT_ALLOW
							       : x->said.names ? PORT_NAMES
									       : PORT_DENY,
						       .rule = x->said.rule,
						       .names = x->said.names};
			if (!r && x->proto == port_protos[i])
				r = vec_push(&out->list, range);
		}
	return r;
}

int engine_fn(struct engine *e, uint32_t set, uint32_t class, uint32_t *fn)
{
	const uint32_t k[2] = {set, class};
	struct str key = {(const char *)k, sizeof(k)};
	struct said_ranges said = {0};
	struct range_list ranges = {0};

	*fn = FN_ALL;
	if (set == SET_NONE)
		return 0;
	void *known = hash_get(&e->known, key);
	if (known) {
		*fn = (uint32_t)(uintptr_t)known - 1;
		return 0;
	}
	int r = verdict_set_ranges(e->table, e->node, set, class, &said);
	if (!r)
		r = in_order(&said, &ranges);
	if (!r)
		r = port_fn_get(e->fns, ranges.list.items, ranges.list.len, fn);
	vec_free(&said.list);
	vec_free(&ranges.list);
	if (!r)
		r = hash_set(&e->known, key, (void *)(uintptr_t)(*fn + 1), NULL);
	return r;
}

struct origin engine_rule(const struct engine *e, uint32_t rule, struct buf *text)
{
	const struct plan_names *names = compiler_names(e->compiler);

	if (text)
		name_rule(text, names, rule);
	return name_rule_origin(names, rule);
}
