/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server for questions on a socket: GET only, one answer a connection, bounded in
 * everything. The path decides; there is no body to read.
 */
#ifndef WEFT_AGENT_ANSWER_H
#define WEFT_AGENT_ANSWER_H

#include <uv.h>

#include "base/str.h"

struct answers;
/* Fills `out` with a JSON body for `path` (query included): the HTTP status. */
typedef int answer_fn(void *ctx, struct str path, struct buf *out);
/* Serves on the listening socket fd (taken over). 0 or -errno. */
int answers_new(struct answers **out, uv_loop_t *loop, int fd, answer_fn *fn, void *ctx);

/* Stops listening; answers under way go on. NULL is allowed; nulls. */
void answers_free(struct answers **s);

#endif
