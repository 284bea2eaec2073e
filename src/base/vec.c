/* SPDX-License-Identifier: Apache-2.0 */
/* Growth of VEC(T): doubling, overflow-checked. Most vectors stay short, so the first room is little. */
#include "base/vec.h"

#include <errno.h>
#include <stdint.h>

enum { FIRST_BYTES = 32 };

int vec_reserve_(void **items, size_t *cap, size_t want, size_t size)
{
	if (want <= *cap)
		return 0;
	size_t next = *cap ? *cap : size < FIRST_BYTES ? FIRST_BYTES / size : 1;
	while (next < want) {
		if (next > SIZE_MAX / 2)
			return -ENOMEM;
		next *= 2;
	}
	size_t bytes;
	if (__builtin_mul_overflow(next, size, &bytes))
		return -ENOMEM;
	void *grown = realloc(*items, bytes);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*cap = next;
	return 0;
}
