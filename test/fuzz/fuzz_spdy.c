/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPDY frames: any bytes, whole or cut in two, give the same events; headers that we write we read back,
 * twice with one state. The first byte says where to cut.
 */
#include <stdlib.h>

#include "serve/spdy.h"

struct seen {
	struct buf text;
	bool bad;
};

static void take(struct spdy *s, char *p, size_t n, struct seen *out)
{
	for (enum spdy_event e; (e = spdy_feed(s, &p, &n)) != SPDY_MORE;) {
		if (e == SPDY_BAD) {
			out->bad = true;
			if (!s->problem)
				abort();
			return;
		}
		if (e == SPDY_DATA) {
			buf_add(&out->text, s->data, s->len);
			continue;
		}
		buf_printf(&out->text, "\n%d %u %d", s->type, s->stream, s->fin);
		for (size_t i = 0; i < s->headers_len; i++) {
			buf_adds(&out->text, s->headers[i].name);
			buf_adds(&out->text, s->headers[i].value);
		}
	}
	if (n)
		abort();
}

static void run(const uint8_t *data, size_t size, size_t cut, struct seen *out)
{
	struct spdy s;
	char *copy = malloc(size + 1);
	if (!copy || spdy_init(&s))
		abort();
	memcpy(copy, data, size);
	take(&s, copy, cut, out);
	if (!out->bad)
		take(&s, copy + cut, size - cut, out);
	free(copy);
	spdy_fini(&s);
}

static void round_trip(const uint8_t *data, size_t size)
{
	char value[256] = "";
	const char *pairs[] = {"streamtype", "data", "port", value, NULL};
	struct spdy out, in;
	struct buf b = {0};
	size_t n = size < sizeof(value) - 1 ? size : sizeof(value) - 1;
	for (size_t i = 0; i < n; i++)
		value[i] = data[i] ? (char)data[i] : 'x';
	if (spdy_init(&out) || spdy_init(&in))
		abort();
	for (unsigned i = 0; i < 2; i++)
		spdy_headers(&out, &b, SPDY_SYN_STREAM, 2 * i + 1, SPDY_FIN, pairs);
	char *p = b.p;
	size_t left = b.n;
	for (unsigned i = 0; i < 2; i++)
		if (spdy_feed(&in, &p, &left) != SPDY_CONTROL || in.stream != 2 * i + 1 || !in.fin ||
		    !str_eqz(spdy_header(&in, "port"), value) ||
		    !str_eqz(spdy_header(&in, "streamtype"), "data"))
			abort();
	if (left)
		abort();
	buf_fini(&b);
	spdy_fini(&out);
	spdy_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, parts = {0};
	if (!size)
		return 0;
	size_t n = size - 1;
	run(data + 1, n, n, &whole);
	run(data + 1, n, data[0] < n ? data[0] : n, &parts);
	if (whole.bad != parts.bad || !str_eq(buf_str(&whole.text), buf_str(&parts.text)))
		abort();
	round_trip(data, size);
	buf_fini(&whole.text);
	buf_fini(&parts.text);
	return 0;
}
