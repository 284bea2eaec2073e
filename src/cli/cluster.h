/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to a running cluster: its runtime folder, the hub's API over hub.sock (HTTP), the sandbox's control
 * socket (JSON lines), observers' sockets (HTTP). Every failure is told on stderr by the function that met
 * it, with what to do; callers only pass the status on.
 */
#ifndef WEFT_CLI_CLUSTER_H
#define WEFT_CLI_CLUSTER_H

#include <jansson.h>

#include "base/str.h"

enum { CLUSTER_NAME_MAX = 32, CLUSTER_PATH = 108 };
#define CLUSTER_RUN "/run/weft"

/* The name to use: NULL means "default". NULL after telling when it is no DNS label of at most 32 letters. */
const char *cluster_name(const char *name);
/* "/run/weft/NAME/FILE". */
void cluster_path(char out[CLUSTER_PATH], const char *name, const char *file);
/* Whether a sandbox process holds the cluster's lock. */
bool cluster_is_up(const char *name);
/* The same, and tells the user when it is not up. */
bool cluster_need(const char *name);

/* One request. `accept` NULL: application/json. The answer's body is *body (owned), the HTTP status is
 * returned, or -1 when there was no answer (told). */
long http_request(const char *socket_path, const char *method, const char *url, const char *accept,
		  struct str body, struct buf *out);
/* GET that must succeed: the decoded answer (owned), or NULL after telling the server's message. */
json_t *http_get_json(const char *socket_path, const char *url, const char *accept);
/* Tells the message of a Kubernetes Status, or the bare code; with what to do. */
void http_tell(long code, struct str body);
void http_tell_hint(const char *hint, long code, struct str body);
/* GET that tells nothing: the status, or -1. */
long http_ask(const char *socket_path, const char *url, const char *accept, struct buf *out);
/* One request that tells nothing: the status, or -1. */
long http_try(const char *socket_path, const char *method, const char *url, struct str body, struct buf *out);
/* Streams a watch: fn gets each line decoded (borrowed); it ends when fn returns non-zero, or at the stream's
 * end. Returns fn's value, 0 at the end, -1 on failure (not told). */
typedef int http_line(void *ctx, const json_t *line);
int http_follow(const char *socket_path, const char *url, const char *accept, http_line *fn, void *ctx);
/* Appends s as one path or query part, percent-encoded. */
void http_escape(struct buf *b, struct str s);

/* Whether the cluster was started with --strict: every pod's open connections are cut. 0 or -1 (told). */
int cluster_strict(const char *name, bool *strict);

/* A request to the sandbox's control socket: fn gets each line until {"done"} or the end. Same returns; an
 * {"ok":false} line is told and gives -1. */
int control_request(const char *name, const json_t *request, http_line *fn, void *ctx);

#endif
