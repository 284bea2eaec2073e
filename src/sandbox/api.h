/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API: the sandbox as a client of the hub, over its Unix socket: single requests, and mirrors, which keep a
 * copy of all objects of one kind by list and watch, over restarts of the hub. Bodies are JSON trees, one
 * object at a time.
 */
#ifndef WEFT_SANDBOX_API_H
#define WEFT_SANDBOX_API_H

#include <jansson.h>
#include <uv.h>

#include "base/hash.h"
#include "base/str.h"

struct api {
	uv_loop_t *loop;
	char socket[108];
	struct api_call *calls; /* all that are open */
	bool closing;
};

void api_init(struct api *a, uv_loop_t *loop, const char *socket);
/* Ends all calls without calling back. */
void api_fini(struct api *a);

/* status: the HTTP status, or -errno when no answer came; reply: borrowed, or NULL when it was no JSON. */
typedef void api_done(void *ctx, int status, const json_t *reply);
/* body (may be NULL) is printed at once and not kept. type NULL: application/json. done may be NULL. */
void api_request(struct api *a, const char *method, const char *path, const char *type, const json_t *body,
		 api_done *done, void *ctx);

/* Drops the calls made with that ctx, without calling back. */
void api_forget(struct api *a, const void *ctx);

struct mirror;
/* now: NULL when the object is gone; was: NULL when it is new. Both borrowed; *now stays until the next
 * change. */
typedef void mirror_change(struct mirror *m, const char *key, json_t *was, json_t *now);

struct mirror {
	struct api *api;
	const char *path; /* static: "/api/v1/pods" */
	mirror_change *change;
	void (*synced)(struct mirror *m); /* after the first list and each later one; may be NULL */
	void *ctx;
	struct hash objects; /* "ns/name" → json_t, owned */
	char version[32];
	struct api_call *call;
	uv_timer_t again;
	bool listed; /* at least once */
};

void mirror_start(struct mirror *m, struct api *a, const char *path, mirror_change *change,
		  void (*synced)(struct mirror *m), void *ctx);
void mirror_stop(struct mirror *m);
json_t *mirror_get(const struct mirror *m, const char *key); /* borrowed, or NULL */

/* Steps into nested objects: json_at(pod, "spec", "nodeName", NULL). NULL where a step is missing. */
json_t *json_at(const json_t *o, ...) __attribute__((sentinel));
const char *json_text(const json_t *o); /* "" when it is no text */

#endif
