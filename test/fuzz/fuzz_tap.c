/* SPDX-License-Identifier: Apache-2.0 */
/* Taps from anywhere: any bytes are refused with a sentence, or read; what was read is written byte by byte
 * the same. */
#include <stdlib.h>

#include "tap/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf why = {0}, again = {0}, text = {0};
	struct taps t;

	if (taps_decode(&t, data, size, &why)) {
		if (!why.n)
			abort();
		buf_fini(&why);
		return 0;
	}
	taps_encode(&again, &t);
	if (why.n || again.n != size || memcmp(again.p, data, size))
		abort();
	taps_print(&text, &t);
	taps_fini(&t);
	buf_fini(&again);
	buf_fini(&text);
	return 0;
}
