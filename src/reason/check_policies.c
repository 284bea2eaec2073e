/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy says of itself: selects nobody, stands twice, isolates more than it seems to, names ports
 * that nobody declares. */
#include <stdlib.h>

#include "base/own.h"
#include "object/position.h"
#include "reason/checks.h"
#include "reason/select.h"

static const char *policy_word(const struct object *o)
{
	return o->desc->kind == KIND_networkpolicy ? "policy" : "cluster policy";
}

static bool namespace_has_pods(const struct check_run *c, struct str ns)
{
	VEC_EACH (&c->ends.list, e)
		if (e->kind == END_POD && str_eq(e->ns, ns))
			return true;
	return false;
}

static bool selects_pod(const struct check_run *c, const struct object *o, const struct end *e)
{
	if (e->kind != END_POD)
		return false;
	if (o->desc->kind == KIND_clusternetworkpolicy)
		return select_subject(c->s, o->clusternetworkpolicy->spec->subject, e->o[0]);
	return str_eq(e->ns, o->meta.ns) && o->networkpolicy->spec->pod_selector &&
	       selector_matches(o->networkpolicy->spec->pod_selector, &e->o[0]->meta.labels);
}

static void check_selector(struct check_run *c, const struct object *o, const void *member)
{
	if (o->meta.ns.n && !namespace_has_pods(c, o->meta.ns)) {
		finding_add(c->out, CHECK_empty_namespace, object_pos(o, member), NULL,
			    "there is no pod in namespace \"" STR_FMT "\", so this %s selects nothing",
			    STR_ARG(o->meta.ns), policy_word(o));
		return;
	}
	VEC_EACH (&c->ends.groups, g)
		if (selects_pod(c, o, &c->ends.list.items[g->ends.items[0]]))
			return;
	finding_add(c->out, CHECK_selects_nothing, object_pos(o, member), NULL, "this %s selects no pod now",
		    policy_word(o));
}

static void check_types(struct check_run *c, const struct object *o)
{
	const struct networkpolicy_spec *spec = o->networkpolicy->spec;
	struct pos p;

	/* Defaults are filled in by now; only what stood in the file has a position. */
	if (spec->egress.len && !spec->ingress.set && !position_get(o, &spec->policy_types, &p))
		finding_add(c->out, CHECK_ingress_too, object_pos(o, &spec->egress), NULL,
			    "without policyTypes this policy isolates ingress as well, and allows none");
}

/* A named port that none of the pods in question declares. */
static void check_name(struct check_run *c, const struct rule_view *r, const void *member, struct str name)
{
	struct rule_view only = *r;
	bool asked = false;

	for (size_t g = 0; g < c->ends.groups.len; g++) {
		const struct group *group = &c->ends.groups.items[g];
		bool dst = r->egress ? r->match[g] != 0 : r->subject[g];
		struct span_list spans = {0};
		if (!dst || group->kind != END_POD)
			continue;
		asked = true;
		only.any_port = false;
		only.spans = (struct span_list){0};
		c->error = rule_spans(c, &only, group, &spans);
		bool found = spans.list.len > 0;
		vec_free(&spans.list);
		if (found)
			return;
	}
	if (asked)
		finding_add(c->out, CHECK_unknown_port_name, object_pos(r->o, member), NULL,
			    "port \"" STR_FMT "\" is declared by no pod that this rule is about",
			    STR_ARG(name));
}

static void check_names(struct check_run *c, const struct rule_view *r)
{
	if (!r->named)
		return;
	if (r->cluster) {
		const struct clusternetworkpolicy_spec *spec = r->o->clusternetworkpolicy->spec;
		const struct cluster_protocol_list *l = r->egress ? &spec->egress.items[r->index].protocols
								  : &spec->ingress.items[r->index].protocols;
		if (l->len == 1 && !r->opaque)
			check_name(c, r, &l->items[0].destination_named_port,
				   l->items[0].destination_named_port);
		return;
	}
	const struct networkpolicy_spec *spec = r->o->networkpolicy->spec;
	const struct policy_port_list *l =
	    r->egress ? &spec->egress.items[r->index].ports : &spec->ingress.items[r->index].ports;
	if (l->len == 1) /* with several the compiler's remarks tell them apart */
		check_name(c, r, &l->items[0].port, l->items[0].port.s);
}

static void spec_text(struct buf *b, const struct object *o)
{
	struct object *copy = NULL;

	if (object_clone(&copy, o)) {
		b->failed = true;
		return;
	}
	struct str name = copy->meta.name, ns = copy->meta.ns;
	copy->meta = (struct metadata){.name = STR("x"), .ns = ns};
	object_print_json(b, copy, PRINT_PLAIN);
	copy->meta.name = name;
	object_unref(&copy);
}

/* Policies of one namespace whose specifications are equal. */
static void check_duplicates(struct check_run *c, const struct object_refs *list)
{
	struct hash seen = {0};

	VEC_EACH (&list->list, o) {
		AUTO_BUF text = {0};
		spec_text(&text, *o);
		buf_printf(&text, "|%d", policy_is_staged(*o));
		const struct object *first = hash_get(&seen, buf_str(&text));
		if (first) {
			AUTO_BUF at = {0};
			pos_print(&at, first->pos);
			finding_add(c->out, CHECK_duplicate_policy, (*o)->pos, NULL,
				    "this policy says the same as " STR_FMT ", %s", STR_ARG(first->meta.name),
				    at.p ? at.p : "");
		} else if (text.failed || hash_set(&seen, buf_str(&text), (void *)(uintptr_t)*o, NULL)) {
			c->out->failed = true;
		}
	}
	hash_fini(&seen);
}

void check_policies(struct check_run *c)
{
	struct object_refs list = {0};
	int e = store_list(c->s, KIND_networkpolicy, STR(""), &list);

	VEC_EACH (&list.list, o) {
		const struct networkpolicy_spec *spec = (*o)->networkpolicy->spec;
		if (!spec)
			continue;
		check_selector(c, *o, &spec->pod_selector);
		check_types(c, *o);
	}
	check_duplicates(c, &list);
	vec_free(&list.list);
	e = e ? e : store_list(c->s, KIND_clusternetworkpolicy, STR(""), &list);
	VEC_EACH (&list.list, o)
		if ((*o)->clusternetworkpolicy->spec)
			check_selector(c, *o, &(*o)->clusternetworkpolicy->spec->subject);
	vec_free(&list.list);
	VEC_EACH (&c->rules, r)
		check_names(c, r);
	c->error = e ? e : c->error;
}
