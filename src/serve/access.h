/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, and what he may: a user has a level in each namespace. The one place that decides rights; it
 * knows no sessions, no requests and no store. Pure.
 */
#ifndef WEFT_SERVE_ACCESS_H
#define WEFT_SERVE_ACCESS_H

#include "base/str.h"
#include "base/vec.h"
#include "object/object.h"

/* Each holds the ones before it. */
enum access_level { ACCESS_NONE, ACCESS_VIEW, ACCESS_CAPTURE, ACCESS_OPERATE, ACCESS_ADMIN };
/* What is to be done with objects of a kind. PACKETS: see what connections carry. */
enum access_verb { ACCESS_READ, ACCESS_PACKETS, ACCESS_WRITE };

enum { ACCESS_USER = 64, ACCESS_NS = 64 };
struct access_grant {
	char ns[ACCESS_NS]; /* "*": all namespaces, and what is in none */
	enum access_level level;
};

/* Shared by a session and what it began: a stream that holds one looks at `ended`. */
struct who {
	char user[ACCESS_USER];
	VEC(struct access_grant) grants; /* a namespace stands once */
	bool ended;			 /* his rights changed, or his session is over: streams end */
	unsigned refs;
};

/* Who may everything: the Unix socket, and the cluster's client certificate. Never counted. */
extern const struct who access_everything;
/* Who may nothing. */
extern const struct who access_nothing;

int who_new(struct who **out, const char *user);
const struct who *who_ref(const struct who *w);
void who_unref(const struct who **w);
/* The higher one stays. 0, -ENOMEM, or -EINVAL: no namespace has that name. */
int who_grant(struct who *w, struct str ns, enum access_level level);

/* The same levels in the same namespaces. */
bool who_same_rights(const struct who *a, const struct who *b);

/* His level in a namespace; "" is what is in none: the level of "*". */
enum access_level access_level(const struct who *w, struct str ns);
/* The highest that he has anywhere. */
enum access_level access_anywhere(const struct who *w);
/* Of a whole kind in one namespace, or (ns empty) in none. */
bool access_may(const struct who *w, enum access_verb verb, enum kind kind, struct str ns);
/* Whether he may know of this object at all: lists and watches hold no others. */
bool access_sees(const struct who *w, const struct object *o);

/* The label of each Namespace that is its name. */
#define NAME_LABEL "kubernetes.io/metadata.name"
/* Whether he may read (see) or write all that a Draft would change: its texts tell of it. */
bool access_draft(const struct who *w, enum access_verb verb, const struct object *draft);
/* Whether he may see the packets of this Capture or Tool: of a Capture of his own with all its sources in
 * namespaces where he may, or of all namespaces. */
bool access_packets(const struct who *w, const struct object *of);

struct http_request;
/* Who asks: what the page found, else what the door says. Never NULL. */
const struct who *who_of(const struct http_request *rq);

const char *access_level_name(enum access_level level);
/* False: there is no such level. */
bool access_level_parse(struct str name, enum access_level *out);

#endif
