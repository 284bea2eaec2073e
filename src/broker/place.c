/* SPDX-License-Identifier: Apache-2.0 */
/* Objects → sources: see place.h. */
#include "broker/place.h"

#include "base/hash.h"
#include "base/own.h"

/* A namespace whose object is not known (yet) has its automatic label only. */
static bool namespace_matches(const struct store *s, const struct label_selector *selector, struct str ns)
{
	const struct object *o = store_get(s, KIND_namespace, (struct str){0}, ns);
	struct strpair automatic = {.key = STR("kubernetes.io/metadata.name"), .value = ns};
	const struct strmap only = {.items = &automatic, .len = 1, .set = true};

	return !selector || selector_matches(selector, o ? &o->meta.labels : &only);
}

static bool pods_match(const struct store *s, const struct broker_source *source, const struct object *pod)
{
	return (!source->selector || selector_matches(source->selector, &pod->meta.labels)) &&
	       namespace_matches(s, source->namespaces, pod->meta.ns);
}

static bool has_address(const struct object *pod, struct str address)
{
	const struct pod_status *st = pod->pod->status;

	for (size_t i = 0; st && i < st->pod_ips.len; i++)
		if (str_eq(st->pod_ips.items[i].ip, address))
			return true;
	return false;
}

static bool slice_names(const struct object *slice, struct str service, const struct object *pod)
{
	const struct str *of = strmap_get(&slice->meta.labels, STR("kubernetes.io/service-name"));
	const struct endpointslice *es = slice->endpointslice;

	if (!of || !str_eq(*of, service))
		return false;
	for (size_t i = 0; i < es->endpoints.len; i++)
		for (size_t k = 0; k < es->endpoints.items[i].addresses.len; k++)
			if (has_address(pod, es->endpoints.items[i].addresses.items[k]))
				return true;
	return false;
}

static bool service_has(const struct store *s, const struct broker_source *source, const struct object *pod)
{
	struct str ns = source->ns.n ? source->ns : STR("default");
	const struct object *o = store_get(s, KIND_service, ns, source->name);
	struct object_refs slices = {0};
	bool found = false;

	if (!o || !o->service->spec || !str_eq(pod->meta.ns, ns))
		return false;
	if (o->service->spec->selector.len)
		return strmap_contains(&pod->meta.labels, &o->service->spec->selector);
	if (store_list(s, KIND_endpointslice, ns, &slices))
		return false;
	VEC_EACH (&slices.list, it)
		found = found || slice_names(*it, source->name, pod);
	vec_free(&slices.list);
	return found;
}

uint32_t place_pod(const struct broker *b, const struct store *s, const struct object *pod, uint32_t *out)
{
	uint32_t n = 0;

	if (pod->pod->spec && pod->pod->spec->host_network.v)
		return 0;
	for (uint32_t i = 0; i < b->sources_n; i++) {
		const struct broker_source *source = &b->sources[i];

		if (source->kind == BROKER_PODS	     ? pods_match(s, source, pod)
		    : source->kind == BROKER_SERVICE ? service_has(s, source, pod)
						     : false)
			out[n++] = i;
	}
	return n;
}

uint32_t place_uplink(const struct broker *b, const struct object *node, uint32_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->sources_n; i++)
		if (b->sources[i].kind == BROKER_UPLINK &&
		    (!b->sources[i].selector || selector_matches(b->sources[i].selector, &node->meta.labels)))
			out[n++] = i;
	return n;
}

uint32_t place_interface(const struct broker *b, struct str node, struct str name, uint32_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->sources_n; i++)
		if (b->sources[i].kind == BROKER_INTERFACE && str_eq(b->sources[i].name, name) &&
		    (!b->sources[i].node.n || !node.n || str_eq(b->sources[i].node, node)))
			out[n++] = i;
	return n;
}

static bool is_ready(const struct object *pod)
{
	const struct pod_status *st = pod->pod->status;

	for (size_t i = 0; st && i < st->conditions.len; i++)
		if (str_eqz(st->conditions.items[i].type, "Ready"))
			return str_eqz(st->conditions.items[i].status, "True");
	return false;
}

static bool may_serve(const struct object *pod, const struct broker_destination *to, struct str node)
{
	const struct pod_spec *spec = pod->pod->spec;

	return spec && spec->node_name.n && !str_eq(spec->node_name, node) && !spec->host_network.v &&
	       !pod->meta.deletion_timestamp.n && is_ready(pod) &&
	       selector_matches(to->selector, &pod->meta.labels);
}

const struct object *place_tool_pod(const struct store *s, const struct broker_destination *to,
				    struct str node)
{
	const struct object *best = NULL;
	struct object_refs pods = {0};

	if (store_list(s, KIND_pod, to->ns, &pods))
		return NULL;
	VEC_EACH (&pods.list, it) {
		const struct object *pod = *it;
		int d;

		if (!may_serve(pod, to, node))
			continue;
		d = best ? str_cmp(pod->meta.creation_timestamp, best->meta.creation_timestamp) : -1;
		if (d < 0 || (!d && str_cmp(pod->meta.name, best->meta.name) < 0))
			best = pod;
	}
	vec_free(&pods.list);
	return best;
}

uint64_t place_tool_key(struct str uid, struct str port)
{
	uint64_t key = hash_bytes(port.p, port.n, hash_bytes(uid.p, uid.n, 0x52454c4159)) & 0xffffffffffffff;

	return key ? key : 1;
}
