/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to copier.sock: any bytes are refused, or are a path and a query that lie within them. */
#include <stdlib.h>

#include "base/own.h"
#include "copier/http.h"

static bool is_within(struct str part, const char *from, const char *to)
{
	return !part.n || (part.p >= from && part.p + part.n <= to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of just its size, so that a byte beyond it is found */
	AUTO_MEM char *head = malloc(size + !size);
	struct str path, query, value;
	int wrong;

	memcpy(head, data, size);
	wrong = http_parse((struct str){head, size}, &path, &query);
	if (wrong && wrong != 400 && wrong != 405)
		abort();
	if (wrong)
		return 0;
	if (!path.n || path.p[0] != '/' || memchr(path.p, ' ', path.n) || memchr(path.p, '\n', path.n) ||
	    memchr(path.p, '?', path.n) || !is_within(path, head, head + size) ||
	    !is_within(query, head, head + size))
		abort();
	value = http_query(query, "port");
	if (!is_within(value, head, head + size) || memchr(value.p ?: "", '&', value.n))
		abort();
	return 0;
}
