/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alert at work: see alert.h. What a group's window holds is in window.c; here is who it belongs to, and
 * what follows from it.
 */
#include "observe/alert.h"

#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "observe/window.h"

enum { RETAIN_MS = 15 * 60000, GIVE_UP_MS = 60 * 60000, KEY_MAX = 1024 };

int alert_rule_new(struct alert_rule **out, const struct alert_terms *t, struct filter *f, size_t *room,
		   uint64_t now_ms)
{
	struct alert_rule *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->terms = *t;
	a->filter = f ? filter_ref(f) : NULL;
	a->slot_ms = t->window_ms / ALERT_SLOTS ? t->window_ms / ALERT_SLOTS : 1;
	a->room = room;
	a->began_ms = now_ms;
	*out = a;
	return 0;
}

static void group_free(struct alert_rule *a, struct alert_group *g)
{
	*a->room += window_bytes(&a->terms) + g->key.n;
	free(g->times);
	free((char *)(uintptr_t)g->key.p);
	free(g);
}

void alert_rule_free(struct alert_rule **pa)
{
	struct alert_rule *a = *pa;

	if (!a)
		return;
	VEC_EACH (&a->groups, g)
		group_free(a, *g);
	vec_free(&a->groups);
	hash_fini(&a->by_key);
	if (a->filter)
		filter_unref(&a->filter);
	free(TAKE(*pa));
}

uint64_t alert_node_bit(struct str node)
{
	return UINT64_C(1) << (hash_bytes(node.p, node.n, 0) % 64);
}

/* --- groups ---------------------------------------------------------------------------------------- */

/* NULL: no room, or no memory. */
static struct alert_group *group_new(struct alert_rule *a, struct str key)
{
	size_t bytes = window_bytes(&a->terms) + key.n;
	struct alert_group *g;

	if (a->groups.len >= a->terms.max_groups || *a->room < bytes ||
	    vec_reserve(&a->groups, a->groups.len + 1))
		return NULL;
	g = calloc(1, sizeof(*g));
	char *copy = malloc(key.n + 1);

	*a->room -= bytes;
	if (g && copy) {
		if (key.n)
			memcpy(copy, key.p, key.n);
		g->key = (struct str){copy, key.n};
	}
	if (g && copy && !window_open(&a->terms, g) && !hash_set(&a->by_key, g->key, g, NULL)) {
		a->groups.items[a->groups.len++] = g;
		return g;
	}
	*a->room += bytes;
	if (g)
		free(g->times);
	free(copy);
	free(g);
	return NULL;
}

static struct alert_group *group_of(struct alert_rule *a, struct str key)
{
	struct alert_group *g = hash_get(&a->by_key, key);

	return g ? g : group_new(a, key);
}

struct str alert_group_value(const struct alert_group *g, uint32_t i)
{
	struct str rest = g->key, v = {0};

	for (uint32_t k = 0; k <= i; k++)
		v = str_cut(&rest, 0);
	return v;
}

uint64_t alert_group_fingerprint(struct str name, const struct alert_terms *t, const struct alert_group *g)
{
	uint64_t h = hash_bytes(name.p, name.n, 0);

	for (uint32_t i = 0; i < t->n_by; i++) {
		const char *by = alert_by_name(t->by[i]);

		h = hash_bytes(by, strlen(by), h);
	}
	return hash_bytes(g->key.p, g->key.n, h);
}

/* --- keys ------------------------------------------------------------------------------------------ */

static void add_name(struct buf *b, struct str ns, struct str name)
{
	if (ns.n && name.n) {
		buf_adds(b, ns);
		buf_addc(b, '/');
	}
	buf_adds(b, name);
}

static void add_pod(struct buf *b, const struct identity *who)
{
	if (who && who->kind == IDENTITY_POD)
		add_name(b, who->ns, who->name);
}

static void add_address(struct buf *b, const struct addr *a)
{
	char text[ADDR_TEXT];

	addr_print(a, text);
	buf_addz(b, text);
}

static const char *reason_name(unsigned reason)
{
	switch (reason) {
#define DROP(id, number, text, ...)                                                                          \
	case number:                                                                                         \
		return text;
#include "tables/drops.def"
#undef DROP
	}
	return "";
}

static void add_value(struct buf *b, enum alert_by by, const struct record *r)
{
	static const struct identity nobody = {0};
	const struct identity *from = r->from.who ? r->from.who : &nobody,
			      *to = r->to.who ? r->to.who : &nobody;

	switch (by) {
	case ALERT_SRC_POD:
		add_pod(b, from);
		break;
	case ALERT_DST_POD:
		add_pod(b, to);
		break;
	case ALERT_SRC_WORKLOAD:
		add_name(b, from->ns, from->workload);
		break;
	case ALERT_DST_WORKLOAD:
		add_name(b, to->ns, to->workload);
		break;
	case ALERT_SRC_NS:
		buf_adds(b, from->ns);
		break;
	case ALERT_DST_NS:
		buf_adds(b, to->ns);
		break;
	case ALERT_SRC_NODE:
		buf_adds(b, from->node);
		break;
	case ALERT_DST_NODE:
		buf_adds(b, to->node);
		break;
	case ALERT_SRC_IP:
		add_address(b, &r->from.addr);
		break;
	case ALERT_DST_IP:
		add_address(b, &r->to.addr);
		break;
	case ALERT_SERVICE:
		if (r->service)
			add_name(b, r->service->ns, r->service->name);
		break;
	case ALERT_SEEN_NODE:
		buf_addz(b, r->node);
		break;
	case ALERT_REASON:
		buf_addz(b, reason_name(r->reason));
		break;
	case ALERT_DST_PORT:
		buf_printf(b, "%u", r->to.port);
		break;
	case ALERT_BY_COUNT:
		break;
	}
}

/* --- what comes ------------------------------------------------------------------------------------ */

static uint64_t total(enum alert_measure m, const struct record *r)
{
	switch (m) {
	case ALERT_BYTES:
		return r->bytes[0] + r->bytes[1];
	case ALERT_PACKETS:
		return r->packets[0] + r->packets[1];
	case ALERT_RETRANSMITS:
		return r->retransmits[0] + r->retransmits[1];
	default:
		return 1;
	}
}

static uint64_t distinct(enum alert_measure m, const struct record *r)
{
	uint64_t h = m == ALERT_SOURCES ? hash_bytes(r->from.addr.b, 16, 1) : hash_bytes(r->to.addr.b, 16, 1);

	return m == ALERT_PORTS ? hash_bytes(&r->to.port, sizeof(r->to.port), h + r->proto) : h;
}

/* A TCP connection is, as soon as both ends have said so: its entry stays for a while. */
static bool is_over(const struct record *r)
{
	return r->kind == RECORD_FLOW && (r->ended || r->state > STATE_OPEN);
}

/* What the record adds; false: nothing. `counted`: what `before` was, has been added. */
static bool added(const struct alert_rule *a, const struct sight *s, bool counted, struct window_sample *out)
{
	const struct record *r = s->now, *before = counted ? s->before : NULL;
	enum alert_measure m = a->terms.measure;
	bool grew = !before || total(ALERT_PACKETS, r) > total(ALERT_PACKETS, before);

	out->n = !counted && !s->older;
	if (alert_is_sum(m)) {
		/* a question's packets are those of its flow */
		if (r->kind == RECORD_DNS && m != ALERT_RECORDS)
			return false;
		uint64_t was = before ? total(m, before) : 0, is = total(m, r);

		out->v = s->older || is < was ? 0 : is - was;
		out->n = out->n || out->v;
		return out->n;
	}
	switch (m) {
	case ALERT_HANDSHAKE:
		out->v = (uint64_t)r->handshake_us * 1000;
		out->n = out->v && !s->older && !(before && before->handshake_us);
		break;
	case ALERT_RTT:
		out->v = record_rtt(r) * 1000;
		out->n = out->v && grew;
		break;
	case ALERT_DURATION:
		out->v = (uint64_t)(r->last - r->first);
		out->n = is_over(r) && !(before && is_over(before));
		break;
	default:
		out->v = distinct(m, r);
		out->n = !s->older && (out->n || grew);
		break;
	}
	return out->n;
}

void alert_rule_take(struct alert_rule *a, const struct sight *s)
{
	const struct record *r = s->now;
	struct window_sample sample = {0};
	AUTO_BUF key = {0};

	if (!a->filter || r->again || !filter_record(a->filter, r))
		return;
	/* what began before us, and is over: nobody knows how much of it was counted */
	a->late += s->older && !s->before && r->ended;
	if (!added(a, s, s->before && filter_record(a->filter, s->before), &sample))
		return;
	/* before the window, or before this machine started: the node's clock was set, or it was away */
	if (s->age_ms > s->now_ms || !window_holds(a->slot_ms, s->now_ms, s->now_ms - s->age_ms)) {
		a->late++;
		return;
	}
	for (uint32_t i = 0; i < a->terms.n_by; i++) {
		add_value(&key, a->terms.by[i], r);
		buf_addc(&key, 0);
	}
	struct alert_group *g = key.failed || key.n > KEY_MAX ? NULL : group_of(a, buf_str(&key));

	if (!g) {
		a->overflow++;
		return;
	}
	g->nodes |= alert_node_bit(str_of(r->node));
	window_add(&a->terms, g, (s->now_ms - s->age_ms) / a->slot_ms, &sample);
}

static bool is_gauge(const struct alert_rule *a)
{
	return a->terms.watch && a->terms.watch != ALERT_RECORDS_LOST;
}

void alert_rule_put(struct alert_rule *a, struct str node, uint64_t value, uint64_t now_ms)
{
	AUTO_BUF key = {0};

	buf_adds(&key, node);
	buf_addc(&key, 0);
	struct alert_group *g = key.failed ? NULL : hash_get(&a->by_key, buf_str(&key));

	if (!g && !value)
		return;
	g = g ? g : group_new(a, buf_str(&key));
	if (!g) {
		a->overflow++;
		return;
	}
	g->restored = false; /* a state is known at once */
	if (is_gauge(a))
		g->value = value;
	else if (value)
		window_add(&a->terms, g, now_ms / a->slot_ms, &(struct window_sample){.v = value, .n = 1});
}

/* --- what follows ---------------------------------------------------------------------------------- */

static void move(struct alert_rule *a, struct alert_group *g, enum alert_state to, const struct alert_tick *t)
{
	enum alert_state before = g->state;

	if (to == ALERT_FIRING || to == ALERT_RESOLVED) {
		/* what a receiver has not heard by now, it never will */
		for (unsigned i = 0; i < ALERT_RECEIVERS_MAX; i++)
			a->lost[i] += to == ALERT_FIRING && (g->untold >> i & 1);
		g->untold = a->receivers;
	}
	g->state = to;
	if (to == ALERT_FIRING)
		g->starts_at = t->wall;
	if (to == ALERT_RESOLVED) {
		g->ends_at = t->wall;
		g->ended_ms = t->now_ms;
	}
	g->over_ms = 0;
	if (t->changed)
		t->changed(t->ctx, g, before);
}

static void judge(struct alert_rule *a, struct alert_group *g, const struct alert_tick *t)
{
	uint64_t n = 1;

	if (!is_gauge(a))
		g->value = window_value(&a->terms, g, t->now_ms / a->slot_ms, &n);
	bool active = n >= a->terms.min_records &&
		      g->value > (g->state == ALERT_FIRING ? a->terms.resolve : a->terms.above);
	bool unheard = g->restored && t->now_ms - a->began_ms < a->terms.window_ms;

	g->restored = g->restored && unheard && !active;
	g->held = !active && (unheard || (!a->terms.watch && (g->nodes & t->silent)));
	if (g->held)
		return;
	switch (g->state) {
	case ALERT_INACTIVE:
	case ALERT_RESOLVED:
		if (!active)
			return;
		g->active_ms = t->now_ms;
		g->active_at = t->wall;
		g->ends_at = 0;
		move(a, g, a->terms.wait_ms ? ALERT_PENDING : ALERT_FIRING, t);
		break;
	case ALERT_PENDING:
		if (!active)
			move(a, g, ALERT_INACTIVE, t);
		else if (t->now_ms - g->active_ms >= a->terms.wait_ms)
			move(a, g, ALERT_FIRING, t);
		break;
	case ALERT_FIRING:
		if (active)
			g->over_ms = 0;
		else if (!g->over_ms)
			g->over_ms = t->now_ms ? t->now_ms : 1;
		if (g->over_ms && t->now_ms - g->over_ms >= a->terms.keep_ms)
			move(a, g, ALERT_RESOLVED, t);
		break;
	}
}

static bool is_done(struct alert_rule *a, struct alert_group *g, uint64_t now_ms)
{
	uint64_t n = is_gauge(a) ? g->value : 0;

	if (g->state == ALERT_PENDING || g->state == ALERT_FIRING)
		return false;
	if (!is_gauge(a))
		window_value(&a->terms, g, now_ms / a->slot_ms, &n);
	if (n)
		return false;
	if (g->state == ALERT_INACTIVE)
		return true;
	uint64_t since = now_ms - g->ended_ms;

	if (since < RETAIN_MS || (g->untold && since < GIVE_UP_MS))
		return false;
	for (unsigned i = 0; i < ALERT_RECEIVERS_MAX; i++)
		a->lost[i] += g->untold >> i & 1;
	return true;
}

void alert_rule_tick(struct alert_rule *a, const struct alert_tick *t)
{
	size_t kept = 0;

	VEC_EACH (&a->groups, it) {
		struct alert_group *g = *it;

		judge(a, g, t);
		if (is_done(a, g, t->now_ms)) {
			hash_del(&a->by_key, g->key);
			group_free(a, g);
		} else {
			a->groups.items[kept++] = g;
		}
	}
	a->groups.len = kept;
}

struct alert_group *alert_rule_restore(struct alert_rule *a, struct str key, enum alert_state state,
				       uint64_t now_ms, uint64_t active_ago_ms, uint64_t ended_ago_ms)
{
	struct alert_group *g = hash_get(&a->by_key, key) ? NULL : group_new(a, key);

	if (!g)
		return NULL;
	g->state = state;
	g->restored = state != ALERT_RESOLVED;
	/* the machine may have been started since */
	g->active_ms = now_ms > active_ago_ms ? now_ms - active_ago_ms : 0;
	g->ended_ms = now_ms > ended_ago_ms ? now_ms - ended_ago_ms : 0;
	return g;
}
