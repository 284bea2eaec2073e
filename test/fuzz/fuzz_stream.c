/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting lists and watch lines: any bytes, in any pieces, give the same items, and no item is longer than
 * the input. The first byte says where the input is cut in two.
 */
#include <stdlib.h>

#include "agent/stream.h"

struct items {
	size_t n, bytes;
};

static int take(void *ctx, struct str json)
{
	struct items *i = ctx;

	i->n++;
	i->bytes += json.n;
	if (json.n < 2 || json.p[0] != '{' || json.p[json.n - 1] != '}')
		abort();
	json_plain_string(json_member(json, "kind"));
	json_member(json_member(json, "metadata"), "resourceVersion");
	return 0;
}

static int feed(const char *p, size_t n, size_t cut, struct items *out)
{
	struct list_stream s;
	int err;

	list_stream_init(&s, take, out);
	err = list_stream_feed(&s, p, cut);
	if (!err)
		err = list_stream_feed(&s, p + cut, n - cut);
	list_stream_fini(&s);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;
	struct items whole = {0}, parts = {0};
	size_t n;

	if (!size)
		return 0;
	n = size - 1;
	if (feed(p, n, n, &whole) != feed(p, n, data[0] < n ? data[0] : n, &parts))
		abort();
	if (whole.n != parts.n || whole.bytes != parts.bytes || whole.bytes > n)
		abort();
	json_plain_string(json_member((struct str){.p = p, .n = n}, "type"));
	return 0;
}
