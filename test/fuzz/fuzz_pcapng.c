/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as pcapng: read within their end, alike whole and in two pieces; what was read is written and
 * read alike; a merge of it hands on as many packets. The first byte says where the input is cut in two.
 */
#include <errno.h>
#include <stdlib.h>

#include "pcapng/merge.h"

static void check_written(const struct pcapng_block *k)
{
	AUTO_BUF out = {0};
	struct pcapng_reader r = {0};
	struct pcapng_section none = {0};
	struct pcapng_interface i = {.link = 1};
	struct pcapng_packet p = k->packet;
	struct pcapng_block b;

	p.interface = 0;
	if (pcapng_put_section(&out, &none) || pcapng_put_interface(&out, &i) || pcapng_put_packet(&out, &p))
		abort();
	struct str in = buf_str(&out);

	for (unsigned n = 0; n < 3; n++)
		if (pcapng_read(&r, &in, &b) != 1)
			abort();
	if (b.packet.time != p.time || b.packet.caplen != p.caplen || b.packet.comments_n != p.comments_n ||
	    b.packet.direction != p.direction || memcmp(b.packet.p, p.p, p.caplen))
		abort();
	pcapng_reader_fini(&r);
}

static int read_all(const char *at, size_t n, size_t cut, size_t *packets)
{
	struct pcapng_reader r = {0};
	struct pcapng_block b;
	struct str rest = {at, cut};
	int e;

	for (size_t end = cut;;) {
		while ((e = pcapng_read(&r, &rest, &b)) > 0)
			if (b.kind == PCAPNG_PACKET) {
				(*packets)++;
				check_written(&b);
			}
		if (e < 0 || end == n)
			break;
		rest.n += n - end;
		end = n;
	}
	pcapng_reader_fini(&r);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data + 1, *why;
	struct pcapng_merge_options o = {.streams = 2, .delay = 0};
	size_t whole = 0, parts = 0, merged = 0;
	struct pcapng_merge *m = NULL;
	struct pcapng_block b;

	if (!size)
		return 0;
	size_t n = size - 1, cut = data[0] < n ? data[0] : n;

	if (read_all(at, n, n, &whole) != read_all(at, n, cut, &parts) || whole != parts ||
	    pcapng_merge_new(&m, &o))
		abort();
	for (unsigned i = 0; i < 2; i++)
		pcapng_merge_feed(m, i, (struct str){at, n}, 1, &why);
	while (pcapng_merge_next(m, 1, &b, NULL, NULL) == 1)
		merged += b.kind == PCAPNG_PACKET;
	if (merged != 2 * whole)
		abort();
	pcapng_merge_free(&m);
	return 0;
}
