/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an assertion: parsed, or refused with a column inside the text and words. */
#include <errno.h>
#include <stdlib.h>

#include "reason/assertion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct assertion a;
	struct arena arena = {0};
	size_t column = 0;
	const char *why = NULL;
	int r = assertion_parse(&a, &arena, (struct str){(const char *)data, size}, &column, &why);

	if (!r) {
		AUTO_BUF b = {0};
		port_spans_print(&b, a.ports.items, a.ports.len);
		for (size_t i = 0; i < a.ports.len; i++) {
			const struct port_span *s = &a.ports.items[i];
			if (s->low > s->high || (i && s[-1].proto == s->proto && s[-1].high >= s->low))
				abort();
		}
		if (!a.from.terms.len || !a.to.terms.len || !b.n)
			abort();
		assertion_fini(&a);
	} else if (r == -EINVAL && (!why || !column || column > size + 1)) {
		abort();
	}
	arena_fini(&arena);
	return 0;
}
