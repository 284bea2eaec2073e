/* SPDX-License-Identifier: Apache-2.0 */
/* See select.h. */
#include "reason/select.h"

#include "base/vec.h"
#include "reason/engine.h"

bool policy_has_direction(const struct object *o, bool egress)
{
	const struct networkpolicy_spec *spec = o->networkpolicy->spec;

	for (size_t i = 0; spec && i < spec->policy_types.len; i++)
		if (str_eqz(spec->policy_types.items[i], egress ? "Egress" : "Ingress"))
			return true;
	return spec && !spec->policy_types.len && (!egress || spec->egress.len);
}

int policies_isolating(const struct store *s, const struct object *pod, bool egress, bool staged,
		       struct object_refs *out)
{
	struct object_refs all = {0};
	int r = store_list(s, KIND_networkpolicy, pod->meta.ns, &all);

	VEC_EACH (&all.list, o) {
		const struct networkpolicy_spec *spec = (*o)->networkpolicy->spec;
		if (r || !spec || !policy_has_direction(*o, egress) || (!staged && policy_is_staged(*o)))
			continue;
		if (spec->pod_selector && selector_matches(spec->pod_selector, &pod->meta.labels))
			r = vec_push(&out->list, *o);
	}
	vec_free(&all.list);
	return r;
}

bool select_namespace(const struct store *s, const struct label_selector *sel, struct str ns)
{
	const struct object *o = store_get(s, KIND_namespace, STR(""), ns);
	struct strpair automatic = {.key = STR("kubernetes.io/metadata.name"), .value = ns};
	struct strmap only = {.items = &automatic, .len = 1, .set = true};

	return selector_matches(sel, o ? &o->meta.labels : &only);
}

bool select_subject(const struct store *s, const struct cluster_subject *c, const struct object *pod)
{
	if (c && c->namespaces)
		return select_namespace(s, c->namespaces, pod->meta.ns);
	if (!c || !c->pods || !c->pods->pod_selector)
		return false;
	return (!c->pods->namespace_selector ||
		select_namespace(s, c->pods->namespace_selector, pod->meta.ns)) &&
	       selector_matches(c->pods->pod_selector, &pod->meta.labels);
}
