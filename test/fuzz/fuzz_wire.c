/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between planner and applier: any bytes are refused or read; what is read and written again reads
 * the same. */
#include <stdlib.h>

#include "compile/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader r, again;
	struct wire_head h;
	struct change c, d;
	struct buf b = {0};
	unsigned step, step2;

	if (wire_head(data, size, &h) || h.type != WIRE_ROWS)
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
