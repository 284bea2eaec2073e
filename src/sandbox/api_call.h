/* SPDX-License-Identifier: Apache-2.0 */
/* One call to the hub; private to api.c and mirror.c. */
#ifndef WEFT_SANDBOX_API_CALL_H
#define WEFT_SANDBOX_API_CALL_H

#include "sandbox/api.h"

/* A stream's lines; at its end once with an empty line and the status (or -errno). The line is borrowed. */
typedef void api_stream(void *ctx, int status, struct str line);

struct api_call {
	struct api_call *next, **link;
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct buf out, in, body;
	uint64_t left; /* of the chunk or the body */
	int status;
	bool have_head, chunked, to_end, closed;
	api_done *done;
	api_stream *stream;
	void *ctx;
};

/* Sends; the caller sets done or stream, and ctx, before it returns to the loop. NULL when out of memory. */
struct api_call *api_call_new(struct api *a, const char *method, const char *path, const char *type,
			      const json_t *body);
void api_call_close(struct api_call *c);

#endif
