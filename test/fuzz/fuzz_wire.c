/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between planner and applier: any bytes are refused or read; what is read and written again reads
 * the same. */
#include <stdlib.h>

#include "compile/wire.h"

static void questions(const uint8_t *data, size_t size, const struct wire_head *h)
{
	static struct ask asks[WIRE_ASKS_MAX], again[WIRE_ASKS_MAX];
	int32_t result = 0, result2 = 0;
	struct buf b = {0};
	size_t n, n2;

	if (wire_asks_read(data, size, &result, asks, &n))
		return;
	wire_asks(&b, (enum wire_type)h->type, h->txn, result, asks, n);
	if (b.n != size || memcmp(b.p, data, size) || wire_asks_read(b.p, b.n, &result2, again, &n2) ||
	    n2 != n || result2 != result || memcmp(asks, again, n * sizeof(*asks)))
		abort();
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader r, again;
	struct wire_head h;
	struct change c, d;
	struct buf b = {0};
	unsigned step, step2;

	if (wire_head(data, size, &h))
		return 0;
	if (h.type == WIRE_ASK || h.type == WIRE_ANSWER)
		questions(data, size, &h);
	if (h.type != WIRE_ROWS)
		return 0;
	wire_reader_init(&r, data, size);
	wire_start(&b, WIRE_ROWS, h.txn);
	while (wire_next(&r, &step, &c) == 1) {
		size_t before = b.n;

		if (wire_put(&b, step, &c))
			abort();
		wire_reader_init(&again, b.p, b.n);
		while ((size_t)((const char *)again.p - b.p) < before)
			if (wire_next(&again, &step2, &d) != 1)
				abort();
		if (wire_next(&again, &step2, &d) != 1 || step2 != step || d.op != c.op ||
		    row_cmp(&d.row, &c.row))
			abort();
		if (c.row.value && memcmp(c.row.value, d.row.value, c.row.value_len))
			abort();
	}
	buf_fini(&b);
	return 0;
}
