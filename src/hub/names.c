/* SPDX-License-Identifier: Apache-2.0 */
/* Makes uids and name suffixes out of hashes; keeps no state. Called by the controllers. See names.h. */
#include "hub/names.h"

#include <stdio.h>

#include "base/hash.h"

void name_uid(char out[37], const char *kind, struct str key, uint64_t life)
{
	uint64_t seed = hash_bytes(kind, strlen(kind), life);
	uint64_t a = hash_bytes(key.p, key.n, seed), b = hash_bytes(key.p, key.n, ~seed);
	snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff,
		 (unsigned)a & 0xfff, (unsigned)(0x8000 | ((b >> 48) & 0x3fff)),
		 (unsigned long long)(b & 0xffffffffffffULL));
}

void name_suffix(char *out, size_t n, uint64_t h)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	for (size_t i = 0; i < n; i++) {
		out[i] = alphabet[h % (sizeof(alphabet) - 1)];
		h /= sizeof(alphabet) - 1;
	}
	out[n] = 0;
}
