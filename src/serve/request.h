/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a request line: path and query, decoded. */
#ifndef WEFT_SERVE_REQUEST_H
#define WEFT_SERVE_REQUEST_H

#include "serve/http.h"

enum { QUERY_MAX = 256 };

struct request_parts {
	char *text; /* owned; path and params point into it */
	char *path;
	struct http_param query[QUERY_MAX];
	size_t query_len;
};

/* Parses "/a/b?c=d&e". 0, -EINVAL for a bad escape, a NUL, an empty segment or too many parameters, -ENOMEM.
 */
int request_parse(struct request_parts *p, const char *uri);
void request_fini(struct request_parts *p);

#endif
