/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a report: read within their end, and what is read is written alike. */
#include <stdlib.h>

#include "observe/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct report head;
	struct record r;

	if (report_read(&s, &head))
		return 0;
	while (!report_next(&s, &r)) {
		AUTO_BUF again = {};
		struct record same;

		report_add(&again, &r);
		struct str b = buf_str(&again);

		if (report_next(&b, &same) || same.id != r.id || same.bytes[1] != r.bytes[1] ||
		    !str_eq(same.dns, r.dns))
			abort();
	}
	return 0;
}
