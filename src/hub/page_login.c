/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in and out, and what a session knows of itself. See page.h. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/own.h"
#include "hub/page_state.h"

static uint64_t now_s(void)
{
	return clock_ms() / 1000;
}

struct login *page_session(struct page *p, const struct http_request *rq)
{
	return logins_find(p->logins, cookie_get(str_of(http_header(rq, "Cookie")), p->cookie), now_s());
}

int page_link(struct page *p, const char *asks, const char *user, struct buf *b, struct api_error *e)
{
	user = user ? user : asks;
	const struct who *who = strlen(user) < ACCESS_USER ? users_who(p->hub->store, user) : NULL;
	char word[LOGIN_WORD];

	if (!who)
		return api_fail(e, 404, "NotFound", "users.weft.network \"%s\" not found, or it is disabled",
				user);
	who_unref(&who);
	if (logins_link(p->logins, user, now_s(), word))
		return api_fail(e, 500, "InternalError", "no login link can be made");
	buf_printf(b, "{\"url\":\"%s://%s:%u/login/%s\",\"seconds\":%d}\n", p->loopback ? "http" : "https",
		   p->host, p->port, word, LOGIN_LINK_S);
	audit_write(p->hub->audit,
		    &(struct audit_line){.what = "login-link", .user = str_of(asks), .why = str_of(user)});
	return 0;
}

static void set_cookie(const struct page *p, struct http_reply *rp, const char *word)
{
	http_reply_header(rp, "Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", p->cookie, word,
			  p->loopback ? "" : "; Secure", *word ? "" : "; Max-Age=0");
}

void page_see_other(struct http_reply *rp, const char *where)
{
	rp->status = 303;
	rp->content_type = "text/plain";
	http_reply_header(rp, "Location", "%s", where);
}

/* Always a session of its own: a word that the browser had before never becomes one. */
int page_begin(struct page *p, struct http_reply *rp, const char *user, struct api_error *e)
{
	const struct who *who = users_who(p->hub->store, user);
	char word[LOGIN_WORD];

	if (!who)
		return api_fail(e, 403, "Forbidden", "user \"%s\" is not there any more, or disabled", user);
	int r = logins_begin(p->logins, who, now_s(), word);
	who_unref(&who);
	if (r)
		return api_fail(e, 500, "InternalError", "no session can be made");
	set_cookie(p, rp, word);
	audit_write(p->hub->audit, &(struct audit_line){.what = "login", .user = str_of(user)});
	return 0;
}

static void by_link(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	struct login *before = page_session(p, rq);
	char user[ACCESS_USER];

	if (strcmp(rq->method, "GET") != 0) {
		api_fail(e, 405, "MethodNotAllowed", "a login link is opened with GET");
	} else if (logins_redeem(p->logins, str_of(rq->path + strlen("/login/")), now_s(), user)) {
		if (before)
			logins_end(p->logins, before);
		if (!page_begin(p, rp, user, e))
			page_see_other(rp, "/");
	} else {
		audit_write(p->hub->audit,
			    &(struct audit_line){.what = "login-refused", .why = STR("no such link")});
		page_login_form(p, rp, 403,
				"This link was used already, or is older than ten minutes. Get a fresh one: "
				"weft ui");
	}
}

static void log_out(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	struct login *s = page_session(p, rq);

	if (strcmp(rq->method, "POST") != 0) {
		api_fail(e, 405, "MethodNotAllowed", "log out with POST");
		return;
	}
	if (s) {
		audit_write(p->hub->audit,
			    &(struct audit_line){.what = "logout", .user = str_of(s->who->user)});
		logins_end(p->logins, s);
	}
	set_cookie(p, rp, "");
	buf_addz(&rp->body, "{\"ok\":true}\n");
}

bool page_login(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e)
{
	if (!strncmp(rq->path, "/login/", 7))
		by_link(p, rq, rp, e);
	else if (!strcmp(rq->path, "/login") && door_reads(rq->method))
		page_login_form(p, rp, 200, NULL);
	else if (!strcmp(rq->path, "/login") && !strcmp(rq->method, "POST"))
		page_password(p, rq, rp, e);
	else if (!strcmp(rq->path, "/login.css") && door_reads(rq->method))
		page_login_style(rp);
	else if (!strcmp(rq->path, "/logout"))
		log_out(p, rq, rp, e);
	else
		return false;
	return true;
}

void page_me(struct page *p, const struct login *s, struct http_reply *rp)
{
	struct buf *b = &rp->body;
	const struct hub_options *o = &p->hub->opt;

	buf_addz(b, "{\"user\":");
	buf_json(b, str_of(s->who->user));
	buf_printf(b, ",\"csrf\":\"%s\",\"levels\":{", s->csrf);
	VEC_EACH (&s->who->grants, g) {
		buf_addz(b, g == s->who->grants.items ? "" : ",");
		buf_json(b, str_of(g->ns));
		buf_printf(b, ":\"%s\"", access_level_name(g->level));
	}
	buf_addz(b, "},\"cluster\":");
	buf_json(b, str_of(o->name));
	buf_printf(b, ",\"version\":\"%s\",\"writable\":%s,\"paths\":[", WEFT_VERSION,
		   p->hub->pen ? "true" : "false");
	for (size_t i = 0; i < o->paths_len; i++) {
		buf_addz(b, i ? "," : "");
		buf_json(b, str_of(o->paths[i]));
	}
	buf_addz(b, "],\"host\":");
	if (o->host)
		buf_json(b, str_of(o->host));
	else
		buf_addz(b, "null");
	buf_addz(b, ",\"page\":true}\n");
}
