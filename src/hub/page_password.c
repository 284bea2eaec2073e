/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in by name and password: from the form, or as JSON. See page_state.h. */
#include <errno.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/page_state.h"
#include "serve/request.h"

struct asked { /* somebody waits for the word */
	struct http_later later;
	struct page *page;
	char user[ACCESS_USER];
	bool form, right, left, told;
};

static void asked_free(struct asked *a)
{
	if (a->left && a->told)
		free(a);
}

static void refuse(struct page *p, struct http_reply *rp, bool form, int code, const char *why)
{
	struct api_error e = {0};

	if (form) {
		page_login_form(p, rp, code, why);
		return;
	}
	api_fail(&e, code, code == 429 ? "TooManyRequests" : "Unauthorized", "%s", why);
	api_refuse(rp, &e);
	api_error_fini(&e);
}

static void on_answer(struct http_later *l, struct http_reply *rp)
{
	struct asked *a = CONTAINER_OF(l, struct asked, later);
	struct api_error e = {0};

	a->left = true;
	if (!a->right) {
		audit_write(a->page->hub->audit,
			    &(struct audit_line){.what = "login-refused",
						 .user = str_of(a->user),
						 .why = STR("name or password is wrong")});
		refuse(a->page, rp, a->form, 401, "The name or the password is wrong.");
	} else if (page_begin(a->page, rp, a->user, &e)) {
		refuse(a->page, rp, a->form, 401, "This user is not there any more, or shut out.");
	} else if (a->form) {
		page_see_other(rp, "/");
	} else {
		buf_addz(&rp->body, "{\"user\":");
		buf_json(&rp->body, str_of(a->user));
		buf_addz(&rp->body, "}\n");
	}
	api_error_fini(&e);
	asked_free(a);
}

static void on_gone(struct http_later *l)
{
	struct asked *a = CONTAINER_OF(l, struct asked, later);

	a->left = true;
	asked_free(a);
}

static void on_told(void *ctx, bool right)
{
	struct asked *a = ctx;

	a->right = right;
	a->told = true;
	if (!a->left)
		http_later_wake(&a->later);
	else
		asked_free(a);
}

static void start(struct page *p, const struct http_request *rq, struct http_reply *rp, bool form,
		  struct str user, struct str password)
{
	char hash[PASSWORD_HASH] = "";
	struct asked *a = calloc(1, sizeof(*a));

	if (!a) {
		refuse(p, rp, form, 429, "There is no room now; try again.");
		return;
	}
	a->page = p;
	a->form = form;
	a->later.answer = on_answer;
	a->later.gone = on_gone;
	if (user.n && user.n < sizeof(a->user)) {
		memcpy(a->user, user.p, user.n);
		if (!users_hash(p->hub->store, a->user, hash))
			*hash = 0;
	}
	if (!password_check(p->passwords, password, hash, rq->client, clock_ms() / 1000, on_told, a)) {
		audit_write(p->hub->audit, &(struct audit_line){.what = "login-refused",
								.user = str_of(a->user),
								.why = STR("too many tries")});
		refuse(p, rp, form, 429, "Too many tries; wait a minute.");
		free(a);
		return;
	}
	rp->later = &a->later;
}

static void by_json(struct page *p, const struct http_request *rq, struct http_reply *rp)
{
	json_t *j = json_loadb(rq->body.p ? rq->body.p : "", rq->body.n, 0, NULL);
	const char *user = json_string_value(json_object_get(j, "user"));
	const char *password = json_string_value(json_object_get(j, "password"));

	if (user && password)
		start(p, rq, rp, false, str_of(user), str_of(password));
	else
		refuse(p, rp, false, 401, "the body is {\"user\":…,\"password\":…}");
	json_decref(j);
}

/* A form's body is a query. */
static void by_form(struct page *p, const struct http_request *rq, struct http_reply *rp)
{
	struct request_parts parts = {0};
	struct str user = {0}, password = {0};
	AUTO_BUF uri = {0};

	buf_addz(&uri, "/?");
	buf_adds(&uri, rq->body);
	bool good = rq->body.n < 2048 && !memchr(rq->body.p ? rq->body.p : "", 0, rq->body.n) && uri.p &&
		    !request_parse(&parts, uri.p);
	for (size_t i = 0; good && i < parts.query_len; i++) {
		if (!strcmp(parts.query[i].key, "user"))
			user = str_of(parts.query[i].value);
		if (!strcmp(parts.query[i].key, "password"))
			password = str_of(parts.query[i].value);
	}
	if (good)
		start(p, rq, rp, true, user, password);
	else
		refuse(p, rp, true, 401, "This form cannot be read.");
	if (parts.text)
		explicit_bzero(parts.text, strlen(parts.text));
	request_fini(&parts);
}

void page_password(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	if (p->loopback)
		api_fail(e, 403, "Forbidden", "no password is taken without TLS: open the page with weft ui");
	else if (!strncmp(rq->content_type, "application/json", 16))
		by_json(p, rq, rp);
	else if (!strncmp(rq->content_type, "application/x-www-form-urlencoded", 33))
		by_form(p, rq, rp);
	else
		api_fail(e, 415, "UnsupportedMediaType", "log in with a form or with JSON");
}
