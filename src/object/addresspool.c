/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddressPools: ranges that can be read, of one family each, and not twice in one pool. Whether pools overlap
 * each other is for admission, which knows them all.
 */
#include "object/addresspool.h"

#include <errno.h>

#include "object/check.h"

enum { SIZE_MOST = 1 << 20, RANGES_MAX = 200 };

static int from_prefix(struct str text, struct address_range *out, const char **why)
{
	struct prefix p;
	int r = prefix_parse(text, &p);
	*why = r == -EDOM ? "has bits set behind its length" : "is not a range of addresses";
	if (r)
		return -EINVAL;
	out->first = out->last = p.addr;
	for (unsigned bit = p.len; bit < 128; bit++)
		out->last.b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	if (!addr_is4(&p.addr) && p.len < 127)
		addr_add(&out->first, 1);
	return 0;
}

int address_range_parse(struct str text, struct address_range *out, const char **why)
{
	struct str rest = text;
	if (text.n && memchr(text.p, '/', text.n))
		return from_prefix(text, out, why);
	struct str first = str_cut(&rest, '-');
	*why = "is not a range of addresses";
	if (addr_parse(str_trim(first), &out->first))
		return -EINVAL;
	out->last = out->first;
	if (!rest.n)
		return first.n == text.n ? 0 : -EINVAL;
	if (addr_parse(str_trim(rest), &out->last))
		return -EINVAL;
	*why = "has two families";
	if (addr_is4(&out->first) != addr_is4(&out->last))
		return -EINVAL;
	*why = "ends before it begins";
	return memcmp(&out->first, &out->last, sizeof(out->first)) > 0 ? -EINVAL : 0;
}

static unsigned __int128 number_of(const struct addr *a)
{
	unsigned __int128 n = 0;
	for (unsigned i = 0; i < sizeof(a->b); i++)
		n = n << 8 | a->b[i];
	return n;
}

uint64_t address_range_size(const struct address_range *r)
{
	unsigned __int128 n = number_of(&r->last) - number_of(&r->first);
	return n >= SIZE_MOST ? SIZE_MOST : (uint64_t)n + 1;
}

static void check(struct check *c)
{
	const struct addresspool_spec *s = c->o->addresspool->spec;
	const char *why;
	if (!s)
		return; /* the field table says that it is required */
	if (!s->addresses.len)
		check_fail(c, &s->addresses, "name ranges, e.g. [198.51.100.0/28]", "must not be empty");
	if (s->addresses.len > RANGES_MAX)
		check_fail(c, &s->addresses, "make another pool", "%zu ranges are more than %d",
			   s->addresses.len, (int)RANGES_MAX);
	for (size_t i = 0; i < s->addresses.len && i < RANGES_MAX; i++) {
		struct address_range r, other;
		const struct str *text = &s->addresses.items[i];
		if (address_range_parse(*text, &r, &why)) {
			check_fail(c, text, "write 198.51.100.0/28, 198.51.100.7-198.51.100.9 or one address",
				   "\"" STR_FMT "\" %s", STR_ARG(*text), why);
			continue;
		}
		for (size_t k = 0; k < i; k++)
			if (!address_range_parse(s->addresses.items[k], &other, &why) &&
			    address_range_meets(&r, &other))
				check_fail(c, text, "let each address stand in one range",
					   "overlaps " STR_FMT " of the same pool",
					   STR_ARG(s->addresses.items[k]));
	}
}

static int defaults(struct object *o)
{
	if (o->addresspool->spec)
		default_bool(&o->addresspool->spec->auto_assign, true);
	return 0;
}

const struct kind_rules addresspool_rules = {.check = check, .defaults = defaults};
