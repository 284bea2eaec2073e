/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft get policies`: NetworkPolicies and ClusterNetworkPolicies in one table, in which mode they are, how
 * many pods each selects, and what the staged ones would have done to live connections, as the observers
 * count it. Judges nothing.
 */
#include "cli/get.h"

#include "base/own.h"
#include "cli/causes.h"
#include "cli/cluster.h"
#include "cli/output.h"
#include "cli/world.h"

#include <stdio.h>

struct cluster_word { /* what the running cluster says; of files nothing */
	json_t *staged;
	bool strict; /* started with --strict: all policies are */
};

struct counted {			      /* what a staged policy would have done */
	json_int_t refused, allowed, seconds; /* seconds since the last; -1: not known */
};

static bool annotated(const struct object *o, struct str key)
{
	const struct str *v = strmap_get(&o->meta.annotations, key);

	return v && str_eqz(*v, "true");
}

static bool counts(const struct object *pod)
{
	const struct pod_status *st = pod->pod->status;

	return !(pod->pod->spec && pod->pod->spec->host_network.v) &&
	       !(st && (str_eqz(st->phase, "Succeeded") || str_eqz(st->phase, "Failed")));
}

static bool subject_has(const struct store *s, const struct cluster_subject *sub, const struct object *pod)
{
	const struct object *ns = store_get(s, KIND_namespace, (struct str){0}, pod->meta.ns);
	const struct strmap none = {0}, *labels = ns ? &ns->meta.labels : &none;

	if (sub->namespaces)
		return selector_matches(sub->namespaces, labels);
	return sub->pods &&
	       (!sub->pods->namespace_selector || selector_matches(sub->pods->namespace_selector, labels)) &&
	       selector_matches(sub->pods->pod_selector, &pod->meta.labels);
}

static bool selects(const struct store *s, const struct object *policy, const struct object *pod)
{
	if (policy->desc->kind == KIND_networkpolicy) {
		const struct networkpolicy_spec *spec = policy->networkpolicy->spec;
		return spec && str_eq(policy->meta.ns, pod->meta.ns) &&
		       selector_matches(spec->pod_selector, &pod->meta.labels);
	}
	const struct clusternetworkpolicy_spec *spec = policy->clusternetworkpolicy->spec;
	return spec && spec->subject && subject_has(s, spec->subject, pod);
}

static size_t selected(const struct store *s, const struct object *policy)
{
	struct object_refs pods = {0};
	size_t n = 0;

	(void)store_list(s, KIND_pod, (struct str){0}, &pods);
	VEC_EACH (&pods.list, p)
		n += counts(*p) && selects(s, policy, *p);
	vec_free(&pods.list);
	return n;
}

/* Whether the cause of a count is this policy: its rule, or it stands in the set and is staged. */
static bool is_cause(const json_t *item, const char *policy)
{
	const json_t *why = json_object_get(item, "why"), *p;
	size_t i;

	if (json_object_get(why, "rule"))
		return !strcmp(json_string_value(json_object_get(why, "policy")) ?: "", policy);
	json_array_foreach (json_object_get(why, "policies"), i, p)
		if (json_is_true(json_object_get(p, "staged")) &&
		    !strcmp(json_string_value(json_object_get(p, "policy")) ?: "", policy))
			return true;
	return false;
}

static struct counted count(const json_t *staged, const struct object *policy)
{
	struct counted c = {.seconds = -1};
	AUTO_BUF name = {0};
	json_t *v;
	size_t i;

	buf_printf(&name, "%s " STR_FMT, policy->desc->name, STR_ARG(object_key(policy)));
	json_array_foreach ((json_t *)(uintptr_t)staged, i, v) {
		const json_t *age = json_object_get(v, "secondsAgo");
		bool refuse = !strcmp(json_string_value(json_object_get(v, "would")) ?: "", "refuse");
		json_int_t n = json_integer_value(json_object_get(v, "connections"));
		if (!is_cause(v, name.p ? name.p : ""))
			continue;
		c.refused += refuse ? n : 0;
		c.allowed += refuse ? 0 : n;
		if (age && (c.seconds < 0 || json_integer_value(age) < c.seconds))
			c.seconds = json_integer_value(age);
	}
	return c;
}

/* The counts of all nodes, with their causes in words; NULL (told) when an observer does not answer. */
static json_t *collect(const char *cluster)
{
	AUTO_JSON nodes = cluster_nodes(cluster);
	json_t *all = json_array(), *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		const char *name = json_string_value(node);
		AUTO_JSON v = observer_get(cluster, name, "/staged");
		json_t *list = json_object_get(v, "staged");
		if (!v) {
			cli_error("what its staged policies would have done is unknown, not nothing",
				  "the observer of %s does not answer", name);
			json_decref(all);
			return NULL;
		}
		causes_join(cluster, name, list);
		json_array_extend(all, list);
	}
	return all;
}

static json_t *describe(const struct store *s, const struct object *o, const struct cluster_word *word)
{
	bool cluster = o->desc->kind == KIND_clusternetworkpolicy,
	     is_staged = annotated(o, STR("weft.network/staged"));
	const json_t *staged = word->staged;
	struct counted c = count(staged, o);
	AUTO_BUF tier = {0};
	AUTO_BUF place = {0};

	if (cluster && o->clusternetworkpolicy->spec)
		buf_adds(&tier, o->clusternetworkpolicy->spec->tier);
	pos_print(&place, o->pos);
	json_t *v =
	    json_pack("{s:s%,s:s%,s:s,s:b,s:b,s:I,s:s}", "namespace", o->meta.ns.p ? o->meta.ns.p : "",
		      o->meta.ns.n, "name", o->meta.name.p, o->meta.name.n, "kind", o->desc->name, "staged",
		      is_staged, "strict", word->strict || annotated(o, STR("weft.network/strict")), "pods",
		      (json_int_t)selected(s, o), "at", place.p ? place.p : "");
	if (tier.n) {
		json_object_set_new(v, "tier", json_string(tier.p));
		json_object_set_new(v, "priority", json_integer(o->clusternetworkpolicy->spec->priority.v));
	}
	if (staged && is_staged) {
		json_object_set_new(v, "wouldRefuse", json_integer(c.refused));
		json_object_set_new(v, "wouldAllow", json_integer(c.allowed));
		if (c.seconds >= 0)
			json_object_set_new(v, "secondsAgo", json_integer(c.seconds));
	}
	return v;
}

static void mode_cell(struct table *t, const json_t *v)
{
	bool staged = json_is_true(json_object_get(v, "staged"));

	table_cell_styled(t, staged ? STYLE_YELLOW : STYLE_PLAIN,
			  staged				       ? "staged"
			  : json_is_true(json_object_get(v, "strict")) ? "enforced, strict"
								       : "enforced");
}

static void number_cell(struct table *t, const json_t *n, const char *unit)
{
	if (n)
		table_cellf(t, "%lld%s", (long long)json_integer_value(n), unit);
	else
		table_cell(t, "–");
}

static void print_table(const json_t *list, bool no_headers)
{
	static const char *const headings[] = {"NAMESPACE", "NAME", "KIND",	    "TIER",
					       "MODE",	    "PODS", "WOULD REFUSE", "WOULD ALLOW",
					       "LAST SEEN", NULL};
	AUTO_TABLE t;
	json_t *v;
	size_t i;

	table_init(&t, headings);
	t.no_headings = no_headers;
	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		const char *ns = json_string_value(json_object_get(v, "namespace")) ?: "";
		const char *tier = json_string_value(json_object_get(v, "tier"));
		table_cell(&t, *ns ? ns : "–");
		table_cell(&t, json_string_value(json_object_get(v, "name")));
		table_cell(&t, json_string_value(json_object_get(v, "kind")));
		if (tier)
			table_cellf(&t, "%s %lld", tier,
				    (long long)json_integer_value(json_object_get(v, "priority")));
		else
			table_cell(&t, "–");
		mode_cell(&t, v);
		number_cell(&t, json_object_get(v, "pods"), "");
		number_cell(&t, json_object_get(v, "wouldRefuse"), "");
		number_cell(&t, json_object_get(v, "wouldAllow"), "");
		number_cell(&t, json_object_get(v, "secondsAgo"), " s ago");
	}
	table_print(&t);
}

static void gather(const struct options_get *o, const struct store *s, enum kind k,
		   const struct cluster_word *word, json_t *out)
{
	struct object_refs all = {0};

	(void)store_list(s, k, str_of(k == KIND_networkpolicy ? o->ns : NULL), &all);
	VEC_EACH (&all.list, p) {
		bool wanted = o->n_args < 2;
		for (int i = 1; i < o->n_args; i++)
			wanted |= str_eqz((*p)->meta.name, o->args[i]);
		if (wanted)
			json_array_append_new(out, describe(s, *p, word));
	}
	vec_free(&all.list);
}

static int load(const struct options_get *o, struct store **s, struct cluster_word *word)
{
	const struct world_files files = {
	    .paths = &o->files, .n = 1, .nodes = 2, .quiet = true, .max_file = (size_t)o->max_file};
	const char *name = cluster_name(o->name);

	if (o->files)
		return world_from_files(s, &files);
	if (!name || !cluster_need(name) || cluster_strict(name, &word->strict) ||
	    world_from_cluster(s, name))
		return -1;
	word->staged = collect(name);
	return word->staged ? 0 : -1;
}

int get_policies(const struct options_get *o)
{
	struct cluster_word word = {0};
	AUTO_JSON list = json_array();
	struct store *s = NULL;
	int r = load(o, &s, &word) ? EXIT_FAILED : EXIT_OK;

	if (!r) {
		gather(o, s, KIND_clusternetworkpolicy, &word, list);
		gather(o, s, KIND_networkpolicy, &word, list);
		if (!get_table(o))
			r = get_print_value(o, list);
		else if (json_array_size(list))
			print_table(list, o->no_headers);
		else
			fprintf(stderr, "No policies.\n");
	}
	json_decref(word.staged);
	store_free(&s);
	return r || (o->n_args > 1 && !json_array_size(list)) ? EXIT_FAILED : EXIT_OK;
}
