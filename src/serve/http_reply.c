/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of an answer. See http.h. */
#include <stdio.h>
#include <stdlib.h>

#include "serve/http_state.h"

void http_reply_header(struct http_reply *rp, const char *name, const char *fmt, ...)
{
	struct buf value = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&value, fmt, ap);
	va_end(ap);
	if (value.failed || vec_push(&rp->headers, (struct http_extra){name, value.p}))
		buf_fini(&value);
}

void reply_headers(const struct listener *l, struct MHD_Response *r, const struct http_reply *rp)
{
	bool cached = false;

	MHD_add_response_header(r, "Content-Type", rp->content_type ? rp->content_type : "application/json");
	VEC_EACH (&rp->headers, h) {
		MHD_add_response_header(r, h->name, h->value);
		cached |= !strcmp(h->name, "Cache-Control");
	}
	if (!cached)
		MHD_add_response_header(r, "Cache-Control", "no-cache, private");
	for (size_t i = 0; i < l->headers_len; i++)
		MHD_add_response_header(r, l->headers[i].name, l->headers[i].value);
	if (rp->retry)
		MHD_add_response_header(r, "Retry-After", "1");
	VEC_EACH (&rp->warnings, w)
		MHD_add_response_header(r, "Warning", *w);
}

void reply_free(struct http_reply *rp)
{
	buf_fini(&rp->body);
	VEC_EACH (&rp->warnings, w)
		free(*w);
	vec_free(&rp->warnings);
	VEC_EACH (&rp->headers, h)
		free(h->value);
	vec_free(&rp->headers);
}
