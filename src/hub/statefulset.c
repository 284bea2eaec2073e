/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StatefulSets become pods with numbers. They start in order, each when those before it are available, and
 * end in reverse order (podManagementPolicy Parallel: all at once). A changed template replaces pods from the
 * highest number down to the partition, as many at a time as maxUnavailable says. A pod below the partition
 * that ends is made again from the new template: older ones are not kept. Called by cluster_pass().
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "hub/copy.h"
#include "hub/podmake.h"
#include "hub/rollout.h"

enum { REPLICAS_MAX = 100000 };

struct set {
	const struct object *o;
	const struct statefulset_spec *spec;
	const struct object_refs *pods;
	const struct object **at; /* [want]: the pod of each number that is wanted, or NULL */
	int64_t first, want;
	char revision[11];
	bool parallel;
};

static int64_t first_ordinal(const struct statefulset_spec *spec)
{
	const char *at =
	    spec->ordinals.n ? memmem(spec->ordinals.p, spec->ordinals.n, "\"start\":", 8) : NULL;
	return at ? strtoll(at + 8, NULL, 10) : 0;
}

/* -1: it is none of the set's names. */
static int64_t ordinal_of(const struct set *s, const struct object *pod)
{
	struct str rest = pod->meta.name, prefix = s->o->meta.name;
	int64_t n;
	if (!str_starts(rest, prefix) || rest.n < prefix.n + 2)
		return -1;
	rest.p += prefix.n + 1;
	rest.n -= prefix.n + 1;
	return str_to_i64(rest, 0, INT32_MAX, &n) ? -1 : n;
}

static bool available(struct cluster *c, const struct set *s, const struct object *pod)
{
	return pod && pod_is_available(c, s->o, pod, &s->spec->min_ready_seconds);
}

/* A claim named TEMPLATE-POD as a volume; it goes before one of that name in the pod's template. */
static int add_claim(json_t *volumes, const json_t *claim, const struct object *pod)
{
	const char *name = json_string_value(json_object_get(json_object_get(claim, "metadata"), "name")),
		   *other;
	AUTO_BUF whole = {0};

	if (!name)
		return 0;
	for (size_t k = json_array_size(volumes); k-- > 0;) {
		other = json_string_value(json_object_get(json_array_get(volumes, k), "name"));
		if (other && !strcmp(other, name))
			json_array_remove(volumes, k);
	}
	buf_printf(&whole, "%s-" STR_FMT, name, STR_ARG(pod->meta.name));
	return json_array_append_new(volumes, json_pack("{sss{ss}}", "name", name, "persistentVolumeClaim",
							"claimName", whole.failed ? "" : whole.p))
		   ? -ENOMEM
		   : 0;
}

static int add_claims(struct object *pod, struct str templates)
{
	struct str *volumes = &pod->pod->spec->volumes;
	json_t *claims = templates.n ? json_loadb(templates.p, templates.n, 0, NULL) : NULL, *claim;
	json_t *list = volumes->n ? json_loadb(volumes->p, volumes->n, 0, NULL) : json_array();
	char *text = NULL;
	int r = 0;
	size_t i;

	json_array_foreach (claims, i, claim)
		r = r ? r : add_claim(list, claim, pod);
	if (!r && json_array_size(claims)) {
		text = json_dumps(list, JSON_COMPACT);
		*volumes = text ? arena_str(&pod->arena, str_of(text)) : *volumes;
		r = text ? 0 : -ENOMEM;
	}
	free(text);
	json_decref(claims);
	json_decref(list);
	return r;
}

static int make_pod(struct cluster *c, const struct set *s, int64_t ordinal, struct remarks *rs)
{
	struct object *pod = NULL;
	char text[24];
	AUTO_BUF name = {0};
	buf_printf(&name, STR_FMT "-%lld", STR_ARG(s->o->meta.name), (long long)ordinal);
	if (name.failed)
		return -ENOMEM;
	/* One that somebody else made, or that is still ending, keeps the name. */
	if (store_get(c->store, KIND_pod, s->o->meta.ns, buf_str(&name)))
		return 0;
	snprintf(text, sizeof(text), "%lld", (long long)ordinal);
	int r = pod_from_template(&pod, s->o, s->spec->pod_template, buf_str(&name));
	if (r)
		return r;
	r = label_set(pod, STR("statefulset.kubernetes.io/pod-name"), buf_str(&name));
	if (!r)
		r = label_set(pod, STR("apps.kubernetes.io/pod-index"), str_of(text));
	if (!r)
		r = label_set(pod, REVISION_LABEL, str_of(s->revision));
	if (!r)
		r = add_claims(pod, s->spec->volume_claim_templates);
	pod->pod->spec->hostname = arena_str(&pod->arena, buf_str(&name));
	pod->pod->spec->subdomain = text_keep(&pod->arena, s->spec->service_name);
	if (r) {
		object_unref(&pod);
		return r;
	}
	return cluster_put(c, pod, NULL, rs);
}

/* Starts what is missing; true in *waits when a pod has to become available before anything else is done. */
static int start_pods(struct cluster *c, const struct set *s, bool *waits, struct remarks *rs)
{
	int r = 0;
	for (int64_t i = 0; i < s->want && !r; i++) {
		const struct object *pod = s->at[i];
		if (pod && pod_is_finished(pod) && !pod->meta.deletion_timestamp.n) {
			r = delete_owned(c, pod);
			pod = NULL;
		}
		if (!pod && !r)
			r = make_pod(c, s, s->first + i, rs);
		if (!s->parallel && !available(c, s, pod)) {
			*waits = true;
			return r;
		}
	}
	return r;
}

/* Ends what is beyond the wanted number, the highest first. */
static int end_pods(struct cluster *c, const struct set *s, bool *waits)
{
	const struct object *highest = NULL;
	int64_t number = -1;
	int r = 0;
	VEC_EACH (&s->pods->list, p) {
		int64_t n = ordinal_of(s, *p);
		if (n >= s->first && n < s->first + s->want)
			continue;
		*waits |= !s->parallel;
		if (s->parallel && !(*p)->meta.deletion_timestamp.n && !r)
			r = delete_owned(c, *p);
		if (!highest || n > number) {
			highest = *p;
			number = n;
		}
	}
	if (!s->parallel && highest && !highest->meta.deletion_timestamp.n)
		r = delete_owned(c, highest);
	return r;
}

/* Replaces pods of older templates, from the highest number down. */
static int replace_pods(struct cluster *c, const struct set *s)
{
	static const struct rolling_update none;
	const struct update_strategy *st = s->spec->update_strategy;
	const struct rolling_update *u = st && st->rolling_update ? st->rolling_update : &none;
	if (strategy_is(st, "OnDelete"))
		return 0;
	int64_t most = share_of(&u->max_unavailable, s->want, true, 1), missing = 0;
	int64_t partition = u->partition.set ? u->partition.v - s->first : 0;
	if (most < 1)
		most = 1;
	for (int64_t i = 0; i < s->want; i++)
		missing += !available(c, s, s->at[i]);
	int r = 0;
	for (int64_t i = s->want - 1; i >= 0 && i >= partition && !r; i--) {
		const struct object *pod = s->at[i];
		bool good = available(c, s, pod), old = pod && !revision_is(pod, s->revision);
		bool ending = pod && pod->meta.deletion_timestamp.n;
		/* One of an older template that is broken is missing already. */
		if (old && !ending && (missing < most || (!good && missing <= most))) {
			r = delete_owned(c, pod);
			missing += good;
		} else if (!good || old) {
			/* What is not well yet holds those below it, up to the bound. */
			if (missing >= most)
				return r;
		}
	}
	return r;
}

static int statefulset_status(struct cluster *c, const struct set *s)
{
	struct object *o = NULL;
	int64_t all = 0, ready = 0, good = 0, updated = 0, old = 0;
	for (int64_t i = 0; i < s->want; i++) {
		const struct object *pod = s->at[i];
		if (!pod || !pod_is_active(pod))
			continue;
		all++;
		ready += pod_is_ready(pod);
		good += available(c, s, pod);
		updated += revision_is(pod, s->revision);
	}
	VEC_EACH (&s->pods->list, p)
		old += pod_is_active(*p) && !revision_is(*p, s->revision);
	int r = object_clone(&o, s->o);
	if (r)
		return r;
	struct workload_status *st = o->statefulset->status;
	if (!st)
		st = o->statefulset->status = arena_new(&o->arena, struct workload_status);
	if (!st) {
		object_unref(&o);
		return -ENOMEM;
	}
	st->observed_generation = s->o->meta.generation;
	st->replicas = int_of(all);
	st->ready_replicas = int_of(ready);
	st->available_replicas = int_of(good);
	st->updated_replicas = int_of(updated);
	st->update_revision = arena_printf(&o->arena, STR_FMT "-%s", STR_ARG(s->o->meta.name), s->revision);
	/* The rollout is done when every pod is of the new template, and well. */
	if (!st->current_revision.n || (!old && updated == s->want && ready == s->want))
		st->current_revision = st->update_revision;
	st->current_replicas = int_of(str_eq(st->current_revision, st->update_revision) ? updated : old);
	return put_changed(c, o, s->o);
}

int statefulset_run(struct cluster *c, const struct object *o, struct remarks *rs)
{
	AUTO_OWNED pods = {0};
	struct set s = {.o = o, .spec = o->statefulset->spec, .pods = &pods.refs};
	bool waits = false;
	if (!s.spec || !s.spec->pod_template)
		return 0;
	revision_text(s.revision, s.spec->pod_template);
	s.want = replicas_of(&s.spec->replicas);
	s.first = first_ordinal(s.spec);
	if (s.want > REPLICAS_MAX)
		s.want = REPLICAS_MAX;
	/* Nobody's start is waited for where nothing runs. */
	s.parallel = !c->cfg.kubelet || str_eqz(s.spec->pod_management_policy, "Parallel");
	int r = owned_get(c, KIND_pod, o, &pods);
	s.at = calloc((size_t)s.want + 1, sizeof(*s.at));
	if (!s.at)
		return -ENOMEM;
	VEC_EACH (&pods.refs.list, p) {
		int64_t n = ordinal_of(&s, *p);
		if (n >= s.first && n < s.first + s.want)
			s.at[n - s.first] = *p;
	}
	if (!r)
		r = start_pods(c, &s, &waits, rs);
	if (!r && !waits)
		r = end_pods(c, &s, &waits);
	/* A pod of an older template that never gets well must not hold its own replacement. */
	if (!r)
		r = replace_pods(c, &s);
	if (!r)
		r = statefulset_status(c, &s);
	free(s.at);
	return r;
}
