/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices to receivers: what one does not know yet goes into one post, as Alertmanager's webhook sends it
 * (version 4) or as its API takes it. Nothing waits in a queue: a group remembers who was not told its state,
 * so what can wait is bounded by the groups.
 */
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "hub/alertstate.h"

enum { POST_MAX = 100, REPEAT_MS = 60000, TIMEOUT_S = 10, LASTS_S = 240 };

static const struct alert_receiver *receiver_of(const struct alert_hook *h)
{
	return &h->of->o->alert->spec->receivers.items[h->number];
}

static bool to_alertmanager(const struct alert_hook *h)
{
	return str_eqz(receiver_of(h)->form, "alertmanager");
}

/* --- the text -------------------------------------------------------------------------------------- */

static void add_pair(struct buf *b, struct str key, struct str value)
{
	buf_addz(b, b->p[b->n - 1] == '{' ? "" : ",");
	buf_json(b, key);
	buf_addc(b, ':');
	buf_json(b, value);
}

static void add_map(struct buf *b, const struct strmap *m)
{
	for (size_t i = 0; i < m->len; i++)
		add_pair(b, m->items[i].key, m->items[i].value);
}

/* g NULL: those that all groups have. */
static void add_labels(struct buf *b, const struct alert_live *l, const struct alert_group *g)
{
	const struct alert_terms *t = &l->rule->terms;

	buf_addc(b, '{');
	add_pair(b, STR("alertname"), l->o->meta.name);
	for (uint32_t i = 0; g && i < t->n_by; i++)
		add_pair(b, str_of(alert_label(t, i)), alert_group_value(g, i));
	add_map(b, &l->o->alert->spec->labels);
	buf_addc(b, '}');
}

static void add_annotations(struct buf *b, const struct alert_live *l, const struct alert_group *g)
{
	const struct strmap *own = &l->o->alert->spec->annotations;
	const struct alert_terms *t = &l->rule->terms;
	AUTO_BUF value = {0}, above = {0};

	buf_addc(b, '{');
	add_map(b, own);
	if (g && !strmap_get(own, STR("value"))) {
		alert_value_print(&value, t, g->value);
		add_pair(b, STR("value"), buf_str(&value));
	}
	if (g && !strmap_get(own, STR("threshold"))) {
		alert_value_print(&above, t, t->above);
		add_pair(b, STR("threshold"), buf_str(&above));
	}
	buf_addc(b, '}');
}

static void add_time(struct buf *b, const char *name, int64_t seconds)
{
	char text[21];

	clock_rfc3339(seconds, text);
	buf_printf(b, ",\"%s\":\"%s\"", name, text);
}

static void add_alert(struct buf *b, const struct alert_hook *h, const struct alert_group *g)
{
	const struct alert_live *l = h->of;
	bool firing = g->state == ALERT_FIRING, api = to_alertmanager(h);

	buf_addc(b, '{');
	if (!api)
		buf_printf(b, "\"status\":\"%s\",", firing ? "firing" : "resolved");
	buf_addz(b, "\"labels\":");
	add_labels(b, l, g);
	buf_addz(b, ",\"annotations\":");
	add_annotations(b, l, g);
	add_time(b, "startsAt", g->starts_at);
	if (!firing)
		add_time(b, "endsAt", g->ends_at);
	else if (api) /* unless it hears more, Alertmanager takes it as over then */
		add_time(b, "endsAt", clock_wall() + LASTS_S);
	else
		buf_addz(b, ",\"endsAt\":\"0001-01-01T00:00:00Z\"");
	buf_addz(b, ",\"generatorURL\":\"\"");
	if (!api)
		buf_printf(b, ",\"fingerprint\":\"%016" PRIx64 "\"",
			   alert_group_fingerprint(l->o->meta.name, &l->rule->terms, g));
	buf_addc(b, '}');
}

static void add_head(struct buf *b, const struct alert_hook *h, bool firing)
{
	const struct alert_live *l = h->of;
	AUTO_BUF key = {0};

	buf_addz(&key, "{}:{alertname=");
	buf_json(&key, l->o->meta.name);
	buf_addc(&key, '}');
	buf_addz(b, "{\"version\":\"4\",\"groupKey\":");
	buf_json(b, buf_str(&key));
	buf_printf(b,
		   ",\"truncatedAlerts\":0,\"status\":\"%s\",\"receiver\":", firing ? "firing" : "resolved");
	buf_json(b, receiver_of(h)->name);
	buf_addz(b, ",\"groupLabels\":{");
	add_pair(b, STR("alertname"), l->o->meta.name);
	buf_addz(b, "},\"commonLabels\":");
	add_labels(b, l, NULL);
	buf_addz(b, ",\"commonAnnotations\":");
	add_annotations(b, l, NULL);
	buf_addz(b, ",\"externalURL\":\"\",\"alerts\":");
}

/* --- which are due --------------------------------------------------------------------------------- */

/* Alertmanager forgets what it does not hear again. */
static bool is_due(const struct alert_hook *h, const struct alert_group *g, bool again)
{
	if (g->state < ALERT_FIRING)
		return false;
	return g->untold >> h->number & 1 || (again && g->state == ALERT_FIRING);
}

static bool choose(struct alert_hook *h, uint64_t now_ms, bool *firing)
{
	struct alert_live *l = h->of;
	bool again = to_alertmanager(h) && now_ms - h->sent_ms >= REPEAT_MS;

	h->sent.len = 0;
	*firing = false;
	VEC_EACH (&l->rule->groups, g) {
		struct alert_sent one = {.starts_at = (*g)->starts_at, .state = (*g)->state};

		if (!is_due(h, *g, again) || h->sent.len == POST_MAX)
			continue;
		one.fingerprint = alert_group_fingerprint(l->o->meta.name, &l->rule->terms, *g);
		if (vec_push(&h->sent, one))
			break; /* the next post */
		*firing |= (*g)->state == ALERT_FIRING;
	}
	return h->sent.len;
}

static const struct alert_sent *sent_of(const struct alert_hook *h, const struct alert_group *g)
{
	uint64_t f = alert_group_fingerprint(h->of->o->meta.name, &h->of->rule->terms, g);

	VEC_EACH (&h->sent, s)
		if (s->fingerprint == f && s->state == g->state && s->starts_at == g->starts_at)
			return s;
	return NULL;
}

static void write_body(const struct alert_hook *h, bool firing, struct buf *b)
{
	size_t n = 0;

	if (!to_alertmanager(h))
		add_head(b, h, firing);
	buf_addc(b, '[');
	VEC_EACH (&h->of->rule->groups, g)
		if (sent_of(h, *g)) {
			buf_addz(b, n++ ? "," : "");
			add_alert(b, h, *g);
		}
	buf_addz(b, to_alertmanager(h) ? "]" : "]}");
}

/* --- secrets --------------------------------------------------------------------------------------- */

static bool decode(const char *text, struct buf *out)
{
	gnutls_datum_t in = {.data = (unsigned char *)(uintptr_t)text, .size = (unsigned)strlen(text)},
		       raw = {0};

	if (gnutls_base64_decode2(&in, &raw))
		return false;
	buf_add(out, raw.data, raw.size);
	gnutls_memset(raw.data, 0, raw.size);
	gnutls_free(raw.data);
	return !out->failed;
}

/* The value, without white space around it; false: `why` says what is missing, by name only. */
static bool read_secret(struct store *s, const struct alert_key *ref, struct buf *out, struct buf *why)
{
	const struct object *o = ref ? store_get(s, KIND_secret, ref->ns, ref->name) : NULL;
	AUTO_BUF key = {0};

	if (!ref)
		return true;
	buf_adds(&key, ref->key);
	json_t *j = o && !key.failed ? json_loadb(o->opaque.p, o->opaque.n, 0, NULL) : NULL;
	const char *plain = json_string_value(json_object_get(json_object_get(j, "stringData"), key.p)),
		   *data = json_string_value(json_object_get(json_object_get(j, "data"), key.p));
	bool there = plain || (data && decode(data, out));

	if (plain)
		buf_addz(out, plain);
	json_decref(j);
	while (out->n && (unsigned char)out->p[out->n - 1] <= ' ')
		out->p[--out->n] = 0;
	if (there && out->n)
		return true;
	buf_printf(why, "Secret " STR_FMT "/" STR_FMT " %s " STR_FMT, STR_ARG(ref->ns), STR_ARG(ref->name),
		   o ? "has no" : "is not there, which should have", STR_ARG(ref->key));
	return false;
}

static void wipe(struct buf *b)
{
	if (b->p)
		gnutls_memset(b->p, 0, b->cap);
	buf_fini(b);
}

/* --- telling --------------------------------------------------------------------------------------- */

/* The first failure of several is told. */
static void note_failure(struct alert_hook *h, const char *why)
{
	h->failed++;
	if (!h->why)
		log_warn("alert \"" STR_FMT "\": receiver \"" STR_FMT
			 "\" took no notice: %s; it is tried again",
			 STR_ARG(h->of->o->meta.name), STR_ARG(receiver_of(h)->name), why);
	free(h->why);
	h->why = strdup(why);
	h->of->dirty = true;
}

void alert_noticed(void *ctx, const char *why)
{
	struct alert_hook *h = ctx;

	if (why) {
		note_failure(h, why);
		return;
	}
	if (h->why)
		log_info("alert \"" STR_FMT "\": receiver \"" STR_FMT "\" takes notices again",
			 STR_ARG(h->of->o->meta.name), STR_ARG(receiver_of(h)->name));
	free(TAKE(h->why));
	h->sent_ms = clock_ms();
	VEC_EACH (&h->of->rule->groups, g)
		if (sent_of(h, *g)) {
			h->taken += (*g)->untold >> h->number & 1;
			(*g)->untold &= (uint8_t) ~(1u << h->number);
		}
	h->of->dirty = true;
}

void alert_notice(struct alert_hook *h, struct store *s, uint64_t now_ms)
{
	const struct alert_receiver *to = receiver_of(h);
	AUTO(wipe) struct buf url = {0}, token = {0};
	AUTO_BUF ca = {0}, why = {0};
	struct webhook_post post = {.timeout_s = to->timeout_seconds.set ? (unsigned)to->timeout_seconds.v
									 : TIMEOUT_S};
	bool firing;

	if (!webhook_ready(h->hook, now_ms) || !choose(h, now_ms, &firing))
		return;
	buf_adds(&url, to->url);
	if (!read_secret(s, to->url_from, &url, &why) || !read_secret(s, to->token_from, &token, &why) ||
	    !read_secret(s, to->ca_from, &ca, &why)) {
		webhook_failed(h->hook, now_ms);
		note_failure(h, why.p ? why.p : "out of memory");
		return;
	}
	write_body(h, firing, &post.body);
	post.url = buf_str(&url);
	post.token = buf_str(&token);
	post.ca = buf_str(&ca);
	if (webhook_post(h->hook, &post, now_ms))
		note_failure(h, "there is no such address, or no memory");
}
