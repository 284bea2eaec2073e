/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the API share. Private to serve/. */
#ifndef WEFT_SERVE_API_STATE_H
#define WEFT_SERVE_API_STATE_H

#include "serve/access.h"
#include "serve/api.h"
#include "serve/printed.h"

struct watch;
struct api {
	struct store *store;
	const struct api_ops *ops;
	void *ctx;
	struct subscription *sub;
	struct watch *watches;
	struct sessions *sessions; /* NULL: there is no runtime */
	uint64_t floor;
	uint64_t dirty;	  /* kinds written since the last flush, a bit each */
	uint64_t rest_us; /* no flush before */
	struct printed printed;
};

/* What a URL names. */
struct target {
	const struct kind_desc *kind; /* NULL for the two below */
	bool events, leases;
	char ns[64], name[254], sub[32];
	bool named;
};
/* 0, -ENOENT when no such resource. Parses /api/v1/… and /apis/GROUP/VERSION/…. */
int target_parse(struct target *t, const char *path);

/* Selectors of a list or watch. */
struct select {
	struct arena arena;
	struct label_selector *labels; /* NULL: all */
	const struct who *who;	       /* borrowed: only what he may see */
	struct field_term {
		enum field_key { FIELD_NAME, FIELD_NS, FIELD_NODE, FIELD_PHASE, FIELD_OTHER } key;
		bool not ;
		struct str value;
	} fields[8];
	size_t n;
	struct str ns; /* empty: all */
};
int select_parse(struct select *s, const struct target *t, const struct http_request *rq,
		 struct api_error *e);
bool select_matches(const struct select *s, const struct object *o);
void select_fini(struct select *s);

/* How objects are shown to this client. */
struct show {
	bool table, whole; /* a Table; with whole objects in it */
	unsigned print;	   /* enum object_print */
};
struct show show_of(const struct http_request *rq);
/* permit.c: 0, or 403. */
int permit(const struct http_request *rq, const struct target *t, struct api_error *e);

void status_print(struct buf *b, const struct api_error *e, const struct target *t);
/* Groups in order of first appearance. */
enum { API_GROUPS_MAX = 16 };
struct api_group {
	const char *name, *version;
};
size_t api_groups(struct api_group out[API_GROUPS_MAX]);
bool api_group_find(struct str name, struct str version, struct api_group *out); /* version may be empty */
void discovery_handle(const struct http_request *rq, struct http_reply *rp, struct api_error *e);
/* What follows /openapi/; false: there is no such document. */
bool openapi_print(struct str rest, struct buf *b);
/* SelfSubject reviews. */
bool review_is(const char *path);
void review_handle(const struct http_request *rq, struct http_reply *rp, struct api_error *e);
bool discovery_is(const char *path);
void read_list(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
	       struct api_error *e);
void read_get(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
	      struct api_error *e);
void watch_start(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		 struct api_error *e);
void write_handle(struct api *a, const struct target *t, const struct http_request *rq, struct http_reply *rp,
		  struct api_error *e);
/* DELETE of all that selectors match. */
void collection_delete(struct api *a, const struct target *t, const struct http_request *rq,
		       struct http_reply *rp, struct api_error *e);
/* Reads DeleteOptions into w, whose old may be NULL. */
int read_delete(const struct http_request *rq, struct api_write *w, struct api_error *e);
void events_list(struct api *a, const struct target *t, const struct http_request *rq, struct buf *b);
/* Events (derived) and Leases (made of Nodes). */
void virtual_handle(struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e);
/* scale of workloads, eviction of pods: see subresource.c. */
bool subresource_is(const struct target *t);
bool kind_scales(enum kind k);
void subresource_handle(struct api *a, const struct target *t, const struct http_request *rq,
			struct http_reply *rp, struct api_error *e);
/* The owner's hook, told who asks. */
int api_write_as(struct api *a, const struct http_request *rq, struct api_write *w, struct object **now,
		 struct api_error *e);
int read_dry(const struct http_request *rq, bool *dry, struct api_error *e);
const struct object *api_find(struct api *a, const struct target *t, struct api_error *e);
bool query_true(const struct http_request *rq, const char *key);
/* stream and clock of Captures and Tools: see packets.c. */
bool packets_is(const struct target *t);
void packets_handle(struct api *a, const struct target *t, const struct http_request *rq,
		    struct http_reply *rp, struct api_error *e);

#endif
