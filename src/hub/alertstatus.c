/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Alert's status: what people and clients see of it, and what the next run of the hub goes on from: the
 * groups that are pending, fire or are over, since when, and who was told.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/alertstate.h"
#include "hub/copy.h"

static const char *const states[] = {"inactive", "pending", "firing", "resolved"};

const char *alert_label(const struct alert_terms *t, uint32_t i)
{
	return alert_by_label(t->by[i]);
}

/* Text that is to be told apart from what stands around it. */
static void add_quoted(struct buf *b, struct str v)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\n') {
			buf_addz(b, "\\n");
			continue;
		}
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, v.p[i]);
	}
	buf_addc(b, '"');
}

void alert_group_text(struct buf *b, const struct alert_live *l, const struct alert_group *g,
		      const char *state)
{
	const struct alert_terms *t = &l->rule->terms;
	const struct strmap *labels = &l->o->alert->spec->labels;

	buf_addz(b, "{alertname=");
	add_quoted(b, l->o->meta.name);
	if (state)
		buf_printf(b, ",alertstate=\"%s\"", state);
	for (uint32_t i = 0; i < t->n_by; i++) {
		buf_printf(b, ",%s=", alert_label(t, i));
		add_quoted(b, alert_group_value(g, i));
	}
	for (size_t i = 0; i < labels->len; i++) {
		buf_printf(b, "," STR_FMT "=", STR_ARG(labels->items[i].key));
		add_quoted(b, labels->items[i].value);
	}
	buf_addc(b, '}');
}

/* --- out ------------------------------------------------------------------------------------------- */

static struct str time_text(struct arena *a, int64_t seconds)
{
	char text[21];

	if (!seconds)
		return (struct str){0};
	clock_rfc3339(seconds, text);
	return arena_str(a, str_of(text));
}

static struct str value_text(struct arena *a, const struct alert_terms *t, uint64_t v)
{
	AUTO_BUF b = {0};

	alert_value_print(&b, t, v);
	return arena_str(a, buf_str(&b));
}

static int fill_labels(struct arena *a, const struct alert_live *l, const struct alert_group *g,
		       struct alert_instance *out)
{
	const struct alert_terms *t = &l->rule->terms;
	int r = strmap_set(a, &out->labels, STR("alertname"), arena_str(a, l->o->meta.name));

	for (uint32_t i = 0; i < t->n_by && !r; i++)
		r = strmap_set(a, &out->labels, str_of(alert_label(t, i)),
			       arena_str(a, alert_group_value(g, i)));
	const struct strmap *own = &l->o->alert->spec->labels;

	for (size_t i = 0; i < own->len && !r; i++)
		r = strmap_set(a, &out->labels, arena_str(a, own->items[i].key),
			       arena_str(a, own->items[i].value));
	return r;
}

static int fill_instance(struct arena *a, const struct alert_live *l, const struct alert_group *g,
			 struct alert_instance *out)
{
	const struct alert_terms *t = &l->rule->terms;
	const struct alert_receiver_list *to = &l->o->alert->spec->receivers;
	int r = fill_labels(a, l, g, out);

	out->fingerprint = arena_printf(a, "%016" PRIx64, alert_group_fingerprint(l->o->meta.name, t, g));
	out->state = str_of(states[g->state]);
	out->value = value_text(a, t, g->value);
	out->active_at = time_text(a, g->active_at);
	out->starts_at = time_text(a, g->starts_at);
	out->ends_at = time_text(a, g->ends_at);
	for (unsigned i = 0; i < l->n_hooks && !r && g->state >= ALERT_FIRING; i++)
		if (!(g->untold >> i & 1))
			r = strmap_set(a, &out->told, arena_str(a, to->items[i].name), out->state);
	return r ? r : out->fingerprint.p ? 0 : -ENOMEM;
}

static int fill_receivers(struct arena *a, const struct alert_live *l, struct alert_status *st)
{
	const struct alert_receiver_list *to = &l->o->alert->spec->receivers;
	struct alert_delivery *d = l->n_hooks ? arena_array(a, struct alert_delivery, l->n_hooks) : NULL;

	if (!l->n_hooks)
		return 0;
	if (!d)
		return -ENOMEM;
	for (unsigned i = 0; i < l->n_hooks; i++) {
		const struct alert_hook *h = &l->hooks[i];

		d[i] = (struct alert_delivery){.name = arena_str(a, to->items[i].name),
					       .sent = int_of((int64_t)h->taken),
					       .failed = int_of((int64_t)h->failed),
					       .lost = int_of((int64_t)(h->lost + l->rule->lost[i]))};
		if (h->why)
			d[i].message = arena_str(a, str_of(h->why));
	}
	st->receivers = (struct alert_delivery_list){.items = d, .len = l->n_hooks, .set = true};
	return 0;
}

static int fill_groups(struct arena *a, const struct alert_live *l, struct alert_status *st)
{
	size_t n = 0, counts[4] = {0};
	uint64_t most = 0;
	int r = 0;

	VEC_EACH (&l->rule->groups, g) {
		counts[(*g)->state]++;
		most = (*g)->value > most ? (*g)->value : most;
	}
	size_t all = counts[ALERT_PENDING] + counts[ALERT_FIRING] + counts[ALERT_RESOLVED];
	struct alert_instance *items = all ? arena_array(a, struct alert_instance, all) : NULL;

	if (all && !items)
		return -ENOMEM;
	VEC_EACH (&l->rule->groups, g)
		if ((*g)->state != ALERT_INACTIVE && !r)
			r = fill_instance(a, l, *g, &items[n++]);
	if (all)
		st->groups = (struct alert_instance_list){.items = items, .len = n, .set = true};
	st->firing = int_of((int64_t)counts[ALERT_FIRING]);
	st->pending = int_of((int64_t)counts[ALERT_PENDING]);
	st->value = value_text(a, &l->rule->terms, most);
	return r;
}

static int fill(struct object *o, const struct alert_live *l)
{
	struct arena *a = &o->arena;
	struct alert_status *st = o->alert->status = arena_new(a, struct alert_status);
	int r = st ? fill_groups(a, l, st) : -ENOMEM;

	if (!r)
		r = fill_receivers(a, l, st);
	if (r)
		return r;
	st->state = str_of(states[l->state]);
	st->since = arena_str(a, str_of(l->since));
	st->overflow = int_of((int64_t)l->rule->overflow);
	st->late = int_of((int64_t)l->rule->late);
	return 0;
}

int alert_status_write(struct alert_live *l, struct store *s)
{
	struct object *o = NULL;
	const struct object *now = store_get(s, KIND_alert, STR(""), l->o->meta.name);

	/* another one by now: its own is made at the next turn */
	if (!now || !str_eq(now->meta.uid, l->o->meta.uid))
		return 0;
	int r = object_clone(&o, now);

	if (!r)
		r = fill(o, l);
	if (r || object_same(o, now)) {
		object_unref(&o);
		return r;
	}
	return store_put(s, o, NULL);
}

/* --- in -------------------------------------------------------------------------------------------- */

static int64_t time_of(struct str text)
{
	int64_t t = 0;
	char z[64];

	snprintf(z, sizeof(z), STR_FMT, STR_ARG(text));
	return text.n && !clock_parse(z, &t) ? t : 0;
}

static uint64_t ago_ms(int64_t wall, int64_t then)
{
	return then && wall > then ? (uint64_t)(wall - then) * 1000 : 0;
}

static void restore_one(struct alert_live *l, const struct alert_instance *i, uint64_t now_ms, int64_t wall)
{
	const struct alert_terms *t = &l->rule->terms;
	const struct alert_receiver_list *to = &l->o->alert->spec->receivers;
	enum alert_state state = ALERT_INACTIVE;
	AUTO_BUF key = {0};

	for (enum alert_state s = ALERT_PENDING; s <= ALERT_RESOLVED; s++)
		if (str_eqz(i->state, states[s]))
			state = s;
	for (uint32_t k = 0; k < t->n_by; k++) {
		const struct str *v = strmap_get(&i->labels, str_of(alert_label(t, k)));

		if (!v)
			return; /* grouped otherwise now: it begins anew */
		buf_adds(&key, *v);
		buf_addc(&key, 0);
	}
	int64_t active = time_of(i->active_at), ends = time_of(i->ends_at);
	struct alert_group *g = state && !key.failed
				    ? alert_rule_restore(l->rule, buf_str(&key), state, now_ms,
							 ago_ms(wall, active), ago_ms(wall, ends))
				    : NULL;

	if (!g)
		return;
	g->active_at = active;
	g->starts_at = time_of(i->starts_at);
	g->ends_at = ends;
	for (unsigned k = 0; k < l->n_hooks && state >= ALERT_FIRING; k++) {
		const struct str *told = strmap_get(&i->told, to->items[k].name);

		if (!told || !str_eq(*told, i->state))
			g->untold |= (uint8_t)(1u << k);
	}
	if (state != ALERT_RESOLVED && state > l->state)
		l->state = state;
}

void alert_status_restore(struct alert_live *l, uint64_t now_ms, int64_t wall)
{
	const struct alert_status *st = l->o->alert->status;
	const struct alert_receiver_list *to = &l->o->alert->spec->receivers;

	if (!st)
		return;
	for (size_t i = 0; i < st->groups.len; i++)
		restore_one(l, &st->groups.items[i], now_ms, wall);
	if (str_eqz(st->state, states[l->state]) && st->since.n < sizeof(l->since))
		snprintf(l->since, sizeof(l->since), STR_FMT, STR_ARG(st->since));
	l->rule->overflow = (uint64_t)st->overflow.v;
	l->rule->late = (uint64_t)st->late.v;
	for (size_t i = 0; i < st->receivers.len; i++)
		for (unsigned k = 0; k < l->n_hooks; k++)
			if (str_eq(st->receivers.items[i].name, to->items[k].name)) {
				l->hooks[k].taken = (uint64_t)st->receivers.items[i].sent.v;
				l->hooks[k].failed = (uint64_t)st->receivers.items[i].failed.v;
				l->hooks[k].lost = (uint64_t)st->receivers.items[i].lost.v;
			}
}
