/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-resources log, exec, attach and portforward of pods. Private to serve/. */
#ifndef WEFT_SERVE_PODSTREAM_H
#define WEFT_SERVE_PODSTREAM_H

#include "serve/api_state.h"

bool podstream_is(const struct target *t);
void podstream_handle(struct api *a, const struct target *t, const struct http_request *rq,
		      struct http_reply *rp, struct api_error *e);
/* Their paths of OpenAPI. */
void podstream_openapi(struct buf *b);

#endif
