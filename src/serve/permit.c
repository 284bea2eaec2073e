/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether who asks may have a resource of the API: finds what a request is about, and asks access.h. Before
 * anything is looked up, so that a refusal does not tell what is there. Lists and watches over all namespaces
 * pass, and leave out what he may not see.
 */
#include "serve/access.h"
#include "serve/api_state.h"
#include "serve/podstream.h"

static bool reads(const struct http_request *rq)
{
	return !strcmp(rq->method, "GET") || !strcmp(rq->method, "HEAD");
}

/* What is asked for, for the sentence. */
static void name_of(struct buf *b, const struct target *t)
{
	const char *plural = t->kind ? t->kind->plural : t->events ? "events" : "leases";

	buf_printf(b, "%s%s%s", plural, *t->sub ? "/" : "", t->sub);
	if (*t->ns)
		buf_printf(b, " in namespace %s", t->ns);
}

static int refuse(const struct who *w, const struct target *t, const char *what, enum access_level level,
		  struct api_error *e)
{
	AUTO_BUF of = {0};

	name_of(&of, t);
	return api_fail(e, 403, "Forbidden", "%s may not %s %s: it needs the level %s there", w->user, what,
			of.p ? of.p : "", access_level_name(level));
}

/* exec, attach and port-forward reach into a pod; its log is only read. */
static bool writes(const struct target *t, const struct http_request *rq)
{
	return !reads(rq) || (podstream_is(t) && strcmp(t->sub, "log") != 0);
}

/* Events and Leases, which the hub makes. */
static int permit_made(const struct who *w, const struct target *t, struct api_error *e)
{
	bool may = *t->ns && t->events ? access_level(w, str_of(t->ns)) >= ACCESS_VIEW
				       : access_anywhere(w) >= ACCESS_VIEW;

	return may ? 0 : refuse(w, t, "read", ACCESS_VIEW, e);
}

static int permit_read(const struct who *w, const struct target *t, struct api_error *e)
{
	enum kind k = t->kind->kind;
	struct str ns = str_of(t->ns);
	bool may;

	if (k == KIND_namespace && t->named)
		may = access_level(w, str_of(t->name)) >= ACCESS_VIEW;
	else if (t->kind->namespaced && !*t->ns)
		may = access_anywhere(w) >= ACCESS_VIEW;
	else
		may = access_may(w, ACCESS_READ, k, ns);
	return may ? 0
		   : refuse(w, t, "read", k == KIND_user || k == KIND_role ? ACCESS_ADMIN : ACCESS_VIEW, e);
}

/* Which packets a Capture or Tool shows is the owner's to judge: here only whether he may see any. */
static int permit_packets(const struct who *w, const struct target *t, struct api_error *e)
{
	bool may = access_anywhere(w) >= ACCESS_CAPTURE;

	return may ? 0 : refuse(w, t, "see packets of", ACCESS_CAPTURE, e);
}

/* A JSON patch can copy what is hidden into what is shown. */
static bool copies_hidden(const struct target *t, const struct http_request *rq)
{
	bool hidden = t->kind->kind == KIND_secret || t->kind->kind == KIND_user;

	return hidden && !strcmp(rq->method, "PATCH") &&
	       !strncmp(rq->content_type, "application/json-patch+json", 27);
}

static int permit_write(const struct who *w, const struct target *t, const struct http_request *rq,
			struct api_error *e)
{
	enum kind k = t->kind->kind;

	if (copies_hidden(t, rq))
		return api_fail(e, 403, "Forbidden", "%s are not patched by copying: send a merge patch",
				t->kind->plural);
	/* Of a Capture its sources and its maker decide, of a Draft its edits, which the owner looks at. */
	if (k == KIND_capture && access_anywhere(w) >= ACCESS_CAPTURE)
		return 0;
	if (k == KIND_draft && access_anywhere(w) >= ACCESS_OPERATE)
		return 0;
	if (access_may(w, ACCESS_WRITE, k, str_of(t->ns)))
		return 0;
	return refuse(w, t, "change",
		      k == KIND_user || k == KIND_role ? ACCESS_ADMIN
		      : k == KIND_capture	       ? ACCESS_CAPTURE
						       : ACCESS_OPERATE,
		      e);
}

int permit(const struct http_request *rq, const struct target *t, struct api_error *e)
{
	const struct who *w = who_of(rq);

	if (w == &access_everything)
		return 0;
	if (!t->kind)
		return permit_made(w, t, e);
	if (packets_is(t))
		return permit_packets(w, t, e);
	return writes(t, rq) ? permit_write(w, t, rq, e) : permit_read(w, t, e);
}
