/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and small steps that rollouts of all kinds are made of. Decides nothing itself. See rollout.h. */
#include "hub/rollout.h"

#include <errno.h>

#include "base/clock.h"
#include "hub/condition.h"
#include "hub/copy.h"
#include "hub/names.h"
#include "hub/note.h"
#include "hub/podmake.h"

int64_t share_of(const struct intstr *v, int64_t total, bool up, int64_t unset)
{
	int64_t percent = 0;
	if (v->type == INTSTR_INT)
		return v->i;
	struct str digits = v->s;
	if (v->type != INTSTR_STR || !digits.n)
		return unset;
	digits.n--;
	if (str_to_i64(digits, 0, INT32_MAX, &percent))
		return unset;
	return (percent * total + (up ? 99 : 0)) / 100;
}

void rollout_bounds(const struct deployment_spec *spec, int64_t replicas, int64_t *surge,
		    int64_t *unavailable)
{
	static const struct rolling_update none;
	const struct rolling_update *u =
	    spec->strategy && spec->strategy->rolling_update ? spec->strategy->rolling_update : &none;
	*surge = share_of(&u->max_surge, replicas, true, (replicas + 3) / 4);
	*unavailable = share_of(&u->max_unavailable, replicas, false, replicas / 4);
	/* Two percentages may both round to nothing: then one pod goes first. */
	if (!*surge && !*unavailable)
		*unavailable = 1;
	if (*unavailable > replicas)
		*unavailable = replicas;
}

bool strategy_is(const struct update_strategy *s, const char *type)
{
	return s && str_eqz(s->type, type);
}

bool pod_is_available(struct cluster *c, const struct object *owner, const struct object *pod,
		      const struct opt_int *min_ready)
{
	char text[32];
	int64_t since;
	if (!pod_is_active(pod) || !pod_is_ready(pod))
		return false;
	if (!min_ready->set || min_ready->v <= 0 || !*c->now)
		return true;
	int64_t faster = c->cfg.faster ? c->cfg.faster : 1, wait = (min_ready->v + faster - 1) / faster;
	/* A stamp of a time to come, from before a restart: nobody waits for that. */
	const struct condition *ready = condition_find(&pod->pod->status->conditions, "Ready");
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(ready->last_transition_time));
	if (clock_parse(text, &since))
		return true;
	since = cluster_since(c, since);
	if (since < 0 || since >= wait)
		return true;
	note_later(c, owner);
	return false;
}

int owned_get(struct cluster *c, enum kind k, const struct object *owner, struct owned *out)
{
	int r = store_owned_by(c->store, k, owner->meta.uid, &out->refs);
	VEC_EACH (&out->refs.list, p)
		*p = object_ref(*p);
	return r;
}

void owned_put(struct owned *w)
{
	VEC_EACH (&w->refs.list, p)
		object_unref((struct object **)(uintptr_t)p);
	vec_free(&w->refs.list);
}

void revision_text(char out[11], const struct pod_template *t)
{
	name_suffix(out, 10, template_hash(t));
}

bool revision_is(const struct object *pod, const char *revision)
{
	const struct str *label = strmap_get(&pod->meta.labels, REVISION_LABEL);
	return label && str_eqz(*label, revision);
}

int label_set(struct object *o, struct str key, struct str value)
{
	struct arena *a = &o->arena;
	struct str k = arena_str(a, key), v = arena_str(a, value);
	return k.p && v.p ? strmap_set(a, &o->meta.labels, k, v) : -ENOMEM;
}

int put_changed(struct cluster *c, struct object *o, const struct object *old)
{
	if (object_same(o, old)) {
		object_unref(&o);
		return 0;
	}
	return store_put(c->store, o, NULL);
}

int delete_owned(struct cluster *c, const struct object *o)
{
	int r = cluster_delete(c, o, -1);
	return r == -ENOENT ? 0 : r;
}
