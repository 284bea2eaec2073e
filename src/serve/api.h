/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes-shaped API over a store: discovery, list, get, watch, tables and, through hooks of the
 * owner, writes. Reads go straight to the store; what a write means (who may, what is filled in, where it is
 * kept) is the owner's.
 */
#ifndef WEFT_SERVE_API_H
#define WEFT_SERVE_API_H

#include "serve/http.h"
#include "store/store.h"

/* How a request failed. `message` is owned by it. causes are printed as details.causes. */
struct api_error {
	int code;	    /* HTTP status; 0: none */
	const char *reason; /* "NotFound", … static */
	struct buf message;
	char name[254]; /* of the object in the body, where the URL has none */
	struct remarks causes;
	struct buf more; /* further causes, JSON objects with commas between */
	bool retry;
};
void api_error_fini(struct api_error *e);
/* Sets code, reason and message; an earlier one stays. Returns -EINVAL, for `return api_fail(…)`. */
int api_fail(struct api_error *e, int code, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The refusal as a Status in place of what the reply holds. */
void api_refuse(struct http_reply *rp, const struct api_error *e);

enum { API_USER = 64 };
enum api_verb { API_CREATE, API_UPDATE, API_STATUS, API_DELETE };
struct api_write {
	enum api_verb verb;
	struct object
	    *object; /* owned, TAKE it; NULL for DELETE. For STATUS: the whole object with the new status */
	const struct object *old; /* in force, or NULL for CREATE; a reference is held during the call */
	int64_t grace;		  /* DELETE: seconds, -1: the object's own */
	bool orphan;		  /* DELETE: leave what it owns */
	bool dry;		  /* only say what would be */
	char user[API_USER];	  /* who asks; empty: Weft itself */
	const struct who *who;	  /* his rights, borrowed; NULL: all */
};

/* Packets that somebody wants to see: GET of a Capture's or Tool's stream, or of the clock of the node that
 * it comes from. */
struct api_packets {
	const struct object *of; /* in force; a reference is held during the call */
	bool clock;		 /* in place of packets */
	const char *node, *port; /* node: NULL: all of them; port: of a Tool; "default" */
	int64_t last;		 /* s; of a Tool's ring */
	bool own;		 /* the Capture was made for this reader, and ends with it */
	char user[API_USER];
	const struct who *who; /* his rights, borrowed; NULL: all */
};

struct api_ops {
	/* Called on the loop for each write. On success 0, and *now is a reference to the resulting object
	 * (for DELETE: its last state, may be NULL). Else negative, with e filled. */
	int (*write)(void *ctx, struct api_write *w, struct object **now, struct api_error *e);
	/* /apis/weft.network/internal/NAME; `name` is the rest of the path, `user` who asks ("root (uid 0)").
	 * Same results; fills body with JSON. */
	int (*internal)(void *ctx, const char *user, const char *method, const char *name, struct str body,
			struct buf *answer, struct api_error *e);
	/* Asked before all: of requests that need more of the request, or of the answer, than those below.
	 * `rest` is the path's. True: it was answered, or e is filled. May be NULL. */
	bool (*local)(void *ctx, const struct http_request *rq, const char *rest, struct http_reply *rp,
		      struct api_error *e);
	/* Asked first: an answer that takes its time, or NULL (with e filled: refused). May be NULL. */
	struct http_later *(*internal_later)(void *ctx, const char *method, const char *name, struct str body,
					     struct api_error *e);
	/* An answer that takes its time, or NULL with e filled. May be NULL: there are none. */
	struct http_later *(*packets)(void *ctx, const struct api_packets *q, struct api_error *e);
	/* Somebody was refused for his rights. May be NULL. */
	void (*refused)(void *ctx, const char *user, const struct http_request *rq, struct str why);
	/* Whether /readyz says ok. */
	bool (*ready)(void *ctx);
};

/* Who asks: his name on the page, "root (uid 0)" over the Unix socket, "weft:admin" with the cluster's
 * certificate; empty where nobody knows, and for Weft's own sandbox. */
void user_of(char out[API_USER], const struct http_request *rq);
/* person.c: "root (uid 0)", or "uid 1234" where /etc/passwd has no name; no User can have such a name. */
void person_name(char out[API_USER], unsigned uid);
bool person_is_local(const char *user);

struct api;
int api_new(struct api **out, struct store *s, const struct api_ops *ops, void *ctx);
/* exec, attach, logs and port-forward go to the runtime at this Unix socket (stream.h); without it they are
 * refused. 0 or -ENOMEM. */
int api_set_runtime(struct api *a, uv_loop_t *loop, const char *path);
/* Streams must have ended (http_free) before. */
void api_free(struct api **a);
/* http_handler; ctx is the struct api. */
void api_handle(void *ctx, const struct http_request *rq, struct http_reply *rp);
/* Versions up to this one cannot be resumed from: what was deleted before the start is not known. */
void api_set_floor(struct api *a, uint64_t version);
/* Tells the watches of what was written since the last call; once a loop turn. Returns 0, or after how many
 * milliseconds it is to be called again: many watches are told several changes at once. */
unsigned api_flush(struct api *a);
/* Ends watches whose time is over and sends bookmarks; about once a second. */
void api_tick(struct api *a);

#endif
