/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in pieces, and as of an earlier version. Private to serve/. */
#ifndef WEFT_SERVE_SNAPSHOT_H
#define WEFT_SERVE_SNAPSHOT_H

#include "serve/api_state.h"

/* What a list request asks for: limit, continue, resourceVersion and resourceVersionMatch. */
struct page {
	uint64_t version;		    /* of the list */
	size_t limit;			    /* 0: all */
	char after_ns[64], after_name[254]; /* where the piece before ended; "" at the beginning */
};
int page_read(struct page *p, struct api *a, const struct http_request *rq, struct api_error *e);
bool page_skips(const struct page *p, const struct object *o);
/* The piece ended with `last`. */
void page_after(struct page *p, const struct object *last);
/* The continue of a piece that ends with `last`, as a JSON string. */
void page_token(struct buf *b, const struct page *p, const struct object *last);

/* The objects as they were at that version, sorted; borrowed until the next write. 0, -ESTALE: the history
 * does not go back so far, -ENOMEM. */
int snapshot_list(struct api *a, enum kind kind, struct str ns, uint64_t at, struct object_refs *out);

#endif
