/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts in force: see alert.h. Which there are, what they look at, and once a second what follows. */
#include "hub/alertstate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/copy.h"
#include "hub/flows.h"
#include "hub/metrics.h"
#include "hub/nodelife.h"
#include "observe/alertset.h"

enum { ROOM = 64 << 20, REFRESH_MS = 3000, SILENT_MS = 15000 };

struct alerts {
	struct store *store;
	struct flows *flows;
	struct metrics *metrics;
	struct subscription *sub;
	struct webhooks *hooks;
	VEC(struct alert_live *) live;
	struct alert_set *set; /* of their rules; NULL: not made yet */
	size_t room;
	uint64_t silent; /* nodes that told nothing lately, as bits */
	bool stale;	 /* Alerts were written */
};

/* --- which there are ------------------------------------------------------------------------------- */

static void on_event(void *ctx, const struct event *e)
{
	struct alerts *a = ctx;

	a->stale |= e->object->desc->kind == KIND_alert;
}

static void live_free(struct alert_live *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->n_hooks; i++) {
		webhook_free(&l->hooks[i].hook);
		vec_free(&l->hooks[i].sent);
		free(l->hooks[i].why);
	}
	VEC_EACH (&l->lost, b)
		free(b->node);
	vec_free(&l->lost);
	alert_rule_free(&l->rule);
	struct object *o = (struct object *)(uintptr_t)l->o;

	object_unref(&o);
	free(l);
}

static struct alert_lost_base *base_of(struct alert_live *l, const char *node)
{
	VEC_EACH (&l->lost, b)
		if (!strcmp(b->node, node))
			return b;
	char *copy = strdup(node);

	if (!copy || vec_push(&l->lost, (struct alert_lost_base){.node = copy})) {
		free(copy);
		return NULL;
	}
	return &l->lost.items[l->lost.len - 1];
}

/* What was lost before the alert was there is not its matter. */
static void note_base(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost)
{
	struct alert_lost_base *b = base_of(ctx, node);

	(void)heard_ms;
	if (b)
		b->lost = lost;
}

static int make_hooks(struct alert_live *l, const struct alert_spec *s)
{
	for (size_t i = 0; i < s->receivers.len && i < ALERT_RECEIVERS_MAX; i++) {
		struct alert_hook *h = &l->hooks[i];

		*h = (struct alert_hook){.of = l, .number = (unsigned)i};
		h->hook = webhook_new(l->all->hooks, alert_noticed, h);
		if (!h->hook)
			return -ENOMEM;
		l->n_hooks++;
		l->rule->receivers |= (uint8_t)(1u << i);
	}
	return 0;
}

/* The filter was checked when the object was taken in. */
static int make_rule(struct alert_live *l, const struct alert_spec *s)
{
	AUTO(remarks_fini) struct remarks rs = {0};
	struct alert_terms t;
	struct filter *f = NULL;

	alert_terms(s, &t);
	int r = t.watch ? 0 : filter_parse(&f, s->filter, (struct pos){0}, &rs);

	if (!r)
		r = alert_rule_new(&l->rule, &t, f, &l->all->room, clock_ms());
	if (f)
		filter_unref(&f);
	return r;
}

static struct alert_live *live_new(struct alerts *a, const struct object *o)
{
	struct alert_live *l = calloc(1, sizeof(*l));
	const struct alert_spec *s = o->alert->spec;

	if (!l || !s) {
		free(l);
		return NULL;
	}
	l->all = a;
	l->o = object_ref(o);
	if (make_rule(l, s) || make_hooks(l, s)) {
		live_free(l);
		return NULL;
	}
	clock_rfc3339(clock_wall(), l->since);
	alert_status_restore(l, clock_ms(), clock_wall());
	flows_each_node(a->flows, note_base, l);
	l->dirty = true;
	return l;
}

static struct alert_live *live_of(struct alerts *a, const struct object *o)
{
	VEC_EACH (&a->live, l)
		if (str_eq((*l)->o->meta.uid, o->meta.uid))
			return *l;
	return NULL;
}

/* An Alert whose spec changed begins anew, with the groups that it had. */
static void take_over(struct alerts *a, const struct object *o)
{
	struct alert_live *l = live_of(a, o);

	if (l && object_same_spec(l->o, o)) {
		struct object *old = (struct object *)(uintptr_t)l->o;

		l->o = object_ref(o);
		object_unref(&old);
		l->seen = true;
		return;
	}
	l = live_new(a, o);
	if (!l || vec_push(&a->live, l)) {
		log_error("alert \"" STR_FMT "\" is not in force: out of memory", STR_ARG(o->meta.name));
		live_free(l);
		a->stale = true; /* the next turn tries again */
		return;
	}
	l->seen = true;
}

/* Without memory records are not looked at until the next turn, which tries again. */
static void gather(struct alerts *a)
{
	VEC(struct alert_rule *) rules = {};

	if (!vec_reserve(&rules, a->live.len))
		VEC_EACH (&a->live, l)
			rules.items[rules.len++] = (*l)->rule;
	if (rules.len < a->live.len || alert_set_new(&a->set, rules.items, rules.len)) {
		log_error("alerts do not look at records: out of memory");
		a->stale = true;
	}
	vec_free(&rules);
}

void alerts_settle(struct alerts *a)
{
	struct object_refs all = {0};
	size_t kept = 0;

	if (!a->stale || store_list(a->store, KIND_alert, STR(""), &all))
		return;
	a->stale = false;
	alert_set_free(&a->set); /* before its rules go */
	VEC_EACH (&all.list, o)
		take_over(a, *o);
	vec_free(&all.list);
	VEC_EACH (&a->live, l) {
		if (!(*l)->seen) {
			live_free(*l);
			continue;
		}
		(*l)->seen = false;
		a->live.items[kept++] = *l;
	}
	a->live.len = kept;
	gather(a);
}

/* --- what they look at ----------------------------------------------------------------------------- */

bool alerts_want(const struct alerts *a)
{
	return a->set && alert_set_wants(a->set);
}

void alerts_take(struct alerts *a, const struct sight *s)
{
	if (a->set)
		alert_set_take(a->set, s);
}

static void note_silent(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost)
{
	struct alerts *a = ctx;

	(void)lost;
	if (clock_ms() - heard_ms > SILENT_MS)
		a->silent |= alert_node_bit(str_of(node));
}

static void put_lost(void *ctx, const char *node, uint64_t heard_ms, uint64_t lost)
{
	struct alert_live *l = ctx;
	struct alert_lost_base *b = base_of(l, node);

	(void)heard_ms;
	if (b && lost > b->lost)
		alert_rule_put(l->rule, str_of(node), lost - b->lost, clock_ms());
	if (b)
		b->lost = lost;
}

static void put_sums(void *ctx, struct str node, unsigned wrong)
{
	struct alert_live *l = ctx;

	alert_rule_put(l->rule, node, wrong, clock_ms());
}

/* A node that is gone is not unknown. */
static void put_nodes(struct alert_live *l)
{
	struct object_refs nodes = {0};

	VEC_EACH (&l->rule->groups, g) {
		struct str node = alert_group_value(*g, 0);

		if (!store_get(l->all->store, KIND_node, STR(""), node))
			alert_rule_put(l->rule, node, 0, clock_ms());
	}
	if (l->rule->terms.watch != ALERT_NODE_UNKNOWN ||
	    store_list(l->all->store, KIND_node, STR(""), &nodes))
		return;
	VEC_EACH (&nodes.list, n)
		alert_rule_put(l->rule, (*n)->meta.name, nodelife_is_lost(*n), clock_ms());
	vec_free(&nodes.list);
}

static void look(struct alert_live *l)
{
	enum alert_watch watch = l->rule->terms.watch;

	if (watch == ALERT_RECORDS_LOST)
		flows_each_node(l->all->flows, put_lost, l);
	if (watch == ALERT_SUMS_DIFFER)
		metrics_each_sum(l->all->metrics, put_sums, l);
	if (watch == ALERT_NODE_UNKNOWN || watch == ALERT_SUMS_DIFFER)
		put_nodes(l);
}

/* --- what follows ---------------------------------------------------------------------------------- */

static void on_changed(void *ctx, const struct alert_group *g, enum alert_state before)
{
	static const char *const words[] = {"is inactive again", "is pending", "fires", "is over"};
	struct alert_live *l = ctx;
	const struct alert_terms *t = &l->rule->terms;
	AUTO_BUF text = {0}, value = {0}, above = {0};

	(void)before;
	l->dirty = true;
	alert_group_text(&text, l, g, NULL);
	alert_value_print(&value, t, g->value);
	alert_value_print(&above, t, t->above);
	if (!text.failed && !value.failed && !above.failed)
		log_at(g->state == ALERT_FIRING ? LOG_WARN : LOG_INFO, "alert %s %s: %s, threshold %s",
		       text.p, words[g->state], value.p, above.p);
}

static void judge(struct alert_live *l)
{
	enum alert_state was = l->state;
	const struct alert_tick t = {.now_ms = clock_ms(),
				     .wall = clock_wall(),
				     .silent = l->all->silent,
				     .changed = on_changed,
				     .ctx = l};

	alert_rule_tick(l->rule, &t);
	l->state = ALERT_INACTIVE;
	VEC_EACH (&l->rule->groups, g)
		if ((*g)->state != ALERT_RESOLVED && (*g)->state > l->state)
			l->state = (*g)->state;
	if (l->state != was)
		clock_rfc3339(t.wall, l->since);
}

void alerts_tick(struct alerts *a)
{
	uint64_t now = clock_ms();

	a->silent = 0;
	flows_each_node(a->flows, note_silent, a);
	VEC_EACH (&a->live, it) {
		struct alert_live *l = *it;

		look(l);
		judge(l);
		for (unsigned i = 0; i < l->n_hooks; i++)
			alert_notice(&l->hooks[i], a->store, now);
		if (!l->dirty && now - l->written_ms < REFRESH_MS)
			continue;
		l->dirty = alert_status_write(l, a->store) != 0;
		l->written_ms = now;
	}
}

static void each_counter(const struct alerts *a, struct buf *out, const char *name, const char *help,
			 bool late)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
	VEC_EACH (&a->live, l)
		buf_printf(out, "%s{alertname=\"" STR_FMT "\"} %" PRIu64 "\n", name,
			   STR_ARG((*l)->o->meta.name), late ? (*l)->rule->late : (*l)->rule->overflow);
}

static void each_notice(const struct alert_live *l, struct buf *out)
{
	static const char *const results[] = {"taken", "failed", "lost"};

	for (unsigned i = 0; i < l->n_hooks; i++) {
		const struct alert_hook *h = &l->hooks[i];
		uint64_t v[] = {h->taken, h->failed, h->lost + l->rule->lost[i]};

		for (unsigned k = 0; k < ARRAY_LEN(v); k++)
			buf_printf(out,
				   "weft_alert_notices_total{alertname=\"" STR_FMT "\",receiver=\"" STR_FMT
				   "\",result=\"%s\"} %" PRIu64 "\n",
				   STR_ARG(l->o->meta.name),
				   STR_ARG(l->o->alert->spec->receivers.items[i].name), results[k], v[k]);
	}
}

void alerts_metrics(const struct alerts *a, struct buf *out)
{
	static const char *const states[] = {"", "pending", "firing", ""};

	buf_addz(out, "# HELP weft_alerts 1 for each group of an Alert that is pending or fires.\n"
		      "# TYPE weft_alerts gauge\n");
	VEC_EACH (&a->live, l)
		VEC_EACH (&(*l)->rule->groups, g)
			if (*states[(*g)->state]) {
				buf_addz(out, "weft_alerts");
				alert_group_text(out, *l, *g, states[(*g)->state]);
				buf_addz(out, " 1\n");
			}
	each_counter(a, out, "weft_alert_records_late_total",
		     "Records that came when their window was over, and did not count.", true);
	each_counter(a, out, "weft_alert_records_overflow_total",
		     "Records whose group found no room, and did not count.", false);
	buf_addz(out, "# HELP weft_alert_notices_total Notices to receivers, and posts that failed.\n"
		      "# TYPE weft_alert_notices_total counter\n");
	VEC_EACH (&a->live, l)
		each_notice(*l, out);
}

/* --- life ------------------------------------------------------------------------------------------ */

int alerts_new(struct alerts **out, uv_loop_t *loop, struct store *s, struct flows *f, struct metrics *m)
{
	struct alerts *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->store = s;
	a->flows = f;
	a->metrics = m;
	a->room = ROOM;
	a->stale = true;
	int r = webhooks_new(&a->hooks, loop);

	if (!r)
		r = store_subscribe(s, on_event, a, &a->sub);
	if (r) {
		if (a->hooks)
			webhooks_free(&a->hooks);
		free(a);
		return r;
	}
	flows_set_alerts(f, a);
	*out = a;
	return 0;
}

void alerts_stop(struct alerts *a)
{
	if (!a)
		return;
	alert_set_free(&a->set);
	VEC_EACH (&a->live, l)
		live_free(*l);
	vec_free(&a->live);
	webhooks_stop(a->hooks);
}

void alerts_free(struct alerts **pa)
{
	struct alerts *a = *pa;

	if (!a)
		return;
	flows_set_alerts(a->flows, NULL);
	store_unsubscribe(&a->sub);
	webhooks_free(&a->hooks);
	free(TAKE(*pa));
}
