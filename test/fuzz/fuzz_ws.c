/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames: any bytes, whole or cut in two, give the same pieces; what we write we read back. The
 * first byte says where to cut, and its lowest bit which end we are.
 */
#include <stdlib.h>

#include "serve/ws.h"

struct seen {
	struct buf data;
	size_t messages, controls;
	bool bad;
};

static void take(struct ws_in *w, char *p, size_t n, struct seen *out)
{
	for (enum ws_event e; (e = ws_feed(w, &p, &n)) != WS_MORE;) {
		if (e == WS_BAD) {
			out->bad = true;
			if (!w->problem)
				abort();
			return;
		}
		if (e == WS_CONTROL && w->len > 125)
			abort();
		buf_add(&out->data, w->data, w->len);
		out->messages += e == WS_DATA && w->last;
		out->controls += e == WS_CONTROL;
	}
	if (n)
		abort();
}

static void run(const uint8_t *data, size_t size, size_t cut, bool client, struct seen *out)
{
	struct ws_in w = {.client = client};
	char *copy = malloc(size + 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	take(&w, copy, cut, out);
	if (!out->bad)
		take(&w, copy + cut, size - cut, out);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, parts = {0}, back = {0};
	struct buf frame = {0};
	if (!size)
		return 0;
	bool client = data[0] & 1;
	size_t n = size - 1, cut = data[0] < n ? data[0] : n;
	run(data + 1, n, n, client, &whole);
	run(data + 1, n, cut, client, &parts);
	if (whole.bad != parts.bad || whole.messages != parts.messages || whole.controls != parts.controls ||
	    !str_eq(buf_str(&whole.data), buf_str(&parts.data)))
		abort();
	ws_frame(&frame, WS_BINARY, client, (struct str){0}, (struct str){(const char *)data, size});
	run((const uint8_t *)frame.p, frame.n, cut, !client, &back);
	if (back.bad || back.messages != 1 ||
	    !str_eq(buf_str(&back.data), (struct str){(const char *)data, size}))
		abort();
	buf_fini(&whole.data);
	buf_fini(&parts.data);
	buf_fini(&back.data);
	buf_fini(&frame);
	return 0;
}
