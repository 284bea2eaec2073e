/* SPDX-License-Identifier: Apache-2.0 */
/* Which kinds the names are of that a field of a filter is compared with: for completion, and for what is to
 * be said of a name that nothing has. */
#ifndef WEFT_OBJECT_FILTERPLACE_H
#define WEFT_OBJECT_FILTERPLACE_H

#include "object/object.h"

struct filter_place {
	const char *field; /* without its side */
	const enum kind *kinds;
	size_t n;
};
enum { FILTER_PLACES = 6 };
extern const struct filter_place filter_places[FILTER_PLACES];
/* NULL: its values are no names of objects. */
const struct filter_place *filter_place_of(const char *field);

#endif
