/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as numbers: see quantity_number() in object.h. */
#include <errno.h>

#include "object/object.h"

struct scale {
	unsigned __int128 up, down;
};

static bool scale_of(struct str tail, struct scale *out)
{
	static const char decimal[] = "kMGTPE";
	int64_t exponent;

	*out = (struct scale){.up = 1, .down = 1};
	if (!tail.n)
		return true;
	if (tail.n == 1 && (tail.p[0] == 'm' || tail.p[0] == 'u' || tail.p[0] == 'n')) {
		out->down = tail.p[0] == 'm' ? 1000 : tail.p[0] == 'u' ? 1000000 : 1000000000;
		return true;
	}
	const char *at = memchr(decimal, tail.p[0] == 'K' ? 'k' : tail.p[0], sizeof(decimal) - 1);
	if (at && (tail.n == 1 || (tail.n == 2 && tail.p[1] == 'i'))) {
		for (const char *i = decimal; i <= at; i++)
			out->up *= tail.n == 2 ? 1024 : 1000;
		return true;
	}
	if (tail.n < 2 || (tail.p[0] != 'e' && tail.p[0] != 'E') ||
	    str_to_i64((struct str){tail.p + 1, tail.n - 1}, -18, 18, &exponent))
		return false;
	for (int64_t i = exponent; i; i += i < 0 ? 1 : -1)
		*(i < 0 ? &out->down : &out->up) *= 10;
	return true;
}

int quantity_number(struct str s, uint64_t *out)
{
	enum { DIGITS_MAX = 18 };
	unsigned __int128 n = 0, down = 1;
	struct scale scale;
	size_t i = s.n && s.p[0] == '+', digits = 0;

	for (bool dot = false; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !dot));
	     i++) {
		if (s.p[i] == '.') {
			dot = true;
			continue;
		}
		if (++digits > DIGITS_MAX)
			return -ERANGE;
		n = n * 10 + (unsigned)(s.p[i] - '0');
		down *= dot ? 10 : 1;
	}
	if (!digits || !scale_of((struct str){s.p + i, s.n - i}, &scale))
		return -EINVAL;
	n = n * scale.up / down / scale.down;
	if (n > UINT64_MAX)
		return -ERANGE;
	*out = (uint64_t)n;
	return 0;
}
