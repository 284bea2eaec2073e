/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a browser's requests: is it to be let in at all, who is it, and whose matter is it then. The table of
 * routes is here. See page.h.
 */
#include "hub/page_ask.h"
#include "hub/page_live.h"
#include "hub/page_routes.h"
#include "hub/page_state.h"
#include "hub/page_ticket.h"
#include "hub/tls.h"

/* The only route that knows of the page itself. */
static void page_ticket(struct hub *h, const struct who *who, const struct http_request *rq,
			struct http_reply *rp, struct api_error *e)
{
	ticket_make(h->page, who, rq, rp, e);
}

/* Each below /page; what is longer comes first where one begins as another. */
static const struct page_route routes[] = {
    {"GET", "/page/captures", ACCESS_CAPTURE, page_captures},
    {"POST", "/page/ticket", ACCESS_CAPTURE, page_ticket},
    {"POST", "/page/flows", ACCESS_VIEW, page_flows},
    {"POST", "/page/history", ACCESS_VIEW, page_history},
    {"POST", "/page/ask/", ACCESS_VIEW, page_ask},
    {"GET", "/page/complete", ACCESS_VIEW, page_complete},
    {"GET", "/page/live", ACCESS_VIEW, page_live_get},
    {"GET", "/page/changes", ACCESS_VIEW, page_changes},
    {"POST", "/page/changes", ACCESS_OPERATE, page_changes},
    {"GET", "/page/changes/", ACCESS_VIEW, page_changes},
    {"POST", "/page/changes/", ACCESS_OPERATE, page_changes},
    {"GET", "/page/export", ACCESS_VIEW, page_export},
};

/* A page of another site can neither frame it, read it, nor have it load what is not ours. */
static const struct http_fixed headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
     "worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()"},
};

static bool under(const char *path, const char *root)
{
	size_t n = strlen(root);

	return !strncmp(path, root, n) && (!path[n] || path[n] == '/');
}

static bool is_api(const char *path)
{
	static const char *const roots[] = {"/api", "/apis", "/openapi", "/version"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (under(path, roots[i]))
			return true;
	return false;
}

static bool route_matches(const struct page_route *r, const char *path)
{
	size_t n = r->path ? strlen(r->path) : 0;

	return n && (r->path[n - 1] == '/' ? !strncmp(path, r->path, n) : !strcmp(path, r->path));
}

static void run_route(struct page *p, const struct login *s, const struct http_request *rq,
		      struct http_reply *rp, struct api_error *e)
{
	bool known = false;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct page_route *r = &routes[i];

		if (!route_matches(r, rq->path))
			continue;
		known = true;
		if (strcmp(r->method, rq->method) != 0)
			continue;
		if (access_anywhere(s->who) < r->level) {
			api_fail(e, 403, "Forbidden", "%s may not do this: it needs the level %s",
				 s->who->user, access_level_name(r->level));
			return;
		}
		r->fn(p->hub, s->who, rq, rp, e);
		return;
	}
	if (known)
		api_fail(e, 405, "MethodNotAllowed", "%s is not possible on %s", rq->method, rq->path);
	else
		api_fail(e, 404, "NotFound", "there is no %s", rq->path);
}

/* With a session, whose word a write must carry. */
static void inside(struct page *p, const struct login *s, struct http_request *rq, struct http_reply *rp,
		   struct api_error *e)
{
	rq->who = s->who;
	if (!strcmp(rq->path, "/page/me") && door_reads(rq->method))
		page_me(p, s, rp);
	else if (under(rq->path, "/page"))
		run_route(p, s, rq, rp, e);
	else
		api_handle(p->hub->api, rq, rp);
}

static enum door_verdict knock(const struct page *p, const struct http_request *rq, const char *token)
{
	struct door_knock k = {.method = rq->method,
			       .host = http_header(rq, "Host"),
			       .origin = http_header(rq, "Origin"),
			       .site = http_header(rq, "Sec-Fetch-Site"),
			       .mode = http_header(rq, "Sec-Fetch-Mode"),
			       .csrf = http_header(rq, "Weft-Csrf"),
			       .token = token,
			       .entrance = page_is_view(rq->path) || under(rq->path, "/login")};

	return door_check(&p->door, &k);
}

static void dispatch(struct page *p, const struct http_request *asked, struct http_reply *rp,
		     struct api_error *e)
{
	struct http_request rq = *asked;
	struct login *s = page_session(p, &rq);
	bool data = is_api(rq.path) || under(rq.path, "/page") || under(rq.path, "/logout");
	enum door_verdict v = knock(p, &rq, data ? s ? s->csrf : "" : NULL);

	rq.who = &access_nothing;
	if (v == DOOR_CSRF && !s)
		v = DOOR_OPEN; /* who has no session is told that */
	if (v != DOOR_OPEN)
		api_fail(e, v == DOOR_HOST ? 421 : 403, v == DOOR_HOST ? "MisdirectedRequest" : "Forbidden",
			 "%s", door_why(v));
	else if (page_login(p, &rq, rp, e))
		return;
	else if (under(rq.path, "/capture"))
		ticket_open(p, &rq, rp, e);
	else if (data && !s)
		api_fail(e, 401, "Unauthorized", "nobody is logged in: run weft ui, or open /login");
	else if (data)
		inside(p, s, &rq, rp, e);
	else if (!page_static(&rq, rp))
		api_fail(e, 404, "NotFound", "there is no %s", rq.path);
}

static void page_handle(void *ctx, const struct http_request *rq, struct http_reply *rp)
{
	struct api_error e = {0};

	dispatch(ctx, rq, rp, &e);
	if (e.code)
		api_refuse(rp, &e);
	api_error_fini(&e);
}

int page_listen(struct page *p, const struct tls_files *files, int dir_fd)
{
	struct tls_identity own = {0};
	int r = p->loopback
		    ? 0
		    : tls_page(&own, files, dir_fd, p->hub->opt.name, p->door.names.items, p->door.names.len);
	const struct http_page how = {.handler = page_handle,
				      .ctx = p,
				      .headers = headers,
				      .headers_len = sizeof(headers) / sizeof(headers[0]),
				      .connections = 512,
				      .tls_key = own.key.p,
				      .tls_cert = own.cert.p};
	r = r ? r : passwords_new(&p->passwords, &p->hub->loop);
	r = r ? r : page_keep_load(p);
	r = r ? r : http_listen_page(p->hub->http, p->fd, &how);

	tls_identity_fini(&own);
	if (!r)
		p->fd = -1;
	return r;
}
