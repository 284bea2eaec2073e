/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the page's listener share. Private to hub/page*.c. */
#ifndef WEFT_HUB_PAGE_STATE_H
#define WEFT_HUB_PAGE_STATE_H

#include "hub/page.h"
#include "hub/password.h"
#include "serve/door.h"
#include "serve/login.h"

struct page {
	struct hub *hub;
	struct logins *logins;
	struct passwords *passwords;
	struct tickets *tickets;
	struct door door;
	char host[256]; /* of links */
	unsigned port;
	int fd;
	bool loopback;
	char cookie[32];
	uint64_t kept, kept_s; /* the sessions in the database: after how many changes, when */
};
/* page_keep.c: sessions into the database where they changed; those of the last run. 0 or -errno. */
void page_keep(struct page *p);
int page_keep_load(struct page *p);

/* page_login.c: /login…, /logout. False: it is none of these. */
bool page_login(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e);
/* A session for this user, whose cookie goes into the reply. 0, or e says why not. */
int page_begin(struct page *p, struct http_reply *rp, const char *user, struct api_error *e);
void page_see_other(struct http_reply *rp, const char *where);
/* page_password.c: POST /login */
void page_password(struct page *p, const struct http_request *rq, struct http_reply *rp, struct api_error *e);
/* The session of the request's cookie, or NULL. */
struct login *page_session(struct page *p, const struct http_request *rq);
/* GET /page/me */
void page_me(struct page *p, const struct login *s, struct http_reply *rp);

/* page_form.c: trouble: why it is shown again, or NULL. */
void page_login_form(const struct page *p, struct http_reply *rp, int status, const char *trouble);
void page_login_style(struct http_reply *rp);

/* page_static.c: index.html and the files beside it. False: there is no such file. */
bool page_static(const struct http_request *rq, struct http_reply *rp);
/* Whether it leads to index.html. */
bool page_is_view(const char *path);

/* users.c: what a user may, as a new reference; NULL: there is no such user, or he is shut out. */
const struct who *users_who(const struct store *s, const char *user);
/* His password's hash; false: no such user, none, or shut out. */
bool users_hash(const struct store *s, const char *user, char out[PASSWORD_HASH]);

#endif
