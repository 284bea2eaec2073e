/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of copier.sock: of a capture while it runs, of what a ring holds. */
#ifndef WEFT_COPIER_READER_H
#define WEFT_COPIER_READER_H

#include "copier/http.h"
#include "copier/output.h"

/* A new reader of the output, which was made by output_stream (a capture) or output_ring; NULL: no memory, or
 * there are too many. */
struct http_body *stream_read(struct output *o);
/* Packets whose times are `since` (ns since 1970) or later. */
struct http_body *ring_read(struct output *o, uint64_t since);
/* Appends a JSON list of a capture's readers: what each got and lost. */
void stream_print(const struct output *o, struct buf *out);

#endif
