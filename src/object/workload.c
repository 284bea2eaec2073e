/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs: a selector that picks the template's own pods,
 * numbers in range, and defaults. The pods themselves are in pod.c.
 */
#include "object/check.h"

static void check_selects(struct check *c, const struct label_selector *s,
			  const struct label_selector *const *member, const struct pod_template *t)
{
	if (!s)
		return; /* the field table says that it is required */
	if (!s->match_labels.len && !s->match_expressions.len)
		check_fail(c, member, "name a label of the pods, e.g. matchLabels: {app: web}",
			   "must not be empty");
	else if (t && !selector_matches(s, t->metadata ? &t->metadata->labels : NULL))
		check_fail(c, member, "give the template the labels that the selector names",
			   "does not match the labels of the template");
}

static void check_template(struct check *c, const struct pod_template *t, const char *restart_a,
			   const char *restart_b)
{
	if (!t || !t->spec)
		return;
	pod_spec_check(c, t->spec);
	if (t->metadata)
		check_interfaces(c, t->metadata);
	struct str policy = t->spec->restart_policy.n ? t->spec->restart_policy : STR("Always");
	if (str_eqz(policy, restart_a) || (restart_b && str_eqz(policy, restart_b)))
		return;
	if (restart_b)
		check_fail(c, &t->spec->restart_policy, "write restartPolicy: OnFailure or Never",
			   "must be %s or %s for a %s", restart_a, restart_b, c->o->desc->name);
	else
		check_fail(c, &t->spec->restart_policy, "leave it out", "must be %s for a %s", restart_a,
			   c->o->desc->name);
}

static bool has_spec(struct check *c, const void *spec, const void *member)
{
	if (!spec)
		check_fail(c, member, "add spec", "required, but missing");
	return spec;
}

#define MEMBER(s) ((const struct label_selector *const *)&(s)->selector)

/* A number of pods, or percent of them. */
static void check_share(struct check *c, const struct intstr *v, int64_t most)
{
	int64_t n = 0;
	struct str digits = v->s;
	if (v->type == INTSTR_INT && v->i < 0)
		check_fail(c, v, NULL, "must not be negative");
	if (v->type != INTSTR_STR)
		return;
	bool percent = digits.n && digits.p[digits.n - 1] == '%';
	digits.n -= percent;
	if (!percent || str_to_i64(digits, 0, INT32_MAX, &n))
		check_fail(c, v, "write 1 or 25%", "\"" STR_FMT "\" is no number of pods and no percentage",
			   STR_ARG(v->s));
	else if (n > most)
		check_fail(c, v, NULL, "must not be above %lld%%", (long long)most);
}

static bool share_is_zero(const struct intstr *v)
{
	return (v->type == INTSTR_INT && !v->i) || (v->type == INTSTR_STR && str_eqz(v->s, "0%"));
}

/* `other`: the second type that the kind has beside RollingUpdate. */
static void check_strategy(struct check *c, const struct update_strategy *s, const char *other, bool surge)
{
	if (!s)
		return;
	bool rolling = !s->type.n || str_eqz(s->type, "RollingUpdate");
	if (!rolling && !str_eqz(s->type, other))
		check_fail(c, &s->type, NULL, "is RollingUpdate or %s for a %s", other, c->o->desc->name);
	const struct rolling_update *u = s->rolling_update;
	if (!u)
		return;
	if (!rolling)
		check_fail(c, &s->rolling_update, "remove it", "only for type RollingUpdate");
	check_share(c, &u->max_unavailable, 100);
	check_share(c, &u->max_surge, INT32_MAX);
	check_range(c, &u->partition, 0, INT32_MAX);
	if (u->partition.set && c->o->desc->kind != KIND_statefulset)
		check_fail(c, &u->partition, "remove it", "only for a StatefulSet");
	if (!surge && u->max_surge.type != INTSTR_UNSET)
		check_fail(c, &u->max_surge, "remove it", "not for a StatefulSet");
	if (surge && share_is_zero(&u->max_unavailable) && share_is_zero(&u->max_surge))
		check_fail(c, &u->max_unavailable, "let one of them be above 0",
			   "may not be 0 when maxSurge is 0");
}

static struct intstr number(int64_t n)
{
	return (struct intstr){.type = INTSTR_INT, .i = n};
}

static struct intstr percent(const char *text)
{
	return (struct intstr){.type = INTSTR_STR, .s = str_of(text)};
}

/* The strategy that is there afterwards, with a rollingUpdate where that is its type. */
static struct rolling_update *default_strategy(struct object *o, struct update_strategy **s)
{
	if (!*s)
		*s = arena_new(&o->arena, struct update_strategy);
	if (!*s)
		return NULL;
	default_str(&(*s)->type, "RollingUpdate");
	if (str_eqz((*s)->type, "RollingUpdate") && !(*s)->rolling_update)
		(*s)->rolling_update = arena_new(&o->arena, struct rolling_update);
	return (*s)->rolling_update;
}

static void default_share(struct intstr *v, struct intstr to)
{
	if (v->type == INTSTR_UNSET)
		*v = to;
}

static void check_deployment(struct check *c)
{
	const struct deployment_spec *s = c->o->deployment->spec;
	if (!has_spec(c, s, &c->o->deployment->spec))
		return;
	check_range(c, &s->replicas, 0, INT32_MAX);
	check_range(c, &s->min_ready_seconds, 0, INT32_MAX);
	check_range(c, &s->revision_history_limit, 0, INT32_MAX);
	check_selects(c, s->selector, MEMBER(s), s->pod_template);
	check_strategy(c, s->strategy, "Recreate", true);
	check_template(c, s->pod_template, "Always", NULL);
}

static int default_deployment(struct object *o)
{
	struct deployment_spec *s = o->deployment->spec;
	if (!s)
		return 0;
	struct rolling_update *u = default_strategy(o, &s->strategy);
	if (u) {
		default_share(&u->max_unavailable, percent("25%"));
		default_share(&u->max_surge, percent("25%"));
	}
	default_int(&s->replicas, 1);
	default_int(&s->revision_history_limit, 10);
	default_int(&s->progress_deadline_seconds, 600);
	if (s->pod_template)
		pod_spec_default(s->pod_template->spec);
	return 0;
}

static void check_replicaset(struct check *c)
{
	const struct replicaset_spec *s = c->o->replicaset->spec;
	if (!has_spec(c, s, &c->o->replicaset->spec))
		return;
	check_range(c, &s->replicas, 0, INT32_MAX);
	check_selects(c, s->selector, MEMBER(s), s->pod_template);
	if (!s->pod_template)
		check_fail(c, &s->pod_template, "The pods.", "required, but missing");
	check_template(c, s->pod_template, "Always", NULL);
}

static int default_replicaset(struct object *o)
{
	struct replicaset_spec *s = o->replicaset->spec;
	if (!s)
		return 0;
	default_int(&s->replicas, 1);
	if (s->pod_template)
		pod_spec_default(s->pod_template->spec);
	return 0;
}

static void check_statefulset(struct check *c)
{
	const struct statefulset_spec *s = c->o->statefulset->spec;
	if (!has_spec(c, s, &c->o->statefulset->spec))
		return;
	check_range(c, &s->replicas, 0, INT32_MAX);
	check_range(c, &s->min_ready_seconds, 0, INT32_MAX);
	check_selects(c, s->selector, MEMBER(s), s->pod_template);
	check_strategy(c, s->update_strategy, "OnDelete", false);
	check_template(c, s->pod_template, "Always", NULL);
	if (s->service_name.n)
		check_rule(c, &s->service_name, s->service_name, syntax_dns_label(s->service_name),
			   "name of a Service");
}

static int default_statefulset(struct object *o)
{
	struct statefulset_spec *s = o->statefulset->spec;
	if (!s)
		return 0;
	struct rolling_update *u = default_strategy(o, &s->update_strategy);
	if (u)
		default_int(&u->partition, 0);
	default_int(&s->replicas, 1);
	default_int(&s->revision_history_limit, 10);
	default_str(&s->pod_management_policy, "OrderedReady");
	if (s->pod_template)
		pod_spec_default(s->pod_template->spec);
	return 0;
}

static void check_daemonset(struct check *c)
{
	const struct daemonset_spec *s = c->o->daemonset->spec;
	if (!has_spec(c, s, &c->o->daemonset->spec))
		return;
	check_range(c, &s->min_ready_seconds, 0, INT32_MAX);
	check_selects(c, s->selector, MEMBER(s), s->pod_template);
	check_strategy(c, s->update_strategy, "OnDelete", true);
	check_template(c, s->pod_template, "Always", NULL);
}

static int default_daemonset(struct object *o)
{
	struct daemonset_spec *s = o->daemonset->spec;
	if (!s)
		return 0;
	struct rolling_update *u = default_strategy(o, &s->update_strategy);
	if (u) {
		default_share(&u->max_unavailable, number(1));
		default_share(&u->max_surge, number(0));
	}
	default_int(&s->revision_history_limit, 10);
	if (s->pod_template)
		pod_spec_default(s->pod_template->spec);
	return 0;
}

static void check_job(struct check *c)
{
	const struct job_spec *s = c->o->job->spec;
	if (!has_spec(c, s, &c->o->job->spec))
		return;
	check_range(c, &s->parallelism, 0, INT32_MAX);
	check_range(c, &s->completions, 0, INT32_MAX);
	check_range(c, &s->backoff_limit, 0, INT32_MAX);
	/* Without manualSelector the server makes the selector, and an object that has been stored carries
	 * it. */
	if (s->manual_selector.v)
		check_selects(c, s->selector, MEMBER(s), s->pod_template);
	check_template(c, s->pod_template, "OnFailure", "Never");
}

static int default_job(struct object *o)
{
	struct job_spec *s = o->job->spec;
	if (!s)
		return 0;
	if (!s->completions.set && !s->parallelism.set)
		default_int(&s->completions, 1);
	default_int(&s->parallelism, 1);
	default_int(&s->backoff_limit, 6);
	default_str(&s->completion_mode, "NonIndexed");
	default_bool(&s->suspend, false);
	if (s->pod_template)
		pod_spec_default(s->pod_template->spec);
	return 0;
}

const struct kind_rules deployment_rules = {.check = check_deployment, .defaults = default_deployment};
const struct kind_rules replicaset_rules = {.check = check_replicaset, .defaults = default_replicaset};
const struct kind_rules statefulset_rules = {.check = check_statefulset, .defaults = default_statefulset};
const struct kind_rules daemonset_rules = {.check = check_daemonset, .defaults = default_daemonset};
const struct kind_rules job_rules = {.check = check_job, .defaults = default_job};
