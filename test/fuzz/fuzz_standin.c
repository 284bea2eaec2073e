/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a stand-in hears: the first byte chooses HTTP/1, HTTP/2, a DNS answer or a value that may
 * name a place; HTTP comes in pieces of a size that the second byte gives.
 */
#include <stdlib.h>

#include "base/own.h"
#include "standin/calls.h"
#include "standin/resolve.h"
#include "standin/server.h"

static void http(const uint8_t *data, size_t size, bool two)
{
	static const struct spec spec = {
	    .pod = (char *)"p", .ns = (char *)"n", .node = (char *)"o", .container = (char *)"c"};
	struct server server = {.spec = &spec};
	struct conn c = {.server = &server, .port = 80};
	size_t piece = data[0] + 1u;

	for (size_t at = 1; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		buf_add(&c.in, data + at, n);
		if (!(two ? http2_read(&c) : http1_read(&c)) || c.closing)
			break;
		/* Nothing is kept but a head that is not complete. */
		if (c.in.n > IN_MAX + 256)
			abort();
	}
	http2_free(&c);
	buf_fini(&c.in);
	buf_fini(&c.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr addrs[RESOLVE_ADDRS];
	struct call_place places[4];
	unsigned len = 0;
	size_t n;

	if (size < 4)
		return 0;
	switch (data[0] & 3) {
	case 0:
	case 1:
		http(data + 1, size - 1, data[0] & 1);
		break;
	case 2:
		resolve_answer(data + 1, size - 1, (uint16_t)(data[1] << 8 | data[2]), data[3] & 1 ? 1 : 28,
			       addrs, &len);
		if (len > RESOLVE_ADDRS)
			abort();
		break;
	case 3:
		n = calls_find((struct str){.p = (const char *)data + 1, .n = size - 1}, places, 4);
		for (size_t i = 0; i < n && i < 4; i++)
			if (!places[i].port || !places[i].host.n || places[i].host.p < (const char *)data ||
			    places[i].host.p + places[i].host.n > (const char *)data + size)
				abort();
		break;
	}
	return 0;
}
