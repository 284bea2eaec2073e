/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One compile for all pods, and look-ups in its rows, see engine.h. Writes nothing outside of itself. Called
 * by whoever compares or proves.
 */
#include "reason/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "compile/names.h"
#include "seam/class.h"
#include "seam/config.h"
#include "seam/endpoint.h"
#include "seam/policy.h"

#define EVERY_NODE "*" /* no node can have this name */

struct port_element {
	uint8_t proto, bits; /* of the port that count */
	bool any;	     /* protocol */
	uint16_t port;
	struct port_value value;
};
struct port_elements {
	VEC(struct port_element) list;
};

struct engine {
	const struct store *store;
	struct port_fns *fns;
	struct compiler *compiler;
	struct hash rows[PLAN_MAP_COUNT]; /* key → value */
	struct hash elements;		  /* port set → struct port_elements */
	struct hash known;		  /* struct policy_key → fn + 1 */
	uint32_t block_count[129];
	struct arena arena;
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

static int take_port(struct engine *e, const struct row *r)
{
	struct port_key k;
	struct port_element el = {0};

	memcpy(&k, r->key, sizeof(k));
	memcpy(&el.value, r->value, sizeof(el.value));
	el.any = k.prefixlen == 32;
	el.proto = k.proto;
	el.bits = (uint8_t)(k.prefixlen > 48 ? k.prefixlen - 48 : 0);
	el.port = ntohs(k.port);
	struct str key = {(const char *)&k.portset, sizeof(k.portset)};
	struct port_elements *list = hash_get(&e->elements, key);
	if (!list) {
		list = arena_new(&e->arena, struct port_elements);
		if (!list || hash_set(&e->elements, key, list, NULL))
			return -ENOMEM;
	}
	return vec_push(&list->list, el);
}

/* Rows are bytes; their copies can be read as structs. */
static int keep_row(struct engine *e, enum plan_map map, const struct row *r)
{
	void *copy = arena_alloc(&e->arena, r->value_len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, r->value, r->value_len);
	return hash_set(&e->rows[map], (struct str){(const char *)r->key, r->key_len}, copy, NULL);
}

static int take_row(struct engine *e, const struct row *r)
{
	if (r->type != ROW_MAP)
		return 0;
	if (r->table == PLAN_MAP_port)
		return take_port(e, r);
	if (r->table == PLAN_MAP_block || r->table == PLAN_MAP_block_trie) {
		struct block_key k;
		memcpy(&k, r->key, sizeof(k));
		if (k.len <= 128)
			e->block_count[k.len]++;
		return keep_row(e, PLAN_MAP_block, r);
	}
	if (r->table != PLAN_MAP_endpoint && r->table != PLAN_MAP_address && r->table != PLAN_MAP_policy)
		return 0;
	return keep_row(e, (enum plan_map)r->table, r);
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
	VEC_EACH (&plan.rows, row)
		r = r ? r : take_row(e, row);
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
	for (int m = 0; m < PLAN_MAP_COUNT; m++)
		hash_fini(&e->rows[m]);
	HASH_EACH (&e->elements, s)
		vec_free(&((struct port_elements *)s->value)->list);
	hash_fini(&e->elements);
	hash_fini(&e->known);
	arena_fini(&e->arena);
	compiler_free(&e->compiler);
	free(e);
}

const struct store *engine_store(const struct engine *e)
{
	return e->store;
}

struct engine_sets engine_sets(const struct engine *e, const struct addr *a)
{
	const struct endpoint_value *v =
	    hash_get(&e->rows[PLAN_MAP_endpoint], (struct str){(const char *)a, sizeof(*a)});
	if (!v)
		return (struct engine_sets){0};
	return (struct engine_sets){.known = true, .ingress = v->ingress_set, .egress = v->egress_set};
}

uint32_t engine_class(const struct engine *e, const struct addr *a)
{
	const struct address_value *known =
	    hash_get(&e->rows[PLAN_MAP_address], (struct str){(const char *)a, sizeof(*a)});

	if (known)
		return known->class;
	for (unsigned len = 129; len-- > (addr_is4(a) ? 96u : 0u);) {
		struct block_key k = {.len = len};
		struct addr masked = *a;
		if (!e->block_count[len])
			continue;
		prefix_mask(&masked, len);
		memcpy(&k.addr, &masked, sizeof(k.addr));
		const struct block_value *v =
		    hash_get(&e->rows[PLAN_MAP_block], (struct str){(const char *)&k, sizeof(k)});
		if (v)
			return v->class;
	}
	return CLASS_WORLD;
}

static bool covers(const struct port_element *el, uint8_t proto, uint32_t port)
{
	if (el->any)
		return true;
	if (!proto || el->proto != proto)
		return false;
	return !el->bits || (port >> (16 - el->bits)) == ((uint32_t)el->port >> (16 - el->bits));
}

static int order(const struct port_element *el)
{
	return el->any ? 0 : el->bits + 1;
}

/* What the most exact element says of a port, and up to where that holds. */
static struct fn_range say(const struct port_elements *list, struct fn_range fallback, uint8_t proto,
			   uint32_t port)
{
	const struct port_element *best = NULL;
	struct fn_range out = fallback;
	uint32_t end = proto ? 65536 : 1;

	for (size_t i = 0; list && i < list->list.len; i++) {
		const struct port_element *el = &list->list.items[i];
		if (covers(el, proto, port) && (!best || order(el) > order(best)))
			best = el;
		if (el->any || el->proto != proto || !proto)
			continue;
		uint32_t from = el->bits ? el->port : 0, size = 1u << (16 - el->bits);
		if (from > port && from < end)
			end = from;
		if (from <= port && from + size > port && from + size < end)
			end = from + size;
	}
	if (best) {
		out.word = best->value.verdict == VERDICT_ALLOW ? PORT_ALLOW : PORT_DENY;
		out.rule = best->value.rule;
	}
	out.proto = proto;
	out.low = (uint16_t)port;
	out.high = (uint16_t)(end - 1);
	return out;
}

struct range_list {
	VEC(struct fn_range) list;
};

static int ranges_of(const struct engine *e, const struct policy_value *v, struct range_list *out)
{
	struct fn_range fallback = {.word = PORT_DENY};
	const struct port_elements *list = NULL;

	if (v && v->portset == PORTSET_ALL) {
		fallback.word = PORT_ALLOW;
		fallback.rule = v->rule;
	} else if (v) {
		list = hash_get(&e->elements, (struct str){(const char *)&v->portset, sizeof(v->portset)});
	}
	for (int i = 0; i < PORT_PROTOS; i++) {
		uint32_t last = port_protos[i] ? 65535 : 0;
		for (uint32_t port = 0; port <= last;) {
			struct fn_range r = say(list, fallback, port_protos[i], port);
			if (vec_push(&out->list, r))
				return -ENOMEM;
			port = (uint32_t)r.high + 1;
		}
	}
	return 0;
}

int engine_fn(struct engine *e, uint32_t set, uint32_t class, uint32_t *fn)
{
	const struct policy_key k = {.set = set, .class = class};
	struct str key = {(const char *)&k, sizeof(k)};
	struct range_list ranges = {0};

	*fn = FN_ALL;
	if (set == SET_NONE)
		return 0;
	void *known = hash_get(&e->known, key);
	if (known) {
		*fn = (uint32_t)(uintptr_t)known - 1;
		return 0;
	}
	int r = ranges_of(e, hash_get(&e->rows[PLAN_MAP_policy], key), &ranges);
	if (!r)
		r = port_fn_get(e->fns, ranges.list.items, ranges.list.len, fn);
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
