/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a YAML manifest. */
#include "roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct remarks rs = {0};
	struct file *f;
	AUTO_BUF shown = {0};
	if (file_new(&f, "f", (const char *)data, size))
		return 0;
	struct decoder_options opt = {.sink = roundtrip, .remarks = &rs};
	decode_yaml(f, &opt);
	remarks_sort(&rs);
	VEC_EACH (&rs.list, r)
		remark_print(&shown, r, false);
	file_unref(&f);
	remarks_fini(&rs);
	return 0;
}
