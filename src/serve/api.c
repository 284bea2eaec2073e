/* SPDX-License-Identifier: Apache-2.0 */
/* Routes requests to the files of this room and turns failures into Statuses. See api.h. */
#include "serve/api.h"

#include <errno.h>
#include "serve/api_state.h"
#include "serve/podstream.h"
#include "serve/session.h"

#define INTERNAL "/apis/weft.network/internal/"

static void on_event(void *ctx, const struct event *e)
{
	struct api *a = ctx;
	a->dirty |= 1ULL << e->object->desc->kind;
}

int api_new(struct api **out, struct store *s, const struct api_ops *ops, void *ctx)
{
	struct api *a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->store = s;
	a->ops = ops;
	a->ctx = ctx;
	int r = store_subscribe(s, on_event, a, &a->sub);
	if (r) {
		free(a);
		return r;
	}
	*out = a;
	return 0;
}

void api_free(struct api **pa)
{
	struct api *a = *pa;
	*pa = NULL;
	if (!a)
		return;
	store_unsubscribe(&a->sub);
	printed_fini(&a->printed);
	sessions_free(&a->sessions);
	free(a);
}

void api_set_floor(struct api *a, uint64_t version)
{
	a->floor = version;
}

static void handle_health(struct api *a, const struct http_request *rq, struct http_reply *rp,
			  struct api_error *e)
{
	if (!strcmp(rq->path, "/readyz") && !a->ops->ready(a->ctx)) {
		api_fail(e, 503, "ServiceUnavailable", "still loading");
		return;
	}
	rp->content_type = "text/plain";
	buf_addz(&rp->body, "ok");
}

static void handle_internal(struct api *a, const struct http_request *rq, struct http_reply *rp,
			    struct api_error *e)
{
	if (!rq->local) {
		api_fail(e, 403, "Forbidden",
			 "%s is only for this machine's own processes, over the Unix socket", rq->path);
		return;
	}
	const char *name = rq->path + strlen(INTERNAL);
	if (a->ops->local && a->ops->local(a->ctx, rq, name, rp, e))
		return;
	char user[API_USER];
	user_of(user, rq);
	if (a->ops->internal_later)
		rp->later = a->ops->internal_later(a->ctx, rq->method, name, rq->body, e);
	if (rp->later || e->code)
		return;
	if (a->ops->internal(a->ctx, user, rq->method, name, rq->body, &rp->body, e))
		api_fail(e, 500, "InternalError", "the request failed");
}

/* For Prometheus; the owner joins the nodes' texts. */
static void handle_metrics(struct api *a, struct http_reply *rp, struct api_error *e)
{
	rp->content_type = "text/plain; version=0.0.4";
	if (a->ops->internal(a->ctx, "", "GET", "metrics", (struct str){0}, &rp->body, e))
		api_fail(e, 500, "InternalError", "the request failed");
}

static void handle_resource(struct api *a, const struct target *t, const struct http_request *rq,
			    struct http_reply *rp, struct api_error *e)
{
	if (permit(rq, t, e))
		return;
	if (t->events || t->leases)
		virtual_handle(a, t, rq, rp, e);
	else if (podstream_is(t))
		podstream_handle(a, t, rq, rp, e);
	else if (packets_is(t))
		packets_handle(a, t, rq, rp, e);
	else if (subresource_is(t))
		subresource_handle(a, t, rq, rp, e);
	else if (strcmp(rq->method, "GET"))
		write_handle(a, t, rq, rp, e);
	else if (query_true(rq, "watch"))
		watch_start(a, t, rq, rp, e);
	else if (t->named)
		read_get(a, t, rq, rp, e);
	else
		read_list(a, t, rq, rp, e);
}

void api_handle(void *ctx, const struct http_request *rq, struct http_reply *rp)
{
	struct api *a = ctx;
	struct api_error e = {0};
	struct target t = {0};
	bool get = !strcmp(rq->method, "GET");
	if (!strcmp(rq->path, "/healthz") || !strcmp(rq->path, "/livez") || !strcmp(rq->path, "/readyz"))
		handle_health(a, rq, rp, &e);
	else if (!strncmp(rq->path, INTERNAL, strlen(INTERNAL)))
		handle_internal(a, rq, rp, &e);
	else if (get && !strcmp(rq->path, "/metrics"))
		handle_metrics(a, rp, &e);
	else if (get && discovery_is(rq->path))
		discovery_handle(rq, rp, &e);
	else if (review_is(rq->path))
		review_handle(rq, rp, &e);
	else if (target_parse(&t, rq->path))
		api_fail(&e, 404, "NotFound", "the server could not find the requested resource");
	else
		handle_resource(a, &t, rq, rp, &e);
	if (e.code == 403 && rq->door == HTTP_PAGE && a->ops->refused)
		a->ops->refused(a->ctx, who_of(rq)->user, rq, buf_str(&e.message));
	if (e.code) {
		buf_clear(&rp->body);
		rp->status = e.code;
		rp->content_type = NULL;
		rp->retry = e.retry;
		status_print(&rp->body, &e, &t);
	}
	api_error_fini(&e);
}
