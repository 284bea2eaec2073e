/* SPDX-License-Identifier: Apache-2.0 */
/* Who has an address: pods, nodes, ranges; and the labels of namespaces. Called by the model only. */
#include "match.h"

static bool text_is(struct str text, const struct addr *a)
{
	struct addr x;
	return text.n && !addr_parse(text, &x) && addr_eq(&x, a);
}

static bool pod_has(const struct object *pod, const struct addr *a)
{
	const struct pod_status *st = pod->pod->status;
	if (!st)
		return false;
	/* NP22: a finished pod has no address. */
	if (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed"))
		return false;
	/* NP42, NP68, CN10: a pod in its node's network has none of its own: it is the node. */
	if (pod->pod->spec && pod->pod->spec->host_network.v)
		return false;
	for (size_t i = 0; i < st->pod_ips.len; i++)
		if (text_is(st->pod_ips.items[i].ip, a))
			return true;
	return text_is(st->pod_ip, a);
}

const struct object *model_pod_at(const struct model *m, const struct addr *a)
{
	VEC_EACH (&m->pods.list, p)
		if (pod_has(*p, a))
			return *p;
	return NULL;
}

bool node_has(const struct object *node, const struct addr *a)
{
	const struct node_status *st = node->node->status;
	for (size_t i = 0; st && i < st->addresses.len; i++)
		if (text_is(st->addresses.items[i].address, a))
			return true;
	return false;
}

const struct object *model_node_at(const struct model *m, const struct addr *a)
{
	VEC_EACH (&m->nodes.list, n)
		if (node_has(*n, a))
			return *n;
	return NULL;
}

bool model_in_pod_range(const struct model *m, const struct addr *a)
{
	VEC_EACH (&m->nodes.list, n) {
		const struct node_spec *spec = (*n)->node->spec;
		for (size_t i = 0; spec && i < spec->pod_cidrs.len; i++)
			if (block_has(spec->pod_cidrs.items[i], a))
				return true;
		if (spec && spec->pod_cidr.n && block_has(spec->pod_cidr, a))
			return true;
	}
	return false;
}

bool namespace_matches(const struct model *m, const struct label_selector *sel, struct str ns)
{
	/* NP18: each namespace has this label, also one of which there is no object. */
	struct strpair automatic = {.key = STR("kubernetes.io/metadata.name"), .value = ns};
	const struct strmap only = {.items = &automatic, .len = 1, .set = true};
	VEC_EACH (&m->namespaces.list, o)
		if (str_eq((*o)->meta.name, ns))
			return labels_match(sel, &(*o)->meta.labels);
	return labels_match(sel, &only);
}

static bool is_marked(const struct object *policy, const char *mark)
{
	const struct strmap *a = &policy->meta.annotations;
	for (size_t i = 0; i < a->len; i++)
		if (str_eqz(a->items[i].key, mark))
			return str_eqz(a->items[i].value, "true");
	return false;
}

bool is_staged(const struct object *policy)
{
	return is_marked(policy, "weft.network/staged");
}

bool is_strict(const struct object *policy)
{
	return is_marked(policy, "weft.network/strict") && !is_staged(policy);
}
