/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that give packets once: see page_ticket.h. */
#include "hub/page_ticket.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/audit.h"
#include "hub/capture.h"
#include "object/decode.h"

OWN_DEFINE(object, struct object, object_unref)

struct ticket {
	unsigned char hash[LOGIN_HASH];
	char user[ACCESS_USER];
	char *made;	/* the Capture that is to be made, as JSON; or */
	char *ns, *uid; /* the name and uid of one that runs */
	uint64_t end_s; /* 0: none */
};

struct tickets {
	struct ticket all[TICKETS];
	VEC(const struct who *) open; /* of streams: a reference beside theirs */
};

static uint64_t now_s(void)
{
	return clock_ms() / 1000;
}

static void ticket_fini(struct ticket *t)
{
	free(t->made);
	free(t->ns);
	free(t->uid);
	explicit_bzero(t, sizeof(*t));
}

struct tickets *tickets_new(void)
{
	return calloc(1, sizeof(struct tickets));
}

void tickets_free(struct tickets **pt)
{
	struct tickets *t = *pt;

	*pt = NULL;
	for (size_t i = 0; t && i < TICKETS; i++)
		ticket_fini(&t->all[i]);
	if (t) {
		VEC_EACH (&t->open, w)
			who_unref(w);
		vec_free(&t->open);
	}
	free(t);
}

/* --- asked for ------------------------------------------------------------------------------------- */

static struct object *decode(const char *json, struct api_error *e)
{
	struct remarks rs = {0};
	struct object *o = NULL;
	int r = decode_json_object(str_of(json), NULL, NULL, &o, &rs);

	if (r || !o || rs.errors) {
		object_unref(&o);
		api_fail(e, 400, "BadRequest", "spec is that of a Capture");
	}
	remarks_fini(&rs);
	return o;
}

/* Tried without being done: what is wrong with it is said now, and not at a shell. */
static void try(struct page *p, const struct who *who, const char *json, struct api_error *e)
{
	AUTO(own_object) struct object *now = NULL;
	struct api_write w = {.verb = API_CREATE, .dry = true, .who = who, .object = decode(json, e)};

	if (!w.object)
		return;
	snprintf(w.user, sizeof(w.user), "%s", who->user);
	hub_api_ops.write(p->hub, &w, &now, e);
	object_unref(&w.object);
}

static void print(struct page *p, const struct who *who, struct ticket *new, struct http_reply *rp,
		  struct api_error *e)
{
	struct ticket *at = &p->tickets->all[0];
	char word[LOGIN_WORD];

	for (size_t i = 0; i < TICKETS; i++)
		if (p->tickets->all[i].end_s < at->end_s)
			at = &p->tickets->all[i];
	if (login_word(word) || login_hash(str_of(word), new->hash)) {
		api_fail(e, 500, "InternalError", "no such address can be made");
		return;
	}
	snprintf(new->user, sizeof(new->user), "%s", who->user);
	new->end_s = now_s() + TICKET_S;
	ticket_fini(at);
	*at = *new;
	*new = (struct ticket){0};
	buf_printf(&rp->body, "{\"path\":\"/capture/%s\",\"seconds\":%d}\n", word, TICKET_S);
	audit_write(p->hub->audit, &(struct audit_line){.what = "packets-link",
							.user = str_of(who->user),
							.capture = str_of(at->ns)});
}

void ticket_make(struct page *p, const struct who *who, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e)
{
	json_t *q = json_loadb(rq->body.p ? rq->body.p : "", rq->body.n, 0, NULL);
	const char *name = json_string_value(json_object_get(q, "capture"));
	json_t *spec = json_object_get(q, "spec");
	struct ticket new = {0};

	if (name) {
		const struct object *o = store_get(p->hub->store, KIND_capture, STR(""), str_of(name));

		if (!o || !access_sees(who, o))
			api_fail(e, 404, "NotFound", "captures.weft.network \"%s\" not found", name);
		else if (!captures_may(p->hub->captures, who->user, who, o, e)) {
			new.ns = strdup(name);
			new.uid = strndup(o->meta.uid.p, o->meta.uid.n);
		}
	} else if (json_is_object(spec)) {
		json_t *doc =
		    json_pack("{s:s,s:s,s:{s:s},s:O}", "apiVersion", "weft.network/v1alpha1", "kind",
			      "Capture", "metadata", "generateName", "wireshark-", "spec", spec);

		new.made = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
		json_decref(doc);
		if (new.made)
			try(p, who, new.made, e);
	} else {
		api_fail(e, 400, "BadRequest", "say spec, of a Capture, or capture, the name of one");
	}
	if (!e->code && !new.made && !(new.ns &&new.uid))
		api_fail(e, 500, "InternalError", "out of memory");
	if (!e->code)
		print(p, who, &new, rp, e);
	ticket_fini(&new);
	json_decref(q);
}

/* --- opened ---------------------------------------------------------------------------------------- */

/* Uses it up. False: there is none of that word. */
static bool redeem(struct tickets *t, const char *word, struct ticket *out)
{
	unsigned char hash[LOGIN_HASH];

	if (strlen(word) != LOGIN_WORD - 1 || login_hash(str_of(word), hash))
		return false;
	for (size_t i = 0; i < TICKETS; i++) {
		struct ticket *at = &t->all[i];

		if (!at->end_s || memcmp(at->hash, hash, LOGIN_HASH))
			continue;
		*out = *at;
		*at = (struct ticket){0};
		return out->end_s > now_s();
	}
	return false;
}

static struct object *make(struct page *p, const struct ticket *t, const struct who *who, struct api_error *e)
{
	struct api_write w = {.verb = API_CREATE, .who = who, .object = decode(t->made, e)};
	struct object *now = NULL;

	if (!w.object)
		return NULL;
	snprintf(w.user, sizeof(w.user), "%s", t->user);
	hub_api_ops.write(p->hub, &w, &now, e);
	object_unref(&w.object);
	return now;
}

static struct object *find(struct page *p, const struct ticket *t, struct api_error *e)
{
	const struct object *o = store_get(p->hub->store, KIND_capture, STR(""), str_of(t->ns));

	if (o && str_eqz(o->meta.uid, t->uid))
		return object_ref(o);
	api_fail(e, 404, "NotFound", "capture %s is over", t->ns);
	return NULL;
}

static void stream(struct page *p, const struct ticket *t, const struct who *who, struct http_reply *rp,
		   struct api_error *e)
{
	AUTO(own_object) struct object *of = t->made ? make(p, t, who, e) : find(p, t, e);
	struct api_packets q = {.of = of, .who = who, .own = t->made};

	if (!of)
		return;
	snprintf(q.user, sizeof(q.user), "%s", t->user);
	rp->later = hub_api_ops.packets(p->hub, &q, e);
}

void ticket_open(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	const char *word = rq->path + strlen("/capture/");
	struct ticket t = {0};

	if (strcmp(rq->method, "GET") != 0)
		api_fail(e, 405, "MethodNotAllowed", "packets are read with GET");
	else if (strncmp(rq->path, "/capture/", 9) != 0 || !redeem(p->tickets, word, &t))
		api_fail(e, 403, "Forbidden",
			 "this address was used already, or is older than ten minutes: get a fresh one from "
			 "the page");
	const struct who *who = e->code ? NULL : users_who(p->hub->store, t.user);

	if (!e->code && !who)
		api_fail(e, 403, "Forbidden", "user \"%s\" is not there any more, or disabled", t.user);
	if (!e->code)
		stream(p, &t, who, rp, e);
	if (!e->code && vec_push(&p->tickets->open, who_ref(who)))
		who_unref(&(const struct who *){who});
	who_unref(&who);
	ticket_fini(&t);
}

void tickets_tick(struct tickets *t, const struct store *s)
{
	for (size_t i = t->open.len; i-- > 0;) {
		struct who *w = (struct who *)(uintptr_t)t->open.items[i];
		const struct who *now = w->refs > 1 && !w->ended ? users_who(s, w->user) : NULL;

		if (!now || !who_same_rights(w, now)) {
			w->ended = true;
			who_unref(&t->open.items[i]);
			vec_remove(&t->open, i);
		}
		who_unref(&now);
	}
}
